"""Forward product and input gradient of a dense layer, blocked for the caches, with the fused
operations (skip, activation, dropout).

    K, N       inputs (fan-in) and outputs (fan-out) of the layer; k: input, n: output
    S          samples of one panel (PANEL); p: panel, s: sample of the panel
    w, b       in params: (N, K) row by row at W_AT, (N,) at B_AT
    x, h, dz   in acts: panels [p][unit][S] at X_AT and H_AT; dz overwrites h in the backward pass
    bits       dropout masks [p][unit], one uint32 per unit, bit s for sample s
    tile       (ROWS, S): ROWS units of one panel, accumulated in registers
    strip      ROWS columns of w packed as [n][ROWS]; the broadcast operand of the input gradient
    space      work space of the thread: tiles [strip][ROWS][S], then packed strips, each
               N * ROWS + STRIP_GAP floats

Both loop nests have the same order, from the outside: a block of weights that fits a quarter of the
L2 cache, panels, a block of terms of one panel that fits half of the L1 cache, tiles. Skip,
activation and dropout follow the last block of terms, on the tile that has just been stored.
The calling thread owns panels [first_panel, last_panel), units [first_unit, last_unit) and `space`.
"""

from .. import jit
from ..emit import I64, at, load, store
from ..program import (
    B_AT,
    BACKWARD_BLOCK,
    BACKWARD_DEPTH,
    FAN_IN,
    FAN_OUT,
    FORWARD_BLOCK,
    FORWARD_DEPTH,
    GRADIENT_AT,
    H_AT,
    H_STRIDE,
    SKIP_AT,
    W_AT,
    X_AT,
    X_STRIDE,
)
from .activation import activate, activation_backward
from .code import loop, prefetch, vector_code
from .shape import LANES, NARROW_ROWS, PANEL, ROWS, STRIP, TILE, VECTORS
from .tile import forward_tile, input_gradient_tile, narrow_forward_tile

STRIP_GAP = 16  # padding after a packed strip: rows are written STRIP floats wide


@jit.helper
def dense_forward(
    row, constants, params, acts, bits, first_panel, last_panel, wide_panels, first_unit, last_unit,
    dropping,
):  # fmt: skip
    """Compute units [first_unit, last_unit) of the layer in `row` for panels [first_panel,
    last_panel). Panels from `wide_panels` on hold samples only in their first LANES lanes.
    """
    fan_in, depth, w_at, b_at = row[FAN_IN], row[FORWARD_DEPTH], row[W_AT], row[B_AT]
    for start in range(first_unit, last_unit, row[FORWARD_BLOCK]):
        end = min(start + row[FORWARD_BLOCK], last_unit)
        for p in range(first_panel, last_panel):
            x_at, h_at = row[X_AT] + p * row[X_STRIDE], row[H_AT] + p * row[H_STRIDE]
            rows = ROWS if p < wide_panels else NARROW_ROWS
            for k in range(0, fan_in, depth):
                count = min(depth, fan_in - k)
                for n in range(start, end, rows):
                    valid = min(rows, end - n)
                    z_at, w = h_at + n * PANEL, w_at + n * fan_in
                    if p < wide_panels:
                        forward_tile(
                            acts, z_at, params, w, fan_in, acts, x_at, params, b_at + n, k, count,
                            valid,
                        )  # fmt: skip
                    else:
                        narrow_forward_tile(
                            acts, z_at, params, w, fan_in, acts, x_at, params, b_at + n, k, count,
                            valid,
                        )  # fmt: skip
                    if k + count < fan_in:
                        continue
                    if row[SKIP_AT] >= 0:
                        skip_at = row[SKIP_AT] + p * row[H_STRIDE] + n * PANEL
                        add_rows(acts, z_at, acts, skip_at, valid)
                    bits_at = p * bits.shape[1] + n
                    activate(acts, z_at, valid, row, constants, bits, bits_at, dropping)


@vector_code
def add_rows(builder, out, out_at, x, x_at, rows):
    """out += x for `rows` consecutive units of a panel."""

    def one(i):
        place = builder.mul(i, I64(LANES))
        target = at(builder, out, builder.add(out_at, place))
        value = load(builder, at(builder, x, builder.add(x_at, place)), LANES)
        store(builder, load(builder, target, LANES) + value, target)

    loop(builder, builder.mul(rows, I64(VECTORS)), one)


@vector_code
def _pack(builder, packed, packed_at, stride, w, w_at, fan_in, fan_out, strips):
    """packed[j, n, i] = w[n, j * ROWS + i] for `strips` strips of ROWS columns, `stride` floats
    apart. Each row is written as STRIP floats; the next row overwrites the surplus.
    """
    source, out = at(builder, w, w_at), at(builder, packed, packed_at)
    further = builder.mul(fan_in, I64(8))  # prefetch eight rows ahead

    def row(n):
        line = at(builder, source, builder.mul(n, fan_in))
        target = at(builder, out, builder.mul(n, I64(ROWS)))

        def strip(j):
            columns = at(builder, line, builder.mul(j, I64(ROWS)))
            prefetch(builder, at(builder, columns, further))
            values = load(builder, columns, STRIP)
            store(builder, values, at(builder, target, builder.mul(j, stride)))

        loop(builder, strips, strip)

    loop(builder, fan_out, row)


@jit.helper
def dense_input_backward(
    row, below, constants, params, acts, bits, space, first_panel, last_panel, first_unit, last_unit
):  # fmt: skip
    """Replace the output of the layer in `below` by its dz, for units [first_unit, last_unit) of
    `below`. `row` is the layer above, and its dz has been computed.
    """
    fan_in, fan_out, depth = row[FAN_IN], row[FAN_OUT], row[BACKWARD_DEPTH]
    strip_stride = fan_out * ROWS + STRIP_GAP
    tile_step = TILE if depth < fan_out else 0  # with one block of terms, all strips share a tile
    packed_at = row[BACKWARD_BLOCK] // ROWS * TILE
    for start in range(first_unit, last_unit, row[BACKWARD_BLOCK]):
        end = min(start + row[BACKWARD_BLOCK], last_unit)
        strips = (end - start + ROWS - 1) // ROWS
        _pack(space, packed_at, strip_stride, params, row[W_AT] + start, fan_in, fan_out, strips)
        for p in range(first_panel, last_panel):
            dz_at = row[H_AT] + p * row[H_STRIDE]
            for n in range(0, fan_out, depth):
                count = min(depth, fan_out - n)
                for j in range(strips):
                    k = start + j * ROWS
                    h_at, tile_at = row[X_AT] + p * row[X_STRIDE] + k * PANEL, j * tile_step
                    input_gradient_tile(
                        space, tile_at, space, packed_at + j * strip_stride, acts, dz_at, n, count,
                        acts, h_at,
                    )  # fmt: skip
                    if n + count < fan_out:
                        continue
                    valid = min(ROWS, end - k)
                    if row[GRADIENT_AT] >= 0:
                        more_at = row[GRADIENT_AT] + p * row[X_STRIDE] + k * PANEL
                        add_rows(space, tile_at, acts, more_at, valid)
                    activation_backward(
                        acts, h_at, valid, space, tile_at, below, constants, bits,
                        p * bits.shape[1] + k,
                    )  # fmt: skip
