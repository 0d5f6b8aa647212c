"""Optimizers: frozen descriptions without state. The trainer holds the state.

In the formulas, p is a parameter, g its gradient of the mean loss, and t the number of the update,
from 1. All parameters are updated alike, biases included. Weight decay means L2 regularization
added to the gradient (``g + weight_decay * p``), unless the class says that it is decoupled.
Updates are computed in float32. Wrong options raise TypeError or ValueError. The default learning
rate of `fastsnn train` differs, see `run_learning_rate`.

Each class names a row of `kernels/updates.py`, which has the formula of one element, and computes
the scalars of an update. To add one: a row there if no formula fits, a class here, and its name in
`__all__`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields
from math import exp, expm1, log
from typing import Any, ClassVar

from fastsnn.checks.scalars import FLOAT32_MAX, number, plain, shown
from fastsnn.deprecated import Renamed
from fastsnn.kernels.updates import CODES, UPDATES, Update

__all__ = ["SGD", "Adam", "AdamW", "RMSprop", "Lion", "NAdam"]

HIGHEST_RATE = 1e30  # far inside float32


def _check(optimizer: Any, *fractions: str) -> None:
    """Check the numbers of an optimizer and store them as floats: learning_rate in
    [0, HIGHEST_RATE), `fractions` in [0, 1), all others >= 0.
    """
    for name in (field.name for field in fields(optimizer) if field.type != "bool"):
        high = HIGHEST_RATE if name == "learning_rate" else 1 if name in fractions else float("inf")
        where = f"{type(optimizer).__name__}: {name}"
        value = number(getattr(optimizer, name), where, 0, high)
        if value > FLOAT32_MAX:
            raise ValueError(f"{where} must be at most {FLOAT32_MAX:.3g}, a float32, got {value}")
        object.__setattr__(optimizer, name, value)


class Optimizer:
    """Base class of optimizers. Each is a frozen dataclass that checks its options: a wrong type
    raises TypeError, a value out of range ValueError.

    Attributes
    ----------
    learning_rate : float in [0, 1e30)
        Step size, multiplied by the factor of the schedule.
    weight_decay : float >= 0
        L2 penalty, or decoupled weight decay.
    run_learning_rate : float
        Default learning rate of `fastsnn train` with this optimizer.
    decoupled : bool
        True if the weight decay is decoupled from the gradient.
    """

    run_learning_rate: ClassVar[float]
    decoupled: ClassVar[bool] = False

    learning_rate: float
    weight_decay: float

    @property
    def _rule(self) -> str:
        """Name of the row in `kernels/updates.py`."""
        raise NotImplementedError

    def _hyper(self, learning_rate: float, step: int) -> tuple[float, ...]:
        """Return the scalars of update number `step` (from 0) in the order of the arguments of the
        row's function. They depend on nothing else, so a resumed run computes the same ones.
        """
        raise NotImplementedError

    def _shrink(self, learning_rate: float) -> float:
        """Return the factor of decoupled weight decay on a parameter, limited to float32."""
        return max(1 - learning_rate * self.weight_decay, -FLOAT32_MAX)

    @property
    def _update(self) -> int:
        """Number of the row in `kernels/updates.py`."""
        code: int = CODES[self._rule]
        return code

    @property
    def _state(self) -> Update:
        """Row of `kernels/updates.py`, with the number of arrays of state."""
        return UPDATES[CODES[self._rule]]

    @property
    def _n_state(self) -> int:
        """Number of arrays of state, each of the size of the parameters."""
        arrays: int = self._state.arrays
        return arrays

    rule, hyper, update = Renamed("_rule"), Renamed("_hyper"), Renamed("_update")
    state, n_state = Renamed("_state"), Renamed("_n_state")


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent: ``torch.optim.SGD``, without dampening. For parameter p and
    gradient g; m starts at 0::

        g = g + weight_decay p
        m = momentum m + g
        p = p - learning_rate m                    without nesterov
        p = p - learning_rate (g + momentum m)     with nesterov

    Raises TypeError or ValueError if an option has the wrong type or is out of range.

    Parameters
    ----------
    learning_rate : float in [0, 1e30)
        Step size, multiplied by the factor of the schedule.
    momentum : float in [0, 1)
        Decay rate of the momentum buffer m; 0 disables it.
    nesterov : bool
        Nesterov momentum (Sutskever et al. 2013); requires momentum > 0.
    weight_decay : float >= 0
        L2 penalty, added to the gradient.
    """

    run_learning_rate: ClassVar[float] = 0.04

    learning_rate: float
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _check(self, "momentum")
        object.__setattr__(self, "nesterov", plain(self.nesterov))
        if not isinstance(self.nesterov, bool):
            raise TypeError(f"SGD: nesterov must be True or False, got {shown(self.nesterov)}")
        if self.nesterov and not self.momentum:
            raise ValueError("SGD: nesterov needs momentum > 0, got momentum=0")

    @property
    def _rule(self) -> str:
        if not self.momentum:
            return "sgd"
        return "nesterov" if self.nesterov else "momentum"

    def _hyper(self, learning_rate: float, step: int) -> tuple[float, ...]:
        scalars = learning_rate, self.weight_decay
        return (*scalars, self.momentum) if self.momentum else scalars


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, algorithm 1): ``torch.optim.Adam``. For parameter p, gradient g and
    update number t, from 1; m and v start at 0::

        g = g + weight_decay p
        m = beta1 m + (1 - beta1) g
        v = beta2 v + (1 - beta2) g^2
        p = p - learning_rate / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)

    Raises TypeError or ValueError if an option has the wrong type or is out of range.

    Parameters
    ----------
    learning_rate : float in [0, 1e30)
        Step size, multiplied by the factor of the schedule.
    beta1, beta2 : float in [0, 1)
        Decay rates of the running means of the gradient and of its square (PyTorch's `betas`).
    eps : float >= 0
        Added to the denominator.
    weight_decay : float >= 0
        L2 penalty, added to the gradient.
    """

    run_learning_rate: ClassVar[float] = 1e-4

    learning_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _check(self, "beta1", "beta2")

    @property
    def _rule(self) -> str:
        return "adam"

    def _decays(self, learning_rate: float) -> tuple[float, float]:
        """Return (factor of L2 in the gradient, factor on the parameter)."""
        return self.weight_decay, 1.0

    def _hyper(self, learning_rate: float, step: int) -> tuple[float, ...]:
        t = step + 1
        step_size = learning_rate / (1 - self.beta1**t)
        root = (1 - self.beta2**t) ** 0.5
        rests = 1 - self.beta1, self.beta2, 1 - self.beta2
        return min(step_size, FLOAT32_MAX), *self._decays(learning_rate), *rests, root, self.eps


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019): ``torch.optim.AdamW``. For
    parameter p, gradient g and update number t, from 1; m and v start at 0::

        m = beta1 m + (1 - beta1) g
        v = beta2 v + (1 - beta2) g^2
        p = p (1 - learning_rate weight_decay)
        p = p - learning_rate / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)

    Raises TypeError or ValueError if an option has the wrong type or is out of range.

    Parameters
    ----------
    learning_rate, beta1, beta2, eps
        As for `Adam`, with the same defaults.
    weight_decay : float >= 0
        Decoupled: multiplied by the current learning rate, schedule factor included.
    """

    decoupled: ClassVar[bool] = True

    weight_decay: float = 0.01

    def _decays(self, learning_rate: float) -> tuple[float, float]:
        return 0.0, self._shrink(learning_rate)


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """RMSprop (Hinton 2012, "Neural Networks for Machine Learning", lecture 6e):
    ``torch.optim.RMSprop``, not centered. For parameter p and gradient g; v and m start at 0::

        g = g + weight_decay p
        v = alpha v + (1 - alpha) g^2
        d = g / (sqrt(v) + eps)
        p = p - learning_rate d                                  without momentum
        m = momentum m + d;   p = p - learning_rate m            with momentum

    Raises TypeError or ValueError if an option has the wrong type or is out of range.

    Parameters
    ----------
    learning_rate : float in [0, 1e30)
        Step size, multiplied by the factor of the schedule.
    alpha : float in [0, 1)
        Decay rate of the running mean of squared gradients.
    eps : float >= 0
        Added to the denominator.
    weight_decay : float >= 0
        L2 penalty, added to the gradient.
    momentum : float in [0, 1)
        Decay rate of the momentum buffer; 0 disables it.
    """

    learning_rate: float = 1e-2
    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum: float = 0.0

    run_learning_rate: ClassVar[float] = 1e-4

    def __post_init__(self) -> None:
        _check(self, "alpha", "momentum")

    @property
    def _rule(self) -> str:
        return "rmsprop_momentum" if self.momentum else "rmsprop"

    def _hyper(self, learning_rate: float, step: int) -> tuple[float, ...]:
        scalars = learning_rate, self.weight_decay, self.alpha, 1 - self.alpha, self.eps
        return (*scalars, self.momentum) if self.momentum else scalars


@dataclass(frozen=True)
class Lion(Optimizer):
    """Lion (Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms", algorithm 2), with
    decoupled weight decay; not in PyTorch. For parameter p and gradient g; m starts at 0::

        p = p (1 - learning_rate weight_decay) - learning_rate sign(beta1 m + (1 - beta1) g)
        m = beta2 m + (1 - beta2) g

    Every element moves by the whole learning rate. The paper therefore advises a learning rate 3 to
    10 times smaller than for AdamW, and a weight decay 3 to 10 times larger.

    Raises TypeError or ValueError if an option has the wrong type or is out of range.

    Parameters
    ----------
    learning_rate : float in [0, 1e30)
        Step size, multiplied by the factor of the schedule.
    beta1 : float in [0, 1)
        Weight of m in the direction of the update.
    beta2 : float in [0, 1)
        Decay rate of the running mean of gradients.
    weight_decay : float >= 0
        Decoupled: multiplied by the current learning rate, schedule factor included.
    """

    learning_rate: float = 1e-4
    beta1: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 0.0

    run_learning_rate: ClassVar[float] = 3e-5
    decoupled: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check(self, "beta1", "beta2")

    @property
    def _rule(self) -> str:
        return "lion"

    def _hyper(self, learning_rate: float, step: int) -> tuple[float, ...]:
        decay = self._shrink(learning_rate)
        return learning_rate, decay, self.beta1, 1 - self.beta1, self.beta2, 1 - self.beta2


@dataclass(frozen=True)
class NAdam(Optimizer):
    """NAdam (Dozat 2016, "Incorporating Nesterov Momentum into Adam"): ``torch.optim.NAdam``. For
    parameter p, gradient g and update number t, from 1; m and v start at 0::

        mu[t] = beta1 (1 - 0.96^(t momentum_decay) / 2)
        M[t] = mu[1] mu[2] ... mu[t]

        g = g + weight_decay p
        m = beta1 m + (1 - beta1) g
        v = beta2 v + (1 - beta2) g^2
        d = (1 - mu[t]) g / (1 - M[t]) + mu[t+1] m / (1 - M[t+1])
        p = p - learning_rate d / (sqrt(v) / sqrt(1 - beta2^t) + eps)

    Raises TypeError or ValueError if an option has the wrong type or is out of range.

    Parameters
    ----------
    learning_rate, beta1, beta2, eps, weight_decay
        As for `Adam`; the default learning rate is 0.002, as in PyTorch.
    momentum_decay : float >= 0
        Exponent in mu[t].
    """

    learning_rate: float = 2e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum_decay: float = 4e-3

    run_learning_rate: ClassVar[float] = 1e-4

    def __post_init__(self) -> None:
        _check(self, "beta1", "beta2")

    @property
    def _rule(self) -> str:
        return "nadam"

    def _mu(self, t: int) -> float:
        mu: float = self.beta1 * (1 - 0.5 * 0.96 ** (t * self.momentum_decay))
        return mu

    def _hyper(self, learning_rate: float, step: int) -> tuple[float, ...]:
        t = step + 1
        product, next_mu = _product_of_mu(self.beta1, self.momentum_decay, t), self._mu(t + 1)
        of_g = learning_rate * (1 - self._mu(t)) / (1 - product)
        of_m = learning_rate * next_mu / (1 - product * next_mu)
        root = (1 - self.beta2**t) ** 0.5
        rests = 1 - self.beta1, self.beta2, 1 - self.beta2
        largest = (min(factor, FLOAT32_MAX) for factor in (of_g, of_m))
        return *largest, self.weight_decay, *rests, root, self.eps


@functools.lru_cache(maxsize=4096)
def _product_of_mu(beta1: float, momentum_decay: float, t: int) -> float:
    """Return M[t] of `NAdam`, in a closed form with an error of a few 1e-15.

    With q = 0.96^momentum_decay it is beta1^t prod_i (1 - q^i / 2), i = 1 .. t. By the series of
    log(1 - x), the logarithm of this product is - sum_k (1/2)^k / k sum_i q^(ik). The inner sum is
    geometric: q^k (1 - q^(kt)) / (1 - q^k). Terms fall by half or faster.
    """
    power = beta1**t
    if power < 1e-17:
        return 0.0  # 1 - M[t] rounds to 1
    log_q, total = momentum_decay * log(0.96), 0.0
    for k in range(1, 54):
        sum_of_q = exp(k * log_q) * expm1(k * t * log_q) / expm1(k * log_q) if log_q else t
        total += 0.5**k / k * sum_of_q
    return power * exp(-total)


MOST_STATE = max(update.arrays for update in UPDATES)  # arrays of state of any optimizer
# By the name of an option or a configuration.
OPTIMIZERS: dict[str, type[Optimizer]] = {name.lower(): globals()[name] for name in __all__}
