"""Standardization to mean 0 and variance 1, as self-normalizing networks require."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastsnn.checks import arrays
from fastsnn.deprecated import Renamed
from fastsnn.engine.byterows import BLOCK

PER = ("feature", "all", "none")
# A column whose standard deviation is at most this fraction of its mean is constant up to rounding
# errors of float64. Values that differ only in the last bit have a deviation below one epsilon.
NOISE = 10 * np.finfo(np.float64).eps
TINY, HUGE = 1e-140, 1e140  # float64 represents their squares without loss of precision


@dataclass(frozen=True, eq=False)
class Standardizer:
    """Standardization of features or targets, x -> (x - mean) / scale, column by column.

    The result is computed in the dtype of `mean` and `scale` and rounded to float32 once. Use `fit`
    to compute both from the training rows.

    Parameters
    ----------
    mean : numpy.ndarray
        Mean of each column, (features,): float64, or float32 for uint8 features (images) and in
        model files of version 0.1. All values must be finite.
    scale : numpy.ndarray
        Standard deviation of each column, (features,), of the dtype of `mean`. All values must be
        finite and positive.
    log : bool
        Standardize the logarithms of positive numbers: x -> (log(x) - mean) / scale.

    Raises
    ------
    TypeError
        The arrays are not both float64 or both float32.
    ValueError
        The shapes differ or are not (features,), or a value is not finite or a scale not positive.

    Examples
    --------
    >>> s = Standardizer.fit(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> s.transform(np.array([[1.0, 5.0], [3.0, 6.0]]))
    array([[-1.,  0.],
           [ 1.,  1.]], dtype=float32)
    """

    mean: np.ndarray
    scale: np.ndarray
    log: bool = False

    def __post_init__(self) -> None:
        mean, scale = self.mean, self.scale
        types = {getattr(mean, "dtype", None), getattr(scale, "dtype", None)}
        if types not in ({np.dtype(np.float32)}, {np.dtype(np.float64)}):
            raise TypeError(
                "standardize: mean and scale must be arrays of one dtype, float64 or float32, got "
                f"{_type_of(mean)} and {_type_of(scale)}"
            )
        if mean.ndim != 1 or mean.shape != scale.shape:
            raise ValueError(
                "standardize: mean and scale must have the shape (features,), got "
                f"{mean.shape} and {scale.shape}"
            )
        if not (np.isfinite(mean).all() and np.isfinite(scale).all() and (scale > 0).all()):
            raise ValueError(
                "standardize: finite means and finite scales above 0 are required; fit them on "
                "finite numbers"
            )

    def __repr__(self) -> str:
        return (
            f"Standardizer({self.mean.size:,} features, {self.mean.dtype}, mean "
            f"{arrays.numbers(self.mean)}, scale {arrays.numbers(self.scale)}"
            f"{', of logarithms' if self.log else ''})"
        )

    @classmethod
    def fit(
        cls,
        x: np.ndarray,
        per: str = "feature",
        rows: np.ndarray | None = None,
        dtype: type = np.float64,
        log: bool = False,
    ) -> Standardizer:
        """Compute the mean and the standard deviation of the columns of x.

        The standard deviation is that of the population (divisor n). A column that is constant, or
        varies by no more than rounding errors of float64, gets scale 1.

        Parameters
        ----------
        x : numpy.ndarray
            Features (n, features) of any real dtype.
        per : {"feature", "all", "none"}
            "feature" computes the statistics of each column; "all" a single mean and standard
            deviation of all values, for images, whose nearly constant pixels must not be amplified;
            "none" sets mean 0 and scale 1.
        rows : numpy.ndarray of int, optional
            Rows of x to compute the statistics from; all rows by default.
        dtype : {numpy.float64, numpy.float32}
            dtype of mean and scale. float32 also rounds x to float32 first, as version 0.1 did. For
            uint8 x it is always float32.
        log : bool
            Compute the statistics of log(x).

        Returns
        -------
        Standardizer
            The fitted standardization.

        Raises
        ------
        ValueError
            `per` is unknown, there are no rows, the statistics are not finite, or `log` is True and
            a number is not positive.
        """
        if log:
            chosen = x if rows is None else x[rows]
            if not (chosen > 0).all():
                raise ValueError("standardize: numbers above 0 are required for logarithms")
            of_logs = cls.fit(np.log(chosen.astype(np.float64)), per)
            return cls(of_logs.mean, of_logs.scale, True)
        if per not in PER:
            raise ValueError(f"standardize: must be one of {', '.join(PER)}, got {per!r}")
        features = x.shape[1]
        dtype = np.float32 if x.dtype == np.uint8 else dtype
        if per == "none":
            return cls(np.zeros(features, dtype), np.ones(features, dtype))
        if len(x if rows is None else rows) == 0:
            raise ValueError("standardize: needs at least one row, got 0")
        if per == "all" and x.dtype == np.uint8:
            total = _moments_of_bytes(x, rows)
            return cls(_filled(features, total[0], dtype), _filled(features, total[1], dtype))
        axis = 0 if per == "feature" else None
        rounded = np.float32 if dtype == np.float32 and x.dtype != np.uint8 else None
        # Sum the differences from the first row or value: for a constant column they are exactly 0.
        first = next(_blocks(x, rows, rounded))[0].astype(np.float64)
        first = first if per == "feature" else first[0]
        count = len(x if rows is None else rows) * (1 if per == "feature" else features)
        with np.errstate(over="ignore", invalid="ignore"):  # see _of_extremes
            mean = first + sum((b - first).sum(axis) for b in _blocks(x, rows, rounded)) / count
            squares = sum(np.square(b - mean).sum(axis) for b in _blocks(x, rows, rounded))
            scale = np.sqrt(squares / count)
        usual = ((scale == 0) & (mean == first)) | ((scale > TINY) & (scale < HUGE))
        if not usual.all():
            extremes = _of_extremes(x, rows, rounded, axis, count)
            mean, scale = (
                np.where(usual, a, b) for a, b in zip((mean, scale), extremes, strict=True)
            )
        scale = scale.astype(dtype) if dtype == np.float32 else scale
        constant = ~(scale > (0 if dtype == np.float32 else NOISE * np.abs(mean)))
        scale = np.where(constant, np.ones((), dtype), scale)
        return cls(_filled(features, mean, dtype), _filled(features, scale, dtype))

    def transform(
        self,
        x: np.ndarray,
        out: np.ndarray | None = None,
        rows: np.ndarray | None = None,
        names: Sequence[str] | None = None,
        where: str = "x",
    ) -> np.ndarray:
        """Return (x - mean) / scale, or (log(x) - mean) / scale.

        Parameters
        ----------
        x : numpy.ndarray
            Features (n, features) of any real dtype.
        out : numpy.ndarray, optional
            float32 array for the result. It may be x itself, unless `rows` is given. By default a
            new array is allocated.
        rows : numpy.ndarray of int, optional
            Rows of x to transform, in this order; all rows by default.
        names : sequence of str, optional
            Names of the columns, for errors.
        where : str
            Name of x, for errors.

        Returns
        -------
        numpy.ndarray
            float32 (n, features), or (len(rows), features) with `rows`; `out` if it is given.

        Raises
        ------
        ValueError
            x has a wrong number of features, or a value or a result is not finite in float32. The
            message names the row and the column.
        """
        n = len(x) if rows is None else len(rows)
        if x.ndim != 2 or x.shape[1] != self.mean.size:
            raise ValueError(
                f"standardize: x must have {self.mean.size} features, got shape {x.shape}; "
                "was the standardizer fitted on other data?"
            )
        if out is None:
            out = np.empty((n, x.shape[1]), np.float32)
        for start in range(0, n, BLOCK):
            part = slice(start, start + BLOCK)
            block = x[part if rows is None else rows[part]]
            if x.dtype == np.uint8 and self.mean.dtype == np.float32:  # always finite
                self._apply(block, out[part])
                continue
            given = block.copy() if np.may_share_memory(block, out) else block
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                self._apply(np.log(block) if self.log else block, out[part])
            if not np.isfinite(out[part]).all():
                row = np.arange(start, start + len(block)) if rows is None else rows[part]
                self._refuse(given, out[part], row, names, where)
        return out

    def _apply(self, block: np.ndarray, y: np.ndarray) -> None:
        if self.mean.dtype == np.float32:
            y[...] = block  # faster than a subtraction that casts
            np.subtract(y, self.mean, out=y)
            np.divide(y, self.scale, out=y)
        else:
            exact = block - self.mean
            np.divide(exact, self.scale, out=exact)
            y[...] = exact

    def _refuse(
        self,
        given: np.ndarray,
        y: np.ndarray,
        rows: np.ndarray,
        names: Sequence[str] | None,
        where: str,
    ) -> None:
        row, column = np.argwhere(~np.isfinite(y))[0]
        value = given[row, column]
        place = arrays.place((rows[row], column), names)
        if not np.isfinite(value):
            raise ValueError(
                f"{where}: finite numbers are required, got {value} in {place}; fill in or remove "
                "such rows"
            )
        if self.log and not value > 0:
            raise ValueError(
                f"{where}: numbers above 0 are required, because logarithms are standardized, got "
                f"{value:.6g} in {place}; correct or remove such rows"
            )
        raise ValueError(
            f"{where}: numbers within the range of float32 after standardization are required, got "
            f"{value:.6g} in {place}, with mean {self.mean[column]:.6g} and scale "
            f"{self.scale[column]:.6g}; correct or remove such rows"
        )

    def inverse_transform(self, x: np.ndarray) -> np.ndarray:
        """Return x * scale + mean, or its exp if `log` is True, the inverse of `transform`.

        Parameters
        ----------
        x : numpy.ndarray
            Standardized values (n, features), such as the predictions of a regression.

        Returns
        -------
        numpy.ndarray
            (n, features) with the dtype of `mean` and `scale`. Values are not checked: NaN stays
            NaN.
        """
        if self.mean.dtype == np.float32:
            x = (x * self.scale + self.mean).astype(np.float32, copy=False)
            return x
        x = x * self.scale + self.mean
        return np.exp(x) if self.log else x

    apply, invert = Renamed("transform"), Renamed("inverse_transform")


def _moments_of_bytes(x: np.ndarray, rows: np.ndarray | None) -> tuple[float, float]:
    """Return mean and standard deviation of a whole uint8 array, from exact integer sums."""
    count = total = squares = 0
    for b in _blocks(x, rows):
        count += b.size
        total += int(b.sum(dtype=np.uint64))
        squares += int(np.multiply(b, b, dtype=np.uint16).sum(dtype=np.uint64))
    deviation = (count * squares - total**2) ** 0.5 / count
    return total / count, deviation or 1.0


def _of_extremes(
    x: np.ndarray, rows: np.ndarray | None, rounded: type | None, axis: int | None, count: int
) -> tuple[Any, Any]:
    """Return mean and standard deviation if squares of the values overflow or underflow float64.

    The values are first multiplied by a power of two that brings the largest one near 1.
    """
    largest = 0.0
    for b in _blocks(x, rows, rounded):
        largest = np.maximum(largest, np.abs(b.astype(np.float64)).max(axis))
    exponent = np.frexp(largest)[1]
    scaled = [np.ldexp(b.astype(np.float64), -exponent) for b in _blocks(x, rows, rounded)]
    mean = sum(b.sum(axis) for b in scaled) / count
    variance = sum(np.square(b - mean).sum(axis) for b in scaled) / count
    return np.ldexp(mean, exponent), np.ldexp(np.sqrt(variance), exponent)


def _blocks(
    x: np.ndarray, rows: np.ndarray | None, rounded: type | None = None
) -> Iterator[np.ndarray]:
    for start in range(0, len(x if rows is None else rows), BLOCK):
        part = slice(start, start + BLOCK)
        block = x[part if rows is None else rows[part]]
        yield block if rounded is None else block.astype(rounded)


def _filled(features: int, value: ArrayLike, dtype: type) -> np.ndarray:
    return np.broadcast_to(value, (features,)).astype(dtype)


def _type_of(array: object) -> object:
    return getattr(array, "dtype", type(array).__name__)
