"""The product of two matrices over one tile, its sums held in registers: what the three products of
a dense layer have in common.

    acc[i, j] += sum_k a[i, k] b[k, j]

While the terms of one buffer in shared memory are added, those of the next one are on their way
from global memory to registers. An operand lies in memory with its terms side by side ("turned":
it is transposed on its way), or with its rows or columns side by side. Every sum runs in the order
of its index, one rounding per term, whatever the tile; but for what tensor cores do within an
instruction.
"""

import functools

from llvmlite import ir
from numba import cuda
from numba.cuda import types

from ..emit import F32, I64, Value, at, fma, load, store, where
from . import tensor
from .code import device_code, device_value, helper
from .device import SIMULATED
from .shape import GROUP, QUAD
from .vector import (
    least,
    load_all,
    load_vector,
    split,
    store_all,
    store_vector,
)
from .words import terms_of, word_at

FLOAT = types.float32


def _place(builder, tile, thread):
    """(first row, first column) of a thread in its tile. Neighbours in a warp stand side by side;
    for tensor cores above one another.
    """
    lanes = min(8, tile.across)
    warp_rows = min(4, tile.down)
    if tile.tensor:
        rest, row = split(Value(builder, thread), warp_rows)
        warp, lane = split(rest, lanes)
    else:
        rest, lane = split(Value(builder, thread), lanes)
        warp, row = split(rest, warp_rows)
    down, right = split(warp, tile.across // lanes)
    return (down * warp_rows + row) * GROUP, (right * lanes + lane) * tile.width


def _both(find, tile):
    """The two results of `find` for a thread, as calls inside kernels."""

    @device_value("int64")
    def one(builder, thread):
        return find(builder, tile, thread)[0]

    @device_value("int64")
    def two(builder, thread):
        return find(builder, tile, thread)[1]

    return one, two


@functools.cache
def place_in(tile):
    """The first row and the first column of a thread in its tile."""
    return _both(_place, tile)


def _starts(builder, tile, thread):
    return tensor.starts(builder, tile, *_place(builder, tile, thread), thread)


def plain_loading(tile, right, turned):
    """Loading of the left or right operand: the number of quads that a thread loads for one buffer;
    the place of each; and the function that stores them to shared memory.
    """
    extent = tile.columns if right else tile.rows
    quads = extent * tile.terms // QUAD // tile.threads

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

    def keep(builder, shared, start, stage, thread):
        """stage: the quads of a thread."""
        start = Value(builder, start)
        for i, values in enumerate(stage):
            lane, term = place(builder, i, thread)
            if turned:
                for j, value in enumerate(values):
                    target = start + word_at(tile, right, term + j, lane)
                    store(builder, value, at(builder, shared, target.ir))
            else:
                target = start + word_at(tile, right, term, lane)
                store_vector(builder, values, shared, target.ir)

    return quads, place, keep


def _loaders(tile, right, turned):
    """Device code for a thread's share of the left or right operand in a buffer: loads into
    registers, inside and at the edge; the store to shared memory; and the number of its floats.
    """
    loading = tensor.loading if tile.tensor else plain_loading
    quads, place, keep_quads = loading(tile, right, turned)

    @device_code
    def whole(builder, stage, source, start, stride, last, first, thread):
        """Terms from `first` on; rows or columns after the last one repeat it."""
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
        values = load_all(builder, stage, quads * QUAD)
        stage = [values[i : i + QUAD] for i in range(0, quads * QUAD, QUAD)]
        keep_quads(builder, shared, start, stage, thread)

    return whole, edge, keep, quads * QUAD


def _by_terms(builder, tile, sums, shared, here, row, column):
    """Products of single terms: in float32; in the simulator also what tensor cores do."""
    here, row, column = (Value(builder, value) for value in (here, row, column))

    def words(right, k, lane, count):
        start = here + tile.right if right else here
        if not tile.tensor:
            place = start + word_at(tile, right, k, lane)
            return load_vector(builder, shared, place.ir, count)
        places = [start + word_at(tile, right, k, lane + i) for i in range(count)]
        return [load(builder, at(builder, shared, place.ir), 1) for place in places]

    for k in range(tile.depth):
        k, a, b = Value(builder, I64(k)), [], []
        for i in range(0, GROUP, QUAD):
            a += words(False, k, row + i, QUAD)
        for piece in range(tile.pieces):
            b += words(True, k, column + piece * tile.step, tile.width)
        a, b = ([terms_of(tile, word) for word in some] for some in (a, b))
        for part in range(tile.packed):
            for i, x in enumerate(a):
                for j, y in enumerate(b):
                    e = i * tile.unit + j
                    sums[e] = fma(x[part], y[part], sums[e])


def _multiply(tile):
    """Device code that adds products, and the places of a thread's part of both operands."""
    tensor_cores = tile.tensor and not SIMULATED
    add_products = tensor.multiply if tensor_cores else _by_terms
    left_of, right_of = _both(_starts if tensor_cores else _place, tile)

    @device_code
    def multiply(builder, acc, shared, here, left, right):
        """acc[i, j] += sum over the terms of the buffer at `here` of a[i, k] b[k, j]"""
        sums = load_all(builder, acc, tile.accumulators)
        add_products(builder, tile, sums, shared, here, left, right)
        store_all(builder, sums, acc)

    return multiply, left_of, right_of


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
                place = word_at(tile, False, Value(builder, I64(k)), row) + Value(builder, start)
                word = load(builder, at(builder, shared, place.ir), 1)
                for j, value in enumerate(terms_of(tile, word)):
                    target = at(builder, sums, c * EIGHT + (k * tile.packed + j) % EIGHT)
                    store(builder, load(builder, target, 1) + value, target)

    return add_terms, count * EIGHT


@functools.cache
def product(tile, left_turned, right_turned, summing=False):
    """A kernel's function: adds a product to the accumulators of its threads.

    left, right: arrays, from `..._at` on; `..._stride` from one row (turned), or term, to the next;
    `..._last`: the last row or column that exists, counted from the tile's first;
    `..._whole`: true if quads of it are aligned. With `summing` also the sums of the left operand's
    rows, where `wanted`.
    """
    load_left, edge_left, keep_left, left_floats = _loaders(tile, False, left_turned)
    load_right, edge_right, keep_right, right_floats = _loaders(tile, True, right_turned)
    multiply, left_of, right_of = _multiply(tile)
    add_terms, _ = _column_sums(tile)
    TERMS, BUFFER, RIGHT = tile.terms, tile.buffer, tile.right

    @helper
    def run(
        acc, sums, shared, left, left_at, left_stride, left_last, left_whole, right, right_at,
        right_stride, right_last, right_whole, terms, wanted,
    ):  # fmt: skip
        thread = cuda.threadIdx.x
        left_stage = cuda.local.array(left_floats, FLOAT)
        right_stage = cuda.local.array(right_floats, FLOAT)
        left_start, right_start = left_of(thread), right_of(thread)
        here = 0
        for first in range(-TERMS, terms, TERMS):
            following = first + TERMS
            if following < terms:
                if left_whole and following + TERMS <= terms:
                    load_left(left_stage, left, left_at, left_stride, left_last, following, thread)
                else:
                    edge_left(
                        left_stage, left, left_at, left_stride, left_last, following, terms, thread
                    )
                if right_whole and following + TERMS <= terms:
                    load_right(
                        right_stage, right, right_at, right_stride, right_last, following, thread
                    )
                else:
                    edge_right(
                        right_stage, right, right_at, right_stride, right_last, following, terms,
                        thread,
                    )  # fmt: skip
            if first >= 0:
                multiply(acc, shared, here, left_start, right_start)
                if summing and wanted:
                    add_terms(sums, shared, here, thread)
                here = BUFFER - here
            if following < terms:
                keep_left(shared, here, left_stage, thread)
                keep_right(shared, here + RIGHT, right_stage, thread)
            cuda.syncthreads()

    return run
