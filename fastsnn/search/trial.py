"""One trial of a search: the options of a training and its results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np

from fastsnn.checks.scalars import is_finite, shown

TOO_DEEP = "trial: its options or figures are recursive or nested too deeply"
REQUIRED = {"number", "options", "figures", "error"}


@dataclass(frozen=True)
class Trial:
    """Finished trial of a search. Comparison ignores `seconds`.

    Attributes
    ----------
    number : int
        Position in the search, from 0.
    options : dict
        Options that the trial function was called with.
    figures : dict
        Result of the trial function, with NaN and infinity replaced by None; empty if the training
        diverged.
    error : str or None
        Message of the FloatingPointError if the training diverged, else None.
    seconds : float
        Duration of the trial.
    """

    number: int
    options: dict[str, Any]
    figures: dict[str, Any]
    error: str | None = None
    seconds: float = field(default=0.0, compare=False)

    @property
    def score(self) -> float | None:
        """``figures["score"]``, or None if it is missing or not finite; such trials rank last."""
        return self.figures.get("score")

    @classmethod
    def of(cls, record: Any) -> Trial:
        """Return the trial of a JSON object that `record` returned. Raises ValueError for any other
        object.
        """
        if not isinstance(record, dict) or not REQUIRED <= record.keys() <= REQUIRED | {"seconds"}:
            raise ValueError(
                f"number, options, figures and error are required, got {shown(record)}"
            )
        number, options, figures = record["number"], record["options"], record["figures"]
        if type(number) is not int or number < 0:
            raise ValueError(f"number must be an int >= 0, got {shown(number)}")
        if not isinstance(options, dict) or not isinstance(figures, dict):
            raise ValueError("options and figures must be objects")
        error, score = record["error"], figures.get("score")
        if not isinstance(error, str | None):
            raise ValueError(f"error must be a string or null, got {shown(error)}")
        if score is not None and not is_number(score):
            raise ValueError(f"the score must be a finite number or null, got {shown(score)}")
        if not is_number(record.get("seconds", 0.0)):
            raise ValueError(f"seconds must be a number, got {shown(record['seconds'])}")
        return cls(**record)

    def record(self) -> dict[str, Any]:
        """Return the trial as a JSON object; `Trial.of` is the inverse."""
        return {
            "number": self.number, "options": self.options, "figures": self.figures,
            "error": self.error, "seconds": self.seconds,
        }  # fmt: skip


def is_number(value: Any) -> bool:
    """Return True for a finite int or float, not a bool, as the score of a record must be."""
    return not isinstance(value, bool) and isinstance(value, int | float) and is_finite(value)


def key_of(options: Mapping[str, Any]) -> str:
    """Return the identity of a trial: its options as JSON, independent of their order."""
    try:
        return json.dumps(plain(options), sort_keys=True)
    except RecursionError:
        raise ValueError(TOO_DEEP) from None


def plain(value: Any) -> Any:
    """Return the value converted to JSON types, so that reading it back gives an equal value.

    Tuples and arrays become lists, NumPy scalars Python numbers, NaN and infinity None. Raises
    TypeError for other types, ValueError for recursive or deeply nested values.
    """
    try:
        return _plain(value)
    except RecursionError:
        raise ValueError(TOO_DEEP) from None


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return value if isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    raise TypeError(
        f"trial: numbers, strings, lists and dicts are required in options and figures, got "
        f"{type(value).__name__}"
    )
