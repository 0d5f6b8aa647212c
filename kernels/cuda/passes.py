"""The table of the narrow schedule, int64: a head with the constants of a launch, then one row for
each pass. The host writes it once; the kernel copies the head and two rows at a time into shared
memory. So one kernel runs networks of any depth and width.

A pass takes eight samples through all units of one layer, forward or backward. Offsets and strides
count floats; rows of the activations are [sample][unit].
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

# The head: constants of a launch.
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

# Columns of the rows after it: a cache line.
(
    TERMS,  # of each sum
    UNITS,  # sums of each sample
    WEIGHTS,  # in the parameters: forward (units, terms), backward (terms, units)
    BIAS,  # in the parameters; NOWHERE of a pass backward
    MORE,  # in the activations, with the strides of OUT: added to the sums, or NOWHERE
    SLOPE,  # in the activations, with the strides of OUT: the array that the activation's slope is
    # computed from. Forward: z is written there, unless NOWHERE; backward: of the node below
    OUT,  # in the activations: where results go, or NOWHERE
    OUT_STRIDE,
    FUNCTION,  # the activation; backward that of the node below
    MASK_SITE,
    LIMIT,  # a 16-bit number below it drops; 0: no mask
    # The 32 bits of float32 numbers.
    VALUE,  # of dropped units
    A,  # the affine map of dropout; backward 1 and 0 where there was none, which changes no bit
    B,
    LAMBDA,
    LAMBDA_ALPHA,
    PASS,
) = range(17)


@dataclass(frozen=True)
class Block:
    """A block of threads that takes GROUP samples through layers of up to `columns` units. Shared
    memory holds two buffers of weights, `depth` terms of all units each.

    A thread owns `unit` adjacent units of `samples` samples, all eight or four. Fewer accumulators
    per thread shorten latency but reload operands more often.
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


# Buffers fill shared memory, 32 floats a thread: the next one is loaded from the second-level cache
# while this one is multiplied.
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
    """The epilogue: activation, mask and affine map."""
    made[[FUNCTION, MASK_SITE]] = row[[ACTIVATION, SITE]]
    made[LIMIT] = row[THRESHOLD] if masked else 0
    reals = DROP_VALUE, AFFINE_A, AFFINE_B, SELU_LAMBDA, SELU_LAMBDA_ALPHA
    made[[VALUE, A, B, LAMBDA, LAMBDA_ALPHA]] = bits(constants[list(reals)])


def bits(values):
    return np.asarray(values, np.float32).view(np.int32)


def keeps_all(program):
    """Return True if the input and all outputs have their own places. If two buffers alternate,
    only the last outputs may be written, because other blocks are at other layers.
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
