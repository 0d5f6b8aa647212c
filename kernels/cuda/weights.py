"""Weight and bias gradients of all dense layers in one launch, handed to the optimizer while they
are in registers.

A block has one tile of one layer. Where all layers together have few tiles, the batch is split
into parts: each writes its sums, and a second kernel adds these in their order.
"""

import functools

import numpy as np
from numba import cuda

from ..emit import F32, I64, Value, at, load, store
from ..program import (
    B_AT,
    DENSE,
    DZ_AT,
    FAN_IN,
    FAN_OUT,
    H_STRIDE,
    OP,
    V_AT,
    W_AT,
    X_AT,
    X_STRIDE,
)
from ..updates import STORE, UPDATES, require
from . import device
from .code import FLOATS, INT, INTS, device_code, helper, kernel
from .dense import accumulators, each_row
from .device import SIMULATED
from .job import BACKWARD, HYPERS, STOP, STOPPED
from .optimizer import apply, hyper_of
from .shape import ENOUGH, QUAD, blocks_of, tile_for
from .tile import EIGHT, FLOAT, place_in, product, zeroed
from .vector import load_all

# A layer, as the kernel reads it: columns of a table on the device.
W, B, TERMS, UNITS, DZ, DZ_STRIDE, X, STRIDE, STORED, LAYER = range(10)
# The fewest samples of a part of a batch.
PART = 256


def _sums_code(tile):
    count = -(-tile.rows // tile.threads)
    block = tile.rows * tile.columns + tile.rows

    def each_sum(builder, sums, thread, left, body):
        """`body(row, total)` for the bias gradients of a thread: eight interleaved sums, added in
        their order. left: rows that there are.
        """
        for c in range(count):
            row = Value(builder, thread) + c * tile.threads
            total = Value(builder, F32(0.0))
            for value in load_all(builder, at(builder, sums, c * EIGHT), EIGHT):
                total = total + value
            there = builder.and_((row < tile.rows).ir, (row < Value(builder, left)).ir)
            builder.when(there, functools.partial(body, row, total))

    @device_code
    def keep(builder, work, number, acc, sums, wanted, thread):
        """The sums of one part of a tile to memory."""
        base = Value(builder, number) * block
        for e, value in enumerate(load_all(builder, acc, tile.accumulators)):
            place = base + Value(builder, thread) + e * tile.threads
            store(builder, value, at(builder, work, place.ir))

        def one(row, total):
            place = base + row + tile.rows * tile.columns
            store(builder, total, at(builder, work, place.ir))

        if_wanted = (Value(builder, wanted) > 0).ir
        builder.when(if_wanted, lambda: each_sum(builder, sums, thread, I64(tile.rows), one))

    @device_code
    def take(builder, acc, sums, work, number, thread):
        """Adds the sums of one part."""
        base = Value(builder, number) * block
        for e in range(tile.accumulators):
            place = base + Value(builder, thread) + e * tile.threads
            target = at(builder, acc, e)
            value = load(builder, at(builder, work, place.ir), 1)
            store(builder, load(builder, target, 1) + value, target)
        for c in range(count):
            row = Value(builder, thread) + c * tile.threads

            def one(row=row, c=c):
                target = at(builder, sums, c * EIGHT)
                place = base + row + tile.rows * tile.columns
                value = load(builder, at(builder, work, place.ir), 1)
                store(builder, load(builder, target, 1) + value, target)

            builder.when((row < tile.rows).ir, one)

    return each_sum, keep, take


def _update_code(tile, code, whole):
    """whole: whether rows of the weights begin at multiples of QUAD."""

    @device_code
    def update(
        builder, params, state, size, acc, w_at, row, column, units, terms, hypers, hyper_at
    ):  # fmt: skip
        hyper = hyper_of(builder, hypers, hyper_at)

        def of_row(piece, i, n, k):
            sums = accumulators(builder, tile, acc, i, piece)
            gradients = load_all(builder, sums, tile.width)
            place = Value(builder, w_at) + n * Value(builder, terms) + k
            if whole:
                apply(builder, code, params, state, size, place, gradients, hyper)
                return
            for j, g in enumerate(gradients):
                one = functools.partial(
                    apply, builder, code, params, state, size, place + j, [g], hyper
                )
                builder.when((k + j < Value(builder, terms)).ir, one)

        for piece in range(tile.pieces):
            body = functools.partial(of_row, piece)
            each_row(builder, tile, piece, row, column, units, terms, body)

    return update


def _bias_code(code, each_sum):
    @device_code
    def update(builder, params, state, size, sums, b_at, left, hypers, hyper_at, thread):
        hyper = hyper_of(builder, hypers, hyper_at)

        def one(row, total):
            place = Value(builder, b_at) + row
            apply(builder, code, params, state, size, place, [total], hyper)

        each_sum(builder, sums, thread, left, one)

    return update


def _finish_code(tile, code, each_sum):
    """A kernel's function: the updates of a tile."""
    update_whole, update_edge = (_update_code(tile, code, whole) for whole in (True, False))
    store_whole, store_edge = (_update_code(tile, STORE, whole) for whole in (True, False))
    update_bias = _bias_code(code, each_sum)
    row_of, column_of = place_in(tile)

    @helper
    def finish(
        params, state, size, acc, sums, layers, layer, first_row, first_column, hypers, hyper
    ):
        thread = cuda.threadIdx.x
        row, column = first_row + row_of(thread), first_column + column_of(thread)
        units, terms = layers[layer + UNITS], layers[layer + TERMS]
        w_at = layers[layer + W]
        if layers[layer + STORED]:
            if terms % QUAD == 0:
                store_whole(
                    params, state, size, acc, w_at, row, column, units, terms, hypers, hyper
                )
            else:
                store_edge(params, state, size, acc, w_at, row, column, units, terms, hypers, hyper)
        elif terms % QUAD == 0:
            update_whole(params, state, size, acc, w_at, row, column, units, terms, hypers, hyper)
        else:
            update_edge(params, state, size, acc, w_at, row, column, units, terms, hypers, hyper)
        if first_column == 0:
            update_bias(
                params, state, size, sums, layers[layer + B] + first_row, units - first_row, hypers,
                hyper, thread,
            )  # fmt: skip

    return finish


def _kernels(tile, code):
    each_sum, keep, take = _sums_code(tile)
    finish = _finish_code(tile, code, each_sum)
    run = product(tile, False, False, summing=True)
    SHARED, SUMS = 2 * tile.buffer, tile.accumulators
    TOTALS = -(-tile.rows // tile.threads) * EIGHT
    clear, clear_sums = zeroed(SUMS), zeroed(TOTALS)
    name = f"{tile.name}_{UPDATES[code].name}"
    types = FLOATS, FLOATS, FLOATS, FLOATS, INTS, FLOATS, INTS, INTS, *[INT] * 3

    @kernel(f"weights_{name}", tile.threads, *types)
    def weights(params, state, acts, work, slots, hypers, layers, tiles, size, samples, part):
        if slots[STOPPED] == STOP:
            return
        if SIMULATED:
            shared = cuda.shared.array(SHARED, FLOAT)
        else:
            shared = cuda.shared.array(SHARED, FLOAT, 16)
        acc = cuda.local.array(SUMS, FLOAT)
        sums = cuda.local.array(TOTALS, FLOAT)
        block, parts = cuda.blockIdx.x, cuda.gridDim.y
        layer = tiles[3 * block] * LAYER
        first_row, first_column = tiles[3 * block + 1], tiles[3 * block + 2]
        units, terms = layers[layer + UNITS], layers[layer + TERMS]
        stride, x_stride = layers[layer + DZ_STRIDE], layers[layer + STRIDE]
        first = cuda.blockIdx.y * part
        clear(acc)
        clear_sums(sums)
        run(
            acc, sums, shared, acts, layers[layer + DZ] + first * stride + first_row, stride,
            units - 1 - first_row, 1, acts, layers[layer + X] + first * x_stride + first_column,
            x_stride, terms - 1 - first_column, 1, min(part, samples - first), first_column == 0,
        )  # fmt: skip
        if parts > 1:
            keep(
                work, block * parts + cuda.blockIdx.y, acc, sums, first_column == 0,
                cuda.threadIdx.x,
            )  # fmt: skip
        else:
            finish(
                params, state, size, acc, sums, layers, layer, first_row, first_column, hypers,
                slots[BACKWARD] * HYPERS,
            )  # fmt: skip

    @kernel(f"weights_sum_{name}", tile.threads, *types)
    def weights_sum(params, state, acts, work, slots, hypers, layers, tiles, size, parts, part):
        if slots[STOPPED] == STOP:
            return
        acc = cuda.local.array(SUMS, FLOAT)
        sums = cuda.local.array(TOTALS, FLOAT)
        block = cuda.blockIdx.x
        layer = tiles[3 * block] * LAYER
        first_row, first_column = tiles[3 * block + 1], tiles[3 * block + 2]
        clear(acc)
        clear_sums(sums)
        for p in range(parts):
            take(acc, sums, work, block * parts + p, cuda.threadIdx.x)
        finish(
            params, state, size, acc, sums, layers, layer, first_row, first_column, hypers,
            slots[BACKWARD] * HYPERS,
        )  # fmt: skip

    return weights, weights_sum


weights_kernels = functools.cache(_kernels)


class Tiling:
    """Tiles of a program's dense layers for batches of `samples`, as a table on the device."""

    def __init__(self, program, samples, precision="float32"):
        dense = program[program[:, OP] == DENSE]
        shapes = [(int(row[FAN_OUT]), int(row[FAN_IN])) for row in dense]
        self.tile = tile = tile_for(shapes, precision)
        layers = np.zeros((len(dense), LAYER), np.int64)
        columns = W_AT, B_AT, FAN_IN, FAN_OUT, DZ_AT, H_STRIDE, X_AT, X_STRIDE
        layers[:, : len(columns)] = dense[:, columns]
        layers[:, STORED] = dense[:, V_AT] >= 0
        tiles = [
            (i, n, k)
            for i, (N, K) in enumerate(shapes)
            for n in range(0, N, tile.rows)
            for k in range(0, K, tile.columns)
        ]
        self.count = len(tiles)
        # Only the shapes decide, not the GPU: so all of them sum in the same order.
        most = max(1, samples // PART)
        wanted = min(most, blocks_of(ENOUGH, self.count))
        self.part = -(-blocks_of(samples, wanted) // tile.terms) * tile.terms
        self.parts = blocks_of(samples, self.part)
        self.layers = device.to_device(layers.reshape(-1))
        self.tiles = device.to_device(np.array(tiles, np.int64).reshape(-1))
        block = tile.rows * tile.columns + tile.rows
        self.work = device.zeros(self.count * self.parts * block if self.parts > 1 else 1)


def weight_gradients(launch, tiling, params, state, acts, slots, hypers, update, size, samples):
    """size: floats from one array of the state to the next. Raises ValueError for an update that
    does not exist.
    """
    require(update)
    weights, weights_sum = weights_kernels(tiling.tile, update)
    fixed = params, state, acts, tiling.work, slots, hypers, tiling.layers, tiling.tiles, size
    launch(weights, (tiling.count, tiling.parts), *fixed, samples, tiling.part)
    if tiling.parts > 1:
        launch(weights_sum, tiling.count, *fixed, tiling.parts, tiling.part)
