"""Detect whether the first line of a CSV file is a header.

The rule uses that features must be numbers, so that a header has no number in a feature column:

1. If `header` (--header, --no-header) is given, it decides.
2. A line that contains the name of a requested target, or all feature names of a model, is a
   header.
3. A line of words only is a header. A line of words and empty cells is also a header, and raises an
   error because a name is missing.
4. A line with a number in every feature column is a row. The following lines are ambiguous and
   raise an error: exactly 0, 1, ..., n - 1 in this order (unnamed columns in pandas); a target that
   is a word and is not a label in any other row (wavelengths and "species"); a target that is a
   number in a column of text; and consecutive numbers (1, 2, 3; years) whose target is not a label
   in any other row although labels repeat, or is the only label without a decimal point.
5. Any other line is a row with an invalid cell, which raises an error as in any other line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from fastsnn.checks.scalars import shown
from fastsnn.tables.cells import is_missing, number

ADVICE = "pass --header or --no-header (in Python: header=True or False)"
HINT = "; if this line contains the column names, pass --header (in Python: header=True)"


@dataclass(frozen=True)
class First:
    """Result of `classify` for the first line.

    doubts: target columns whose cell contradicts the result if the value occurs in the rows below
    (header) or does not occur there (row), see `confirm`. hint: appended to the error about an
    invalid cell in this line.
    """

    is_header: bool
    doubts: tuple[int, ...] = ()
    hint: str = ""


def classify(
    where: str,
    row: Sequence[str],
    targets: Collection[int] | None,
    asked: Collection[str],
    feature_names: Collection[str] | None,
    labels: Collection[str],
    unclear: bool | None,
) -> First:
    """Apply the rule in the module docstring to the first line.

    where: file and line, for errors. targets: the target columns if `row` is not a header; None if
    the targets are given as names that require a header. asked: requested names of targets.
    feature_names, labels: feature and class names of a model. unclear: the result if the line is
    ambiguous; None raises ValueError then.
    """
    cells = [cell.strip() for cell in row]
    known = set(cells)
    if feature_names and known.issuperset(feature_names):
        return First(True)
    if any(name in known for name in asked if number(name) is None):
        return First(True)
    numbers = [number(cell) is not None for cell in cells]
    words = [not n and not is_missing(cell) for n, cell in zip(numbers, cells, strict=True)]
    targets = set(targets or ())
    features = [i for i in range(len(cells)) if i not in targets]
    if any(words[i] for i in features):
        if all(word or cell == "" for word, cell in zip(words, cells, strict=True)):
            return First(True, tuple(i for i in sorted(targets) if words[i]))
        return First(False, hint=HINT)
    if cells[0] == "" and len(cells) > 2 and _numbered(cells[1:]):
        return First(True)  # index column of pandas: raises an error later, as it has no name
    if _numbered(cells):
        if unclear is None:
            raise ValueError(
                f"{where}: it is unclear whether 0, 1, ... are the column names or a row; {ADVICE}"
            )
        return First(unclear)
    numbers = numbers if unclear is None else [False] * len(cells)
    doubted = [w or n for w, n in zip(words, numbers, strict=True)]
    return First(False, tuple(i for i in sorted(targets) if doubted[i] and cells[i] not in labels))


def confirm(
    path: Path, line: int, row: Sequence[str], first: First, below: Sequence[Collection[str]],
    labels: Collection[str],
) -> None:  # fmt: skip
    """Raise ValueError if the rows below contradict the result of `classify` for the first line.

    below: cells of each column in `first.doubts`, without the first line.
    """
    for column, cells in zip(first.doubts, below, strict=True):
        word = row[column].strip()
        if not first.is_header and number(word) is not None:
            if _is_like_a_name(word, row, cells):
                raise ValueError(
                    f"{path}, line {line}: it is unclear whether these numbers are the column "
                    f"names or a row: {shown(word)} differs from the labels in the lines below; "
                    f"{ADVICE}"
                )
            continue
        occurs = word in labels or any(cell.strip() == word for cell in cells)
        if occurs != first.is_header:
            continue
        seen = "occurs" if occurs else "does not occur"
        raise ValueError(
            f"{path}, line {line}: it is unclear whether it contains the column names or a "
            f"row: {shown(word)} {seen} as a label in the lines below; {ADVICE}"
        )


def _is_like_a_name(word: str, row: Sequence[str], cells: Collection[str]) -> bool:
    """Return True if a number in line 1 may be the name of a column with these cells below."""
    if cells and all(number(cell) is None for cell in cells):
        return True
    values = list(map(number, row))
    if len(row) < 3 or any(a is None or a + 1 != b for a, b in pairwise(values)):
        return False
    if cells and all("." in cell for cell in cells):  # only the first cell is an integer
        return "." not in word
    below = Counter(map(number, cells))
    return number(word) not in below and max(below.values(), default=0) > 1


def _numbered(cells: Sequence[str]) -> bool:
    return all(cell == str(i) for i, cell in enumerate(cells))
