"""Categorical columns: one-hot, with a bucket for infrequent and unknown categories."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from fastsnn.checks.scalars import listed, shown
from fastsnn.tables import cells, entries
from fastsnn.tables.dates import iso
from fastsnn.tables.place import Place
from fastsnn.tables.values import date_text

NOWHERE = -1  # code of a value without a feature
_WHOLE = re.compile(r"(-?(?:0|[1-9]\d*))\.0+")


def category_names(values: np.ndarray) -> tuple[list[str | None], np.ndarray | None]:
    """Return the values of a column as names, None for a missing value, and the index of each row.

    Text is returned row by row with the index None. Numbers have their canonical names, "1" for 1
    and 1.0; booleans are "true" and "false", dates are in ISO format.
    """
    if values.dtype.kind == "O":
        return values.tolist(), None
    found, index = np.unique(values, return_inverse=True)
    if values.dtype.kind == "M":
        missing, names = np.isnat(found), [date_text(v) for v in found]
    elif values.dtype.kind == "b":
        missing, names = np.zeros(len(found), bool), [str(v).lower() for v in found.tolist()]
    else:
        missing = np.isnan(found)
        names = [cells.number_name(v) if abs(v) < np.inf else str(v) for v in found.tolist()]
    return [None if m else n for m, n in zip(missing, names, strict=True)], index


def count(values: np.ndarray) -> Counter[str | None]:
    """Return the number of rows of each category; that of missing values under None."""
    names, index = category_names(values)
    if index is None:
        return Counter(names)
    found: Counter[str | None] = Counter()
    for name, rows in zip(names, np.bincount(index.ravel()).tolist(), strict=True):
        found[name] += rows
    return found


def _clean(name: str | None, numbers: bool) -> str | None:
    """Return a name without outer spaces; None for a missing value, with `numbers` the canonical
    name of a number.
    """
    if name is None or cells.is_missing(name):
        return None
    name = name.strip()
    return cells.number_name(name) if numbers and cells.is_finite(name) else name


def _usual(name: str, numbers: bool) -> str:
    """Return the usual spelling of a value: "true" for "True", "1" for "1.0", "2020-01-31" for
    "2020-01-31T00:00:00"; with `numbers` the canonical name of a number.
    """
    if numbers and cells.is_finite(name):
        return cells.number_name(name)
    if name.lower() in ("true", "false"):
        return name.lower()
    if (whole := _WHOLE.fullmatch(name)) is not None:
        return whole[1]
    date = iso(name)
    return name if date is None else date_text(date)


@dataclass(frozen=True)
class Categorical:
    """One-hot encoding of a categorical column.

    The features are those of the `categories`, then that of the bucket, then that of missing
    values. A row has 1 in one of them. Unknown categories, and missing values if training rows had
    none, are in the bucket; without a bucket, all features of the row are 0, as with
    ``OneHotEncoder(handle_unknown="infrequent_if_exist")`` of scikit-learn. Values that are
    spelled differently in another source are recognized: True and "true", 1.0 and "1", a date and
    its ISO text.

    Parameters
    ----------
    name : str
    categories : tuple of str
        The categories with a feature of their own, numbers by value and then text.
    infrequent : int
        Number of other categories of the training rows, which share one feature, the bucket. 0: no
        bucket.
    missing : bool
        True if training rows have missing values; they get a feature of their own.
    numbers : bool
        True if all categories are numbers, which have several spellings: "1.0" is then "1".
    """

    name: str
    categories: tuple[str, ...]
    infrequent: int
    missing: bool
    numbers: bool
    _code: dict[str | None, int] = field(init=False, repr=False, compare=False)
    _unknown: int = field(init=False, repr=False, compare=False)
    _usual: dict[str, int] = field(init=False, repr=False, compare=False)

    kind: ClassVar[str] = "categorical"
    KEYS: ClassVar = ("kind", "name", "categories", "infrequent", "missing", "numbers")

    def __post_init__(self) -> None:
        code: dict[str | None, int] = {name: i for i, name in enumerate(self.categories)}
        unknown = len(code) if self.infrequent else NOWHERE
        code[None] = len(code) + bool(self.infrequent) if self.missing else unknown
        object.__setattr__(self, "_code", code)
        object.__setattr__(self, "_unknown", unknown)
        usual: dict[str, int] = {}
        for i, name in enumerate(self.categories):
            usual.setdefault(_usual(name, self.numbers), i)
        object.__setattr__(self, "_usual", usual)

    @classmethod
    def fit(cls, name: str, counts: Mapping[str | None, int], most: int, least: int) -> Categorical:
        """Learn from the number of rows of each category.

        most: maximum features without that of missing values; least: minimum rows of a category
        with a feature of its own. Among equally frequent categories, the first by name stay.
        """
        names = [n for n in counts if n is not None and not cells.is_missing(n)]
        numbers = all(cells.is_finite(n) and not cells.is_code(n) for n in names)
        merged: Counter[str | None] = Counter()
        for spelling, rows in counts.items():
            merged[_clean(spelling, numbers)] += rows
        present = {n: rows for n, rows in merged.items() if n is not None}
        order = sorted(present, key=lambda n: (-present[n], cells.class_order(n)))
        kept = [n for n in order if present[n] >= least]
        if len(kept) > most or (len(kept) == most and len(kept) < len(order)):
            kept = kept[: most - 1]
        kept.sort(key=cells.class_order)
        return cls(name, tuple(kept), len(order) - len(kept), None in merged, numbers)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features."""
        names = [f"{self.name}={category}" for category in self.categories]
        if self.infrequent:
            names.append(f"{self.name}: other")
        return (*names, f"{self.name}: missing") if self.missing else tuple(names)

    def read(self, values: np.ndarray, place: Place) -> np.ndarray:
        """Return the number of the feature of each value, or `NOWHERE`; see `Numeric.read`."""
        names, index = category_names(values)
        known = self._code
        more = {name: self._find(name) for name in set(names) - known.keys()}
        if more:
            known = known | more
        codes = np.fromiter(map(known.__getitem__, names), np.intp, len(names))
        return codes if index is None else codes[index.ravel()]

    def _find(self, name: str | None) -> int:
        """Return the code of a name that is not one of `categories` as it is spelled."""
        name = _clean(name, False)
        if name is None or name in self._code:
            return self._code[name]
        return self._usual.get(_usual(name, self.numbers), self._unknown)

    def write(self, codes: np.ndarray, out: np.ndarray) -> None:
        """Write the features of values of `read`; see `Numeric.write`."""
        out[...] = 0
        if self._unknown == NOWHERE:
            rows = np.flatnonzero(codes >= 0)
            out[rows, codes[rows]] = 1
        else:
            out[np.arange(len(codes)), codes] = 1

    def write_plain(self, value: object, row: list[float], start: int) -> bool:
        """Write the features of one plain value; see `Numeric.write_plain`."""
        if value is not None and type(value) is not str:
            return False
        code = self._code.get(value)
        if code is None:
            code = self._find(value)
        if code != NOWHERE:
            row[start + code] = 1.0
        return True

    def describe(self) -> str:
        """Return what was learned, for a person."""
        known = len(self.categories) + self.infrequent
        found = f"{known:,} categories ({listed(self.categories, 4)})"
        if self.infrequent:
            found += f", {self.infrequent:,} of them in the bucket"
        return f"{found}{', missing values' if self.missing else ''}"

    def to_dict(self) -> dict[str, Any]:
        """Return a description for JSON."""
        entry = {key: getattr(self, key) for key in self.KEYS}
        return entry | {"categories": list(self.categories)}

    @classmethod
    def of(cls, entry: Mapping[str, Any], where: str) -> Categorical:
        """Return the encoding of a description, which is checked."""
        entries.require_keys(entry, cls.KEYS, where)
        infrequent = entry["infrequent"]
        if type(infrequent) is not int or not 0 <= infrequent < 2**53:
            raise ValueError(f"{where}: infrequent must be an int >= 0, got {shown(infrequent)}")
        found = cls(
            entries.text(entry["name"], "name", where),
            entries.texts(entry, "categories", where),
            infrequent,
            entries.boolean(entry, "missing", where),
            entries.boolean(entry, "numbers", where),
        )
        if not found.features:
            raise ValueError(f"{where}: at least one category is required")
        return found
