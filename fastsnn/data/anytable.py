"""Read a file for training: by the strict reader if it is a table of numbers, else with DuckDB."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fastsnn.checks.scalars import listed
from fastsnn.data.columns import Target
from fastsnn.data.rawtable import Encoding, RawTable, read_raw
from fastsnn.data.table import SUFFIXES, Table, read_table
from fastsnn.tables import reader


def read_any(
    name: str,
    target: Target,
    task: str,
    header: bool | None,
    class_names: Sequence[str] | None,
    encoding: Encoding,
    raw: bool | None = None,
) -> Table | RawTable:
    """Return the table of a file; a `RawTable` if it needs a recipe.

    A file needs a recipe if the strict reader refuses it, if an option of `encoding` is given, or
    if it is no CSV file. raw: True or False to decide instead, as a resumed run does. Raises
    ValueError as `read_table` and `read_raw`; RuntimeError if DuckDB is required and missing.
    """
    path, ending = Path(name), name.lower()
    if ending.endswith(".npz"):
        require_none(name, encoding)
    given = bool(encoding.given()) or not ending.endswith(SUFFIXES)
    refusal = None
    if not (given if raw is None else raw):
        try:
            return read_table(path, target, task, header=header, class_names=class_names)
        except ValueError as error:
            if raw is False or ending.endswith(".npz"):
                raise
            refusal = error
    try:
        return read_raw(
            path, target, task, header=header, class_names=class_names, encoding=encoding,
            needed=refusal is None,
        )  # fmt: skip
    except ModuleNotFoundError as error:
        raise ValueError(f"{refusal}; or to encode such cells: {reader.INSTALL}") from error
    except ValueError as error:
        if refusal is not None and not reader.installed():
            raise refusal from error
        raise


def require_none(name: str, encoding: Encoding) -> None:
    """Raise ValueError if an option of `encoding` is given for data without a recipe."""
    if given := encoding.given():
        raise ValueError(
            f"{name}: {given[0]} applies only to files with named columns, such as CSV; leave out "
            f"{listed(given)}"
        )
