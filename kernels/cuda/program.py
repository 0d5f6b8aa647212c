"""The interpreter: turns a program into launches, a few for each row of its table, in their order.
All that changes from step to step is on the device, so the same launches can be repeated.

`run_outputs` and `run_rows` emit a launch for each layer and direction ("wide": `run_forward`,
`run_backward`), or a single one ("narrow") with thread blocks `block`, one of `passes.BLOCKS`;
None: wide. `fastsnn/engine/schedule.py` chooses; in float32 both give the same bits.

    launch           called as launch(kernel, grid, *arguments) for each launch
    row, below       rows of the table: of a layer and of the one below it
    program, batch, targets, queue    see `arguments.py`
    acts             activations and gradients, rows [sample][unit]
    state            the optimizer's arrays, each like the parameters
    precision        of the operands of products
"""

from ..program import DENSE, DROPPING, HIGHWAY, OP, V_AT
from .dense import dense_forward, dense_input_backward
from .directions import update_direction
from .elementwise import activation_backward, finish_rows
from .highway import highway_backward, highway_forward
from .layout import gather
from .loss import loss_and_gradient
from .narrow import narrow_forward, narrow_step
from .normalize import (
    normalization_backward,
    normalization_forward,
    normalization_update,
)
from .weights import weight_gradients


def run_outputs(launch, block, program, acts, x, batch, queue, training, precision="float32"):
    """Launch the work of `run_forward`, by either schedule."""
    if block is not None:
        narrow_forward(launch, block, program, acts, x, batch, queue, training)
    else:
        run_forward(launch, program, acts, x, batch, queue, training, precision)


def run_rows(
    launch, block, losses, program, acts, x, batch, targets, queue, loss, precision="float32"
):
    """Launch the work of `run_forward` in training and of `run_backward`, by either schedule; the
    narrow one multiplies in float32. losses: of each sample, output; loss: its code.
    """
    if block is not None:
        narrow_step(launch, block, losses, program, acts, x, batch, targets, queue, loss)
        return
    run_forward(launch, program, acts, x, batch, queue, True, precision)
    run_backward(launch, losses, program, acts, batch, targets, queue, loss, precision)


def run_forward(launch, program, acts, x, batch, queue, training, precision="float32"):
    """Launch all layers, forward, for a batch of rows of x. training: with dropout, and saves what
    the backward pass reads.
    """
    table, constants, params = program
    jobs, slots, samples = queue.jobs, queue.slots, batch.samples
    gather(launch, table[0], acts, x, batch.index, jobs, slots, samples)
    for row, constants_row in zip(table, constants, strict=True):
        dropping = training and row[DROPPING]
        if row[OP] == DENSE:
            dense_forward(
                launch, row, constants_row, params, acts, jobs, slots, samples, dropping, precision
            )
            continue
        if row[OP] == HIGHWAY:
            highway_forward(launch, row, acts, samples)
        else:
            normalization_forward(launch, row, constants_row, params, acts, samples, training)
        finish_rows(launch, row, constants_row, acts, jobs, slots, samples, dropping)


def run_backward(launch, losses, program, acts, batch, targets, queue, loss, precision="float32"):
    """Launch the loss and dz of all layers, after `run_forward`."""
    table, constants, params = program
    jobs, slots, samples = queue.jobs, queue.slots, batch.samples
    loss_and_gradient(launch, losses, table[-1], acts, batch, targets, queue, loss)
    for r in range(len(table) - 1, 0, -1):
        row, below = table[r], table[r - 1]
        if row[OP] == HIGHWAY:
            highway_backward(launch, row, below, acts, samples)
        elif row[OP] == DENSE:
            dense_input_backward(
                launch, row, below, constants[r - 1], params, acts, jobs, slots, samples, precision
            )
        else:
            normalization_backward(launch, row, below, constants[r], params, acts, samples)
            activation_backward(launch, below, constants[r - 1], acts, samples)


def run_weights(launch, program, tiling, state, acts, queue, update, size, samples):
    """Launch the gradients of all parameters over the batch, and their updates. The gradient of
    weights with a direction is stored for `run_directions`. tiling: the program's `Tiling`; size:
    the number of parameters.
    """
    table, constants, params = program
    slots, hypers = queue.slots, queue.hypers
    weight_gradients(launch, tiling, params, state, acts, slots, hypers, update, size, samples)
    for row, constants_row in zip(table, constants, strict=True):
        if row[OP] not in (DENSE, HIGHWAY):
            normalization_update(
                launch, row, constants_row, params, state, acts, slots, hypers, update, size,
                samples,
            )  # fmt: skip


def run_directions(launch, program, state, queue, update, size):
    """Launch the updates of lengths and directions of weight normalization, from the gradients that
    `run_weights` has stored.
    """
    for row in program.table:
        if row[V_AT] >= 0:
            update_direction(
                launch, row, program.params, state, queue.slots, queue.hypers, update, size
            )
