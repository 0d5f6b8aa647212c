"""Elementwise kernels; a thread has eight samples of one unit. The end of a normalization or of a
highway layer, and the way back through an activation and a dropout that no product precedes.
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
from .activation import activate, drop, values
from .code import FLOATS, INT, INTS, REAL, device_code, kernel
from .dense import masks_of, selu_of
from .job import BLOCK, FORWARD, JOB, SEED, STEP
from .shape import GROUP, LINE, blocks_of
from .table import ints


def grid_of(units, samples):
    return blocks_of(units, LINE), blocks_of(samples, GROUP)


def eight(builder, eighth, samples, stride, body):
    """`body(i, offset)` for the samples i of the eighth block of eight that there are."""
    for i in range(GROUP):
        sample = Value(builder, eighth) * GROUP + i
        offset = sample * Value(builder, stride)
        builder.when((sample < Value(builder, samples)).ir, functools.partial(body, i, offset))


@functools.cache
def finish_kernel(activation, dropping):
    """h = drop(activation(h + skip)), in place."""
    name = NAMES[activation]

    @device_code
    def one(
        builder, acts, slope_at, h_at, stride, skip_at, skipping, eighth, unit, samples, block,
        site, step, seed, threshold, value, a, b, lambda_, lambda_alpha,
    ):  # fmt: skip
        value, a, b, *selu = values(builder, value, a, b, lambda_, lambda_alpha)
        if dropping:
            number = Value(builder, block) + Value(builder, eighth)
            (mask,) = masks_of(
                builder, number, Value(builder, unit), 1, site, step, seed, threshold
            )

        def of_sample(i, offset):
            place = offset + Value(builder, unit)
            here = at(builder, acts, (Value(builder, h_at) + place).ir)

            def add():
                more = at(builder, acts, (Value(builder, skip_at) + place).ir)
                store(builder, load(builder, here, 1) + load(builder, more, 1), here)

            builder.when((Value(builder, skipping) > 0).ir, add)
            z = load(builder, here, 1)
            if keeps_input(name):  # first: without a place of its own, h takes this one
                store(builder, z, at(builder, acts, (Value(builder, slope_at) + place).ir))
            y = activate(name, z, selu)
            store(builder, drop(y, mask[i], value, a, b) if dropping else y, here)

        eight(builder, eighth, samples, stride, of_sample)

    @kernel(
        f"finish_{name}{'_dropping' * dropping}", LINE, FLOATS, INTS, INTS, *[INT] * 8, *[REAL] * 5
    )
    def finish(
        acts, jobs, slots, slope_at, h_at, stride, skip_at, units, samples, site, threshold, value,
        a, b, lambda_, lambda_alpha,
    ):  # fmt: skip
        unit = cuda.blockIdx.x * LINE + cuda.threadIdx.x
        job = slots[FORWARD] * JOB
        if unit < units:
            one(
                acts, slope_at, h_at, stride, skip_at, skip_at >= 0, cuda.blockIdx.y, unit, samples,
                jobs[job + BLOCK], site, jobs[job + STEP], jobs[job + SEED], threshold, value, a, b,
                lambda_, lambda_alpha,
            )  # fmt: skip

    return finish


def finish_rows(launch, row, constants, acts, jobs, slots, samples, dropping):
    """The end of a normalization or a highway layer: the sum with a skip, activation, dropout."""
    skip_at = -1 if row[OP] == HIGHWAY else int(row[SKIP_AT])
    if skip_at < 0 and row[ACTIVATION] == NONE and not dropping:
        return
    units = int(row[FAN_OUT])
    launch(
        finish_kernel(int(row[ACTIVATION]), bool(dropping)), grid_of(units, samples), acts, jobs,
        slots, *ints(row, SLOPE_AT, H_AT, H_STRIDE), skip_at, units, samples,
        *ints(row, SITE, THRESHOLD), float(constants[DROP_VALUE]), float(constants[AFFINE_A]),
        float(constants[AFFINE_B]), *selu_of(constants),
    )  # fmt: skip


@functools.cache
def backward_kernel(activation):
    """dz from dh, in its place."""
    name = NAMES[activation]

    @device_code
    def one(builder, acts, dz_at, slope_at, stride, eighth, unit, samples, lambda_, lambda_alpha):
        selu = values(builder, lambda_, lambda_alpha)

        def of_sample(i, offset):
            place = offset + Value(builder, unit)
            here = at(builder, acts, (Value(builder, dz_at) + place).ir)
            kept = load(builder, at(builder, acts, (Value(builder, slope_at) + place).ir), 1)
            dh = load(builder, here, 1)
            store(builder, gradient(name, PLAIN, dh, kept, selu, None, None), here)

        eight(builder, eighth, samples, stride, of_sample)

    @kernel(f"activation_backward_{name}", LINE, FLOATS, *[INT] * 5, *[REAL] * 2)
    def backward(acts, dz_at, slope_at, stride, units, samples, lambda_, lambda_alpha):
        unit = cuda.blockIdx.x * LINE + cuda.threadIdx.x
        if unit < units:
            one(
                acts, dz_at, slope_at, stride, cuda.blockIdx.y, unit, samples, lambda_, lambda_alpha
            )

    return backward


def activation_backward(launch, row, constants, acts, samples):
    """dz of the node in `row`, from the gradient of its output that lies in its place. The node has
    no dropout: none stands before a normalization.
    """
    if row[ACTIVATION] == NONE:
        return
    units = int(row[FAN_OUT])
    launch(
        backward_kernel(int(row[ACTIVATION])), grid_of(units, samples), acts,
        *ints(row, DZ_AT, SLOPE_AT, H_STRIDE), units, samples, *selu_of(constants),
    )  # fmt: skip
