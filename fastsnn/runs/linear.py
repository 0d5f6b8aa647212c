"""Least-squares baseline for regression, and warnings if the network predicts worse."""

from __future__ import annotations

from math import isnan
from typing import Any

import numpy as np

from fastsnn import metrics
from fastsnn.data.dataset import Dataset
from fastsnn.engine.byterows import ByteRows
from fastsnn.runs.config import RunConfig
from fastsnn.runs.console import count

ROWS, FEATURES = 20_000, 500  # limits, so that the fit takes half a second; rows are sampled evenly
FEWEST = 5  # minimum number of validation rows for the choice of an epoch
MARGIN = 0.02  # r2; smaller differences are noise, even on linear data


def advice(config: RunConfig, dataset: Dataset, figures: dict[str, Any]) -> str | None:
    """Return a warning if the validation r2 is below that of a linear fit or of the mean.

    The warning names the options to try. None if there is nothing to report, or if another metric
    selects the best epoch. figures: metrics of the best epoch.
    """
    r2: float = figures.get("validation_r2", float("nan"))
    assert config.layers is not None  # the options are settled
    selects = config.metric or metrics.main_of(config.made_loss(dataset.task))
    if isnan(r2) or selects not in ("rmse", "r2"):
        return _too_few(dataset)
    fit = validation_r2(dataset)
    if fit is not None and r2 < fit - MARGIN:
        than = f"below that of a linear fit, {fit:.3f}"
    elif r2 < 0:
        than = "below 0, that of the mean of the targets"
    else:
        return _too_few(dataset)
    tries = [
        *(["fewer --layers"] if config.layers > 2 else []),
        *(["--dropout 0"] if config.dropout else []),
        "another --learning-rate",
        "more --epochs",
    ]
    return (
        f"warning: the best validation r2, {r2:.3f}, is {than}; try {', '.join(tries)}, or search "
        "these options with fastsnn search"
    )


def _too_few(dataset: Dataset) -> str | None:
    held = dataset.validation
    if dataset.task != "regression" or held is None or len(held) >= FEWEST:
        return None
    return (
        f"warning: the best epoch was selected on {count(len(held), 'validation row')}, too few to "
        "be reliable; try a larger --validation, or --validation 0 to keep the last epoch"
    )


def validation_r2(dataset: Dataset) -> float | None:
    """Return the r2 on the validation rows of a least-squares fit to the training rows.

    Return None if there are no validation rows or more than FEATURES features.
    """
    if dataset.validation is None or dataset.n_features > FEATURES:
        return None
    n = len(dataset.train)
    rows = np.unique(np.linspace(0, n - 1, min(n, ROWS)).round().astype(np.int64))
    x, y = _terms(dataset.train.x, rows), dataset.train.y[rows].astype(np.float64)
    # Normal equations take a tenth of the time of a decomposition of x, with sufficient accuracy.
    # lstsq instead of solve, because columns may be linearly dependent.
    w = np.linalg.lstsq(x.T @ x, x.T @ y, rcond=None)[0]
    held = dataset.validation
    scale = None if dataset.targets is None else dataset.targets.scale
    z = _terms(held.x, np.arange(len(held))) @ w
    units = None
    if dataset.targets is not None and dataset.targets.log and held.raw_y is not None:
        units = dataset.targets.inverse_transform(z), held.raw_y
    r2 = metrics.evaluate("regression", z, held.y, scale if units is None else None, units)["r2"]
    return None if isnan(r2) else r2


def _terms(x: np.ndarray | ByteRows, rows: np.ndarray) -> np.ndarray:
    """Return the features and a column of ones, (len(rows), features + 1) float64."""
    x = x.take(rows) if isinstance(x, ByteRows) else x[rows]
    return np.column_stack([x, np.ones(len(rows))])
