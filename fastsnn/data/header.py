"""Detection of a header: does the first line of a CSV file hold the names of the columns?

The rule (features must be numbers, so a line of names has no number in a feature column):

1. `header` (--header, --no-header) decides if it is given.
2. A line with a requested name, of a target or of a feature of a model, is a header.
3. A line of words only is a header. So is one of words and empty cells, which is then refused.
4. A line with a number in every feature column is a row. These are ambiguous and therefore refused:
   exactly 0, 1, ..., n - 1 in this order (columns without names in pandas); a target that is a word
   and does not occur again as a label (wavelengths, and "species"); a target that is a number above
   text only; and consecutive numbers (1, 2, 3; years) whose target does not occur again although
   others do, or is the only one without a decimal point.
5. Anything else is a row with a bad cell, which is refused as in any other line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from fastsnn.checks.scalars import shown
from fastsnn.data.cells import is_missing, number

ADVICE = "say which with --header or --no-header (in Python: header=True or False)"
HINT = "; if this line holds the names of the columns, say --header (in Python: header=True)"


@dataclass(frozen=True)
class First:
    """Result of `look` for the first line. doubts: target columns whose word or number contradicts
    the result if it does (header) or does not (row) occur below, see `settle`. hint: for the error
    of a bad cell in this line.
    """

    is_header: bool
    doubts: tuple[int, ...] = ()
    hint: str = ""


def look(
    where: str,
    row: Sequence[str],
    targets: Collection[int] | None,
    asked: Collection[str],
    feature_names: Collection[str] | None,
    labels: Collection[str],
    unclear: bool | None,
) -> First:
    """Apply the rule above.

    where: file and line. targets: the target columns if `row` is not a header, None if they must be
    names. asked: names of targets. labels: known ones. unclear: the answer if it is unclear.
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
        return First(True)  # an index column of pandas: refused later, since it has no name
    if _numbered(cells):
        if unclear is None:
            raise ValueError(
                f"{where}: it is unclear whether 0, 1, ... are the names of the columns or a row; "
                f"{ADVICE}"
            )
        return First(unclear)
    numbers = numbers if unclear is None else [False] * len(cells)
    doubted = [w or n for w, n in zip(words, numbers, strict=True)]
    return First(False, tuple(i for i in sorted(targets) if doubted[i] and cells[i] not in labels))


def settle(
    path: Path, line: int, row: Sequence[str], first: First, below: Sequence[Collection[str]],
    labels: Collection[str],
) -> None:  # fmt: skip
    """Raise ValueError if the rows below do not confirm the result of `look` for the first line.

    below: the cells of each column in `first.doubts`, without the first line.
    """
    for column, cells in zip(first.doubts, below, strict=True):
        word = row[column].strip()
        if not first.is_header and number(word) is not None:
            if _is_like_a_name(word, row, cells):
                raise ValueError(
                    f"{path}, line {line}: it is unclear whether these numbers are the names of "
                    f"the columns or a row: {shown(word)} is unlike the labels in the lines below; "
                    f"{ADVICE}"
                )
            continue
        occurs = word in labels or any(cell.strip() == word for cell in cells)
        if occurs != first.is_header:
            continue
        seen = "occurs" if occurs else "does not occur"
        raise ValueError(
            f"{path}, line {line}: it is unclear whether it holds the names of the columns or a "
            f"row: {shown(word)} {seen} as a label in the lines below; {ADVICE}"
        )


def _is_like_a_name(word: str, row: Sequence[str], cells: Collection[str]) -> bool:
    """Return True if a number in line 1 is rather the name of a column with these cells below."""
    if cells and all(number(cell) is None for cell in cells):
        return True
    values = list(map(number, row))
    if len(row) < 3 or any(a is None or a + 1 != b for a, b in pairwise(values)):
        return False
    if cells and all("." in cell for cell in cells):  # of this column, line 1 alone is whole
        return "." not in word
    below = Counter(map(number, cells))
    return number(word) not in below and max(below.values(), default=0) > 1


def _numbered(cells: Sequence[str]) -> bool:
    return all(cell == str(i) for i, cell in enumerate(cells))
