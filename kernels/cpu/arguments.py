"""The arguments that the CPU's kernels share, in groups, and their Numba types.

Compiled code takes the groups apart at no cost. Python pays several microseconds for each group of
a call, so the entries that it calls for every step or prediction take the members one by one.
"""

from typing import NamedTuple

import numpy as np
from numba import types

from ..jit import FLOAT, FLOATS, INT, INTS, MATRIX, TABLE, WORDS


class Program(NamedTuple):
    """The program and the parameters that it reads: see `kernels/program.py`."""

    table: np.ndarray  # (layers, COLUMNS) int64
    constants: np.ndarray  # (layers, CONSTANTS) float32
    params: np.ndarray  # all parameters, float32


class Buffers(NamedTuple):
    """The memory of one thread; threads of one step share `acts` and `bits`."""

    acts: np.ndarray  # activations, float32; the plan lays them out
    bits: np.ndarray  # (panels, columns) uint32: dropout masks, a bit for each sample of a panel
    work: np.ndarray  # float32, of this thread alone: see `program.WORK_HEAD`


class Batch(NamedTuple):
    """Rows index[first_row], index[first_row + 1], ... of a data set; with an empty index, which
    only the forward pass takes, rows first_row, first_row + 1, ...
    """

    index: np.ndarray  # int64
    first_row: int
    samples: int


class Targets(NamedTuple):
    """The targets and weights of a data set. Arrays that the loss does not read are empty."""

    labels: np.ndarray  # (rows,) int64
    targets: np.ndarray  # (rows, outputs) float32
    sample_weight: np.ndarray  # (rows,) float32; empty: 1 for all
    class_weight: np.ndarray  # (outputs,) float32; empty: 1 for all


class Part(NamedTuple):
    """The work of one thread: its part of stages [first_stage, last_stage)."""

    first_stage: int
    last_stage: int
    split: int  # 1: threads share panels, with a barrier after each stage; 0: parts are panels
    part: int  # in [0, parts)
    parts: int


class Masks(NamedTuple):
    """The place of a batch in the stream of dropout masks."""

    first_sample: int  # number of the first row of the batch; a multiple of 8
    step: int
    seed: int


class Loss(NamedTuple):
    code: int  # see `kernels/losses.py`
    parameter: float  # of the loss, see `fastsnn/losses.py`; float32
    scale: float  # 1 / the sum of the weights of the batch; float32


def _type(group, *members):
    return types.BaseTuple.from_types(members, group)


PROGRAM = _type(Program, TABLE, MATRIX, FLOATS)
BUFFERS = _type(Buffers, FLOATS, WORDS, FLOATS)
BATCH = _type(Batch, INTS, INT, INT)
TARGETS = _type(Targets, INTS, MATRIX, FLOATS, FLOATS)
PART = _type(Part, *[INT] * 5)
MASKS = _type(Masks, *[INT] * 3)
LOSS = _type(Loss, INT, FLOAT, FLOAT)
