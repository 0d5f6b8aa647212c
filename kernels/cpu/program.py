"""The interpreter: runs a program (a table with a row per fused layer) over a slice of the batch or
of the weights.

A step is two regions. *Rows*: a slice of panels goes through all layers forward, the loss, and all
layers backward; each layer's output panel becomes its dz in place. *Weights*: a slice of the weight
tiles; each tile's gradient is summed over the whole batch and handed to the optimizer while it is
in the first-level cache.
"""

import numpy as np

from fastsnn.kernels import jit
from fastsnn.kernels.cpu.dense import dense_forward, dense_input_backward
from fastsnn.kernels.cpu.dropout import mask_bits
from fastsnn.kernels.cpu.layout import gather_block, transpose_block
from fastsnn.kernels.cpu.loss import loss_and_gradient
from fastsnn.kernels.cpu.optimizer import update_tile
from fastsnn.kernels.cpu.shape import PANEL, ROWS
from fastsnn.kernels.cpu.tile import weight_gradient_tile
from fastsnn.kernels.jit import DOUBLES, FLOAT, FLOATS, INT, INTS, MATRIX, TABLE, WORDS
from fastsnn.kernels.philox import SAMPLES_PER_BLOCK
from fastsnn.kernels.program import (
    ACTIVATION,
    AFFINE_A,
    AFFINE_B,
    B_AT,
    DROP_VALUE,
    DROPPING,
    FAN_IN,
    FAN_OUT,
    H_AT,
    H_STRIDE,
    REMASK,
    SITE,
    T_AT,
    T_STRIDE,
    THRESHOLD,
    W_AT,
    X_AT,
    X_STRIDE,
)  # fmt: skip

# Parts of the signatures of the entries below.
PROGRAM = TABLE, MATRIX, FLOATS  # program, constants, params
BUFFERS = FLOATS, WORDS, FLOATS  # acts, bits, work
BATCH = INTS, INTS, MATRIX, FLOATS, FLOATS  # index, labels, targets, sample and class weights

BLOCK = PANEL * PANEL
TILE = ROWS * PANEL
EIGHT = 8  # the narrowest panel
WORK_HEAD = BLOCK + TILE + 2 * PANEL  # floats of a thread's work space before the strip


@jit.helper
def load_panels(
    program, acts, work, x, index, first_row, samples, first_panel, last_panel, training
):
    """The rows of the slice as panels; in training also in blocks [sample][feature], for the weight
    gradient.
    """
    fan_in, x_at, x_stride = program[0, FAN_IN], program[0, X_AT], program[0, X_STRIDE]
    for p in range(first_panel, last_panel):
        first = p * PANEL
        for k in range(0, fan_in, PANEL):
            target = x_at + p * x_stride + k * PANEL
            if training:
                block = program[0, T_AT] + (k // PANEL) * program[0, T_STRIDE] + p * BLOCK
                gather_block(acts, block, x, index, first_row + first, samples - first, k)
                transpose_block(acts, target, acts, block)
            else:
                gather_block(work, 0, x, index, first_row + first, samples - first, k)
                transpose_block(acts, target, work, 0)


@jit.helper
def make_masks(program, row, bits, first_panel, last_panel, first_sample, step, seed):
    for p in range(first_panel, last_panel):
        block = (first_sample + p * PANEL) // SAMPLES_PER_BLOCK
        mask_bits(
            bits, p * bits.shape[1], program[row, FAN_OUT], block, program[row, SITE], step, seed,
            program[row, THRESHOLD],
        )  # fmt: skip


@jit.helper
def forward_layers(
    program, constants, params, acts, bits, first_panel, last_panel, first_sample, step, seed,
    training,
):  # fmt: skip
    n_rows = program.shape[0]
    for r in range(n_rows):
        row = program[r]
        dropping = training and row[DROPPING]
        if dropping:
            make_masks(program, r, bits, first_panel, last_panel, first_sample, step, seed)
        dense_forward(
            acts, row[H_AT] + first_panel * row[H_STRIDE], row[H_STRIDE],
            acts, row[X_AT] + first_panel * row[X_STRIDE], row[X_STRIDE],
            params, row[W_AT], row[B_AT], row[FAN_IN], row[FAN_OUT], last_panel - first_panel,
            row[ACTIVATION], dropping, bits[first_panel:], constants[r, DROP_VALUE],
            constants[r, AFFINE_A], constants[r, AFFINE_B],
        )  # fmt: skip
        if training and r + 1 < n_rows:
            above = program[r + 1]
            for k in range(0, row[FAN_OUT], PANEL):
                for p in range(first_panel, last_panel):
                    block = above[T_AT] + (k // PANEL) * above[T_STRIDE] + p * BLOCK
                    transpose_block(acts, block, acts, row[H_AT] + p * row[H_STRIDE] + k * PANEL)


@jit.helper
def backward_layers(
    program, constants, params, acts, bits, work, first_panel, last_panel, first_sample, step, seed
):  # fmt: skip
    tile, strip = work[BLOCK : BLOCK + TILE], work[WORK_HEAD:]
    for r in range(program.shape[0] - 1, 0, -1):
        row, below = program[r], program[r - 1]
        dropping, remask = below[DROPPING], below[REMASK]
        if dropping and remask:
            make_masks(program, r - 1, bits, first_panel, last_panel, first_sample, step, seed)
        dense_input_backward(
            acts, row[X_AT] + first_panel * row[X_STRIDE], row[X_STRIDE],
            acts, row[H_AT] + first_panel * row[H_STRIDE], row[H_STRIDE],
            params, row[W_AT], row[FAN_IN], row[FAN_OUT], last_panel - first_panel,
            below[ACTIVATION], dropping, remask, bits[first_panel:],
            constants[r - 1, AFFINE_A], constants[r - 1, AFFINE_B], strip, tile,
        )  # fmt: skip


@jit.entry("void", *PROGRAM, *BUFFERS, MATRIX, INTS, *[INT] * 8)
def run_forward(
    program, constants, params, acts, bits, work, x, index, first_row, samples, first_panel,
    last_panel, first_sample, step, seed, training,
):  # fmt: skip
    """All layers forward for panels [first_panel, last_panel) of a batch of `samples` rows of x.

    The batch is x[index[first_row]], x[index[first_row + 1]], ...; with an empty index
    x[first_row], ... Its first row counts as sample `first_sample` of the dropout masks (a multiple
    of 8). `training`: with dropout, and the transposed activations that the weight gradient reads
    are kept.
    """
    load_panels(
        program, acts, work, x, index, first_row, samples, first_panel, last_panel, training
    )
    forward_layers(
        program, constants, params, acts, bits, first_panel, last_panel, first_sample, step, seed,
        training,
    )  # fmt: skip


@jit.entry("void", DOUBLES, *PROGRAM, *BUFFERS, *BATCH, *[INT] * 8, FLOAT)
def run_backward(
    losses, program, constants, params, acts, bits, work, index, labels, targets, sample_weight,
    class_weight, first_row, samples, first_panel, last_panel, first_sample, step, seed, loss,
    scale,
):  # fmt: skip
    """Loss and input gradients for panels [first_panel, last_panel), after `run_forward`.

    losses[s]: the weighted loss of sample s; `scale`: 1 / the sum of the weights of the batch.
    """
    top = program[program.shape[0] - 1]
    scratch = work[BLOCK + TILE : WORK_HEAD]
    for p in range(first_panel, last_panel):
        count = min(PANEL, samples - p * PANEL)
        loss_and_gradient(
            losses, p * PANEL, loss, acts, top[H_AT] + p * top[H_STRIDE], top[FAN_OUT], scratch,
            first_row + p * PANEL, count, index, labels, targets, sample_weight, class_weight,
            scale,
        )  # fmt: skip
    backward_layers(
        program, constants, params, acts, bits, work, first_panel, last_panel, first_sample, step,
        seed,
    )  # fmt: skip


@jit.helper
def bias_gradient(gradient, dz, dz_at, dz_stride, panels, rows, sums):
    """gradient[i] = sum_p sum_s dz[p, i, s], in eight partial sums whatever the width of a panel"""
    for i in range(rows):
        sums[:EIGHT] = np.float32(0)
        for p in range(panels):
            at = dz_at + p * dz_stride + i * PANEL
            for s in range(0, PANEL, EIGHT):
                for j in range(EIGHT):
                    sums[j] += dz[at + s + j]
        total = np.float32(0)
        for j in range(EIGHT):
            total += sums[j]
        gradient[i] = total


@jit.helper
def tiles_of(row):
    return ((row[FAN_OUT] + ROWS - 1) // ROWS) * ((row[FAN_IN] + PANEL - 1) // PANEL)


@jit.helper
def count_tiles(program):
    total = 0
    for r in range(program.shape[0]):
        total += tiles_of(program[r])
    return total


@jit.entry("void", *PROGRAM, MATRIX, FLOATS, FLOATS, FLOATS, *[INT] * 4)
def run_weights(program, constants, params, state, acts, work, hyper, update, panels, part, parts):
    """Region 2 for the tiles of one of `parts` equal parts: weight gradients over the whole batch,
    and the update.
    """
    tile, sums = work[BLOCK : BLOCK + TILE], work[BLOCK + TILE : WORK_HEAD]
    total = count_tiles(program)
    first, last = part * total // parts, (part + 1) * total // parts
    start = 0
    for r in range(program.shape[0]):
        row = program[r]
        fan_in, fan_out = row[FAN_IN], row[FAN_OUT]
        strips = (fan_out + ROWS - 1) // ROWS
        end = start + tiles_of(row)
        for t in range(max(first, start) - start, min(last, end) - start):
            k, n = (t // strips) * PANEL, (t % strips) * ROWS
            valid = min(ROWS, fan_out - n)
            dz_at = row[H_AT] + n * PANEL
            weight_gradient_tile(
                tile, acts, dz_at, row[H_STRIDE], acts, row[T_AT] + (k // PANEL) * row[T_STRIDE],
                panels, valid,
            )  # fmt: skip
            w_at = row[W_AT] + n * fan_in + k
            update_tile(
                update, params, state, w_at, fan_in, tile, valid, min(PANEL, fan_in - k), hyper
            )
            if k == 0:
                bias_gradient(tile, acts, dz_at, row[H_STRIDE], panels, valid, sums)
                update_tile(update, params, state, row[B_AT] + n, 0, tile, 1, valid, hyper)
        start = end
