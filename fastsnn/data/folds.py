"""Data sets with predefined training, validation and test rows in several folds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastsnn.data.dataset import Split
from fastsnn.data.standardize import Standardizer
from fastsnn.data.table import Table

Prepare = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Preprocessing function, (x of all rows, training rows) -> x of all rows.

It computes its statistics from the training rows only.
"""


@dataclass(frozen=True, eq=False)
class Folds:
    """Data set of n rows with k folds, as returned by `fastsnn.data.load_folds`.

    Folds are numbered from 1, as in the paper (Klambauer et al. 2017). ``len(folds)`` is n.

    Attributes
    ----------
    name : str
        Name that was loaded.
    x : numpy.ndarray
        Features as in the files, not standardized: (n, features), float32 if the files store
        float32, float64 otherwise.
    y : numpy.ndarray
        Class numbers, int64 (n,); for multitask, labels 0, 1 or NaN (missing), float32 (n, tasks).
    test, validation : numpy.ndarray
        bool (n, k); column f - 1 marks the test and the validation rows of fold f. No row is in
        both parts of a fold. All other rows of the fold are training rows.
    class_names : tuple of str or None
        Name of each class; None for multitask.
    note : str or None
        Caveat that applies to any result on these data.
    task : {"classification", "multitask"}
        Task of the data set.
    feature_names : tuple of str or None
        Name of each column of x; None if the data have no names.
    target_names : tuple of str or None
        Name of each task; None if the data have no names.
    prepare : callable or None
        Preprocessing of x by the data set's authors, see `Prepare`; it may change the number of
        features. None if x is only standardized.

    Raises
    ------
    ValueError
        The shapes do not match, a row is in two parts of a fold, or a fold has no training or no
        test rows.
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
                f"{self.name}: y, test and validation must have {n} rows like x, have "
                f"{len(self.y)}, {self.test.shape} and {self.validation.shape}; the files "
                "do not belong together"
            )
        both = self.test & self.validation
        if both.any():
            row, fold = (int(i) for i in np.argwhere(both)[0])
            raise ValueError(
                f"{self.name}: row {row} (from 0) must not be in both the test and the "
                f"validation part of fold {fold + 1}; copy or download the folds again"
            )
        for fold in range(1, self.n_folds + 1):
            if 0 in map(len, (self.rows(fold)[0], self.rows(fold)[2])):
                raise ValueError(
                    f"{self.name}: fold {fold} must have training and test rows; "
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
        """Number of folds k, the columns of `test` and `validation`."""
        return int(self.test.shape[1])

    def rows(self, fold: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the row indices of a fold.

        Parameters
        ----------
        fold : int in [1, n_folds]
            Number of the fold.

        Returns
        -------
        tuple of numpy.ndarray
            (training, validation, test) rows: sorted int64 arrays.

        Raises
        ------
        ValueError
            `fold` is not in [1, n_folds].
        """
        if not 1 <= fold <= self.n_folds:
            raise ValueError(
                f"{self.name}: the fold must be a number from 1 to {self.n_folds}, got {fold}"
            )
        test, validation = self.test[:, fold - 1], self.validation[:, fold - 1]
        train = ~test & ~validation
        return np.flatnonzero(train), np.flatnonzero(validation), np.flatnonzero(test)

    def table(self, fold: int = 1) -> Table:
        """Return the parts of a fold, not standardized.

        x is preprocessed by `prepare` if it is set. fold: in [1, n_folds]. Raises ValueError like
        `rows`.
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
        """Return the parts of a fold, ready to train on.

        x is preprocessed by `prepare` if it is set, otherwise standardized feature by feature. The
        statistics are those of the training rows.

        Parameters
        ----------
        fold : int in [1, n_folds]
            Number of the fold.

        Returns
        -------
        tuple of Split
            (training, validation, test); x is float32 (rows, features), y as in `Folds`. The
            validation part may have 0 rows.

        Raises
        ------
        ValueError
            `fold` is not in [1, n_folds], or a feature is not finite.
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
