"""`Columns`: named columns of equal length, as plain NumPy arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, eq=False)
class Columns(Mapping[str, np.ndarray]):
    """Named columns of equal length n, not encoded yet.

    Parameters
    ----------
    arrays : dict of str to numpy.ndarray
        One array (n,) per column, in order. Each has one of these dtypes: float64 (NaN is a missing
        value), int64 or uint64 (none is missing), bool, datetime64[us] (NaT is a missing value), or
        object with str and None (a missing value).
    lines : numpy.ndarray, optional
        Line of the file on which each row begins, from 1, int64 (n,), for messages.
    """

    arrays: Mapping[str, np.ndarray]
    lines: np.ndarray | None = field(default=None, repr=False)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.arrays.values())))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.n_rows, len(self.arrays)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        """Return the number of columns, as for a dict."""
        return len(self.arrays)

    def take(self, rows: np.ndarray) -> Columns:
        """Return the rows with these indices, in this order."""
        lines = None if self.lines is None else self.lines[rows]
        return Columns({name: values[rows] for name, values in self.arrays.items()}, lines)

    @classmethod
    def of(cls, table: object, where: str = "x") -> Columns:
        """Return the columns of a table.

        Parameters
        ----------
        table : Columns, data frame, dict of columns, or list of dicts
            Data frames of pandas, Polars, PyArrow and others that narwhals reads.
        where : str
            Name of the table, for errors.

        Returns
        -------
        Columns

        Raises
        ------
        TypeError, ValueError
            If it is no table, its columns have different lengths or no unique names, or a value has
            an unsupported type, with column and row.
        """
        raise NotImplementedError
