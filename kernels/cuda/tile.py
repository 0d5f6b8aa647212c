"""The product of two matrices over one tile: what the three products of a dense layer share.

    acc[i, j] += sum_k a[i, k] b[k, j]

    block      one tile, rows x columns of the result, see `shape.Tile`
    thread     GROUP = 8 rows; columns as `vectors` vectors of `vector_width`; its accumulators in
               registers: acc [GROUP][columns_per_thread]
    a, b       global memory, float32, each in one of two layouts. K-major: terms are contiguous, a
               stride from one row or column to the next; the operand is transposed on its way.
               Else: rows or columns are contiguous, a stride from one term to the next
    shared     two buffers (double buffering) of tile.buffer words: the left operand, then from
               tile.right_offset on the right one; layout of the words: `operands.py`. `buffer` is
               the offset of the current one
    mn, k      row or column of an operand in the tile; term
    staging    registers: the thread's share of the next buffer, vectors of QUAD floats

While one buffer is multiplied, the next is loaded from global memory to registers: one barrier per
buffer. Every sum runs in the order of its index, one rounding per term, whatever the tile; except
for the roundings of tensor cores within an instruction.
"""

import functools

from llvmlite import ir
from numba import cuda
from numba.cuda import types

from ..emit import F32, I64, Value, at, fma, load, store, where
from . import tensor
from .code import device_code, device_value, helper
from .device import SIMULATED
from .operands import shared_offset, unpack
from .shape import GROUP, QUAD
from .vector import load_all, load_vector, minimum, split, store_all, store_vector

FLOAT = types.float32


def _origin(builder, tile, thread):
    """Return (first row, first column) of a thread in its tile. Neighbouring lanes of a warp are
    neighbours in a row; for tensor cores in a column.
    """
    lanes_across = min(8, tile.threads_across)
    lanes_down = min(4, tile.threads_down)
    if tile.tensor:
        rest, row = split(Value(builder, thread), lanes_down)
        warp, column = split(rest, lanes_across)
    else:
        rest, column = split(Value(builder, thread), lanes_across)
        warp, row = split(rest, lanes_down)
    warp_row, warp_column = split(warp, tile.threads_across // lanes_across)
    return (
        (warp_row * lanes_down + row) * GROUP,
        (warp_column * lanes_across + column) * tile.vector_width,
    )


def _pair_code(function, tile):
    """Return device code for each of the two results of `function` for a thread."""

    @device_value("int64")
    def first(builder, thread):
        return function(builder, tile, thread)[0]

    @device_value("int64")
    def second(builder, thread):
        return function(builder, tile, thread)[1]

    return first, second


@functools.cache
def thread_origin(tile):
    """Return device code for the first row and for the first column of a thread in its tile."""
    return _pair_code(_origin, tile)


def _fragment_offsets(builder, tile, thread):
    return tensor.fragment_offsets(builder, tile, *_origin(builder, tile, thread), thread)


def float32_copy(tile, right, k_major):
    """Return how threads copy the left or right operand of a buffer: vectors per thread; a function
    for the coordinates of each; a function that stores them to shared memory.
    """
    extent = tile.columns if right else tile.rows
    count = extent * tile.terms // QUAD // tile.threads

    def coordinates(builder, i, thread):
        """Return (mn, k) of vector i of a thread. K-major: threads take two vectors of a row, then
        the next row, so that a warp stores terms to 32 different banks.
        """
        q = Value(builder, thread) + i * tile.threads
        if not k_major:
            k, vector = split(q, extent // QUAD)
            return vector * QUAD, k
        q, odd = split(q, 2)
        pair, row = split(q, extent)
        return row, (pair * 2 + odd) * QUAD

    def store_shared(builder, shared, start, staging, thread):
        start = Value(builder, start)
        for i, values in enumerate(staging):
            mn, k = coordinates(builder, i, thread)
            if k_major:
                for j, value in enumerate(values):
                    target = start + shared_offset(tile, right, k + j, mn)
                    store(builder, value, at(builder, shared, target.ir))
            else:
                target = start + shared_offset(tile, right, k, mn)
                store_vector(builder, values, shared, target.ir)

    return count, coordinates, store_shared


def _copy_code(tile, right, k_major):
    """Return device code that copies a thread's share of the left or right operand of a buffer:
    `load_full` and `load_edge` to registers, `store_shared` from there; and its number of floats.
    """
    copy = tensor.tensor_copy if tile.tensor else float32_copy
    count, coordinates, store_vectors = copy(tile, right, k_major)

    @device_code
    def load_full(builder, staging, source, start, stride, last, first, thread):
        """Load aligned vectors of terms from `first` on. Rows or columns after `last` repeat it."""
        for i in range(count):
            mn, k = coordinates(builder, i, thread)
            limit = Value(builder, last)
            mn = minimum(mn, limit if k_major else limit & -QUAD)
            k = k + Value(builder, first)
            major, minor = (mn, k) if k_major else (k, mn)
            offset = major * Value(builder, stride) + minor
            values = load_vector(builder, source, (Value(builder, start) + offset).ir, QUAD)
            store_all(builder, values, at(builder, staging, i * QUAD))

    @device_code
    def load_edge(builder, staging, source, start, stride, last, first, terms, thread):
        """Load elements of any alignment; 0 for terms >= `terms`."""
        for i in range(count):
            mn, k = coordinates(builder, i, thread)
            k = k + Value(builder, first)
            for j in range(QUAD):
                element_mn = minimum(mn if k_major else mn + j, Value(builder, last))
                element_k = k + j if k_major else k
                in_bounds = element_k < Value(builder, terms)
                element_k = minimum(element_k, Value(builder, terms) - 1)
                major, minor = (element_mn, element_k) if k_major else (element_k, element_mn)
                offset = Value(builder, start) + major * Value(builder, stride) + minor
                value = load(builder, at(builder, source, offset.ir), 1)
                target = at(builder, staging, i * QUAD + j)
                store(builder, where(in_bounds, value, 0), target)

    @device_code
    def store_shared(builder, shared, start, staging, thread):
        values = load_all(builder, staging, count * QUAD)
        vectors = [values[i : i + QUAD] for i in range(0, count * QUAD, QUAD)]
        store_vectors(builder, shared, start, vectors, thread)

    return load_full, load_edge, store_shared, count * QUAD


def _fma_products(builder, tile, sums, shared, buffer, row, column):
    """Add products term by term: in float32; in the simulator also in place of tensor cores."""
    buffer, row, column = (Value(builder, value) for value in (buffer, row, column))

    def load_words(right, k, mn, count):
        start = buffer + tile.right_offset if right else buffer
        if not tile.tensor:
            offset = start + shared_offset(tile, right, k, mn)
            return load_vector(builder, shared, offset.ir, count)
        offsets = [start + shared_offset(tile, right, k, mn + i) for i in range(count)]
        return [load(builder, at(builder, shared, offset.ir), 1) for offset in offsets]

    for k in range(tile.depth):
        k, a, b = Value(builder, I64(k)), [], []
        for i in range(0, GROUP, QUAD):
            a += load_words(False, k, row + i, QUAD)
        for vector in range(tile.vectors):
            b += load_words(True, k, column + vector * tile.vector_step, tile.vector_width)
        a, b = ([unpack(tile, word) for word in words] for words in (a, b))
        for term in range(tile.terms_per_word):
            for i, x in enumerate(a):
                for j, y in enumerate(b):
                    e = i * tile.columns_per_thread + j
                    sums[e] = fma(x[term], y[term], sums[e])


def _multiply_code(tile):
    """Return device code that multiplies a buffer, and for the offsets of a thread's part of the
    left and of the right operand.
    """
    tensor_cores = tile.tensor and not SIMULATED
    add_products = tensor.mma_products if tensor_cores else _fma_products
    left_of, right_of = _pair_code(_fragment_offsets if tensor_cores else _origin, tile)

    @device_code
    def multiply(builder, acc, shared, buffer, left, right):
        """acc[i, j] += sum_k a[i, k] b[k, j] over the terms of a buffer"""
        sums = load_all(builder, acc, tile.accumulators)
        add_products(builder, tile, sums, shared, buffer, left, right)
        store_all(builder, sums, acc)

    return multiply, left_of, right_of


def clear_code(count):
    """Return device code that sets the first `count` floats of an array to 0."""

    @device_code
    def clear(builder, array):
        zero = Value(builder, ir.Constant(F32, 0.0))
        for i in range(count):
            store(builder, zero, at(builder, array, i))

    return clear


PARTIAL_SUMS = 8  # interleaved sums over the samples of a batch, on every target


def _row_sum_code(tile):
    """Return device code that adds the terms of a buffer of the left operand to sums of its rows,
    eight interleaved ones per row as on the CPU; and the number of sums per thread, which has every
    `threads`-th row.
    """
    count = -(-tile.rows // tile.threads)

    @device_code
    def add_terms(builder, sums, shared, start, thread):
        for c in range(count):
            row = Value(builder, thread) + c * tile.threads
            row = minimum(row, Value(builder, I64(tile.rows - 1)))
            for k in range(tile.depth):
                offset = shared_offset(tile, False, Value(builder, I64(k)), row)
                offset = offset + Value(builder, start)
                word = load(builder, at(builder, shared, offset.ir), 1)
                for j, value in enumerate(unpack(tile, word)):
                    partial = c * PARTIAL_SUMS + (k * tile.terms_per_word + j) % PARTIAL_SUMS
                    target = at(builder, sums, partial)
                    store(builder, load(builder, target, 1) + value, target)

    return add_terms, count * PARTIAL_SUMS


@functools.cache
def product(tile, left_k_major, right_k_major, row_sums=False):
    """Return a kernel's function that adds a product to the accumulators of its threads.

    left, right: arrays, from `..._at` on; `..._stride`: from one row or column (K-major), or term,
    to the next; `..._last`: the last row or column, counted from the tile's first; `..._aligned`:
    1 if vectors of QUAD floats are aligned; terms: K. With `row_sums`, also add to `sums` the sums
    over k of the left operand's rows, if `sum_rows`.
    """
    load_left, edge_left, store_left, left_floats = _copy_code(tile, False, left_k_major)
    load_right, edge_right, store_right, right_floats = _copy_code(tile, True, right_k_major)
    multiply, left_of, right_of = _multiply_code(tile)
    add_terms, _ = _row_sum_code(tile)
    TERMS, BUFFER, RIGHT = tile.terms, tile.buffer, tile.right_offset

    @helper
    def accumulate(
        acc, sums, shared, left, left_at, left_stride, left_last, left_aligned, right, right_at,
        right_stride, right_last, right_aligned, terms, sum_rows,
    ):  # fmt: skip
        thread = cuda.threadIdx.x
        left_staging = cuda.local.array(left_floats, FLOAT)
        right_staging = cuda.local.array(right_floats, FLOAT)
        left_offset, right_offset = left_of(thread), right_of(thread)
        buffer = 0
        for first in range(-TERMS, terms, TERMS):  # the first round only loads
            following = first + TERMS
            if following < terms:
                if left_aligned and following + TERMS <= terms:
                    load_left(
                        left_staging, left, left_at, left_stride, left_last, following, thread
                    )
                else:
                    edge_left(
                        left_staging, left, left_at, left_stride, left_last, following, terms,
                        thread,
                    )  # fmt: skip
                if right_aligned and following + TERMS <= terms:
                    load_right(
                        right_staging, right, right_at, right_stride, right_last, following, thread
                    )
                else:
                    edge_right(
                        right_staging, right, right_at, right_stride, right_last, following, terms,
                        thread,
                    )  # fmt: skip
            if first >= 0:
                multiply(acc, shared, buffer, left_offset, right_offset)
                if row_sums and sum_rows:
                    add_terms(sums, shared, buffer, thread)
                buffer = BUFFER - buffer
            if following < terms:
                store_left(shared, buffer, left_staging, thread)
                store_right(shared, buffer + RIGHT, right_staging, thread)
            cuda.syncthreads()

    return accumulate
