"""Losses: eight rows of outputs a block, the loss of each sample and dz; and what a step makes of
them: their mean, whether there is an update, and which step comes next.

What a block does to its outputs is a helper, of which `narrow.py` makes use too: element c of a
sample lies at values[z + c step], and its dz comes to values[dz + c step], which may be the same.
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
    above,
    add,
    block_sum,
    divide,
    exp_nonpositive,
    is_finite,
    is_number,
    larger,
    log,
    multiply,
    real,
    row_sums,
    subtract,
)
from .shape import GROUP, LINE, blocks_of

ZERO, ONE = FLOAT(0), FLOAT(1)
# Threads of a block of eight rows. Also those of narrow.py: both sum in the same order.
THREADS = 16 if SIMULATED else 128
LANES = THREADS // GROUP  # for each of the rows
# acts, losses, jobs, slots, hypers, index, labels, targets, sample_weight, class_weight; z_at,
# dz_at, stride, outputs, samples, weighted, class_weighted
TYPES = FLOATS, FLOATS, INTS, INTS, FLOATS, INTS, INTS, FLOATS, FLOATS, FLOATS, *[INT] * 7


@helper
def sample_weight_of(sample_weight, weighted, row):
    return sample_weight[row] if weighted else ONE


@functools.cache
def softmax(lanes):
    """Softmax cross-entropy of a row by `lanes` threads, by the formulas of `_softmax` in
    cpu/loss.py. parameter: the label smoothing.
    """
    row_sum = row_sums(lanes)

    @helper
    def one(
        kind, values, z, dz, step, losses, shared, sample, there, row, labels, targets,
        sample_weight, class_weight, outputs, weighted, class_weighted, parameter, scale,
    ):  # fmt: skip
        thread = cuda.threadIdx.x
        lane, label = thread % lanes, 0
        top, own = ZERO, ZERO
        if there:
            label = labels[row]
            top, own = values[z], values[z + label * step]
            for c in range(lane, outputs, lanes):
                top = larger(values[z + c * step], top)
        shared[thread] = top
        cuda.syncthreads()
        for i in range(lanes):
            top = larger(shared[thread - lane + i], top)
        smooth, rest = above(parameter, ZERO), ZERO
        if smooth:  # for all threads
            if there:
                for c in range(lane, outputs, lanes):
                    below = subtract(top, values[z + c * step])
                    if class_weighted:
                        below = multiply(below, class_weight[c])
                    rest = add(rest, below)
            rest = row_sum(shared, rest)
        if there:
            for c in range(lane, outputs, lanes):
                values[dz + c * step] = exp_nonpositive(subtract(values[z + c * step], top))
        cuda.syncthreads()
        factor, share, each = ZERO, ZERO, ZERO
        if there and lane == 0:
            total = ZERO
            for c in range(outputs):  # in their order, as on the CPU
                total = add(total, values[dz + c * step])
            weight = sample_weight_of(sample_weight, weighted, row)
            if class_weighted:
                weight = multiply(weight, class_weight[label])
            whole, logarithm = weight, log(total)
            if smooth:
                each = multiply(
                    sample_weight_of(sample_weight, weighted, row),
                    divide(parameter, real(outputs)),
                )
                weight, all_weights = multiply(weight, subtract(ONE, parameter)), ZERO
                for c in range(outputs):
                    all_weights = add(all_weights, class_weight[c] if class_weighted else ONE)
                whole = add(weight, multiply(each, all_weights))
                smoothed = add(multiply(weight, subtract(top, own)), multiply(each, rest))
                losses[sample] = add(smoothed, multiply(whole, logarithm))
                each = multiply(each, scale)
            else:
                losses[sample] = multiply(weight, add(subtract(top, own), logarithm))
            factor = multiply(weight, scale)
            share = divide(multiply(whole, scale), total)
        factor, share = row_sum(shared, factor), row_sum(shared, share)  # of one and zeros
        if smooth:
            each = row_sum(shared, each)
        if there:
            for c in range(lane, outputs, lanes):
                value = multiply(values[dz + c * step], share)
                if c == label:
                    value = subtract(value, factor)
                if smooth:
                    target = multiply(each, class_weight[c]) if class_weighted else each
                    value = subtract(value, target)
                values[dz + c * step] = value

    return one


def _log1p(x):
    return Value(x.builder, x.builder.library("__nv_log1pf", x.ir))


FUNCTIONS = Functions(scalar.exp_nonpositive, _log1p)


@functools.cache
def element_code(codes):
    """Device code: the weighted loss of the output values[z], by one of the losses `codes`; dz goes
    to values[dz].
    """

    @device_value("float32")
    def element(builder, kind, values, z, dz, t, weight, parameter, positive, scale):
        output = load(builder, at(builder, values, z), 1)
        given = output, *(Value(builder, v) for v in (t, weight, parameter, positive))
        loss, gradient = emit_element(builder, kind, given, FUNCTIONS, codes)
        store(builder, gradient * Value(builder, scale), at(builder, values, dz))
        return loss

    return element


@functools.cache
def elements(lanes, codes=ELEMENTWISE):
    """The loss of a sample is the sum over its outputs. A thread takes every `lanes`-th of them."""
    row_sum, element = row_sums(lanes), element_code(codes)

    @helper
    def one(
        kind, values, z, dz, step, losses, shared, sample, there, row, labels, targets,
        sample_weight, class_weight, outputs, weighted, class_weighted, parameter, scale,
    ):  # fmt: skip
        lane, loss = cuda.threadIdx.x % lanes, ZERO
        if there:
            weight = sample_weight_of(sample_weight, weighted, row)
            for j in range(lane, outputs, lanes):
                positive = class_weight[j] if class_weighted else ONE
                value = element(
                    kind, values, z + j * step, dz + j * step, targets[row * outputs + j], weight,
                    parameter, positive, scale,
                )  # fmt: skip
                loss = add(loss, value)
        loss = row_sum(shared, loss)
        if there and lane == 0:
            losses[sample] = loss

    return one


@functools.cache
def any_loss(lanes):
    """The loss of code `kind`."""
    of_row, of_elements = softmax(lanes), elements(lanes)

    @helper
    def one(
        kind, values, z, dz, step, losses, shared, sample, there, row, labels, targets,
        sample_weight, class_weight, outputs, weighted, class_weighted, parameter, scale,
    ):  # fmt: skip
        if kind == SOFTMAX:
            of_row(
                kind, values, z, dz, step, losses, shared, sample, there, row, labels, targets,
                sample_weight, class_weight, outputs, weighted, class_weighted, parameter, scale,
            )  # fmt: skip
        else:
            of_elements(
                kind, values, z, dz, step, losses, shared, sample, there, row, labels, targets,
                sample_weight, class_weight, outputs, weighted, class_weighted, parameter, scale,
            )  # fmt: skip

    return one


def _kernel(code):
    """The kernel of one loss, with nothing of the others."""
    element = ROWS[code].element
    one = elements(LANES, (code,)) if element else softmax(LANES)
    name = element.__name__ if element else "softmax"

    @kernel(name, THREADS, *TYPES)
    def loss(
        acts, losses, jobs, slots, hypers, index, labels, targets, sample_weight, class_weight,
        z_at, dz_at, stride, outputs, samples, weighted, class_weighted,
    ):  # fmt: skip
        shared = cuda.shared.array(THREADS, FLOAT)
        sample = cuda.blockIdx.x * GROUP + cuda.threadIdx.x // LANES
        there, slot, row = sample < samples, slots[FORWARD], 0
        if there:
            row = index[jobs[slot * JOB + FIRST_ROW] + sample]
        one(
            code, acts, z_at + sample * stride, dz_at + sample * stride, 1, losses, shared, sample,
            there, row, labels, targets, sample_weight, class_weight, outputs, weighted,
            class_weighted, hypers[slot * HYPERS + PARAMETER], hypers[slot * HYPERS + SCALE],
        )  # fmt: skip

    return loss


@kernel("total_weight", LINE, FLOATS, INTS, INTS, INTS, INTS, FLOATS, FLOATS, FLOATS, *[INT] * 5)
def _total_weight(
    hypers, jobs, slots, index, labels, targets, sample_weight, class_weight, kind, outputs,
    samples, weighted, class_weighted,
):  # fmt: skip
    """kind: of the targets."""
    shared = cuda.shared.array(LINE, FLOAT)
    slot = slots[FORWARD]
    total = ZERO
    for sample in range(cuda.threadIdx.x, samples, LINE):
        row = index[jobs[slot * JOB + FIRST_ROW] + sample]
        weight = sample_weight_of(sample_weight, weighted, row)
        if kind == CLASSES:
            if class_weighted:
                weight = multiply(weight, class_weight[labels[row]])
            total = add(total, weight)
        elif kind == NUMBERS:
            total = add(total, multiply(weight, real(outputs)))
        else:
            labelled = 0
            for task in range(outputs):
                if is_number(targets[row * outputs + task]):
                    labelled += 1
            total = add(total, multiply(weight, real(labelled)))
    total = block_sum(shared, total)
    if cuda.threadIdx.x == 0:  # no labelled entry: no loss and no gradient
        hypers[slot * HYPERS + SCALE] = divide(ONE, total) if above(total, ZERO) else ZERO


@kernel("mean_loss", LINE, FLOATS, INTS, FLOATS, FLOATS, INT)
def _mean_loss(step_losses, slots, hypers, losses, samples):
    """The mean loss of this step; then the forward pass reads the next job and the rest of the step
    this one. A loss that is not finite stops all updates, one above the limit those after this one,
    and so does an overflow in the step before.
    """
    shared = cuda.shared.array(LINE, FLOAT)
    slot, stopped = slots[FORWARD], slots[STOPPED]
    total = ZERO
    for sample in range(cuda.threadIdx.x, samples, LINE):
        total = add(total, losses[sample])
    total = block_sum(shared, total)
    if cuda.threadIdx.x == 0:
        loss = multiply(total, hypers[slot * HYPERS + SCALE])
        step_losses[slot] = loss
        if stopped != RUNNING or (slot > 0 and above(hypers[(slot - 1) * HYPERS + OVERFLOW], ZERO)):
            slots[STOPPED] = STOP
        elif not is_finite(loss):
            slots[STOPPED] = STOP
        elif above(loss, hypers[slot * HYPERS + LIMIT]):
            slots[STOPPED] = LAST
        slots[BACKWARD] = slot
        slots[FORWARD] = slot + 1


KERNELS = [_kernel(code) for code in range(len(ROWS))]


def loss_and_gradient(launch, losses, row, acts, batch, targets, queue, loss):
    """losses[s]: the weighted loss of sample s of the outputs of the node in `row`, and their dz.
    loss: its code. The mean goes to the losses of the queue.
    """
    outputs = int(row[FAN_OUT])
    total_weight(launch, loss, outputs, batch, targets, queue)
    places = (int(row[column]) for column in (H_AT, DZ_AT, H_STRIDE))
    *arrays, weighted, class_weighted = targets
    launch(
        KERNELS[loss], blocks_of(batch.samples, GROUP), acts, losses, queue.jobs, queue.slots,
        queue.hypers, batch.index, *arrays, *places, outputs, batch.samples, weighted,
        class_weighted,
    )  # fmt: skip
    mean_loss(launch, losses, batch, queue)


def total_weight(launch, loss, outputs, batch, targets, queue):
    """1 / the sum of the weights of the batch, unless the host knows it: all weights are 1, and no
    label is missing.
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
