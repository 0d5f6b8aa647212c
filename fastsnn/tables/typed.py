"""Types of the text cells of a file: numbers with points or commas, dates by a format, or text.

A column has a type only if every cell fits that is not missing. Text stays text: the recipe decides
whether it is a category, a boolean or an ISO date.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from fastsnn.checks.scalars import shown
from fastsnn.tables.cells import LARGEST, has_decimal_comma, is_code, is_missing, number
from fastsnn.tables.dates import written_all
from fastsnn.tables.kinds import FEW, MANY

Cells = Sequence[str | None] | np.ndarray
Where = Callable[[int], str]  # index of a row -> "FILE, line 7, column 'x'"
DASHES = frozenset({"-", "--", "."})  # missing values among numbers and dates; text elsewhere
EXACT = 2**53  # float64 represents all smaller integers
_DIGITS = set("0123456789")
_LETTERS = _DIGITS | set("+-.eE")
_COMMA = re.compile(r"[+-]?(?:\d+|\d*,\d+)(?:[eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")  # 1,234 may also be a number of thousands
_DATE = re.compile(
    r"(\d{1,2}|\d{4})([-/.])\d{1,2}\2(\d{1,2}|\d{4})([T ]?)(\d{1,2}:\d{2})?(:\d{2})?"
)


@dataclass(frozen=True, eq=False)
class Typed:
    """Values of a column and what was assumed.

    values: (n,), int64, float64, or object with text and None. comma, point: True if numbers have a
    decimal comma or point. codes: True if numbers were read as text because of leading zeros. date:
    format of the dates for `datetime.strptime`; the values are then text. missing: spellings of
    missing values, without the empty cell.
    """

    values: np.ndarray
    comma: bool = False
    point: bool = False
    codes: bool = False
    date: str | None = None
    missing: frozenset[str] = frozenset()


def infer(cells: Cells, where: Where) -> Typed:
    """Return the values of a column of n text cells.

    They are numbers, int64 (all whole, none missing) or float64, if all cells are numbers that are
    not missing, except whole numbers with leading zeros ("007"). Otherwise they are text.

    Raises ValueError, with line and column, for an infinite number, for commas that may be decimal
    or separate thousands, and for dates whose day and month cannot be told apart.
    """
    plain = _plain(cells)
    if plain is not None:
        return plain
    values, gaps, dashes = _split(cells)
    if not values and not dashes:
        return Typed(np.full(len(cells), np.nan), missing=gaps)
    if values and all(number(c) is not None for c in values):
        if any(map(is_code, values)) and all(c.isdigit() for c in values):
            return Typed(_text(cells), codes=True, missing=gaps)
        return Typed(_numbers(cells, where), point=_point(values), missing=gaps | dashes)
    if values and all(has_decimal_comma(c) or number(c) is not None for c in values):
        _require_commas(cells, values, where)
        return Typed(_numbers(cells, where, comma=True), comma=True, missing=gaps | dashes)
    date = _date_format(cells, values, where) if values else None
    if date is not None:
        return Typed(_text(cells, DASHES), date=date, missing=gaps | dashes)
    return Typed(_text(cells), missing=gaps)


def convert(cells: Cells, kind: str, where: Where) -> Typed:
    """Return the values of a column of n text cells for a column of a recipe of this kind.

    "numeric" gives float64, or int64 as in `infer`; all other kinds text. Raises ValueError, with
    line and column, for a cell that is not a number.
    """
    if kind != "numeric":
        return Typed(_text(cells, DASHES if kind == "date" else frozenset()))
    plain = _plain(cells)
    if plain is not None and not plain.codes:
        return plain
    values, *_ = _split(cells)
    others = [c for c in values if number(c) is None]
    comma = bool(others) and all(map(has_decimal_comma, others))
    if comma:
        _require_commas(cells, values, where)
    return Typed(_numbers(cells, where, comma), comma=comma, point=not comma and _point(values))


def decimal_comma(where: str, cell: str) -> ValueError:
    """Return the error for a number that is written with a comma."""
    return ValueError(
        f"{where}: must be a number with a decimal point, got {shown(cell)}; write numbers as "
        "70.5, without commas (pandas: to_csv writes points, read_csv reads decimal=',')"
    )


def _plain(cells: Cells) -> Typed | None:
    """Return what `infer` returns for numbers in plain notation and empty cells, in less time.

    None for all other columns.
    """
    values = [c for c in cells if c is not None]
    letters = set("".join(values))
    if not values or not letters <= _LETTERS:
        return None
    try:
        numbers = np.array(list(map(float, values)))
    except ValueError:  # an empty cell in quotes, 1.2.3
        return None
    if not np.abs(numbers).max() <= LARGEST:
        return None
    if letters <= _DIGITS and any(c[0] == "0" and len(c) > 1 for c in values):
        return Typed(_text(cells), codes=True)
    if len(values) < len(cells):
        found = np.full(len(cells), np.nan)
        found[[c is not None for c in cells]] = numbers
    else:
        found = _whole(numbers)
    return Typed(found, point="." in letters)


def _whole(numbers: np.ndarray) -> np.ndarray:
    """Return numbers as int64 if all are whole, exact and not missing."""
    if np.all(np.abs(numbers) < EXACT) and np.all(numbers == np.rint(numbers)):
        return numbers.astype(np.int64)
    return numbers


def _split(cells: Cells) -> tuple[list[str], frozenset[str], frozenset[str]]:
    """Return the distinct (values, spellings of missing values, dashes), without outer spaces."""
    distinct = dict.fromkeys(c.strip() for c in dict.fromkeys(cells) if c is not None)
    gaps = frozenset(c for c in distinct if is_missing(c))
    values = [c for c in distinct if c not in gaps and c not in DASHES]
    return values, gaps - {""}, frozenset(distinct) & DASHES


def _point(values: Iterable[str]) -> bool:
    return any("." in c for c in values)


def _row(cells: Cells, cell: str) -> int:
    """Return the row of the first cell with this text, without outer spaces; one must exist."""
    return next(i for i, c in enumerate(cells) if c is not None and c.strip() == cell)


def _mapped(cells: Cells, convert: Callable[[str], Any], none: Any, dtype: Any) -> np.ndarray:
    """Return an array (n,) of `convert` of each cell, called once for each distinct one."""
    known: dict[str | None, Any] = {
        cell: none if cell is None else convert(cell.strip()) for cell in dict.fromkeys(cells)
    }
    found = np.empty(len(cells), dtype)
    found[:] = [known[cell] for cell in cells]
    return found


def _text(cells: Cells, gaps: frozenset[str] = frozenset()) -> np.ndarray:
    """Return text without outer spaces, None for missing values and for `gaps`."""
    return _mapped(cells, lambda c: None if is_missing(c) or c in gaps else c, None, object)


def _numbers(cells: Cells, where: Where, comma: bool = False) -> np.ndarray:
    def convert(cell: str) -> float:
        if cell in DASHES or is_missing(cell):
            return np.nan
        value = number(cell.replace(",", ".") if comma else cell)
        if value is not None and abs(value) <= LARGEST:
            return value
        place = where(_row(cells, cell))
        if value is None and has_decimal_comma(cell):
            raise decimal_comma(place, cell)
        raise ValueError(
            f"{place}: must be a finite number, got {shown(cell)}; correct it, or in training "
            "declare the column as categorical"
        )

    return _whole(_mapped(cells, convert, np.nan, np.float64))


def _require_commas(cells: Cells, values: Sequence[str], where: Where) -> None:
    """Raise ValueError unless the commas of numbers are decimal commas beyond doubt."""
    wrong = [c for c in values if not _COMMA.fullmatch(c)]
    if any("." in c and "," not in c for c in wrong):  # a decimal point is used elsewhere
        wrong = [c for c in values if "," in c]
    if not wrong and all(_THOUSANDS.fullmatch(c) for c in values if "," in c):
        wrong = [c for c in values if "," in c]
    if wrong:
        raise decimal_comma(where(_row(cells, wrong[0])), wrong[0])


def _date_format(cells: Cells, values: Sequence[str], where: Where) -> str | None:
    """Return the format of dates other than ISO dates; None if the values are no such dates.

    Raises ValueError if they are dates by day and month and by month and day, or if most are dates
    and few are not.
    """
    found = next(filter(None, map(_DATE.fullmatch, values)), None)
    if found is None or (found[1].isdigit() and len(found[1]) == 4 and found[2] == "-"):
        return None
    mark, gap = found[2], found[4]
    clock = gap + ("%H:%M" if found[5] else "") + (":%S" if found[6] else "")
    if len(found[1]) == 4:
        orders = [mark.join(("%Y", "%m", "%d"))]
    elif len(found[3]) == 4:
        orders = [mark.join(("%d", "%m", "%Y"))]
        orders += [mark.join(("%m", "%d", "%Y"))] * (mark != ".")
    else:
        return None
    fitting = [order + clock for order in orders if _fits(values, order + clock)]
    if len(fitting) > 1 and any(_moment(c, fitting[0]) != _moment(c, fitting[1]) for c in values):
        raise ValueError(
            f"{where(_row(cells, values[0]))}: it is unclear which number is the day and which the "
            f"month, got {shown(values[0])}; write dates as 2013-01-31, or declare the column as "
            "categorical"
        )
    if not fitting:
        _require_no_typing_error(cells, values, [order + clock for order in orders], where)
    return fitting[0] if fitting else None


def _require_no_typing_error(
    cells: Cells, values: Sequence[str], patterns: Iterable[str], where: Where
) -> None:
    """Raise ValueError if most values are dates by one of the patterns, and few are not."""
    for pattern in patterns:
        odd = [c for c in values if _moment(c, pattern) is None]
        if len(values) - len(odd) >= MANY and len(odd) <= FEW * len(values):
            raise ValueError(
                f"{where(_row(cells, odd[0]))}: a date written as {shown(pattern)} is required, as "
                f"in most rows, got {shown(odd[0])}; correct it, or declare the column as "
                "categorical"
            )


def _fits(values: Sequence[str], pattern: str) -> bool:
    if written_all(values, pattern) is not None:
        return True
    return all(_moment(c, pattern) is not None for c in values)


def _moment(text: str, pattern: str) -> datetime | None:
    try:
        return datetime.strptime(text, pattern)
    except ValueError:
        return None
