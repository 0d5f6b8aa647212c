"""Data sets whose test and validation rows are given, for each of several folds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastsnn.data.dataset import Split
from fastsnn.data.standardize import Standardizer
from fastsnn.data.table import Table

# (x of all rows, training rows) -> x of all rows, by statistics of the training rows alone.
Prepare = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Folds:
    """n rows and k ways to divide them. Folds are counted from 1, as in the paper.

    x (n, features) as in the files, float64, or float32 if they hold float32; y (n,) int64 classes,
    or (n, tasks) float32 of 0, 1 and NaN (missing) with the task "multitask". test, validation
    (n, k) bool, never both in a fold; all other rows of the fold are for training. prepare: what
    the data set's authors do to x before a training, which may change the number of features; None:
    nothing but standardization. note: what must be said with any result on these data.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    test: np.ndarray
    validation: np.ndarray
    class_names: tuple[str, ...] | None = None
    note: str | None = None
    task: str = "classification"
    feature_names: tuple[str, ...] | None = None
    target_names: tuple[str, ...] | None = None
    prepare: Prepare | None = None

    def __post_init__(self) -> None:
        n = len(self.x)
        shapes = {self.test.shape, self.validation.shape}
        if len(self.y) != n or len(shapes) != 1 or self.test.shape[:1] != (n,):
            raise ValueError(
                f"{self.name}: y, test and validation must have a row for each of x, have "
                f"{len(self.y)}, {self.test.shape} and {self.validation.shape} for {n}; the files "
                "do not belong together"
            )
        both = self.test & self.validation
        if both.any():
            row, fold = (int(i) for i in np.argwhere(both)[0])
            raise ValueError(
                f"{self.name}: row {row} (from 0) must not be both in the test and in the "
                f"validation part of fold {fold + 1}; copy or download the folds again"
            )
        for fold in range(1, self.n_folds + 1):
            if 0 in map(len, (self.rows(fold)[0], self.rows(fold)[2])):
                raise ValueError(
                    f"{self.name}: fold {fold} must have rows to train and to test on; "
                    "copy or download the folds again"
                )

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        return (
            f"Folds({self.name!r}, {self.task}, {self.n_folds} folds, x {self.x.shape} "
            f"{self.x.dtype}, y {self.y.shape} {self.y.dtype})"
        )

    @property
    def n_folds(self) -> int:
        return int(self.test.shape[1])

    def rows(self, fold: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(training, validation, test) rows of `fold` in [1, n_folds]: sorted int64 indices."""
        if not 1 <= fold <= self.n_folds:
            raise ValueError(
                f"{self.name}: the fold must be a number from 1 to {self.n_folds}, got {fold}"
            )
        test, validation = self.test[:, fold - 1], self.validation[:, fold - 1]
        train = ~test & ~validation
        return np.flatnonzero(train), np.flatnonzero(validation), np.flatnonzero(test)

    def table(self, fold: int = 1) -> Table:
        """The parts of `fold`, prepared where the data set has a rule of its own, and not yet
        standardized.
        """
        rows = self.rows(fold)
        x = self.x if self.prepare is None else self.prepare(self.x, rows[0])
        train, validation, test = (Split(x[part], self.y[part]) for part in rows)
        return Table(
            self.task, train, validation if len(validation) else None, test,
            self.class_names, self.feature_names if self.prepare is None else None,
            self.target_names, self.note,
        )  # fmt: skip

    def parts(self, fold: int = 1) -> tuple[Split, Split, Split]:
        """(training, validation, test) of `fold`, ready to train on: prepared by the data set's own
        rule, else standardized feature by feature; by statistics of the training rows alone.
        """
        rows = self.rows(fold)
        if self.prepare is not None:
            x = self.prepare(self.x, rows[0])
            parts = [Split(x[part], self.y[part]) for part in rows]
        else:
            inputs, names = Standardizer.fit(self.x, "feature", rows[0]), self.feature_names
            parts = [
                Split(inputs.transform(self.x, rows=part, names=names), self.y[part])
                for part in rows
            ]
        train, validation, test = parts
        return train, validation, test
