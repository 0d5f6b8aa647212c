"""Preprocessing of the features of Tox21, as the authors of the paper do it.

Sparse features (counts of substructures) stay where at least 5 % of the rows have them, dense ones
(descriptors) where their variance is above 1e-6; dense ones with a range above 10 are replaced by
the logarithm (base 10) of their distance to the smallest value plus 1e-8. Then all: minus the
median, divided by the distance of the quartiles; tanh; mean 0 and variance 1. All of these figures
are measured on the training rows. (The authors' own code takes the smallest values over test rows
too, and chooses features on the validation rows too.)
"""

from __future__ import annotations

import numpy as np

LEAST_SHARE, LEAST_VARIANCE, LARGEST_RANGE, SMALLEST = 0.05, 1e-6, 10.0, 1e-8
COLUMNS = 64  # processed together, which bounds the memory of the float64 copies


def prepare(x: np.ndarray, rows: np.ndarray, n_dense: int) -> np.ndarray:
    """x (n, features), the first n_dense of them dense -> (n, kept features) float32.

    rows: the training rows. NaN in a dense feature becomes the median of the training rows.
    """
    kept = []
    for first in range(0, x.shape[1], COLUMNS):
        for columns in _kinds(first, min(first + COLUMNS, x.shape[1]), n_dense):
            c = x[:, columns].astype(np.float64)
            dense = columns.start < n_dense
            c = _dense(c, rows) if dense else _sparse(c, rows)
            kept.append(_scaled(c, rows).astype(np.float32))
    return np.concatenate(kept, axis=1)


def _kinds(first: int, end: int, n_dense: int) -> list[slice]:
    """The columns first..end-1 as slices of one kind each."""
    middle = min(max(first, n_dense), end)
    return [slice(a, b) for a, b in ((first, middle), (middle, end)) if a < b]


def _sparse(c: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return c[:, (c[rows] > 0).mean(axis=0) >= LEAST_SHARE]


def _dense(c: np.ndarray, rows: np.ndarray) -> np.ndarray:
    c = c[:, np.isfinite(c[rows]).any(axis=0)]
    c = np.where(np.isfinite(c), c, np.nanmedian(c[rows], axis=0))
    c = c[:, c[rows].var(axis=0) > LEAST_VARIANCE]
    wide = np.ptp(c[rows], axis=0) > LARGEST_RANGE
    if wide.any():
        above = c[:, wide] - c[rows][:, wide].min(axis=0)
        c[:, wide] = np.log10(np.maximum(above, 0) + SMALLEST)
    return c


def _scaled(c: np.ndarray, rows: np.ndarray) -> np.ndarray:
    if not c.shape[1]:
        return c
    low, median, high = np.percentile(c[rows], (25, 50, 75), axis=0)
    c = np.tanh((c - median) / _or_one(high - low))
    scaled: np.ndarray = (c - c[rows].mean(axis=0)) / _or_one(c[rows].std(axis=0))
    return scaled


def _or_one(scale: np.ndarray) -> np.ndarray:
    return np.where(scale > 10 * np.finfo(np.float64).eps, scale, 1.0)
