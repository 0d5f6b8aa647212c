"""Parse lines of numbers with `numpy.loadtxt`."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from fastsnn.data.files import brief


def parse(
    text: bytes, dtype: DTypeLike = np.float64, delimiter: str | None = ",", **more: Any
) -> np.ndarray:
    """Parse text without comments by `numpy.loadtxt`.

    Returns an array (lines, numbers per line), or (lines,) if `dtype` is structured. more: further
    arguments of `numpy.loadtxt`. Raises ValueError if the text is empty or cannot be parsed.
    """
    if not text or text.isspace():
        raise ValueError("there are no numbers")
    ndmin = 2 if np.dtype(dtype).names is None else 1
    try:
        return np.loadtxt(
            io.BytesIO(text), np.dtype(dtype), delimiter=delimiter, comments=None,
            ndmin=2 if ndmin == 2 else 1, **more,
        )  # fmt: skip
    except (ValueError, OverflowError, RuntimeError, TypeError) as error:  # it may quote a cell
        raise ValueError(brief(error)) from error
