"""Batch normalization (LANES units a block, their sums over the batch in eight interleaved ones)
and layer normalization (eight samples a block).
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
from .activation import values
from .code import FLOATS, INT, INTS, REAL, device_code, helper, kernel
from .job import BACKWARD, HYPERS, OVERFLOW, STOP, STOPPED
from .optimizer import update_one
from .real import (
    FLOAT,
    add,
    divide,
    is_finite,
    multiply,
    real,
    row_sum,
    square_root,
    subtract,
    unit_sum,
)
from .shape import GROUP, LANES, LINE, blocks_of
from .table import ints

ZERO, ONE = FLOAT(0), FLOAT(1)


@device_code
def _normalize(builder, acts, h, normal_at, keep, x, params, w, b, mean, scale):
    """y = w (x - mean) scale + b; with `keep`, also what w is multiplied with."""
    mean, scale = values(builder, mean, scale)
    normal = (load(builder, at(builder, acts, x), 1) - mean) * scale
    weight, bias = (load(builder, at(builder, params, place), 1) for place in (w, b))
    store(builder, fma(normal, weight, bias), at(builder, acts, h))
    builder.when(
        (Value(builder, keep) > 0).ir, lambda: store(builder, normal, at(builder, acts, normal_at))
    )


@kernel("batch_norm_forward", LINE, FLOATS, FLOATS, *[INT] * 10, REAL)
def _batch_forward(
    acts, params, h_at, stride, x_at, x_stride, normal_at, statistics_at, w_at, b_at, units,
    samples, eps,
):  # fmt: skip
    shared = cuda.shared.array(LINE, FLOAT)
    lane, eighth = cuda.threadIdx.x % LANES, cuda.threadIdx.x // LANES
    unit = cuda.blockIdx.x * LANES + lane
    there = unit < units
    total = ZERO
    if there:
        for sample in range(eighth, samples, GROUP):
            total = add(total, acts[x_at + sample * x_stride + unit])
    count = real(samples)
    mean = divide(unit_sum(shared, total), count)
    total = ZERO
    if there:
        for sample in range(eighth, samples, GROUP):
            difference = subtract(acts[x_at + sample * x_stride + unit], mean)
            total = add(total, multiply(difference, difference))
    variance = divide(unit_sum(shared, total), count)
    if there:
        if eighth == 0:
            acts[statistics_at + unit] = mean
            acts[statistics_at + units + unit] = variance
        scale = divide(ONE, square_root(add(variance, eps)))
        for sample in range(eighth, samples, GROUP):
            here = sample * stride + unit
            _normalize(
                acts, h_at + here, normal_at + here, 1, x_at + sample * x_stride + unit, params,
                w_at + unit, b_at + unit, mean, scale,
            )  # fmt: skip


@kernel("batch_norm_evaluate", LINE, FLOATS, FLOATS, *[INT] * 9, REAL)
def _batch_evaluate(
    acts, params, h_at, stride, x_at, x_stride, running_at, variance_at, w_at, b_at, units, eps
):  # fmt: skip
    unit, sample = cuda.blockIdx.y * LINE + cuda.threadIdx.x, cuda.blockIdx.x
    if unit < units:
        here = h_at + sample * stride + unit
        scale = divide(ONE, square_root(add(params[variance_at + unit], eps)))
        _normalize(
            acts, here, here, 0, x_at + sample * x_stride + unit, params, w_at + unit, b_at + unit,
            params[running_at + unit], scale,
        )  # fmt: skip


@kernel("layer_norm_forward", LINE, FLOATS, FLOATS, *[INT] * 11, REAL)
def _layer_forward(
    acts, params, h_at, stride, x_at, x_stride, normal_at, statistics_at, w_at, b_at, units,
    samples, keep, eps,
):  # fmt: skip
    shared = cuda.shared.array(LINE, FLOAT)
    lane, sample = cuda.threadIdx.x % LANES, cuda.blockIdx.x * GROUP + cuda.threadIdx.x // LANES
    there = sample < samples
    x, here = x_at + sample * x_stride, sample * stride
    total = ZERO
    if there:
        for unit in range(lane, units, LANES):
            total = add(total, acts[x + unit])
    count = real(units)
    mean = divide(row_sum(shared, total), count)
    total = ZERO
    if there:
        for unit in range(lane, units, LANES):
            difference = subtract(acts[x + unit], mean)
            total = add(total, multiply(difference, difference))
    variance = divide(row_sum(shared, total), count)
    if there:
        scale = divide(ONE, square_root(add(variance, eps)))
        if keep and lane == 0:
            acts[statistics_at + sample] = scale
        for unit in range(lane, units, LANES):
            place = here + unit
            _normalize(
                acts, h_at + place, normal_at + place, keep, x + unit, params, w_at + unit,
                b_at + unit, mean, scale,
            )  # fmt: skip


def normalization_forward(launch, row, constants, params, acts, samples, training):
    """The pre-activations of a normalization."""
    units, eps = int(row[FAN_OUT]), float(constants[EPS])
    places = ints(row, H_AT, H_STRIDE, X_AT, X_STRIDE)
    kept, weights = ints(row, NORMAL_AT, STATISTICS_AT), ints(row, W_AT, B_AT)
    if row[OP] != BATCH_NORM:
        launch(
            _layer_forward, blocks_of(samples, GROUP), acts, params, *places, *kept, *weights,
            units, samples, int(training), eps,
        )  # fmt: skip
    elif training:
        launch(
            _batch_forward, blocks_of(units, LANES), acts, params, *places, *kept, *weights, units,
            samples, eps,
        )  # fmt: skip
    else:
        launch(
            _batch_evaluate, (samples, blocks_of(units, LINE)), acts, params, *places,
            *ints(row, RUNNING_AT, VARIANCE_AT), *weights, units, eps,
        )  # fmt: skip


@helper
def _sums(shared, acts, dz_at, stride, normal_at, unit, there, eighth, samples):
    """Sums of dz and of dz normal over the samples of a unit."""
    total, product = ZERO, ZERO
    if there:
        for sample in range(eighth, samples, GROUP):
            place = sample * stride + unit
            dz = acts[dz_at + place]
            total = add(total, dz)
            product = add(product, multiply(dz, acts[normal_at + place]))
    return unit_sum(shared, total), unit_sum(shared, product)


@kernel("batch_norm_backward", LINE, FLOATS, FLOATS, *[INT] * 9, REAL)
def _batch_backward(
    acts, params, dz_at, stride, normal_at, variance_at, w_at, dx_at, x_stride, units, samples, eps
):  # fmt: skip
    """dx = w deviation^-1 (dz - mean(dz) - normal mean(dz normal))"""
    shared = cuda.shared.array(LINE, FLOAT)
    lane, eighth = cuda.threadIdx.x % LANES, cuda.threadIdx.x // LANES
    unit = cuda.blockIdx.x * LANES + lane
    there = unit < units
    total, product = _sums(shared, acts, dz_at, stride, normal_at, unit, there, eighth, samples)
    count = real(samples)
    total, product = divide(total, count), divide(product, count)
    if there:
        deviation = square_root(add(acts[variance_at + unit], eps))
        factor = divide(params[w_at + unit], deviation)
        for sample in range(eighth, samples, GROUP):
            place = sample * stride + unit
            dx = subtract(acts[dz_at + place], total)
            dx = subtract(dx, multiply(acts[normal_at + place], product))
            acts[dx_at + sample * x_stride + unit] = multiply(dx, factor)


@kernel("layer_norm_backward", LINE, FLOATS, FLOATS, *[INT] * 9)
def _layer_backward(
    acts, params, dz_at, stride, normal_at, scale_at, w_at, dx_at, x_stride, units, samples
):  # fmt: skip
    """dx = (g - mean(g) - normal mean(g normal)) / deviation, g = dz w"""
    shared = cuda.shared.array(LINE, FLOAT)
    lane, sample = cuda.threadIdx.x % LANES, cuda.blockIdx.x * GROUP + cuda.threadIdx.x // LANES
    there = sample < samples
    here, dx = sample * stride, dx_at + sample * x_stride
    total, product = ZERO, ZERO
    if there:
        for unit in range(lane, units, LANES):
            g = multiply(acts[dz_at + here + unit], params[w_at + unit])
            total = add(total, g)
            product = add(product, multiply(g, acts[normal_at + here + unit]))
    count = real(units)
    total = divide(row_sum(shared, total), count)
    product = divide(row_sum(shared, product), count)
    if there:
        for unit in range(lane, units, LANES):
            g = multiply(acts[dz_at + here + unit], params[w_at + unit])
            value = subtract(subtract(g, total), multiply(acts[normal_at + here + unit], product))
            acts[dx + unit] = multiply(value, acts[scale_at + sample])


def normalization_backward(launch, row, below, constants, params, acts, samples):
    """The gradient of the output of the node in `below`, in the place of its dz."""
    units = int(row[FAN_OUT])
    given = ints(row, DZ_AT, H_STRIDE, NORMAL_AT)
    target = int(row[W_AT]), *ints(below, DZ_AT, H_STRIDE), units, samples
    if row[OP] == BATCH_NORM:
        launch(
            _batch_backward, blocks_of(units, LANES), acts, params, *given,
            int(row[STATISTICS_AT]) + units, *target, float(constants[EPS]),
        )  # fmt: skip
    else:
        launch(
            _layer_backward, blocks_of(samples, GROUP), acts, params, *given,
            int(row[STATISTICS_AT]), *target,
        )  # fmt: skip


def _update_kernel(code):
    update = update_one(code)

    name = f"norm_update_{UPDATES[code].name}"

    @kernel(name, LINE, FLOATS, FLOATS, FLOATS, INTS, FLOATS, *[INT] * 11, REAL)
    def normalization(
        params, state, acts, slots, hypers, size, dz_at, stride, normal_at, w_at, b_at,
        statistics_at, running_at, variance_at, units, samples, momentum,
    ):  # fmt: skip
        """Gradients and updates of the parameters; and running statistics, if running_at >= 0."""
        if slots[STOPPED] == STOP:
            return
        shared = cuda.shared.array(LINE, FLOAT)
        lane, eighth = cuda.threadIdx.x % LANES, cuda.threadIdx.x // LANES
        unit = cuda.blockIdx.x * LANES + lane
        there = unit < units
        total, product = _sums(shared, acts, dz_at, stride, normal_at, unit, there, eighth, samples)
        if there and eighth == 0:
            hyper = slots[BACKWARD] * HYPERS
            update(params, state, size, w_at + unit, product, hypers, hyper)
            update(params, state, size, b_at + unit, total, hypers, hyper)
            if running_at >= 0:
                unbiased = divide(real(samples), real(samples - 1))
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
        KERNELS[update], blocks_of(int(row[FAN_OUT]), LANES), params, state, acts, slots, hypers,
        size, *ints(row, DZ_AT, H_STRIDE, NORMAL_AT, W_AT, B_AT, STATISTICS_AT), *running,
        int(row[FAN_OUT]), samples, float(constants[MOMENTUM]),
    )  # fmt: skip
