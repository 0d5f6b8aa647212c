"""One training step as two parallel regions, and prediction as one; each with one slice per thread.

A node that couples the rows of a batch cuts the first region into segments; weight normalization
adds a third one.

The kernels of `program.py` are called through their addresses, so that this file compiles in a
moment. The same work without threads (`threads` = 1) touches no threading layer: it is safe after a
fork and from many Python threads.
"""

import math

import numpy as np
from numba import prange

from .. import jit
from ..jit import DOUBLE, DOUBLES, FLOAT, FLOATS, INT, INTS, MATRIX, WORDS
from ..philox import LOW_WORD
from ..program import FAN_OUT, H_AT, H_STRIDE
from . import program as serial
from .loss import total_weight
from .program import BATCH, PROGRAM, couples_rows, overflows
from .shape import PANEL

PREDICT_PANELS = 8  # panels that go through all layers together in a prediction

forward_at = jit.native_call(serial.run_forward)
backward_at = jit.native_call(serial.run_backward)
weights_at = jit.native_call(serial.run_weights)
directions_at = jit.native_call(serial.run_directions)

# Columns of a job, int64: what changes from step to step.
(
    FORWARD, BACKWARD, WEIGHTS,  # addresses
    DIRECTIONS,  # another, or 0 where no weights are normalized
    FIRST_ROW, SAMPLES, STEP, SEED, LOSS, UPDATE, THREADS,
    SPLIT,  # threads share panels, and meet after every layer
    MEETINGS,  # written: parallel regions of the last step
    OVERFLOW,  # written: the last step skipped updates that would have overflowed float32
    JOB,
) = range(15)  # fmt: skip


@jit.helper
def _rows(
    job, losses, program, constants, params, acts, bits, work, x, index, labels, targets,
    sample_weight, class_weight, parameter, scale, first_stage, last_stage, part,
):  # fmt: skip
    """Stages of a step: those of `run_forward`, then those of `run_backward`."""
    middle = program.shape[0] + 1
    if first_stage < middle:
        forward_at(
            job[FORWARD], program, constants, params, acts, bits, work, x, index, job[FIRST_ROW],
            job[SAMPLES], first_stage, min(last_stage, middle), job[SPLIT], part, job[THREADS], 0,
            job[STEP], job[SEED], 1,
        )  # fmt: skip
    if last_stage > middle:
        backward_at(
            job[BACKWARD], losses, program, constants, params, acts, bits, work, index, labels,
            targets, sample_weight, class_weight, job[FIRST_ROW], job[SAMPLES],
            max(first_stage - middle, 0), last_stage - middle, job[SPLIT], part, job[THREADS],
            job[STEP], job[SEED], job[LOSS], parameter, scale,
        )  # fmt: skip


@jit.helper
def _couples_rows(program, stage):
    """Whether in this stage of a step parts are units of the whole batch."""
    layers = program.shape[0]
    r = stage - 1 if stage <= layers else 2 * layers + 1 - stage
    return 0 <= r < layers and couples_rows(program[r])


@jit.helper
def _segment_end(program, stage, stages, split):
    """The first stage that a part may not begin before all others are so far."""
    end = stage + 1
    if split or _couples_rows(program, stage):
        return end
    while end < stages and not _couples_rows(program, end):
        end += 1
    return end


@jit.helper
def _scale(job, index, labels, targets, sample_weight, class_weight):
    total = total_weight(
        job[LOSS], index, job[FIRST_ROW], job[SAMPLES], labels, targets, sample_weight, class_weight
    )
    return 1 / total if total > 0 else 0.0  # no labelled entry: no loss and no gradient


@jit.helper
def _mean(losses, samples, scale):
    total = 0.0
    for s in range(samples):
        total += losses[s]
    return total * scale


STEP_TYPES = (
    INTS, DOUBLES, *PROGRAM, MATRIX, FLOATS, WORDS, MATRIX, MATRIX, *BATCH, FLOAT,
)  # fmt: skip


@jit.entry(INT, DOUBLES, INTS, MATRIX, DOUBLE, *STEP_TYPES)
def steps_serial(
    step_losses, sizes, hypers, limit, job, losses, program, constants, params, state, acts, bits,
    work, x, index, labels, targets, sample_weight, class_weight, parameter,
):  # fmt: skip
    """Steps one after another, as of `step_parallel`, in the calling thread: number i is of the
    next sizes[i] rows, by the scalars hypers[i]; its loss goes to step_losses[i]. Stops after a
    loss that is not finite or above `limit`, and after an overflow; returns the number of steps.
    """
    job[OVERFLOW] = 0
    for i in range(sizes.size):
        job[SAMPLES] = sizes[i]
        scale = _scale(job, index, labels, targets, sample_weight, class_weight)
        _rows(
            job, losses, program, constants, params, acts, bits, work[0], x, index, labels, targets,
            sample_weight, class_weight, parameter, scale, 0, 2 * program.shape[0] + 1, 0,
        )  # fmt: skip
        loss = _mean(losses, job[SAMPLES], scale)
        step_losses[i] = loss
        if math.isfinite(loss):
            weights_at(
                job[WEIGHTS], program, constants, params, state, acts, work[0], hypers[i],
                job[UPDATE], job[SAMPLES], 0, 1,
            )  # fmt: skip
            if job[DIRECTIONS]:
                directions_at(
                    job[DIRECTIONS], program, params, state, work[0], hypers[i], job[UPDATE], 0, 1
                )
            job[OVERFLOW] = overflows(work[0])
        if job[OVERFLOW] or not loss <= limit:
            return i + 1
        job[FIRST_ROW] += sizes[i]
        job[STEP] = (job[STEP] + 1) & LOW_WORD
    return sizes.size


@jit.entry(DOUBLE, *STEP_TYPES, FLOATS, parallel=True)
def step_parallel(
    job, losses, program, constants, params, state, acts, bits, work, x, index, labels, targets,
    sample_weight, class_weight, parameter, hyper,
):  # fmt: skip
    """One step; returns the mean loss before the update. A loss that is not finite updates
    nothing; OVERFLOW is set if an update was skipped.

    Region 1 is one parallel region; with SPLIT one for each stage; one for each segment where
    nodes couple rows.
    """
    threads = job[THREADS]
    scale = _scale(job, index, labels, targets, sample_weight, class_weight)
    stages = 2 * program.shape[0] + 1
    job[MEETINGS] = job[OVERFLOW] = 0
    stage = 0
    while stage < stages:
        end = _segment_end(program, stage, stages, job[SPLIT])
        job[MEETINGS] += 1
        for t in prange(threads):
            _rows(
                job, losses, program, constants, params, acts, bits, work[t], x, index, labels,
                targets, sample_weight, class_weight, parameter, scale, stage, end, t,
            )  # fmt: skip
        stage = end
    loss = _mean(losses, job[SAMPLES], scale)
    if math.isfinite(loss):
        job[MEETINGS] += 1
        for t in prange(threads):
            weights_at(
                job[WEIGHTS], program, constants, params, state, acts, work[t], hyper, job[UPDATE],
                job[SAMPLES], t, threads,
            )  # fmt: skip
        if job[DIRECTIONS]:
            job[MEETINGS] += 1
            for t in prange(threads):
                directions_at(
                    job[DIRECTIONS], program, params, state, work[t], hyper, job[UPDATE], t, threads
                )
        for t in range(threads):
            job[OVERFLOW] |= overflows(work[t])
    return loss


@jit.helper
def _predict(address, out, program, constants, params, acts, bits, work, x, first_row, last_row):
    """Rows [first_row, last_row), PREDICT_PANELS panels at a time; `acts` holds the panels of two
    layers.
    """
    top = program[program.shape[0] - 1]
    index = np.empty(0, np.int64)
    stages = program.shape[0] + 1
    split, part, parts = 0, 0, 1
    first_sample, step, seed, training = 0, 0, 0, 0
    for first in range(first_row, last_row, PREDICT_PANELS * PANEL):
        samples = min(PREDICT_PANELS * PANEL, last_row - first)
        forward_at(
            address, program, constants, params, acts, bits, work, x, index, first, samples, 0,
            stages, split, part, parts, first_sample, step, seed, training,
        )  # fmt: skip
        for i in range(samples):
            place = top[H_AT] + (i // PANEL) * top[H_STRIDE] + i % PANEL
            for j in range(top[FAN_OUT]):
                out[first + i, j] = acts[place + j * PANEL]


PREDICT_TYPES = "void", INT, INT, MATRIX, *PROGRAM, MATRIX, WORDS, MATRIX, MATRIX


@jit.entry(*PREDICT_TYPES)
def predict_serial(address, threads, out, program, constants, params, acts, bits, work, x):
    """`predict_parallel` in the calling thread."""
    _predict(address, out, program, constants, params, acts[0], bits, work[0], x, 0, x.shape[0])


@jit.entry(*PREDICT_TYPES, parallel=True)
def predict_parallel(address, threads, out, program, constants, params, acts, bits, work, x):
    """out[i] = raw outputs for x[i]; acts and work have a row per thread. Slices are whole
    panels.
    """
    panels = (x.shape[0] + PANEL - 1) // PANEL
    for t in prange(threads):
        first = (t * panels // threads) * PANEL
        last = min(((t + 1) * panels // threads) * PANEL, x.shape[0])
        _predict(address, out, program, constants, params, acts[t], bits, work[t], x, first, last)
