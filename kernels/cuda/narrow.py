"""The narrow schedule: one launch takes a batch forward through all layers, through the loss, and
backward through all layers. Dense layers compute each sample on its own, so no block waits for
another. Outputs and dz are also stored to global memory, for the weight gradients.

    M, K, N      samples of the batch; terms of the sums and units of a pass. Forward: fan-in and
                 fan-out of the layer, backward: the reverse. N <= block.columns
    C, D, T      block.columns, block.depth, block.threads: see `passes.Block`
    launch       grid ceil(M / GROUP), blocks of T threads, shared memory static
    block        GROUP = 8 samples from `first` on; samples after `last` = M - 1 repeat it when
                 loaded and are not stored
    thread       `units_per_thread` adjacent units from `column` on, of `samples_per_thread`
                 samples: all eight, or the first or last four (`thread_row` 0 or 1)

    shared memory
    shared       two buffers of weights, float32 [D][C + PAD], term by unit; `buffer` is the offset
                 of the current one. After ACTIVATIONS: the block's activations, float32
                 [first and last four samples][MAX_UNITS][4 samples]
    scratch      float32 [T], for reductions of the loss
    descriptors  int64 [2][DESCRIPTOR], at `current` and at `following`
    uniforms     int64 [UNIFORMS]: values that are the same for all threads of the block

    registers
    acc          accumulators, float32 [samples_per_thread][units_per_thread]
    saved        the values that the activation's slope is computed from, like acc
    weights      float32 [prefetch]: the thread's share of the next buffer of weights
    bias         float32 [units_per_thread], of the pass that starts next
    element      the thread's element of the descriptor after `following`

    global memory
    acts         float32, rows [sample][unit]; a block stores only its own samples
    params, x    float32: parameters; the data set (rows, fan-in of the first layer)
    table        int64: the header, then the descriptors, see `passes.py`
    others       see `job.py` and `arguments.py`

Weights are double-buffered: while one buffer is multiplied, the next is loaded to registers, across
the boundary of a pass too. Every sum runs in the order of its index, so both schedules and the CPU
give the same bits. Products are in float32, whatever the precision of the wide schedule.
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
from .narrow_epilogue import (
    CURRENT_SEED,
    CURRENT_STEP,
    DATASET_ROWS,
    LAUNCH,
    MASK_BLOCK,
    UNIFORMS,
    copy_code,
    epilogue_code,
)
from .narrow_product import product_code, weights_code
from .passes import (
    BIAS,
    CLASS_WEIGHTED,
    DESCRIPTOR,
    HEADER,
    LAYERS,
    LOSS,
    MASK_THRESHOLD,
    NO_LOSS,
    OUT,
    OUT_STRIDE,
    OUTPUT_DZ,
    OUTPUT_DZ_STRIDE,
    OUTPUTS,
    PASSES,
    SKIP,
    SLOPE,
    TERMS,
    UNITS,
    WEIGHTED,
    descriptors_of,
    header_of,
)
from .shape import GROUP, QUAD, ceil_div
from .tile import FLOAT

INT64 = types.int64
# Units whose activations fit shared memory: a power of two, at least block.columns. More inputs
# are loaded in chunks of that size.
MAX_UNITS = 64 if SIMULATED else 256


@functools.cache
def narrow_kernel(block):
    THREADS, COLUMNS, UNITS_PER_THREAD, DEPTH, BUFFER = (
        block.threads, block.columns, block.units_per_thread, block.depth, block.buffer
    )  # fmt: skip
    ACROSS, ACCUMULATORS, PREFETCH = (
        block.threads_across, block.accumulators, block.prefetch
    )  # fmt: skip
    LANES = block.threads // GROUP  # threads of a sample in the loss
    ACTIVATIONS, PLANE = 2 * BUFFER, MAX_UNITS * QUAD  # PLANE: four samples of all units
    SHARED, DESCRIPTORS = ACTIVATIONS + 2 * PLANE, 2 * DESCRIPTOR
    CHUNK_MASK = MAX_UNITS - 1
    assert COLUMNS <= MAX_UNITS and COLUMNS % DEPTH == 0 and HEADER <= DESCRIPTOR <= THREADS
    prefetch_weights, store_weights = weights_code(block)
    prefetch_bias, init_accumulators, multiply_accumulate = product_code(block, MAX_UNITS)
    load_saved, add_skip, store_shared, load_shared, store_global, gather = copy_code(
        block, MAX_UNITS, ACTIVATIONS
    )
    apply_activation, apply_slope, apply_mask, apply_affine = epilogue_code(block)
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
        descriptors = cuda.shared.array(DESCRIPTORS, INT64)
        uniforms = cuda.shared.array(UNIFORMS, INT64)
        acc = cuda.local.array(ACCUMULATORS, FLOAT)
        saved = cuda.local.array(ACCUMULATORS, FLOAT)
        weights = cuda.local.array(PREFETCH, FLOAT)
        bias = cuda.local.array(UNITS_PER_THREAD, FLOAT)
        thread = cuda.threadIdx.x
        thread_row, column = thread // ACROSS, thread % ACROSS * UNITS_PER_THREAD
        first, last = cuda.blockIdx.x * GROUP, samples - 1
        slot = slots[FORWARD]  # backward passes too: `mean_loss`, which advances it, runs later
        job = slot * JOB
        if thread < GROUP:
            uniforms[DATASET_ROWS + thread] = index[
                jobs[job + FIRST_ROW] + min(first + thread, last)
            ]
        if thread == 0:
            uniforms[MASK_BLOCK] = jobs[job + BLOCK] + cuda.blockIdx.x
            uniforms[CURRENT_STEP], uniforms[CURRENT_SEED] = jobs[job + STEP], jobs[job + SEED]
        if thread < HEADER:
            uniforms[LAUNCH + thread] = table[thread]
        element = 0
        if thread < DESCRIPTOR:
            descriptors[thread] = table[HEADER + thread]
            element = table[HEADER + DESCRIPTOR + thread]
        cuda.syncthreads()
        prefetch_bias(bias, params, descriptors, 0, column)
        prefetch_weights(weights, params, descriptors, 0, 0, thread)
        buffer = 0
        for p in range(uniforms[LAUNCH + PASSES]):
            current, following = (p & 1) * DESCRIPTOR, (1 - (p & 1)) * DESCRIPTOR
            if thread < DESCRIPTOR:
                descriptors[following + thread] = element
                element = table[HEADER + (p + 2) * DESCRIPTOR + thread]
            terms, units = descriptors[current + TERMS], descriptors[current + UNITS]
            is_forward = descriptors[current + BIAS] >= 0
            init_accumulators(acc, bias, descriptors, current)
            if not is_forward:
                load_saved(saved, acts, descriptors, current, thread_row, column, first, last)
            for k in range(0, terms, DEPTH):
                if p == 0 and (k & CHUNK_MASK) == 0:
                    if k > 0:
                        cuda.syncthreads()  # all threads have read the previous chunk
                    for local in range(thread, min(MAX_UNITS, terms - k + DEPTH), THREADS):
                        gather(shared, acts, x, uniforms, k + local, terms, local, first, last)
                store_weights(shared, buffer, weights, descriptors, current, thread)
                cuda.syncthreads()
                next_k, next_pass = k + DEPTH, current
                if next_k >= terms:
                    next_k, next_pass = 0, following
                    prefetch_bias(bias, params, descriptors, following, column)
                prefetch_weights(weights, params, descriptors, next_pass, next_k, thread)
                left = ACTIVATIONS + thread_row * PLANE + (k & CHUNK_MASK) * QUAD
                multiply_accumulate(acc, shared, left, buffer + column)
                buffer = BUFFER - buffer
            if descriptors[current + SKIP] >= 0:
                add_skip(acc, acts, descriptors, current, thread_row, column, first, last)
            if is_forward:
                if descriptors[current + SLOPE] >= 0:
                    store_global(
                        acts, acc, descriptors[current + SLOPE], descriptors[current + OUT_STRIDE],
                        units, thread_row, column, first, last,
                    )  # fmt: skip
                apply_activation(acc, descriptors, current)
            else:
                apply_slope(acc, saved, descriptors, current)
            if descriptors[current + MASK_THRESHOLD] > 0:
                apply_mask(acc, descriptors, current, uniforms, thread_row, column)
                if is_forward:
                    apply_affine(acc, descriptors, current)
            if descriptors[current + OUT] >= 0:
                store_global(
                    acts, acc, descriptors[current + OUT], descriptors[current + OUT_STRIDE], units,
                    thread_row, column, first, last,
                )  # fmt: skip
            cuda.syncthreads()  # all threads have read the activations
            store_shared(shared, acc, units, thread_row, column)
            if p == uniforms[LAUNCH + LAYERS] - 1 and uniforms[LAUNCH + LOSS] != NO_LOSS:
                cuda.syncthreads()
                local_sample, outputs = thread // LANES, uniforms[LAUNCH + OUTPUTS]
                sample = first + local_sample
                in_bounds, row = sample <= last, uniforms[DATASET_ROWS + local_sample]
                z = ACTIVATIONS + local_sample // QUAD * PLANE + local_sample % QUAD
                loss_of_row(
                    uniforms[LAUNCH + LOSS], shared, z, z, QUAD, losses, scratch, sample, in_bounds,
                    row, labels, targets, sample_weight, class_weight, outputs,
                    uniforms[LAUNCH + WEIGHTED], uniforms[LAUNCH + CLASS_WEIGHTED],
                    hypers[slot * HYPERS + PARAMETER], hypers[slot * HYPERS + SCALE],
                )  # fmt: skip
                cuda.syncthreads()
                load_shared(acc, shared, thread_row, column)
                store_global(
                    acts, acc, uniforms[LAUNCH + OUTPUT_DZ], uniforms[LAUNCH + OUTPUT_DZ_STRIDE],
                    outputs, thread_row, column, first, last,
                )  # fmt: skip

    return narrow


def narrow_forward(launch, block, program, acts, x, batch, queue, training):
    """Launch the work of `run_forward` (program.py) as one kernel. block: one of
    `passes.BLOCKS`.
    """
    header = header_of(program.table, False)
    descriptors = descriptors_of(*program[:2], training, backward=False)
    unused = batch.index, acts, acts, acts  # labels, targets, weights
    launch(
        narrow_kernel(block), ceil_div(batch.samples, GROUP), acts, acts, queue.jobs, queue.slots,
        acts, batch.index, *unused, program.params, x, _table_on_device(header, descriptors),
        batch.samples,
    )  # fmt: skip


def narrow_step(launch, block, losses, program, acts, x, batch, targets, queue, loss):
    """Launch the work of `run_forward` and `run_backward` (program.py) as one kernel. block: one of
    `passes.BLOCKS`.
    """
    header = header_of(program.table, True, targets, loss)
    descriptors = descriptors_of(*program[:2], training=True, backward=True)
    total_weight(launch, loss, int(header[OUTPUTS]), batch, targets, queue)
    *arrays, _, _ = targets
    launch(
        narrow_kernel(block), ceil_div(batch.samples, GROUP), acts, losses, queue.jobs,
        queue.slots, queue.hypers, batch.index, *arrays, program.params, x,
        _table_on_device(header, descriptors), batch.samples,
    )  # fmt: skip
    mean_loss(launch, losses, batch, queue)


def _table_on_device(header, descriptors):
    return device.to_device(np.concatenate((header, descriptors.reshape(-1))))
