"""Single numbers at the edge: Python's and NumPy's are taken alike, bools are not numbers here."""

import operator
from math import isfinite

import numpy as np


def integer(value, where: str, low: int = 1, high: int | None = None) -> int:
    """A whole number in [low, high], int or NumPy's, as an int.

    Raises TypeError for what is no whole number, bool among them, ValueError for one out of range.
    """
    if high is None:
        wanted = f"an int >= {low}"
    else:
        wanted = f"an int in [{low}, {high}]"
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise TypeError(f"{where} must be {wanted}, got {shown(value)}")
    value = operator.index(value)
    if value < low or (high is not None and value > high):
        raise ValueError(f"{where} must be {wanted}, got {shown(value)}")
    return value


def number(value, where: str) -> int | float:
    """A finite number, int, float or NumPy's, as an int or a float.

    Raises TypeError for what is no real number, bool among them, ValueError for NaN, infinity and
    what a float cannot hold.
    """
    real = isinstance(value, int | float | np.integer | np.floating)
    if isinstance(value, bool | np.bool_) or not real:
        raise TypeError(f"{where} must be a number, got {shown(value)}")
    value = value.item() if isinstance(value, np.generic) else value
    try:
        finite = isfinite(value)
    except OverflowError:
        finite = False
    if not finite:
        raise ValueError(f"{where} must be a finite number, got {shown(value)}")
    return value


def shown(value) -> str:
    """repr of a value in an error: at most about 60 letters."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, int) and abs(value) >= 10**50:
        return "an int of more than 50 digits"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
