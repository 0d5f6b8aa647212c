"""The split into training and validation rows, a function of the seed alone."""

from __future__ import annotations

import numpy as np

from fastsnn.checks.scalars import integer, number


def split(
    n: int, fraction: float, seed: int, labels: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Divide the rows 0..n-1; returns (training rows, validation rows), sorted int64 arrays.

    Row i draws the i-th 64-bit number of `numpy.random.Philox(seed)`; the validation part is the
    round(fraction n) rows (at least one) with the smallest numbers. With `labels` (n,) they are
    taken class by class, in proportion to the classes and leaving each at least one row to train
    on: a single row of a class is not held back. The numbers are Philox's raw output, which NumPy
    promises never to change: the same seed gives the same rows everywhere.

    fraction in [0, 1); 0 leaves the validation part empty. Raises ValueError if a part would have
    no row.
    """
    fraction = number(fraction, "validation: the fraction", 0, 1)
    seed = integer(seed, "seed: it", 0)
    held = max(1, round(fraction * n)) if fraction > 0 else 0
    if held >= n:
        raise ValueError(
            f"validation: needs at least one row in each part, got {n} row{'s'[: n != 1]} and the "
            f"fraction {fraction}; give more rows, a smaller fraction, or 0"
        )
    generator = np.random.Generator(np.random.Philox(seed))
    order = np.argsort(generator.bit_generator.random_raw(n), kind="stable")
    if labels is None or held == 0:
        chosen = order[:held]
    else:
        chosen = _by_class(order, held, np.asarray(labels))
    mask = np.zeros(n, bool)
    mask[chosen] = True
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def _by_class(order: np.ndarray, held: int, labels: np.ndarray) -> np.ndarray:
    classes, label, counts = np.unique(labels, return_inverse=True, return_counts=True)
    held = min(held, len(labels) - len(classes))
    if held == 0:
        raise ValueError(
            f"validation: needs a class with two rows or more, got {len(classes):,} classes with a "
            "single row each; is this the target column? else give more rows, or the fraction 0"
        )
    # Largest remainders, in whole numbers: no rounding error decides which class gets the odd row.
    shared = np.where(counts > 1, counts, 0)
    take, remainder = np.divmod(shared * held, shared.sum())
    by_remainder = np.argsort(-remainder, kind="stable")
    while take.sum() < held:
        room = [k for k in by_remainder if take[k] < counts[k] - 1]
        take[room[: held - take.sum()]] += 1
    label = label[order]
    return np.concatenate([order[label == k][: take[k]] for k in range(len(classes))])
