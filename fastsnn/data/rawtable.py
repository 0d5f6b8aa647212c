"""Read tables with text, gaps, booleans and dates: columns that are not encoded yet."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fastsnn.checks.scalars import listed, shown
from fastsnn.data.columns import Target, feature_columns, first_at, target_columns, target_names
from fastsnn.data.files import require_file
from fastsnn.data.limits import table_limit
from fastsnn.data.rawcells import read_cells
from fastsnn.data.rawheader import is_header
from fastsnn.data.targets import Column, encode, infer_task
from fastsnn.tables import Columns, reader
from fastsnn.tables.cells import is_missing
from fastsnn.tables.learn import MOST_CATEGORIES
from fastsnn.tables.typed import Typed, convert, infer

TYPED = (*reader.PARQUET, *reader.JSON)  # endings of files that have types
Names = str | Sequence[str] | None  # None: none


@dataclass(frozen=True)
class Encoding:
    """Options of `Recipe.fit`."""

    categorical: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    date: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    max_categories: int = MOST_CATEGORIES
    min_frequency: int | None = None
    scaling: str = "standard"

    @classmethod
    def of(
        cls, categorical: Names, numeric: Names, date: Names, drop: Names, **more: Any
    ) -> Encoding:
        """Return the options. Names of columns are a list, or text in which commas divide them."""
        return cls(
            split_names(categorical, "categorical"), split_names(numeric, "numeric"),
            split_names(date, "date"), split_names(drop, "drop"), **more,
        )  # fmt: skip

    def given(self) -> list[str]:
        """Return the names of the options that differ from their defaults."""
        default = type(self).__dataclass_fields__
        return [n for n in default if getattr(self, n) != default[n].default]


@dataclass(frozen=True, eq=False)
class RawTable:
    """Content of a file with n rows, not encoded.

    columns: the features. y: as in `Table`. class_names, target_names: as in `Table`. patterns:
    formats of dates that are not ISO dates, by column. found: what was detected, for messages.
    left_out: number of rows without a target, which are left out.
    """

    columns: Columns
    task: str
    y: np.ndarray
    class_names: tuple[str, ...] | None
    target_names: tuple[str, ...]
    found: str
    left_out: int = 0
    patterns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _File:
    """Columns of a file by index: `names`, and text cells or typed values (n,)."""

    names: list[str]
    arrays: list[np.ndarray]
    header: bool
    lines: np.ndarray | None
    found: list[str]


def split_names(names: Names, option: str) -> tuple[str, ...]:
    """Return names of columns; text is divided at commas, as a line of a CSV file with quotes.

    Raises TypeError or ValueError, which begin with `option`, for anything else.
    """
    if names is None:
        return ()
    if isinstance(names, str):
        try:
            found = next(csv.reader([names], skipinitialspace=True, strict=True), [])
        except csv.Error as error:
            raise ValueError(
                f"{option}: names of columns, joined by commas, are required, got {shown(names)}; "
                'write a name with a comma as "a, b"'
            ) from error
        names = [name.strip() for name in found]
        if not all(names):
            raise ValueError(f"{option}: names of columns must not be empty, got {shown(names)}")
    if not isinstance(names, list | tuple) or not all(isinstance(n, str) for n in names):
        raise TypeError(f"{option}: names of columns are required, got {shown(names)}")
    return tuple(dict.fromkeys(names))


def read_raw(
    path: Path,
    target: Target = None,
    task: str = "auto",
    *,
    header: bool | None = None,
    class_names: Sequence[str] | None = None,
    encoding: Encoding | None = None,
    needed: bool = True,
) -> RawTable:
    """Read a table for training. The parameters are those of `fastsnn.data.load`.

    Raises ValueError, with line and column, for a file that is no table, and for invalid targets.
    If DuckDB is not installed, RuntimeError, or with ``needed=False`` ModuleNotFoundError after a
    trial by Python that found no fault.
    """
    if needed:
        reader.require(path)
    encoding = encoding or Encoding()
    asked = target_names(target)
    file = _read(path, header, asked, None)
    width = len(file.names)
    targets = target_columns(path, target, file.names if file.header else None, width)
    names = file.names if file.header else None
    features = feature_columns(path, names, width, targets, None)
    numbers = targets if task != "classification" else []
    arrays, patterns, words = _infer(path, file, features, numbers, encoding)
    columns = Columns(arrays, file.lines)
    table = _labelled(path, file, columns, targets, task, class_names, patterns, words)
    if not reader.installed():
        raise ModuleNotFoundError("duckdb")
    return table


def read_known(
    path: Path,
    kinds: Mapping[str, str],
    header: bool | None = None,
) -> tuple[Columns, list[str]]:
    """Return (columns of a recipe, names of other columns) of a file for a prediction.

    kinds: kind of each column, see `Recipe.kinds`. Columns are found by name, in any order. Without
    DuckDB, CSV files are read by Python.

    Raises ValueError, which names them, if columns are missing.
    """
    file = _read(path, header, (), list(kinds))
    return _known(path, file, kinds), [name for name in file.names if name not in kinds]


def read_labelled(
    path: Path,
    kinds: Mapping[str, str],
    target: Target,
    task: str,
    class_names: Sequence[str] | None,
    header: bool | None = None,
) -> tuple[RawTable, list[str]]:
    """Return (labelled table, names of unused columns) of a file for the evaluation of a model."""
    file = _read(path, header, target_names(target), list(kinds))
    names = file.names if file.header else None
    targets = target_columns(path, target, names, len(file.names))
    both = [file.names[i] for i in targets if file.names[i] in kinds]
    if both:
        raise ValueError(
            f"{path}: the column {shown(both[0])} is a feature of the model and cannot also be "
            "the target; name the target column"
        )
    columns = _known(path, file, kinds)
    used = {*kinds, *(file.names[i] for i in targets)}
    table = _labelled(path, file, columns, targets, task, class_names, {}, [])
    return table, [name for name in file.names if name not in used]


def _read(
    path: Path, header: bool | None, asked: Sequence[str], wanted: Sequence[str] | None
) -> _File:
    """Return the columns of a file. wanted: names that a model needs; None for training."""
    require_file(path)
    if path.name.lower().endswith(TYPED):
        if header is not None:
            raise ValueError(
                f"{path}: header applies only to CSV files, got {header}; leave it out"
            )
        try:
            arrays = reader.typed(path, table_limit(path))
        except reader.Unreadable as error:
            raise ValueError(f"{path}: could not be read ({error}); correct it") from error
        if not arrays or not len(next(iter(arrays.values()))):
            raise ValueError(f"{path}: must have at least one row of data, is empty")
        kind = "Parquet" if path.name.lower().endswith(reader.PARQUET) else "JSON"
        return _File(list(arrays), list(arrays.values()), True, None, [kind])
    cells = read_cells(path)
    first = [column[0] or "" for column in cells.columns]
    rows = [column[1:] for column in cells.columns]
    named = is_header(f"{path}, line {cells.lines[0]}", first, rows, header, asked, wanted)
    if not named:
        indices = [str(i) for i in range(len(first))]
        return _File(indices, cells.columns, False, cells.lines, ["no header", *cells.found])
    if len(cells.lines) == 1:
        raise ValueError(f"{path}: must have at least one row of data, has a header only")
    names = [name.strip() for name in first]
    return _File(names, rows, True, cells.lines[1:], ["header", *cells.found])


def _infer(
    path: Path, file: _File, features: Sequence[int], targets: Sequence[int], encoding: Encoding
) -> tuple[dict[str, np.ndarray], dict[str, str], list[str]]:
    """Return (columns, formats of dates, words about both) of the features.

    targets: columns of targets whose decimal points must be those of the features.
    """
    forced = {
        name: kind
        for kind in ("categorical", "numeric", "date", "drop")
        for name in getattr(encoding, kind)
    }
    arrays: dict[str, np.ndarray] = {}
    found: dict[str, Typed] = {}
    for i in features:
        name, values = file.names[i], file.arrays[i]
        if values.dtype.kind != "O":
            arrays[name] = values
            continue
        where = _where(path, file, i)
        if forced.get(name) in ("categorical", "drop", "numeric"):
            found[name] = convert(values, forced[name], where)
        else:
            found[name] = infer(values, where)
            if forced.get(name) == "date" and found[name].date is None:
                found[name] = convert(values, "date", where)
        arrays[name] = found[name].values
    of_targets = {
        file.names[i]: infer(file.arrays[i], _where(path, file, i))
        for i in targets
        if file.arrays[i].dtype.kind == "O"
    }
    _require_one_point(path, found | of_targets)
    patterns = {name: typed.date for name, typed in found.items() if typed.date is not None}
    return arrays, patterns, _words(found)


def _words(found: Mapping[str, Typed]) -> list[str]:
    words = []
    if any(typed.comma for typed in found.values()):
        words.append("decimal commas")
    dates: dict[str, list[str]] = {}
    for name, typed in found.items():
        if typed.date is not None:
            dates.setdefault(typed.date, []).append(name)
    words += [f"dates {pattern} in {listed(names, 3)}" for pattern, names in dates.items()]
    if codes := [name for name, typed in found.items() if typed.codes]:
        words.append(f"leading zeros, so text, in {listed(codes, 3)}")
    if missing := sorted(set().union(*(typed.missing for typed in found.values()))):
        words.append(f"missing values {listed(missing)}")
    return words


def _require_one_point(path: Path, found: Mapping[str, Typed]) -> None:
    comma = next((name for name, typed in found.items() if typed.comma), None)
    point = next((name for name, typed in found.items() if typed.point), None)
    if comma is not None and point is not None:
        raise ValueError(
            f"{path}: numbers must all have a decimal point, {shown(comma)} has decimal commas and "
            f"{shown(point)} decimal points; write all numbers as 70.5"
        )


def _known(path: Path, file: _File, kinds: Mapping[str, str]) -> Columns:
    at = first_at(file.names)
    missing = [name for name in kinds if name not in at]
    if missing:
        has = f"it has {listed(file.names)}" if file.header else "it has no header"
        raise ValueError(
            f"{path}: must have all {len(kinds)} columns of the model, lacks {listed(missing)}; "
            f"{has}"
        )
    names = [name for name in file.names if name in kinds]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(
            f"{path}, header: column names must be unique, {shown(twice)} occurs "
            f"{names.count(twice)} times; rename or remove the others"
        )
    arrays: dict[str, np.ndarray] = {}
    found: dict[str, Typed] = {}
    for name, kind in kinds.items():
        values = file.arrays[at[name]]
        if values.dtype.kind == "O":
            found[name] = convert(values, kind, _where(path, file, at[name]))
            values = found[name].values
        arrays[name] = values
    _require_one_point(path, found)
    return Columns(arrays, file.lines)


def _where(path: Path, file: _File, column: int) -> Callable[[int], str]:
    name = shown(file.names[column]) if file.header else f"{column} (from 0)"

    def where(row: int) -> str:
        if file.lines is None:
            return f"{path}, row {row} (from 0), column {name}"
        return f"{path}, line {file.lines[row]}, column {name}"

    return where


def _labelled(
    path: Path,
    file: _File,
    columns: Columns,
    targets: Sequence[int],
    task: str,
    class_names: Sequence[str] | None,
    patterns: Mapping[str, str],
    words: Sequence[str],
) -> RawTable:
    """Return the table without the rows that have no target."""
    if task == "auto" and class_names:
        task = "classification"
    kept = np.arange(columns.n_rows)

    def where(row: int | None = None, target: int | None = None) -> str:
        if row is None:
            name = "" if target is None else f", column {shown(file.names[targets[target]])}"
            return f"{path}{name}"
        return _where(path, file, targets[target or 0])(int(kept[row]))

    cells = [_target(path, file, i, task) for i in targets]
    columns_y = [Column.of(c) for c in cells]
    reason = ""
    if task == "auto":
        task, reason = infer_task(columns_y, where)
        reason = f"; {task}: {reason}"
    gaps = np.stack([_is_gap(c, class_names or ()) for c in cells])
    out = gaps.all(axis=0) if task == "multitask" else gaps.any(axis=0)
    if out.all():
        raise ValueError(f"{where()}: at least one row with a target is required, got none")
    if out.any():
        kept = np.flatnonzero(~out)
        cells = [
            c[kept] if isinstance(c, np.ndarray) else [c[i] for i in kept.tolist()] for c in cells
        ]
        columns_y = [Column.of(c) for c in cells]
        columns = columns.take(kept)
        n = int(out.sum())
        words = [*words, f"{n:,} row{'s'[: n != 1]} without a target left out"]
    y, names = encode(columns_y, task, class_names, where)
    return RawTable(
        columns, task, y, names, tuple(file.names[i] for i in targets),
        "; ".join([*file.found, *words]) + reason, int(out.sum()), patterns,
    )  # fmt: skip


def _is_gap(cells: Sequence[str] | np.ndarray, known: Sequence[str]) -> np.ndarray:
    """Return True for each missing target; a class may be called "NA"."""
    if isinstance(cells, np.ndarray):
        return np.isnan(cells.astype(np.float64))
    return np.array([is_missing(c) and c.strip() not in known for c in cells], bool)


def _target(path: Path, file: _File, column: int, task: str) -> Sequence[str] | np.ndarray:
    """Return the cells of a target: text, or an array of numbers."""
    values = file.arrays[column]
    if values.dtype.kind == "M":
        name = shown(file.names[column])
        raise ValueError(
            f"{path}, column {name}: a target must be text, booleans or numbers, has dates"
        )
    if values.dtype.kind == "b":
        return ["true" if value else "false" for value in values]
    if values.dtype.kind != "O":
        return values
    if task != "classification":
        typed = infer(values, _where(path, file, column))
        if typed.comma:
            return typed.values
    return ["" if cell is None else cell for cell in values]
