"""The sizes of this processor's own caches, and the blocks of operands that fit them."""

import functools
from pathlib import Path

FLOAT = 4  # bytes
# Fallback if the system reports no sizes: the smallest caches of processors of the last ten years.
FIRST, SECOND = 32 << 10, 256 << 10
CPU0 = Path("/sys/devices/system/cpu/cpu0/cache")


@functools.cache
def cache_bytes(root: Path = CPU0) -> tuple[int, int]:
    """Bytes of the first-level data cache and of the second-level cache of one core."""
    sizes = {1: FIRST, 2: SECOND}
    for folder in sorted(root.glob("index*")):
        try:
            level = int((folder / "level").read_text())
            kind = (folder / "type").read_text().strip()
            size = (folder / "size").read_text().strip()
            if level in sizes and kind in ("Data", "Unified"):
                sizes[level] = int(size.removesuffix("K")) << (10 if size.endswith("K") else 0)
        except (OSError, ValueError):  # a file is missing, or says something else: the guess stays
            continue
    return sizes[1], sizes[2]


def depth_of(terms: int, width: int, unroll: int) -> int:
    """Terms of a sum that are added before a tile goes back to memory: `width` floats of each stay
    in half of the first-level cache. Blocks of equal size, whole rounds of the unrolled loop.
    """
    most = max(unroll, cache_bytes()[0] // 2 // (width * FLOAT))
    blocks = -(-terms // most)
    return -(-terms // blocks // unroll) * unroll


def rows_of(terms: int, step: int) -> int:
    """Rows of `terms` floats, a multiple of `step`, that fit a quarter of the second-level cache:
    another quarter is for what they are multiplied with, the rest for what passes by.
    """
    return max(step, cache_bytes()[1] // 4 // (terms * FLOAT) // step * step)
