"""Cache sizes of one core of the host, and the sizes of operand blocks that fit them."""

import functools
from pathlib import Path

FLOAT = 4  # bytes
# Used if the system reports no sizes: the smallest caches of processors of the last ten years.
FIRST, SECOND = 32 << 10, 256 << 10
CPU0 = Path("/sys/devices/system/cpu/cpu0/cache")


@functools.cache
def cache_bytes(root: Path = CPU0) -> tuple[int, int]:
    """Return the sizes in bytes of the L1 data cache and of the L2 cache of one core."""
    sizes = {1: FIRST, 2: SECOND}
    for folder in sorted(root.glob("index*")):
        try:
            level = int((folder / "level").read_text())
            kind = (folder / "type").read_text().strip()
            size = (folder / "size").read_text().strip()
            if level in sizes and kind in ("Data", "Unified"):
                sizes[level] = int(size.removesuffix("K")) << (10 if size.endswith("K") else 0)
        except (OSError, ValueError):  # a file is missing or malformed: keep the fallback
            continue
    return sizes[1], sizes[2]


def depth_of(terms: int, width: int, unroll: int) -> int:
    """Return the number of terms that are accumulated before a tile is written back to memory:
    `width` floats per term fit half of the L1 cache. The `terms` are divided into blocks of equal
    size, a multiple of `unroll`.
    """
    most = max(unroll, cache_bytes()[0] // 2 // (width * FLOAT))
    blocks = -(-terms // most)
    return -(-terms // blocks // unroll) * unroll


def rows_of(terms: int, step: int) -> int:
    """Return the number of rows of `terms` floats, a multiple of `step`, that fit a quarter of the
    L2 cache. Another quarter is for the other operand, the rest for streamed data.
    """
    return max(step, cache_bytes()[1] // 4 // (terms * FLOAT) // step * step)
