"""Detect the delimiter of a CSV file: it must divide all lines into the same number of columns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from fastsnn.checks.scalars import shown
from fastsnn.data.csvlines import records
from fastsnn.tables.cells import has_decimal_comma, number

DELIMITERS = (",", ";", "\t")
# Maximum lines and characters of the sample. At least 10 lines are sampled, however long.
LINES, CHARACTERS = 1000, 1 << 20
_QUOTED = re.compile(r'(?:(?<=[,;\t\n])|\A)"[^"]*(?:""[^"]*)*("|\Z)')


def sample(source: Iterator[str]) -> tuple[list[str], bool]:
    """Return (the first lines, True if these are all lines)."""
    found, characters = [], 0
    for line in islice(source, LINES):
        found.append(line)
        characters += len(line)
        if characters >= CHARACTERS and len(found) >= 10:
            return found, False
    return found, len(found) < LINES


def choose(path: Path, first: Sequence[str], whole: bool) -> str:
    """Return the delimiter of a `sample`.

    It is the one of `DELIMITERS` that divides every line into the same number of columns, at least
    two. Quoted cells may contain delimiters and line breaks. If none does, the delimiter for which
    the most lines agree is returned, so that the reader reports the line that differs. first: the
    sampled lines. whole: True if they are the whole file.

    Raises ValueError if several do. The message quotes a cell with a decimal comma if there is one.
    """
    cut = False

    def blank(found: re.Match[str]) -> str:
        nonlocal cut
        cut = cut or not found[1]
        return '""'

    plain = [line for line in _QUOTED.sub(blank, "".join(first)).split("\n") if line.strip()]
    if (cut or not whole) and len(plain) > 1:
        plain.pop()  # the last line may be incomplete
    columns = {letter: [line.count(letter) + 1 for line in plain] for letter in DELIMITERS}
    agreed = [letter for letter, n in columns.items() if n and min(n) == max(n) >= 2]
    if len(agreed) == 1:
        return agreed[0]
    if agreed:
        _require_no_decimal_comma(path, first, agreed)
        ways = " and ".join(f"by {letter!r} into {columns[letter][0]}" for letter in agreed)
        raise ValueError(
            f"{path}: the delimiter is ambiguous, every line can be divided {ways} columns; "
            "quote cells that contain a delimiter"
        )

    def agreement(letter: str) -> int:
        several = Counter(n for n in columns[letter] if n >= 2)
        return max(several.values(), default=0)

    return max(DELIMITERS, key=agreement)


def _require_no_decimal_comma(path: Path, first: Sequence[str], agreed: Sequence[str]) -> None:
    for letter in agreed:
        if letter == ",":
            continue
        names = None
        for line, row in records(path, first, letter):
            found = next((i for i, cell in enumerate(row) if has_decimal_comma(cell)), None)
            if found is not None:
                column = shown(names[found].strip()) if names else f"{found} (from 0)"
                raise decimal_comma(f"{path}, line {line}, column {column}", row[found])
            if names is None and all(number(cell) is None for cell in row):
                names = row


def decimal_comma(where: str, cell: str) -> ValueError:
    """Return the error for a number that is written with a comma."""
    return ValueError(
        f"{where}: must be a number with a decimal point, got {shown(cell)}; write numbers as "
        "70.5, without commas (pandas: to_csv writes points, read_csv reads decimal=',')"
    )
