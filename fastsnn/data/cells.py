"""What the text of one cell of a table means."""

from __future__ import annotations

import re

import numpy as np

LARGEST = float(np.finfo(np.float32).max)
MISSING = frozenset({"", "?", "na", "n/a", "nan"})


def is_missing(text: str) -> bool:
    return text.strip().lower() in MISSING


def number(text: str) -> float | None:
    """The number that `text` writes (infinity among them), None for anything else."""
    if "_" in text or is_missing(text):  # Python reads 1_000 and nan as numbers; a table does not
        return None
    try:
        return float(text)
    except ValueError:
        return None


def is_finite(text: str) -> bool:
    """Whether `text` writes a number that float32 can hold."""
    value = number(text)
    return value is not None and abs(value) <= LARGEST


def class_name(value: str | float) -> str:
    """One spelling per class: 1, 1.0 and "01" are the class "1"; other text is kept, stripped."""
    if isinstance(value, str):
        text = value.strip()
        if re.fullmatch(r"[+-]?[0-9]{1,99}", text):
            return str(int(text))  # not through float: identifiers may have more than 16 digits
        value = number(text)
        if value is None:
            return text
    return str(int(value)) if value.is_integer() else repr(float(value))


def class_order(name: str) -> tuple[bool, float, str]:
    """Sort key: numbers by value, then text by the alphabet."""
    value = number(name)
    return (value is None, 0.0 if value is None else value, name)
