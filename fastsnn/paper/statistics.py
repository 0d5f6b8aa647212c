"""Ranks over data sets and paired tests, as the paper takes them."""

from __future__ import annotations

from collections.abc import Iterable
from math import nan

import numpy as np
from numpy.typing import ArrayLike


def ranks(values: np.ndarray) -> np.ndarray:
    """Rank of each method on each data set, 1 for the highest value; equal ones share their mean.

    values (sets, methods) -> (sets, methods) float64.
    """
    values = np.asarray(values, np.float64)
    higher = (values[:, None, :] > values[:, :, None]).sum(axis=2)
    equal = (values[:, None, :] == values[:, :, None]).sum(axis=2)
    rank: np.ndarray = higher + (equal + 1) / 2
    return rank


def rank_differences(values: np.ndarray) -> np.ndarray:
    """Average rank of each method minus the mean rank (methods + 1) / 2; below 0 is better.

    The figure of table "UCI" (Klambauer et al. 2017, section "Experiments"). values (sets,
    methods), without NaN.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or not len(values) or np.isnan(values).any():
        raise ValueError(
            f"ranks: values (sets, methods) without NaN are required, got the shape {values.shape}"
        )
    difference: np.ndarray = ranks(values).mean(axis=0) - (values.shape[1] + 1) / 2
    return difference


def wilcoxon(first: ArrayLike, second: ArrayLike) -> float:
    """p of the paired Wilcoxon signed-rank test, one-sided: is `first` higher than `second`?

    One-sided, because the paper's own table of accuracies gives its p-values so, and its p-values
    of ten folds are multiples of 1 / 1024. Pairs without difference are left out; without any other
    pair p is 1. Exact up to 50 pairs without ties, else by the normal distribution with a
    correction for continuity.
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
    """Mean, and deviation of a sample (divided by n - 1; NaN for a single value)."""
    sample = np.asarray(list(values), np.float64)
    return float(sample.mean()), float(sample.std(ddof=1)) if len(sample) > 1 else nan
