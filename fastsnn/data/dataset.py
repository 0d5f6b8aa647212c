"""`Dataset` and `Split`: a standardized data set and its parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastsnn.checks.scalars import listed
from fastsnn.data.standardize import Standardizer
from fastsnn.engine.byterows import ByteRows
from fastsnn.tables.recipe import Recipe

TASKS = ("classification", "multitask", "regression")


@dataclass(frozen=True, eq=False)
class Split:
    """One part (training, validation or test) of a data set, with n = ``len(split)`` rows.

    Attributes
    ----------
    x : numpy.ndarray or ByteRows
        Features (n, features). In a `Dataset`: standardized, C-contiguous float32, or `ByteRows` if
        bytes are kept. In a `Table`: as in the file, uint8, float32 or float64.
    y : numpy.ndarray
        Classification: class numbers, int64 (n,), in [0, n_classes). Multitask: labels 0, 1 or NaN
        (missing), float32 (n, tasks). Regression: (n, targets), standardized float32 in a
        `Dataset`, float64 in a `Table`.
    raw_y : numpy.ndarray or None
        Regression targets in the units of the file, float64 (n, targets). None for other tasks, in
        a `Table`, whose y is in these units, and if `fastsnn.data.load` was called with
        ``dtype=numpy.float32``.
    """

    x: np.ndarray | ByteRows
    y: np.ndarray
    raw_y: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.x)

    @property
    def features(self) -> np.ndarray:
        """Features x as an array (n, features) of uint8, float32 or float64, as in a `Table`.

        Raises TypeError if x is `ByteRows`.
        """
        if isinstance(self.x, ByteRows):
            raise TypeError("Split: an array is required, got ByteRows; use x.take(rows)")
        return self.x

    def __repr__(self) -> str:
        return f"Split(x {self._shape(self.x)}, y {self._shape(self.y)})"

    @staticmethod
    def _shape(array: np.ndarray | ByteRows) -> str:
        return f"{tuple(array.shape)} {getattr(array, 'dtype', 'uint8 rows')}"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Standardized data set, as returned by `fastsnn.data.load`.

    Attributes
    ----------
    name : str
        Name or path that was loaded.
    task : {"classification", "multitask", "regression"}
        Task that the targets define.
    train : Split
        Training part.
    validation : Split or None
        Validation part; None if no rows were held out.
    test : Split or None
        Test part; None if the data have none.
    class_names : tuple of str or None
        Name of each class, in the order of the class numbers; None for other tasks.
    feature_names : tuple of str or None
        Name of each column of x; None if the data have no names.
    target_names : tuple of str or None
        Name of each target or task; None if the data have no names.
    inputs : Standardizer
        Standardization of x in every part, fitted on the training rows only, or as given to `load`.
    targets : Standardizer or None
        Standardization of y in every part, fitted on the training rows only; None unless the task
        is regression. ``targets.inverse_transform(predictions)`` is in the units of the file.
    note : str or None
        Caveat that applies to any result on these data, such as that they are not the original
        data.
    found : str or None
        Properties detected in a user's file: header, delimiter, task and the reason for the task.
        None for a named data set.
    recipe : fastsnn.tables.Recipe or None
        Encoding of the columns of the table as features, learned from the training rows; None if
        the features are the columns.
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
    recipe: Recipe | None = None

    def __repr__(self) -> str:
        return summary(self)

    @property
    def n_features(self) -> int:
        """Number of features, the input size of a network."""
        return int(self.train.x.shape[1])

    @property
    def n_outputs(self) -> int:
        """Number of classes, tasks or targets, the number of units of the last layer."""
        if self.class_names is not None:
            return len(self.class_names)
        return int(self.train.y.shape[1])


def summary(data: Any) -> str:
    """Return the repr of a `Dataset` or `Table`: shapes and names in a few lines, no arrays."""
    own = f"{data.name!r}, " if hasattr(data, "name") else ""
    lines = [f"{type(data).__name__}({own}{data.task}"]
    for part in ("train", "validation", "test"):
        if (rows := getattr(data, part)) is not None:
            lines.append(f"  {part}: {rows!r}")
    for name in ("class_names", "feature_names", "target_names"):
        if names := getattr(data, name):
            lines.append(f"  {name}: {len(names):,} ({listed(names)})")
    for name in ("recipe", "inputs", "targets", "note", "found"):
        if (value := getattr(data, name, None)) is not None:
            lines.append(f"  {name}: {value!r}")
    return "\n".join(lines) + ")"
