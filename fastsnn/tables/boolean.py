"""Boolean columns: 0 and 1, with an indicator of missing values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fastsnn.checks.scalars import shown
from fastsnn.tables import cells, entries
from fastsnn.tables.place import Place
from fastsnn.tables.values import distinct, missing

PAIRS = (("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"))
TRUTH = {word: float(value) for pair in PAIRS for value, word in enumerate(pair)}


def truth(values: np.ndarray, place: Place) -> np.ndarray:
    """Return a column as 0, 1 and NaN (missing).

    Text must be one of the words of `PAIRS`, in any case, or a number; numbers must be 0 or 1.
    Raises ValueError for other values.
    """
    if values.dtype.kind == "b":
        return values.astype(np.float64)
    if values.dtype.kind == "O":
        read = distinct(values, _truth, np.float64)
        wrong = np.isnan(read) & ~missing(values)
    elif values.dtype.kind in "iuf":
        read = values.astype(np.float64)
        wrong = ~((read == 0) | (read == 1) | np.isnan(read))
    else:
        read, wrong = values, np.ones(len(values), bool)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"{place.at(row)}: true or false, yes or no, 1 or 0 is required, got "
            f"{shown(values[row])}"
        )
    return read


def _truth(value: str | None) -> float:
    if value is None:
        return np.nan
    number = TRUTH.get(value.lower(), cells.number(value))
    return number if number in (0, 1) else np.nan


@dataclass(frozen=True)
class Boolean:
    """Encoding of a boolean column: 1 for true, 0 for false; and 1 where it is missing.

    Parameters
    ----------
    name : str
    usual : bool
        The more frequent value of the training rows, for missing values.
    gaps : bool
        True if training rows have missing values; they get a feature of their own.
    """

    name: str
    usual: bool
    gaps: bool

    kind: ClassVar[str] = "boolean"
    KEYS: ClassVar = ("kind", "name", "usual", "gaps")

    @classmethod
    def fit(cls, name: str, values: np.ndarray) -> Boolean:
        """Learn from 0, 1 and NaN."""
        gaps = np.isnan(values)
        return cls(name, bool(values[~gaps].mean() > 0.5), bool(gaps.any()))

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features."""
        return (self.name, f"{self.name}: missing") if self.gaps else (self.name,)

    def read(self, values: np.ndarray, place: Place) -> np.ndarray:
        """Return the values of a column as `write` takes them; see `Numeric.read`."""
        return truth(values, place)

    def write(self, values: np.ndarray, out: np.ndarray) -> None:
        """Write the features of values of `read`; see `Numeric.write`."""
        gaps = np.isnan(values)
        out[:, 0] = np.where(gaps, float(self.usual), values)
        if self.gaps:
            out[:, 1] = gaps

    def write_plain(self, value: object, row: list[float], start: int) -> bool:
        """Write the features of one plain value; see `Numeric.write_plain`."""
        if value is None:
            row[start] = float(self.usual)
            if self.gaps:
                row[start + 1] = 1.0
        elif type(value) is bool:
            row[start] = float(value)
        elif type(value) is str and value in TRUTH:
            row[start] = TRUTH[value]
        else:
            return False
        return True

    def describe(self) -> str:
        """Return what was learned, for a person."""
        usual = "true" if self.usual else "false"
        return f"mostly {usual}{', missing values' if self.gaps else ''}"

    def to_dict(self) -> dict[str, Any]:
        """Return a description for JSON."""
        return {key: getattr(self, key) for key in self.KEYS}

    @classmethod
    def of(cls, entry: Mapping[str, Any], where: str) -> Boolean:
        """Return the encoding of a description, which is checked."""
        entries.require_keys(entry, cls.KEYS, where)
        return cls(
            entries.text(entry["name"], "name", where),
            entries.boolean(entry, "usual", where),
            entries.boolean(entry, "gaps", where),
        )
