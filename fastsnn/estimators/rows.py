"""Rows with weights: rows without weight, equal rows, weighted standardization."""

from __future__ import annotations

from math import fsum
from typing import Any, NamedTuple

import numpy as np

from fastsnn.data.standardize import NOISE, Standardizer
from fastsnn.tables.columns import Columns


class Rows(NamedTuple):
    """Training rows: x (n, features), or the columns of a data frame before it is encoded; y (n,)
    or (n, outputs), weights (n,) or None for 1.
    """

    x: Any
    y: np.ndarray
    weight: np.ndarray | None


class Chosen(NamedTuple):
    """Some of the rows: indices, ``slice(None)`` for all of them; and their weights, or None."""

    rows: np.ndarray | slice
    weight: np.ndarray | None

    def at(self, places: np.ndarray) -> Chosen:
        """Return these places of an index array."""
        index = np.asarray(self.rows)[places]
        return Chosen(index, None if self.weight is None else self.weight[places])


def weighted(x: Any, y: np.ndarray, weight: np.ndarray | None, where: str) -> Rows:
    """Return the rows with a weight above 0. Equal weights become None.

    Raises ValueError if a weight is negative, or all are 0.
    """
    if weight is None:
        return Rows(x, y, None)
    if weight.min() < 0:
        raise ValueError(
            f"{where}: sample_weight: weights >= 0 are required, got {weight.min()} in row "
            f"{weight.argmin()}"
        )
    used = weight > 0
    if not used.any():
        raise ValueError(f"{where}: sample_weight: all weights are zero; give some row a weight")
    if not used.all():
        x = x.take(np.flatnonzero(used)) if isinstance(x, Columns) else x[used]
        y, weight = y[used], weight[used]
    return Rows(x, y, unless_equal(weight))


def unless_equal(weight: np.ndarray | None) -> np.ndarray | None:
    """Return the weights; None for equal weights, which have no effect."""
    return None if weight is None or (weight == weight[0]).all() else weight


def merged(rows: Rows, most: int) -> tuple[Chosen, np.ndarray] | None:
    """Return the distinct rows with the sums of their weights, in an order that depends on their
    values alone, if there are at most `most` of them, else None; and for each row the place of its
    equal among them.

    `most` is the batch size: each update then uses all rows, so the result of a training depends
    neither on the order of the rows nor on whether a row has weight 2 or occurs twice.
    """
    weights: dict[bytes, list[float]] = {}
    first: dict[bytes, int] = {}
    seen: dict[bytes, int] = {}  # numbers by first occurrence
    numbers = np.empty(len(rows.x), np.int64)
    for i in range(len(rows.x)):
        # + 0.0: -0.0 equals 0.0
        key = b"".join((part[i].astype(np.float64) + 0.0).tobytes() for part in (rows.x, rows.y))
        if key not in weights:
            if len(weights) == most:
                return None
            weights[key], first[key], seen[key] = [], i, len(seen)
        weights[key].append(1.0 if rows.weight is None else float(rows.weight[i]))
        numbers[i] = seen[key]
    order = sorted(weights)
    places = np.argsort([seen[key] for key in order])  # the inverse permutation
    index = np.array([first[key] for key in order])
    weight = np.array([fsum(weights[key]) for key in order])  # exact, so in any order
    return Chosen(index, unless_equal(weight)), places[numbers]


def standardizer(x: np.ndarray, weight: np.ndarray | None) -> Standardizer:
    """Return the standardization of the columns of x (n, features) to weighted mean 0 and weighted
    variance 1. weight: (n,) > 0, or None.
    """
    plain = Standardizer.fit(x)
    if weight is None:
        return plain
    share = weight / weight.max()
    share = share / share.sum()
    z = (x - plain.mean) / plain.scale  # float64, without overflow; 0 in constant columns
    shift = share @ z
    deviation = np.sqrt(share @ np.square(z - shift))
    deviation = np.where(deviation > NOISE, deviation, 1.0)
    return Standardizer(plain.mean + plain.scale * shift, plain.scale * deviation)
