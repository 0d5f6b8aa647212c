"""Batch normalization and layer normalization.

    acts, dz     global, float32, rows [sample][unit]; xn: the normalized values, the same strides
    statistics   batch: mean (units,), then variance (units,); layer: 1 / deviation (samples,)
    batch        grid ceil(units / LANES), BLOCK_SIZE threads: LANES units per block; thread
                 (partial, lane) has every eighth sample of a unit, from `partial` on
    layer        grid ceil(samples / GROUP), BLOCK_SIZE threads: eight samples per block; thread
                 (sample, lane) has every LANES-th unit
    evaluate     grid (samples, ceil(units / BLOCK_SIZE)): one element per thread
    shared       float32 [BLOCK_SIZE], for reductions

Sums over the batch are the eight interleaved partial sums of the CPU.
"""

from numba import cuda

from ..emit import Value, at, fma, load, store
from ..program import (
    B_AT,
    BATCH_NORM,
    DZ_AT,
    EPS,
    FAN_OUT,
    H_AT,
    H_STRIDE,
    MOMENTUM,
    NORMAL_AT,
    OP,
    RUNNING_AT,
    STATISTICS_AT,
    VARIANCE_AT,
    W_AT,
    X_AT,
    X_STRIDE,
)
from ..updates import STORE, UPDATES
from .activation import as_values
from .code import FLOATS, INT, INTS, REAL, device_code, helper, kernel
from .job import BACKWARD, HYPERS, OVERFLOW, STOP, STOPPED
from .optimizer import update_one
from .real import (
    FLOAT,
    add,
    divide,
    is_finite,
    multiply,
    row_sum,
    square_root,
    subtract,
    to_float,
    unit_sum,
)
from .shape import BLOCK_SIZE, GROUP, LANES, ceil_div
from .table import ints

ZERO, ONE = FLOAT(0), FLOAT(1)


@device_code
def _normalize(builder, acts, h, normal_at, store_xn, x, params, w, b, mean, scale):
    """y = w xn + b, xn = (x - mean) scale; stores xn too if `store_xn`."""
    mean, scale = as_values(builder, mean, scale)
    xn = (load(builder, at(builder, acts, x), 1) - mean) * scale
    weight, bias = (load(builder, at(builder, params, offset), 1) for offset in (w, b))
    store(builder, fma(xn, weight, bias), at(builder, acts, h))
    predicate = (Value(builder, store_xn) > 0).ir
    builder.when(predicate, lambda: store(builder, xn, at(builder, acts, normal_at)))


@kernel("batch_norm_forward", BLOCK_SIZE, FLOATS, FLOATS, *[INT] * 10, REAL)
def _batch_forward(
    acts, params, h_at, stride, x_at, x_stride, normal_at, statistics_at, w_at, b_at, units,
    samples, eps,
):  # fmt: skip
    shared = cuda.shared.array(BLOCK_SIZE, FLOAT)
    lane, partial = cuda.threadIdx.x % LANES, cuda.threadIdx.x // LANES
    unit = cuda.blockIdx.x * LANES + lane
    in_bounds = unit < units
    total = ZERO
    if in_bounds:
        for sample in range(partial, samples, GROUP):
            total = add(total, acts[x_at + sample * x_stride + unit])
    count = to_float(samples)
    mean = divide(unit_sum(shared, total), count)
    total = ZERO
    if in_bounds:
        for sample in range(partial, samples, GROUP):
            difference = subtract(acts[x_at + sample * x_stride + unit], mean)
            total = add(total, multiply(difference, difference))
    variance = divide(unit_sum(shared, total), count)
    if in_bounds:
        if partial == 0:
            acts[statistics_at + unit] = mean
            acts[statistics_at + units + unit] = variance
        scale = divide(ONE, square_root(add(variance, eps)))
        for sample in range(partial, samples, GROUP):
            row_offset = sample * stride + unit
            _normalize(
                acts, h_at + row_offset, normal_at + row_offset, 1,
                x_at + sample * x_stride + unit, params, w_at + unit, b_at + unit, mean, scale,
            )  # fmt: skip


@kernel("batch_norm_evaluate", BLOCK_SIZE, FLOATS, FLOATS, *[INT] * 9, REAL)
def _batch_evaluate(
    acts, params, h_at, stride, x_at, x_stride, running_at, variance_at, w_at, b_at, units, eps
):  # fmt: skip
    unit, sample = cuda.blockIdx.y * BLOCK_SIZE + cuda.threadIdx.x, cuda.blockIdx.x
    if unit < units:
        row_offset = h_at + sample * stride + unit
        scale = divide(ONE, square_root(add(params[variance_at + unit], eps)))
        _normalize(
            acts, row_offset, row_offset, 0, x_at + sample * x_stride + unit, params, w_at + unit,
            b_at + unit, params[running_at + unit], scale,
        )  # fmt: skip


@kernel("layer_norm_forward", BLOCK_SIZE, FLOATS, FLOATS, *[INT] * 11, REAL)
def _layer_forward(
    acts, params, h_at, stride, x_at, x_stride, normal_at, statistics_at, w_at, b_at, units,
    samples, store_xn, eps,
):  # fmt: skip
    shared = cuda.shared.array(BLOCK_SIZE, FLOAT)
    lane, sample = cuda.threadIdx.x % LANES, cuda.blockIdx.x * GROUP + cuda.threadIdx.x // LANES
    in_bounds = sample < samples
    x, row_offset = x_at + sample * x_stride, sample * stride
    total = ZERO
    if in_bounds:
        for unit in range(lane, units, LANES):
            total = add(total, acts[x + unit])
    count = to_float(units)
    mean = divide(row_sum(shared, total), count)
    total = ZERO
    if in_bounds:
        for unit in range(lane, units, LANES):
            difference = subtract(acts[x + unit], mean)
            total = add(total, multiply(difference, difference))
    variance = divide(row_sum(shared, total), count)
    if in_bounds:
        scale = divide(ONE, square_root(add(variance, eps)))
        if store_xn and lane == 0:
            acts[statistics_at + sample] = scale
        for unit in range(lane, units, LANES):
            offset = row_offset + unit
            _normalize(
                acts, h_at + offset, normal_at + offset, store_xn, x + unit, params, w_at + unit,
                b_at + unit, mean, scale,
            )  # fmt: skip


def normalization_forward(launch, row, constants, params, acts, samples, training):
    """Launch the pre-activations of a normalization."""
    units, eps = int(row[FAN_OUT]), float(constants[EPS])
    offsets = ints(row, H_AT, H_STRIDE, X_AT, X_STRIDE)
    saved, weights = ints(row, NORMAL_AT, STATISTICS_AT), ints(row, W_AT, B_AT)
    if row[OP] != BATCH_NORM:
        launch(
            _layer_forward, ceil_div(samples, GROUP), acts, params, *offsets, *saved, *weights,
            units, samples, int(training), eps,
        )  # fmt: skip
    elif training:
        launch(
            _batch_forward, ceil_div(units, LANES), acts, params, *offsets, *saved, *weights, units,
            samples, eps,
        )  # fmt: skip
    else:
        launch(
            _batch_evaluate, (samples, ceil_div(units, BLOCK_SIZE)), acts, params, *offsets,
            *ints(row, RUNNING_AT, VARIANCE_AT), *weights, units, eps,
        )  # fmt: skip


@helper
def _sums(shared, acts, dz_at, stride, normal_at, unit, in_bounds, partial, samples):
    """Return the sums of dz and of dz xn over the samples of a unit."""
    total, product = ZERO, ZERO
    if in_bounds:
        for sample in range(partial, samples, GROUP):
            offset = sample * stride + unit
            dz = acts[dz_at + offset]
            total = add(total, dz)
            product = add(product, multiply(dz, acts[normal_at + offset]))
    return unit_sum(shared, total), unit_sum(shared, product)


@kernel("batch_norm_backward", BLOCK_SIZE, FLOATS, FLOATS, *[INT] * 9, REAL)
def _batch_backward(
    acts, params, dz_at, stride, normal_at, variance_at, w_at, dx_at, x_stride, units, samples, eps
):  # fmt: skip
    """dx = w / deviation (dz - mean(dz) - xn mean(dz xn))"""
    shared = cuda.shared.array(BLOCK_SIZE, FLOAT)
    lane, partial = cuda.threadIdx.x % LANES, cuda.threadIdx.x // LANES
    unit = cuda.blockIdx.x * LANES + lane
    in_bounds = unit < units
    total, product = _sums(
        shared, acts, dz_at, stride, normal_at, unit, in_bounds, partial, samples
    )
    count = to_float(samples)
    total, product = divide(total, count), divide(product, count)
    if in_bounds:
        deviation = square_root(add(acts[variance_at + unit], eps))
        factor = divide(params[w_at + unit], deviation)
        for sample in range(partial, samples, GROUP):
            offset = sample * stride + unit
            dx = subtract(acts[dz_at + offset], total)
            dx = subtract(dx, multiply(acts[normal_at + offset], product))
            acts[dx_at + sample * x_stride + unit] = multiply(dx, factor)


@kernel("layer_norm_backward", BLOCK_SIZE, FLOATS, FLOATS, *[INT] * 9)
def _layer_backward(
    acts, params, dz_at, stride, normal_at, scale_at, w_at, dx_at, x_stride, units, samples
):  # fmt: skip
    """dx = (g - mean(g) - xn mean(g xn)) / deviation, g = dz w"""
    shared = cuda.shared.array(BLOCK_SIZE, FLOAT)
    lane, sample = cuda.threadIdx.x % LANES, cuda.blockIdx.x * GROUP + cuda.threadIdx.x // LANES
    in_bounds = sample < samples
    row_offset, dx = sample * stride, dx_at + sample * x_stride
    total, product = ZERO, ZERO
    if in_bounds:
        for unit in range(lane, units, LANES):
            g = multiply(acts[dz_at + row_offset + unit], params[w_at + unit])
            total = add(total, g)
            product = add(product, multiply(g, acts[normal_at + row_offset + unit]))
    count = to_float(units)
    total = divide(row_sum(shared, total), count)
    product = divide(row_sum(shared, product), count)
    if in_bounds:
        for unit in range(lane, units, LANES):
            g = multiply(acts[dz_at + row_offset + unit], params[w_at + unit])
            value = subtract(
                subtract(g, total), multiply(acts[normal_at + row_offset + unit], product)
            )
            acts[dx + unit] = multiply(value, acts[scale_at + sample])


def normalization_backward(launch, row, below, constants, params, acts, samples):
    """Launch the gradient of the output of the node in `below`, stored where its dz will be."""
    units = int(row[FAN_OUT])
    inputs = ints(row, DZ_AT, H_STRIDE, NORMAL_AT)
    target = int(row[W_AT]), *ints(below, DZ_AT, H_STRIDE), units, samples
    if row[OP] == BATCH_NORM:
        launch(
            _batch_backward, ceil_div(units, LANES), acts, params, *inputs,
            int(row[STATISTICS_AT]) + units, *target, float(constants[EPS]),
        )  # fmt: skip
    else:
        launch(
            _layer_backward, ceil_div(samples, GROUP), acts, params, *inputs,
            int(row[STATISTICS_AT]), *target,
        )  # fmt: skip


def _update_kernel(code):
    update = update_one(code)

    name = f"norm_update_{UPDATES[code].name}"

    @kernel(name, BLOCK_SIZE, FLOATS, FLOATS, FLOATS, INTS, FLOATS, *[INT] * 11, REAL)
    def normalization(
        params, state, acts, slots, hypers, size, dz_at, stride, normal_at, w_at, b_at,
        statistics_at, running_at, variance_at, units, samples, momentum,
    ):  # fmt: skip
        """Gradients and updates of w and b; and running statistics, if running_at >= 0."""
        if slots[STOPPED] == STOP:
            return
        shared = cuda.shared.array(BLOCK_SIZE, FLOAT)
        lane, partial = cuda.threadIdx.x % LANES, cuda.threadIdx.x // LANES
        unit = cuda.blockIdx.x * LANES + lane
        in_bounds = unit < units
        total, product = _sums(
            shared, acts, dz_at, stride, normal_at, unit, in_bounds, partial, samples
        )
        if in_bounds and partial == 0:
            hyper = slots[BACKWARD] * HYPERS
            update(params, state, size, w_at + unit, product, hypers, hyper)
            update(params, state, size, b_at + unit, total, hypers, hyper)
            if running_at >= 0:
                unbiased = divide(to_float(samples), to_float(samples - 1))
                unbiased = multiply(acts[statistics_at + units + unit], unbiased)
                mean, variance = running_at + unit, variance_at + unit
                change = subtract(acts[statistics_at + unit], params[mean])
                new_mean = add(params[mean], multiply(momentum, change))
                change = subtract(unbiased, params[variance])
                new_variance = add(params[variance], multiply(momentum, change))
                if is_finite(new_mean) and is_finite(new_variance):
                    params[mean], params[variance] = new_mean, new_variance
                else:
                    hypers[hyper + OVERFLOW] = ONE

    return normalization


KERNELS = [_update_kernel(code) for code in range(len(UPDATES))]


def normalization_update(
    launch, row, constants, params, state, acts, slots, hypers, update, size, samples
):
    running = ints(row, RUNNING_AT, VARIANCE_AT)
    if row[OP] != BATCH_NORM or update == STORE:
        running = -1, -1
    launch(
        KERNELS[update], ceil_div(int(row[FAN_OUT]), LANES), params, state, acts, slots, hypers,
        size, *ints(row, DZ_AT, H_STRIDE, NORMAL_AT, W_AT, B_AT, STATISTICS_AT), *running,
        int(row[FAN_OUT]), samples, float(constants[MOMENTUM]),
    )  # fmt: skip
