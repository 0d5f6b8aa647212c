"""Ranks over data sets and paired tests, as defined in the paper."""

from __future__ import annotations

from collections.abc import Iterable
from math import nan

import numpy as np
from numpy.typing import ArrayLike


def ranks(values: np.ndarray) -> np.ndarray:
    """Return the rank of each method on each data set; 1 is the highest value, ties share the mean.

    values (sets, methods) -> (sets, methods) float64.
    """
    values = np.asarray(values, np.float64)
    higher = (values[:, None, :] > values[:, :, None]).sum(axis=2)
    equal = (values[:, None, :] == values[:, :, None]).sum(axis=2)
    rank: np.ndarray = higher + (equal + 1) / 2
    return rank


def rank_differences(values: np.ndarray) -> np.ndarray:
    """Return the average rank of each method minus the mean rank (methods + 1) / 2, (methods,).

    Negative values are better than average. Klambauer et al. 2017, section "Experiments", table
    "UCI". values (sets, methods): without NaN, else ValueError.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or not len(values) or np.isnan(values).any():
        raise ValueError(
            f"ranks: values (sets, methods) without NaN are required, got the shape {values.shape}"
        )
    difference: np.ndarray = ranks(values).mean(axis=0) - (values.shape[1] + 1) / 2
    return difference


def wilcoxon(first: ArrayLike, second: ArrayLike) -> float:
    """Return p of the one-sided paired Wilcoxon signed-rank test of `first` > `second`, in [0, 1].

    One-sided, because this reproduces the paper's p-values from its table of accuracies, and its
    p-values for ten folds are multiples of 1 / 1024. Equal pairs are dropped; p is 1 if all are
    equal. Exact up to 50 pairs without ties, otherwise by the normal approximation with continuity
    correction. Raises RuntimeError without SciPy.
    """
    try:
        from scipy import stats
    except ImportError as error:
        raise RuntimeError(
            "Wilcoxon tests need SciPy, which is not installed; pip install '.[paper]'"
        ) from error
    difference = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    difference = difference[difference != 0]
    if not len(difference):
        return 1.0
    return float(stats.wilcoxon(difference, alternative="greater", correction=True).pvalue)


def mean_and_deviation(values: Iterable[float]) -> tuple[float, float]:
    """Return mean and sample standard deviation (n - 1 in the denominator; NaN for one value)."""
    sample = np.asarray(list(values), np.float64)
    return float(sample.mean()), float(sample.std(ddof=1)) if len(sample) > 1 else nan
