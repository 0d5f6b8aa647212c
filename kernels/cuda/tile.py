"""The product of two matrices over one tile, its sums held in registers: what the three products of
a dense layer have in common.

    acc[i, j] += sum_k a[i, k] b[k, j]

While the terms of one buffer in shared memory are added, those of the next one are on their way
from global memory to registers. An operand lies in memory with its terms side by side ("turned":
it is transposed on its way), or with its rows or columns side by side. Every sum runs in the order
of its index, one rounding per term, whatever the tile.
"""

import functools

from llvmlite import ir
from numba import cuda
from numba.cuda import types

from fastsnn.kernels.cuda.code import device_code, device_value, helper
from fastsnn.kernels.cuda.shape import GROUP, PAD, QUAD
from fastsnn.kernels.emit import F32, I64, Value, at, fma, load, store, where

FLOAT = types.float32


def load_vector(builder, pointer, offset, count):
    """`count` floats (1, 2 or 4) that lie at a multiple of `count`, as Values."""
    place = at(builder, pointer, offset)
    if count == 1:
        return [load(builder, place, 1)]
    kind = ir.VectorType(F32, count)
    vector = builder.load(builder.bitcast(place, kind.as_pointer()), align=4 * count, typ=kind)
    return [
        Value(builder, builder.extract_element(vector, ir.IntType(32)(i))) for i in range(count)
    ]


def store_vector(builder, values, pointer, offset):
    place = at(builder, pointer, offset)
    if len(values) == 1:
        store(builder, values[0], place)
        return
    vector = builder.vector([value.ir for value in values])
    place = builder.bitcast(place, ir.VectorType(F32, len(values)).as_pointer())
    builder.store(vector, place, align=4 * len(values))


def load_all(builder, pointer, count):
    return [load(builder, at(builder, pointer, i), 1) for i in range(count)]


def store_all(builder, values, pointer):
    for i, value in enumerate(values):
        store(builder, value, at(builder, pointer, i))


def least(a, b):
    return where(a < b, a, b)


def split(value, size):
    """(value // size, value % size) for a size that is a power of two."""
    return value.shift_right(size.bit_length() - 1), value & (size - 1)


@functools.cache
def place_in(tile):
    """(first row, first column) of a thread in its tile."""
    lanes = min(8, tile.across)
    warp_rows = min(4, tile.down)
    warps = tile.across // lanes

    def find(builder, thread):
        lane_row, lane = split(Value(builder, thread), lanes)
        warp, row = split(lane_row, warp_rows)
        down, right = split(warp, warps)
        return (down * warp_rows + row) * GROUP, (right * lanes + lane) * tile.width

    @device_value("int64")
    def row_of(builder, thread):
        return find(builder, thread)[0]

    @device_value("int64")
    def column_of(builder, thread):
        return find(builder, thread)[1]

    return row_of, column_of


def _loaders(tile, extent, turned):
    """Of an operand with `extent` rows or columns in a tile: how a thread loads its share of
    `depth` terms into registers, where all is there and at the edge; how it stores it to shared
    memory; and how many floats its share has.
    """
    quads = extent * tile.depth // QUAD // tile.threads

    def place(builder, i, thread):
        """(row or column: its lane; term) of quad i of a thread. Of a turned operand threads take
        two quads of a row, then the next row: their terms are written to 32 different banks.
        """
        q = Value(builder, thread) + i * tile.threads
        if not turned:
            term, quad = split(q, extent // QUAD)
            return quad * QUAD, term
        q, odd = split(q, 2)
        pair, row = split(q, extent)
        return row, (pair * 2 + odd) * QUAD

    @device_code
    def whole(builder, stage, source, start, stride, last, first, thread):
        """Terms from `first` on; rows or columns behind the last one repeat it."""
        for i in range(quads):
            lane, term = place(builder, i, thread)
            most = Value(builder, last)
            lane = least(lane, most if turned else most & -QUAD)
            term = term + Value(builder, first)
            far, near = (lane, term) if turned else (term, lane)
            offset = far * Value(builder, stride) + near
            values = load_vector(builder, source, (Value(builder, start) + offset).ir, QUAD)
            store_all(builder, values, at(builder, stage, i * QUAD))

    @device_code
    def edge(builder, stage, source, start, stride, last, first, terms, thread):
        """The same where terms may be missing, which are 0, or where rows begin anywhere."""
        for i in range(quads):
            lane, term = place(builder, i, thread)
            term = term + Value(builder, first)
            for j in range(QUAD):
                here = least(lane if turned else lane + j, Value(builder, last))
                k = term + j if turned else term
                there = k < Value(builder, terms)
                k = least(k, Value(builder, terms) - 1)
                far, near = (here, k) if turned else (k, here)
                offset = Value(builder, start) + far * Value(builder, stride) + near
                value = load(builder, at(builder, source, offset.ir), 1)
                store(builder, where(there, value, 0), at(builder, stage, i * QUAD + j))

    @device_code
    def keep(builder, shared, start, stage, thread):
        for i in range(quads):
            lane, term = place(builder, i, thread)
            values = load_all(builder, at(builder, stage, i * QUAD), QUAD)
            base = Value(builder, start) + lane
            if turned:
                for j, value in enumerate(values):
                    offset = base + (term + j) * (extent + PAD)
                    store(builder, value, at(builder, shared, offset.ir))
            else:
                offset = base + term * (extent + PAD)
                store_vector(builder, values, shared, offset.ir)

    return whole, edge, keep, quads * QUAD


def _multiply(tile):
    @device_code
    def multiply(builder, acc, shared, left, right):
        """acc[i, j] += sum over the terms of a buffer of left[k, i] right[k, j]"""
        sums = load_all(builder, acc, tile.accumulators)
        for k in range(tile.depth):
            a, b = [], []
            for i in range(0, GROUP, QUAD):
                place = builder.add(left, I64(k * (tile.rows + PAD) + i))
                a += load_vector(builder, shared, place, QUAD)
            for piece in range(tile.pieces):
                place = builder.add(right, I64(k * (tile.columns + PAD) + piece * tile.step))
                b += load_vector(builder, shared, place, tile.width)
            for i, x in enumerate(a):
                for j, y in enumerate(b):
                    sums[i * tile.unit + j] = fma(x, y, sums[i * tile.unit + j])
        store_all(builder, sums, acc)

    return multiply


def zeroed(count):
    """Device code: the first `count` floats become 0."""

    @device_code
    def clear(builder, array):
        zero = Value(builder, ir.Constant(F32, 0.0))
        for i in range(count):
            store(builder, zero, at(builder, array, i))

    return clear


EIGHT = 8  # interleaved sums over the samples of a batch, on every target


def _column_sums(tile):
    """For sums over all samples of the left operand's rows: eight interleaved ones, as on the
    CPU. A thread has every `threads`-th row.
    """
    count = -(-tile.rows // tile.threads)

    @device_code
    def add_terms(builder, sums, shared, start, thread):
        for c in range(count):
            row = Value(builder, thread) + c * tile.threads
            row = least(row, Value(builder, I64(tile.rows - 1)))
            for k in range(tile.depth):
                place = Value(builder, start) + row + k * (tile.rows + PAD)
                target = at(builder, sums, c * EIGHT + k % EIGHT)
                value = load(builder, at(builder, shared, place.ir), 1)
                store(builder, load(builder, target, 1) + value, target)

    return add_terms, count * EIGHT


@functools.cache
def product(tile, left_turned, right_turned, summing=False):
    """A kernel's function: adds a product to the accumulators of its threads.

    left, right: arrays, from `..._at` on; `..._stride` from one row (turned), or term, to the next;
    `..._last`: the last row or column that there is, behind the tile's first; `..._whole`: whether
    quads of it are aligned. With `summing` also the sums of the left operand's rows, where
    `wanted`.
    """
    load_left, edge_left, keep_left, left_floats = _loaders(tile, tile.rows, left_turned)
    load_right, edge_right, keep_right, right_floats = _loaders(tile, tile.columns, right_turned)
    multiply = _multiply(tile)
    add_terms, _ = _column_sums(tile)
    row_of, column_of = place_in(tile)
    DEPTH, BUFFER, RIGHT = tile.depth, tile.buffer, tile.depth * (tile.rows + PAD)

    @helper
    def run(
        acc, sums, shared, left, left_at, left_stride, left_last, left_whole, right, right_at,
        right_stride, right_last, right_whole, terms, wanted,
    ):  # fmt: skip
        thread = cuda.threadIdx.x
        left_stage = cuda.local.array(left_floats, FLOAT)
        right_stage = cuda.local.array(right_floats, FLOAT)
        row, column = row_of(thread), RIGHT + column_of(thread)
        here = 0
        for first in range(-DEPTH, terms, DEPTH):
            following = first + DEPTH
            if following < terms:
                if left_whole and following + DEPTH <= terms:
                    load_left(left_stage, left, left_at, left_stride, left_last, following, thread)
                else:
                    edge_left(
                        left_stage, left, left_at, left_stride, left_last, following, terms, thread
                    )
                if right_whole and following + DEPTH <= terms:
                    load_right(
                        right_stage, right, right_at, right_stride, right_last, following, thread
                    )
                else:
                    edge_right(
                        right_stage, right, right_at, right_stride, right_last, following, terms,
                        thread,
                    )  # fmt: skip
            if first >= 0:
                multiply(acc, shared, here + row, here + column)
                if summing and wanted:
                    add_terms(sums, shared, here, thread)
                here = BUFFER - here
            if following < terms:
                keep_left(shared, here, left_stage, thread)
                keep_right(shared, here + RIGHT, right_stage, thread)
            cuda.syncthreads()

    return run
