"""The error of a training that has diverged, with its likely cause."""

from __future__ import annotations

import numpy as np

from fastsnn.data.byterows import ByteRows

LARGE_INPUT = 1e6  # standardized inputs stay below 100
SMALL_WEIGHTS = 1e-30  # the reciprocal of a smaller sum makes gradients overflow float32


def diverged(
    step: int, loss: float, rate: float, overflow: bool, x: np.ndarray | ByteRows,
    sample_weight: np.ndarray,
) -> FloatingPointError:  # fmt: skip
    """The error for a step whose loss is not finite or has exploded or, with `overflow`, whose
    update would overflow float32. x, sample_weight: those of the step or the fit.
    """
    what = f"training diverged in step {step}: the loss is {loss:.4g}"
    if overflow:
        what += ", and its update would leave float32,"
    cause = _cause(x, sample_weight)
    if cause is None:
        cause = (
            f"with learning rate {rate:.4g}; try a rate 10 times smaller, and standardized inputs"
        )
    return FloatingPointError(f"{what} {cause}")


def _cause(x, sample_weight):
    positive = sample_weight[sample_weight > 0]
    if positive.size and positive.min() < SMALL_WEIGHTS:
        return (
            f"with sample weights down to {positive.min():.4g}; use 0, or weights above "
            f"{SMALL_WEIGHTS:g}"
        )
    if isinstance(x, np.ndarray) and x.size:
        largest = max(abs(float(x.min())), abs(float(x.max())))  # no array as large as x
        if not largest < LARGE_INPUT:
            return f"with inputs up to {largest:.4g}; standardize them (fastsnn.data.Standardizer)"
    return None
