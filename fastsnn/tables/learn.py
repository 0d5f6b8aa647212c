"""Learn a recipe: options, kinds, columns to leave out, and notes about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastsnn.checks.scalars import integer, listed, shown
from fastsnn.tables import kinds
from fastsnn.tables.boolean import Boolean, truth
from fastsnn.tables.categorical import Categorical, count
from fastsnn.tables.columns import Columns
from fastsnn.tables.dates import Date, instants, require_pattern
from fastsnn.tables.numeric import Numeric, numbers
from fastsnn.tables.place import Place

Encoder = Numeric | Boolean | Categorical | Date
SCALING = ("standard", "robust")
# Flights (39,000 rows, 3,500 tail numbers): mean test RMSE of three splits is 16.5 without the tail
# numbers, 16.6 with 20 features for them, 16.9 with 100, 17.7 with 400.
MOST_CATEGORIES = 100
# Standardized, a category of k of n rows is about sqrt(n / k) in those rows: with these limits at
# most 10 for tables up to 1,000 rows. Fewer than 10 rows say little about a category. Mean test
# RMSE of four splits, 4 layers of 64 units: Ames housing 26,600, with every category 29,800;
# flights (6,000 rows, with tail numbers) 17.4, with every category 18.0.
SHARE, ENOUGH = 0.01, 10


@dataclass(frozen=True)
class Options:
    """Options of `Recipe.fit`, checked against the names of the columns."""

    kind: dict[str, str]  # of the columns whose kind is given
    drop: frozenset[str]
    most: int
    least: int
    robust: bool
    patterns: Mapping[str, str]

    @classmethod
    def of(
        cls,
        columns: Columns,
        n_rows: int,
        given: Mapping[str, object],
        most: object,
        least: object,
        scaling: object,
        patterns: Mapping[str, str] | None,
    ) -> Options:
        """Check the options. given: names of columns by kind, and under "drop". Raises TypeError or
        ValueError.
        """
        seen: dict[str, str] = {}
        for option, names in given.items():
            if isinstance(names, str) or not isinstance(names, Iterable):
                raise TypeError(
                    f"recipe: {option} must be a list of column names, got {shown(names)}"
                )
            for name in names:
                if name not in columns:
                    raise ValueError(
                        f"recipe: {option}: there is no column {shown(name)}; the table has "
                        f"{listed(columns)}"
                    )
                if name in seen:
                    raise ValueError(
                        f"recipe: the column {shown(name)} is given twice, as {seen[name]} and as "
                        f"{option}"
                    )
                seen[name] = option
        if scaling not in SCALING:
            raise ValueError(
                f"recipe: scaling must be one of {', '.join(SCALING)}, got {shown(scaling)}"
            )
        for name, pattern in (patterns or {}).items():
            require_pattern(pattern, f"recipe: {shown(name)}")
        smallest = min(ENOUGH, -(-n_rows // round(1 / SHARE)))
        return cls(
            {name: option for name, option in seen.items() if option != "drop"},
            frozenset(name for name, option in seen.items() if option == "drop"),
            integer(most, "recipe: max_categories", 2),
            smallest if least is None else integer(least, "recipe: min_frequency", 1),
            scaling == "robust",
            patterns or {},
        )


@dataclass
class Notes:
    """Names of columns about which there is a note, by the text of the note."""

    columns: dict[str, list[str]] = field(default_factory=dict)
    single: list[str] = field(default_factory=list)

    def add(self, text: str, name: str) -> None:
        """Add a column to the note with this text."""
        self.columns.setdefault(text, []).append(name)

    def lines(self) -> tuple[str, ...]:
        """Return the notes, one line each."""
        lines = (f"{text}: {listed(names, 20)}" for text, names in self.columns.items())
        return (*lines, *self.single)


EMPTY = "left out, no values"
CONSTANT = "left out, constant"
RARE = "left out, each category has fewer rows than min_frequency"
IDENTIFIER = "left out, like an identifier (text that differs in nearly every row)"
COUNTER = "like an identifier (integers that count up), kept as a number; drop it unless it matters"


def checked_rows(rows: object, n: int) -> np.ndarray:
    """Return indices of rows of a table of n rows. Raises TypeError or ValueError."""
    found = np.asarray(rows)
    if found.dtype.kind not in "iu" and found.size:
        raise TypeError(
            f"recipe: rows must be indices, int, got {found.dtype}; use numpy.flatnonzero"
        )
    if found.ndim != 1 or not found.size:
        raise ValueError(f"recipe: rows must be indices of shape (n,), n > 0, got {found.shape}")
    if found.min() < 0 or found.max() >= n:
        raise ValueError(f"recipe: rows must be in [0, {n:,}), got {found.min()} to {found.max()}")
    return found


def learn(
    columns: Columns, rows: np.ndarray | None, options: Options
) -> tuple[tuple[Encoder, ...], tuple[str, ...]]:
    """Return the encodings learned from these rows, and the notes."""
    notes, found = Notes(), list[Encoder]()
    if rows is not None:
        rows = np.sort(rows)  # the order of the table, for `is_identifier`
    for name, values in columns.items():
        if name in options.drop:
            continue
        values = values if rows is None else values[rows]
        place = Place("recipe", name, columns.lines, rows)
        if kinds.is_empty(values):
            notes.add(EMPTY, name)
        elif kinds.is_constant(values):
            notes.add(CONSTANT, name)
        else:
            declared = "categorical" if name in columns.categorical else None
            kind = options.kind.get(name) or declared or kinds.infer(values, place)
            if name not in options.kind and kinds.is_identifier(values, kind):
                notes.add(IDENTIFIER if kind == "categorical" else COUNTER, name)
                if kind == "categorical":
                    continue
            encoder = _fit(kind, name, values, options, place)
            if isinstance(encoder, Categorical):
                if len(encoder.features) < 2:
                    notes.add(RARE, name)
                    continue
                _note_bucket(encoder, options, notes)
            found.append(encoder)
    if not found:
        raise ValueError(
            f"recipe: no column is left to learn from; {'; '.join(notes.lines()) or 'drop fewer'}"
        )
    return tuple(found), notes.lines()


def _fit(kind: str, name: str, values: np.ndarray, options: Options, place: Place) -> Encoder:
    if kind == "numeric":
        return Numeric.fit(name, numbers(values, place), options.robust)
    if kind == "boolean":
        return Boolean.fit(name, truth(values, place))
    if kind == "date":
        pattern = options.patterns.get(name)
        return Date.fit(name, instants(values, place, pattern), options.robust, pattern)
    return Categorical.fit(name, count(values), options.most, options.least)


def _note_bucket(encoder: Categorical, options: Options, notes: Notes) -> None:
    """Add a note if the limit on categories decides which ones have a feature."""
    kept, others = len(encoder.categories), encoder.infrequent
    if others and kept == options.most - 1:
        notes.single.append(
            f"{shown(encoder.name)} has {kept + others:,} categories: the {kept:,} most frequent "
            f"have a feature each, the other {others:,} share one"
        )


def read(entries: Sequence[Any], where: str) -> tuple[Encoder, ...]:
    """Return the encodings of descriptions. Raises ValueError for an invalid one."""
    classes: dict[str, Any] = {c.kind: c for c in (Numeric, Boolean, Categorical, Date)}
    found: list[Encoder] = []
    for index, entry in enumerate(entries):
        at = f"{where}, column {index}"
        kind = entry.get("kind") if isinstance(entry, dict) else None
        if not isinstance(kind, str) or kind not in classes:
            raise ValueError(f"{at}: kind must be one of {', '.join(classes)}, got {shown(kind)}")
        found.append(classes[kind].of(entry, at))
    return tuple(found)
