"""Gather a batch from a data set on the device.

    launch   grid (samples, ceil(features / BLOCK_SIZE)), BLOCK_SIZE threads
    thread   one element
    acts     global, float32, rows [sample][feature] from x_at on, `stride` floats apart
    x        global, float32 (rows of the data set, features)
    index    global, int64: rows of the data set in the order of the epoch

Neighbouring threads access neighbouring features.
"""

from numba import cuda

from ..program import FAN_IN, X_AT, X_STRIDE
from .code import FLOATS, INT, INTS, kernel
from .job import FIRST_ROW, FORWARD, JOB
from .shape import BLOCK_SIZE, ceil_div


@kernel("gather", BLOCK_SIZE, FLOATS, FLOATS, INTS, INTS, INTS, *[INT] * 3)
def _gather(acts, x, index, jobs, slots, x_at, stride, features):
    sample = cuda.blockIdx.x
    feature = cuda.blockIdx.y * BLOCK_SIZE + cuda.threadIdx.x
    if feature < features:
        row = index[jobs[slots[FORWARD] * JOB + FIRST_ROW] + sample]
        acts[x_at + sample * stride + feature] = x[row * features + feature]


def gather(launch, row, acts, x, index, jobs, slots, samples):
    """The first node's input: x[index[first_row]], x[index[first_row + 1]], ..."""
    features = int(row[FAN_IN])
    grid = samples, ceil_div(features, BLOCK_SIZE)
    launch(
        _gather, grid, acts, x, index, jobs, slots, int(row[X_AT]), int(row[X_STRIDE]), features
    )  # fmt: skip
