"""Read a CSV file row by row: numbers for the features, text for the targets."""

from __future__ import annotations

import csv
import math
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from fastsnn.data.cells import LARGEST, is_finite, is_missing, number
from fastsnn.data.files import open_file


@dataclass(frozen=True, eq=False)
class CsvTable:
    """x (n, features) float32; targets: one list of n cells per target; lines (n,) of the file.
    Targets without a header are called by the numbers of their columns.
    """

    x: np.ndarray
    targets: list[list[str]]
    lines: array
    feature_names: tuple[str, ...] | None
    target_names: tuple[str, ...]


def read_csv(
    path: Path,
    target: str | int | Sequence[str] | None = None,
    feature_names: Sequence[str] | None = None,
    n_features: int | None = None,
) -> CsvTable:
    """Read all of `path`; `target` as in `read_table`, and () when there is none to read.

    feature_names, n_features: what a model requires. With a header the columns are taken by these
    names, in their order, and others are ignored; without one their number must fit.
    """
    with open_file(path, "rt", encoding="utf-8-sig", newline=None) as file:
        try:
            rows = _rows(file)
            line, first = next(rows, (1, []))
            if not first:
                raise ValueError(f"{path}: must have at least one row of data, is empty")
            second = next(rows, None)
            header = None
            if _has_header(first, second[1] if second else None, target, feature_names):
                header = [cell.strip() for cell in first]
                rows = chain([second] if second else [], rows)
            else:
                rows = chain([(line, first)], [second] if second else [], rows)
            targets = _target_columns(path, target, header, len(first))
            features = _feature_columns(path, header, len(first), targets, feature_names)
            if n_features not in (None, len(features)):
                raise ValueError(
                    f"{path}: the model needs {n_features} feature columns, the file has "
                    f"{len(features)}; leave out target columns, or give a header with the names "
                    "that the model was trained with"
                )
            names = [repr(name) for name in header or ()] or [
                f"{i} (from 0)" for i in range(len(first))
            ]
            values, labels, lines = array("f"), [[] for _ in targets], array("q")
            for line, row in rows:
                if len(row) != len(first):
                    raise ValueError(
                        f"{path}, line {line}: must have {len(first)} columns like the first line, "
                        f"has {len(row)}; correct the line"
                    )
                values.extend(_numbers(path, line, row, features, names))
                for cells, i in zip(labels, targets, strict=True):
                    cells.append(row[i])
                lines.append(line)
        except csv.Error as error:
            raise ValueError(
                f"{path}: must be a CSV file, reading stopped ({error}); "
                "check for a quote that is never closed"
            ) from error
    if not lines:
        raise ValueError(f"{path}: must have at least one row of data, has a header only")
    x = np.frombuffer(values, np.float32).reshape(len(lines), len(features))
    return CsvTable(
        x,
        labels,
        lines,
        tuple(header[i] for i in features) if header else None,
        tuple(header[i] if header else str(i) for i in targets),
    )


def _rows(file) -> Iterator[tuple[int, list[str]]]:
    """(line number, cells) of each line that is not blank; the first one shows the delimiter."""
    skipped = 0
    for first in file:
        if first.strip():
            break
        skipped += 1
    else:
        return
    plain = re.sub(r'"[^"]*"', "", first)
    delimiter = max(",;\t", key=plain.count)
    reader = csv.reader(chain([first], file), delimiter=delimiter, strict=True)
    for row in reader:
        if len(row) > 1 or (row and row[0].strip()):
            yield skipped + reader.line_num, row


def _has_header(first, second, target, feature_names) -> bool:
    """Whether the first row holds names: those asked for, or text above a number."""
    cells = {cell.strip() for cell in first}
    if feature_names and cells.issuperset(feature_names):
        return True
    asked = [*_names(target), *(feature_names or ())]
    if any(name in cells for name in asked if number(name) is None):
        return True
    named = [number(cell) is None and not is_missing(cell) for cell in first]
    if second is None:
        return all(named)
    numbers = [value for value in map(number, first) if value is not None]
    if len(set(numbers)) < len(numbers) or not all(value.is_integer() for value in numbers):
        return False  # columns may be called 0, 1, 2, but these are values
    return any(a and number(b) is not None for a, b in zip(named, second, strict=False))


def _names(target) -> list[str]:
    if target is None:
        return []
    if isinstance(target, str):
        return [target, *(name.strip() for name in target.split(","))]
    return [str(target)] if isinstance(target, int) else [str(name) for name in target]


def _target_columns(path, target, header, width) -> list[int]:
    if target is None:
        return [width - 1]
    names = _names(target)
    if isinstance(
        target, str
    ):  # the whole text where it is a name, with its commas; else the parts
        names = names[:1] if header and target in header else names[1:]
    columns = []
    for name in names:
        if header and name in header:
            columns.append(header.index(name))
        elif re.fullmatch(r"-?\d+", name) and -width <= int(name) < width:
            columns.append(int(name) % width)
        else:
            has = f"has the columns {_some(header)}" if header else "has no header"
            raise ValueError(
                f"{path}: the target must be a column name of the header or an index in "
                f"[{-width}, {width - 1}], got {name!r}; the file {has}"
            )
    if len(set(columns)) < len(columns):
        raise ValueError(f"{path}: targets must be different columns, got {target!r}")
    return columns


def _feature_columns(path, header, width, targets, wanted) -> list[int]:
    if header and wanted:
        missing = [name for name in wanted if name not in header]
        if missing:
            raise ValueError(
                f"{path}: must have all {len(wanted)} feature columns of the model, lacks "
                f"{_some(missing)}; it has {_some(header)}"
            )
        columns = [header.index(name) for name in wanted]
        both = [header[i] for i in targets if i in columns]
        if both:
            raise ValueError(
                f"{path}: the column {both[0]!r} is a feature of the model and cannot be the "
                "target too; name the target column"
            )
    else:
        columns = [i for i in range(width) if i not in targets]
    if not columns:
        raise ValueError(
            f"{path}: needs a feature column beside the target, has {width} column"
            f"{'s'[: width != 1]}; separate columns by comma, semicolon or tab"
        )
    for i in [*columns, *targets] if header else []:
        if not header[i]:
            raise ValueError(
                f"{path}, header: column {i} (from 0) needs a name, the header has none; is it a "
                "row number? remove the column (pandas: to_csv(..., index=False)) or name it"
            )
        if header.count(header[i]) > 1:
            raise ValueError(
                f"{path}, header: column names must differ, {header[i]!r} occurs "
                f"{header.count(header[i])} times; rename or remove the others"
            )
    return columns


def _numbers(path, line, row, columns, names) -> list[float]:
    """The features of a row. The quick checks nearly always pass; the slow one finds the cell."""
    try:
        values = [float(row[i]) for i in columns]
        quick = math.isfinite(sum(values)) and max(map(abs, values)) <= LARGEST
    except ValueError:
        quick = False
    if quick and "_" not in "".join(row):
        return values
    for i in columns:
        if not is_finite(row[i]):
            raise ValueError(
                f"{path}, line {line}, column {names[i]}: must be a finite number, got "
                f"{row[i]!r}; fill or drop missing values, write text as numbers, "
                "or name the column as the target"
            )
    return values


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return ", ".join(repr(name) for name in names[:6]) + more
