"""Limits of the uncompressed size of files, so that a small file cannot fill the memory.

The environment variable FASTSNN_UNPACKED_LIMIT, a number of bytes, overrides them.
"""

from __future__ import annotations

import os
from pathlib import Path

from fastsnn.checks.scalars import shown

VARIABLE = "FASTSNN_UNPACKED_LIMIT"
ADVICE = f"if this is intended, set {VARIABLE} to more bytes"
UNPACKED_LIMIT = 8 << 30  # bytes of a data set's file, or half of the memory if that is less
ALWAYS = 128 << 20  # uncompressed bytes that are allowed for any table
RATIO = 250  # maximum compression ratio; tables of numbers reach 5 to 50, of zeros and ones 200


def unpacked_limit() -> int:
    """Return the maximum uncompressed bytes of a named data set's file.

    This is UNPACKED_LIMIT or half of this machine's memory, whichever is less, unless the
    environment variable overrides it. Raises ValueError if the variable is not a positive integer.
    """
    return bytes_from(VARIABLE, min(UNPACKED_LIMIT, _memory() // 2))


def table_limit(path: Path) -> int:
    """Return the maximum uncompressed bytes of a user's compressed table.

    This is `RATIO` times its size, at least `ALWAYS` and at most half of this machine's memory,
    unless the environment variable overrides it. Raises ValueError if the variable is not a
    positive integer.
    """
    return bytes_from(VARIABLE, min(max(ALWAYS, RATIO * path.stat().st_size), _memory() // 2))


def bytes_from(variable: str, default: int) -> int:
    """Return the number of bytes in an environment variable; `default` if it is not set."""
    text = os.environ.get(variable, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 19 and int(text)):
        raise ValueError(f"{variable}: must be a number of bytes above 0, got {shown(text)}")
    return int(text)


def too_large(path: Path, limit: int, size: int | None = None) -> ValueError:
    """Return the error for a table of more than `limit` uncompressed bytes."""
    has = "has more" if size is None else f"has {size:,}"
    return ValueError(
        f"{path}: must have at most {limit:,} bytes unpacked, {has} (packed "
        f"{path.stat().st_size:,}); {ADVICE}"
    )


def _memory() -> int:
    """Return the bytes of this machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
