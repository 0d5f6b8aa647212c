"""Convert the values of one column to one of the dtypes of `Columns`.

========================= =====================================================================
values                    become
========================= =====================================================================
bool                      bool; with missing values object of "true", "false" and None
integers                  int64, or uint64 for unsigned ones and those of 2^63 and more; float64
                          with missing values, and beyond 64 bits
floats, decimals          float64; a missing value is NaN
text                      object; without outer spaces; empty text and words such as "NA"
                          (`cells.MISSING`) are None
text with other values    object; 1 and 1.0 become "1", True becomes "true", dates ISO text
dates, times of a date    datetime64[us], converted to UTC if they have a time zone
durations                 float64, in seconds
missing values only       float64, all NaN
========================= =====================================================================

A missing value is None, NaN, NaT, pandas.NA, or a masked entry. Other types are refused.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

from fastsnn.checks.scalars import shown
from fastsnn.tables.cells import is_missing, number_name
from fastsnn.tables.place import Place

MISSING_TYPES = ("NoneType", "NAType", "NaTType", "MaskedConstant")
SECOND = np.timedelta64(1, "s")
NAT = np.datetime64("NaT", "us")
YEARS = "a date of the years 1 to 9999 is required"
WANTED = "numbers, text, true and false, dates or durations are required"
KNOWN: dict[type, str] = {}  # results of `_kind`


def of_any(values: Any, place: Place) -> np.ndarray:
    """Return the column of a list, tuple, array or series. Raises TypeError or ValueError."""
    if isinstance(values, list | tuple):
        return of_list(values, place)
    if isinstance(values, np.ma.MaskedArray):
        data, mask = np.ma.getdata(values), np.ma.getmaskarray(values)
        objects = data.astype(object)
        objects[mask] = None
        return of_any(objects, place)
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{place}: {WANTED}, got {type(values).__name__}") from error
    if array.ndim != 1:
        raise ValueError(f"{place}: one value per row is required, got shape {array.shape}")
    return of_array(array, place)


def of_array(array: np.ndarray, place: Place) -> np.ndarray:
    """Return the column of an array (n,) of any dtype."""
    kind = array.dtype.kind
    if kind == "f":
        return array.astype(np.float64, copy=False)
    if kind == "b":
        return array
    if kind in "iu":
        wide = kind == "u" and array.dtype.itemsize == 8
        return array.astype(np.uint64 if wide else np.int64, copy=False)
    if kind == "M":
        return _times(array, place)
    if kind == "m":
        return array / SECOND  # NaT becomes NaN
    if kind in "OUT":
        return of_list(array.tolist(), place)
    raise TypeError(f"{place}: {WANTED}, got {array.dtype.name}")


def of_list(values: Sequence[Any], place: Place) -> np.ndarray:
    """Return the column of Python objects."""
    kinds = {_kind(t) for t in set(map(type, values))}
    if len(kinds) == 1:
        (kind,) = kinds
        if kind == "float":
            return np.array(values, np.float64)
        if kind == "text":
            return text(values)
    if "float" in kinds and not kinds <= {"int", "float"}:  # NaN next to other types is missing
        values = [None if v != v else v for v in map(_null, values)]
        kinds = {_kind(t) for t in set(map(type, values))}
    gaps = "missing" in kinds
    kinds.discard("missing")
    if not kinds:
        return np.full(len(values), np.nan)
    if "other" in kinds:
        row = next(i for i, v in enumerate(values) if _kind(type(v)) == "other")
        raise TypeError(f"{place.at(row)}: {WANTED}, got {shown(values[row])}")
    if gaps:
        values = [_null(v) for v in values]
    if kinds == {"bool"}:
        return text([_word(v) for v in values]) if gaps else np.array(values, bool)
    if kinds <= {"int", "float", "bool"}:
        return _numbers(values, place, kinds == {"int"} and not gaps)
    if kinds == {"date"}:
        times = [NAT if v is None else utc(v, place) for v in values]
        for row, time in enumerate(values):  # conversion to microseconds wraps around
            if isinstance(time, np.datetime64) and _year(time) != _year(times[row]):
                raise ValueError(f"{place.at(row)}: {YEARS}, got {time}; correct it")
        return _times(np.array(times), place)
    if kinds == {"duration"}:
        return _array(values, "timedelta64[us]") / SECOND
    if ("date" in kinds and "text" not in kinds) or "duration" in kinds:
        row = next(i for i, v in enumerate(values) if _kind(type(v)) in ("date", "duration"))
        raise TypeError(
            f"{place.at(row)}: values of one type are required, got {shown(values[row])} among "
            f"{' and '.join(sorted(kinds - {'date', 'duration'}) or sorted(kinds))} values"
        )
    return text([_word(v) for v in values])


def text(values: Iterable[str | None]) -> np.ndarray:
    """Return strings and None as a column: outer spaces are removed, missing words become None."""
    values = list(values)
    changed = {v: c for v in set(values) if v is not None and (c := _clean(v)) != v}
    if changed:
        values = [changed.get(v, v) if v is not None else None for v in values]
    array = np.empty(len(values), object)
    array[:] = values
    return array


def _year(time: np.datetime64) -> int:
    return int(time.astype("datetime64[Y]").astype(np.int64))


def _times(array: np.ndarray, place: Place) -> np.ndarray:
    """Return times as datetime64[us]. Raises ValueError for years beyond 9999."""
    years = array.astype("datetime64[Y]").astype(np.int64)
    beyond = ~np.isnat(array) & ((years < 1 - 1970) | (years > 9999 - 1970))
    if beyond.any():
        row = int(beyond.argmax())
        raise ValueError(f"{place.at(row)}: {YEARS}, got {array[row]}; correct it")
    return array.astype("datetime64[us]", copy=False)


def missing(values: np.ndarray) -> np.ndarray:
    """Return True for each missing value of a column, bool (n,)."""
    kind = values.dtype.kind
    if kind in "fM":
        nan: np.ndarray = values != values  # true for NaN and NaT alone
        return nan
    if kind == "O":
        return np.array([value is None for value in values.tolist()], bool)
    return np.zeros(len(values), bool)


def distinct(values: np.ndarray, convert: Callable[[Any], Any], dtype: Any) -> np.ndarray:
    """Return `convert` of each value of a column of text, called once for each distinct one."""
    listed = values.tolist()
    found = {value: convert(value) for value in dict.fromkeys(listed)}
    return np.array([found[value] for value in listed], dtype)


def date_text(value: np.datetime64) -> str:
    """Return ISO text, "2013-01-31" for midnight, else "2013-01-31 05:30:00"."""
    return str(value).replace("T", " ").removesuffix(".000000").removesuffix(" 00:00:00")


def _clean(value: str) -> str | None:
    value = str.__str__(value).strip()
    return None if is_missing(value) else value


def _kind(of: type) -> str:
    """Return the kind of the values of a type."""
    found = KNOWN.get(of)
    if found is None:
        found = _find_kind(of)
        if len(KNOWN) < 1024:
            KNOWN[of] = found
    return found


def _find_kind(of: type) -> str:
    if of.__name__ in MISSING_TYPES:
        return "missing"
    if issubclass(of, bool | np.bool):
        return "bool"
    if issubclass(of, np.timedelta64 | datetime.timedelta):  # NumPy's is a signed integer
        return "duration"
    if issubclass(of, int | np.integer):
        return "int"
    if issubclass(of, Real | Decimal):
        return "float"
    if issubclass(of, str):
        return "text"
    if issubclass(of, datetime.date | np.datetime64):
        return "date"
    return "other"


def _null(value: Any) -> Any:
    """Return None for each kind of missing value but NaN."""
    return None if _kind(type(value)) == "missing" else value


def _word(value: Any) -> str | None:
    """Return text for a value in a column with text: canonical numbers, "true" and "false", dates
    in ISO format.
    """
    if value is None or isinstance(value, str):
        return value
    if _kind(type(value)) == "date":
        return date_text(utc(value))
    if isinstance(value, bool | np.bool):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return str(int(value))
    value = float(value)
    return number_name(value) if abs(value) < np.inf else str(value)


def _numbers(values: Sequence[Any], place: Place, whole: bool) -> np.ndarray:
    """Return an array of numbers; None becomes NaN. whole: all are integers."""
    for dtype in (np.int64, np.uint64) if whole else ():
        try:
            return np.array(values, dtype)
        except OverflowError:
            pass
    try:
        return np.array([np.nan if v is None else float(v) for v in values])
    except OverflowError as error:
        row = next(i for i, v in enumerate(values) if v is not None and abs(v) > 1e308)
        raise ValueError(
            f"{place.at(row)}: numbers within the range of float64 are required, got "
            f"{shown(values[row])}"
        ) from error


def utc(value: Any, place: Place | None = None) -> np.datetime64:
    """Return a date or time without a time zone."""
    if isinstance(value, datetime.datetime):
        if value.tzinfo is not None:
            try:
                value = value.astimezone(datetime.UTC)
            except OverflowError as error:
                at = "" if place is None else f"{place}: "
                raise ValueError(f"{at}{YEARS}, in UTC, got {value}; correct it") from error
        return np.datetime64(value.replace(tzinfo=None), "us")
    return np.datetime64(value, "us")


def _array(values: Sequence[Any], dtype: str) -> np.ndarray:
    nat = np.array("NaT", dtype)[()]
    return np.array([nat if v is None else v for v in values], dtype)
