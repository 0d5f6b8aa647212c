"""Divide a CSV file with text, gaps, booleans or dates into cells: encoding, delimiter, lines.

`fastsnn.tables.reader` divides the file, by DuckDB. Python's csv module finds the place of an
error, and reads the file if DuckDB is not installed.
"""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from fastsnn.checks.scalars import shown
from fastsnn.data import delimiter as delimiters
from fastsnn.data.csvlines import lines as checked_lines
from fastsnn.data.csvlines import records
from fastsnn.data.files import open_file, require_file
from fastsnn.data.limits import table_limit, too_large
from fastsnn.data.magic import HEAD, require_text
from fastsnn.tables import reader
from fastsnn.tables.reader import Dialect

PIECE = 1 << 20  # characters read per call
ZSTD = ".zst"
BOMS = ((b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"))  # fmt: skip
ONE_BYTE = ("cp1252", "latin-1")  # tried in this order if the file is not UTF-8
FEW = 3  # fewer bytes that are not ASCII are more likely damage than another encoding
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f]")


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells of a CSV file, line 1 of the table included.

    columns: one object array (n,) of str and None (an empty cell) per column. lines: line on which
    each row begins, from 1, int64 (n,). found: what was detected, such as the delimiter.
    """

    columns: list[np.ndarray]
    lines: np.ndarray
    found: list[str] = field(default_factory=list)


def read_cells(path: Path) -> Cells:
    """Return the cells of a CSV file. Blank lines, and titles above the table, are skipped.

    Raises ValueError, with the line, for a file that is no table: rows of different lengths, quotes
    that are not closed, bytes that are not text, no rows.
    """
    require_file(path)
    if path.name.lower().endswith(ZSTD):
        reader.require(path)
        return _read(path, path, None, [])
    encoding, plain = _encoding(path)
    with _in_utf8(path, encoding, plain) as file:
        words = [] if encoding == "utf-8" else [f"encoding {encoding}"]
        return _read(path, file, encoding, words)


def _read(path: Path, file: Path, encoding: str | None, words: list[str]) -> Cells:
    """Read `file`, which is `path` in UTF-8; encoding: that of `path`; None for zstd."""
    ends = 0
    try:
        if encoding is None:
            dialect = reader.sniff(file)
        else:
            first, whole = _sample(path, encoding)
            dialect = _dialect(path, file, first, whole)
            ends = _count_lines(path, encoding)
        if encoding is not None and (dialect.width == 1 or not reader.installed()):
            # The rows of a single column that are blank are lines without a cell, or empty cells.
            return _by_python(path, encoding, dialect, words)
        most = None if encoding is not None else table_limit(path) // dialect.width
        columns = reader.cells(file, dialect, most)
    except reader.Unreadable as error:
        if encoding is not None:
            _by_python(path, encoding, dialect, words)  # raises an error with the line
        raise ValueError(f"{path}: must be a table in CSV ({error}); correct it") from error
    if encoding is None and (limit := table_limit(path)) < sum(map(_size, columns)):
        raise too_large(path, limit)
    rows = len(columns[0])
    if encoding is None or dialect.skip + rows == ends:
        at = np.arange(dialect.skip + 1, dialect.skip + rows + 1)
    else:
        at = _by_python(path, encoding, dialect, words).lines
        if len(at) != rows:  # the two readers must not differ in what a row is
            raise ValueError(
                f"{path}: must be a table in CSV, but its {rows:,} rows begin on {len(at):,} "
                "lines; quote cells that contain quotes or line breaks"
            )
    return _checked(path, columns, at, dialect, words)


def _checked(
    path: Path, columns: list[np.ndarray], at: np.ndarray, dialect: Dialect, words: list[str]
) -> Cells:  # fmt: skip
    if len(at) == 0:
        raise ValueError(f"{path}: must have at least one row of data, is empty")
    found = [f"delimiter {dialect.delimiter!r}", *words]
    if dialect.quote != '"':
        found.append(f"quote {dialect.quote!r}")
    if dialect.skip:
        found.append(f"{dialect.skip} line{'s'[: dialect.skip > 1]} above the table skipped")
    return Cells(columns, at, found)


def _size(column: np.ndarray) -> int:
    return sum(1 if cell is None else 1 + len(cell) for cell in column)


@contextmanager
def _in_utf8(path: Path, encoding: str, plain: bool) -> Iterator[Path]:
    """Yield a file with the same text in UTF-8 whose lines end with LF: the file itself if it is
    `plain`, or a temporary copy.
    """
    if plain and encoding == "utf-8":
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="fastsnn-") as folder:
        copy = Path(folder) / "table.csv"
        with (
            _text(path, encoding) as source,
            open(copy, "w", encoding="utf-8", newline="\n") as target,
        ):
            while piece := source.read(PIECE):
                target.write(piece)
        yield copy


@contextmanager
def _text(path: Path, encoding: str) -> Iterator[io.TextIOWrapper]:
    name = "utf-8-sig" if encoding == "utf-8" else encoding
    with open_file(path, "rt", encoding=name, errors="surrogateescape", newline=None) as file:
        yield file


def _encoding(path: Path) -> tuple[str, bool]:
    """Return (encoding of a file, True if no line ends with CR).

    The encoding is that of the byte order mark, else UTF-8 if all bytes fit.

    Raises ValueError for a file that is not text, and for a compressed file that is too large.
    """
    packed = path.name.lower().endswith(".gz")
    with open_file(path) as file:
        head = file.read(HEAD)
        named = next((name for mark, name in BOMS if head.startswith(mark)), None)
        if named is None:
            require_text(path, head, packed)
        limit, size = table_limit(path), len(head)
        while packed and size <= limit and (piece := file.read(PIECE)):
            size += len(piece)
        if packed and size > limit:
            raise too_large(path, limit)
    for encoding in [named] if named else ["utf-8", *ONE_BYTE]:
        with open_file(path) as file:
            text = io.TextIOWrapper(file, encoding, newline="")
            plain = True
            try:
                while piece := text.read(PIECE):
                    if found := _CONTROLS.search(piece):
                        raise ValueError(
                            f"{path}: must be text, but has the control character "
                            f"{found[0]!r}, as in binary files; save it as CSV in UTF-8"
                        )
                    plain = plain and "\r" not in piece
                return encoding, plain
            except UnicodeDecodeError:
                pass
            finally:
                text.detach()
        if encoding == "utf-8" and _count_high(path) < FEW:
            with _text(path, "utf-8") as file:
                for _ in checked_lines(path, file):  # raises an error with the line
                    pass
    raise ValueError(f"{path}: must be text in {named}, but a byte is not; save it as CSV in UTF-8")


def _count_high(path: Path) -> int:
    """Return the number of bytes that are not ASCII."""
    count = 0
    with open_file(path) as file:
        while piece := file.read(PIECE):
            count += int((np.frombuffer(piece, np.uint8) > 127).sum())
    return count


def _sample(path: Path, encoding: str) -> tuple[list[str], bool]:
    with _text(path, encoding) as file:
        return delimiters.sample(checked_lines(path, file))


def _count_lines(path: Path, encoding: str) -> int:
    count, last = 0, "\n"
    with _text(path, encoding) as file:
        while piece := file.read(PIECE):
            count, last = count + piece.count("\n"), piece[-1]
    return count + (last != "\n")


def _dialect(path: Path, file: Path, first: Sequence[str], whole: bool) -> Dialect:
    """Return the dialect: one by which all lines have as many columns, else DuckDB's."""
    if not any(line.strip() for line in first):
        raise ValueError(f"{path}: must have at least one row of data, is empty")
    letter, skip, width, agreed = delimiters.choose_any(path, first, whole)
    if not agreed and reader.installed():
        try:
            found = reader.sniff(file)
        except reader.Unreadable:
            found = None
        usual = found is not None and found.delimiter in delimiters.ANY and found.quote == '"'
        if found is not None and not usual and found.width > 1 and found.skip <= delimiters.TITLES:
            return found
    return Dialect(letter, '"', skip, width)


def _by_python(path: Path, encoding: str, dialect: Dialect, words: list[str]) -> Cells:
    """Return the cells, read by Python's csv module, which names the line of an error."""
    rows: list[list[str]] = []
    at: list[int] = []
    width = None
    with _text(path, encoding) as file:
        source = checked_lines(path, file)
        for _ in islice(source, dialect.skip):
            pass
        for line, row in records(path, source, dialect.delimiter, dialect.quote, dialect.skip):
            width = len(row) if width is None else width
            if len(row) != width and len(rows) == 1 and width < len(row):
                raise ValueError(
                    f"{path}, line {at[0]}: must have {len(row)} columns like line {line}, has "
                    f"{width}; correct the line, or remove titles and comments above the table"
                )
            if len(row) != width:
                raise ValueError(
                    f"{path}, line {line}: must have {width} columns like the first "
                    f"line, has {len(row)}; correct the line"
                )
            for i, cell in enumerate(row):
                if cell[:1].isspace() and cell.lstrip()[:1] == '"':
                    raise ValueError(
                        f"{path}, line {line}, column {i} (from 0): no space is allowed before "
                        f"the opening quote of a cell, got {shown(cell)}; remove it (pandas: "
                        "read_csv with skipinitialspace=True reads such files)"
                    )
            rows.append(row)
            at.append(line)
    return _checked(path, reader.columns_of(rows), np.array(at, np.int64), dialect, words)
