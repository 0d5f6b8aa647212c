"""The narrow schedule: one launch takes a batch forward through all layers, through the loss, and
backward through all layers. Dense layers compute each sample on its own, so no block waits for
another.

Outputs and dz are also written to global memory, for the weight gradients. The first weights of a
layer are prefetched while the last ones of the layer before are multiplied. Every sum runs in the
order of its index, so both schedules and the CPU give the same bits. Products are in float32,
whatever the precision of the wide schedule.

    block       GROUP = 8 samples, from `first` on; `last` is the last sample of the batch
    thread      `unit` adjacent units from `column` on, of all eight samples or of four (`part`);
                `acc`: its sums, `old`: what the slope of the activation is computed from
    shared      two buffers of weights [term][unit], used in turn (`here`); then from ACTIVATIONS on
                the block's activations [first and last four samples][unit][sample of the four]
    words       two rows of the table: of this pass (`row`) and of the next one (`following`)
    facts       rows of the data set, step, seed, and the head of the table, see `narrow_rows.py`
    acts, ...   global memory: rows [sample][unit]; a block writes only its own samples
"""

import functools

import numpy as np
from numba import cuda
from numba.cuda import types

from . import device
from .code import FLOATS, INT, INTS, kernel
from .device import SIMULATED
from .job import BLOCK, FIRST_ROW, FORWARD, HYPERS, JOB, PARAMETER, SCALE, SEED, STEP
from .loss import any_loss, mean_loss, total_weight
from .narrow_product import product_code, weights_code
from .narrow_rows import (
    FACTS,
    LAUNCH,
    NUMBER,
    ROWS,
    SEED_NOW,
    STEP_NOW,
    end_code,
    rows_code,
)
from .passes import (
    BIAS,
    CLASS_WEIGHTED,
    HEAD,
    LAYERS,
    LIMIT,
    LOSS,
    MORE,
    NO_LOSS,
    OUT,
    OUT_STRIDE,
    OUTPUTS,
    PASS,
    PASSES,
    SLOPE,
    TERMS,
    TOP,
    TOP_STEP,
    UNITS,
    WEIGHTED,
    head_of,
    passes_of,
)
from .shape import GROUP, QUAD, blocks_of
from .tile import FLOAT

INT64 = types.int64
# Units whose activations fit shared memory, at least a block's columns. More inputs are loaded in
# pieces of that size.
MOST = 64 if SIMULATED else 256
SLOTS = 2  # rows of the table in shared memory: of this pass and of the next one


@functools.cache
def narrow_kernel(block):
    THREADS, COLUMNS, UNIT, DEPTH, BUFFER = (
        block.threads, block.columns, block.unit, block.depth, block.buffer
    )  # fmt: skip
    ACROSS, SUMS, STAGE, LANES = block.across, block.sums, block.stage, block.threads // GROUP
    ACTIVATIONS, PLANE = 2 * BUFFER, MOST * QUAD  # PLANE: four samples of all units
    SHARED, WORDS = ACTIVATIONS + 2 * PLANE, SLOTS * PASS
    LOCAL = MOST - 1  # of a power of two
    assert COLUMNS <= MOST and COLUMNS % DEPTH == 0 and HEAD <= PASS <= THREADS
    fetch, keep = weights_code(block)
    ask, start, multiply = product_code(block, MOST)
    remember, add, share, take, give, gather = rows_code(block, MOST, ACTIVATIONS)
    forward, backward, mask, scale = end_code(block)
    loss_of_row = any_loss(LANES)

    @kernel(
        f"narrow_{COLUMNS}x{DEPTH}", THREADS, FLOATS, FLOATS, INTS, INTS, FLOATS, INTS, INTS,
        FLOATS, FLOATS, FLOATS, FLOATS, FLOATS, INTS, INT,
    )  # fmt: skip
    def narrow(
        acts, losses, jobs, slots, hypers, index, labels, targets, sample_weight, class_weight,
        params, x, table, samples,
    ):  # fmt: skip
        if SIMULATED:
            shared = cuda.shared.array(SHARED, FLOAT)
        else:
            shared = cuda.shared.array(SHARED, FLOAT, 16)
        scratch = cuda.shared.array(THREADS, FLOAT)
        words = cuda.shared.array(WORDS, INT64)
        facts = cuda.shared.array(FACTS, INT64)
        acc = cuda.local.array(SUMS, FLOAT)
        old = cuda.local.array(SUMS, FLOAT)
        stage = cuda.local.array(STAGE, FLOAT)
        bias = cuda.local.array(UNIT, FLOAT)
        thread = cuda.threadIdx.x
        part, column = thread // ACROSS, thread % ACROSS * UNIT
        first, last = cuda.blockIdx.x * GROUP, samples - 1
        slot = slots[FORWARD]  # both ways: the mean of the loss, which moves it on, comes later
        job = slot * JOB
        if thread < GROUP:
            facts[ROWS + thread] = index[jobs[job + FIRST_ROW] + min(first + thread, last)]
        if thread == 0:
            facts[NUMBER] = jobs[job + BLOCK] + cuda.blockIdx.x
            facts[STEP_NOW], facts[SEED_NOW] = jobs[job + STEP], jobs[job + SEED]
        if thread < HEAD:
            facts[LAUNCH + thread] = table[thread]
        word = 0  # of the table's row of the pass after this one
        if thread < PASS:
            words[thread] = table[HEAD + thread]
            word = table[HEAD + PASS + thread]
        cuda.syncthreads()
        ask(bias, params, words, 0, column)
        fetch(stage, params, words, 0, 0, thread)
        here = 0
        for p in range(facts[LAUNCH + PASSES]):
            row, following = (p & 1) * PASS, (1 - (p & 1)) * PASS
            if thread < PASS:
                words[following + thread] = word
                word = table[HEAD + (p + 2) * PASS + thread]
            terms, units = words[row + TERMS], words[row + UNITS]
            is_forward = words[row + BIAS] >= 0
            start(acc, bias, words, row)
            if not is_forward:
                remember(old, acts, words, row, part, column, first, last)
            for k in range(0, terms, DEPTH):
                if p == 0 and (k & LOCAL) == 0:
                    if k > 0:
                        cuda.syncthreads()  # all have read the features before
                    for local in range(thread, min(MOST, terms - k + DEPTH), THREADS):
                        gather(shared, acts, x, facts, k + local, terms, local, first, last)
                keep(shared, here, stage, words, row, thread)
                cuda.syncthreads()
                after, whose = k + DEPTH, row
                if after >= terms:
                    after, whose = 0, following
                    ask(bias, params, words, following, column)
                fetch(stage, params, words, whose, after, thread)
                left = ACTIVATIONS + part * PLANE + (k & LOCAL) * QUAD
                multiply(acc, shared, left, here + column)
                here = BUFFER - here
            if words[row + MORE] >= 0:
                add(acc, acts, words, row, part, column, first, last)
            if is_forward:
                if words[row + SLOPE] >= 0:
                    give(
                        acts, acc, words[row + SLOPE], words[row + OUT_STRIDE], units, part, column,
                        first, last,
                    )  # fmt: skip
                forward(acc, words, row)
            else:
                backward(acc, old, words, row)
            if words[row + LIMIT] > 0:
                mask(acc, words, row, facts, part, column)
                if is_forward:
                    scale(acc, words, row)
            if words[row + OUT] >= 0:
                give(
                    acts, acc, words[row + OUT], words[row + OUT_STRIDE], units, part, column,
                    first, last,
                )  # fmt: skip
            cuda.syncthreads()  # all have read the activations
            share(shared, acc, units, part, column)
            if p == facts[LAUNCH + LAYERS] - 1 and facts[LAUNCH + LOSS] != NO_LOSS:
                cuda.syncthreads()
                own, outputs = thread // LANES, facts[LAUNCH + OUTPUTS]
                sample = first + own
                there, own_row = sample <= last, facts[ROWS + own]
                z = ACTIVATIONS + own // QUAD * PLANE + own % QUAD
                loss_of_row(
                    facts[LAUNCH + LOSS], shared, z, z, QUAD, losses, scratch, sample, there,
                    own_row, labels, targets, sample_weight, class_weight, outputs,
                    facts[LAUNCH + WEIGHTED], facts[LAUNCH + CLASS_WEIGHTED],
                    hypers[slot * HYPERS + PARAMETER], hypers[slot * HYPERS + SCALE],
                )  # fmt: skip
                cuda.syncthreads()
                take(acc, shared, part, column)
                give(
                    acts, acc, facts[LAUNCH + TOP], facts[LAUNCH + TOP_STEP], outputs, part,
                    column, first, last,
                )  # fmt: skip

    return narrow


def narrow_forward(launch, block, program, acts, x, batch, queue, training):
    """Launch the work of `run_forward` (program.py) as one kernel. block: one of
    `passes.BLOCKS`.
    """
    table = head_of(program.table, False), passes_of(*program[:2], training, backward=False)
    unused = batch.index, acts, acts, acts  # labels, targets, weights
    launch(
        narrow_kernel(block), blocks_of(batch.samples, GROUP), acts, acts, queue.jobs, queue.slots,
        acts, batch.index, *unused, program.params, x, _on_device(*table), batch.samples,
    )  # fmt: skip


def narrow_step(launch, block, losses, program, acts, x, batch, targets, queue, loss):
    """Launch the work of `run_forward` and `run_backward` (program.py) as one kernel. block: one of
    `passes.BLOCKS`.
    """
    head = head_of(program.table, True, targets, loss)
    table = head, passes_of(*program[:2], training=True, backward=True)
    total_weight(launch, loss, int(head[OUTPUTS]), batch, targets, queue)
    *arrays, _, _ = targets
    launch(
        narrow_kernel(block), blocks_of(batch.samples, GROUP), acts, losses, queue.jobs,
        queue.slots, queue.hypers, batch.index, *arrays, program.params, x, _on_device(*table),
        batch.samples,
    )  # fmt: skip
    mean_loss(launch, losses, batch, queue)


def _on_device(head, passes):
    return device.to_device(np.concatenate((head, passes.reshape(-1))))
