"""How much a packed file may unpack to: a small file must not fill the memory.

$FASTSNN_UNPACKED_LIMIT, a number of bytes, replaces the rule.
"""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "FASTSNN_UNPACKED_LIMIT"
ALWAYS = 128 << 20  # bytes that any file may unpack to
RATIO = 200  # times the packed size: tables of numbers reach 5 to 50, of zeros and ones 150


def unpacked_limit(path: Path) -> int:
    """Bytes that the packed file may unpack to: `RATIO` times its size, at least `ALWAYS` and at
    most half of the machine's memory; or what the environment variable says.

    Raises ValueError where the variable is no number of bytes.
    """
    text = os.environ.get(VARIABLE, "").strip()
    if text:
        if not (text.isascii() and text.isdigit() and len(text) < 19 and int(text)):
            raise ValueError(f"{VARIABLE}: must be a number of bytes above 0, got {text[:40]!r}")
        return int(text)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(max(ALWAYS, RATIO * path.stat().st_size), memory // 2)


def too_large(path: Path, limit: int, size: int | None = None) -> ValueError:
    """The error for a file that unpacks to more than `limit` bytes."""
    has = "has more" if size is None else f"has {size:,}"
    return ValueError(
        f"{path}: must have at most {limit:,} bytes unpacked, {has} (packed "
        f"{path.stat().st_size:,}); if it is no mistake, set {VARIABLE} to more bytes"
    )
