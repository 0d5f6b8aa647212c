"""Read data frames of pandas, Polars, PyArrow and others; narwhals is imported on first use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from fastsnn.checks.scalars import listed, shown
from fastsnn.tables.place import Place
from fastsnn.tables.values import of_array, of_list, text

REFUSED = ("Time", "List", "Array", "Struct", "Binary", "Map")


def is_frame(table: object) -> bool:
    """Return True for an object of a library of data frames."""
    kind = type(table)
    return not isinstance(table, np.ndarray) and (
        hasattr(kind, "columns") or hasattr(kind, "__narwhals_dataframe__")
    )


def require_names(names: Sequence[object], where: str) -> None:
    """Raise TypeError or ValueError unless the names of columns are unique text."""
    for name in names:
        if not isinstance(name, str):
            raise TypeError(
                f"{where}: names of columns must be text, got {shown(name)}; rename the columns"
            )
    for name, count in Counter(names).items():
        if count > 1:
            raise ValueError(
                f"{where}: column names must be unique, {shown(name)} occurs {count} times; rename "
                "or remove the others"
            )


def columns(
    table: Any, where: str, only: Collection[str] | None
) -> tuple[dict[str, np.ndarray], frozenset[str]]:
    """Return the columns of a data frame, and the names of those that are categorical by type."""
    try:
        import narwhals.stable.v2 as nw
    except ImportError as error:
        raise RuntimeError(
            f"{where}: data frames need narwhals: pip install '.[tables]'; or give a dict of "
            "columns or a list of dicts"
        ) from error
    if hasattr(type(table), "iloc"):  # pandas and its relatives allow any names
        require_names(list(table.columns), where)
    try:
        frame = nw.from_native(table)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{where}: a data frame that narwhals reads is required, got {type(table).__name__}"
        ) from error
    if isinstance(frame, nw.LazyFrame):
        raise TypeError(
            f"{where}: a data frame in memory is required, got {type(table).__name__}, which is "
            f"evaluated on demand; use {where}.collect()"
        )
    have = list(frame.columns)
    require_names(have, where)
    names = have if only is None else [name for name in only if name in frame.schema]
    arrays, categorical = {}, set()
    for name in names:
        series = frame[name]
        if series.dtype in (nw.Categorical, nw.Enum):
            categorical.add(name)
        arrays[name] = _column(series, Place(where, name))
    return arrays, frozenset(categorical)


def _column(series: Any, place: Place) -> np.ndarray:
    dtype = series.dtype
    kind = type(dtype).__name__
    if kind in REFUSED:
        raise TypeError(
            f"{place}: numbers, text, true and false, dates or durations are required, got "
            f"{shown(str(dtype))[1:-1]}; convert or remove this column"
        )
    if kind in ("Categorical", "Enum"):  # the categories of pandas may be numbers
        return text(_words(series.to_list(), place))
    native = getattr(series.to_native(), "dtype", dtype)
    if kind == "Unknown" and getattr(native, "tz", None) is not None:
        # narwhals knows few names of time zones of pandas; the values are UTC.
        return of_array(series.to_native().to_numpy(dtype="datetime64[us]"), place)
    if dtype.is_integer() or dtype.is_float() or (dtype.is_temporal() and kind != "Time"):
        return of_array(series.to_numpy(), place)
    if kind == "Boolean" and not series.is_null().any():
        return of_array(series.to_numpy().astype(bool), place)
    if kind == "Unknown" and not series.is_null().all():
        raise TypeError(
            f"{place}: numbers, text, true and false, dates or durations are required, got "
            f"{listed([str(native)])}; convert or remove this column"
        )
    return of_list(series.to_list(), place)


def _words(values: list[Any], place: Place) -> list[str | None]:
    """Return categories as text, numbers by their canonical names."""
    found: list[str | None] = of_list([*values, ""], place).tolist()  # the text makes it text
    return found[:-1]
