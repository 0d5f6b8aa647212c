"""`Columns`: named columns of equal length, as plain NumPy arrays."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastsnn.checks.scalars import listed, shown
from fastsnn.tables import frames
from fastsnn.tables.place import Place
from fastsnn.tables.values import of_any, of_list

WANTED = "a table with column names is required (a data frame, dict of columns or list of dicts)"


@dataclass(frozen=True, eq=False)
class Columns(Mapping[str, np.ndarray]):
    """Named columns of equal length n, not encoded yet.

    `Columns.of` converts and checks a table. The constructor does neither.

    Parameters
    ----------
    arrays : dict of str to numpy.ndarray
        One array (n,) per column, in order. Each has one of these dtypes: float64 (NaN is a missing
        value), int64 or uint64 (none is missing), bool, datetime64[us] (NaT is a missing value), or
        object with str and None (a missing value). Text has no outer spaces and is not empty;
        booleans with missing values are the text "true" and "false".
    lines : numpy.ndarray, optional
        Line of the file on which each row begins, from 1, int64 (n,), for messages.
    categorical : frozenset of str
        Columns that are categorical by their type in a data frame.
    """

    arrays: Mapping[str, np.ndarray]
    lines: np.ndarray | None = field(default=None, repr=False)
    categorical: frozenset[str] = frozenset()

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.arrays.values()), ()))

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

    def __repr__(self) -> str:
        return f"Columns({self.n_rows:,} rows, {len(self):,} columns ({listed(self)}))"

    def take(self, rows: np.ndarray) -> Columns:
        """Return the rows with these indices, in this order."""
        lines = None if self.lines is None else self.lines[rows]
        arrays = {name: values[rows] for name, values in self.arrays.items()}
        return Columns(arrays, lines, self.categorical)

    @classmethod
    def of(cls, table: object, where: str = "x", only: Collection[str] | None = None) -> Columns:
        """Return the columns of a table.

        Parameters
        ----------
        table : Columns, data frame, dict of columns, dict of values, or list of dicts
            A data frame of pandas, Polars, PyArrow or another library that narwhals reads (extra
            `tables`). A dict of columns has an array, list or series of n values per name; a dict
            of single values is one row. In a list of dicts, one per row, keys may have any order; a
            key that only some rows have is a missing value in the others.
        where : str
            Name of the table, for errors.
        only : collection of str, optional
            Names of the columns to convert, in this order; those that the table does not have are
            left out. Default: all, in the table's order.

        Returns
        -------
        Columns
            Booleans stay bool, or become "true", "false" and None if some are missing. Integers
            become int64 or uint64, or float64 if some are missing. Decimals and durations (in
            seconds) become float64. Dates and times become datetime64[us]; those with a time zone
            are converted to UTC. Categories become text. Outer spaces of text are removed; empty
            text, and words such as "NA", "?" and "None", are missing values.

        Raises
        ------
        TypeError, ValueError
            If it is no table, it has no rows, its columns have different lengths or no unique
            names, or a value has an unsupported type, with column and row.
        RuntimeError
            If it is a data frame and narwhals is not installed.

        Examples
        --------
        >>> Columns.of([{"cut": "Ideal", "carat": 0.23}, {"carat": 0.3}])["cut"]
        array(['Ideal', None], dtype=object)
        """
        if isinstance(table, cls):
            return table
        categorical: frozenset[str] = frozenset()
        if isinstance(table, Mapping):
            arrays = _of_dict(table, where, only)
        elif isinstance(table, list | tuple):
            arrays = _of_rows(table, where, only)
        elif frames.is_frame(table):
            arrays, categorical = frames.columns(table, where, only)
        else:
            raise TypeError(f"{where}: {WANTED}, got {type(table).__name__}")
        columns = cls(arrays, None, categorical)
        if only is None and not columns.n_rows:
            raise ValueError(f"{where}: at least one column and one row are required, got none")
        return columns


def _of_dict(
    table: Mapping[Any, Any], where: str, only: Collection[str] | None
) -> dict[str, np.ndarray]:
    frames.require_names(list(table), where)
    names = list(table) if only is None else [name for name in only if name in table]
    if names and all(is_single(table[name]) for name in names):
        return _of_rows([table], where, only)
    arrays: dict[str, np.ndarray] = {}
    for name in names:
        if is_single(table[name]):
            raise TypeError(
                f"{where}, column {shown(name)}: a list or an array is required, as for the other "
                f"columns, got {shown(table[name])}"
            )
        arrays[name] = of_any(table[name], Place(where, name))
    lengths = {name: len(values) for name, values in arrays.items()}
    if len(set(lengths.values())) > 1:
        one, other = min(lengths, key=lengths.__getitem__), max(lengths, key=lengths.__getitem__)
        raise ValueError(
            f"{where}: columns of equal length are required, {shown(one)} has {lengths[one]:,} "
            f"values, {shown(other)} has {lengths[other]:,}"
        )
    return arrays


def _of_rows(
    rows: Sequence[Any], where: str, only: Collection[str] | None
) -> dict[str, np.ndarray]:
    if not rows:
        raise ValueError(f"{where}: at least one row is required, got none")
    for index, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise TypeError(f"{where}: {WANTED}, got {shown(row)} in row {index}")
    if only is None:
        names = list(dict.fromkeys(name for row in rows for name in row))
        frames.require_names(names, where)
    else:
        names = [name for name in only if any(name in row for row in rows)]
    return {name: of_list([row.get(name) for row in rows], Place(where, name)) for name in names}


def is_single(value: object) -> bool:
    """Return True for one value, False for a list, an array or a series."""
    return isinstance(value, str | bytes) or not hasattr(value, "__len__")


def names_of(table: Any) -> list[str]:
    """Return the names of the columns of anything `Columns.of` reads, for an error."""
    if isinstance(table, Mapping):
        return list(table)
    if isinstance(table, list | tuple):
        return list(dict.fromkeys(name for row in table for name in row))
    return list(getattr(table, "column_names", table.columns))  # `column_names` in PyArrow
