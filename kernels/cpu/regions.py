"""One training step as two parallel regions, and prediction as one; each thread runs one part.

A node that couples the rows of a batch divides the first region into segments; weight
normalization adds a third region. A barrier ends one region and starts the next.

The kernels of `program.py` are called through their addresses, so they are not compiled again here.
The serial variants (`threads` = 1) use no threading layer: they are safe after a fork and from
several Python threads.

    job              (JOB,) int64: scalars of the current step, see the columns below
    table, constants, params, acts, bits, labels, ...: see `arguments.py`
    work             (threads, floats): row t is the work space of thread t
    acts             shared by all threads in training; in a prediction (threads, floats)
    state            (state arrays, parameters), the offsets of params
    hyper, hypers    scalars of the update of a step, (HYPER,); of each step, (steps, HYPER)
    t                thread: runs part t of every region
"""

import math

import numpy as np
from numba import prange

from .. import jit
from ..jit import DOUBLE, DOUBLES, FLOAT, FLOATS, INT, INTS, MATRIX, TABLE, VOID, WORDS
from ..philox import LOW_WORD
from ..program import FAN_OUT, H_AT, H_STRIDE
from . import program as serial
from .arguments import Batch, Buffers, Loss, Masks, Part, Program, Targets
from .loss import total_weight
from .program import couples_rows, overflows
from .shape import PANEL

PREDICT_PANELS = 8  # panels that a prediction takes through all layers together

forward_at = jit.native_call(serial.run_forward)
backward_at = jit.native_call(serial.run_backward)
weights_at = jit.native_call(serial.run_weights)
directions_at = jit.native_call(serial.run_directions)

# Columns of a job.
(
    FORWARD, BACKWARD, WEIGHTS,  # addresses of kernels
    DIRECTIONS,  # address of the kernel of region 3; 0 without weight normalization
    FIRST_ROW, SAMPLES, STEP, SEED, LOSS, UPDATE, THREADS,
    SPLIT,  # 1: threads share panels, with a barrier after every layer
    REGIONS,  # output: parallel regions of the last step
    OVERFLOW,  # output: 1 if the last step skipped updates that would overflow float32
    JOB,
) = range(15)  # fmt: skip


@jit.helper
def _rows(job, losses, program, buffers, x, index, targets, loss, first_stage, last_stage, part):
    """Run stages [first_stage, last_stage) of a step: those of `run_forward`, then those of
    `run_backward`.
    """
    middle = program.table.shape[0] + 1
    batch = Batch(index, job[FIRST_ROW], job[SAMPLES])
    masks = Masks(0, job[STEP], job[SEED])
    if first_stage < middle:
        last = min(last_stage, middle)
        work = Part(first_stage, last, job[SPLIT], part, job[THREADS])
        forward_at(job[FORWARD], program, buffers, x, batch, work, masks, 1)
    if last_stage > middle:
        first, last = max(first_stage - middle, 0), last_stage - middle
        work = Part(first, last, job[SPLIT], part, job[THREADS])
        backward_at(job[BACKWARD], losses, program, buffers, batch, targets, work, masks, loss)


@jit.helper
def _couples_rows(table, stage):
    """Return True if the parts of this stage are ranges of units over the whole batch."""
    layers = table.shape[0]
    r = stage - 1 if stage <= layers else 2 * layers + 1 - stage
    return 0 <= r < layers and couples_rows(table[r])


@jit.helper
def _segment_end(table, stage, stages, split):
    """Return the first stage after this one that needs a barrier before it."""
    end = stage + 1
    if split or _couples_rows(table, stage):
        return end
    while end < stages and not _couples_rows(table, end):
        end += 1
    return end


@jit.helper
def _loss(job, index, targets, parameter):
    batch = Batch(index, job[FIRST_ROW], job[SAMPLES])
    total = total_weight(job[LOSS], batch, targets)
    scale = 1 / total if total > 0 else 0.0  # without labels: loss and gradient are 0
    return Loss(job[LOSS], parameter, scale)


@jit.helper
def _mean(losses, samples, scale):
    total = 0.0
    for s in range(samples):
        total += losses[s]
    return total * scale


# Entries that Python calls take the members of the named tuples, in this order.
PROGRAM_TYPES = TABLE, MATRIX, FLOATS  # table, constants, params
STEP_TYPES = (
    INTS, DOUBLES, *PROGRAM_TYPES, MATRIX, FLOATS, WORDS, MATRIX, MATRIX,
    INTS, INTS, MATRIX, FLOATS, FLOATS, FLOAT,
)  # fmt: skip


@jit.entry(INT, DOUBLES, INTS, MATRIX, DOUBLE, *STEP_TYPES)
def steps_serial(
    step_losses, sizes, hypers, limit, job, losses, table, constants, params, state, acts, bits,
    work, x, index, labels, targets, sample_weight, class_weight, parameter,
):  # fmt: skip
    """Run consecutive steps in the calling thread; each has the result of `step_parallel`. Step i
    takes the next sizes[i] rows and the scalars hypers[i], and writes its loss to step_losses[i].
    Stops after a loss that is not finite or above `limit`, and after an overflow. Returns the
    number of steps run.
    """
    program = Program(table, constants, params)
    buffers = Buffers(acts, bits, work[0])
    given = Targets(labels, targets, sample_weight, class_weight)
    stages = 2 * table.shape[0] + 1
    job[OVERFLOW] = 0
    for i in range(sizes.size):
        job[SAMPLES] = sizes[i]
        loss = _loss(job, index, given, parameter)
        _rows(job, losses, program, buffers, x, index, given, loss, 0, stages, 0)
        mean = _mean(losses, job[SAMPLES], loss.scale)
        step_losses[i] = mean
        if math.isfinite(mean):
            weights_at(
                job[WEIGHTS], program, state, buffers, hypers[i], job[UPDATE], job[SAMPLES], 0, 1
            )
            if job[DIRECTIONS]:
                directions_at(
                    job[DIRECTIONS], program, state, buffers, hypers[i], job[UPDATE], 0, 1
                )
            job[OVERFLOW] = overflows(buffers.work)
        if job[OVERFLOW] or not mean <= limit:
            return i + 1
        job[FIRST_ROW] += sizes[i]
        job[STEP] = (job[STEP] + 1) & LOW_WORD
    return sizes.size


@jit.entry(DOUBLE, *STEP_TYPES, FLOATS, parallel=True)
def step_parallel(
    job, losses, table, constants, params, state, acts, bits, work, x, index, labels, targets,
    sample_weight, class_weight, parameter, hyper,
):  # fmt: skip
    """Run one step; return the mean loss before the update. If the loss is not finite, nothing is
    updated. OVERFLOW is set if an update was skipped.

    Region 1 is one parallel region; with SPLIT, one per stage; with nodes that couple rows, one per
    segment.
    """
    threads = job[THREADS]
    loss = _loss(job, index, Targets(labels, targets, sample_weight, class_weight), parameter)
    scale = loss.scale
    stages = 2 * table.shape[0] + 1
    job[REGIONS] = job[OVERFLOW] = 0
    stage = 0
    while stage < stages:
        end = _segment_end(table, stage, stages, job[SPLIT])
        job[REGIONS] += 1
        for t in prange(threads):
            _rows(
                job, losses, Program(table, constants, params), Buffers(acts, bits, work[t]), x,
                index, Targets(labels, targets, sample_weight, class_weight),
                Loss(job[LOSS], parameter, scale), stage, end, t,
            )  # fmt: skip
        stage = end
    mean = _mean(losses, job[SAMPLES], scale)
    if math.isfinite(mean):
        job[REGIONS] += 1
        for t in prange(threads):
            weights_at(
                job[WEIGHTS], Program(table, constants, params), state,
                Buffers(acts, bits, work[t]), hyper, job[UPDATE], job[SAMPLES], t, threads,
            )  # fmt: skip
        if job[DIRECTIONS]:
            job[REGIONS] += 1
            for t in prange(threads):
                directions_at(
                    job[DIRECTIONS], Program(table, constants, params), state,
                    Buffers(acts, bits, work[t]), hyper, job[UPDATE], t, threads,
                )  # fmt: skip
        for t in range(threads):
            job[OVERFLOW] |= overflows(work[t])
    return mean


@jit.helper
def _predict(address, out, program, buffers, x, first_row, last_row):
    """Predict rows [first_row, last_row), PREDICT_PANELS panels at a time. `acts` holds the panels
    of two layers.
    """
    table, acts = program.table, buffers.acts
    top = table[table.shape[0] - 1]
    index = np.empty(0, np.int64)
    part = Part(0, table.shape[0] + 1, 0, 0, 1)  # all stages, as one part
    training = 0
    for first in range(first_row, last_row, PREDICT_PANELS * PANEL):
        samples = min(PREDICT_PANELS * PANEL, last_row - first)
        batch = Batch(index, first, samples)
        forward_at(address, program, buffers, x, batch, part, Masks(0, 0, 0), training)
        for i in range(samples):
            place = top[H_AT] + (i // PANEL) * top[H_STRIDE] + i % PANEL
            for j in range(top[FAN_OUT]):
                out[first + i, j] = acts[place + j * PANEL]


PREDICT_TYPES = VOID, INT, INT, MATRIX, *PROGRAM_TYPES, MATRIX, WORDS, MATRIX, MATRIX


@jit.entry(*PREDICT_TYPES)
def predict_serial(address, threads, out, table, constants, params, acts, bits, work, x):
    """Run `predict_parallel` in the calling thread, without a threading layer."""
    program, buffers = Program(table, constants, params), Buffers(acts[0], bits, work[0])
    _predict(address, out, program, buffers, x, 0, x.shape[0])


@jit.entry(*PREDICT_TYPES, parallel=True)
def predict_parallel(address, threads, out, table, constants, params, acts, bits, work, x):
    """out[i] = raw outputs for x[i]. Row t of acts and work belongs to thread t, which takes whole
    panels.
    """
    panels = (x.shape[0] + PANEL - 1) // PANEL
    for t in prange(threads):
        first = (t * panels // threads) * PANEL
        last = min(((t + 1) * panels // threads) * PANEL, x.shape[0])
        program, buffers = Program(table, constants, params), Buffers(acts[t], bits, work[t])
        _predict(address, out, program, buffers, x, first, last)
