"""The interpreter: a program becomes launches, a few for each of its rows, in the order in which
they run. What they work on and what changes from step to step lies on the device, so that the same
launches are a step as often as they are repeated.

`run_outputs` and `run_rows` make a launch for each layer and direction ("wide": `run_forward`,
`run_backward`), or one for all of them ("narrow") with the threads of `block`, one of
`passes.BLOCKS`; None: wide. `fastsnn/engine/schedule.py` chooses; no bit depends on it in float32.

`launch(kernel, grid, *arguments)` is called for each. `program` and `constants` lie on the host.
`precision`: of the operands of products.
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


def run_outputs(
    launch, block, program, constants, params, acts, x, index, jobs, slots, samples, training,
    precision="float32",
):  # fmt: skip
    """`run_forward`, or one launch that does the same."""
    given = program, constants, params, acts, x, index, jobs, slots, samples, training
    if block is not None:
        narrow_forward(launch, block, *given)
    else:
        run_forward(launch, *given, precision)


def run_rows(
    launch, block, losses, step_losses, program, constants, params, acts, x, index, labels,
    targets, sample_weight, class_weight, jobs, slots, hypers, samples, loss, weighted,
    class_weighted, scaled, precision="float32",
):  # fmt: skip
    """All of a step that comes before the weights: `run_forward` in training and `run_backward`, or
    one launch that does the same, in float32.
    """
    batch = labels, targets, sample_weight, class_weight
    flags = samples, loss, weighted, class_weighted, scaled
    if block is not None:
        narrow_step(
            launch, block, losses, step_losses, program, constants, params, acts, x, index, *batch,
            jobs, slots, hypers, *flags,
        )  # fmt: skip
        return
    run_forward(
        launch, program, constants, params, acts, x, index, jobs, slots, samples, True, precision
    )
    run_backward(
        launch, losses, step_losses, program, constants, params, acts, index, *batch, jobs, slots,
        hypers, *flags, precision,
    )  # fmt: skip


def run_forward(
    launch, program, constants, params, acts, x, index, jobs, slots, samples, training,
    precision="float32",
):  # fmt: skip
    """All layers for a batch of `samples` rows of x. training: with dropout, and what the backward
    pass needs is kept.
    """
    gather(launch, program[0], acts, x, index, jobs, slots, samples)
    for row, constants_row in zip(program, constants, strict=True):
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


def run_backward(
    launch, losses, step_losses, program, constants, params, acts, index, labels, targets,
    sample_weight, class_weight, jobs, slots, hypers, samples, loss, weighted, class_weighted,
    scaled, precision="float32",
):  # fmt: skip
    """After `run_forward`: the loss, and dz of all layers."""
    loss_and_gradient(
        launch, losses, step_losses, loss, program[-1], acts, jobs, slots, hypers, samples, index,
        labels, targets, sample_weight, class_weight, weighted, class_weighted, scaled,
    )  # fmt: skip
    for r in range(len(program) - 1, 0, -1):
        row, below = program[r], program[r - 1]
        if row[OP] == HIGHWAY:
            highway_backward(launch, row, below, acts, samples)
        elif row[OP] == DENSE:
            dense_input_backward(
                launch, row, below, constants[r - 1], params, acts, jobs, slots, samples, precision
            )
        else:
            normalization_backward(launch, row, below, constants[r], params, acts, samples)
            activation_backward(launch, below, constants[r - 1], acts, samples)


def run_weights(
    launch, program, constants, tiling, params, state, acts, hypers, slots, update, size, samples
):
    """Gradients of all parameters over the batch, and their update. Of weights with a direction the
    gradient is stored, for `run_directions`. tiling: a `Tiling` of the program.
    """
    weight_gradients(launch, tiling, params, state, acts, slots, hypers, update, size, samples)
    for row, constants_row in zip(program, constants, strict=True):
        if row[OP] not in (DENSE, HIGHWAY):
            normalization_update(
                launch, row, constants_row, params, state, acts, slots, hypers, update, size,
                samples,
            )  # fmt: skip


def run_directions(launch, program, params, state, hypers, slots, update, size):
    """For networks with weight normalization: their lengths and directions, from the gradients that
    `run_weights` has stored.
    """
    for row in program:
        if row[V_AT] >= 0:
            update_direction(launch, row, params, state, slots, hypers, update, size)
