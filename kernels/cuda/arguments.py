"""The arguments that the host's functions share, in groups; `kernels/cpu/arguments.py` is the
twin. Kernels take the members: flat arrays on the device, and integers.
"""

from typing import Any, NamedTuple

import numpy as np


class Program(NamedTuple):
    """The program and the parameters that it reads: see `kernels/program.py`."""

    table: np.ndarray  # (layers, COLUMNS) int64, on the host
    constants: np.ndarray  # (layers, CONSTANTS) float32, on the host
    params: Any  # all parameters, float32


class Batch(NamedTuple):
    """`samples` rows of a data set, index[first_row], ...: a job has `first_row`."""

    index: Any  # int64
    samples: int


class Targets(NamedTuple):
    """The targets and weights of a data set, and which of the weights are read."""

    labels: Any  # (rows,) int64
    targets: Any  # (rows, outputs) float32
    sample_weight: Any  # (rows,) float32
    class_weight: Any  # (outputs,) float32
    weighted: int  # 1: by sample_weight
    class_weighted: int  # 1: by class_weight


class Queue(NamedTuple):
    """The steps that are queued on the device: see `job.py`. A prediction has no scalars, and no
    losses.
    """

    jobs: Any  # (steps, JOB) int64
    slots: Any  # (SLOTS,) int64
    hypers: Any = None  # (steps, HYPERS) float32
    losses: Any = None  # (steps,) float32: written, the mean loss of each step
