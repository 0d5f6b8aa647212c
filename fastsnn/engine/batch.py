"""Batches and steps: what an engine takes, and the checks of a user's arrays before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastsnn.checks import inputs as check
from fastsnn.engine.byterows import ByteRows
from fastsnn.kernels import updates
from fastsnn.kernels.cpu import checks
from fastsnn.losses import Loss


class Batch(NamedTuple):
    """Rows for the steps of an engine, and all that their loss needs. A data set is a batch too:
    its steps take their rows in the order of `index`.

    A tuple in the order in which kernels take it, C-contiguous arrays. `labels` or `targets` is
    empty, whichever the loss does not use; empty weights mean 1.
    """

    x: Any  # (m, features) float32; ByteRows; or what an engine's `place` has made of one of them
    # (at least the rows of all steps,) int64: sample s is x[index[s]]
    index: np.ndarray  # type: ignore[assignment]  # hides tuple.index, which is not used
    labels: np.ndarray  # (m,) int64 in [0, outputs)
    targets: np.ndarray  # (m, outputs) float32; NaN: no label, for sigmoid cross-entropy
    sample_weight: np.ndarray  # (m,) float32 >= 0
    class_weight: np.ndarray  # (outputs,) float32 >= 0

    def rows(self, rows: np.ndarray, x: np.ndarray, index: np.ndarray) -> Batch:
        """A batch of the given rows, whose features are `x` in the order of `index`."""
        labels, targets, weight = (
            array[rows] if len(array) else array
            for array in (self.labels, self.targets, self.sample_weight)
        )
        return Batch(x, index, labels, targets, weight, self.class_weight)


class Steps(NamedTuple):
    """Consecutive steps over a batch. Step i takes sizes[i] rows, after those of step i - 1."""

    first_row: int  # place in the index of the batch
    sizes: Sequence[int]
    step: int  # number of the first step; step i has number step + i
    seed: int  # of the dropout masks
    loss: Loss
    update: int  # code of the update in `kernels/updates.py`
    hypers: Sequence[Sequence[float]]  # up to updates.HYPER scalars of the update for each step
    limit: float  # a larger loss ends the training

    @classmethod
    def of_gradient(cls, samples: int, step: int, seed: int, loss: Loss) -> Steps:
        """A step by the first rows that stores the gradient and updates nothing."""
        return cls(0, (samples,), step, seed, loss, updates.STORE, ((),), float("inf"))


class Labels:
    """A buffer for the classes of one step, which the next step uses again."""

    def __init__(self) -> None:
        self._buffer = np.empty(0, np.int64)

    def copy_of(self, labels: np.ndarray) -> np.ndarray:
        """A copy of int64 labels (n,), valid until the next call."""
        if len(self._buffer) < len(labels):
            self._buffer = np.empty(len(labels), np.int64)
        copy = self._buffer[: len(labels)]
        copy[:] = labels
        return copy


def check_features(x: object, width: int) -> np.ndarray | ByteRows:
    """x (n, width) as engines take it; `require_good` looks at its numbers. Raises ValueError or
    TypeError.
    """
    if isinstance(x, ByteRows):
        check.byte_rows(x, width)
        return x
    numbers: np.ndarray = check.features(x, width)
    return numbers.view()  # a view keeps its shape


def require_good(x: np.ndarray | ByteRows, labels: np.ndarray, n_classes: int) -> None:
    """Raise ValueError, with the place, unless x is finite and labels are in [0, n_classes)."""
    numbers = x if isinstance(x, np.ndarray) else check.NO_TARGETS  # bytes are always finite
    found = checks.check_batch(numbers.view(np.int32), labels, n_classes)
    if found == checks.NOT_FINITE:
        row, column = np.argwhere(~np.isfinite(numbers))[0]
        raise ValueError(
            f"x: finite numbers are required, got {numbers[row, column]} in row {row}, column "
            f"{column}; fill in or remove such rows"
        )
    if found == checks.OUT_OF_RANGE:
        row = np.argwhere((labels < 0) | (labels >= n_classes))[0, 0]
        raise ValueError(
            f"y: classes in [0, {n_classes}) are required, got {labels[row]} in row {row}; "
            "give the last Dense as many units as there are classes, and number them from 0"
        )
