"""The fused dense layer: forward with bias, skip, activation and dropout; and the gradient of its
input with all that lies between it and the dz of the node below.

Activations lie row by row, (samples, units), with strides that are multiples of QUAD. A kernel is
made for each tile, activation and way of dropping.
"""

import functools

from numba import cuda

from ..activations import AFFINE, MASKED, NAMES, PLAIN, gradient, keeps_input
from ..emit import Value, at, load, store
from ..program import (
    ACTIVATION,
    AFFINE_A,
    AFFINE_B,
    B_AT,
    DROP_VALUE,
    DROPPING,
    DZ_AT,
    FAN_IN,
    FAN_OUT,
    GRADIENT_AT,
    H_AT,
    H_STRIDE,
    REMASK,
    SELU_LAMBDA,
    SELU_LAMBDA_ALPHA,
    SITE,
    SKIP_AT,
    SLOPE_AT,
    THRESHOLD,
    W_AT,
    X_AT,
    X_STRIDE,
)
from .activation import activate, drop, values
from .code import FLOATS, INT, INTS, REAL, device_code, kernel
from .device import SIMULATED
from .dropout import dropped
from .job import BACKWARD, BLOCK, FORWARD, JOB, SEED, STEP
from .shape import GROUP, QUAD, blocks_of, tile_for
from .table import ints
from .tile import FLOAT, place_in, product, zeroed
from .vector import least, load_vector, store_vector


def each_row(builder, tile, piece, row, column, rows, columns, body):
    """`body(i, m, n)` for the rows of a thread that there are, in one of its pieces, if that is
    there: its i-th row is row m of the result, its columns begin with n.
    """
    first, row = Value(builder, column) + piece * tile.step, Value(builder, row)

    def inside():
        for i in range(GROUP):
            m = row + i
            builder.when((m < Value(builder, rows)).ir, functools.partial(body, i, m, first))

    builder.when((first < Value(builder, columns)).ir, inside)


def accumulators(builder, tile, acc, i, piece):
    """Pointer to the sums of one row of a piece."""
    return at(builder, acc, i * tile.unit + piece * tile.width)


def _epilogues(tile):
    @device_code
    def start(builder, acc, params, b_at, column, columns):
        """Every sum begins with its bias."""
        for piece in range(tile.pieces):
            for j in range(tile.width):
                n = Value(builder, column) + (piece * tile.step + j)
                n = least(n, Value(builder, columns) - 1)
                place = builder.add(b_at, n.ir)
                bias = load(builder, at(builder, params, place), 1)
                for i in range(GROUP):
                    store(builder, bias, at(builder, accumulators(builder, tile, acc, i, piece), j))

    @device_code
    def add(builder, acc, acts, more_at, stride, row, column, rows, columns):
        """Adds what lies at more_at."""
        for piece in range(tile.pieces):

            def one(i, m, n, piece=piece):
                sums = accumulators(builder, tile, acc, i, piece)
                place = Value(builder, more_at) + m * Value(builder, stride) + n
                more = load_vector(builder, acts, place.ir, tile.width)
                for j, value in enumerate(more):
                    target = at(builder, sums, j)
                    store(builder, load(builder, target, 1) + value, target)

            each_row(builder, tile, piece, row, column, rows, columns, one)

    return start, add


def masks_of(builder, block, first, width, site, step, seed, threshold):
    """For `width` units from `first` on, which of the eight samples of a block are dropped."""
    given = values(builder, site, step, seed, threshold)
    return [list(dropped(block, first + j, *given)) for j in range(width)]


def piece_masks(builder, tile, piece, row, column, block, *given):
    """`masks_of` for the samples and the units of a thread in one of its pieces. block: the eight
    samples that the batch begins with.
    """
    eighth = Value(builder, block) + Value(builder, row).shift_right(3)
    first = Value(builder, column) + piece * tile.step
    return masks_of(builder, eighth, first, tile.width, *given)


@functools.cache
def forward_kernel(tile, activation, dropping):
    name = NAMES[activation]
    run = product(tile, True, True)
    row_of, column_of = place_in(tile)
    start, add = _epilogues(tile)
    SHARED, SUMS, ROWS, COLUMNS = 2 * tile.buffer, tile.accumulators, tile.rows, tile.columns

    @device_code
    def finish(
        builder, acts, acc, slope_at, h_at, stride, row, column, rows, columns, block, site, step,
        seed, threshold, value, a, b, lambda_, lambda_alpha,
    ):  # fmt: skip
        value, a, b, *selu = values(builder, value, a, b, lambda_, lambda_alpha)
        for piece in range(tile.pieces):
            masks = None
            if dropping:
                masks = piece_masks(
                    builder, tile, piece, row, column, block, site, step, seed, threshold
                )

            def one(i, m, n, piece=piece, masks=masks):
                place = m * Value(builder, stride) + n
                sums = accumulators(builder, tile, acc, i, piece)
                z = [load(builder, at(builder, sums, j), 1) for j in range(tile.width)]
                if keeps_input(name):  # first: without a place of its own, h takes this one
                    store_vector(builder, z, acts, (Value(builder, slope_at) + place).ir)
                out = [activate(name, of_unit, selu) for of_unit in z]
                if dropping:
                    out = [drop(y, masks[j][i], value, a, b) for j, y in enumerate(out)]
                store_vector(builder, out, acts, (Value(builder, h_at) + place).ir)

            each_row(builder, tile, piece, row, column, rows, columns, one)

    @kernel(
        f"dense_forward_{tile.name}_{name}{'_dropping' * dropping}", tile.threads, FLOATS, FLOATS,
        INTS, INTS, *[INT] * 14, *[REAL] * 5,
    )  # fmt: skip
    def forward(
        acts, params, jobs, slots, x_at, x_stride, slope_at, h_at, h_stride, w_at, b_at, rows,
        terms, columns, w_whole, skip_at, site, threshold, value, a, b, lambda_, lambda_alpha,
    ):  # fmt: skip
        if SIMULATED:
            shared = cuda.shared.array(SHARED, FLOAT)
        else:
            shared = cuda.shared.array(SHARED, FLOAT, 16)
        acc = cuda.local.array(SUMS, FLOAT)
        thread = cuda.threadIdx.x
        first_row, first_column = cuda.blockIdx.y * ROWS, cuda.blockIdx.x * COLUMNS
        row, column = first_row + row_of(thread), first_column + column_of(thread)
        job = slots[FORWARD] * JOB  # asked for early, needed late
        block, step, seed = jobs[job + BLOCK], jobs[job + STEP], jobs[job + SEED]
        start(acc, params, b_at, column, columns)
        run(
            acc, acc, shared, acts, x_at + first_row * x_stride, x_stride, rows - 1 - first_row, 1,
            params, w_at + first_column * terms, terms, columns - 1 - first_column, w_whole, terms,
            0,
        )  # fmt: skip
        if skip_at >= 0:
            add(acc, acts, skip_at, h_stride, row, column, rows, columns)
        finish(
            acts, acc, slope_at, h_at, h_stride, row, column, rows, columns, block, site, step,
            seed, threshold, value, a, b, lambda_, lambda_alpha,
        )  # fmt: skip

    return forward


def selu_of(constants):
    return float(constants[SELU_LAMBDA]), float(constants[SELU_LAMBDA_ALPHA])


def grid_of(tile, rows, columns):
    return blocks_of(columns, tile.columns), blocks_of(rows, tile.rows)


def dense_forward(launch, row, constants, params, acts, jobs, slots, samples, dropping, precision):
    K, N = ints(row, FAN_IN, FAN_OUT)
    tile = tile_for([(samples, N)], precision)
    launch(
        forward_kernel(tile, int(row[ACTIVATION]), bool(dropping)), grid_of(tile, samples, N), acts,
        params, jobs, slots, *ints(row, X_AT, X_STRIDE, SLOPE_AT, H_AT, H_STRIDE, W_AT, B_AT),
        samples, K, N, int(K % QUAD == 0), *ints(row, SKIP_AT, SITE, THRESHOLD),
        float(constants[DROP_VALUE]), float(constants[AFFINE_A]), float(constants[AFFINE_B]),
        *selu_of(constants),
    )  # fmt: skip


@functools.cache
def backward_kernel(tile, activation, mode):
    name = NAMES[activation]
    run = product(tile, True, False)
    row_of, column_of = place_in(tile)
    _, add = _epilogues(tile)
    clear = zeroed(tile.accumulators)
    SHARED, SUMS, ROWS, COLUMNS = 2 * tile.buffer, tile.accumulators, tile.rows, tile.columns

    @device_code
    def finish(
        builder, acts, acc, out_at, slope_at, stride, row, column, rows, columns, block, site, step,
        seed, threshold, a, b, lambda_, lambda_alpha,
    ):  # fmt: skip
        a, b, *selu = values(builder, a, b, lambda_, lambda_alpha)
        for piece in range(tile.pieces):
            masks = None
            if mode == MASKED:
                masks = piece_masks(
                    builder, tile, piece, row, column, block, site, step, seed, threshold
                )

            def one(i, m, n, piece=piece, masks=masks):
                place = m * Value(builder, stride) + n
                kept = load_vector(builder, acts, (Value(builder, slope_at) + place).ir, tile.width)
                sums = accumulators(builder, tile, acc, i, piece)
                out = []
                for j, value in enumerate(kept):
                    dh = load(builder, at(builder, sums, j), 1)
                    condition = masks[j][i] if mode == MASKED else None
                    out.append(gradient(name, mode, dh, value, selu, a, b, condition))
                store_vector(builder, out, acts, (Value(builder, out_at) + place).ir)

            each_row(builder, tile, piece, row, column, rows, columns, one)

    @kernel(
        f"dense_backward_{tile.name}_{name}{('', '_affine', '_masked')[mode]}", tile.threads,
        FLOATS, FLOATS, INTS, INTS, *[INT] * 13, *[REAL] * 4,
    )  # fmt: skip
    def backward(
        acts, params, jobs, slots, dz_at, dz_stride, out_at, slope_at, stride, w_at, rows, terms,
        columns, w_whole, gradient_at, site, threshold, a, b, lambda_, lambda_alpha,
    ):  # fmt: skip
        if SIMULATED:
            shared = cuda.shared.array(SHARED, FLOAT)
        else:
            shared = cuda.shared.array(SHARED, FLOAT, 16)
        acc = cuda.local.array(SUMS, FLOAT)
        thread = cuda.threadIdx.x
        first_row, first_column = cuda.blockIdx.y * ROWS, cuda.blockIdx.x * COLUMNS
        row, column = first_row + row_of(thread), first_column + column_of(thread)
        job = slots[BACKWARD] * JOB
        block, step, seed = jobs[job + BLOCK], jobs[job + STEP], jobs[job + SEED]
        clear(acc)
        run(
            acc, acc, shared, acts, dz_at + first_row * dz_stride, dz_stride, rows - 1 - first_row,
            1, params, w_at + first_column, columns, columns - 1 - first_column, w_whole, terms, 0,
        )  # fmt: skip
        if gradient_at >= 0:
            add(acc, acts, gradient_at, stride, row, column, rows, columns)
        finish(
            acts, acc, out_at, slope_at, stride, row, column, rows, columns, block, site, step,
            seed, threshold, a, b, lambda_, lambda_alpha,
        )  # fmt: skip

    return backward


def way_back(below):
    """The way back through the dropout of the node in `below`: PLAIN, AFFINE or MASKED."""
    if not below[DROPPING]:
        return PLAIN
    return MASKED if below[REMASK] else AFFINE


def dense_input_backward(
    launch, row, below, constants, params, acts, jobs, slots, samples, precision
):  # fmt: skip
    """constants: of the node below."""
    K, N = ints(row, FAN_IN, FAN_OUT)
    tile = tile_for([(samples, K)], precision)
    launch(
        backward_kernel(tile, int(below[ACTIVATION]), way_back(below)), grid_of(tile, samples, K),
        acts, params, jobs, slots, *ints(row, DZ_AT, H_STRIDE),
        *ints(below, DZ_AT, SLOPE_AT, H_STRIDE), int(row[W_AT]), samples, N, K, int(K % QUAD == 0),
        int(row[GRADIENT_AT]), *ints(below, SITE, THRESHOLD), float(constants[AFFINE_A]),
        float(constants[AFFINE_B]), *selu_of(constants),
    )  # fmt: skip
