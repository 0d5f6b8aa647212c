"""Preprocessing of the Tox21 features as in the code of the paper's authors.

1. Sparse features (substructure counts) are kept if at least 5 % of the rows have them, dense
   features (descriptors) if their variance is above 1e-6.
2. Dense features with a range above 10 become log10(x - min + 1e-8).
3. All features: subtract the median, divide by the interquartile range, apply tanh, standardize to
   mean 0 and variance 1.

All statistics are computed from the training rows. Deviation: the authors' code also uses test rows
for the minimum, and validation rows for the selection of features.
"""

from __future__ import annotations

import numpy as np

LEAST_SHARE, LEAST_VARIANCE, LARGEST_RANGE, SMALLEST = 0.05, 1e-6, 10.0, 1e-8
COLUMNS = 64  # columns processed per pass, to bound the memory of the float64 copies


def prepare(x: np.ndarray, rows: np.ndarray, n_dense: int) -> np.ndarray:
    """Return the preprocessed features, float32 (n, kept features).

    x: (n, features), of which the first n_dense are dense. rows: the training rows. NaN in a dense
    feature is replaced with the median of the training rows.
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
    """Return the columns first to end - 1 as slices that are all dense or all sparse."""
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
