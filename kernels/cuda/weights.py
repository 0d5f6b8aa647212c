"""Weight and bias gradients of all dense layers in one launch, passed to the optimizer while they
are in registers.

    M, K, N      samples; fan-in and fan-out of a layer
    product      dw (N, K) = dz^T x, dz (M, N), x (M, K): the samples are the terms of the sums,
                 neither operand is K-major; db (N,) = sums over the samples
    launch       grid (tiles of all layers, splits), tile.threads threads
    block        one tile of one layer: units from first_row, inputs from first_column; samples of
                 one split
    thread       acc: dw, see `tile.py`; sums: db of every `threads`-th unit of the tile,
                 PARTIAL_SUMS each; only blocks with first_column == 0 have db
    layers       global, int64 [layers][LAYER]
    tiles        global, int64 [tiles][3]: layer, first_row, first_column
    workspace    global, float32 [tile][split][tile.rows * tile.columns + tile.rows]: partial dw,
                 [accumulator][thread], then partial db

If all layers together have few tiles, the batch is split ("split-K"): each block stores its partial
sums to the workspace, and a second kernel adds them in the order of the splits.
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
from .dense import each_row, row_accumulators
from .device import SIMULATED
from .job import BACKWARD, HYPERS, STOP, STOPPED
from .optimizer import apply, hyper_of
from .shape import MIN_BLOCKS, QUAD, ceil_div, tile_for
from .tile import FLOAT, PARTIAL_SUMS, clear_code, product, thread_origin
from .vector import load_all

# Columns of `layers`.
W, B, TERMS, UNITS, DZ, DZ_STRIDE, X, STRIDE, STORED, LAYER = range(10)
# The fewest samples of a split.
MIN_SPLIT = 256


def _partial_code(tile):
    rows_per_thread = -(-tile.rows // tile.threads)
    block = tile.rows * tile.columns + tile.rows

    def each_row_sum(builder, sums, thread, rows_left, body):
        """Emit `body(row, total)` for each bias gradient of a thread: the partial sums, added in
        their order. rows_left: rows of the result from the tile's first on.
        """
        for c in range(rows_per_thread):
            row = Value(builder, thread) + c * tile.threads
            total = Value(builder, F32(0.0))
            for value in load_all(builder, at(builder, sums, c * PARTIAL_SUMS), PARTIAL_SUMS):
                total = total + value
            in_bounds = builder.and_((row < tile.rows).ir, (row < Value(builder, rows_left)).ir)
            builder.when(in_bounds, functools.partial(body, row, total))

    @device_code
    def store_partial(builder, workspace, index, acc, sums, has_row_sums, thread):
        """Store the partial sums of a block. index: tile * splits + split."""
        base = Value(builder, index) * block
        for e, value in enumerate(load_all(builder, acc, tile.accumulators)):
            offset = base + Value(builder, thread) + e * tile.threads
            store(builder, value, at(builder, workspace, offset.ir))

        def body(row, total):
            offset = base + row + tile.rows * tile.columns
            store(builder, total, at(builder, workspace, offset.ir))

        predicate = (Value(builder, has_row_sums) > 0).ir
        builder.when(predicate, lambda: each_row_sum(builder, sums, thread, I64(tile.rows), body))

    @device_code
    def add_partial(builder, acc, sums, workspace, index, thread):
        """Add the partial sums of a block."""
        base = Value(builder, index) * block
        for e in range(tile.accumulators):
            offset = base + Value(builder, thread) + e * tile.threads
            target = at(builder, acc, e)
            value = load(builder, at(builder, workspace, offset.ir), 1)
            store(builder, load(builder, target, 1) + value, target)
        for c in range(rows_per_thread):
            row = Value(builder, thread) + c * tile.threads

            def body(row=row, c=c):
                target = at(builder, sums, c * PARTIAL_SUMS)
                offset = base + row + tile.rows * tile.columns
                value = load(builder, at(builder, workspace, offset.ir), 1)
                store(builder, load(builder, target, 1) + value, target)

            builder.when((row < tile.rows).ir, body)

    return each_row_sum, store_partial, add_partial


def _update_code(tile, code, aligned):
    """Return device code that updates the weights of a thread. aligned: True if rows of the weights
    begin at multiples of QUAD.
    """

    @device_code
    def update(
        builder, params, state, size, acc, w_at, row, column, units, terms, hypers, hyper_at
    ):  # fmt: skip
        hyper = hyper_of(builder, hypers, hyper_at)

        def update_row(vector, i, n, k):
            sums = row_accumulators(builder, tile, acc, i, vector)
            gradients = load_all(builder, sums, tile.vector_width)
            offset = Value(builder, w_at) + n * Value(builder, terms) + k
            if aligned:
                apply(builder, code, params, state, size, offset, gradients, hyper)
                return
            for j, g in enumerate(gradients):
                body = functools.partial(
                    apply, builder, code, params, state, size, offset + j, [g], hyper
                )
                builder.when((k + j < Value(builder, terms)).ir, body)

        for vector in range(tile.vectors):
            body = functools.partial(update_row, vector)
            each_row(builder, tile, vector, row, column, units, terms, body)

    return update


def _bias_code(code, each_row_sum):
    """Return device code that updates the biases of a thread."""

    @device_code
    def update(builder, params, state, size, sums, b_at, rows_left, hypers, hyper_at, thread):
        hyper = hyper_of(builder, hypers, hyper_at)

        def body(row, total):
            offset = Value(builder, b_at) + row
            apply(builder, code, params, state, size, offset, [total], hyper)

        each_row_sum(builder, sums, thread, rows_left, body)

    return update


def _updates_code(tile, code, each_row_sum):
    """Return a kernel's function that updates the parameters of a tile."""
    update_aligned, update_edge = (_update_code(tile, code, aligned) for aligned in (True, False))
    store_aligned, store_edge = (_update_code(tile, STORE, aligned) for aligned in (True, False))
    update_bias = _bias_code(code, each_row_sum)
    row_of, column_of = thread_origin(tile)

    @helper
    def apply_updates(
        params, state, size, acc, sums, layers, layer, first_row, first_column, hypers, hyper
    ):
        thread = cuda.threadIdx.x
        row, column = first_row + row_of(thread), first_column + column_of(thread)
        units, terms = layers[layer + UNITS], layers[layer + TERMS]
        w_at = layers[layer + W]
        if layers[layer + STORED]:
            if terms % QUAD == 0:
                store_aligned(
                    params, state, size, acc, w_at, row, column, units, terms, hypers, hyper
                )
            else:
                store_edge(params, state, size, acc, w_at, row, column, units, terms, hypers, hyper)
        elif terms % QUAD == 0:
            update_aligned(params, state, size, acc, w_at, row, column, units, terms, hypers, hyper)
        else:
            update_edge(params, state, size, acc, w_at, row, column, units, terms, hypers, hyper)
        if first_column == 0:
            update_bias(
                params, state, size, sums, layers[layer + B] + first_row, units - first_row, hypers,
                hyper, thread,
            )  # fmt: skip

    return apply_updates


def _kernels(tile, code):
    each_row_sum, store_partial, add_partial = _partial_code(tile)
    apply_updates = _updates_code(tile, code, each_row_sum)
    accumulate = product(tile, False, False, row_sums=True)
    SHARED, ACCUMULATORS = 2 * tile.buffer, tile.accumulators
    ROW_SUMS = -(-tile.rows // tile.threads) * PARTIAL_SUMS
    clear_accumulators, clear_row_sums = clear_code(ACCUMULATORS), clear_code(ROW_SUMS)
    name = f"{tile.name}_{UPDATES[code].name}"
    types = FLOATS, FLOATS, FLOATS, FLOATS, INTS, FLOATS, INTS, INTS, *[INT] * 3

    @kernel(f"weights_{name}", tile.threads, *types)
    def weights(params, state, acts, workspace, slots, hypers, layers, tiles, size, samples, split):
        if slots[STOPPED] == STOP:
            return
        if SIMULATED:
            shared = cuda.shared.array(SHARED, FLOAT)
        else:
            shared = cuda.shared.array(SHARED, FLOAT, 16)
        acc = cuda.local.array(ACCUMULATORS, FLOAT)
        sums = cuda.local.array(ROW_SUMS, FLOAT)
        block, splits = cuda.blockIdx.x, cuda.gridDim.y
        layer = tiles[3 * block] * LAYER
        first_row, first_column = tiles[3 * block + 1], tiles[3 * block + 2]
        units, terms = layers[layer + UNITS], layers[layer + TERMS]
        stride, x_stride = layers[layer + DZ_STRIDE], layers[layer + STRIDE]
        first = cuda.blockIdx.y * split
        clear_accumulators(acc)
        clear_row_sums(sums)
        accumulate(
            acc, sums, shared, acts, layers[layer + DZ] + first * stride + first_row, stride,
            units - 1 - first_row, 1, acts, layers[layer + X] + first * x_stride + first_column,
            x_stride, terms - 1 - first_column, 1, min(split, samples - first), first_column == 0,
        )  # fmt: skip
        if splits > 1:
            store_partial(
                workspace, block * splits + cuda.blockIdx.y, acc, sums, first_column == 0,
                cuda.threadIdx.x,
            )  # fmt: skip
        else:
            apply_updates(
                params, state, size, acc, sums, layers, layer, first_row, first_column, hypers,
                slots[BACKWARD] * HYPERS,
            )  # fmt: skip

    @kernel(f"weights_sum_{name}", tile.threads, *types)
    def weights_sum(
        params, state, acts, workspace, slots, hypers, layers, tiles, size, splits, split
    ):
        if slots[STOPPED] == STOP:
            return
        acc = cuda.local.array(ACCUMULATORS, FLOAT)
        sums = cuda.local.array(ROW_SUMS, FLOAT)
        block = cuda.blockIdx.x
        layer = tiles[3 * block] * LAYER
        first_row, first_column = tiles[3 * block + 1], tiles[3 * block + 2]
        clear_accumulators(acc)
        clear_row_sums(sums)
        for p in range(splits):
            add_partial(acc, sums, workspace, block * splits + p, cuda.threadIdx.x)
        apply_updates(
            params, state, size, acc, sums, layers, layer, first_row, first_column, hypers,
            slots[BACKWARD] * HYPERS,
        )  # fmt: skip

    return weights, weights_sum


weights_kernels = functools.cache(_kernels)


class Tiling:
    """Tiles of a program's dense layers and splits of a batch of `samples`, on the device."""

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
        # A function of the shapes, not of the GPU, so that all GPUs sum in the same order.
        max_splits = max(1, samples // MIN_SPLIT)
        splits = min(max_splits, ceil_div(MIN_BLOCKS, self.count))
        self.split = ceil_div(ceil_div(samples, splits), tile.terms) * tile.terms
        self.splits = ceil_div(samples, self.split)
        self.layers = device.to_device(layers.reshape(-1))
        self.tiles = device.to_device(np.array(tiles, np.int64).reshape(-1))
        block = tile.rows * tile.columns + tile.rows
        self.workspace = device.zeros(self.count * self.splits * block if self.splits > 1 else 1)


def weight_gradients(launch, tiling, params, state, acts, slots, hypers, update, size, samples):
    """Launch the gradients and updates of all dense layers. size: floats from one array of the
    state to the next. Raises ValueError for an update that does not exist.
    """
    require(update)
    weights, weights_sum = weights_kernels(tiling.tile, update)
    fixed = params, state, acts, tiling.workspace, slots, hypers, tiling.layers, tiling.tiles, size
    launch(weights, (tiling.count, tiling.splits), *fixed, samples, tiling.split)
    if tiling.splits > 1:
        launch(weights_sum, tiling.count, *fixed, tiling.splits, tiling.split)
