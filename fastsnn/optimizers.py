"""Optimizers as frozen descriptions; the formulas are PyTorch's (kernels/scalar.py), the state is
the trainer's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fastsnn.checks.scalars import FLOAT32_MAX, integer, number, plain, shown
from fastsnn.kernels import codes as code

__all__ = ["SGD", "Adam", "AdamW"]

HIGHEST_RATE = 1e30  # far inside float32


def _check(optimizer, **ranges):
    for name, (low, high) in ranges.items():
        where = f"{type(optimizer).__name__}: {name}"
        value = number(getattr(optimizer, name), where, low, high)
        if value > FLOAT32_MAX:
            raise ValueError(f"{where} must be at most {FLOAT32_MAX:.3g}, a float32, got {value}")
        object.__setattr__(optimizer, name, value)


@dataclass(frozen=True)
class SGD:
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
    decoupled: ClassVar[bool] = False  # the weight decay

    learning_rate: float
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self):
        rate, decay = (0, HIGHEST_RATE), (0, float("inf"))
        _check(self, learning_rate=rate, momentum=(0, 1), weight_decay=decay)
        object.__setattr__(self, "nesterov", plain(self.nesterov))
        if not isinstance(self.nesterov, bool):
            raise TypeError(f"SGD: nesterov must be True or False, got {shown(self.nesterov)}")
        if self.nesterov and not self.momentum:
            raise ValueError("SGD: nesterov needs momentum > 0, got momentum=0")

    @property
    def update(self):
        """Code of the update in the kernels."""
        if not self.momentum:
            return code.SGD
        return code.NESTEROV if self.nesterov else code.MOMENTUM

    @property
    def n_state(self):
        """Arrays of state, each of the size of the parameters."""
        return 1 if self.momentum else 0

    def hyper(self, learning_rate, step):
        """The scalars of one update."""
        return learning_rate, self.weight_decay, self.momentum


@dataclass(frozen=True)
class Adam:
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
    decoupled: ClassVar[bool] = False  # the weight decay

    learning_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0

    update = code.ADAM
    n_state = 2

    def __post_init__(self):
        rate, any_size = (0, HIGHEST_RATE), (0, float("inf"))
        _check(
            self, learning_rate=rate, beta1=(0, 1), beta2=(0, 1), eps=any_size,
            weight_decay=any_size,
        )  # fmt: skip

    def _decays(self, learning_rate):
        """(L2 added to the gradient, factor on the parameter)"""
        return self.weight_decay, 1.0

    def hyper(self, learning_rate, step):
        """The scalars of the update number `step` (from 0)."""
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

    def _decays(self, learning_rate):
        return 0.0, max(1 - learning_rate * self.weight_decay, -FLOAT32_MAX)


OPTIMIZERS: dict[str, type[SGD] | type[Adam]] = {"sgd": SGD, "adam": Adam, "adamw": AdamW}


def rate_of(learning_rate: float, factor) -> float:
    """A learning rate times what a schedule has returned. Raises ValueError or TypeError for a
    factor that is no finite number >= 0.
    """
    factor = number(factor, "fit: schedule: a factor", 0)
    return min(learning_rate * factor, HIGHEST_RATE)


def successor(new: SGD | Adam, old: SGD | Adam | None) -> SGD | Adam:
    """`new`, which a trainer is to use instead of `old`: any with as many arrays of state."""
    if not isinstance(new, SGD | Adam):
        raise TypeError(
            f"Trainer: optimizer must be SGD, Adam or AdamW, got {shown(new)}; "
            "give an instance, such as fastsnn.Adam()"
        )
    if old is not None and new.n_state != old.n_state:
        raise ValueError(
            f"Trainer: optimizer must have {old.n_state} arrays of state like the one before, got "
            f"{new} with {new.n_state}; make another Trainer"
        )
    return new


def require_state(arrays: Mapping[str, np.ndarray], numbers: Mapping) -> None:
    """Check a trainer's state, except for shapes: arrays "{tensor}.state{i}" must be finite, Adam's
    mean of squares (state1) not negative, step_count an int >= 0, first_loss None or finite.

    Raises ValueError or TypeError.
    """
    for name, array in arrays.items():
        if isinstance(array, np.ma.MaskedArray):
            raise TypeError(f"trainer state: {name}: a plain array is required, got a masked one")
        array = np.asarray(array)
        if array.dtype.kind not in "fiu":
            raise TypeError(f"trainer state: {name}: float32 is required, got {array.dtype}")
        with np.errstate(over="ignore"):  # overflows become infinite
            array = array.astype(np.float32)
        if not np.isfinite(array).all():
            raise ValueError(
                f"trainer state: {name}: finite numbers are required, got NaN or infinity"
            )
        if name.endswith(".state1") and array.size and array.min() < 0:
            raise ValueError(
                f"trainer state: {name}: numbers >= 0 are required, as means of squares "
                f"are, got {array.min()}"
            )
    integer(numbers["step_count"], "trainer state: step_count", 0, 2**62)
    if numbers["first_loss"] is not None:
        number(numbers["first_loss"], "trainer state: first_loss")
