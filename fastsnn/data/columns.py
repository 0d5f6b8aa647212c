"""Select the target and feature columns of a CSV file."""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from fastsnn.checks.scalars import listed, shown

Target = str | int | Sequence[str | int] | None
NO_HEADER = "has no header (if line 1 is a header, pass --header; in Python: header=True)"


def target_names(target: Target) -> list[str]:
    """Return the targets as a list of names and decimal indices; empty for None.

    For a string, the first entry is the whole string, because a single name may contain commas.
    Raises TypeError for anything but a `Target`, ValueError for an empty list.
    """
    if target is None:
        return []
    if isinstance(target, str):
        return [target, *(name.strip() for name in target.split(","))]
    if isinstance(target, bool):
        raise TypeError(f"target: must be a column name, an index or a list, got {target}")
    given: Any = target
    try:
        return [str(operator.index(given))]
    except TypeError:
        pass
    try:
        if isinstance(given, Set | Mapping):
            raise TypeError("it has no order")
        names = [n if isinstance(n, str) else str(operator.index(n)) for n in given]
    except TypeError as error:
        raise TypeError(
            "target: must be a column name, an index or a list of these, got "
            f"{shown(str(target))} ({type(target).__name__})"
        ) from error
    if not names:
        raise ValueError("target: must name at least one column, got an empty list")
    return names


def target_columns(
    path: Path, target: Target, header: Sequence[str] | None, width: int
) -> list[int]:
    """Return the indices of the target columns, by default the last.

    A string that is both a column name and an index is taken as the name.
    """
    if target is None:
        return [width - 1]
    names = target_names(target)
    at = first_at(header)
    if isinstance(target, str):
        names = names[:1] if target in at else names[1:]
    columns = []
    for name in names:
        if name in at:
            columns.append(at[name])
        elif re.fullmatch(r"-?[0-9]{1,18}", name) and -width <= int(name) < width:
            columns.append(int(name) % width)
        else:
            has = f"has the columns {listed(header)}" if header else NO_HEADER
            raise ValueError(
                f"{path}: the target must be a column name of the header or an index in "
                f"[{-width}, {width - 1}], got {shown(name)}; the file {has}"
            )
    if len(set(columns)) < len(columns):
        raise ValueError(f"{path}: target columns must be distinct, got {shown(str(target))}")
    return columns


def feature_columns(
    path: Path,
    header: Sequence[str] | None,
    width: int,
    targets: Sequence[int],
    wanted: Sequence[str] | None,
) -> list[int]:
    """Return the indices of the feature columns.

    These are the columns with the `wanted` names, in that order, if the file has a header and a
    model its feature names; otherwise all columns that are not targets.
    """
    if header and wanted:
        at = first_at(header)
        missing = [name for name in wanted if name not in at]
        if missing:
            raise ValueError(
                f"{path}: must have all {len(wanted)} feature columns of the model, lacks "
                f"{listed(missing)}; it has {listed(header)}"
            )
        columns = [at[name] for name in wanted]
        taken = set(columns)
        both = [header[i] for i in targets if i in taken]
        if both:
            raise ValueError(
                f"{path}: the column {shown(both[0])} is a feature of the model and cannot also be "
                "the target; name the target column"
            )
    else:
        taken = set(targets)
        columns = [i for i in range(width) if i not in taken]
    if not columns:
        raise ValueError(
            f"{path}: needs a feature column in addition to the target, has {width} column"
            f"{'s'[: width != 1]}; separate columns by comma, semicolon or tab"
        )
    if header:
        _require_names(path, header, [*columns, *targets])
    return columns


def first_at(names: Sequence[str] | None) -> dict[str, int]:
    """Return {name: index of its first occurrence}."""
    return {name: i for i, name in reversed(list(enumerate(names or ())))}


def _require_names(path: Path, header: Sequence[str], columns: Sequence[int]) -> None:
    times = Counter(header)
    for i in columns:
        if not header[i]:
            raise ValueError(
                f"{path}, header: column {i} (from 0) needs a name, the header has none; if it is "
                "a row number, remove it (pandas: to_csv(..., index=False)), else name it"
            )
        if times[header[i]] > 1:
            raise ValueError(
                f"{path}, header: column names must be unique, {shown(header[i])} occurs "
                f"{times[header[i]]} times; rename or remove the others"
            )
