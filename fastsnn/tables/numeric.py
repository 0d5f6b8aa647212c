"""Numeric columns: imputed by the median, with an indicator of missing values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any, ClassVar

import numpy as np

from fastsnn.checks.scalars import shown
from fastsnn.tables import cells, entries
from fastsnn.tables.place import Place
from fastsnn.tables.values import distinct, missing

BEYOND = 1e100  # its square is within float64, and z / sqrt(1 + (z / CLIP)^2) is CLIP
CLIP = 3.0  # bound of the smooth clipping: x / sqrt(1 + (x / CLIP)^2)


def numbers(values: np.ndarray, place: Place) -> np.ndarray:
    """Return a column as numbers; NaN is a missing value. Text is read as numbers.

    Raises TypeError or ValueError for values that are not numbers, and infinite ones.
    """
    kind = values.dtype.kind
    if kind == "f":
        if not np.isfinite(values).all():
            infinite = np.isinf(values)
            if infinite.any():
                row = int(infinite.argmax())
                raise ValueError(
                    f"{place.at(row)}: finite numbers are required, got {values[row]}; correct or "
                    "remove such rows"
                )
        return values
    if kind in "iub":
        return values.astype(np.float64)
    if kind == "M":
        raise TypeError(f"{place}: numbers are required, got dates")
    read = distinct(values, _number, np.float64)
    if not (np.abs(read) < np.inf).all():
        wrong = ~(np.abs(read) < np.inf) & ~missing(values)
        if wrong.any():
            row = int(wrong.argmax())
            raise ValueError(
                f"{place.at(row)}: a number is required, got {shown(values[row])}; correct it"
            )
    return read


def _number(value: str | None) -> float:
    number = None if value is None else cells.number(value)
    return np.nan if number is None else number


@dataclass(frozen=True)
class Numeric:
    """Encoding of a numeric column: the value, and 1 where it is missing.

    Parameters
    ----------
    name : str
    median : float
        Median of the training rows, for missing values.
    gaps : bool
        True if training rows have missing values; they get a feature of their own.
    scale : float, optional
        Interquartile range of the training rows, or half their range where it is 0, of robust
        scaling: z = (x - median) / scale, then z / sqrt(1 + (z / 3)^2), within (-3, 3) (Holzmueller
        et al. 2024, RealMLP). Default: values are not changed.
    """

    name: str
    median: float
    gaps: bool
    scale: float | None = None

    kind: ClassVar[str] = "numeric"
    KEYS: ClassVar = ("kind", "name", "median", "gaps", "scale")

    @classmethod
    def fit(cls, name: str, values: np.ndarray, robust: bool) -> Numeric:
        """Learn from numbers with NaN, of which at least one is not NaN."""
        known = values[~np.isnan(values)]
        low, median, high = (float(q) for q in np.quantile(known, (0.25, 0.5, 0.75)))
        scale = None
        if robust:
            scale = high - low or (float(known.max()) - float(known.min())) / 2 or 1.0
        return cls(name, median, known.size < values.size, scale)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features."""
        return (self.name, f"{self.name}: missing") if self.gaps else (self.name,)

    def read(self, values: np.ndarray, place: Place) -> np.ndarray:
        """Return the values of a column as `write` takes them. Raises an error for invalid ones."""
        return numbers(values, place)

    def write(self, values: np.ndarray, out: np.ndarray) -> None:
        """Write the features of n values of `read` to `out`, float64 (n, len(features))."""
        x = out[:, 0]
        x[...] = values
        if self.gaps:
            gaps = np.isnan(values)
            x[gaps] = self.median
            out[:, 1] = gaps
        elif not np.isfinite(x).all():
            x[np.isnan(values)] = self.median
        if self.scale is not None:
            with np.errstate(over="ignore"):
                z = np.clip((x - self.median) / self.scale, -BEYOND, BEYOND)
            x[...] = z / np.sqrt(1.0 + (z / CLIP) * (z / CLIP))

    def write_plain(self, value: object, row: list[float], start: int) -> bool:
        """Write the features of one plain value to row[start:], which is 0, with the bits of
        `write`. Return False, and write nothing, if the value needs `read` and `write`.
        """
        if value is None:
            x = self.median
            if self.gaps:
                row[start + 1] = 1.0
        elif type(value) is float or type(value) is int:
            if not -BEYOND < value < BEYOND:
                return False
            x = float(value)
        else:
            return False
        if self.scale is not None:
            z = min(max((x - self.median) / self.scale, -BEYOND), BEYOND)
            x = z / sqrt(1.0 + (z / CLIP) * (z / CLIP))
        row[start] = x
        return True

    def describe(self) -> str:
        """Return what was learned, for a person."""
        robust = "" if self.scale is None else f", scale {self.scale:.6g}, clipped"
        return f"median {self.median:.6g}{robust}{', missing values' if self.gaps else ''}"

    def to_dict(self) -> dict[str, Any]:
        """Return a description for JSON."""
        return {key: getattr(self, key) for key in self.KEYS}

    @classmethod
    def of(cls, entry: Mapping[str, Any], where: str) -> Numeric:
        """Return the encoding of a description, which is checked."""
        entries.require_keys(entry, cls.KEYS, where)
        return cls(
            entries.text(entry["name"], "name", where),
            entries.number(entry, "median", where),
            entries.boolean(entry, "gaps", where),
            entries.scale(entry, where),
        )
