"""Losses by name. Training computes them in the kernels; here their values for evaluation, in
float64.
"""

import numpy as np

from fastsnn.checks import inputs as check
from fastsnn.engine import cpu as backend

__all__: list[str] = []

LOSSES = tuple(backend.LOSSES)
FOR_TASK = {
    "classification": "softmax_cross_entropy",
    "multitask": "sigmoid_cross_entropy",
    "regression": "mse",
}


def check_targets(loss: str, y: np.ndarray, n: int, n_outputs: int):
    """(labels, targets) as kernels take them: the one that the loss does not use is empty."""
    if loss == "softmax_cross_entropy":
        return check.labels(y, n, n_outputs), check.NO_TARGETS
    missing = loss == "sigmoid_cross_entropy"
    return check.NO_INTEGERS, check.targets(y, n, n_outputs, missing=missing)


def log_softmax(z: np.ndarray) -> np.ndarray:
    z = z.astype(np.float64)
    z -= z.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def mean_loss(loss: str, z: np.ndarray, y: np.ndarray) -> float:
    """Mean over rows (softmax) or over labelled entries (others) for raw outputs z (n, outputs)."""
    if loss == "softmax_cross_entropy":
        return float(-log_softmax(z)[np.arange(len(z)), y].mean())
    z, y = z.astype(np.float64), y.astype(np.float64).reshape(z.shape)
    if loss == "mse":
        return float(((z - y) ** 2).mean())
    labelled = ~np.isnan(y)
    if not labelled.any():
        return 0.0
    softplus = np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))
    return float((softplus - y * z)[labelled].mean())
