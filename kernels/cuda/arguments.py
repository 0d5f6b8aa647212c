"""The arguments that the host's functions share, in groups; the twin of `kernels/cpu/arguments.py`.
Kernels take the members: flat arrays on the device, and integers.
"""

from typing import Any, NamedTuple

import numpy as np


class Program(NamedTuple):
    """A program and its parameters: see `kernels/program.py`."""

    table: np.ndarray  # (layers, COLUMNS) int64, on the host
    constants: np.ndarray  # (layers, CONSTANTS) float32, on the host
    params: Any  # all parameters, float32


class Batch(NamedTuple):
    """Rows index[first_row : first_row + samples] of a data set; `first_row` is in the job."""

    index: Any  # int64
    samples: int


class Targets(NamedTuple):
    """Targets and weights of a data set, and flags for the weights."""

    labels: Any  # (rows,) int64
    targets: Any  # (rows, outputs) float32
    sample_weight: Any  # (rows,) float32
    class_weight: Any  # (outputs,) float32
    weighted: int  # 1 if sample_weight is used
    class_weighted: int  # 1 if class_weight is used


class Queue(NamedTuple):
    """The steps queued on the device: see `job.py`. A prediction has neither scalars nor losses."""

    jobs: Any  # (steps, JOB) int64
    slots: Any  # (SLOTS,) int64
    hypers: Any = None  # (steps, HYPERS) float32
    losses: Any = None  # (steps,) float32, output: the mean loss of each step
