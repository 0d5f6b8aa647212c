"""Read a CSV file row by row: numbers for the features, text for the targets."""

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
from fastsnn.data.cells import LARGEST, has_decimal_comma, is_finite
from fastsnn.data.columns import Target, feature_columns, target_columns, target_names
from fastsnn.data.csvlines import lines, records
from fastsnn.data.files import open_file
from fastsnn.data.limits import table_limit, too_large
from fastsnn.data.magic import HEAD, require_text

PIECE = 1 << 20  # bytes
Rows = Iterator[tuple[int, list[str]]]  # (line where it begins, cells)


@dataclass(frozen=True, eq=False)
class CsvTable:
    """x (n, features) float64; targets: one list of n cells per target; lines (n,): the line where
    each row begins. Without a header, targets are named by the numbers of their columns. found: the
    header and the delimiter.
    """

    x: np.ndarray
    targets: list[list[str]]
    lines: array[int]
    feature_names: tuple[str, ...] | None
    target_names: tuple[str, ...]
    found: str


@dataclass(frozen=True)
class Expected:
    """The caller's knowledge of a file.

    header: whether line 1 holds names; None: decide by its content. unclear: the answer if the
    content does not decide; None: refuse the file. feature_names, n_features, class_names: a
    model's. With a header the columns are taken by these names, in their order, and others are
    ignored; without one, the number of columns must be n_features.
    """

    header: bool | None = None
    unclear: bool | None = None
    feature_names: Sequence[str] | None = None
    n_features: int | None = None
    class_names: Collection[str] | None = None


def read_csv(
    path: Path, target: Target = None, expected: Expected | None = None, labelled: bool = True
) -> CsvTable:
    """Read all of `path`; `target` as in `read_table`, unused unless `labelled`.

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
    """By the first bytes; and of a packed file the size, before minutes are spent on its rows."""
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
        first = headers.look(
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
    headers.settle(path, line, row, first, below, labels)
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
    """Refuse a first line that is no line of a table, but what some programs write above one."""
    text = row[0].strip()
    if text[:4].lower() == "sep=":
        raise ValueError(
            f"{where}: must hold names or numbers, got {shown(text)}, which is for Excel alone; "
            "remove this line"
        )
    if len(row) > 1 or not labelled:
        return
    remark = "remove this remark, or " if text.startswith(("#", "%", "//")) else ""
    raise ValueError(
        f"{where}: needs a feature column beside the target, has 1 column; {remark}"
        f"separate columns by comma, semicolon or tab, got {shown(text)}"
    )


def _require_no_quote(where: str, cell: str) -> None:
    """Refuse a quoted cell after a blank: its quotes would belong to the text."""
    if cell.lstrip()[:1] == '"':
        raise ValueError(
            f"{where}: there must be no blank before the quote of a cell, got {shown(cell)}; "
            "remove it (pandas: read_csv reads skipinitialspace=True)"
        )


def _require_one_column(path: Path, line: int, row: list[str], rows: Rows) -> Rows:
    """The rows. Raises ValueError if the second has several cells: the first is a title then."""
    second = next(rows, None)
    if second is None:
        return rows
    if len(second[1]) > 1:
        raise ValueError(
            f"{path}, line {line}: must have {len(second[1])} columns like line {second[0]}, has "
            f"one, {shown(row[0])}; remove titles and remarks above the table"
        )
    return chain([second], rows)


def _indices(path: Path, target: Target, width: int) -> list[int] | None:
    """The target columns if there is no header; None if they are names, which need a header."""
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
    """(values of the features, row by row, float64; the cells of each target; line numbers)"""
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
        numbers = _quickly(taken)
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


def _quickly(cells: Sequence[str]) -> list[float] | None:
    """The numbers in the cells; None if a cell may not be a number, or not finite in float32."""
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
            f"{where}: must be a finite number, got {shown(row[i])}; fill or drop missing values, "
            f"write text as numbers, or name the column as the target{hint}"
        )
