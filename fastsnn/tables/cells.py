"""Interpret the text of one table cell: missing value, number, code or class name."""

from __future__ import annotations

import math
import re

import numpy as np

LARGEST = float(np.finfo(np.float32).max)
# The missing values of pandas (its STR_NA_VALUES), and "?" as in the UCI files.
MISSING = frozenset(
    {
        "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
        "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null", "?",
    }
)  # fmt: skip
_NAN = re.compile(r"[+-]?nan", re.IGNORECASE)  # float() accepts these; none is a class name
_DECIMAL_COMMA = re.compile(
    r"[+-]?(\d{1,3}(?:[. ]\d{3})+|\d*),\d+([eE][+-]?\d+)?|[+-]?\d{1,3}(,\d{3})+(\.\d*)?"
)
_PARTS = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?)(\d+))?")


def is_missing(text: str) -> bool:
    """Return True if `text` is one of `MISSING` or a spelling of NaN, ignoring outer spaces."""
    text = text.strip()
    return text in MISSING or (len(text) <= 4 and _NAN.fullmatch(text) is not None)


def number(text: str) -> float | None:
    """Return the number that `text` represents, possibly infinite; None if it is not a number."""
    text = text.strip()
    # float() also accepts 1_000, non-ASCII digits, and nan.
    if "_" in text or not text.isascii():
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return None if math.isnan(value) else value


def is_finite(text: str) -> bool:
    """Return True if `text` is a number within the range of float32."""
    value = number(text)
    return value is not None and abs(value) <= LARGEST


def has_decimal_comma(text: str) -> bool:
    """Return True if `text` looks like a number with a comma: 70,5 or 1.234,5 or 1,234,567.8."""
    return "," in text and _DECIMAL_COMMA.fullmatch(text.strip()) is not None


def is_code(text: str) -> bool:
    """Return True if `text` is a code: digits with a leading zero, such as 007."""
    text = text.strip()
    return len(text) > 1 and text[0] == "0" and text.isascii() and text.isdigit()


def number_name(value: str | int | float) -> str:
    """Return the canonical spelling of a number: "1" for 1, 1.0 and "01"; "0.1" for "0.10".

    The spelling is exact. Integers keep all digits. Other numbers are written as a Python float if
    that is exactly equal, else with all digits. value: a finite number, or a string for which
    `number` returns one.
    """
    if not isinstance(value, str):
        return str(int(value)) if value == int(value) else repr(float(value))
    sign, digits, exponent = _exact(value)
    if not digits:
        return "0"
    if 0 <= exponent <= 400:
        return sign + digits + "0" * exponent
    short = repr(float(value))
    if _exact(short) == (sign, digits, exponent):
        return short
    return f"{sign}{digits}e{exponent}"


def _exact(text: str) -> tuple[str, str, int]:
    """Return (sign, digits, exponent) with the value sign digits x 10^exponent.

    The digits have no leading and no trailing 0; "" represents 0.
    """
    match = _PARTS.fullmatch(text.strip())
    if match is None:
        return "", text, 0
    sign, whole, fraction, exponent_sign, exponent = (part or "" for part in match.groups())
    exponent = exponent.lstrip("0")[:18]  # with more digits the value is 0 or infinite anyway
    power = int(f"{exponent_sign}{exponent or 0}") - len(fraction)
    digits = (whole + fraction).lstrip("0")
    kept = digits.rstrip("0")
    power += len(digits) - len(kept)
    return ("-" if sign == "-" and kept else ""), kept, power if kept else 0


def class_order(name: str) -> tuple[bool, float, str]:
    """Return a sort key: numbers by value, then text in alphabetical order."""
    value = number(name)
    return (value is None, 0.0 if value is None else value, name)
