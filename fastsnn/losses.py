"""Losses as frozen descriptions: values for evaluation in float64, targets, and the tasks that they
fit. Training computes them in the kernels (kernels/losses.py).

To add one: a class here with its value, listed in `__all__`, and a row in `kernels/losses.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import ClassVar

import numpy as np

from fastsnn.checks import inputs as check
from fastsnn.checks.scalars import FLOAT32_MAX, number, shown
from fastsnn.kernels import losses as kernels

__all__ = ["MSE", "Huber", "Quantile", "SigmoidCrossEntropy", "SoftmaxCrossEntropy"]


SMALLEST = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Loss:
    """A loss; its only field, if it has one, is the parameter that kernels get, as a float32."""

    name: ClassVar[str]  # in the table of kernels/losses.py
    task: ClassVar[str]  # whose figures it is reported with, see metrics.py

    @cached_property  # each step needs it
    def code(self) -> int:
        """Number of the loss in the kernels."""
        code: int = kernels.CODES[self.name]
        return code

    @cached_property
    def parameter(self) -> float:
        """The parameter that kernels get; 0 if the loss has none."""
        return float(getattr(self, fields(self)[0].name)) if fields(self) else 0.0

    @property
    def spec(self) -> str:
        """The text that `loss_of` reads: "huber", "huber:0.5"."""
        return self.name if self == type(self)() else f"{self.name}:{self.parameter!r}"

    @property
    def takes_classes(self) -> bool:
        """True for integer classes (n,), False for targets (n, outputs)."""
        classes: bool = kernels.LOSSES[self.name].targets == kernels.CLASSES
        return classes

    @property
    def allows_missing(self) -> bool:
        """True for labels in [0, 1] or NaN, False for any finite targets."""
        labels: bool = kernels.LOSSES[self.name].targets == kernels.LABELS
        return labels

    @property
    def takes_class_weight(self) -> bool:
        return self.takes_classes or self.allows_missing

    def _set(self, name: str, low: float, high: float, ends: str) -> None:
        """Check the parameter and store it as a float. Raises TypeError or ValueError.

        The float32 that kernels get must be in range, too: 1e-50 rounds to 0.
        """
        where = f"{type(self).__name__}: {name}"
        value = number(getattr(self, name), where, low, high, ends)
        number(np.float32(value), f"{where}, rounded to float32,", low, high, ends)
        object.__setattr__(self, name, value)

    def value(self, z: np.ndarray, y: np.ndarray) -> float:
        """Mean loss in float64 of raw outputs z (n, outputs), without weights: over rows for
        integer classes y (n,), over the labelled entries for targets y (n, outputs).
        """
        z, y = z.astype(np.float64), y.astype(np.float64).reshape(z.shape)
        each = self._each(z, y)
        if self.allows_missing:
            each = each[~np.isnan(y)]
        return float(each.mean()) if each.size else 0.0

    def _each(self, z: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The loss of each of the outputs z with targets y, both (n, outputs) float64."""
        raise NotImplementedError


@dataclass(frozen=True)
class SoftmaxCrossEntropy(Loss):
    """-log softmax(z)[y] for integer classes y (n,): PyTorch's CrossEntropyLoss.

    Parameters
    ----------
    label_smoothing : float in [0, 1)
        This share of the target is spread over all classes, the rest is the label's. With class
        weights w the loss of class c counts w[c], and the mean divides by the sum of w[y].
    """

    name: ClassVar[str] = "softmax_cross_entropy"
    task: ClassVar[str] = "classification"

    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        self._set("label_smoothing", 0, 1, "[)")

    def value(self, z: np.ndarray, y: np.ndarray) -> float:
        log_p = log_softmax(z)
        own = float(-log_p[np.arange(len(z)), y].mean())
        if not self.label_smoothing:
            return own
        return (1 - self.label_smoothing) * own - self.label_smoothing * float(log_p.mean())


@dataclass(frozen=True)
class SigmoidCrossEntropy(Loss):
    """-y log sigmoid(z) - (1 - y) log sigmoid(-z) for labels y (n, outputs) in [0, 1], NaN where
    one is missing: PyTorch's BCEWithLogitsLoss.
    """

    name: ClassVar[str] = "sigmoid_cross_entropy"
    task: ClassVar[str] = "multitask"

    def _each(self, z: np.ndarray, y: np.ndarray) -> np.ndarray:
        each: np.ndarray = np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))) - y * z
        return each


@dataclass(frozen=True)
class MSE(Loss):
    """(z - y)^2 for targets y (n, outputs), averaged over rows and outputs: PyTorch's MSELoss."""

    name: ClassVar[str] = "mse"
    task: ClassVar[str] = "regression"

    def _each(self, z: np.ndarray, y: np.ndarray) -> np.ndarray:
        squares: np.ndarray = (z - y) ** 2
        return squares


@dataclass(frozen=True)
class Huber(Loss):
    """d^2 / 2 for d = |z - y| <= delta, else delta (d - delta / 2), for targets y (n, outputs),
    averaged over rows and outputs: PyTorch's HuberLoss.

    Parameters
    ----------
    delta : float > 0
        The error from which on the loss grows linearly, in units of the standardized targets.
    """

    name: ClassVar[str] = "huber"
    task: ClassVar[str] = "regression"

    delta: float = 1.0

    def __post_init__(self) -> None:
        self._set("delta", SMALLEST, FLOAT32_MAX, "[]")

    def _each(self, z: np.ndarray, y: np.ndarray) -> np.ndarray:
        inner = np.minimum(np.abs(z - y), self.delta)
        each: np.ndarray = inner * (np.abs(z - y) - inner / 2)
        return each


@dataclass(frozen=True)
class Quantile(Loss):
    """max(q d, (q - 1) d) with d = y - z for targets y (n, outputs), averaged over rows and
    outputs: its minimum is the q-quantile of y, given x (pinball loss; Koenker and Bassett 1978).
    The gradient at d = 0 is 0, a subgradient.

    Parameters
    ----------
    q : float in (0, 1)
        0.5 is half the absolute error, whose minimum is the median.
    """

    name: ClassVar[str] = "quantile"
    task: ClassVar[str] = "regression"

    q: float = 0.5

    def __post_init__(self) -> None:
        self._set("q", 0, 1, "()")

    def _each(self, z: np.ndarray, y: np.ndarray) -> np.ndarray:
        each: np.ndarray = np.maximum(self.q * (y - z), (self.q - 1) * (y - z))
        return each


_CLASSES: dict[str, type[Loss]] = {globals()[name].name: globals()[name] for name in __all__}
# By the name of an option or a configuration, in the order of the kernels.
LOSSES = {name: _CLASSES[name] for name in kernels.LOSSES if name in _CLASSES}
# Names with a parameter, as `loss_of` reads them.
EXAMPLES = "huber:0.5, quantile:0.9 or softmax_cross_entropy:0.1 (label smoothing)"
# The loss that each task suggests.
SUGGESTED = {
    "classification": SoftmaxCrossEntropy(),
    "multitask": SigmoidCrossEntropy(),
    "regression": MSE(),
}


def suggested(task: str) -> Loss:
    """The loss that a task suggests. Raises ValueError for an unknown task."""
    if task not in SUGGESTED:
        raise ValueError(f"task: must be one of {', '.join(SUGGESTED)}; got {shown(task)}")
    return SUGGESTED[task]


def loss_of(value: object, where: str = "loss") -> Loss:
    """A loss from itself, its name, or its name and parameter: "huber", "huber:0.5".

    Raises ValueError for an unknown name or class and for a parameter out of range.
    """
    if isinstance(value, Loss) and getattr(value, "name", None) in LOSSES:
        return value
    name, colon, parameter = value.partition(":") if isinstance(value, str) else (None, "", "")
    if name not in LOSSES:
        hint = "; give an instance, such as fastsnn.Huber()" if isinstance(value, type) else ""
        raise ValueError(f"{where} must be one of {', '.join(LOSSES)}; got {shown(value)}{hint}")
    kind = LOSSES[name]
    if not colon:
        return kind()
    if not fields(kind):
        raise ValueError(f"{where}: {name} has no parameter, got {shown(value)}; write {name}")
    field = fields(kind)[0].name
    try:
        number = float(parameter)
    except ValueError:
        raise ValueError(
            f"{where}: {name}:{field.upper()} with a number is required, got {shown(value)}"
        ) from None
    return kind(**{field: number})


def check_targets(
    loss: str | Loss, y: object, n: int, n_outputs: int
) -> tuple[np.ndarray, np.ndarray]:
    """(labels, targets) as kernels take them: the one that the loss does not use is empty."""
    loss = loss_of(loss)
    if loss.takes_classes:
        return check.labels(y, n, n_outputs), check.NO_TARGETS
    return check.NO_INTEGERS, check.targets(y, n, n_outputs, missing=loss.allows_missing)


def log_softmax(z: np.ndarray) -> np.ndarray:
    """log softmax of each row of z (n, outputs), in float64."""
    z = z.astype(np.float64)
    z -= z.max(axis=1, keepdims=True)
    log_p: np.ndarray = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return log_p
