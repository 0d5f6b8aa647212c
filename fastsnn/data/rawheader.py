"""Detect whether line 1 of a table with text is a header.

The rule compares line 1 with the cells below it; what is unclear is refused:

1. If `header` (--header, --no-header) is given, it decides.
2. A line that contains the name of a requested target, or all column names of a model, is a header.
3. Unclear are: three or more consecutive numbers (0, 1, 2; years); a number above a column of
   text; a word for a missing value, such as NULL; words among numbers that do not occur in the
   columns below, though other words do twice.
4. A line of words is a header if no word occurs in the column below it, a row if each one does.
5. Any other line is a row. If a word is above a column of numbers, the line is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from fastsnn.checks.scalars import shown
from fastsnn.data.header import ADVICE, HINT
from fastsnn.tables.cells import is_missing, number


def is_header(
    where: str,
    first: Sequence[str],
    rows: Sequence[np.ndarray],
    header: bool | None,
    asked: Sequence[str],
    wanted: Sequence[str] | None,
) -> bool:
    """Return True if the first line contains the column names, by the rule of this module.

    where: file and line, for errors. first: its cells. rows: the cells below it, by column. asked:
    requested names of targets. wanted: column names of a model; None for training.
    """
    if header is not None:
        return header
    cells = [cell.strip() for cell in first]
    if wanted is not None:
        if set(cells).issuperset(wanted):
            return True
        return not all(name.isascii() and name.isdigit() for name in wanted)
    if any(name in cells for name in asked if number(name) is None):
        return True
    values = list(map(number, cells))
    if cells == [str(i) for i in range(len(cells))] or (
        len(cells) > 2 and all(a is not None and a + 1 == b for a, b in pairwise(values))
    ):
        raise _unclear(where, "whether these numbers are the column names or a row")
    below = [{c.strip() for c in dict.fromkeys(column) if c is not None} for column in rows]
    words = [not is_missing(cell) and number(cell) is None for cell in cells]
    if all(word or cell == "" for word, cell in zip(words, cells, strict=True)):
        seen = [cell in column for cell, column in zip(cells, below, strict=True) if cell]
        if not any(seen):
            return True
        if all(seen):
            return False
        name = next(c for c, column in zip(cells, below, strict=True) if c and c in column)
        raise _unclear(
            where,
            f"whether it contains the column names or a row: {shown(name)} occurs below, other "
            "words do not",
        )
    if cells[0] == "" and all(words[1:]):
        return True  # the index column of pandas, which is refused later, as it has no name
    for cell in cells:
        if cell.strip("?") and is_missing(cell):
            raise _unclear(where, f"whether {shown(cell)} is a column name or a missing value")
    fresh = []
    for i, (cell, word, column) in enumerate(zip(cells, words, below, strict=True)):
        found = [c for c in column if not is_missing(c)]
        numbers = sum(number(c) is not None for c in found)
        if not found or is_missing(cell):
            continue
        if word and numbers == len(found):
            raise ValueError(
                f"{where}, column {i} (from 0): must be a finite number, like the cells below, got "
                f"{shown(cell)}; correct it{HINT}"
            )
        if not word and not numbers:
            raise _unclear(
                where, f"whether it contains the column names or a row: {shown(cell)} is above text"
            )
        if word:
            fresh.append(cell not in column and 2 * len(column) < len(rows[i]))
    if fresh and all(fresh):
        name = next(cell for cell, word in zip(cells, words, strict=True) if word)
        raise _unclear(
            where,
            f"whether it contains the column names or a row: {shown(name)} does not occur below",
        )
    return False


def _unclear(where: str, what: str) -> ValueError:
    return ValueError(f"{where}: it is unclear {what}; {ADVICE}")
