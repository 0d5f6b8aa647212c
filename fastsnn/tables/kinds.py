"""Find the kind of a column: numeric, boolean, categorical or date; detect identifiers."""

from __future__ import annotations

import numpy as np

from fastsnn.checks.scalars import shown
from fastsnn.tables import cells
from fastsnn.tables.boolean import PAIRS
from fastsnn.tables.dates import iso, iso_all
from fastsnn.tables.place import Place
from fastsnn.tables.values import missing

KINDS = ("numeric", "boolean", "categorical", "date")
OF_DTYPE = {"f": "numeric", "i": "numeric", "u": "numeric", "b": "boolean", "M": "date"}
# A column of text with this many different numbers, and few other values, has typing errors: it is
# refused. With fewer numbers, such as "1", "2", "3+", it is categorical.
MANY, FEW = 20, 0.1
ROWS = 20  # fewer rows are not enough to call a column an identifier
DISTINCT = 0.95  # share of different values of text above which it is like an identifier


def infer(values: np.ndarray, place: Place) -> str:
    """Return the kind of a column with at least one value, by its dtype or its text.

    Text is numeric if all its values are numbers, none of them with leading zeros ("007");
    boolean if they are one of the pairs true/false, yes/no, y/n, t/f in any case; date if all are
    ISO dates; else categorical. Raises ValueError, with an example, if most values are numbers or
    dates and few are not.
    """
    if values.dtype.kind != "O":
        return OF_DTYPE[values.dtype.kind]
    words = [word for word in dict.fromkeys(values.tolist()) if word is not None]
    if len(words) <= 6 and any({word.lower() for word in words} <= set(pair) for pair in PAIRS):
        return "boolean"
    if any(map(cells.is_code, words)):
        return "categorical"
    if iso_all(words) is not None:
        return "date"
    for kind, is_one in (("number", cells.number), ("date", iso)):
        found = sum(is_one(word) is not None for word in words)
        if found == len(words):
            return "numeric" if kind == "number" else "date"
        if found >= MANY and len(words) - found <= FEW * len(words):
            odd = next(word for word in words if is_one(word) is None)
            row = int((values == odd).argmax())
            raise ValueError(
                f"{place.at(row)}: a {kind} is required, as in most rows, got {shown(odd)}; "
                "correct it, or declare the column as categorical"
            )
    if sum(map(cells.has_decimal_comma, words)) > len(words) / 2:
        odd = next(word for word in words if cells.has_decimal_comma(word))
        raise ValueError(
            f"{place}: numbers with a decimal point are required, got {shown(odd)}; convert them, "
            "or declare the column as categorical"
        )
    return "categorical"


def is_empty(values: np.ndarray) -> bool:
    """Return True if all values are missing."""
    return bool(missing(values[:1])[0] and missing(values).all())


def is_constant(values: np.ndarray) -> bool:
    """Return True if all values are equal, and none is missing."""
    return bool((values == values[0]).all())


def is_identifier(values: np.ndarray, kind: str) -> bool:
    """Return True for text whose values nearly all differ, and for integers that count up.

    values: in the order of the table.
    """
    if len(values) < ROWS:
        return False
    if kind == "categorical" and values.dtype.kind == "O":
        known = len(values) - int(missing(values).sum())
        different = len(set(values.tolist()) - {None})
        return known >= ROWS and different > DISTINCT * known
    return values.dtype.kind in "iu" and bool((values[1:] > values[:-1]).all())
