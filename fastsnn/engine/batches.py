"""The order of the rows in an epoch, and the batches that an engine takes them in."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from fastsnn.engine.byterows import ByteRows


def shuffled(n: int, seed: int, epoch: int) -> np.ndarray:
    """Order of the rows in an epoch (from 0), a function of its arguments alone: a resumed training
    needs no state.
    """
    key = seed + ((epoch + 1) << 64)
    return np.random.Generator(np.random.Philox(key=key)).permutation(n)


def batches_of(
    engine, x, rest: list, order: np.ndarray, size: int, at_once: Callable[[], int]
) -> Iterator[tuple]:
    """The batches of an epoch as (arguments of the engine, first row, rows of each), up to
    `at_once()` batches together; it is called anew for each group.
    """
    if not isinstance(x, ByteRows):
        first = 0
        while first < len(order):
            starts = range(first, min(first + at_once() * size, len(order)), size)
            sizes = [min(size, len(order) - start) for start in starts]
            yield (x, order, *rest), first, sizes
            first += sum(sizes)
        return
    *of_rows, class_weight = rest
    buffer = np.empty((min(size, len(order)), x.shape[1]), np.float32)
    for first in range(0, len(order), size):
        rows = order[first : first + size]
        part = x.take(rows, buffer[: len(rows)])
        chosen = [array[rows] if len(array) else array for array in of_rows]
        engine.reserve(len(rows))
        yield (part, engine.rows, *chosen, class_weight), 0, [len(rows)]
