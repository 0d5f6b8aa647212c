"""The shapes that the host's vector registers ask for: read once, at import.

LANES   float32 numbers of one vector
PANEL   samples of one panel: two vectors. Activations live as panels [feature][sample of the panel]
ROWS    rows of one tile of a product: ROWS x 2 accumulators, 2 vectors of the panel and one
        broadcast fit the registers
NARROW_ROWS  the same where one vector of samples is all there is

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
    """Names of the CPU features that Numba compiles for (NUMBA_CPU_FEATURES and NUMBA_CPU_NAME
    count).
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
# Floats after each panel: without them, widths that are powers of two would put the same feature
# of every panel into the same few cache sets. Eight cache lines.
PANEL_GAP = 128
# Columns copied together when a strip of a weight matrix is packed.
STRIP = 8
# Units at which the work on a layer may be cut among threads: whole strips, whole blocks of
# transposed features.
CHUNK = math.lcm(ROWS, PANEL)
# Units of a single row that are computed side by side: enough sums that none waits for itself.
UNITS = 8 * LANES if LANES < 16 else 4 * LANES
# Steps of a product's loop that are written out.
UNROLL = 4
