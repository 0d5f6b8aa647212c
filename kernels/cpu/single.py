"""Prediction of single rows: what counts is the speed at which the weights are read.

A panel would leave nearly all its lanes empty. Here the lanes are units: squares of the weight
matrix are transposed in registers, so that every sum still runs over the features in their order,
and a row has the same bits as in any batch.
"""

from fastsnn.kernels import jit
from fastsnn.kernels.cpu.activation import activate
from fastsnn.kernels.cpu.code import broadcast, fold, loop, prefetch, row_pointers, vector_code
from fastsnn.kernels.cpu.layout import transposed
from fastsnn.kernels.cpu.shape import LANES, PANEL
from fastsnn.kernels.emit import I64, Value, at, fma, load, store
from fastsnn.kernels.jit import FLOATS, INT, MATRIX, TABLE
from fastsnn.kernels.program import ACTIVATION, B_AT, FAN_IN, FAN_OUT, W_AT

GROUPS = 2 if LANES == 16 else 4  # vectors of units at a time: a single sum waits for itself
UNITS = GROUPS * LANES
SQUARES = GROUPS * LANES * LANES  # floats


@vector_code
def _dense(builder, z, z_at, w, w_at, fan_in, x, x_at, b, b_at, valid, squares):
    """z[n] = b[n] + sum_k w[n, k] x[k]   for `valid` of UNITS units n; the others get numbers
    without meaning.
    """
    rows = row_pointers(builder, w, w_at, fan_in, valid, UNITS)
    source, bias = at(builder, x, x_at), at(builder, b, b_at)
    sums = [load(builder, at(builder, bias, g * LANES), LANES).ir for g in range(GROUPS)]
    ahead = builder.mul(fan_in, I64(UNITS))  # to the same columns of the next units

    def columns(g, k):
        """The square of group g from column k on, transposed."""
        places = [at(builder, row, k) for row in rows[g * LANES : (g + 1) * LANES]]
        for place in places:
            prefetch(builder, at(builder, place, ahead), level=2)
        return transposed([load(builder, place, LANES) for place in places])

    def add(total, column, k):
        factor = Value(builder, broadcast(builder, source, k, LANES))
        return fma(column, factor, Value(builder, total)).ir

    def square(i, sums):
        k = builder.mul(i, I64(LANES))
        new = []
        for g, total in enumerate(sums):
            for j, column in enumerate(columns(g, k)):
                total = add(total, column, builder.add(k, I64(j)))
            new.append(total)
        return new

    whole = builder.sdiv(fan_in, I64(LANES))
    sums = fold(builder, whole, sums, square)
    done = builder.mul(whole, I64(LANES))
    rest = builder.sub(fan_in, done)

    def keep(_):
        for g in range(GROUPS):
            for j, column in enumerate(columns(g, done)):
                store(builder, column, at(builder, squares, (g * LANES + j) * LANES))

    loop(builder, builder.select(builder.icmp_signed(">", rest, I64(0)), I64(1), I64(0)), keep)

    def one(j, sums):
        place = at(builder, squares, builder.mul(j, I64(LANES)))
        kept = [load(builder, at(builder, place, g * LANES * LANES), LANES) for g in range(GROUPS)]
        k = builder.add(done, j)
        return [add(total, column, k) for total, column in zip(sums, kept, strict=True)]

    sums = fold(builder, rest, sums, one)
    target = at(builder, z, z_at)
    for g, total in enumerate(sums):
        store(builder, Value(builder, total), at(builder, target, g * LANES))


@jit.entry("void", MATRIX, TABLE, FLOATS, FLOATS, MATRIX, INT)
def run_single(out, program, params, work, x, half):
    """out[i] = raw outputs for x[i], row after row. work: squares, then twice `half` floats for the
    outputs of two layers.
    """
    layers = program.shape[0]
    for i in range(x.shape[0]):
        for r in range(layers):
            row = program[r]
            fan_in, fan_out = row[FAN_IN], row[FAN_OUT]
            source, z_at = SQUARES + ((r + 1) % 2) * half, SQUARES + (r % 2) * half
            for n in range(0, fan_out, UNITS):
                w_at, b_at = row[W_AT] + n * fan_in, row[B_AT] + n
                valid = min(UNITS, fan_out - n)
                if r == 0:
                    _dense(
                        work, z_at + n, params, w_at, fan_in, x, i * fan_in, params, b_at, valid,
                        work,
                    )  # fmt: skip
                else:
                    _dense(
                        work, z_at + n, params, w_at, fan_in, work, source, params, b_at, valid,
                        work,
                    )  # fmt: skip
            activate(work, z_at, (fan_out + PANEL - 1) // PANEL, row[ACTIVATION])
        for j in range(fan_out):
            out[i, j] = work[z_at + j]
