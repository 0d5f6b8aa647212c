"""Rows with weights: rows without weight, equal rows, weighted standardization."""

from __future__ import annotations

from math import fsum
from typing import NamedTuple

import numpy as np

from fastsnn.data.standardize import NOISE, Standardizer


class Rows(NamedTuple):
    """Training rows: x (n, features), y (n,) or (n, outputs), weights (n,) or None for 1."""

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None


def weighted(x: np.ndarray, y: np.ndarray, weight: np.ndarray | None, where: str) -> Rows:
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
        x, y, weight = x[used], y[used], weight[used]
    return Rows(x, y, None if (weight == weight[0]).all() else weight)


def merged(rows: Rows, most: int) -> Rows:
    """Return the distinct rows with the sums of their weights, in an order that depends on their
    values alone, if there are at most `most` of them; else the rows as they are.

    `most` is the batch size: each update then uses all rows, so the result of a training depends
    neither on the order of the rows nor on whether a row has weight 2 or occurs twice.
    """
    weights: dict[bytes, list[float]] = {}
    first: dict[bytes, int] = {}
    for i in range(len(rows.x)):
        # + 0.0: -0.0 equals 0.0
        key = b"".join((part[i].astype(np.float64) + 0.0).tobytes() for part in (rows.x, rows.y))
        if key not in weights:
            if len(weights) == most:
                return rows
            weights[key], first[key] = [], i
        weights[key].append(1.0 if rows.weight is None else float(rows.weight[i]))
    order = sorted(weights)
    index = np.array([first[key] for key in order])
    weight = np.array([fsum(weights[key]) for key in order])  # exact, so in any order
    return weighted(rows.x[index], rows.y[index], weight, "")


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
