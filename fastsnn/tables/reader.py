"""Read the columns of CSV, Parquet and JSON files with DuckDB, the extra `tables`.

DuckDB runs in memory, without extensions from a network and without access to any other file. It
divides a CSV file into cells; `fastsnn.tables.typed` gives the cells their types.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from fastsnn.checks.scalars import shown

INSTALL = "pip install '.[tables]'"
THREADS = 4  # most threads of DuckDB
LINE = 8 << 20  # most bytes of a line
SAMPLE = 20_480  # rows from which DuckDB detects the delimiter
PARQUET, JSON = (".parquet",), (".json", ".jsonl", ".ndjson")
# Types of DuckDB that become another type of NumPy than DuckDB's own choice.
_CAST = {"DATE": "TIMESTAMP", "HUGEINT": "DOUBLE",
         "UHUGEINT": "DOUBLE", "UUID": "VARCHAR", "TIME": "VARCHAR"}  # fmt: skip
_CAST |= {f"TIMESTAMP_{unit}": "TIMESTAMP" for unit in ("S", "MS", "NS")}
ZONED = "TIMESTAMP WITH TIME ZONE"
# Strings of JSON, and mixed values, are read as text, whose type `typed` finds, as in CSV files:
# DuckDB takes "31-01-20" for a date of 2031.
_TEXT = dict.fromkeys(
    ("DATE", "TIME", "TIMESTAMP", "TIMESTAMP_NS", ZONED, "UUID", "JSON"), "VARCHAR"
)
_RENAMED = re.compile(r"(.+)_\d+", re.DOTALL)


class Unreadable(Exception):
    """DuckDB refused the file. The message is DuckDB's, shortened to one line."""


@dataclass(frozen=True)
class Dialect:
    """Dialect of a CSV file: the division of its lines into cells.

    delimiter, quote: one character each. skip: lines above the table. width: number of columns.
    newline: end of a line, as DuckDB writes it.
    """

    delimiter: str
    quote: str
    skip: int
    width: int
    newline: str = "\\n"


def installed() -> bool:
    """Return True if DuckDB is installed."""
    try:
        return find_spec("duckdb") is not None
    except ValueError:  # sys.modules["duckdb"] is None: its import is blocked
        return False


def require(path: Path | str) -> None:
    """Raise RuntimeError, which says what to install, if DuckDB is missing."""
    if not installed():
        raise RuntimeError(f"{path}: reading this file needs DuckDB: {INSTALL}")


def sniff(path: Path) -> Dialect:
    """Return the dialect that DuckDB detects in a CSV file in UTF-8. Raises `Unreadable`."""
    with _opened(path) as (connection, place):
        rows = connection.execute(
            "SELECT Delimiter, Quote, SkipRows, len(Columns), NewLineDelimiter "
            f"FROM sniff_csv({place}, sample_size = {SAMPLE}, all_varchar = true, "
            f"max_line_size = {LINE})"
        ).fetchall()
    delimiter, quote, skip, width, newline = rows[0]
    quote = quote if quote in ('"', "'") else '"'
    return Dialect(delimiter, quote, int(skip), int(width), newline)


def cells(path: Path, dialect: Dialect, most: int | None = None) -> list[np.ndarray]:
    """Return the cells of a CSV file in UTF-8, one object array (n,) of str and None per column.

    Lines above the table are skipped, the header is row 0. Blank lines are skipped. Empty cells
    without quotes are None. most: number of rows after which reading stops. Raises `Unreadable`,
    also for a row with another number of columns.
    """
    names = [f"c{i}" for i in range(dialect.width)]
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in names)
    with _opened(path) as (connection, place):
        found = connection.execute(
            f"SELECT * FROM read_csv({place}, auto_detect = false, header = false, "
            f"delim = {_literal(dialect.delimiter)}, quote = {_literal(dialect.quote)}, "
            f"escape = {_literal(dialect.quote)}, skip = {dialect.skip}, "
            f"columns = {{{columns}}}, nullstr = '', null_padding = false, strict_mode = true, "
            f"new_line = '{dialect.newline}', hive_partitioning = false, max_line_size = {LINE})"
            + ("" if most is None else f" LIMIT {most}")
        ).fetchnumpy()
    return [_plain(found[name]) for name in names]


def typed(path: Path, limit: int) -> dict[str, np.ndarray]:
    """Return the columns of a Parquet or JSON file, with dtypes of `Columns`.

    limit: maximum bytes of the columns in memory. Raises `Unreadable`, and ValueError for a column
    of nested values or bytes, and for a table that is too large.
    """
    suffixes = path.name.lower()
    with _opened(path) as (connection, place):
        if suffixes.endswith(PARQUET):
            source = f"read_parquet({place}, hive_partitioning = false)"
            rows, width = connection.execute(
                f"SELECT num_rows, (SELECT count(*) FROM (DESCRIBE SELECT * FROM {source})) "
                f"FROM parquet_file_metadata({place})"
            ).fetchall()[0]
            if 8 * rows * width > limit:
                raise ValueError(
                    f"{path}: must have at most {limit:,} bytes unpacked, has {rows:,} rows and "
                    f"{width:,} columns"
                )
        else:
            source = f"read_json({place}, hive_partitioning = false, sample_size = -1)"
        described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
        _require_cases(path, connection, place, [name for name, *_ in described])
        if not suffixes.endswith(PARQUET):
            described = [(name, _TEXT.get(kind, kind)) for name, kind, *_ in described]
            types = ", ".join(f"{_quoted(name)}: {_literal(kind)}" for name, kind in described)
            source = f"read_json({place}, hive_partitioning = false, columns = {{{types}}})"
        picked = []
        for name, kind, *_ in described:
            base = kind.split("(")[0]
            if base in ("STRUCT", "MAP", "UNION", "BLOB", "BIT", "INTERVAL") or kind.endswith("]"):
                raise ValueError(
                    f"{path}, column {shown(name)}: must hold numbers, booleans, dates or text, "
                    f"holds {kind.split('(')[0].lower()}; remove the column"
                )
            to = _CAST.get(base) or ("DOUBLE" if base == "DECIMAL" else None)
            to = "VARCHAR" if base == "ENUM" else to
            quoted = _quoted(name)
            if kind == ZONED:  # a cast would depend on the time zone of the machine
                picked.append(f"make_timestamp(epoch_us({quoted})) AS {quoted}")
            else:
                picked.append(quoted if to is None else f"{quoted}::{to} AS {quoted}")
        found = connection.execute(f"SELECT {', '.join(picked)} FROM {source}").fetchnumpy()
    return {name: _plain(found[name]) for name, *_ in described}


def _require_cases(path: Path, connection: Any, place: str, names: Sequence[str]) -> None:
    """Raise ValueError if DuckDB renamed a column, because names differ in nothing but case."""
    known = {name.lower() for name in names}
    if not any(m and m[1].lower() in known for m in map(_RENAMED.fullmatch, names)):
        return
    if path.name.lower().endswith(PARQUET):
        query = f"SELECT name FROM parquet_schema({place})"
    else:
        query = f"SELECT DISTINCT unnest(json_keys(json)) FROM read_json_objects({place})"
    real = {name for (name,) in connection.execute(query).fetchall()}
    for name in names:
        if name not in real:
            raise ValueError(
                f"{path}: names of columns must differ in more than upper and lower case, "
                f"{shown(name.rpartition('_')[0])} occurs twice; rename one of the columns"
            )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _plain(values: Any) -> np.ndarray:
    """Return an array of DuckDB, possibly masked, with a dtype of `Columns`."""
    mask = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else None
    missing = mask is not None and bool(mask.any())
    array: np.ndarray = np.asarray(values.data if isinstance(values, np.ma.MaskedArray) else values)
    kind = array.dtype.kind
    if kind == "M":
        array = array.astype("M8[us]")
        if missing:
            array[mask] = np.datetime64("NaT")
    elif kind == "b" and missing:
        text = np.where(array, "true", "false").astype(object)
        text[mask] = None
        array = text
    elif kind in "iu":
        array = array.astype(np.float64 if missing else np.uint64 if kind == "u" else np.int64)
    elif kind == "f":
        array = array.astype(np.float64)
    elif kind != "b":
        array = array.astype(object)
        if missing:
            array[mask] = None
    if missing and array.dtype == np.float64:
        array[mask] = np.nan
    return array


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, str]]:
    """Yield (connection, the path as a literal of SQL); convert DuckDB's errors to `Unreadable`.

    The path is that of a link without special characters, because DuckDB expands wildcards in
    paths and opens URLs. Other files cannot be opened.
    """
    require(path)
    import duckdb

    ending = "".join(s for s in path.suffixes[-2:] if s[1:].isalnum()).lower()
    with tempfile.TemporaryDirectory(prefix="fastsnn-") as folder:
        link = os.path.join(os.path.realpath(folder), f"table{ending}")
        os.symlink(os.path.abspath(path), link)
        config: dict[str, str | bool | int | float | list[str]] = {
            "threads": min(THREADS, os.cpu_count() or 1),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "temp_directory": "",
        }
        connection = duckdb.connect(":memory:", config=config)
        try:
            connection.execute(f"SET allowed_paths = [{_literal(link)}]")
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            yield connection, _literal(link)
        except duckdb.OutOfMemoryException as error:
            raise RuntimeError(
                f"{path}: reading it takes more memory than this machine has available; use a "
                "machine with more, or a part of the file"
            ) from error
        except duckdb.Error as error:
            raise Unreadable(_brief(str(error).replace(link, path.name))) from error
        finally:
            connection.close()


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _brief(text: str) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in text[:2000]).split())
    return line if len(line) <= 160 else f"{line[:157]}..."


def columns_of(rows: Sequence[Sequence[str]]) -> list[np.ndarray]:
    """Return rows of equal length as `cells` does."""
    found = []
    for column in zip(*rows, strict=True):
        array = np.empty(len(rows), object)
        array[:] = [cell if cell else None for cell in column]
        found.append(array)
    return found
