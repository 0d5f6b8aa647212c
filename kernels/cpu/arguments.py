"""Named tuples of the arguments that the CPU kernels share, and their Numba types.

Compiled code unpacks a tuple at no cost. A call from Python pays several microseconds for each
tuple, so the entries called for every step or prediction take the members as single arguments.
"""

from typing import NamedTuple

import numpy as np
from numba import types

from ..jit import FLOAT, FLOATS, INT, INTS, MATRIX, TABLE, WORDS


class Program(NamedTuple):
    """The program and the parameters that it reads, see `kernels/program.py`."""

    table: np.ndarray  # (layers, COLUMNS) int64
    constants: np.ndarray  # (layers, CONSTANTS) float32
    params: np.ndarray  # all parameters, float32


class Buffers(NamedTuple):
    """Buffers of one thread; the threads of a step share `acts` and `bits`."""

    acts: np.ndarray  # activations, float32; offsets are set by the plan
    bits: np.ndarray  # (panels, units) uint32: dropout masks, one bit per sample of the panel
    work: np.ndarray  # float32, private to this thread: see `program.WORK_HEAD`


class Batch(NamedTuple):
    """Rows index[first_row], index[first_row + 1], ... of a data set. If `index` is empty (forward
    pass only): rows first_row, first_row + 1, ...
    """

    index: np.ndarray  # int64
    first_row: int
    samples: int


class Targets(NamedTuple):
    """Targets and weights of a data set. Arrays that the loss does not read are empty."""

    labels: np.ndarray  # (rows,) int64
    targets: np.ndarray  # (rows, outputs) float32
    sample_weight: np.ndarray  # (rows,) float32; empty: all 1
    class_weight: np.ndarray  # (outputs,) float32; empty: all 1


class Part(NamedTuple):
    """The work of one thread: part `part` of `parts` of stages [first_stage, last_stage)."""

    first_stage: int
    last_stage: int
    split: int  # 1: threads split panels, with a barrier after each stage; 0: whole panels
    part: int  # in [0, parts)
    parts: int


class Masks(NamedTuple):
    """The counter and key of the dropout masks of a batch, see `kernels/philox.py`."""

    first_sample: int  # sample index of the first row; a multiple of 8
    step: int
    seed: int


class Loss(NamedTuple):
    """The loss of a step and the factor of its gradient."""

    code: int  # see `kernels/losses.py`
    parameter: float  # parameter of the loss, see `fastsnn/losses.py`; float32
    scale: float  # 1 / sum of the weights of the batch; float32


def _type(group, *members):
    return types.BaseTuple.from_types(members, group)


PROGRAM = _type(Program, TABLE, MATRIX, FLOATS)
BUFFERS = _type(Buffers, FLOATS, WORDS, FLOATS)
BATCH = _type(Batch, INTS, INT, INT)
TARGETS = _type(Targets, INTS, MATRIX, FLOATS, FLOATS)
PART = _type(Part, *[INT] * 5)
MASKS = _type(Masks, *[INT] * 3)
LOSS = _type(Loss, INT, FLOAT, FLOAT)
