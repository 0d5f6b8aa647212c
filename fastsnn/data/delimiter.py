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
ANY = (*DELIMITERS, "|")  # of a table with text, which DuckDB divides
TITLES = 20  # maximum lines above such a table
# Maximum lines and characters of the sample. At least 10 lines are sampled, however long.
LINES, CHARACTERS = 1000, 1 << 20
_QUOTED = re.compile(r'(?:(?<=[,;|\t\n])|\A)"[^"]*(?:""[^"]*)*("|\Z)')


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
    plain = [line for line in _unquoted(first, whole) if line.strip()]
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


def choose_any(
    path: Path, first: Sequence[str], whole: bool
) -> tuple[str, int, int, bool]:  # fmt: skip
    """Return (delimiter of a `sample`, lines above the table, columns, True if all lines agree).

    The rule is that of `choose` with the delimiters `ANY`, for files with titles and decimal
    commas: up to `TITLES` first lines without the delimiter are no part of the table, and a letter
    other than the comma wins if the commas of its cells are decimal commas. If no letter divides
    all lines, the one for which the most lines agree is returned, and False.

    Raises ValueError if several divide all lines.
    """
    plain = _unquoted(first, whole)
    agreed: dict[str, tuple[int, int]] = {}
    for letter in ANY:
        columns = [line.count(letter) + 1 if line.strip() else 0 for line in plain]
        skip = next((i for i, n in enumerate(columns) if n > 1), len(columns))
        sizes = {n for n in columns[skip:] if n}
        titles = sum(1 for n in columns[:skip] if n)
        if len(sizes) == 1 and titles <= TITLES and (not titles or len(columns) - skip > 1):
            agreed[letter] = skip, sizes.pop()
    fewest = min((skip for skip, _ in agreed.values()), default=0)
    agreed = {letter: found for letter, found in agreed.items() if found[0] == fewest}
    if len(agreed) > 1 and "," in agreed:
        others = [letter for letter in agreed if letter != ","]
        if any(_has_decimal_commas(path, first[fewest:], letter) for letter in others):
            del agreed[","]
    if len(agreed) > 1:
        ways = " and ".join(f"by {letter!r} into {n}" for letter, (_, n) in agreed.items())
        raise ValueError(
            f"{path}: the delimiter is ambiguous, every line can be divided {ways} columns; "
            "quote cells that contain a delimiter"
        )
    if agreed:
        ((letter, (skip, width)),) = agreed.items()
        return letter, skip, width, True
    lines = [line for line in plain if line.strip()]

    def agreement(letter: str) -> int:
        several = Counter(n for line in lines if (n := line.count(letter)))
        return max(several.values(), default=0)

    best = max(ANY, key=agreement)
    blank = next(i for i, line in enumerate(plain) if line.strip())
    return best, blank, lines[0].count(best) + 1, False


def _unquoted(first: Sequence[str], whole: bool) -> list[str]:
    """Return the complete lines of a sample, with \"\" in the place of quoted cells."""
    cut = False

    def blank(found: re.Match[str]) -> str:
        nonlocal cut
        cut = cut or not found[1]
        return '""'

    plain = _QUOTED.sub(blank, "".join(first)).split("\n")
    if plain and not plain[-1]:
        plain.pop()
    if (cut or not whole) and sum(1 for line in plain if line.strip()) > 1:
        plain.pop()  # the last line may be incomplete
    return plain


def _has_decimal_commas(path: Path, first: Sequence[str], letter: str) -> bool:
    """Return True if all commas in cells below the first line are decimal commas, at least one."""
    found = [
        has_decimal_comma(cell)
        for number, (_, row) in enumerate(records(path, first, letter))
        for cell in row
        if number and "," in cell
    ]
    return bool(found) and all(found)


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
