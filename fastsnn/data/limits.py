"""Limits of what a packed file may unpack to: a small file must not fill the memory.

$FASTSNN_UNPACKED_LIMIT, a number of bytes, replaces them.
"""

from __future__ import annotations

import os
from pathlib import Path

from fastsnn.checks.scalars import shown

VARIABLE = "FASTSNN_UNPACKED_LIMIT"
ADVICE = f"if it is no mistake, set {VARIABLE} to more bytes"
UNPACKED_LIMIT = 8 << 30  # bytes of a data set's file; half of the memory where that is less
ALWAYS = 128 << 20  # bytes that any table may unpack to
RATIO = 250  # times the packed size: tables of numbers reach 5 to 50, of zeros and ones 200


def unpacked_limit() -> int:
    """Bytes that a packed file of a data set may unpack to: UNPACKED_LIMIT or half of this
    machine's memory, whichever is less; or the environment variable.

    Raises ValueError if the variable is not a number of bytes.
    """
    return bytes_from(VARIABLE, min(UNPACKED_LIMIT, _memory() // 2))


def table_limit(path: Path) -> int:
    """Bytes that a user's packed table may unpack to: `RATIO` times its size, at least `ALWAYS` and
    at most half of this machine's memory; or the environment variable.

    Raises ValueError if the variable is not a number of bytes.
    """
    return bytes_from(VARIABLE, min(max(ALWAYS, RATIO * path.stat().st_size), _memory() // 2))


def bytes_from(variable: str, default: int) -> int:
    """The number of bytes in an environment variable; `default` if it is not set."""
    text = os.environ.get(variable, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 19 and int(text)):
        raise ValueError(f"{variable}: must be a number of bytes above 0, got {shown(text)}")
    return int(text)


def too_large(path: Path, limit: int, size: int | None = None) -> ValueError:
    """The error for a table that unpacks to more than `limit` bytes."""
    has = "has more" if size is None else f"has {size:,}"
    return ValueError(
        f"{path}: must have at most {limit:,} bytes unpacked, {has} (packed "
        f"{path.stat().st_size:,}); {ADVICE}"
    )


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
