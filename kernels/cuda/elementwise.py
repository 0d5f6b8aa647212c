"""Elementwise kernels: the end of a normalization or of a highway layer (skip connection,
activation, dropout), and the backward of an activation without a product before it.

    launch   grid (ceil(units / BLOCK_SIZE), ceil(samples / GROUP)), BLOCK_SIZE threads
    thread   `unit`, and the GROUP = 8 samples of `group`: those of one call of the generator.
             Neighbouring threads access neighbouring units
    acts     global, float32, rows [sample][unit]; `stride` floats from one sample to the next
"""

import functools

from numba import cuda

from ..activations import NAMES, NONE, PLAIN, gradient, keeps_input
from ..emit import Value, at, load, store
from ..program import (
    ACTIVATION,
    AFFINE_A,
    AFFINE_B,
    DROP_VALUE,
    DZ_AT,
    FAN_OUT,
    H_AT,
    H_STRIDE,
    HIGHWAY,
    OP,
    SITE,
    SKIP_AT,
    SLOPE_AT,
    THRESHOLD,
)
from .activation import activate, as_values, drop
from .code import FLOATS, INT, INTS, REAL, device_code, kernel
from .dense import drop_conditions, selu_constants
from .job import BLOCK, FORWARD, JOB, SEED, STEP
from .shape import BLOCK_SIZE, GROUP, ceil_div
from .table import ints


def grid_of(units, samples):
    return ceil_div(units, BLOCK_SIZE), ceil_div(samples, GROUP)


def each_sample(builder, group, samples, stride, body):
    """Emit `body(i, offset)` for each sample of a group that exists. offset: of its row."""
    for i in range(GROUP):
        sample = Value(builder, group) * GROUP + i
        offset = sample * Value(builder, stride)
        builder.when((sample < Value(builder, samples)).ir, functools.partial(body, i, offset))


@functools.cache
def finish_kernel(activation, dropping):
    """Return the kernel of h = drop(activation(h + skip)), in place."""
    name = NAMES[activation]

    @device_code
    def element(
        builder, acts, slope_at, h_at, stride, skip_at, has_skip, group, unit, samples, block,
        site, step, seed, threshold, value, a, b, lambda_, lambda_alpha,
    ):  # fmt: skip
        value, a, b, *selu = as_values(builder, value, a, b, lambda_, lambda_alpha)
        if dropping:
            mask_group = Value(builder, block) + Value(builder, group)
            (mask,) = drop_conditions(
                builder, mask_group, Value(builder, unit), 1, site, step, seed, threshold
            )

        def sample_body(i, offset):
            offset = offset + Value(builder, unit)
            h = at(builder, acts, (Value(builder, h_at) + offset).ir)

            def add_skip():
                skip = at(builder, acts, (Value(builder, skip_at) + offset).ir)
                store(builder, load(builder, h, 1) + load(builder, skip, 1), h)

            builder.when((Value(builder, has_skip) > 0).ir, add_skip)
            z = load(builder, h, 1)
            if keeps_input(name):  # before h: the two may share a buffer
                store(builder, z, at(builder, acts, (Value(builder, slope_at) + offset).ir))
            y = activate(name, z, selu)
            store(builder, drop(y, mask[i], value, a, b) if dropping else y, h)

        each_sample(builder, group, samples, stride, sample_body)

    @kernel(
        f"finish_{name}{'_dropping' * dropping}",
        BLOCK_SIZE,
        FLOATS,
        INTS,
        INTS,
        *[INT] * 8,
        *[REAL] * 5,
    )
    def finish(
        acts, jobs, slots, slope_at, h_at, stride, skip_at, units, samples, site, threshold, value,
        a, b, lambda_, lambda_alpha,
    ):  # fmt: skip
        unit = cuda.blockIdx.x * BLOCK_SIZE + cuda.threadIdx.x
        job = slots[FORWARD] * JOB
        if unit < units:
            element(
                acts, slope_at, h_at, stride, skip_at, skip_at >= 0, cuda.blockIdx.y, unit, samples,
                jobs[job + BLOCK], site, jobs[job + STEP], jobs[job + SEED], threshold, value, a, b,
                lambda_, lambda_alpha,
            )  # fmt: skip

    return finish


def finish_rows(launch, row, constants, acts, jobs, slots, samples, dropping):
    """Launch skip connection, activation and dropout after a normalization or a highway layer."""
    skip_at = -1 if row[OP] == HIGHWAY else int(row[SKIP_AT])
    if skip_at < 0 and row[ACTIVATION] == NONE and not dropping:
        return
    units = int(row[FAN_OUT])
    launch(
        finish_kernel(int(row[ACTIVATION]), bool(dropping)), grid_of(units, samples), acts, jobs,
        slots, *ints(row, SLOPE_AT, H_AT, H_STRIDE), skip_at, units, samples,
        *ints(row, SITE, THRESHOLD), float(constants[DROP_VALUE]), float(constants[AFFINE_A]),
        float(constants[AFFINE_B]), *selu_constants(constants),
    )  # fmt: skip


@functools.cache
def backward_kernel(activation):
    """Return the kernel of dz from dh, in place."""
    name = NAMES[activation]

    @device_code
    def element(
        builder, acts, dz_at, slope_at, stride, group, unit, samples, lambda_, lambda_alpha
    ):
        selu = as_values(builder, lambda_, lambda_alpha)

        def sample_body(i, offset):
            offset = offset + Value(builder, unit)
            dz = at(builder, acts, (Value(builder, dz_at) + offset).ir)
            saved = load(builder, at(builder, acts, (Value(builder, slope_at) + offset).ir), 1)
            dh = load(builder, dz, 1)
            store(builder, gradient(name, PLAIN, dh, saved, selu, None, None), dz)

        each_sample(builder, group, samples, stride, sample_body)

    @kernel(f"activation_backward_{name}", BLOCK_SIZE, FLOATS, *[INT] * 5, *[REAL] * 2)
    def backward(acts, dz_at, slope_at, stride, units, samples, lambda_, lambda_alpha):
        unit = cuda.blockIdx.x * BLOCK_SIZE + cuda.threadIdx.x
        if unit < units:
            element(
                acts, dz_at, slope_at, stride, cuda.blockIdx.y, unit, samples, lambda_, lambda_alpha
            )

    return backward


def activation_backward(launch, row, constants, acts, samples):
    """Launch the backward of the activation of the node in `row`: dz replaces the gradient of its
    output. The node has no dropout, since a normalization follows it.
    """
    if row[ACTIVATION] == NONE:
        return
    units = int(row[FAN_OUT])
    launch(
        backward_kernel(int(row[ACTIVATION])), grid_of(units, samples), acts,
        *ints(row, DZ_AT, SLOPE_AT, H_STRIDE), units, samples, *selu_constants(constants),
    )  # fmt: skip
