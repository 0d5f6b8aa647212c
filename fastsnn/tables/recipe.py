"""`Recipe`: how the columns of a table become features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastsnn.checks.scalars import listed, shown
from fastsnn.tables import encode, learn
from fastsnn.tables.columns import Columns, names_of


@dataclass(frozen=True)
class Recipe:
    """Encoding of the columns of a table as features, learned from the training rows.

    `Recipe.fit` learns one. The features are in the order of the columns:

    * numeric: the number, scaled if `scaling` is "robust" (see `fit`; so are the days of a date). A
      missing value first becomes the median of the training rows.
    * boolean: 1 for true and 0 for false; a missing value becomes the more frequent one.
    * categorical: one feature per category, 1 in its rows. If the training rows have infrequent
      categories, one more is 1 for those and for unknown ones. If they have missing values, one
      more is 1 for those. Without such a feature, an unknown category is 0 in all features of the
      column, and a missing value counts as an unknown category.
    * date: days since 1970-01-01, and sine and cosine of those of the day of the year, the day of
      the week and the time of day that vary. A missing date has the median of the days, and 0 for
      sine and cosine.

    A numeric, boolean or date column with missing values in the training rows has one more feature,
    1 where the value is missing.

    Attributes
    ----------
    columns : tuple
        The encoding of each used column: name, kind ("numeric", "boolean", "categorical", "date")
        and what was learned.
    notes : tuple of str
        What was assumed or left out when it was learned, a line each. Not stored.

    Examples
    --------
    >>> table = {"carat": [0.2, 0.3, None], "cut": ["Ideal", "Good", "Ideal"]}
    >>> recipe = Recipe.fit(Columns.of(table))
    >>> recipe.feature_names
    ('carat', 'carat: missing', 'cut=Good', 'cut=Ideal')
    >>> recipe.transform({"carat": 0.5, "cut": "Good"})
    array([[0.5, 0. , 1. , 0. ]])
    """

    columns: tuple[Any, ...]
    notes: tuple[str, ...] = field(default=(), compare=False)
    _features: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _parts: tuple[tuple[Any, slice], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        parts, features = [], list[str]()
        for encoder in self.columns:
            start = len(features)
            features += encoder.features
            parts.append((encoder, slice(start, len(features))))
        object.__setattr__(self, "_features", _unique(features))
        object.__setattr__(self, "_parts", tuple(parts))

    def __repr__(self) -> str:
        found = list(self.kinds().values())
        counts = ", ".join(f"{found.count(kind)} {kind}" for kind in dict.fromkeys(found))
        return f"Recipe({len(found)} columns: {counts}; {len(self._features):,} features)"

    @classmethod
    def fit(
        cls,
        table: object,
        rows: np.ndarray | None = None,
        *,
        categorical: Iterable[str] = (),
        numeric: Iterable[str] = (),
        date: Iterable[str] = (),
        drop: Iterable[str] = (),
        max_categories: int = learn.MOST_CATEGORIES,
        min_frequency: int | None = None,
        scaling: str = "standard",
        date_patterns: Mapping[str, str] | None = None,
    ) -> Recipe:
        """Learn the recipe from a table.

        The kind of a column follows from its dtype. Text is numeric, boolean or a date if all its
        values are: numbers without leading zeros; one of the pairs true/false, yes/no, y/n, t/f;
        ISO dates. Other text is categorical. Columns that are constant or have no value are left
        out, and text that differs in nearly every row, like an identifier.

        Parameters
        ----------
        table : Columns, data frame, dict of columns, or list of dicts
            The table, without its targets.
        rows : numpy.ndarray of int, optional
            Indices of the training rows. Default: all rows.
        categorical, numeric, date : iterable of str
            Columns whose kind is given, whatever their values.
        drop : iterable of str
            Columns to leave out.
        max_categories : int >= 2
            Maximum features of a categorical column, that of missing values not counted. The most
            frequent categories stay, the first by name among equally frequent ones; the others
            share one feature, the bucket.
        min_frequency : int >= 1, optional
            Categories with fewer training rows share the bucket. Default: 1 % of the training rows,
            at most 10.
        scaling : {"standard", "robust"}
            "standard" leaves numbers as they are, for a `fastsnn.data.Standardizer`. "robust"
            gives ``z / sqrt(1 + (z / 3)**2)`` with z = (x - median) / interquartile range (half the
            range where that is 0). A missing value first becomes the median.
        date_patterns : dict of str to str, optional
            Formats, as for `datetime.datetime.strptime`, of date columns that are not ISO dates.

        Returns
        -------
        Recipe
            With notes about what was assumed or left out.

        Raises
        ------
        TypeError, ValueError
            If the table or an option is invalid, a value does not have the kind of its column, or
            most values of a column are numbers (or dates) and few are not, with an example.
        """
        columns = Columns.of(table)
        rows = None if rows is None else learn.checked_rows(rows, columns.n_rows)
        n_rows = columns.n_rows if rows is None else len(rows)
        given = {"categorical": categorical, "numeric": numeric, "date": date, "drop": drop}
        options = learn.Options.of(
            columns, n_rows, given, max_categories, min_frequency, scaling, date_patterns
        )
        return cls(*learn.learn(columns, rows, options))

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns that `transform` needs, in order."""
        return tuple(encoder.name for encoder in self.columns)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features that `transform` returns, such as "cut=Ideal"."""
        return self._features

    @property
    def date_patterns(self) -> dict[str, str]:
        """Formats of the date columns that have one, by name."""
        dates = (e for e in self.columns if e.kind == "date" and e.pattern is not None)
        return {encoder.name: encoder.pattern for encoder in dates}

    def kinds(self) -> dict[str, str]:
        """Return the kind of each column ("numeric", "boolean", "categorical", "date") by name."""
        return {encoder.name: encoder.kind for encoder in self.columns}

    def describe(self) -> list[dict[str, Any]]:
        """Return a dict per column: "name", "kind", "features" (how many), "learned" (text)."""
        return [
            {
                "name": encoder.name,
                "kind": encoder.kind,
                "features": len(encoder.features),
                "learned": encoder.describe(),
            }
            for encoder in self.columns
        ]

    def transform(self, table: object, where: str = "x") -> np.ndarray:
        """Return the features of a table.

        Parameters
        ----------
        table : Columns, data frame, dict of columns, dict of values (one row), or list of dicts
            A table with the columns of the training, in any order; others are ignored.
        where : str
            Name of the table, for errors.

        Returns
        -------
        numpy.ndarray
            float64 (n, len(feature_names)). Each row depends on that row of the table alone.

        Raises
        ------
        TypeError, ValueError
            If a column is missing, or a value does not have the kind of its column, with its place.
        """
        single = encode.features_of_one(table, self._parts, len(self._features), where)
        if single is not None:
            return single
        columns = Columns.of(table, where, self.column_names)
        for name in self.column_names:
            if name not in columns.arrays:
                raise ValueError(
                    f"{where}: the column {shown(name)} is required, the table has "
                    f"{listed(names_of(table)) or 'no columns'}; name its columns as in training"
                )
        if not columns.n_rows:
            raise ValueError(f"{where}: at least one row is required, got none")
        return encode.features_of(columns, self._parts, len(self._features), where)

    def to_dict(self) -> dict[str, Any]:
        """Return a description for JSON."""
        return {"columns": [encoder.to_dict() for encoder in self.columns]}

    @classmethod
    def of(cls, description: Mapping[str, Any]) -> Recipe:
        """Return the recipe of a description, a result of `to_dict`, checked entry by entry.

        Raises ValueError, with the reason and the column.
        """
        if not isinstance(description, dict) or description.keys() != {"columns"}:
            raise ValueError(
                f"recipe: an object with columns is required, got {shown(description)}"
            )
        found = description["columns"]
        if not isinstance(found, list) or not found:
            raise ValueError(f"recipe: columns must be a list with entries, got {shown(found)}")
        encoders = learn.read(found, "recipe")
        names = [encoder.name for encoder in encoders]
        if len(set(names)) < len(names):
            raise ValueError(f"recipe: names of columns must be unique, got {listed(names)}")
        return cls(encoders)


def _unique(names: list[str]) -> tuple[str, ...]:
    """Return the names with " (2)" and so on added to repeated ones."""
    if len(set(names)) == len(names):
        return tuple(names)
    found: dict[str, None] = {}
    for name in names:
        number, candidate = 1, name
        while candidate in found:
            number += 1
            candidate = f"{name} ({number})"
        found[candidate] = None
    return tuple(found)
