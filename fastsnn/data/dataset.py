"""What a loader returns: the parts of a data set, ready to train on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastsnn.data.byterows import ByteRows
from fastsnn.data.standardize import Standardizer

TASKS = ("classification", "multitask", "regression")


@dataclass(frozen=True, eq=False)
class Split:
    """One part.

    x (n, features) float32, C-contiguous, or ByteRows where bytes are kept. y is int64 (n,) for
    classification; float32 (n, tasks) of 0, 1 and NaN (missing) for multitask; float32 (n, targets)
    for regression.
    (In a `Table`, not yet standardized, x is float too, and y of a regression float64.)
    """

    x: np.ndarray | ByteRows
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set whose inputs are already standardized.

    task: "classification", "multitask" or "regression". inputs: the map that was applied to x in
    every part, measured on the training part alone. targets: the same for y, in regression only;
    `targets.invert(prediction)` is in the units of the file. note: what must be said with any
    result on these data, such as that they are not the original ones. found: what a reader found
    in a user's file (header, delimiter, the task and its reason).
    """

    name: str
    task: str
    train: Split
    validation: Split | None
    test: Split | None
    class_names: tuple[str, ...] | None
    feature_names: tuple[str, ...] | None
    target_names: tuple[str, ...] | None
    inputs: Standardizer
    targets: Standardizer | None
    note: str | None = None
    found: str | None = None

    @property
    def n_features(self) -> int:
        return self.train.x.shape[1]

    @property
    def n_outputs(self) -> int:
        """Classes, tasks or targets: the units of the last layer."""
        if self.class_names is not None:
            return len(self.class_names)
        return self.train.y.shape[1]
