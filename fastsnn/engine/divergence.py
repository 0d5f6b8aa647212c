"""The error message of a diverged training, with its likely cause."""

from __future__ import annotations

from math import isfinite

import numpy as np

from fastsnn.engine.batch import Batch
from fastsnn.engine.byterows import ByteRows

LARGE = 1e6  # standardized inputs and targets stay below 100
SMALL_TOTAL = 1e-30  # sum of a batch's weights: its reciprocal makes gradients overflow float32
SMALL_EPS = 1e-37  # below, float32 numbers are denormal or 0
LARGE_WEIGHT = 1e20  # only ratios of weights matter, but products with losses must fit float32


def diverged(
    step: int, loss: float, rate: float, overflow: bool, x: np.ndarray | ByteRows, batch: Batch,
    rows: slice, weight_decay: float, eps: float | None = None,
) -> FloatingPointError:  # fmt: skip
    """Return the error for a step whose loss is not finite or has exploded, or, with `overflow`,
    whose update would overflow float32.

    x: features that the caller passed; batch: batch that the engine received; rows: slice of its
    index with the rows of the step; rate: learning rate; weight_decay, eps: of the optimizer, eps
    None if it has none.
    """
    what = f"training diverged in step {step}: the loss is {loss:.4g}"
    if overflow:
        what += ", and its update would overflow float32,"
    cause = (
        _weights(batch, batch.index[rows])
        or _large("inputs", x)
        or _large("targets", batch.targets)
    )
    if cause is None and overflow and eps is not None and eps < SMALL_EPS:
        cause = (
            f"with eps {eps:.4g}, so that a gradient of 0 is divided by 0; use eps above "
            f"{SMALL_EPS:g}"
        )
    if cause is None and weight_decay > 1 and rate * weight_decay > 1:
        cause = f"with learning rate {rate:.4g} times weight decay {weight_decay:.4g}; reduce one"
    if cause is None:
        cause = (
            f"with learning rate {rate:.4g}; try a rate 10 times smaller, and standardized inputs"
        )
    return FloatingPointError(f"{what} {cause}")


def require_finite(loss: float, gradients: dict[str, np.ndarray]) -> None:
    """Raise FloatingPointError unless the loss and all its gradients are finite."""
    bad = [name for name, g in gradients.items() if not np.isfinite(g).all()]
    if not isfinite(loss) or bad:
        where = f"that of {bad[0]} is not" if isfinite(loss) else f"it is {loss:.4g}"
        raise FloatingPointError(
            f"gradients: a finite {'gradient' if isfinite(loss) else 'loss'} is required, "
            f"{where}; look for weights that have grown too large, and try standardized inputs"
        )


def _weights(batch: Batch, rows: np.ndarray) -> str | None:
    labels, sample_weight, class_weight = batch.labels, batch.sample_weight, batch.class_weight
    each = np.ones(len(rows)) if not len(sample_weight) else sample_weight[rows].astype(float)
    if len(labels) and len(class_weight):
        each = each * class_weight[labels[rows]]
    small = 0 < each.sum() < SMALL_TOTAL
    for name, weights, large in (
        ("sample weights", sample_weight, LARGE_WEIGHT),
        # Class weights of positive labels are not part of the denominator of the mean loss.
        ("class weights", class_weight, LARGE_WEIGHT if len(labels) else LARGE),
    ):
        positive = weights[weights > 0]
        if not positive.size:
            continue
        if small and positive.min() < SMALL_TOTAL:
            return (
                f"with {name} down to {positive.min():.4g}; use 0, or weights above {SMALL_TOTAL:g}"
            )
        if positive.max() > large:
            return f"with {name} up to {positive.max():.4g}; use weights around 1"
    return None


def _large(name: str, values: np.ndarray | ByteRows) -> str | None:
    if not isinstance(values, np.ndarray) or not values.size:
        return None
    # NaN marks missing labels. The reductions allocate no array of the size of `values`.
    largest = max(
        abs(float(np.fmin.reduce(values, None))), abs(float(np.fmax.reduce(values, None)))
    )
    if largest >= LARGE:
        return f"with {name} up to {largest:.4g}; standardize them (fastsnn.data.Standardizer)"
    if name == "inputs" and np.isnan(values.min()):
        return "with inputs that are NaN; they have changed since they were checked"
    return None
