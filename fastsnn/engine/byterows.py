"""Images stored as bytes and converted batch by batch: a quarter of the memory of float32, and no
conversion of the whole data set before the first step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

BLOCK = 1024  # rows converted at a time, so that no second copy of a large array exists


class Inputs(Protocol):
    """A map from bytes to features, such as `fastsnn.data.Standardizer`."""

    def transform(
        self, x: np.ndarray, out: np.ndarray | None = None, rows: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the features, float32, of the given rows of uint8 x, in `out` if it is given."""


class ByteRows:
    """Rows of uint8 features, converted to standardized float32 when they are read.

    Parameters
    ----------
    x : (m, features) array of uint8
        Not copied.
    inputs : Inputs
        A fitted `fastsnn.data.Standardizer`, or another object with its `transform`.
    rows : (n,) array of int, optional
        Rows of x, in this order. Default: all.
    """

    def __init__(self, x: np.ndarray, inputs: Inputs, rows: np.ndarray | None = None):
        self.bytes, self.inputs = x, inputs
        self.rows = np.arange(len(x)) if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"ByteRows({self.shape}, {self.inputs!r})"

    @property
    def shape(self) -> tuple[int, int]:
        """(n, features): number of rows and number of features."""
        return len(self.rows), self.bytes.shape[1]

    def take(self, rows: np.ndarray | slice, out: np.ndarray | None = None) -> np.ndarray:
        """Return some rows, converted: float32 (len(rows), features).

        rows: positions in [0, n), or a slice. out: float32 array for the result; default: a new
        one.
        """
        return self.inputs.transform(self.bytes, out, self.rows[rows])

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield all rows in order, converted: float32 arrays (at most 1,024 rows, features)."""
        for first in range(0, len(self), BLOCK):
            yield self.take(slice(first, first + BLOCK))
