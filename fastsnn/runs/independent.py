"""Number of independent features of a data set; a small number bounds the learning rate of sgd."""

from __future__ import annotations

import numpy as np

from fastsnn.data.dataset import Dataset
from fastsnn.engine.byterows import ByteRows
from fastsnn.runs.config import RunConfig

ROWS = 1000  # at most, an even sample


def settled(config: RunConfig, dataset: Dataset) -> RunConfig:
    """`RunConfig.settled` by the rows, the task and, for regression, the features of a data set."""
    few = None
    if dataset.task == "regression" and config.learning_rate is None:
        few = independent_features(dataset.train.x)
    return config.settled(len(dataset.train), dataset.task, few)


def independent_features(x: np.ndarray | ByteRows) -> float:
    """Participation ratio of the eigenvalues v of x.T x: sum(v)**2 / sum(v**2), in [1, features].

    Equal for all features that are standardized and uncorrelated, 1 for copies of one feature.
    Rounded to two digits: BLAS may sum in another order elsewhere, and results keep their bits.
    x: (n, features), standardized.
    """
    rows = np.unique(np.linspace(0, len(x) - 1, min(len(x), ROWS)).round().astype(np.int64))
    x = (x.take(rows) if isinstance(x, ByteRows) else x[rows]).astype(np.float64)
    gram = x.T @ x if x.shape[1] <= len(x) else x @ x.T  # the same eigenvalues, but for zeros
    squares = float((gram * gram).sum())
    ratio = float(np.trace(gram)) ** 2 / squares if squares > 0 else 1.0
    return float(f"{max(ratio, 1.0):.2g}")
