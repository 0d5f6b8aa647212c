"""Losses: eight rows of outputs a block, the loss of each sample and dz; and what a step makes of
them: their mean, whether there is an update, and which step comes next.
"""

from numba import cuda

from fastsnn.kernels.codes import MSE, SIGMOID, SOFTMAX
from fastsnn.kernels.cuda.code import FLOATS, INT, INTS, helper, kernel
from fastsnn.kernels.cuda.job import (
    BACKWARD,
    FIRST_ROW,
    FORWARD,
    HYPERS,
    JOB,
    LAST,
    LIMIT,
    RUNNING,
    SCALE,
    STOP,
    STOPPED,
)
from fastsnn.kernels.cuda.real import (
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
    log1p,
    multiply,
    real,
    row_sum,
    subtract,
)
from fastsnn.kernels.cuda.shape import GROUP, LANES, LINE, blocks_of
from fastsnn.kernels.program import DZ_AT, FAN_OUT, H_AT, H_STRIDE

ZERO, ONE = FLOAT(0), FLOAT(1)
# acts, losses, jobs, slots, hypers, index, labels, targets, sample_weight, class_weight; z_at,
# dz_at, stride, outputs, samples, weighted, class_weighted
TYPES = FLOATS, FLOATS, INTS, INTS, FLOATS, INTS, INTS, FLOATS, FLOATS, FLOATS, *[INT] * 7


@helper
def sample_weight_of(sample_weight, weighted, row):
    return sample_weight[row] if weighted else ONE


@kernel("softmax", LINE, *TYPES)
def _softmax(
    acts, losses, jobs, slots, hypers, index, labels, targets, sample_weight, class_weight, z_at,
    dz_at, stride, outputs, samples, weighted, class_weighted,
):  # fmt: skip
    """loss = log sum exp(z) - z[label];  dz = (softmax(z) - onehot) * weight * scale"""
    shared = cuda.shared.array(LINE, FLOAT)
    lane, sample = cuda.threadIdx.x % LANES, cuda.blockIdx.x * GROUP + cuda.threadIdx.x // LANES
    there = sample < samples
    slot = slots[FORWARD]
    row, label = 0, 0
    if there:
        row = index[jobs[slot * JOB + FIRST_ROW] + sample]
        label = labels[row]
    z, dz = z_at + sample * stride, dz_at + sample * stride
    top = acts[z] if there else ZERO
    if there:
        for c in range(lane, outputs, LANES):
            top = larger(acts[z + c], top)
    shared[cuda.threadIdx.x] = top
    cuda.syncthreads()
    first = cuda.threadIdx.x - lane
    for i in range(LANES):
        top = larger(shared[first + i], top)
    if there:
        for c in range(lane, outputs, LANES):
            acts[dz + c] = exp_nonpositive(subtract(acts[z + c], top))
    cuda.syncthreads()
    factor, share = ZERO, ZERO
    if there and lane == 0:
        total = ZERO
        for c in range(outputs):  # in their order, as on the CPU
            total = add(total, acts[dz + c])
        weight = sample_weight_of(sample_weight, weighted, row)
        if class_weighted:
            weight = multiply(weight, class_weight[label])
        own = subtract(top, acts[z + label])
        losses[sample] = multiply(weight, add(own, log(total)))
        factor = multiply(weight, hypers[slot * HYPERS + SCALE])
        share = divide(factor, total)
    factor, share = row_sum(shared, factor), row_sum(shared, share)  # of one and zeros
    if there:
        for c in range(lane, outputs, LANES):
            value = multiply(acts[dz + c], share)
            if c == label:
                value = subtract(value, factor)
            acts[dz + c] = value


@kernel("sigmoid", LINE, *TYPES)
def _sigmoid(
    acts, losses, jobs, slots, hypers, index, labels, targets, sample_weight, class_weight, z_at,
    dz_at, stride, outputs, samples, weighted, class_weighted,
):  # fmt: skip
    """loss = (1 - t) log(1 + exp(z)) + c t log(1 + exp(-z)), c the task's weight of positives; t
    NaN: no label
    """
    shared = cuda.shared.array(LINE, FLOAT)
    lane, sample = cuda.threadIdx.x % LANES, cuda.blockIdx.x * GROUP + cuda.threadIdx.x // LANES
    slot = slots[FORWARD]
    loss = ZERO
    if sample < samples:
        row = index[jobs[slot * JOB + FIRST_ROW] + sample]
        weight = sample_weight_of(sample_weight, weighted, row)
        z, dz = z_at + sample * stride, dz_at + sample * stride
        for task in range(lane, outputs, LANES):
            v, t, gradient = acts[z + task], targets[row * outputs + task], ZERO
            if is_number(t):
                positive = class_weight[task] if class_weighted else ONE
                upper = above(v, ZERO)
                magnitude = v if upper else subtract(ZERO, v)
                e = exp_nonpositive(subtract(ZERO, magnitude))
                yes, no = ONE, e  # sigmoid is yes / (yes + no)
                if not upper:
                    yes, no = e, ONE
                common = log1p(e)
                if_zero = add(common, v if upper else ZERO)
                if_one = add(common, ZERO if upper else magnitude)
                rest, hit = subtract(ONE, t), multiply(positive, t)
                value = add(multiply(rest, if_zero), multiply(hit, if_one))
                loss = add(loss, multiply(weight, value))
                gradient = subtract(multiply(rest, yes), multiply(hit, no))
                gradient = multiply(divide(gradient, add(ONE, e)), weight)
                gradient = multiply(gradient, hypers[slot * HYPERS + SCALE])
            acts[dz + task] = gradient
    loss = row_sum(shared, loss)
    if sample < samples and lane == 0:
        losses[sample] = loss


@kernel("mse", LINE, *TYPES)
def _mse(
    acts, losses, jobs, slots, hypers, index, labels, targets, sample_weight, class_weight, z_at,
    dz_at, stride, outputs, samples, weighted, class_weighted,
):  # fmt: skip
    """loss = (z - t)^2"""
    shared = cuda.shared.array(LINE, FLOAT)
    lane, sample = cuda.threadIdx.x % LANES, cuda.blockIdx.x * GROUP + cuda.threadIdx.x // LANES
    slot = slots[FORWARD]
    loss = ZERO
    if sample < samples:
        row = index[jobs[slot * JOB + FIRST_ROW] + sample]
        weight = sample_weight_of(sample_weight, weighted, row)
        z, dz = z_at + sample * stride, dz_at + sample * stride
        for j in range(lane, outputs, LANES):
            difference = subtract(acts[z + j], targets[row * outputs + j])
            loss = add(loss, multiply(multiply(weight, difference), difference))
            gradient = multiply(add(difference, difference), weight)
            acts[dz + j] = multiply(gradient, hypers[slot * HYPERS + SCALE])
    loss = row_sum(shared, loss)
    if sample < samples and lane == 0:
        losses[sample] = loss


@kernel("total_weight", LINE, FLOATS, INTS, INTS, INTS, INTS, FLOATS, FLOATS, FLOATS, *[INT] * 5)
def _total_weight(
    hypers, jobs, slots, index, labels, targets, sample_weight, class_weight, kind, outputs,
    samples, weighted, class_weighted,
):  # fmt: skip
    shared = cuda.shared.array(LINE, FLOAT)
    slot = slots[FORWARD]
    total = ZERO
    for sample in range(cuda.threadIdx.x, samples, LINE):
        row = index[jobs[slot * JOB + FIRST_ROW] + sample]
        weight = sample_weight_of(sample_weight, weighted, row)
        if kind == SOFTMAX:
            if class_weighted:
                weight = multiply(weight, class_weight[labels[row]])
            total = add(total, weight)
        elif kind == MSE:
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
    this one. A loss that is not finite stops all updates, one above the limit those after this one.
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
        if stopped != RUNNING:
            slots[STOPPED] = STOP
        elif not is_finite(loss):
            slots[STOPPED] = STOP
        elif above(loss, hypers[slot * HYPERS + LIMIT]):
            slots[STOPPED] = LAST
        slots[BACKWARD] = slot
        slots[FORWARD] = slot + 1


KERNELS = {SOFTMAX: _softmax, SIGMOID: _sigmoid, MSE: _mse}


def loss_and_gradient(
    launch, losses, step_losses, kind, row, acts, jobs, slots, hypers, samples, index, labels,
    targets, sample_weight, class_weight, weighted, class_weighted, scaled,
):  # fmt: skip
    """losses[s]: the weighted loss of sample s of the outputs of the node in `row`, and their dz.
    step_losses: the mean of each step. scaled: whether the sum of the weights is known before.
    """
    outputs = int(row[FAN_OUT])
    weights = sample_weight, class_weight
    flags = outputs, samples, int(weighted), int(class_weighted)
    if not scaled:
        launch(
            _total_weight, 1, hypers, jobs, slots, index, labels, targets, *weights, kind, *flags
        )
    places = (int(row[column]) for column in (H_AT, DZ_AT, H_STRIDE))
    launch(
        KERNELS[kind], blocks_of(samples, GROUP), acts, losses, jobs, slots, hypers, index, labels,
        targets, *weights, *places, *flags,
    )  # fmt: skip
    launch(_mean_loss, 1, step_losses, slots, hypers, losses, samples)
