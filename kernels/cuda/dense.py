"""The fused dense layer: forward with bias, skip connection, activation and dropout; the input
gradient, and the backward of all operations between it and the dz of the node below.

    M, K, N      samples; fan-in; fan-out
    forward      h (M, N) = epilogue(x (M, K) w^T + b), w (N, K): both operands K-major
    backward     dz (M, K) of the node below = epilogue(dz (M, N) w): terms N, w not K-major
    rows, terms, columns    of the product: M, K, N forward; M, N, K backward

    launch       grid (ceil(columns / tile.columns), ceil(rows / tile.rows)), tile.threads threads
    block        one tile, from (first_row, first_column) on
    thread       rows from `row` on, columns from `column` on, see `tile.py`; it stores only its own
    acts         global, float32, rows [sample][unit]; strides are multiples of QUAD
    shared       two buffers of operands; `acc` in registers

A kernel is compiled for each tile, activation and kind of dropout.
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
from .activation import activate, as_values, drop
from .code import FLOATS, INT, INTS, REAL, device_code, kernel
from .device import SIMULATED
from .dropout import dropped
from .job import BACKWARD, BLOCK, FORWARD, JOB, SEED, STEP
from .shape import GROUP, QUAD, ceil_div, tile_for
from .table import ints
from .tile import FLOAT, clear_code, product, thread_origin
from .vector import load_vector, minimum, store_vector


def each_row(builder, tile, vector, row, column, rows, columns, body):
    """Emit `body(i, m, n)` for the rows of a thread inside the result, in one of its vectors of
    columns, if that begins inside: its i-th row is row m of the result, its columns begin at n.
    """
    first, row = Value(builder, column) + vector * tile.vector_step, Value(builder, row)

    def each():
        for i in range(GROUP):
            m = row + i
            builder.when((m < Value(builder, rows)).ir, functools.partial(body, i, m, first))

    builder.when((first < Value(builder, columns)).ir, each)


def row_accumulators(builder, tile, acc, i, vector):
    """Return the address of the accumulators of row i of a vector."""
    return at(builder, acc, i * tile.columns_per_thread + vector * tile.vector_width)


def _accumulator_code(tile):
    @device_code
    def init_bias(builder, acc, params, b_at, column, columns):
        """Set each accumulator to its bias."""
        for vector in range(tile.vectors):
            for j in range(tile.vector_width):
                n = Value(builder, column) + (vector * tile.vector_step + j)
                n = minimum(n, Value(builder, columns) - 1)
                offset = builder.add(b_at, n.ir)
                bias = load(builder, at(builder, params, offset), 1)
                for i in range(GROUP):
                    row_acc = row_accumulators(builder, tile, acc, i, vector)
                    store(builder, bias, at(builder, row_acc, j))

    @device_code
    def add_skip(builder, acc, acts, skip_at, stride, row, column, rows, columns):
        """Add the skip connection's values, backward its gradient."""
        for vector in range(tile.vectors):

            def add_row(i, m, n, vector=vector):
                row_acc = row_accumulators(builder, tile, acc, i, vector)
                offset = Value(builder, skip_at) + m * Value(builder, stride) + n
                skip = load_vector(builder, acts, offset.ir, tile.vector_width)
                for j, value in enumerate(skip):
                    target = at(builder, row_acc, j)
                    store(builder, load(builder, target, 1) + value, target)

            each_row(builder, tile, vector, row, column, rows, columns, add_row)

    return init_bias, add_skip


def drop_conditions(builder, block, first, width, site, step, seed, threshold):
    """Return the conditions that drop units: a list of eight samples for each of `width` units from
    `first` on. block: index of the eight samples in the stream of masks.
    """
    rest = as_values(builder, site, step, seed, threshold)
    return [list(dropped(block, first + j, *rest)) for j in range(width)]


def vector_conditions(builder, tile, vector, row, column, block, *mask_arguments):
    """Return the `drop_conditions` of a thread's samples and the units of one of its vectors.
    block: index of the batch's first eight samples in the stream of masks.
    """
    group = Value(builder, block) + Value(builder, row).shift_right(3)
    first = Value(builder, column) + vector * tile.vector_step
    return drop_conditions(builder, group, first, tile.vector_width, *mask_arguments)


@functools.cache
def forward_kernel(tile, activation, dropping):
    name = NAMES[activation]
    accumulate = product(tile, True, True)
    row_of, column_of = thread_origin(tile)
    init_bias, add_skip = _accumulator_code(tile)
    SHARED, ACCUMULATORS = 2 * tile.buffer, tile.accumulators
    ROWS, COLUMNS = tile.rows, tile.columns

    @device_code
    def epilogue(
        builder, acts, acc, slope_at, h_at, stride, row, column, rows, columns, block, site, step,
        seed, threshold, value, a, b, lambda_, lambda_alpha,
    ):  # fmt: skip
        value, a, b, *selu = as_values(builder, value, a, b, lambda_, lambda_alpha)
        for vector in range(tile.vectors):
            conditions = None
            if dropping:
                conditions = vector_conditions(
                    builder, tile, vector, row, column, block, site, step, seed, threshold
                )

            def store_row(i, m, n, vector=vector, conditions=conditions):
                offset = m * Value(builder, stride) + n
                row_acc = row_accumulators(builder, tile, acc, i, vector)
                z = [load(builder, at(builder, row_acc, j), 1) for j in range(tile.vector_width)]
                if keeps_input(name):  # before h: the two may share a buffer
                    store_vector(builder, z, acts, (Value(builder, slope_at) + offset).ir)
                h = [activate(name, of_unit, selu) for of_unit in z]
                if dropping:
                    h = [drop(y, conditions[j][i], value, a, b) for j, y in enumerate(h)]
                store_vector(builder, h, acts, (Value(builder, h_at) + offset).ir)

            each_row(builder, tile, vector, row, column, rows, columns, store_row)

    @kernel(
        f"dense_forward_{tile.name}_{name}{'_dropping' * dropping}", tile.threads, FLOATS, FLOATS,
        INTS, INTS, *[INT] * 14, *[REAL] * 5,
    )  # fmt: skip
    def forward(
        acts, params, jobs, slots, x_at, x_stride, slope_at, h_at, h_stride, w_at, b_at, rows,
        terms, columns, w_aligned, skip_at, site, threshold, value, a, b, lambda_, lambda_alpha,
    ):  # fmt: skip
        if SIMULATED:
            shared = cuda.shared.array(SHARED, FLOAT)
        else:
            shared = cuda.shared.array(SHARED, FLOAT, 16)
        acc = cuda.local.array(ACCUMULATORS, FLOAT)
        thread = cuda.threadIdx.x
        first_row, first_column = cuda.blockIdx.y * ROWS, cuda.blockIdx.x * COLUMNS
        row, column = first_row + row_of(thread), first_column + column_of(thread)
        job = slots[FORWARD] * JOB  # loaded early to hide the latency
        block, step, seed = jobs[job + BLOCK], jobs[job + STEP], jobs[job + SEED]
        init_bias(acc, params, b_at, column, columns)
        accumulate(
            acc, acc, shared, acts, x_at + first_row * x_stride, x_stride, rows - 1 - first_row, 1,
            params, w_at + first_column * terms, terms, columns - 1 - first_column, w_aligned,
            terms, 0,
        )  # fmt: skip
        if skip_at >= 0:
            add_skip(acc, acts, skip_at, h_stride, row, column, rows, columns)
        epilogue(
            acts, acc, slope_at, h_at, h_stride, row, column, rows, columns, block, site, step,
            seed, threshold, value, a, b, lambda_, lambda_alpha,
        )  # fmt: skip

    return forward


def selu_constants(constants):
    return float(constants[SELU_LAMBDA]), float(constants[SELU_LAMBDA_ALPHA])


def grid_of(tile, rows, columns):
    return ceil_div(columns, tile.columns), ceil_div(rows, tile.rows)


def dense_forward(launch, row, constants, params, acts, jobs, slots, samples, dropping, precision):
    K, N = ints(row, FAN_IN, FAN_OUT)
    tile = tile_for([(samples, N)], precision)
    launch(
        forward_kernel(tile, int(row[ACTIVATION]), bool(dropping)), grid_of(tile, samples, N), acts,
        params, jobs, slots, *ints(row, X_AT, X_STRIDE, SLOPE_AT, H_AT, H_STRIDE, W_AT, B_AT),
        samples, K, N, int(K % QUAD == 0), *ints(row, SKIP_AT, SITE, THRESHOLD),
        float(constants[DROP_VALUE]), float(constants[AFFINE_A]), float(constants[AFFINE_B]),
        *selu_constants(constants),
    )  # fmt: skip


@functools.cache
def backward_kernel(tile, activation, mode):
    name = NAMES[activation]
    accumulate = product(tile, True, False)
    row_of, column_of = thread_origin(tile)
    _, add_skip = _accumulator_code(tile)
    clear_accumulators = clear_code(tile.accumulators)
    SHARED, ACCUMULATORS = 2 * tile.buffer, tile.accumulators
    ROWS, COLUMNS = tile.rows, tile.columns

    @device_code
    def epilogue(
        builder, acts, acc, out_at, slope_at, stride, row, column, rows, columns, block, site, step,
        seed, threshold, a, b, lambda_, lambda_alpha,
    ):  # fmt: skip
        a, b, *selu = as_values(builder, a, b, lambda_, lambda_alpha)
        for vector in range(tile.vectors):
            conditions = None
            if mode == MASKED:
                conditions = vector_conditions(
                    builder, tile, vector, row, column, block, site, step, seed, threshold
                )

            def store_row(i, m, n, vector=vector, conditions=conditions):
                offset = m * Value(builder, stride) + n
                saved_at = (Value(builder, slope_at) + offset).ir
                saved = load_vector(builder, acts, saved_at, tile.vector_width)
                row_acc = row_accumulators(builder, tile, acc, i, vector)
                dz = []
                for j, value in enumerate(saved):
                    dh = load(builder, at(builder, row_acc, j), 1)
                    condition = conditions[j][i] if mode == MASKED else None
                    dz.append(gradient(name, mode, dh, value, selu, a, b, condition))
                store_vector(builder, dz, acts, (Value(builder, out_at) + offset).ir)

            each_row(builder, tile, vector, row, column, rows, columns, store_row)

    @kernel(
        f"dense_backward_{tile.name}_{name}{('', '_affine', '_masked')[mode]}", tile.threads,
        FLOATS, FLOATS, INTS, INTS, *[INT] * 13, *[REAL] * 4,
    )  # fmt: skip
    def backward(
        acts, params, jobs, slots, dz_at, dz_stride, out_at, slope_at, stride, w_at, rows, terms,
        columns, w_aligned, gradient_at, site, threshold, a, b, lambda_, lambda_alpha,
    ):  # fmt: skip
        if SIMULATED:
            shared = cuda.shared.array(SHARED, FLOAT)
        else:
            shared = cuda.shared.array(SHARED, FLOAT, 16)
        acc = cuda.local.array(ACCUMULATORS, FLOAT)
        thread = cuda.threadIdx.x
        first_row, first_column = cuda.blockIdx.y * ROWS, cuda.blockIdx.x * COLUMNS
        row, column = first_row + row_of(thread), first_column + column_of(thread)
        job = slots[BACKWARD] * JOB
        block, step, seed = jobs[job + BLOCK], jobs[job + STEP], jobs[job + SEED]
        clear_accumulators(acc)
        accumulate(
            acc, acc, shared, acts, dz_at + first_row * dz_stride, dz_stride, rows - 1 - first_row,
            1, params, w_at + first_column, columns, columns - 1 - first_column, w_aligned, terms,
            0,
        )  # fmt: skip
        if gradient_at >= 0:
            add_skip(acc, acts, gradient_at, stride, row, column, rows, columns)
        epilogue(
            acts, acc, out_at, slope_at, stride, row, column, rows, columns, block, site, step,
            seed, threshold, a, b, lambda_, lambda_alpha,
        )  # fmt: skip

    return backward


def dropout_backward(below):
    """Return the backward of the dropout of the node in `below`: PLAIN, AFFINE or MASKED."""
    if not below[DROPPING]:
        return PLAIN
    return MASKED if below[REMASK] else AFFINE


def dense_input_backward(
    launch, row, below, constants, params, acts, jobs, slots, samples, precision
):  # fmt: skip
    """Launch the input gradient. row: the dense node; below, constants: of the node below it."""
    K, N = ints(row, FAN_IN, FAN_OUT)
    tile = tile_for([(samples, K)], precision)
    launch(
        backward_kernel(tile, int(below[ACTIVATION]), dropout_backward(below)),
        grid_of(tile, samples, K), acts, params, jobs, slots, *ints(row, DZ_AT, H_STRIDE),
        *ints(below, DZ_AT, SLOPE_AT, H_STRIDE), int(row[W_AT]), samples, N, K, int(K % QUAD == 0),
        int(row[GRADIENT_AT]), *ints(below, SITE, THRESHOLD), float(constants[AFFINE_A]),
        float(constants[AFFINE_B]), *selu_constants(constants),
    )  # fmt: skip
