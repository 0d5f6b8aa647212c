"""Matrix products of one tile: ROWS x PANEL accumulators held in registers. The three products of a
dense layer.

The vector operand is read as [step][PANEL]; the other one is broadcast, a float at a time. Every
sum runs in the order of its index, whatever the tile: so results do not depend on how work was cut.
"""

from llvmlite import ir

from fastsnn.kernels.cpu.code import broadcast, fold, row_pointers, vector_code
from fastsnn.kernels.cpu.shape import LANES, PANEL, ROWS, VECTORS
from fastsnn.kernels.emit import F32, I64, Value, at, fma, load, store

VECTOR = ir.VectorType(F32, LANES)
UNROLL = 4


def _zeros():
    return [ir.Constant(VECTOR, [0.0] * LANES)] * (ROWS * VECTORS)


def _multiply_add(builder, sums, coefficients, vectors):
    """sums[i][j] += coefficients[i] * vectors[j]"""
    return [
        fma(
            Value(builder, coefficients[i]),
            vectors[j],
            Value(builder, sums[i * VECTORS + j]),
        ).ir
        for i in range(ROWS)
        for j in range(VECTORS)
    ]


def _accumulate(builder, sums, rows, row_step, panel, count):
    """sums[i] += sum_k rows[i][k * row_step] * panel[k]   for k = 0 .. count - 1, the loop
    unrolled.
    """

    def one(k, sums):
        line = at(builder, panel, builder.mul(k, I64(PANEL)))
        vectors = [load(builder, at(builder, line, j * LANES), LANES) for j in range(VECTORS)]
        place = builder.mul(k, I64(row_step))
        coefficients = [broadcast(builder, row, place, LANES) for row in rows]
        return _multiply_add(builder, sums, coefficients, vectors)

    def several(k, sums):
        for u in range(UNROLL):
            sums = one(builder.add(builder.mul(k, I64(UNROLL)), I64(u)), sums)
        return sums

    if isinstance(count, int) and count % UNROLL == 0:
        return fold(builder, count // UNROLL, sums, several)
    whole = builder.sdiv(count, I64(UNROLL))
    sums = fold(builder, whole, sums, several)
    done = builder.mul(whole, I64(UNROLL))
    return fold(builder, builder.sub(count, done), sums, lambda k, s: one(builder.add(k, done), s))


def _store_rows(builder, rows, sums):
    for i, row in enumerate(rows):
        for j in range(VECTORS):
            store(builder, Value(builder, sums[i * VECTORS + j]), at(builder, row, j * LANES))


@vector_code
def forward_tile(builder, z, z_at, w, w_at, x, x_at, b, b_at, fan_in, valid):
    """z[i, s] = b[i] + sum_k w[i, k] x[k, s]   for the `valid` rows i of the tile. w has `fan_in`
    columns.
    """
    bias_rows = row_pointers(builder, b, b_at, I64(1), valid, ROWS)
    sums = [broadcast(builder, row, 0, LANES) for row in bias_rows for _ in range(VECTORS)]
    weight_rows = row_pointers(builder, w, w_at, fan_in, valid, ROWS)
    sums = _accumulate(builder, sums, weight_rows, 1, at(builder, x, x_at), fan_in)
    _store_rows(builder, row_pointers(builder, z, z_at, I64(PANEL), valid, ROWS), sums)


@vector_code
def input_gradient_tile(builder, tile, strip, dz, dz_at, fan_out):
    """tile[i, s] = sum_n strip[n, i] dz[n, s]   for all ROWS columns i of the packed strip."""
    columns = [at(builder, strip, i) for i in range(ROWS)]
    sums = _accumulate(builder, _zeros(), columns, ROWS, at(builder, dz, dz_at), fan_out)
    _store_rows(builder, [at(builder, tile, i * PANEL) for i in range(ROWS)], sums)


@vector_code
def weight_gradient_tile(builder, tile, dz, dz_at, dz_stride, xt, xt_at, panels, valid):
    """tile[i, k] = sum_p sum_s dz[p, i, s] xt[p, s, k]   over `panels` panels of PANEL samples
    each.
    """
    rows = row_pointers(builder, dz, dz_at, I64(PANEL), valid, ROWS)
    source = at(builder, xt, xt_at)

    def panel(p, sums):
        shift = builder.mul(p, dz_stride)
        block = at(builder, source, builder.mul(p, I64(PANEL * PANEL)))
        return _accumulate(builder, sums, [at(builder, r, shift) for r in rows], 1, block, PANEL)

    sums = fold(builder, panels, _zeros(), panel)
    _store_rows(builder, [at(builder, tile, i * PANEL) for i in range(ROWS)], sums)
