"""Validate single values from a caller or a file, and format them for error messages.

This module imports no other module of the package, so that layers and optimizers can use it.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Any

import numpy as np

MOST_SHOWN = 60  # maximum characters of a quoted value
TAIL = 17  # characters kept from its end, because names often differ only there
FLOAT32_MAX = float(np.finfo(np.float32).max)


def plain(value: Any) -> Any:
    """Return a NumPy scalar as a Python number or string; anything else unchanged."""
    return value.item() if isinstance(value, np.generic) else value


def shown(value: Any) -> str:
    """Return `repr(value)` as one line of at most 60 characters, shortened in the middle."""
    value = plain(value)
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an int of more than 4,300 digits; endless nesting
        return f"a very long {type(value).__name__}"
    if not isinstance(value, str):  # spaces within a string are significant
        text = " ".join(text.split())
    if len(text) <= MOST_SHOWN:
        return text
    return f"{text[: MOST_SHOWN - TAIL - 3]}...{text[-TAIL:]}"


def listed(names: Iterable[str], most: int = 6) -> str:
    """Return the first `most` names in quotes, followed by the number of further names."""
    names = list(names)
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(shown(name) for name in names[:most]) + more


def integer(value: Any, where: str, low: int | None = None, high: int | None = None) -> int:
    """Return `value` as an int in [low, high]; a bound of None is not checked.

    NumPy integers are accepted, bools are not. Raises TypeError or ValueError, "{where} must be
    ...".
    """
    value = plain(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{where} must be an int, got {shown(value)}")
    if low is not None and value < low:
        raise ValueError(f"{where} must be at least {low}, got {shown(value)}")
    if high is not None and value > high:
        raise ValueError(f"{where} must be at most {high:,}, got {shown(value)}")
    return int(value)


def number(value: Any, where: str, low: float = -inf, high: float = inf, ends: str = "[)") -> float:
    """Return `value` as a finite float between low and high; `ends`: brackets of the interval.

    NumPy numbers are accepted, bools and strings are not. Raises TypeError or ValueError, "{where}
    must be ...".
    """
    value = plain(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{where} must be a number, got {shown(value)}")
    above = low < value or (ends[0] == "[" and low == value)
    below = value < high or (ends[1] == "]" and value == high)
    if not (above and below and is_finite(value)):
        bounded = (low, high) != (-inf, inf)
        wanted = f"in {ends[0]}{low:g}, {high:g}{ends[1]}" if bounded else "finite"
        raise ValueError(f"{where} must be {wanted}, got {shown(value)}")
    return float(value)


def is_finite(value: int | float) -> bool:
    """Return True if `value` is finite as a float64.

    Unlike `math.isfinite`, this does not raise for ints of more than 308 digits.
    """
    try:
        return abs(float(value)) < inf
    except OverflowError:
        return False
