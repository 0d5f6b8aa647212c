"""The narrow schedule, as its kernel is told of it: a program as passes, a row of a table for each.

A pass takes eight samples through one layer, forward or backward, all of its units at once. What
the kernel needs to know of it is a line of the cache, so that networks of any depth and width run
in the same kernel.
"""

from dataclasses import dataclass

import numpy as np

from ..activations import NAMES, keeps_input
from ..program import (
    ACTIVATION,
    AFFINE_A,
    AFFINE_B,
    B_AT,
    DROP_VALUE,
    DROPPING,
    DZ_AT,
    FAN_IN,
    FAN_OUT,
    GRADIENT_AT,
    H_AT,
    H_STRIDE,
    NOWHERE,
    REMASK,
    SELU_LAMBDA,
    SELU_LAMBDA_ALPHA,
    SITE,
    SKIP_AT,
    SLOPE_AT,
    THRESHOLD,
    W_AT,
    X_AT,
    X_STRIDE,
)
from .device import SIMULATED
from .shape import GROUP, PAD

# The table's head, int64: what holds for a launch.
(
    PASSES,
    LAYERS,  # passes forward
    X_PLACE,  # in the activations: where the input's rows are kept, or NOWHERE
    X_STEP,  # from one of them to the next
    TOP,  # in the activations: dz of the outputs
    TOP_STEP,
    LOSS,  # its code, or NO_LOSS
    OUTPUTS,
    WEIGHTED,  # 1: by weights of samples
    CLASS_WEIGHTED,  # 1: by weights of classes
    HEAD,
) = range(11)
NO_LOSS = -1  # only outputs are wanted

# Columns of the rows after it, int64.
(
    TERMS,  # of each sum
    UNITS,  # sums of each sample
    WEIGHTS,  # in the parameters: forward (units, terms), backward (terms, units)
    BIAS,  # in the parameters; NOWHERE of a pass backward
    MORE,  # in the activations, with the strides of OUT: what is added to the sums, or NOWHERE
    SLOPE,  # in the activations, with the strides of OUT: what the slope of the activation is
    # computed from. Forward: where z is kept for it, or NOWHERE; backward: of the node below
    OUT,  # in the activations: where results go, or NOWHERE
    OUT_STRIDE,
    FUNCTION,  # the activation; backward that of the node below
    MASK_SITE,
    LIMIT,  # a 16-bit number below it drops; 0: no mask
    # Real numbers, by their 32 bits.
    VALUE,  # of what is dropped
    A,  # the affine map of dropout; backward 1 and 0 where there was none, which changes no bit
    B,
    LAMBDA,
    LAMBDA_ALPHA,
    PASS,
) = range(17)


@dataclass(frozen=True)
class Block:
    """Threads that take GROUP samples through layers of up to `columns` units; `depth` terms of all
    units' weights are in shared memory at a time, twice.

    A thread has `samples` of the samples, all or a half, of `unit` units side by side: the fewer
    sums a thread has, the more of them read the same, but the sooner they are through.
    """

    columns: int
    depth: int
    threads: int

    @property
    def unit(self):
        return max(1, self.columns // self.threads)

    @property
    def across(self):
        """Threads side by side."""
        return self.columns // self.unit

    @property
    def samples(self):
        return GROUP * self.across // self.threads

    @property
    def sums(self):
        return self.samples * self.unit

    @property
    def stage(self):
        """Floats of the next weights that a thread has in registers."""
        return self.columns * self.depth // self.threads

    @property
    def line(self):
        return self.columns + PAD

    @property
    def buffer(self):
        """Floats of weights in shared memory at a time."""
        return self.depth * self.line


# Each with as many weights in shared memory as there is room for, 32 floats a thread: the next ones
# are on their way from the second-level cache while these are multiplied.
ON_DEVICE = Block(64, 64, 128), Block(128, 32, 128), Block(256, 16, 128)
BLOCKS = (Block(8, 8, 16), Block(16, 16, 16), Block(64, 8, 16)) if SIMULATED else ON_DEVICE


def _forward(row, constants, dropping, backward):
    made = np.zeros(PASS, np.int64)
    columns = FAN_IN, FAN_OUT, W_AT, B_AT, SKIP_AT, H_AT, H_STRIDE
    made[[TERMS, UNITS, WEIGHTS, BIAS, MORE, OUT, OUT_STRIDE]] = row[list(columns)]
    keeps = backward and keeps_input(NAMES[row[ACTIVATION]])
    made[SLOPE] = row[SLOPE_AT] if keeps else NOWHERE
    _set_end(made, row, constants, dropping)
    return made


def _backward(row, below, constants):
    """constants: of the node below."""
    made = np.zeros(PASS, np.int64)
    columns = FAN_OUT, FAN_IN, W_AT, GRADIENT_AT
    made[[TERMS, UNITS, WEIGHTS, MORE]] = row[list(columns)]
    made[BIAS] = NOWHERE
    made[[SLOPE, OUT, OUT_STRIDE]] = below[[SLOPE_AT, DZ_AT, H_STRIDE]]
    _set_end(made, below, constants, below[REMASK])
    made[VALUE] = 0  # the gradient of what was dropped
    if not below[DROPPING]:
        made[[A, B]] = bits([1, 0])
    return made


def _set_end(made, row, constants, masked):
    """What comes after the sums."""
    made[[FUNCTION, MASK_SITE]] = row[[ACTIVATION, SITE]]
    made[LIMIT] = row[THRESHOLD] if masked else 0
    reals = DROP_VALUE, AFFINE_A, AFFINE_B, SELU_LAMBDA, SELU_LAMBDA_ALPHA
    made[[VALUE, A, B, LAMBDA, LAMBDA_ALPHA]] = bits(constants[list(reals)])


def bits(values):
    return np.asarray(values, np.float32).view(np.int32)


def keeps_all(program):
    """Whether the input and all outputs have places of their own. Where two buffers take turns only
    the last outputs may be written, because other blocks are at other layers.
    """
    places = {int(program[0, X_AT]), *map(int, program[:, H_AT])}
    return len(places) == 1 + len(program)


def head_of(program, backward, targets=None, loss=NO_LOSS):
    """targets: the `Targets` of a loss; loss: its code."""
    head, layers = np.zeros(HEAD, np.int64), len(program)
    head[[PASSES, LAYERS, LOSS]] = 2 * layers - 1 if backward else layers, layers, loss
    head[X_PLACE] = NOWHERE
    if keeps_all(program):
        head[[X_PLACE, X_STEP]] = program[0, [X_AT, X_STRIDE]]
    head[[TOP, TOP_STEP, OUTPUTS]] = program[-1, [DZ_AT, H_STRIDE, FAN_OUT]]
    if targets is not None:
        head[[WEIGHTED, CLASS_WEIGHTED]] = targets.weighted, targets.class_weighted
    return head


def passes_of(program, constants, training, backward):
    """The passes of the table, (n, PASS): forward through all nodes of a program; with `backward`
    also back to the first one. Two more follow, which are read ahead but never run. training: with
    dropout.
    """
    count = len(program)
    table = [_forward(program[r], constants[r], training, backward) for r in range(count)]
    if not keeps_all(program):
        for row in table[:-1]:
            row[OUT] = NOWHERE
    if backward:
        below = range(count - 2, -1, -1)
        table += [_backward(program[r + 1], program[r], constants[r]) for r in below]
    return np.array(table + table[:1] * 2)
