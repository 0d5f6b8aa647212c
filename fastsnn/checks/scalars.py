"""Checks of single values from a caller or a file, and their one-line form in errors.

This module imports nothing of the package, so that layers and optimizers can use it.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Any

import numpy as np

MOST_SHOWN = 60  # letters of a quoted value
TAIL = 17  # of them from its end: names often differ only there
FLOAT32_MAX = float(np.finfo(np.float32).max)


def plain(value: Any) -> Any:
    """A NumPy scalar as a Python number or text; anything else unchanged."""
    return value.item() if isinstance(value, np.generic) else value


def shown(value: Any) -> str:
    """`repr` for an error message: one line of at most 60 letters, shortened in the middle."""
    value = plain(value)
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an int of more than 4,300 digits; endless nesting
        return f"a very long {type(value).__name__}"
    if not isinstance(value, str):  # blanks within a text are part of it
        text = " ".join(text.split())
    if len(text) <= MOST_SHOWN:
        return text
    return f"{text[: MOST_SHOWN - TAIL - 3]}...{text[-TAIL:]}"


def listed(names: Iterable[str], most: int = 6) -> str:
    """The first `most` names in quotes, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(shown(name) for name in names[:most]) + more


def integer(value: Any, where: str, low: int | None = None, high: int | None = None) -> int:
    """`value` as an int in [low, high], either of which may be None.

    NumPy integers are accepted, bools are not. Raises TypeError or ValueError: "{where} must be
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
    """`value` as a finite float between low and high; `ends` are the brackets of the interval.

    NumPy numbers are accepted, bools and texts are not. Raises TypeError or ValueError: "{where}
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
    """True for a finite float64; `math.isfinite` raises for ints of more than 308 digits."""
    try:
        return abs(float(value)) < inf
    except OverflowError:
        return False
