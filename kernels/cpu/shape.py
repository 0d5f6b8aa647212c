"""Sizes of vectors, panels and tiles, chosen at import for the host's vector registers.

LANES   float32 numbers per vector register
PANEL   samples per panel: two vectors. Activations are stored as panels [feature][PANEL]
ROWS    rows of a tile of a product: ROWS x 2 accumulators, 2 vectors of the panel and one
        broadcast value fit the registers
NARROW_ROWS  rows of a tile that has only one vector of samples

| host            | LANES | PANEL | ROWS | accumulators of registers | NARROW_ROWS |
| AVX-512         |    16 |    32 |    8 | 16 of 32                  |          16 |
| AVX, AVX2       |     8 |    16 |    6 | 12 of 16                  |           8 |
| NEON            |     4 |     8 |    8 | 16 of 32                  |          12 |
| SSE             |     4 |     8 |    6 | 12 of 16                  |           8 |
"""

import math
import platform

from numba.core.registry import cpu_target

VECTORS = 2


def host_features():
    """Return the names of the CPU features that Numba compiles for; NUMBA_CPU_FEATURES and
    NUMBA_CPU_NAME override the host's.
    """
    text = cpu_target.target_context.codegen().magic_tuple()[2]
    return {word[1:] for word in text.split(",") if word.startswith("+")}


def _shape(features):
    if "avx512f" in features:
        return 16, 8, 16
    if "avx" in features:
        return 8, 6, 8
    return (4, 8, 12) if platform.machine().lower() in ("aarch64", "arm64") else (4, 6, 8)


LANES, ROWS, NARROW_ROWS = _shape(host_features())
PANEL = VECTORS * LANES
TILE = ROWS * PANEL  # floats
# Padding after each panel, in floats: eight cache lines. Without it, widths that are powers of two
# would map the same feature of every panel to the same few cache sets.
PANEL_GAP = 128
# Floats copied per row when a strip of a weight matrix is packed.
STRIP = 8
# Granularity, in units, at which a layer is divided among threads: whole strips and whole blocks of
# transposed features.
CHUNK = math.lcm(ROWS, PANEL)
# Units of a single row that are computed together: enough independent accumulators to hide the
# latency of a fused multiply-add.
UNITS = 8 * LANES if LANES < 16 else 4 * LANES
# Terms per iteration of a product's inner loop.
UNROLL = 4
