"""Mean 0 and deviation 1 for the inputs, the one preparation a self-normalizing network needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BLOCK = 1024  # rows converted at a time, so that no second copy of a large array ever exists
PER = ("feature", "all", "none")


@dataclass(frozen=True, eq=False)
class Standardizer:
    """The map x -> (x - mean) / scale, column by column.

    mean, scale: (features,) float32. Fit it on the training part alone.

    >>> s = Standardizer.fit(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> s.apply(np.array([[1.0, 5.0], [3.0, 6.0]]))
    array([[-1.,  0.],
           [ 1.,  1.]], dtype=float32)
    """

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(
        cls, x: np.ndarray, per: str = "feature", rows: np.ndarray | None = None
    ) -> Standardizer:
        """Measure mean and deviation of x (n, features), of its `rows` only where given.

        per: "feature" takes each column by itself; "all" takes one mean and one deviation for all
        columns (images: a pixel that is nearly always 0 is not blown up); "none" leaves x as it is.
        The deviation is that of the population (divided by n). A constant column gets scale 1.
        """
        if per not in PER:
            raise ValueError(f"standardize: must be one of {', '.join(PER)}, got {per!r}")
        features = x.shape[1]
        if per == "none":
            return cls(np.zeros(features, np.float32), np.ones(features, np.float32))
        if len(x if rows is None else rows) == 0:
            raise ValueError("standardize: needs at least one row, got 0")
        if per == "all" and x.dtype == np.uint8:
            return cls(*(_filled(features, value) for value in _moments_of_bytes(x, rows)))
        axis = 0 if per == "feature" else None
        # Differences from one row or value, in float64: those of a constant column are exactly 0.
        first = x[0 if rows is None else rows[0]].astype(np.float64)
        first = first if per == "feature" else first[0]
        count = len(x if rows is None else rows) * (1 if per == "feature" else features)
        mean = first + sum((b - first).sum(axis) for b in _blocks(x, rows)) / count
        variance = sum(np.square(b - mean).sum(axis) for b in _blocks(x, rows)) / count
        scale = np.sqrt(variance).astype(np.float32)
        scale = np.where(scale > 0, scale, np.float32(1))
        return cls(_filled(features, mean), _filled(features, scale))

    def apply(
        self, x: np.ndarray, out: np.ndarray | None = None, rows: np.ndarray | None = None
    ) -> np.ndarray:
        """(x - mean) / scale as a new float32 array, or written into `out`, which may be x.

        rows: take these rows of x only, in this order (then `out` must not be x).
        """
        n = len(x) if rows is None else len(rows)
        if x.ndim != 2 or x.shape[1] != self.mean.size:
            raise ValueError(
                f"standardize: x must have {self.mean.size} features, got the shape {x.shape}; "
                "was it made for other data?"
            )
        if out is None:
            out = np.empty((n, x.shape[1]), np.float32)
        for start in range(0, n, BLOCK):
            part = slice(start, start + BLOCK)
            y = out[part]
            y[...] = x[part if rows is None else rows[part]]  # faster than a subtraction that casts
            np.subtract(y, self.mean, out=y)
            np.divide(y, self.scale, out=y)
        return out

    def invert(self, x: np.ndarray) -> np.ndarray:
        """x * scale + mean as float32: what `apply` was given."""
        return (x * self.scale + self.mean).astype(np.float32, copy=False)


def _moments_of_bytes(x, rows):
    """Mean and deviation of all values of a uint8 array: whole sums, so they are exact."""
    count = total = squares = 0
    for b in _blocks(x, rows):
        count += b.size
        total += int(b.sum(dtype=np.uint64))
        squares += int(np.multiply(b, b, dtype=np.uint16).sum(dtype=np.uint64))
    deviation = (count * squares - total**2) ** 0.5 / count
    return total / count, deviation or 1.0


def _blocks(x, rows):
    for start in range(0, len(x if rows is None else rows), BLOCK):
        part = slice(start, start + BLOCK)
        yield x[part if rows is None else rows[part]]


def _filled(features, value):
    return np.broadcast_to(value, (features,)).astype(np.float32)
