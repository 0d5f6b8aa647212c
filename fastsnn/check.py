"""Validation at the edge: where, what is required, what was given, what to do."""

import numpy as np

from fastsnn import backend


def features(x, width: int, where: str = "x") -> np.ndarray:
    """x as the kernels take it: (n, width) float32, C-contiguous, writeable flag set; finite
    numbers not checked here.
    """
    if not isinstance(x, np.ndarray):
        raise TypeError(
            f"{where}: a NumPy array is required, got {type(x).__name__}; use numpy.asarray"
        )
    if x.dtype != np.float32:
        raise TypeError(
            f"{where}: float32 is required, got {x.dtype}; use {where}.astype(numpy.float32)"
        )
    if x.ndim != 2:
        raise ValueError(f"{where}: shape (n, {width}) is required, got {x.shape}; reshape it")
    _require_size(x, width, where)
    if not (x.flags.c_contiguous and x.flags.writeable):
        x = np.require(x, requirements=("C", "W"))  # kernels have one signature
    return x


def byte_rows(x, width: int, where: str = "x"):
    """`ByteRows` of the right width: bytes are finite whatever they are."""
    _require_size(x, width, where)
    return x


def labels(y, n: int, n_classes: int, where: str = "y") -> np.ndarray:
    """Integer classes (n,) as int64; the range is checked by `batch`."""
    y = _array(y, where)
    if y.dtype.kind not in "iu":
        raise TypeError(
            f"{where}: integer classes are required, got {y.dtype}; use astype(numpy.int64)"
        )
    if y.shape != (n,):
        raise ValueError(f"{where}: shape ({n},) is required, one class a row of x, got {y.shape}")
    if y.dtype == np.int64 and y.flags.c_contiguous and y.flags.writeable:
        return y
    return np.require(y, np.int64, ("C", "W"))


def targets(y, n: int, n_outputs: int, where: str = "y", missing: bool = False) -> np.ndarray:
    """Targets (n, n_outputs) float32; with `missing`, each is 0, 1 or NaN (no label), else any
    finite number.
    """
    y = _array(y, where)
    if y.dtype != np.float32:
        raise TypeError(
            f"{where}: float32 targets are required, got {y.dtype}; use astype(numpy.float32)"
        )
    if y.ndim == 1 and n_outputs == 1:
        y = y[:, None]
    if y.shape != (n, n_outputs):
        raise ValueError(f"{where}: shape ({n}, {n_outputs}) is required, got {y.shape}")
    if missing:
        bad = ~(np.isnan(y) | ((y >= 0) & (y <= 1)))
        wanted = "labels in [0, 1], or NaN for a missing one,"
    else:
        bad, wanted = ~np.isfinite(y), "finite numbers"
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"{where}: {wanted} are required, got {y[row, column]} in row {row}, column {column}"
        )
    return np.require(y, np.float32, ("C", "W"))


def batch(x: np.ndarray, y: np.ndarray, n_classes: int) -> None:
    """x finite, and y, if these are classes, in [0, n_classes). Raises ValueError with the
    place.
    """
    found = backend.check_batch(x, y, n_classes)
    if found == backend.NOT_FINITE:
        row, column = np.argwhere(~np.isfinite(x))[0]
        raise ValueError(
            f"x: finite numbers are required, got {x[row, column]} in row {row}, column {column}; "
            "fill in or remove such rows"
        )
    if found == backend.OUT_OF_RANGE:
        row = np.argwhere((y < 0) | (y >= n_classes))[0, 0]
        raise ValueError(
            f"y: classes in [0, {n_classes}) are required, got {y[row]} in row {row}; "
            "give the last Dense as many units as there are classes, and number them from 0"
        )


def weights(values, shape: tuple[int, ...], where: str) -> np.ndarray:
    """Weights >= 0 as float32; None gives an empty array, which means 1."""
    if values is None:
        return backend.NO_NUMBERS
    values = np.require(values, np.float32, ("C", "W"))
    if values.shape != shape:
        raise ValueError(f"{where}: shape {shape} is required, got {values.shape}")
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise ValueError(
            f"{where}: finite numbers >= 0 are required, got {values.min()} as the least"
        )
    return values


def seed(value, where: str = "seed") -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{where}: an int in [0, 2**64) is required, got {value!r}")
    if not 0 <= value < 1 << 64:
        raise ValueError(f"{where}: an int in [0, 2**64) is required, got {value}")
    return int(value)


def _require_size(x, width, where):
    if x.shape[1] != width:
        raise ValueError(
            f"{where}: the network has {width} inputs, got {x.shape[1]} features; "
            "was the network made for other data?"
        )
    if not len(x):
        raise ValueError(f"{where}: at least one row is required, got shape {x.shape}")


def _array(y, where):
    if not isinstance(y, np.ndarray):
        raise TypeError(
            f"{where}: a NumPy array is required, got {type(y).__name__}; use numpy.asarray"
        )
    return y
