"""Batches and steps, the arguments of an engine, and the checks of the user's arrays."""

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
    """Features, targets and weights of the rows of one or more steps. A whole data set is also a
    batch: its steps take their rows in the order of `index`.

    The order of the fields is that of the kernels' arguments; arrays are C-contiguous. If the loss
    does not use `labels` or `targets`, that array is empty; empty weights mean 1.
    """

    x: Any  # (m, features) float32; ByteRows; or the result of the engine's `place` for either
    # (>= rows of all steps,) int64: sample s is x[index[s]]
    index: np.ndarray  # type: ignore[assignment]  # hides tuple.index, which is not used
    labels: np.ndarray  # (m,) int64 in [0, outputs)
    targets: np.ndarray  # (m, outputs) float32; NaN: no label, for sigmoid cross-entropy
    sample_weight: np.ndarray  # (m,) float32 >= 0
    class_weight: np.ndarray  # (outputs,) float32 >= 0

    def rows(self, rows: np.ndarray, x: np.ndarray, index: np.ndarray) -> Batch:
        """Return a batch with the labels, targets and weights of some rows of this one.

        rows: (r,) int; x: their features (r, features); index: order of the samples in x, int64.
        """
        labels, targets, weight = (
            array[rows] if len(array) else array
            for array in (self.labels, self.targets, self.sample_weight)
        )
        return Batch(x, index, labels, targets, weight, self.class_weight)


class Steps(NamedTuple):
    """Consecutive steps over a batch. Step i takes sizes[i] rows, after those of step i - 1."""

    first_row: int  # position of the first row in the index of the batch
    sizes: Sequence[int]  # rows of each step
    step: int  # number of the first step; step i has number step + i
    seed: int  # seed of the dropout masks
    loss: Loss
    update: int  # code of the optimizer's update, an index in updates.UPDATES
    hypers: Sequence[Sequence[float]]  # scalars of the update, at most updates.HYPER, for each step
    limit: float  # the steps stop after a larger loss

    @classmethod
    def of_gradient(cls, samples: int, step: int, seed: int, loss: Loss) -> Steps:
        """Return one step that stores the gradient and updates nothing.

        samples: number of rows, taken from the start of the index; step, seed: those of the dropout
        masks.
        """
        return cls(0, (samples,), step, seed, loss, updates.STORE, ((),), float("inf"))


class Labels:
    """A reusable buffer for the class labels of one step."""

    def __init__(self) -> None:
        self._buffer = np.empty(0, np.int64)

    def copy_of(self, labels: np.ndarray) -> np.ndarray:
        """Return a copy of int64 labels (n,), valid until the next call."""
        if len(self._buffer) < len(labels):
            self._buffer = np.empty(len(labels), np.int64)
        copy = self._buffer[: len(labels)]
        copy[:] = labels
        return copy


def check_features(x: object, width: int) -> np.ndarray | ByteRows:
    """Return x (n, width) in the form that engines take; `require_good` checks the values. Raises
    ValueError or TypeError.
    """
    if isinstance(x, ByteRows):
        check.byte_rows(x, width)
        return x
    numbers: np.ndarray = check.features(x, width)
    return numbers.view()  # a view: the caller may reshape its own array


def require_good(x: np.ndarray | ByteRows, labels: np.ndarray, n_classes: int) -> None:
    """Raise ValueError, with the position, unless x is finite and labels are in [0, n_classes)."""
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
        regression = 'for a regression give Trainer(loss="mse"); for classes '
        raise ValueError(
            f"y: classes in [0, {n_classes}) are required, got {labels[row]} in row {row}; "
            f"{regression if n_classes == 1 else ''}"
            "give the last Dense as many units as there are classes, and number them from 0"
        )
