"""`Recipe`: how the columns of a table become features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastsnn.tables.columns import Columns


@dataclass(frozen=True)
class Recipe:
    """Encoding of the columns of a table as features, learned from the training rows.

    Attributes
    ----------
    columns : tuple
        The encoding of each used column: name, kind ("numeric", "boolean", "categorical", "date")
        and what was learned.
    notes : tuple of str
        What was assumed or left out when it was learned, a line each. Not stored.
    """

    columns: tuple[Any, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls,
        columns: Columns,
        rows: np.ndarray | None = None,
        *,
        categorical: Sequence[str] = (),
        numeric: Sequence[str] = (),
        date: Sequence[str] = (),
        drop: Sequence[str] = (),
        max_categories: int = 100,
        min_frequency: int = 1,
        scaling: str = "standard",
    ) -> Recipe:
        """Learn the recipe from these rows (indices; default: all) of the columns."""
        raise NotImplementedError

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns that `transform` needs, in order."""
        raise NotImplementedError

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features that `transform` returns, such as "cut=Ideal"."""
        raise NotImplementedError

    def kinds(self) -> dict[str, str]:
        """Return the kind of each column by name, for a reader of files."""
        raise NotImplementedError

    def transform(self, table: object, where: str = "x") -> np.ndarray:
        """Return the features, float64 (n, len(feature_names)), of anything `Columns.of` reads."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Return a description for JSON."""
        raise NotImplementedError

    @classmethod
    def of(cls, description: Mapping[str, Any]) -> Recipe:
        """Return the recipe of a description, which is checked entry by entry."""
        raise NotImplementedError
