"""`Place`: position of a value in a table, for errors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastsnn.checks.scalars import shown


class Place(NamedTuple):
    """A column of a table, and how its rows are numbered.

    Parameters
    ----------
    where : str
        Name of the table.
    name : str
        Name of the column.
    lines : numpy.ndarray, optional
        Line of the file on which each row of the table begins. Default: rows are counted from 0.
    rows : numpy.ndarray, optional
        Row of the table for each value. Default: value i is in row i.
    """

    where: str
    name: str
    lines: np.ndarray | None = None
    rows: np.ndarray | None = None

    def __str__(self) -> str:
        return f"{self.where}, column {shown(self.name)}"

    def at(self, index: int | np.integer) -> str:
        """Return the position of value `index`, "x, column 'a', row 3"."""
        row = int(index) if self.rows is None else int(self.rows[index])
        if self.lines is None:
            return f"{self}, row {row}"
        return f"{self.where}, line {int(self.lines[row]):,}, column {shown(self.name)}"
