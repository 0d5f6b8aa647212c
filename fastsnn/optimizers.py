"""Optimizers as frozen descriptions. Each names a row of `kernels/updates.py`, which has the
formula of one element, and computes the scalars of an update; the state is the trainer's.

To add one: a row there if no formula fits, a class here, and its name in `__all__`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from math import exp, expm1, log
from typing import ClassVar

from fastsnn.checks.scalars import FLOAT32_MAX, number, plain, shown
from fastsnn.kernels.updates import CODES, UPDATES, Update

__all__ = ["SGD", "Adam", "AdamW", "RMSprop", "Lion", "NAdam"]

HIGHEST_RATE = 1e30  # far inside float32


def _check(optimizer: Optimizer, **ranges: tuple[float, float]) -> None:
    """Check that options are numbers in [low, high), and store them as floats."""
    for name, (low, high) in ranges.items():
        where = f"{type(optimizer).__name__}: {name}"
        value = number(getattr(optimizer, name), where, low, high)
        if value > FLOAT32_MAX:
            raise ValueError(f"{where} must be at most {FLOAT32_MAX:.3g}, a float32, got {value}")
        object.__setattr__(optimizer, name, value)


class Optimizer:
    """The base class of optimizers. Each is a frozen dataclass with the fields learning_rate and
    weight_decay.
    """

    run_learning_rate: ClassVar[float]  # default of a run of `fastsnn train`
    decoupled: ClassVar[bool] = False  # the weight decay

    learning_rate: float
    weight_decay: float

    @property
    def rule(self) -> str:
        """Name of the update in `kernels/updates.py`."""
        raise NotImplementedError

    def hyper(self, learning_rate: float, step: int) -> tuple[float, ...]:
        """The scalars of update number `step` (from 0), in the order of its function's arguments.
        They depend on nothing else, so that a resumed training has the same.
        """
        raise NotImplementedError

    def _shrink(self, learning_rate: float) -> float:
        """The factor of a parameter by decoupled weight decay, in float32."""
        return max(1 - learning_rate * self.weight_decay, -FLOAT32_MAX)

    @property
    def update(self) -> int:
        """Code of the update in the kernels."""
        code: int = CODES[self.rule]
        return code

    @property
    def state(self) -> Update:
        """The update's row, which counts the arrays of state."""
        return UPDATES[CODES[self.rule]]

    @property
    def n_state(self) -> int:
        """Arrays of state, each of the size of the parameters."""
        arrays: int = self.state.arrays
        return arrays


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent.

        g = g + weight_decay p;   m = momentum m + g;   p = p - learning_rate (g + momentum m if
        nesterov else m)

    Parameters
    ----------
    learning_rate : float >= 0
    momentum : float in [0, 1)
    nesterov : bool
        Needs momentum > 0.
    weight_decay : float >= 0
        L2, on weights and biases, as in PyTorch.
    """

    run_learning_rate: ClassVar[float] = 0.04  # of `fastsnn train`

    learning_rate: float
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        rate, decay = (0, HIGHEST_RATE), (0, float("inf"))
        _check(self, learning_rate=rate, momentum=(0, 1), weight_decay=decay)
        object.__setattr__(self, "nesterov", plain(self.nesterov))
        if not isinstance(self.nesterov, bool):
            raise TypeError(f"SGD: nesterov must be True or False, got {shown(self.nesterov)}")
        if self.nesterov and not self.momentum:
            raise ValueError("SGD: nesterov needs momentum > 0, got momentum=0")

    @property
    def rule(self) -> str:
        if not self.momentum:
            return "sgd"
        return "nesterov" if self.nesterov else "momentum"

    def hyper(self, learning_rate: float, step: int) -> tuple[float, ...]:
        scalars = learning_rate, self.weight_decay
        return (*scalars, self.momentum) if self.momentum else scalars


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (Kingma and Ba 2015). t counts updates from 1:

        g = g + weight_decay p;   m = beta1 m + (1 - beta1) g;   v = beta2 v + (1 - beta2) g^2
        p = p - learning_rate / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)

    Parameters
    ----------
    learning_rate, weight_decay : float >= 0
    beta1, beta2 : float in [0, 1)
    eps : float >= 0
    """

    run_learning_rate: ClassVar[float] = 1e-4  # of `fastsnn train`

    learning_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        rate, any_size = (0, HIGHEST_RATE), (0, float("inf"))
        _check(
            self, learning_rate=rate, beta1=(0, 1), beta2=(0, 1), eps=any_size,
            weight_decay=any_size,
        )  # fmt: skip

    @property
    def rule(self) -> str:
        return "adam"

    def _decays(self, learning_rate: float) -> tuple[float, float]:
        """(L2 added to the gradient, factor on the parameter)"""
        return self.weight_decay, 1.0

    def hyper(self, learning_rate: float, step: int) -> tuple[float, ...]:
        t = step + 1
        step_size = learning_rate / (1 - self.beta1**t)
        root = (1 - self.beta2**t) ** 0.5
        rests = 1 - self.beta1, self.beta2, 1 - self.beta2
        return min(step_size, FLOAT32_MAX), *self._decays(learning_rate), *rests, root, self.eps


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019): p = p (1 - learning_rate
    weight_decay) first.
    """

    decoupled: ClassVar[bool] = True

    weight_decay: float = 0.01

    def _decays(self, learning_rate: float) -> tuple[float, float]:
        return 0.0, self._shrink(learning_rate)


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """RMSprop (Hinton 2012, "Neural Networks for Machine Learning", lecture 6e), as in PyTorch, not
    centered:

        g = g + weight_decay p;   v = alpha v + (1 - alpha) g^2;   d = g / (sqrt(v) + eps)
        without momentum: p = p - learning_rate d
        else: m = momentum m + d;   p = p - learning_rate m

    Parameters
    ----------
    learning_rate, weight_decay : float >= 0
    alpha, momentum : float in [0, 1)
    eps : float >= 0
    """

    learning_rate: float = 1e-2
    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum: float = 0.0

    run_learning_rate: ClassVar[float] = 1e-4

    def __post_init__(self) -> None:
        rate, any_size = (0, HIGHEST_RATE), (0, float("inf"))
        _check(
            self, learning_rate=rate, alpha=(0, 1), eps=any_size, weight_decay=any_size,
            momentum=(0, 1),
        )  # fmt: skip

    @property
    def rule(self) -> str:
        return "rmsprop_momentum" if self.momentum else "rmsprop"

    def hyper(self, learning_rate: float, step: int) -> tuple[float, ...]:
        scalars = learning_rate, self.weight_decay, self.alpha, 1 - self.alpha, self.eps
        return (*scalars, self.momentum) if self.momentum else scalars


@dataclass(frozen=True)
class Lion(Optimizer):
    """Lion (Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms", algorithm 2), whose
    weight decay is decoupled:

        p = p (1 - learning_rate weight_decay) - learning_rate sign(beta1 m + (1 - beta1) g)
        m = beta2 m + (1 - beta2) g

    Every element moves by the whole learning rate, so the paper advises 3 to 10 times less than for
    AdamW, and as many times more weight decay.

    Parameters
    ----------
    learning_rate, weight_decay : float >= 0
    beta1, beta2 : float in [0, 1)
    """

    learning_rate: float = 1e-4
    beta1: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 0.0

    run_learning_rate: ClassVar[float] = 3e-5
    decoupled: ClassVar[bool] = True

    def __post_init__(self) -> None:
        rate, decay = (0, HIGHEST_RATE), (0, float("inf"))
        _check(self, learning_rate=rate, beta1=(0, 1), beta2=(0, 1), weight_decay=decay)

    @property
    def rule(self) -> str:
        return "lion"

    def hyper(self, learning_rate: float, step: int) -> tuple[float, ...]:
        decay = self._shrink(learning_rate)
        return learning_rate, decay, self.beta1, 1 - self.beta1, self.beta2, 1 - self.beta2


@dataclass(frozen=True)
class NAdam(Optimizer):
    """NAdam (Dozat 2016, "Incorporating Nesterov Momentum into Adam"), as in PyTorch with L2 weight
    decay. t counts updates from 1, mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2), M_t = mu_1 mu_2
    ... mu_t:

        g = g + weight_decay p;   m = beta1 m + (1 - beta1) g;   v = beta2 v + (1 - beta2) g^2
        p = p - learning_rate ((1 - mu_t) g / (1 - M_t) + mu_t+1 m / (1 - M_t+1))
            / (sqrt(v) / sqrt(1 - beta2^t) + eps)

    Parameters
    ----------
    learning_rate, weight_decay, momentum_decay : float >= 0
    beta1, beta2 : float in [0, 1)
    eps : float >= 0
    """

    learning_rate: float = 2e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum_decay: float = 4e-3

    run_learning_rate: ClassVar[float] = 1e-4

    def __post_init__(self) -> None:
        rate, any_size = (0, HIGHEST_RATE), (0, float("inf"))
        _check(
            self, learning_rate=rate, beta1=(0, 1), beta2=(0, 1), eps=any_size,
            weight_decay=any_size, momentum_decay=any_size,
        )  # fmt: skip

    @property
    def rule(self) -> str:
        return "nadam"

    def _mu(self, t: int) -> float:
        mu: float = self.beta1 * (1 - 0.5 * 0.96 ** (t * self.momentum_decay))
        return mu

    def hyper(self, learning_rate: float, step: int) -> tuple[float, ...]:
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
    """mu_1 mu_2 ... mu_t of `NAdam`, a function of t alone, within some 1e-15.

    With q = 0.96^momentum_decay it is beta1^t prod_i (1 - q^i / 2). The logarithm of the last
    product is - sum_k (1/2)^k / k sum_i q^(ik), by the series of log(1 - x), and the inner sum
    over i = 1 .. t is geometric: q^k (1 - q^(kt)) / (1 - q^k). Terms fall by half or faster.
    """
    power = beta1**t
    if power < 1e-17:
        return 0.0  # lost beside the 1 that it is subtracted from
    log_q, total = momentum_decay * log(0.96), 0.0
    for k in range(1, 54):
        sum_of_q = exp(k * log_q) * expm1(k * t * log_q) / expm1(k * log_q) if log_q else t
        total += 0.5**k / k * sum_of_q
    return power * exp(-total)


MOST_STATE = max(update.arrays for update in UPDATES)  # arrays of state of any optimizer
# By the name of an option or a configuration.
OPTIMIZERS: dict[str, type[Optimizer]] = {name.lower(): globals()[name] for name in __all__}


def rate_of(learning_rate: float, factor: object) -> float:
    """A learning rate times what a schedule has returned. Raises ValueError or TypeError for a
    factor that is not a finite number >= 0.
    """
    factor = number(factor, "fit: schedule: a factor", 0)
    return min(learning_rate * factor, HIGHEST_RATE)


def successor(new: Optimizer, old: Optimizer | None) -> Optimizer:
    """Return `new` if a trainer can use it instead of `old`: it has the same arrays of state.
    Raises TypeError or ValueError otherwise.
    """
    if not isinstance(new, Optimizer) or type(new).rule is Optimizer.rule:
        *names, last = __all__
        raise TypeError(
            f"Trainer: optimizer must be {', '.join(names)} or {last}, got {shown(new)}; "
            "give an instance, such as fastsnn.Adam()"
        )
    if old is not None and new.n_state != old.n_state:
        raise ValueError(
            f"Trainer: optimizer must have {old.n_state} arrays of state like the one before, got "
            f"{new} with {new.n_state}; make another Trainer"
        )
    if old is not None and new.state.squares != old.state.squares:
        raise ValueError(
            f"Trainer: optimizer must have {old.state.squares} means of squares in its state like "
            f"the one before, got {new} with {new.state.squares}; make another Trainer"
        )
    return new


def squares_of(n_state: int, optimizer: Optimizer | None) -> set[int]:
    """Numbers of the arrays of state that are means of squares: of an optimizer, else of all
    optimizers with `n_state` arrays.
    """
    if optimizer is not None:
        return {*range(optimizer.state.signed, n_state)}
    of_each = [{*range(row.signed, row.arrays)} for row in UPDATES if row.arrays == n_state]
    return set.intersection(*of_each) if of_each else set()
