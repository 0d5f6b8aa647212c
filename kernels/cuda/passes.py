"""The table of the narrow schedule, int64: a header with the constants of a launch, then one
descriptor for each pass. The host writes it once. The kernel copies the header and two descriptors
at a time to shared memory, so one kernel runs networks of any depth and width.

A pass takes eight samples through all units of one layer, forward or backward.

    table    [HEADER + (passes + 2) * DESCRIPTOR] int64, see `narrow.py`; the last two descriptors
             are prefetched and never run
    offsets  floats, into the activations (rows [sample][unit]) or into the parameters
    strides  floats from one sample to the next
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

# The header: constants of a launch.
(
    PASSES,
    LAYERS,  # forward passes
    INPUT,  # offset of the stored input in the activations, or NOWHERE
    INPUT_STRIDE,
    OUTPUT_DZ,  # offset of dz of the outputs in the activations
    OUTPUT_DZ_STRIDE,
    LOSS,  # its code, or NO_LOSS
    OUTPUTS,
    WEIGHTED,  # 1 if samples have weights
    CLASS_WEIGHTED,  # 1 if classes have weights
    HEADER,
) = range(11)
NO_LOSS = -1  # prediction: outputs only

# Elements of a descriptor, which is a cache line long.
(
    TERMS,  # of each sum: K
    UNITS,  # N
    WEIGHTS,  # offset in the parameters: forward (N, K), backward (K, N)
    BIAS,  # offset in the parameters; NOWHERE in a backward pass
    SKIP,  # offset in the activations of what is added to the sums, or NOWHERE; stride OUT_STRIDE
    SLOPE,  # offset in the activations of the values that the activation's slope is computed from;
    # stride OUT_STRIDE. Forward: z is stored there, unless NOWHERE. Backward: of the node below
    OUT,  # offset of the results in the activations, or NOWHERE
    OUT_STRIDE,
    ACTIVATION_CODE,  # backward: of the node below
    MASK_SITE,
    MASK_THRESHOLD,  # a unit is dropped if its 16-bit number is smaller; 0: no mask
    # The bits of float32 numbers.
    DROPPED,  # value of a dropped unit
    AFFINE_SCALE,  # affine map of dropout; backward 1 and 0 without dropout, which changes no bit
    AFFINE_SHIFT,
    LAMBDA,
    LAMBDA_ALPHA,
    DESCRIPTOR,
) = range(17)


@dataclass(frozen=True)
class Block:
    """Shape of a thread block that takes GROUP samples through layers of up to `columns` units.

    Shared memory holds two buffers of weights, `depth` terms of all units each. A thread owns
    `units_per_thread` adjacent units of `samples_per_thread` samples, all eight or four. Fewer
    accumulators per thread shorten latency but reload operands more often.
    """

    columns: int
    depth: int
    threads: int

    @property
    def units_per_thread(self):
        return max(1, self.columns // self.threads)

    @property
    def threads_across(self):
        """Threads that share a sample."""
        return self.columns // self.units_per_thread

    @property
    def samples_per_thread(self):
        return GROUP * self.threads_across // self.threads

    @property
    def accumulators(self):
        return self.samples_per_thread * self.units_per_thread

    @property
    def prefetch(self):
        """Floats of the next buffer of weights that a thread holds in registers."""
        return self.columns * self.depth // self.threads

    @property
    def stride(self):
        """Floats from one term of a buffer of weights to the next."""
        return self.columns + PAD

    @property
    def buffer(self):
        """Floats of a buffer of weights."""
        return self.depth * self.stride


# Two buffers of 32 floats per thread fill shared memory. The next one is loaded from the
# second-level cache while this one is multiplied.
ON_DEVICE = Block(64, 64, 128), Block(128, 32, 128), Block(256, 16, 128)
BLOCKS = (Block(8, 8, 16), Block(16, 16, 16), Block(64, 8, 16)) if SIMULATED else ON_DEVICE


def _forward(row, constants, dropping, backward):
    """Return the descriptor of a forward pass. backward: True if backward passes follow."""
    descriptor = np.zeros(DESCRIPTOR, np.int64)
    columns = FAN_IN, FAN_OUT, W_AT, B_AT, SKIP_AT, H_AT, H_STRIDE
    descriptor[[TERMS, UNITS, WEIGHTS, BIAS, SKIP, OUT, OUT_STRIDE]] = row[list(columns)]
    stores_z = backward and keeps_input(NAMES[row[ACTIVATION]])
    descriptor[SLOPE] = row[SLOPE_AT] if stores_z else NOWHERE
    _set_epilogue(descriptor, row, constants, dropping)
    return descriptor


def _backward(row, below, constants):
    """Return the descriptor of a backward pass. constants: of the node below."""
    descriptor = np.zeros(DESCRIPTOR, np.int64)
    columns = FAN_OUT, FAN_IN, W_AT, GRADIENT_AT
    descriptor[[TERMS, UNITS, WEIGHTS, SKIP]] = row[list(columns)]
    descriptor[BIAS] = NOWHERE
    descriptor[[SLOPE, OUT, OUT_STRIDE]] = below[[SLOPE_AT, DZ_AT, H_STRIDE]]
    _set_epilogue(descriptor, below, constants, below[REMASK])
    descriptor[DROPPED] = 0  # the gradient of what was dropped
    if not below[DROPPING]:
        descriptor[[AFFINE_SCALE, AFFINE_SHIFT]] = bits([1, 0])
    return descriptor


def _set_epilogue(descriptor, row, constants, masked):
    """Set the epilogue: activation, mask and affine map."""
    descriptor[[ACTIVATION_CODE, MASK_SITE]] = row[[ACTIVATION, SITE]]
    descriptor[MASK_THRESHOLD] = row[THRESHOLD] if masked else 0
    reals = DROP_VALUE, AFFINE_A, AFFINE_B, SELU_LAMBDA, SELU_LAMBDA_ALPHA
    elements = [DROPPED, AFFINE_SCALE, AFFINE_SHIFT, LAMBDA, LAMBDA_ALPHA]
    descriptor[elements] = bits(constants[list(reals)])


def bits(values):
    """Return the bits of float32 numbers as int32."""
    return np.asarray(values, np.float32).view(np.int32)


def stores_all_outputs(program):
    """Return True if the input and all outputs have distinct buffers. If two buffers alternate,
    only the last outputs may be stored, because other blocks are at other layers.
    """
    offsets = {int(program[0, X_AT]), *map(int, program[:, H_AT])}
    return len(offsets) == 1 + len(program)


def header_of(program, backward, targets=None, loss=NO_LOSS):
    """Return the header, (HEADER,). targets: the `Targets` of a loss; loss: its code."""
    header, layers = np.zeros(HEADER, np.int64), len(program)
    header[[PASSES, LAYERS, LOSS]] = 2 * layers - 1 if backward else layers, layers, loss
    header[INPUT] = NOWHERE
    if stores_all_outputs(program):
        header[[INPUT, INPUT_STRIDE]] = program[0, [X_AT, X_STRIDE]]
    header[[OUTPUT_DZ, OUTPUT_DZ_STRIDE, OUTPUTS]] = program[-1, [DZ_AT, H_STRIDE, FAN_OUT]]
    if targets is not None:
        header[[WEIGHTED, CLASS_WEIGHTED]] = targets.weighted, targets.class_weighted
    return header


def descriptors_of(program, constants, training, backward):
    """Return the descriptors of a launch, (passes + 2, DESCRIPTOR): forward through all nodes of a
    program; with `backward` also backward to the first one. The last two are prefetched and never
    run. training: with dropout.
    """
    count = len(program)
    table = [_forward(program[r], constants[r], training, backward) for r in range(count)]
    if not stores_all_outputs(program):
        for row in table[:-1]:
            row[OUT] = NOWHERE
    if backward:
        below = range(count - 2, -1, -1)
        table += [_backward(program[r + 1], program[r], constants[r]) for r in below]
    return np.array(table + table[:1] * 2)
