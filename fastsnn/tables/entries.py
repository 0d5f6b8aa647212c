"""Check the entries of a stored recipe. Errors give the reason only."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from fastsnn.checks.scalars import is_finite, shown


def require_keys(entry: object, keys: Collection[str], where: str) -> Mapping[str, Any]:
    """Return an entry that is an object with exactly these keys."""
    if not isinstance(entry, dict) or entry.keys() != set(keys):
        raise ValueError(
            f"{where}: an object with {', '.join(keys)} is required, got {shown(entry)}"
        )
    return entry


def boolean(entry: Mapping[str, Any], key: str, where: str) -> bool:
    """Return a bool."""
    value = entry[key]
    if not isinstance(value, bool):
        raise ValueError(f"{where}: {key} must be true or false, got {shown(value)}")
    return value


def number(entry: Mapping[str, Any], key: str, where: str, positive: bool = False) -> float:
    """Return a finite number."""
    value = entry[key]
    if type(value) not in (int, float) or not is_finite(value):
        raise ValueError(f"{where}: {key} must be a finite number, got {shown(value)}")
    if positive and value <= 0:
        raise ValueError(f"{where}: {key} must be above 0, got {shown(value)}")
    return float(value)


def scale(entry: Mapping[str, Any], where: str) -> float | None:
    """Return a scale above 0, or None."""
    return None if entry["scale"] is None else number(entry, "scale", where, positive=True)


def text(value: object, key: str, where: str) -> str:
    """Return a string."""
    if not isinstance(value, str):
        raise ValueError(f"{where}: {key} must be text, got {shown(value)}")
    return value


def texts(entry: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    """Return a list of unique strings as a tuple."""
    values = entry[key]
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise ValueError(f"{where}: {key} must be a list of text, got {shown(values)}")
    if len(set(values)) < len(values):
        raise ValueError(f"{where}: {key} must be unique, got {shown(values)}")
    return tuple(values)
