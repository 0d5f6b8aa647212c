"""Members of an estimator: their seeds and their rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar

import numpy as np

from fastsnn.estimators.rows import Chosen

P = ParamSpec("P")
T = TypeVar("T")

SEEDS, FOLDS, BOOTSTRAP = "seeds", "folds", "bootstrap"
MOST_MEMBERS = 10_000


class Part(NamedTuple):
    """Training rows of a member, and its validation rows, which may be None."""

    train: Chosen
    held: Chosen | None


def unchanged_by_errors(
    method: Callable[Concatenate[Any, P], T],
) -> Callable[Concatenate[Any, P], T]:
    """Return the method, which restores the attributes of its object if it raises an exception."""

    @wraps(method)
    def restoring(self: Any, /, *arguments: P.args, **options: P.kwargs) -> T:
        before = dict(self.__dict__)
        try:
            return method(self, *arguments, **options)
        except BaseException:  # KeyboardInterrupt, too
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    return restoring


def seed_of(seed: int, k: int) -> int:
    """Return the seed of member k (from 0): `seed` itself for member 0, else a hash of both numbers
    in [0, 2**64). With ``seed + k``, estimators with successive seeds would share members.
    """
    if k == 0:
        return seed
    return int(np.random.SeedSequence(seed, spawn_key=(k,)).generate_state(1, np.uint64)[0])


def parts_of(
    kind: str, rows: Chosen, count: int, strata: np.ndarray | None, seed: int
) -> list[Part]:
    """Return the rows of `count` members.

    Parameters
    ----------
    kind : {"folds", "bootstrap"}
        "folds": member k trains on all rows except those of fold k. "bootstrap": it trains on n
        rows drawn with replacement. The rows on which it does not train are its validation rows.
    rows : Chosen
        All n rows, as an index array.
    strata : (n,) array of int, optional
        Class of each row. Each class is spread evenly over the folds.

    Raises
    ------
    ValueError
        For fewer than two members or fewer rows than members, with "folds".
    """
    n = len(np.asarray(rows.rows))
    generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
    if kind == BOOTSTRAP:
        parts = []
        for _ in range(count):
            drawn = np.sort(generator.integers(n, size=n))
            others = np.setdiff1d(np.arange(n), drawn)
            parts.append(Part(rows.at(drawn), rows.at(others) if len(others) else None))
        return parts
    if count < 2:
        raise ValueError('members="folds" needs n_members >= 2, got 1')
    if n < count:
        one = " (one sample)" if n == 1 else ""
        raise ValueError(f'members="folds" needs a row per member, {count}, got {n} rows{one}')
    order = generator.permutation(n)
    if strata is not None:
        order = order[np.argsort(strata[order], kind="stable")]
    fold = np.empty(n, np.int64)
    fold[order] = np.arange(n) % count  # the rows of a class are dealt to the folds in turn
    return [
        Part(rows.at(np.flatnonzero(fold != k)), rows.at(np.flatnonzero(fold == k)))
        for k in range(count)
    ]


def mean_curve(curves: Sequence[Sequence[float]]) -> list[float]:
    """Return the mean of each epoch over the members that trained it."""
    return [
        float(np.mean([curve[epoch] for curve in curves if epoch < len(curve)]))
        for epoch in range(max(map(len, curves)))
    ]
