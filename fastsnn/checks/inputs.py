"""Validate arrays and numbers from users. An error states place, requirement, value and remedy."""

from collections.abc import Mapping
from typing import ClassVar, Protocol, TypeVar

import numpy as np

from fastsnn.checks import arrays
from fastsnn.checks.scalars import integer, number, plain, shown

__all__ = [
    "BALANCED", "balanced", "byte_rows", "class_weight", "features", "float32", "integer", "labels",
    "number", "plain", "seed", "shown", "targets", "weights",
]  # fmt: skip

BALANCED = "balanced"
# Empty arrays stand for missing arguments of a batch, because kernels have a single signature.
NO_INTEGERS = np.zeros(0, np.int64)
NO_NUMBERS = np.zeros(0, np.float32)
NO_TARGETS = np.zeros((0, 1), np.float32)


class HasShape(Protocol):
    """`numpy.ndarray` or `ByteRows`."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...


class WeightedLoss(Protocol):
    """The attributes of `fastsnn.losses.Loss` that are used here."""

    name: ClassVar[str]

    @property
    def takes_class_weight(self) -> bool: ...


Rows = TypeVar("Rows", bound=HasShape)


def features(x: object, width: int, where: str = "x") -> np.ndarray:
    """Return x as the kernels require it: float32 (n, width), C-contiguous and writeable.

    Such an array is returned unchanged. Anything else that NumPy can read as numbers (a list,
    float64, integers, a data frame) becomes a new float32 array. NaN and infinity are not checked.
    Raises TypeError for complex numbers, objects and text, ValueError for masked entries, another
    shape, no rows, and numbers beyond the range of float32.
    """
    if type(x) is not np.ndarray or x.dtype != np.float32 or not x.dtype.isnative:
        x = float32(arrays.of_numbers(x, where), where)
    if x.ndim != 2:
        raise ValueError(
            f"{where}: shape (n, {width}) is required, got {x.shape}; {_reshape(x, width, where)}"
        )
    _require_size(x, width, where)
    if not (x.flags.c_contiguous and x.flags.writeable):
        x = np.require(x, requirements=("C", "W"))  # kernels have a single signature
    return x


def byte_rows(x: Rows, width: int, where: str = "x") -> Rows:
    """Return `ByteRows` after checking their width. Their values are always finite."""
    _require_size(x, width, where)
    return x


def labels(
    y: object,
    n: int,
    n_classes: int,
    where: str = "y",
    remedies: tuple[str, str] = ("", ""),
) -> np.ndarray:
    """Return integer class numbers from an array or a list as int64 (n,).

    Their range is checked by `fastsnn.engine.batch`. Raises ValueError for a wrong shape, TypeError
    for values that are not integers. remedies: what to do if y could be the targets of a
    regression, and of several tasks.
    """
    if type(y) is not np.ndarray:
        y = arrays.of_anything(y, where)
    if y.ndim == 2 and (y.shape == (n, 1) or y.dtype.kind in "biuf"):
        regression, multitask = remedies if y.dtype.kind in "iuf" else ("", remedies[1])
        use: tuple[str, ...] = (f"for classes use {where}.ravel()",)
        if y.shape != (n, 1):
            use = multitask, f"convert one-hot rows to class numbers with {where}.argmax(axis=1)"
        raise ValueError(
            f"{where}: shape ({n},) is required, one class per row of x, got {y.shape}; "
            f"{_joined(regression, *use)}"
        )
    if y.dtype.kind not in "iu":
        regression = remedies[0] if y.dtype.kind == "f" else ""
        raise TypeError(
            f"{where}: integer classes are required, got {_kind(y)}; "
            f"{_joined(regression, _as_classes(y, where))}"
        )
    if y.shape != (n,):
        raise ValueError(
            f"{where}: shape ({n},) is required, one class per row of x, got {y.shape}"
        )
    if y.dtype == np.int64 and y.flags.c_contiguous and y.flags.writeable:
        return y
    return np.require(y, np.int64, ("C", "W"))


def targets(
    y: object,
    n: int,
    n_outputs: int,
    where: str = "y",
    missing: bool = False,
    remedies: tuple[str, str] = ("", ""),
) -> np.ndarray:
    """Return targets from an array or list of numbers as float32 (n, n_outputs).

    With `missing`, each must be in [0, 1] or NaN (no label); otherwise, finite. Raises ValueError
    for other values and a wrong shape, TypeError for values that are not numbers. remedies: what
    to do if y could be classes, and if it has another number of columns.
    """
    if type(y) is not np.ndarray or y.dtype != np.float32 or not y.dtype.isnative:
        y = float32(arrays.of_numbers(y, where), where)
    if y.ndim == 1 and n_outputs == 1:
        y = y[:, None]
    if y.shape != (n, n_outputs):
        required, remedy = f"shape ({n}, {n_outputs}) is required, got {y.shape}", ""
        if y.shape == (n,) and (y == np.round(y)).all():
            remedy = remedies[0]
        elif y.ndim == 2 and len(y) == n:
            remedy = remedies[1]
        raise ValueError(f"{where}: {_joined(required, remedy)}")
    if missing:
        bad = ~(np.isnan(y) | ((y >= 0) & (y <= 1)))
        wanted = "labels in [0, 1], or NaN for a missing label,"
    else:
        bad, wanted = ~np.isfinite(y), "finite numbers"
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"{where}: {wanted} are required, got {y[row, column]} in row {row}, column {column}"
        )
    return np.require(y, np.float32, ("C", "W"))


def weights(values: object, shape: tuple[int, ...], where: str) -> np.ndarray:
    """Return weights >= 0 as a C-contiguous, writable float32 array of this shape.

    None gives an empty array, which stands for weights of 1. Raises ValueError for weights that are
    negative or not finite, and for a wrong shape.
    """
    if values is None:
        return NO_NUMBERS
    values = arrays.of_numbers(values, where)
    if values.shape != shape:
        raise ValueError(f"{where}: shape {shape} is required, got {values.shape}")
    if not (np.isfinite(values).all() and (values >= 0).all()):
        least, largest = values.min(), values.max()
        end = f"{largest} as the largest" if least >= 0 else f"{least} as the least"
        raise ValueError(f"{where}: finite numbers >= 0 are required, got {end}")
    return np.require(float32(values, where), np.float32, ("C", "W"))


def seed(value: object, where: str = "seed") -> int:
    """Return a seed as an int in [0, 2**64). Raises TypeError or ValueError for other values."""
    value = plain(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{where}: an int in [0, 2**64) is required, got {shown(value)}")
    if not 0 <= value < 1 << 64:
        raise ValueError(f"{where}: an int in [0, 2**64) is required, got {shown(value)}")
    return value


def class_weight(
    values: object, loss: WeightedLoss, n_outputs: int, where: str = "class_weight"
) -> np.ndarray | str:
    """Return the weights of classes or tasks as a read-only float32 array (n_outputs,).

    values: an array or list of all weights, or a dict {class number: weight}, in which missing
    classes have weight 1. None gives an empty array, which stands for 1; "balanced" is returned
    unchanged, see `balanced`. Raises ValueError or TypeError for other values, and if `loss` does
    not support class weights.
    """
    if values is not None and not loss.takes_class_weight:
        raise ValueError(
            f"Trainer: class_weight is not supported for {loss.name}; use sample_weight"
        )
    if isinstance(values, str):
        if values != BALANCED:
            raise ValueError(
                f'{where}: must be an array, a dict or "{BALANCED}", got {shown(values)}'
            )
        return values
    if isinstance(values, Mapping):
        chosen = np.ones(n_outputs, np.float64)
        for key, value in values.items():
            key = integer(key, f"{where}: a key", 0, n_outputs - 1)
            chosen[key] = number(value, f"{where}: the weight of {key}")
        values = chosen
    found = weights(values, (n_outputs,), where).copy()
    if found.size and not found.any():
        raise ValueError(f"{where}: at least one weight above 0 is required, all are 0")
    found.flags.writeable = False
    return found


def balanced(
    labels: np.ndarray, targets: np.ndarray, n_outputs: int, row_weight: np.ndarray | None = None
) -> np.ndarray:
    """Return the weights for "balanced", float32 (n_outputs,), from validated labels.

    Classes: n / (k count), where k is the number of classes that occur, as in scikit-learn. Tasks:
    number of negative / number of positive labels, so that both contribute equally; 1 for a task
    without negative or positive labels. row_weight: (n,) weights > 0; counts are then sums of them.
    """
    result = np.ones(n_outputs, np.float64)
    if len(labels):
        counts = np.bincount(labels, row_weight, n_outputs)
        result[counts > 0] = counts.sum() / ((counts > 0).sum() * counts[counts > 0])
    else:
        known: np.ndarray = ~np.isnan(targets)
        if row_weight is not None:
            known, targets = known * row_weight[:, None], targets * row_weight[:, None]
        positive = np.asarray(np.nansum(targets, axis=0, dtype=np.float64))
        negative = known.sum(axis=0) - positive
        both = (positive > 0) & (negative > 0)
        result[both] = negative[both] / positive[both]
    return result.astype(np.float32)


def float32(x: np.ndarray, where: str = "x") -> np.ndarray:
    """Return x as float32, rounded to nearest.

    Raises ValueError, with row and column, for a finite number beyond the range of float32.
    """
    with np.errstate(over="ignore"):
        y = x.astype(np.float32, copy=False)
    if y is not x and x.dtype.kind == "f" and x.dtype.itemsize > 4:
        lost = np.isinf(y)
        if lost.any() and (lost := lost & np.isfinite(x)).any():
            place = np.argwhere(lost)[0]
            raise ValueError(
                f"{where}: numbers within the range of float32 (3.4e38) are required, got "
                f"{x[tuple(place)]:.6g} in {arrays.place(place)}; standardize them in float64 "
                "first (fastsnn.data.Standardizer)"
            )
    return y


def _kind(y: np.ndarray) -> str:
    if y.dtype.kind in "US":
        return "text"
    return str(y.dtype)


def _as_classes(y: np.ndarray, where: str) -> str:
    if y.dtype.kind in "USOT":
        return f"number the classes, numpy.unique({where}, return_inverse=True)[1]"
    if y.dtype.kind == "f" and not (y == np.round(y)).all():  # also NaN
        odd = y.ravel()[np.argmax(y.ravel() != np.round(y.ravel()))]
        missing = ": fill in or remove missing labels" if np.isnan(odd) else ""
        return f"{shown(odd)} is not a class number{missing}"
    return f"for classes use {where}.astype(numpy.int64)"


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _reshape(x: np.ndarray, width: int, where: str) -> str:
    if x.ndim == 1 and x.shape == (width,) and width > 1:
        return f"for a single row give {where}[None]"
    if x.ndim == 1 and width == 1:
        return f"for a single feature give {where}[:, None]"
    return "reshape it"


def _require_size(x: HasShape, width: int, where: str) -> None:
    if x.shape[1] != width:
        raise ValueError(
            f"{where}: the network has {width} inputs, got {x.shape[1]} features; "
            "was the network made for other data?"
        )
    if not len(x):
        raise ValueError(f"{where}: at least one row is required, got shape {x.shape}")
