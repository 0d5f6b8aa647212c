"""Rows of a batch, picked from a data set that lies on the device."""

from numba import cuda

from ..program import FAN_IN, X_AT, X_STRIDE
from .code import FLOATS, INT, INTS, kernel
from .job import FIRST_ROW, FORWARD, JOB
from .shape import LINE, blocks_of


@kernel("gather", LINE, FLOATS, FLOATS, INTS, INTS, INTS, *[INT] * 3)
def _gather(acts, x, index, jobs, slots, x_at, stride, features):
    sample = cuda.blockIdx.x
    feature = cuda.blockIdx.y * LINE + cuda.threadIdx.x
    if feature < features:
        row = index[jobs[slots[FORWARD] * JOB + FIRST_ROW] + sample]
        acts[x_at + sample * stride + feature] = x[row * features + feature]


def gather(launch, row, acts, x, index, jobs, slots, samples):
    """The first node's input: x[index[first_row]], x[index[first_row + 1]], ..."""
    features = int(row[FAN_IN])
    grid = samples, blocks_of(features, LINE)
    launch(
        _gather, grid, acts, x, index, jobs, slots, int(row[X_AT]), int(row[X_STRIDE]), features
    )  # fmt: skip
