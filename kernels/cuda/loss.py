"""Losses: the loss of each sample and dz of the outputs; and once a step the sum of the weights,
the mean loss and the decision about updates.

    loss kernels    grid ceil(samples / GROUP), THREADS threads
    block           GROUP = 8 samples; LANES threads per sample, of which each has every LANES-th
                    output. `shared`: float32 [THREADS], for reductions
    values          output c of a sample at values[z + c stride], its dz at values[dz + c stride];
                    z and dz may be equal. Global memory, rows [sample][unit], stride 1; in
                    `narrow.py` shared memory
    losses          global, float32 (samples,), weighted, not yet divided by the sum of the weights
    total_weight, mean_loss    one block of BLOCK_SIZE threads, each with every BLOCK_SIZE-th sample

What a block does with its outputs is a helper, which `narrow.py` uses too.
"""

import functools

from numba import cuda

from .. import scalar
from ..emit import Value, at, load, store
from ..losses import (
    CLASSES,
    ELEMENTWISE,
    LABELS,
    NUMBERS,
    ROWS,
    SOFTMAX,
    Functions,
    emit_element,
    require,
)
from ..program import DZ_AT, FAN_OUT, H_AT, H_STRIDE
from .code import FLOATS, INT, INTS, device_value, helper, kernel
from .device import SIMULATED
from .job import (
    BACKWARD,
    FIRST_ROW,
    FORWARD,
    HYPERS,
    JOB,
    LAST,
    LIMIT,
    OVERFLOW,
    PARAMETER,
    RUNNING,
    SCALE,
    STOP,
    STOPPED,
)
from .real import (
    FLOAT,
    add,
    block_sum,
    divide,
    exp_nonpositive,
    greater,
    is_finite,
    is_number,
    log,
    maximum,
    multiply,
    row_sums,
    subtract,
    to_float,
)
from .shape import BLOCK_SIZE, GROUP, ceil_div

ZERO, ONE = FLOAT(0), FLOAT(1)
# Threads of a block, for GROUP samples. `narrow.py` has as many, so both sum in the same order.
THREADS = 16 if SIMULATED else 128
LANES = THREADS // GROUP  # threads per sample
# acts, losses, jobs, slots, hypers, index, labels, targets, sample_weight, class_weight; z_at,
# dz_at, stride, outputs, samples, weighted, class_weighted
TYPES = FLOATS, FLOATS, INTS, INTS, FLOATS, INTS, INTS, FLOATS, FLOATS, FLOATS, *[INT] * 7


@helper
def sample_weight_of(sample_weight, weighted, row):
    return sample_weight[row] if weighted else ONE


@functools.cache
def softmax(lanes):
    """Return the helper for softmax cross-entropy of a sample by `lanes` threads, with the formulas
    of `_softmax` in cpu/loss.py. parameter: the label smoothing. row: of the data set.
    """
    row_sum = row_sums(lanes)

    @helper
    def row_loss(
        kind, values, z, dz, stride, losses, shared, sample, in_bounds, row, labels, targets,
        sample_weight, class_weight, outputs, weighted, class_weighted, parameter, scale,
    ):  # fmt: skip
        thread = cuda.threadIdx.x
        lane, label = thread % lanes, 0
        z_max, z_label = ZERO, ZERO
        if in_bounds:
            label = labels[row]
            z_max, z_label = values[z], values[z + label * stride]
            for c in range(lane, outputs, lanes):
                z_max = maximum(values[z + c * stride], z_max)
        shared[thread] = z_max
        cuda.syncthreads()
        for i in range(lanes):
            z_max = maximum(shared[thread - lane + i], z_max)
        smooth, distances = greater(parameter, ZERO), ZERO
        if smooth:  # the same in all threads, which wait at a barrier inside
            if in_bounds:
                for c in range(lane, outputs, lanes):
                    distance = subtract(z_max, values[z + c * stride])
                    if class_weighted:
                        distance = multiply(distance, class_weight[c])
                    distances = add(distances, distance)
            distances = row_sum(shared, distances)
        if in_bounds:
            for c in range(lane, outputs, lanes):
                values[dz + c * stride] = exp_nonpositive(subtract(values[z + c * stride], z_max))
        cuda.syncthreads()
        label_scale, softmax_scale, class_target = ZERO, ZERO, ZERO
        if in_bounds and lane == 0:
            total = ZERO
            for c in range(outputs):  # in the order of the classes, as on the CPU
                total = add(total, values[dz + c * stride])
            weight = sample_weight_of(sample_weight, weighted, row)
            if class_weighted:
                weight = multiply(weight, class_weight[label])
            weight_sum, logarithm = weight, log(total)
            if smooth:
                class_target = multiply(
                    sample_weight_of(sample_weight, weighted, row),
                    divide(parameter, to_float(outputs)),
                )
                weight, class_weights = multiply(weight, subtract(ONE, parameter)), ZERO
                for c in range(outputs):
                    class_weights = add(class_weights, class_weight[c] if class_weighted else ONE)
                weight_sum = add(weight, multiply(class_target, class_weights))
                smoothed = add(
                    multiply(weight, subtract(z_max, z_label)), multiply(class_target, distances)
                )
                losses[sample] = add(smoothed, multiply(weight_sum, logarithm))
                class_target = multiply(class_target, scale)
            else:
                losses[sample] = multiply(weight, add(subtract(z_max, z_label), logarithm))
            label_scale = multiply(weight, scale)
            softmax_scale = divide(multiply(weight_sum, scale), total)
        # Broadcast: lane 0 has the value, the other lanes have 0.
        label_scale, softmax_scale = row_sum(shared, label_scale), row_sum(shared, softmax_scale)
        if smooth:
            class_target = row_sum(shared, class_target)
        if in_bounds:
            for c in range(lane, outputs, lanes):
                value = multiply(values[dz + c * stride], softmax_scale)
                if c == label:
                    value = subtract(value, label_scale)
                if smooth:
                    target = (
                        multiply(class_target, class_weight[c]) if class_weighted else class_target
                    )
                    value = subtract(value, target)
                values[dz + c * stride] = value

    return row_loss


def _log1p(x):
    return Value(x.builder, x.builder.library("__nv_log1pf", x.ir))


FUNCTIONS = Functions(scalar.exp_nonpositive, _log1p)


@functools.cache
def element_code(codes):
    """Return device code for the weighted loss of the output values[z], by one of the losses
    `codes`; it stores dz to values[dz].
    """

    @device_value("float32")
    def element(builder, kind, values, z, dz, t, weight, parameter, positive, scale):
        output = load(builder, at(builder, values, z), 1)
        operands = output, *(Value(builder, v) for v in (t, weight, parameter, positive))
        loss, gradient = emit_element(builder, kind, operands, FUNCTIONS, codes)
        store(builder, gradient * Value(builder, scale), at(builder, values, dz))
        return loss

    return element


@functools.cache
def elements(lanes, codes=ELEMENTWISE):
    """Return the helper for a loss that is a sum over the outputs, by `lanes` threads."""
    row_sum, element = row_sums(lanes), element_code(codes)

    @helper
    def row_loss(
        kind, values, z, dz, stride, losses, shared, sample, in_bounds, row, labels, targets,
        sample_weight, class_weight, outputs, weighted, class_weighted, parameter, scale,
    ):  # fmt: skip
        lane, loss = cuda.threadIdx.x % lanes, ZERO
        if in_bounds:
            weight = sample_weight_of(sample_weight, weighted, row)
            for j in range(lane, outputs, lanes):
                positive = class_weight[j] if class_weighted else ONE
                value = element(
                    kind, values, z + j * stride, dz + j * stride, targets[row * outputs + j],
                    weight, parameter, positive, scale,
                )  # fmt: skip
                loss = add(loss, value)
        loss = row_sum(shared, loss)
        if in_bounds and lane == 0:
            losses[sample] = loss

    return row_loss


@functools.cache
def any_loss(lanes):
    """Return the helper for the loss of code `kind`, chosen at run time."""
    of_row, of_elements = softmax(lanes), elements(lanes)

    @helper
    def row_loss(
        kind, values, z, dz, stride, losses, shared, sample, in_bounds, row, labels, targets,
        sample_weight, class_weight, outputs, weighted, class_weighted, parameter, scale,
    ):  # fmt: skip
        if kind == SOFTMAX:
            of_row(
                kind, values, z, dz, stride, losses, shared, sample, in_bounds, row, labels,
                targets, sample_weight, class_weight, outputs, weighted, class_weighted, parameter,
                scale,
            )  # fmt: skip
        else:
            of_elements(
                kind, values, z, dz, stride, losses, shared, sample, in_bounds, row, labels,
                targets, sample_weight, class_weight, outputs, weighted, class_weighted, parameter,
                scale,
            )  # fmt: skip

    return row_loss


def _kernel(code):
    """Return the kernel of one loss."""
    element = ROWS[code].element
    row_loss = elements(LANES, (code,)) if element else softmax(LANES)
    name = element.__name__ if element else "softmax"

    @kernel(name, THREADS, *TYPES)
    def loss(
        acts, losses, jobs, slots, hypers, index, labels, targets, sample_weight, class_weight,
        z_at, dz_at, stride, outputs, samples, weighted, class_weighted,
    ):  # fmt: skip
        shared = cuda.shared.array(THREADS, FLOAT)
        sample = cuda.blockIdx.x * GROUP + cuda.threadIdx.x // LANES
        in_bounds, slot, row = sample < samples, slots[FORWARD], 0
        if in_bounds:
            row = index[jobs[slot * JOB + FIRST_ROW] + sample]
        row_loss(
            code, acts, z_at + sample * stride, dz_at + sample * stride, 1, losses, shared, sample,
            in_bounds, row, labels, targets, sample_weight, class_weight, outputs, weighted,
            class_weighted, hypers[slot * HYPERS + PARAMETER], hypers[slot * HYPERS + SCALE],
        )  # fmt: skip

    return loss


@kernel(
    "total_weight", BLOCK_SIZE, FLOATS, INTS, INTS, INTS, INTS, FLOATS, FLOATS, FLOATS, *[INT] * 5
)
def _total_weight(
    hypers, jobs, slots, index, labels, targets, sample_weight, class_weight, kind, outputs,
    samples, weighted, class_weighted,
):  # fmt: skip
    """hypers[SCALE] = 1 / the sum of the weights. kind: of the targets."""
    shared = cuda.shared.array(BLOCK_SIZE, FLOAT)
    slot = slots[FORWARD]
    total = ZERO
    for sample in range(cuda.threadIdx.x, samples, BLOCK_SIZE):
        row = index[jobs[slot * JOB + FIRST_ROW] + sample]
        weight = sample_weight_of(sample_weight, weighted, row)
        if kind == CLASSES:
            if class_weighted:
                weight = multiply(weight, class_weight[labels[row]])
            total = add(total, weight)
        elif kind == NUMBERS:
            total = add(total, multiply(weight, to_float(outputs)))
        else:
            labelled = 0
            for task in range(outputs):
                if is_number(targets[row * outputs + task]):
                    labelled += 1
            total = add(total, multiply(weight, to_float(labelled)))
    total = block_sum(shared, total)
    if cuda.threadIdx.x == 0:  # without a labelled entry: loss and gradient are 0
        hypers[slot * HYPERS + SCALE] = divide(ONE, total) if greater(total, ZERO) else ZERO


@kernel("mean_loss", BLOCK_SIZE, FLOATS, INTS, FLOATS, FLOATS, INT)
def _mean_loss(step_losses, slots, hypers, losses, samples):
    """Compute the mean loss of this step and advance FORWARD to the next one. A loss that is not
    finite, or an overflow in the step before, skips this update and all later ones; a loss above
    the limit skips the later ones.
    """
    shared = cuda.shared.array(BLOCK_SIZE, FLOAT)
    slot, stopped = slots[FORWARD], slots[STOPPED]
    total = ZERO
    for sample in range(cuda.threadIdx.x, samples, BLOCK_SIZE):
        total = add(total, losses[sample])
    total = block_sum(shared, total)
    if cuda.threadIdx.x == 0:
        loss = multiply(total, hypers[slot * HYPERS + SCALE])
        step_losses[slot] = loss
        if stopped != RUNNING or (
            slot > 0 and greater(hypers[(slot - 1) * HYPERS + OVERFLOW], ZERO)
        ):
            slots[STOPPED] = STOP
        elif not is_finite(loss):
            slots[STOPPED] = STOP
        elif greater(loss, hypers[slot * HYPERS + LIMIT]):
            slots[STOPPED] = LAST
        slots[BACKWARD] = slot
        slots[FORWARD] = slot + 1


KERNELS = [_kernel(code) for code in range(len(ROWS))]


def loss_and_gradient(launch, losses, row, acts, batch, targets, queue, loss):
    """Launch the loss of code `loss`: losses[s], the weighted loss of sample s, and dz of the
    outputs of the node in `row`. The mean is stored to `queue.losses`.
    """
    outputs = int(row[FAN_OUT])
    total_weight(launch, loss, outputs, batch, targets, queue)
    offsets = (int(row[column]) for column in (H_AT, DZ_AT, H_STRIDE))
    *arrays, weighted, class_weighted = targets
    launch(
        KERNELS[loss], ceil_div(batch.samples, GROUP), acts, losses, queue.jobs, queue.slots,
        queue.hypers, batch.index, *arrays, *offsets, outputs, batch.samples, weighted,
        class_weighted,
    )  # fmt: skip
    mean_loss(launch, losses, batch, queue)


def total_weight(launch, loss, outputs, batch, targets, queue):
    """Launch the sum of the weights of the batch, unless the host has set its reciprocal: all
    weights are 1 and no label is missing.
    """
    *arrays, weighted, class_weighted = targets
    kind = require(loss).targets
    if kind != LABELS and not weighted and not class_weighted:
        return
    launch(
        _total_weight, 1, queue.hypers, queue.jobs, queue.slots, batch.index, *arrays, kind,
        outputs, batch.samples, weighted, class_weighted,
    )  # fmt: skip


def mean_loss(launch, losses, batch, queue):
    launch(_mean_loss, 1, queue.losses, queue.slots, queue.hypers, losses, batch.samples)
