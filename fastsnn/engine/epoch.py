"""The order of the rows in an epoch, and its division into batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from fastsnn.engine.batch import Batch
from fastsnn.engine.byterows import ByteRows
from fastsnn.engine.interface import TrainingEngine


def shuffled(n: int, seed: int, epoch: int) -> np.ndarray:
    """Return the permutation of n rows in an epoch (from 0). It is a function of its arguments
    alone, so a resumed training needs no generator state.
    """
    key = seed + ((epoch + 1) << 64)
    return np.random.Generator(np.random.Philox(key=key)).permutation(n)


def batches_of(
    engine: TrainingEngine, data: Batch, size: int, at_once: Callable[[], int]
) -> Iterator[tuple[Batch, int, list[int]]]:
    """Yield the batches of an epoch over `data` in the order of its index, as (batch, first row,
    rows of each step), with up to `at_once()` steps per item. `at_once` is called for each item.
    ByteRows: one step per item.
    """
    n_rows = len(data.index)
    if not isinstance(data.x, ByteRows):
        first = 0
        while first < n_rows:
            starts = range(first, min(first + at_once() * size, n_rows), size)
            sizes = [min(size, n_rows - start) for start in starts]
            yield data, first, sizes
            first += sum(sizes)
        return
    buffer = np.empty((min(size, n_rows), data.x.shape[1]), np.float32)
    for first in range(0, n_rows, size):
        rows = data.index[first : first + size]
        part = data.x.take(rows, buffer[: len(rows)])
        engine.reserve(len(rows))
        yield data.rows(rows, part, engine.rows), 0, [len(rows)]
