"""Number of independent features of a data set. A small number limits the learning rate of sgd."""

from __future__ import annotations

import numpy as np

from fastsnn.data.dataset import Dataset
from fastsnn.engine.byterows import ByteRows
from fastsnn.runs.config import RunConfig

ROWS = 1000  # maximum number of rows, evenly spaced


def settled(config: RunConfig, dataset: Dataset) -> RunConfig:
    """Return `config.settled` for the rows, task and, in regression, features of the data."""
    few = None
    if dataset.task == "regression" and config.learning_rate is None:
        few = independent_features(dataset.train.x)
    return config.settled(len(dataset.train), dataset.task, few)


def independent_features(x: np.ndarray | ByteRows) -> float:
    """Return the participation ratio of the eigenvalues v of x.T x, sum(v)**2 / sum(v**2).

    It is in [1, features]: the number of features if they are standardized and uncorrelated, 1 for
    copies of one feature. The result is rounded to two digits, because the order of summation in
    BLAS depends on the machine and training results must not. x: (n, features), standardized.
    """
    rows = np.unique(np.linspace(0, len(x) - 1, min(len(x), ROWS)).round().astype(np.int64))
    x = (x.take(rows) if isinstance(x, ByteRows) else x[rows]).astype(np.float64)
    gram = x.T @ x if x.shape[1] <= len(x) else x @ x.T  # both have the same nonzero eigenvalues
    squares = float((gram * gram).sum())
    ratio = float(np.trace(gram)) ** 2 / squares if squares > 0 else 1.0
    return float(f"{max(ratio, 1.0):.2g}")
