"""The matrix products of a dense layer over one tile, with the accumulators in registers.

    K, N      inputs and outputs of the layer; k: input, n: output
    S         samples of one panel (PANEL = VECTORS * LANES); p: panel, s: sample of the panel
    tile, z   (ROWS, S) row by row: ROWS * VECTORS accumulators
    x, dz     panels [term][S]; dz_stride: floats from one panel to the next
    w, b      (N, K) row by row, (N,)
    strip     ROWS columns of w, packed as [n][ROWS]
    xt        inputs in blocks [p][s][PANEL features], for the weight gradient
    packed    [bias, then inputs][UNITS], see `single.py`

    product          vector operand    broadcast operand   sum over
    forward          x                 w                   inputs
    input gradient   dz                strip               outputs
    weight gradient  xt                dz                  samples of the batch
    single row       packed            x (one row)         inputs

The calling thread owns the tile. A sum can be computed in several blocks of terms; each block
continues from the stored result of the one before. Every sum runs in the order of its index,
whatever the tile and the blocks, so results do not depend on how the work is divided.

While a tile is computed, the cache lines that the next tile reads are prefetched.
"""

from llvmlite import ir

from ..emit import F32, I64, Value, at, fma, load, store
from .code import (
    broadcast,
    choose,
    fold,
    prefetch,
    row_pointers,
    vector_code,
)
from .layout import transposed
from .shape import LANES, NARROW_ROWS, PANEL, ROWS, UNITS, UNROLL, VECTORS

VECTOR = ir.VectorType(F32, LANES)
LINE = 16  # floats of a cache line
PREFETCH_DISTANCE = 1024  # in floats, for products limited by memory bandwidth


def _zeros():
    return [ir.Constant(VECTOR, [0.0] * LANES)] * (ROWS * VECTORS)


def _accumulate(
    builder, sums, rows, row_step, panel, count, prefetch_next, vectors=VECTORS, panel_step=PANEL
):
    """sums[i] += sum_k rows[i][k * row_step] * panel[k]   for k = 0 .. count - 1.

    The loop is unrolled UNROLL times; with more, the compiler hoists so many loads that
    accumulators spill. `prefetch_next(k)` prefetches the operands of terms k .. k + LINE - 1 of the
    next tile.
    """

    def one(k, sums):
        line = at(builder, panel, builder.mul(k, I64(panel_step)))
        x = [load(builder, at(builder, line, j * LANES), LANES) for j in range(vectors)]
        place = builder.mul(k, I64(row_step))
        w = [Value(builder, broadcast(builder, row, place, LANES)) for row in rows]
        return [
            fma(w[i // vectors], x[i % vectors], Value(builder, s)).ir for i, s in enumerate(sums)
        ]

    def several(k, sums):
        for u in range(UNROLL):
            sums = one(builder.add(k, I64(u)), sums)
        return sums

    count = I64(count) if isinstance(count, int) else count
    rounds, per_line = builder.sdiv(count, I64(UNROLL)), I64(LINE // UNROLL)

    def line(i, sums):
        done = builder.mul(i, per_line)
        left = builder.sub(rounds, done)
        iterations = builder.select(builder.icmp_signed("<", left, per_line), left, per_line)
        start = builder.mul(done, I64(UNROLL))
        prefetch_next(start)
        return fold(
            builder, iterations, sums,
            lambda j, s: several(builder.add(start, builder.mul(j, I64(UNROLL))), s),
        )  # fmt: skip

    lines = builder.sdiv(builder.add(rounds, I64(LINE // UNROLL - 1)), per_line)
    sums = fold(builder, lines, sums, line)
    done = builder.mul(rounds, I64(UNROLL))
    return fold(builder, builder.sub(count, done), sums, lambda k, s: one(builder.add(k, done), s))


def _prefetch_sequential(builder, pointer, floats_per_term):
    """Return a `prefetch_next` for memory that is read sequentially."""

    def prefetch_next(k):
        here = at(builder, pointer, builder.mul(k, I64(floats_per_term)))
        for line in range(floats_per_term):
            prefetch(builder, at(builder, here, line * LINE))

    return prefetch_next


def _prefetch_rows(builder, pointer, stride, rows):
    """Return a `prefetch_next` for `rows` rows, `stride` floats apart. It prefetches into the L2
    cache only: with a power of two as stride, the rows would evict each other from one set of L1.
    """

    def prefetch_next(k):
        here = at(builder, pointer, k)
        for i in range(rows):
            prefetch(builder, at(builder, here, builder.mul(stride, I64(i))), level=2)

    return prefetch_next


def _load_sums(builder, rows, vectors):
    return [
        load(builder, at(builder, row, j * LANES), LANES).ir for row in rows for j in range(vectors)
    ]


def _store(builder, rows, sums, vectors=VECTORS):
    for i, value in enumerate(sums):
        address = at(builder, rows[i // vectors], i % vectors * LANES)
        store(builder, Value(builder, value), address)


def _forward_code(rows, vectors):
    @vector_code
    def tile(builder, z, z_at, w, w_at, stride, x, x_at, b, b_at, first, count, valid):
        out = row_pointers(builder, z, z_at, I64(PANEL), valid, rows)

        def bias():
            places = row_pointers(builder, b, b_at, I64(1), valid, rows)
            return [broadcast(builder, place, 0, LANES) for place in places for _ in range(vectors)]

        begin = builder.icmp_signed("==", first, I64(0))
        sums = choose(builder, begin, bias, lambda: _load_sums(builder, out, vectors))
        weights = row_pointers(builder, w, builder.add(w_at, first), stride, valid, rows)
        following = at(
            builder, w, builder.add(builder.add(w_at, first), builder.mul(stride, I64(rows)))
        )
        source = at(builder, x, builder.add(x_at, builder.mul(first, I64(PANEL))))
        sums = _accumulate(
            builder, sums, weights, 1, source, count,
            _prefetch_rows(builder, following, stride, rows), vectors,
        )  # fmt: skip
        _store(builder, out, sums, vectors)

    tile.__doc__ = """z[i, s] = b[i] + sum_k w[i, k] x[k, s]   for the `valid` rows i of the tile
    and terms k = first .. first + count - 1; for first > 0 the sum continues from z. `stride`: K.
    """
    return tile


forward_tile = _forward_code(ROWS, VECTORS)
narrow_forward_tile = _forward_code(NARROW_ROWS, 1)  # the first LANES samples of a panel


@vector_code
def single_row_tile(builder, z, z_at, packed, packed_at, x, x_at, count):
    """z[n] = packed[0, n] + sum_k packed[k + 1, n] x[k]   for UNITS units n and `count` terms."""
    vectors = UNITS // LANES
    first = at(builder, packed, packed_at)
    sums = _load_sums(builder, [first], vectors)
    lines = at(builder, first, UNITS)
    prefetch_next = _prefetch_sequential(builder, at(builder, lines, PREFETCH_DISTANCE), UNITS)
    source = at(builder, x, x_at)
    sums = _accumulate(builder, sums, [source], 1, lines, count, prefetch_next, vectors, UNITS)
    _store(builder, [at(builder, z, z_at)], sums, vectors)


@vector_code
def input_gradient_tile(builder, tile, tile_at, strip, strip_at, dz, dz_at, first, count, h, h_at):
    """tile[i, s] = sum_n strip[n, i] dz[n, s]   for all ROWS columns i of the packed strip and
    terms n = first .. first + count - 1; for first > 0 the sum continues from the tile. h: the rows
    that the activation's backward reads and writes next; they are prefetched.
    """
    target = at(builder, tile, tile_at)
    out = [at(builder, target, i * PANEL) for i in range(ROWS)]
    outputs = at(builder, h, h_at)
    for line in range(ROWS * PANEL // LINE):
        prefetch(builder, at(builder, outputs, line * LINE), write=True)
    begin = builder.icmp_signed("==", first, I64(0))
    sums = choose(builder, begin, _zeros, lambda: _load_sums(builder, out, VECTORS))
    packed = at(builder, strip, builder.add(strip_at, builder.mul(first, I64(ROWS))))
    source = at(builder, dz, builder.add(dz_at, builder.mul(first, I64(PANEL))))
    following = at(builder, packed, builder.mul(count, I64(ROWS)))
    sums = _accumulate(
        builder, sums, [at(builder, packed, i) for i in range(ROWS)], ROWS, source, count,
        _prefetch_sequential(builder, following, ROWS),
    )  # fmt: skip
    _store(builder, out, sums)


@vector_code
def weight_gradient_tile(
    builder, tile, dz, dz_at, dz_stride, xt, xt_at, samples, valid, w, w_at, fan_in, state, arrays,
    size,
):  # fmt: skip
    """tile[i, k] = sum_p sum_s dz[p, i, s] xt[p, s, k]   over `samples` samples, rounded up to a
    multiple of UNROLL; the added samples have dz = 0. w and the `arrays` arrays of `size` floats in
    `state` are prefetched for the update.
    """
    parameters = at(builder, w, w_at)
    states = at(builder, state, w_at)

    def prefetch_update(p):
        """Prefetch the parameters with panel 0 and one array of the state with each next panel."""
        array = at(builder, states, builder.mul(builder.sub(p, I64(1)), size))
        known = builder.and_(
            builder.icmp_signed(">", p, I64(0)), builder.icmp_signed("<=", p, arrays)
        )
        array = builder.select(known, array, parameters)
        for row in row_pointers(builder, array, I64(0), fan_in, valid, ROWS):
            for line in range(PANEL // LINE + 1):  # rows start anywhere in a line
                prefetch(builder, at(builder, row, line * LINE), write=True)

    # Rows after the last valid one are in the panel's padding; their sums are computed and ignored.
    rows = [at(builder, dz, builder.add(dz_at, I64(i * PANEL))) for i in range(ROWS)]
    below = at(builder, dz, builder.add(dz_at, I64(ROWS * PANEL)))
    source = at(builder, xt, xt_at)

    def panel(p, sums):
        prefetch_update(p)
        shift = builder.mul(p, dz_stride)
        block = at(builder, source, builder.mul(p, I64(PANEL * PANEL)))
        rows_here = [at(builder, row, shift) for row in rows]
        following = _prefetch_sequential(builder, at(builder, below, shift), ROWS)
        left = builder.sub(whole, builder.mul(p, I64(PANEL)))
        count = builder.select(builder.icmp_signed("<", left, I64(PANEL)), left, I64(PANEL))
        return _accumulate(builder, sums, rows_here, 1, block, count, following)

    whole = builder.and_(builder.add(samples, I64(UNROLL - 1)), I64(-UNROLL))
    panels = builder.sdiv(builder.add(samples, I64(PANEL - 1)), I64(PANEL))
    sums = fold(builder, panels, _zeros(), panel)
    _store(builder, [at(builder, tile, i * PANEL) for i in range(ROWS)], sums)


EIGHT = 8  # the narrowest panel


@vector_code
def bias_gradient(builder, db, dz, dz_at, dz_stride, panels, valid):
    """db[i] = sum_p sum_s dz[p, i, s]   in eight partial sums, independent of the panel's width."""
    zero = ir.Constant(ir.VectorType(F32, EIGHT), [0.0] * EIGHT)
    rows = row_pointers(builder, dz, dz_at, I64(PANEL), valid, EIGHT)

    def panel(p, sums):
        shift = builder.mul(p, dz_stride)
        for s in range(0, PANEL, EIGHT):
            sums = [
                (Value(builder, v) + load(builder, at(builder, at(builder, r, shift), s), EIGHT)).ir
                for v, r in zip(sums, rows, strict=True)
            ]
        return sums

    sums = fold(builder, panels, [zero] * EIGHT, panel)
    total = Value(builder, zero)
    for column in transposed([Value(builder, v) for v in sums]):
        total = total + column
    store(builder, total, at(builder, db, 0))
