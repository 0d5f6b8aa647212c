"""Read a CSV file row by row: features as float64, targets as text."""

from __future__ import annotations

import math
from array import array
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from pathlib import Path

import numpy as np

from fastsnn.checks.scalars import shown
from fastsnn.data import delimiter as delimiters
from fastsnn.data import header as headers
from fastsnn.data.columns import Target, feature_columns, target_columns, target_names
from fastsnn.data.csvlines import lines, records
from fastsnn.data.files import open_file
from fastsnn.data.limits import table_limit, too_large
from fastsnn.data.magic import HEAD, require_text
from fastsnn.tables.cells import LARGEST, has_decimal_comma, is_finite

PIECE = 1 << 20  # bytes read per call
Rows = Iterator[tuple[int, list[str]]]  # (line on which the row begins, cells)


@dataclass(frozen=True, eq=False)
class CsvTable:
    """Content of a CSV file with n rows.

    Attributes
    ----------
    x : numpy.ndarray
        Features, float64 (n, features).
    targets : list of list of str
        n cells per target.
    lines : array.array
        Line number on which each row begins, counted from 1, (n,).
    feature_names : tuple of str or None
        Names from the header; None without a header.
    target_names : tuple of str
        Names from the header; without one, the column indices.
    found : str
        Detected header and delimiter, for messages.
    """

    x: np.ndarray
    targets: list[list[str]]
    lines: array[int]
    feature_names: tuple[str, ...] | None
    target_names: tuple[str, ...]
    found: str


@dataclass(frozen=True)
class Expected:
    """Known properties of a file.

    header: True if line 1 contains the column names; None to detect it. unclear: value of `header`
    if detection is ambiguous; None to raise an error then. feature_names, n_features, class_names:
    those of a model. With a header, columns are selected by these names in this order and others
    are ignored; without a header, the file must have n_features feature columns.
    """

    header: bool | None = None
    unclear: bool | None = None
    feature_names: Sequence[str] | None = None
    n_features: int | None = None
    class_names: Collection[str] | None = None


def read_csv(
    path: Path, target: Target = None, expected: Expected | None = None, labelled: bool = True
) -> CsvTable:
    """Read the CSV file `path`. `target` is as in `read_table`; it is unused unless `labelled`.

    Raises ValueError, with line and column, for anything but a plain table of numbers.
    """
    expected = expected or Expected()
    names = target_names(target)
    _require_text(path)
    with open_file(
        path, "rt", encoding="utf-8-sig", errors="surrogateescape", newline=None
    ) as file:
        source = lines(path, file)
        sampled, whole = delimiters.sample(source)
        letter = delimiters.choose(path, sampled, whole)
        rows = records(path, chain(sampled, source), letter)
        line, row = next(rows, (1, []))
        if not row:
            raise ValueError(f"{path}: must have at least one row of data, is empty")
        return _read(path, line, row, rows, letter, target, names, expected, labelled)


def _require_text(path: Path) -> None:
    """Raise ValueError if the first bytes are not text, or if a compressed file is too large.

    The uncompressed size is checked first, because reading the rows can take minutes.
    """
    packed = path.name.lower().endswith(".gz")
    with open_file(path) as file:
        head = file.read(HEAD)
        require_text(path, head, packed)
        if packed:
            limit, size = table_limit(path), len(head)
            while size <= limit and (piece := file.read(PIECE)):
                size += len(piece)
            if size > limit:
                raise too_large(path, limit)


def _read(
    path: Path,
    line: int,
    row: list[str],
    rows: Rows,
    letter: str,
    target: Target,
    names: list[str],
    expected: Expected,
    labelled: bool,
) -> CsvTable:
    if len(row) == 1:
        rows = _require_one_column(path, line, row, rows)
    labels = expected.class_names or ()
    _require_columns(f"{path}, line {line}", row, labelled)
    first = headers.First(bool(expected.header))
    if expected.header is None:
        indices = _indices(path, target, len(row)) if labelled else ()
        first = headers.classify(
            f"{path}, line {line}", row, indices, names, expected.feature_names, labels,
            expected.unclear,
        )  # fmt: skip
    header = [cell.strip() for cell in row] if first.is_header else None
    if header:
        for i, cell in enumerate(row):
            if cell[:1].isspace():
                _require_no_quote(f"{path}, line {line}, column {i} (from 0)", cell)
    targets = target_columns(path, target, header, len(row)) if labelled else []
    features = feature_columns(path, header, len(row), targets, expected.feature_names)
    if expected.n_features not in (None, len(features)):
        raise ValueError(
            f"{path}: the model needs {expected.n_features} feature columns, the file has "
            f"{len(features)}; leave out target columns, or give a header with the names "
            "that the model was trained with"
        )
    values, cells, at = _rows(path, rows, line, row, header, features, targets, first.hint)
    doubted = dict(zip(targets, cells, strict=True))
    below = [doubted.get(i, ())[not first.is_header :] for i in first.doubts]
    headers.confirm(path, line, row, first, below, labels)
    if not at:
        raise ValueError(f"{path}: must have at least one row of data, has a header only")
    return CsvTable(
        np.frombuffer(values).reshape(len(at), len(features)),
        cells,
        at,
        tuple(header[i] for i in features) if header else None,
        tuple(header[i] if header else str(i) for i in targets),
        f"{'header' if header else 'no header'}; delimiter {letter!r}",
    )


def _require_columns(where: str, row: list[str], labelled: bool) -> None:
    """Raise ValueError if the first row is a directive or a comment, or has a single column."""
    text = row[0].strip()
    if text[:4].lower() == "sep=":
        raise ValueError(
            f"{where}: must hold names or numbers, got {shown(text)}, which is a directive for "
            "Excel; remove this line"
        )
    if len(row) > 1 or not labelled:
        return
    comment = "remove this comment, or " if text.startswith(("#", "%", "//")) else ""
    raise ValueError(
        f"{where}: needs a feature column in addition to the target, has 1 column; {comment}"
        f"separate columns by comma, semicolon or tab, got {shown(text)}"
    )


def _require_no_quote(where: str, cell: str) -> None:
    """Raise ValueError if a space precedes an opening quote, which would be part of the text."""
    if cell.lstrip()[:1] == '"':
        raise ValueError(
            f"{where}: no space is allowed before the opening quote of a cell, got {shown(cell)}; "
            "remove it (pandas: read_csv with skipinitialspace=True reads such files)"
        )


def _require_one_column(path: Path, line: int, row: list[str], rows: Rows) -> Rows:
    """Return the rows. Raises ValueError if the second has several cells: the first is a title."""
    second = next(rows, None)
    if second is None:
        return rows
    if len(second[1]) > 1:
        raise ValueError(
            f"{path}, line {line}: must have {len(second[1])} columns like line {second[0]}, has "
            f"one, {shown(row[0])}; remove titles and comments above the table"
        )
    return chain([second], rows)


def _indices(path: Path, target: Target, width: int) -> list[int] | None:
    """Return the target columns of a file without a header; None if the targets are names."""
    try:
        return target_columns(path, target, None, width)
    except ValueError:
        return None


def _rows(
    path: Path,
    rows: Rows,
    line: int,
    row: list[str],
    header: list[str] | None,
    features: list[int],
    targets: list[int],
    hint: str,
) -> tuple[array[float], list[list[str]], array[int]]:
    """Return (features row by row as float64, cells of each target, line numbers)."""
    width, hinted = len(row), line
    take = itemgetter(*features) if len(features) > 1 else lambda row: (row[features[0]],)
    cells: list[list[str]] = [[] for _ in targets]
    values, at = array("d"), array("q")
    if not header:
        rows = chain([(line, row)], rows)
    for line, row in rows:
        if len(row) != width:
            raise ValueError(
                f"{path}, line {line}: must have {width} columns like the first line, "
                f"has {len(row)}; correct the line"
            )
        taken = take(row)
        numbers = _fast_floats(taken)
        if numbers is None:
            _require_numbers(path, line, row, features, header, hint if line == hinted else "")
            numbers = list(map(float, taken))
        values.extend(numbers)
        for column, i in zip(cells, targets, strict=True):
            if row[i][:1].isspace():
                _require_no_quote(f"{path}, line {line}, column {i} (from 0)", row[i])
            column.append(row[i])
        at.append(line)
    return values, cells, at


def _fast_floats(cells: Sequence[str]) -> list[float] | None:
    """Return the cells as floats; None if a cell may not be a finite number within float32."""
    try:
        values = list(map(float, cells))
    except ValueError:
        return None
    text = "".join(cells)
    good = math.isfinite(sum(values)) and max(values) <= LARGEST and min(values) >= -LARGEST
    return values if good and "_" not in text and text.isascii() else None


def _require_numbers(
    path: Path, line: int, row: list[str], columns: list[int], header: list[str] | None, hint: str
) -> None:
    for i in columns:
        if is_finite(row[i]):
            continue
        where = f"{path}, line {line}, column {shown(header[i]) if header else f'{i} (from 0)'}"
        if has_decimal_comma(row[i]):
            raise delimiters.decimal_comma(where, row[i])
        raise ValueError(
            f"{where}: must be a finite number, got {shown(row[i])}; fill in or drop missing "
            f"values, encode text as numbers, remove the column, or name it as the target{hint}"
        )
