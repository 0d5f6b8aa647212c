"""The interpreter: runs one thread's part of a program (a table with one row per node).

A step has two regions. *Rows*: panels of samples pass through all layers forward, the loss, and all
layers backward; each layer's dz overwrites its output. *Weights*: the gradient of each tile of the
weights is summed over the whole batch, and the optimizer applies it while the tile is in the L1
cache.

    r                row of the table, one per layer; `row`, `below`: the layer and the one below
    p, q             panels [p, q), PANEL samples each
    n, m  (k, m)     units [n, m) of a layer's outputs (backward: of its inputs)
    acts             panels [panel][unit][PANEL], and inputs of dense layers once more in blocks
                     [block of PANEL units][sample][unit of the block] at T_AT. Shared by all
                     threads; a part writes only its own panels and units
    bits             dropout masks [panel][unit], one uint32 per unit, one bit per sample; shared in
                     the same way
    params, state    flat; weights (fan_out, fan_in); a part of region 2 writes only its own tiles
    work             one thread's work space, in floats: staging block (PANEL * PANEL), tile (TILE),
                     scratch (2 * PANEL), overflow marks (PANEL); from WORK_HEAD on the tiles and
                     packed strips of `dense.py`
    part, parts      index of this thread's part, number of parts
"""

from .. import jit
from ..jit import DOUBLES, FLOATS, INT, MATRIX, VOID
from ..philox import SAMPLES_PER_BLOCK
from ..program import (
    B_AT,
    BATCH_NORM,
    DENSE,
    DROPPING,
    FAN_IN,
    FAN_OUT,
    H_AT,
    H_STRIDE,
    HIGHWAY,
    OP,
    REMASK,
    SITE,
    SKIP_AT,
    T_AT,
    T_STRIDE,
    THRESHOLD,
    V_AT,
    W_AT,
    X_AT,
    X_STRIDE,
)
from ..updates import STORE
from .activation import activate
from .arguments import BATCH, BUFFERS, LOSS, MASKS, PART, PROGRAM, TARGETS, Batch
from .dense import add_rows, dense_forward, dense_input_backward
from .directions import update_direction
from .dropout import mask_bits
from .highway import highway_backward, highway_forward
from .layout import gather_block, transpose_block
from .loss import loss_and_gradient
from .normalize import (
    normalization_backward,
    normalization_forward,
    normalization_update,
)
from .optimizer import update_tile
from .shape import CHUNK, LANES, PANEL, ROWS, TILE
from .tile import bias_gradient, weight_gradient_tile

BLOCK = PANEL * PANEL
SCRATCH_AT = BLOCK + TILE
OVERFLOW_AT = SCRATCH_AT + 2 * PANEL
WORK_HEAD = OVERFLOW_AT + PANEL  # offset of the tiles and strips in a thread's work space


@jit.helper
def share(panels, units, split, part, parts):
    """Return (first cell, end, cells per panel) of one of `parts` equal parts of a layer. A cell is
    CHUNK units of one panel, numbered panel by panel; without `split`, parts are whole panels.
    """
    chunks = (units + CHUNK - 1) // CHUNK
    if split:
        cells = panels * chunks
        return part * cells // parts, (part + 1) * cells // parts, chunks
    return part * panels // parts * chunks, (part + 1) * panels // parts * chunks, chunks


@jit.helper
def rectangle(cell, last, chunks, units):
    """Return (first panel, end, first unit, end, next cell) of the next rectangle of the cells
    [cell, last): some units of one panel, or all units of several panels.
    """
    panel, chunk = cell // chunks, cell % chunks
    whole = (last - cell) // chunks
    if chunk == 0 and whole > 0:
        return panel, panel + whole, 0, units, cell + whole * chunks
    end = min(chunk + last - cell, chunks)
    return panel, panel + 1, chunk * CHUNK, min(end * CHUNK, units), cell + end - chunk


@jit.helper
def couples_rows(row):
    """Return True if in training a sample's outputs depend on other samples. A part of such a node
    is a range of units over the whole batch.
    """
    return row[OP] == BATCH_NORM


@jit.helper
def share_node(row, units, panels, split, part, parts, training):
    """Return `share` of a node: a range of units if it couples rows, whole panels if it couples
    units.
    """
    if training and couples_rows(row):
        return share(1, units, 1, part, parts)
    return share(panels, units, split and row[OP] == DENSE, part, parts)


@jit.helper
def load_features(row, buffers, x, batch, first_panel, last_panel, first, last, training):
    """Load features [first, last) of the rows of x into panels; in training also into the blocks
    [sample][feature] that the weight gradient reads.
    """
    acts, _, work = buffers
    index, first_row, samples = batch
    for p in range(first_panel, last_panel):
        sample = p * PANEL
        for k in range(first, last, PANEL):
            target = row[X_AT] + p * row[X_STRIDE] + k * PANEL
            if training:
                block = row[T_AT] + (k // PANEL) * row[T_STRIDE] + p * BLOCK
                gather_block(acts, block, x, index, first_row + sample, samples - sample, k)
                transpose_block(acts, target, acts, block)
            else:
                gather_block(work, 0, x, index, first_row + sample, samples - sample, k)
                transpose_block(acts, target, work, 0)


@jit.helper
def make_masks(row, bits, first_panel, last_panel, first, last, masks):
    first_sample, step, seed = masks
    for p in range(first_panel, last_panel):
        block = (first_sample + p * PANEL) // SAMPLES_PER_BLOCK
        mask_bits(
            bits, p * bits.shape[1] + first, first, last - first, block, row[SITE], step, seed,
            row[THRESHOLD],
        )  # fmt: skip


@jit.helper
def store_transposed(row, above, acts, first_panel, last_panel, first, last):
    """Copy the outputs of a layer to T_AT as [block of features][sample][feature]."""
    for k in range(first, last, PANEL):
        for p in range(first_panel, last_panel):
            block = above[T_AT] + (k // PANEL) * above[T_STRIDE] + p * BLOCK
            transpose_block(acts, block, acts, row[H_AT] + p * row[H_STRIDE] + k * PANEL)


@jit.entry(VOID, PROGRAM, BUFFERS, MATRIX, BATCH, PART, MASKS, INT)
def run_forward(program, buffers, x, batch, part, masks, training):
    """Run one part of the forward pass over rows of x: stage 0 loads them, stage r + 1 is layer r.

    training: apply dropout, and store the transposed activations that the weight gradient reads.
    """
    table, constants, params = program
    acts, bits, work = buffers
    samples = batch.samples
    first_stage, last_stage, split, this, parts = part
    layers = table.shape[0]
    panels = (samples + PANEL - 1) // PANEL
    wide_panels = panels
    if not training and samples - (panels - 1) * PANEL <= LANES:
        wide_panels -= 1
    for stage in range(first_stage, last_stage):
        r = max(stage - 1, 0)
        row = table[r]
        units = row[FAN_OUT] if stage else row[FAN_IN]
        coupled = training and couples_rows(row)
        cell, last, chunks = share_node(row, units, panels, split, this, parts, training)
        dropping = training and row[DROPPING]
        while cell < last:
            p, q, n, m, cell = rectangle(cell, last, chunks, units)
            if stage == 0:
                load_features(row, buffers, x, batch, p, q, n, m, training)
                continue
            if coupled:
                p, q = 0, panels
            if dropping:
                make_masks(row, bits, p, q, n, m, masks)
            if row[OP] == DENSE:
                dense_forward(
                    row, constants[r], params, acts, bits, p, q, wide_panels, n, m, dropping
                )
            else:
                if row[OP] == HIGHWAY:
                    highway_forward(row, acts, p, q)
                else:
                    scratch = work[SCRATCH_AT:OVERFLOW_AT]
                    normalization_forward(
                        row, constants[r], params, acts, scratch, p, q, n, m, samples, training
                    )
                finish_rows(row, constants[r], acts, bits, p, q, n, m, dropping)
            if training and stage < layers and table[stage, OP] == DENSE:
                store_transposed(row, table[stage], acts, p, q, n, m)


@jit.helper
def finish_rows(row, constants, acts, bits, first_panel, last_panel, first, last, dropping):
    """Add the skip, then apply activation and dropout, after a normalization or highway layer."""
    for p in range(first_panel, last_panel):
        h_at = row[H_AT] + p * row[H_STRIDE] + first * PANEL
        if row[SKIP_AT] >= 0 and row[OP] != HIGHWAY:
            skip_at = row[SKIP_AT] + p * row[H_STRIDE] + first * PANEL
            add_rows(acts, h_at, acts, skip_at, last - first)
        bits_at = p * bits.shape[1] + first
        activate(acts, h_at, last - first, row, constants, bits, bits_at, dropping)


@jit.entry(VOID, DOUBLES, PROGRAM, BUFFERS, BATCH, TARGETS, PART, MASKS, LOSS)
def run_backward(losses, program, buffers, batch, targets, part, masks, loss):
    """Run one part of the backward pass, after `run_forward`: stage 0 is the loss, stage s the
    input gradient of layer s from the top. losses[s]: weighted loss of sample s of the batch.
    """
    table, constants, params = program
    acts, bits, work = buffers
    index, first_row, samples = batch
    first_stage, last_stage, split, this, parts = part
    layers = table.shape[0]
    panels = (samples + PANEL - 1) // PANEL
    tile, scratch = work[BLOCK : BLOCK + TILE], work[SCRATCH_AT:OVERFLOW_AT]
    top = table[layers - 1]
    for stage in range(first_stage, last_stage):
        r = layers - max(stage, 1)
        row = table[r]
        units = row[FAN_IN] if stage else CHUNK  # a loss reads all outputs of a sample
        cell, last, chunks = share_node(row, units, panels, split, this, parts, stage > 0)
        while cell < last:
            p, q, k, m, cell = rectangle(cell, last, chunks, units)
            if stage == 0:
                for panel in range(p, q):
                    first = panel * PANEL
                    here = Batch(index, first_row + first, min(PANEL, samples - first))
                    loss_and_gradient(
                        losses, first, acts, top[H_AT] + panel * top[H_STRIDE], top[FAN_OUT],
                        scratch, here, targets, loss,
                    )  # fmt: skip
                continue
            below = table[r - 1]
            if row[OP] == HIGHWAY:
                highway_backward(row, acts, p, q)
                continue
            if below[DROPPING] and below[REMASK]:
                make_masks(below, bits, p, q, k, m, masks)
            if row[OP] == DENSE:
                dense_input_backward(
                    row, below, constants[r - 1], params, acts, bits, work[WORK_HEAD:], p, q, k, m
                )
                continue
            if couples_rows(row):
                p, q = 0, panels
            normalization_backward(
                row, below, constants[r], constants[r - 1], params, acts, bits, tile, scratch, p, q,
                k, m, samples,
            )  # fmt: skip


@jit.helper
def overflows(work):
    """Return True if region 2 or 3 skipped an update that would have overflowed float32."""
    marks = work[OVERFLOW_AT:WORK_HEAD]
    for i in range(PANEL):
        if marks[i] != 0:  # a mark is a NaN
            return True
    return False


@jit.helper
def tiles_of(row):
    if row[OP] == HIGHWAY:
        return 0
    if row[OP] != DENSE:
        return (row[FAN_OUT] + ROWS - 1) // ROWS
    return ((row[FAN_OUT] + ROWS - 1) // ROWS) * ((row[FAN_IN] + PANEL - 1) // PANEL)


@jit.helper
def count_tiles(table):
    total = 0
    for r in range(table.shape[0]):
        total += tiles_of(table[r])
    return total


@jit.entry(VOID, PROGRAM, MATRIX, BUFFERS, FLOATS, *[INT] * 4)
def run_weights(program, state, buffers, hyper, update, samples, part, parts):
    """Run region 2 for one of `parts` equal parts of the tiles: sum the weight gradients over the
    whole batch and apply the update. With weight normalization, the gradient is stored for
    `run_directions` instead. Updates that would overflow float32 are skipped and marked in `work`,
    see `overflows`.
    """
    table, constants, params = program
    acts, _, work = buffers
    tile, overflow = work[BLOCK : BLOCK + TILE], work[OVERFLOW_AT:WORK_HEAD]
    overflow[:] = 0
    panels = (samples + PANEL - 1) // PANEL
    total = count_tiles(table)
    first, last = part * total // parts, (part + 1) * total // parts
    start = 0
    for r in range(table.shape[0]):
        row = table[r]
        fan_in, fan_out = row[FAN_IN], row[FAN_OUT]
        strips = (fan_out + ROWS - 1) // ROWS
        end = start + tiles_of(row)
        update_w = update if row[V_AT] < 0 else STORE
        for t in range(max(first, start) - start, min(last, end) - start):
            if row[OP] != DENSE:
                n = t * ROWS
                normalization_update(
                    row, constants[r], params, state, acts, tile, n, min(ROWS, fan_out - n), hyper,
                    update, samples, overflow,
                )  # fmt: skip
                continue
            k, n = (t // strips) * PANEL, (t % strips) * ROWS
            valid = min(ROWS, fan_out - n)
            dz_at = row[H_AT] + n * PANEL
            w_at = row[W_AT] + n * fan_in + k
            weight_gradient_tile(
                tile, acts, dz_at, row[H_STRIDE], acts, row[T_AT] + (k // PANEL) * row[T_STRIDE],
                samples, valid, params, w_at, fan_in, state, state.shape[0], state.shape[1],
            )  # fmt: skip
            update_tile(
                update_w, params, state, w_at, fan_in, tile, valid, min(PANEL, fan_in - k), hyper,
                overflow,
            )  # fmt: skip
            if k == 0:
                bias_gradient(tile, acts, dz_at, row[H_STRIDE], panels, valid)
                update_tile(
                    update, params, state, row[B_AT] + n, 0, tile, 1, valid, hyper, overflow
                )
        start = end


@jit.entry(VOID, PROGRAM, MATRIX, BUFFERS, FLOATS, *[INT] * 3)
def run_directions(program, state, buffers, hyper, update, part, parts):
    """Run region 3, for networks with weight normalization: update lengths and directions with the
    gradients that region 2 has stored.
    """
    table, _, params = program
    work = buffers.work
    tile, scratch = work[BLOCK : BLOCK + TILE], work[SCRATCH_AT:OVERFLOW_AT]
    overflow = work[OVERFLOW_AT:WORK_HEAD]
    for r in range(table.shape[0]):
        row = table[r]
        if row[V_AT] < 0:
            continue
        units = row[FAN_OUT]
        for n in range(part * units // parts, (part + 1) * units // parts):
            update_direction(row, params, state, tile, scratch, hyper, update, n, overflow)
