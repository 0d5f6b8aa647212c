"""`Dataset`: the parts of a data set, ready to train on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastsnn.checks.scalars import listed
from fastsnn.data.standardize import Standardizer
from fastsnn.engine.byterows import ByteRows

TASKS = ("classification", "multitask", "regression")


@dataclass(frozen=True, eq=False)
class Split:
    """One part.

    x (n, features) float32, C-contiguous, or ByteRows if bytes are kept; in a `Table`, uint8,
    float32 or float64. y is int64 (n,) for classification; float32 (n, tasks) of 0, 1 and NaN
    (missing) for multitask; float32 (n, targets) for regression, float64 in a `Table`. raw_y: for
    regression, y in the units of the file, (n, targets) float64; None if y itself is in them.
    """

    x: np.ndarray | ByteRows
    y: np.ndarray
    raw_y: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.x)

    @property
    def features(self) -> np.ndarray:
        """x of a `Table`, which is an array. Raises TypeError for ByteRows."""
        if isinstance(self.x, ByteRows):
            raise TypeError("Split: an array is required, got ByteRows; take rows of it")
        return self.x

    def __repr__(self) -> str:
        return f"Split(x {self._shape(self.x)}, y {self._shape(self.y)})"

    @staticmethod
    def _shape(array: np.ndarray | ByteRows) -> str:
        return f"{tuple(array.shape)} {getattr(array, 'dtype', 'uint8 rows')}"


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set whose inputs are already standardized.

    task: "classification", "multitask" or "regression". inputs: the map that was applied to x in
    every part, measured on the training part alone. targets: the same for y, in regression only;
    `targets.inverse_transform(prediction)` is in the units of the file, float64. note: what must be
    said with any result on these data, such as that they are not the original ones. found: what a
    reader found in a user's file (header, delimiter, the task and its reason).
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

    def __repr__(self) -> str:
        return summary(self)

    @property
    def n_features(self) -> int:
        return int(self.train.x.shape[1])

    @property
    def n_outputs(self) -> int:
        """Classes, tasks or targets: the units of the last layer."""
        if self.class_names is not None:
            return len(self.class_names)
        return int(self.train.y.shape[1])


def summary(data: Any) -> str:
    """A `Dataset` or a `Table` in a few lines: shapes and names, no arrays."""
    own = f"{data.name!r}, " if hasattr(data, "name") else ""
    lines = [f"{type(data).__name__}({own}{data.task}"]
    for part in ("train", "validation", "test"):
        if (rows := getattr(data, part)) is not None:
            lines.append(f"  {part}: {rows!r}")
    for name in ("class_names", "feature_names", "target_names"):
        if names := getattr(data, name):
            lines.append(f"  {name}: {len(names):,} ({listed(names)})")
    for name in ("inputs", "targets", "note", "found"):
        if (value := getattr(data, name, None)) is not None:
            lines.append(f"  {name}: {value!r}")
    return "\n".join(lines) + ")"
