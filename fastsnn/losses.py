"""Losses: frozen descriptions. Pass one to `Trainer(loss=)`, or its name, such as "huber:0.5".

In the formulas, z are the network's raw outputs and y the targets. A loss is a mean over the
labelled entries: over rows for classes, over all entries of y (n, outputs) otherwise. With sample
weights w it is the weighted mean, sum_i w_i loss_i / sum_i w_i. Training computes it in the
kernels; `Loss.value` computes it in float64 for evaluation, without weights.

To add one: a class here with its value, listed in `__all__`, and a row in `kernels/losses.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import ClassVar

import numpy as np

from fastsnn.checks import inputs as check
from fastsnn.checks.scalars import FLOAT32_MAX, number, shown
from fastsnn.deprecated import Renamed
from fastsnn.kernels import losses as kernels

__all__ = ["MSE", "Huber", "Quantile", "SigmoidCrossEntropy", "SoftmaxCrossEntropy"]


SMALLEST = float(np.finfo(np.float32).tiny)
# Remedies for targets that belong to another task.
REGRESSION = 'for a regression give Trainer(loss="mse")'
MULTITASK = 'for several labels per row give Trainer(loss="sigmoid_cross_entropy")'
CLASSES = 'for classes give Trainer(loss="softmax_cross_entropy")'
COLUMNS = "give the last Dense as many units as y has columns"


@dataclass(frozen=True)
class Loss:
    """Base class of losses. A loss has at most one field, its parameter.

    Attributes
    ----------
    name : str
        Word of the command line and of stored configurations, such as "huber".
    task : {"classification", "multitask", "regression"}
        Task that the loss belongs to, see `fastsnn.metrics`.
    """

    name: ClassVar[str]
    task: ClassVar[str]

    @cached_property  # each step needs it
    def _code(self) -> int:
        """Number of the row in `kernels/losses.py`."""
        code: int = kernels.CODES[self.name]
        return code

    @cached_property
    def _parameter(self) -> float:
        """The parameter; 0.0 if the loss has none. Kernels round it to float32."""
        return float(getattr(self, fields(self)[0].name)) if fields(self) else 0.0

    code, parameter = Renamed("_code"), Renamed("_parameter")

    @property
    def spec(self) -> str:
        """Name and parameter as `Trainer(loss=)` takes them, such as "huber:0.5".

        The name alone, such as "huber", if the parameter has its default or there is none.
        """
        return self.name if self == type(self)() else f"{self.name}:{self._parameter!r}"

    @property
    def takes_classes(self) -> bool:
        """True if the targets are integer classes (n,), False if they are (n, outputs)."""
        classes: bool = kernels.LOSSES[self.name].targets == kernels.CLASSES
        return classes

    @property
    def allows_missing(self) -> bool:
        """True if a target may be NaN, which marks a missing label and is left out of the loss.

        The other targets are then in [0, 1]. False if all targets must be finite.
        """
        labels: bool = kernels.LOSSES[self.name].targets == kernels.LABELS
        return labels

    @property
    def takes_class_weight(self) -> bool:
        """True if `Trainer(class_weight=)` is supported."""
        return self.takes_classes or self.allows_missing

    def _set(self, name: str, low: float, high: float, ends: str) -> None:
        """Check the parameter and store it as a float. Raises TypeError or ValueError.

        The float32 that kernels get must be in range, too: 1e-50 rounds to 0.
        """
        where = f"{type(self).__name__}: {name}"
        value = number(getattr(self, name), where, low, high, ends)
        number(np.float32(value), f"{where}, rounded to float32,", low, high, ends)
        object.__setattr__(self, name, value)

    def value(self, z: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> float:
        """Return the mean loss, computed in float64, without class weights.

        Parameters
        ----------
        z : (n, outputs) array
            Raw outputs of the network.
        y : (n,) array of int, or (n, outputs) array
            Classes, or targets.
        sample_weight : (n,) array, optional
            Weights >= 0 of the rows, not all 0. Default: 1.

        Returns
        -------
        float
            Mean over rows (classes) or over the labelled entries (targets); 0.0 if there are none.
        """
        z, y = z.astype(np.float64), y.astype(np.float64).reshape(z.shape)
        each = self._each(z, y)
        used = ~np.isnan(y) if self.allows_missing else np.ones(y.shape, bool)
        if sample_weight is not None and used.any():
            weight = np.broadcast_to(np.reshape(sample_weight, (-1, 1)), y.shape)
            return float(np.average(each[used], weights=weight[used]))
        if self.allows_missing:
            each = each[used]
        return float(each.mean()) if each.size else 0.0

    def _each(self, z: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the loss (n, outputs) of each output, for z and y (n, outputs) float64."""
        raise NotImplementedError


@dataclass(frozen=True)
class SoftmaxCrossEntropy(Loss):
    """Cross-entropy of the softmax, for integer classes: ``torch.nn.CrossEntropyLoss``.

    For a row with raw outputs z (n_classes,), class y in {0, ..., n_classes - 1},
    s = label_smoothing and log p = log softmax(z)::

        loss = -(1 - s) log p[y] - s / n_classes sum_c log p[c]

    With class weights w, term c is multiplied by w[c], and the mean over rows divides by the sum of
    w[y] instead of n.

    Parameters
    ----------
    label_smoothing : float in [0, 1)
        Share of the target that is spread evenly over all classes.

    Raises
    ------
    TypeError, ValueError
        If the option has the wrong type or is out of range.

    Examples
    --------
    >>> import fastsnn as fs
    >>> z = np.log([[0.25, 0.75], [0.5, 0.5]])
    >>> round(fs.SoftmaxCrossEntropy().value(z, np.array([1, 0])), 4)  # (-ln 0.75 - ln 0.5) / 2
    0.4904
    """

    name: ClassVar[str] = "softmax_cross_entropy"
    task: ClassVar[str] = "classification"

    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        self._set("label_smoothing", 0, 1, "[)")

    def value(self, z: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> float:
        """Return the mean loss in float64 for raw outputs z (n, classes) and classes y (n,).

        sample_weight: weights >= 0 of the rows (n,), not all 0. Default: 1.
        """
        log_p = log_softmax(z)
        own, every = -log_p[np.arange(len(z)), y], log_p
        if sample_weight is not None:
            own, every = (np.average(a, axis=0, weights=sample_weight) for a in (own, every))
        if not self.label_smoothing:
            return float(own.mean())
        smoothing = self.label_smoothing
        return (1 - smoothing) * float(own.mean()) - smoothing * float(every.mean())


@dataclass(frozen=True)
class SigmoidCrossEntropy(Loss):
    """Binary cross-entropy of the sigmoid, for several tasks: ``torch.nn.BCEWithLogitsLoss``.

    For raw outputs z (n, outputs) and labels y (n, outputs) in [0, 1], or NaN if missing::

        loss = -y log sigmoid(z) - (1 - y) log sigmoid(-z)

    averaged over the labelled entries. With class weights w (outputs,), the first term of task j is
    multiplied by w[j] (PyTorch's `pos_weight`).
    """

    name: ClassVar[str] = "sigmoid_cross_entropy"
    task: ClassVar[str] = "multitask"

    def _each(self, z: np.ndarray, y: np.ndarray) -> np.ndarray:
        each: np.ndarray = np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))) - y * z
        return each


@dataclass(frozen=True)
class MSE(Loss):
    """Mean squared error: ``torch.nn.MSELoss``.

    For raw outputs z and targets y, both (n, outputs)::

        loss = (z - y)^2

    averaged over rows and outputs.
    """

    name: ClassVar[str] = "mse"
    task: ClassVar[str] = "regression"

    def _each(self, z: np.ndarray, y: np.ndarray) -> np.ndarray:
        squares: np.ndarray = (z - y) ** 2
        return squares


@dataclass(frozen=True)
class Huber(Loss):
    """Huber loss (Huber 1964): ``torch.nn.HuberLoss``.

    For raw outputs z and targets y, both (n, outputs), and d = abs(z - y)::

        loss = d^2 / 2                    if d <= delta
        loss = delta (d - delta / 2)      otherwise

    averaged over rows and outputs.

    Parameters
    ----------
    delta : float in [1.2e-38, 3.4e38]
        Error above which the loss is linear, in the units of `y`. `fastsnn train` standardizes
        targets, so there it is in standard deviations of the training targets.

    Raises
    ------
    TypeError, ValueError
        If the option has the wrong type or is out of range.

    Examples
    --------
    >>> import fastsnn as fs
    >>> fs.Huber(delta=1.0).value(np.array([[0.5], [3.0]]), np.zeros((2, 1)))  # (0.125 + 2.5) / 2
    1.3125
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
    """Quantile (pinball) loss (Koenker & Bassett 1978).

    For raw outputs z and targets y, both (n, outputs), and d = y - z::

        loss = max(q d, (q - 1) d)

    averaged over rows and outputs. It is smallest where z is the q-quantile of y given x. The
    gradient at d = 0 is taken to be 0.

    Parameters
    ----------
    q : float in (0, 1)
        0.5 predicts the median; the loss is then half the absolute error.

    Raises
    ------
    TypeError, ValueError
        If the option has the wrong type or is out of range.

    Examples
    --------
    >>> import fastsnn as fs
    >>> round(fs.Quantile(q=0.9).value(np.zeros((2, 1)), np.array([[1.0], [-1.0]])), 4)
    0.5
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
# For help texts: names with a parameter, as `loss_of` reads them. Targets are standardized.
PARAMETERS = (
    "A parameter follows a colon. huber:DELTA is linear instead of quadratic for errors above "
    f"DELTA standard deviations of the targets (default {Huber.delta:g}). quantile:Q predicts the "
    f"Q-quantile (default {Quantile.q:g}, the median). softmax_cross_entropy:S spreads the share S "
    "of each target evenly over all classes (label smoothing, default "
    f"{SoftmaxCrossEntropy.label_smoothing:g})."
)
# Default loss of each task.
SUGGESTED = {
    "classification": SoftmaxCrossEntropy(),
    "multitask": SigmoidCrossEntropy(),
    "regression": MSE(),
}


def suggested(task: str) -> Loss:
    """Return the default loss of a task. Raises ValueError for an unknown task."""
    if task not in SUGGESTED:
        raise ValueError(f"task: must be one of {', '.join(SUGGESTED)}; got {shown(task)}")
    return SUGGESTED[task]


def loss_of(value: object, where: str = "loss") -> Loss:
    """Return the loss for a name, or for a name and parameter: "huber", "huber:0.5". A `Loss` is
    returned unchanged.

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
    """Return (labels, targets) as kernels take them; the array that the loss does not use is empty.

    Raises TypeError or ValueError for a shape, type or range that the loss does not accept.
    """
    loss = loss_of(loss)
    if loss.takes_classes:
        return check.labels(y, n, n_outputs, "y", (REGRESSION, MULTITASK)), check.NO_TARGETS
    targets = check.targets(y, n, n_outputs, "y", loss.allows_missing, (CLASSES, COLUMNS))
    return check.NO_INTEGERS, targets


def log_softmax(z: np.ndarray) -> np.ndarray:
    """Return the log softmax of each row: z (n, outputs) float -> float64 (n, outputs)."""
    z = z.astype(np.float64)
    z -= z.max(axis=1, keepdims=True)
    log_p: np.ndarray = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return log_p


def probabilities(task: str, z: np.ndarray) -> np.ndarray:
    """Return the probabilities, float64 (n, outputs), of raw outputs z (n, outputs): the softmax
    for "classification", the sigmoid for "multitask".
    """
    if task == "classification":
        return np.asarray(np.exp(log_softmax(z)))
    return np.asarray(0.5 * (1 + np.tanh(0.5 * z.astype(np.float64))))
