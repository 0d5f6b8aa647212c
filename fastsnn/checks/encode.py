"""Convert labels and targets for `Model.evaluate`: class names or numbers, targets in raw units."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

import numpy as np

from fastsnn.checks import arrays
from fastsnn.checks import inputs as check
from fastsnn.checks.scalars import listed, shown


def classes(y: object, n: int, n_classes: int, names: Sequence[str] | None) -> np.ndarray:
    """Return class numbers, int64 (n,) in [0, n_classes), from class numbers or class names.

    Raises ValueError for unknown classes and a wrong shape, TypeError for a wrong dtype.
    """
    y = _integers(arrays.of_anything(y, "y"))
    if names is not None and y.dtype.kind in "OUSTb":
        return _by_name(y, n, names)
    labels = check.labels(y, n, n_classes)
    if names is not None and (found := _as_names(labels, n_classes, names)) is not None:
        return found
    bad = (labels < 0) | (labels >= n_classes)
    if bad.any():
        row = int(np.argmax(bad))
        known = "" if names is None else f", or their names ({listed(names)}) as text,"
        raise ValueError(
            f"y: class numbers in [0, {n_classes}){known} are required, got {y[row]} in row {row}"
        )
    return labels


def targets(
    y: object, n: int, n_targets: int, names: Sequence[str] | None, missing: bool
) -> np.ndarray:
    """Return targets, (n, n_targets).

    With `missing` they are float32 labels in [0, 1] or NaN, otherwise finite float64 numbers. A
    data frame's columns are selected by `names`. Raises ValueError or TypeError for other values.
    """
    if hasattr(y, "columns") and not isinstance(y, np.ndarray):
        y = arrays.table(y, n_targets, names, "y")
    if missing:
        return check.targets(y, n, n_targets, missing=True)
    y = arrays.of_numbers(y, "y").astype(np.float64, copy=False)
    if y.ndim == 1 and n_targets == 1:
        y = y[:, None]
    if y.shape != (n, n_targets):
        raise ValueError(f"y: shape ({n}, {n_targets}) is required, got {y.shape}")
    if not np.isfinite(y).all():
        row, column = np.argwhere(~np.isfinite(y))[0]
        raise ValueError(
            f"y: finite numbers are required, got {y[row, column]} in "
            f"{arrays.place((row, column), names)}"
        )
    return y


def _integers(y: np.ndarray) -> np.ndarray:
    """Return an object array of integers as int64, so that they are not treated as names."""
    if y.dtype != object or not y.size:
        return y
    if not all(isinstance(v, Integral) and not isinstance(v, bool | np.bool) for v in y.flat):
        return y
    try:
        return y.astype(np.int64)
    except OverflowError:  # too large for a class number, but possibly a name
        return y


def _by_name(y: np.ndarray, n: int, names: Sequence[str]) -> np.ndarray:
    y = y.ravel() if y.shape == (n, 1) else y
    if y.shape != (n,):
        raise ValueError(f"y: shape ({n},) is required, one class per row of x, got {y.shape}")
    number = {name: i for i, name in enumerate(names)}
    if y.dtype.kind == "S":
        y = np.char.decode(y, "utf-8", "replace")
    labels = np.array([number.get(str(label), -1) for label in y], np.int64)
    if (labels < 0).any():
        row = int(np.argmax(labels < 0))
        raise ValueError(
            f"y: the class names of the model are required ({listed(names)}), got "
            f"{shown(y[row])} in row {row}"
        )
    return labels


def _as_names(labels: np.ndarray, n_classes: int, names: Sequence[str]) -> np.ndarray | None:
    """Return the class numbers of integers that are class names; None if they are class numbers.

    Classes with the names "3", "5", "7" have the numbers 0, 1, 2. Raises ValueError for integers
    that could be either and denote different classes.
    """
    number = {name: i for i, name in enumerate(names)}
    values, place = np.unique(labels, return_inverse=True)
    named = np.array([number.get(str(value), -1) for value in values.tolist()])
    if (named < 0).any() or np.array_equal(named, values):
        return None
    if ((values >= 0) & (values < n_classes)).all():
        raise ValueError(
            f"y: integers could be the names or the numbers of the classes {listed(names)}; "
            "give the names as text, y.astype(str), or numpy.array(model.class_names)[y]"
        )
    return named[place]
