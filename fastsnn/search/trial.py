"""One training of a search: its options, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Trial:
    """A finished trial; equal where all but the time is equal.

    number: its place in the search. options: what was tried. figures: what the trial function
    returned, NaN and infinity as None; empty where the training diverged. error: how it did, or
    None. seconds: of the training.
    """

    number: int
    options: dict[str, Any]
    figures: dict[str, Any]
    error: str | None = None
    seconds: float = field(default=0.0, compare=False)

    @property
    def score(self) -> float | None:
        """The figure "score"; None ranks worst."""
        return self.figures.get("score")

    def record(self) -> dict[str, Any]:
        """As a JSON object; `Trial(**record)` is the trial again."""
        return {
            "number": self.number, "options": self.options, "figures": self.figures,
            "error": self.error, "seconds": self.seconds,
        }  # fmt: skip


def key_of(options: Mapping[str, Any]) -> str:
    """What identifies a trial: its options as JSON, whatever their order."""
    return json.dumps(plain(options), sort_keys=True)


def plain(value: Any) -> Any:
    """With JSON's types alone, so that what is read back is equal: tuples and arrays become lists,
    NumPy's numbers Python's, NaN and infinity None. Raises TypeError for anything else.
    """
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return value if isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    raise TypeError(
        f"trial: numbers, texts, lists and dicts are required in options and figures, got "
        f"{type(value).__name__}"
    )
