"""Split rows into a training and a validation part, as a function of the seed only."""

from __future__ import annotations

import numpy as np

from fastsnn.checks.scalars import integer, number


def split(
    n: int, fraction: float, seed: int, labels: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Split the rows 0 to n - 1 into a training and a validation part.

    Row i is assigned the i-th 64-bit number of `numpy.random.Philox(seed)`. The validation part is
    the round(fraction n) rows, at least one, with the smallest numbers. With `labels`, rows are
    selected class by class, in proportion to the class sizes, and at least one row of each class
    remains in the training part: the only row of a class is never held out. The numbers are
    Philox's raw output, which NumPy guarantees never to change, so the same seed selects the same
    rows on every machine.

    Parameters
    ----------
    n : int
        Number of rows.
    fraction : float in [0, 1)
        Fraction of the rows in the validation part; 0 leaves it empty.
    seed : int >= 0
        Seed of the random numbers.
    labels : numpy.ndarray, optional
        Class of each row, (n,), to stratify by. By default the split is not stratified.

    Returns
    -------
    tuple of numpy.ndarray
        (training rows, validation rows): sorted int64 arrays.

    Raises
    ------
    ValueError
        `fraction` is not in [0, 1), `seed` is negative, or a part would have no rows.
    TypeError
        `fraction` is not a number or `seed` not an int.
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
    # Largest remainder method in integers, so that no rounding error decides about the last rows.
    shared = np.where(counts > 1, counts, 0)
    take, remainder = np.divmod(shared * held, shared.sum())
    by_remainder = np.argsort(-remainder, kind="stable")
    while take.sum() < held:
        room = [k for k in by_remainder if take[k] < counts[k] - 1]
        take[room[: held - take.sum()]] += 1
    label = label[order]
    return np.concatenate([order[label == k][: take[k]] for k in range(len(classes))])
