"""Columns of tables: every library, dicts and lists of dicts give the same arrays; refusals."""

import datetime as dt
import sys
from decimal import Decimal

import numpy as np
import pytest

from fastsnn.tables import Columns

EAST = dt.timezone(dt.timedelta(hours=2))
VALUES = {
    "number": [1.5, None, 2.5],
    "whole": [1, 2, 3],
    "whole, gap": [1, None, 3],
    "flag": [True, False, True],
    "flag, gap": [True, None, False],
    "text": [" a ", "", "b"],
    "text, gap": ["x", None, "NA"],
    "day": [dt.date(2020, 1, 1), None, dt.date(2020, 1, 3)],
    "time": [dt.datetime(2020, 1, 1, 5), None, dt.datetime(2020, 1, 3, 6, 0, 0, 5)],
    "zone": [dt.datetime(2020, 1, 1, 5, tzinfo=EAST), None, dt.datetime(2020, 1, 3, tzinfo=EAST)],
    "decimal": [Decimal("1.10"), None, Decimal("3.3")],
    "duration": [dt.timedelta(days=1), None, dt.timedelta(seconds=1.5)],
    "nothing": [None, None, None],
}


def times(*values):
    return np.array(values, "datetime64[us]")


def text(*values):
    return np.array(values, object)


NAN = np.nan
WANTED = {
    "number": np.array([1.5, NAN, 2.5]),
    "whole": np.array([1, 2, 3], np.int64),
    "whole, gap": np.array([1, NAN, 3]),
    "flag": np.array([True, False, True]),
    "flag, gap": text("true", None, "false"),
    "text": text("a", None, "b"),
    "text, gap": text("x", None, None),
    "day": times("2020-01-01", "NaT", "2020-01-03"),
    "time": times("2020-01-01T05", "NaT", "2020-01-03T06:00:00.000005"),
    "zone": times("2020-01-01T03", "NaT", "2020-01-02T22"),
    "decimal": np.array([1.1, NAN, 3.3]),
    "duration": np.array([86400, NAN, 1.5]),
    "nothing": np.array([NAN, NAN, NAN]),
}


def assert_equal(found, wanted):
    assert list(found) == list(wanted)
    for name, values in wanted.items():
        assert found[name].dtype == values.dtype, name
        if values.dtype == object:
            assert found[name].tolist() == values.tolist(), name
        else:
            assert np.array_equal(found[name], values, equal_nan=values.dtype.kind in "fM"), name


def records(table):
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


def frames(table=VALUES):
    """Return the table in each library that is installed."""
    found = {"dict": table, "tuple": {name: tuple(v) for name, v in table.items()}}
    found["records"] = records(table)
    try:
        import pandas

        frame = pandas.DataFrame(table)
        found["pandas"], found["pandas, nullable"] = frame, frame.convert_dtypes()
        import pyarrow

        found["pandas, arrow"] = frame.convert_dtypes(dtype_backend="pyarrow")
        found["pyarrow"] = pyarrow.table(table)
        import polars

        found["polars"] = polars.DataFrame(table)
    except ImportError:
        pass
    return found


@pytest.mark.parametrize("library", [
    "dict", "tuple", "records", "pandas", "pandas, nullable", "pandas, arrow", "pyarrow", "polars",
])  # fmt: skip
def test_the_same_arrays_from_every_source(library):
    table = frames().get(library)
    if table is None:
        pytest.skip(f"needs {library}")
    assert_equal(Columns.of(table), WANTED)
    few = Columns.of(table, only=["zone", "text", "absent"])
    assert_equal(few, {name: WANTED[name] for name in ("zone", "text")})


def test_columns_are_a_mapping():
    columns = Columns.of(VALUES)
    assert columns.n_rows == 3 and columns.shape == (3, 13) and len(columns) == 13
    assert columns["whole"].tolist() == [1, 2, 3] and "absent" not in columns
    assert Columns.of(columns) is columns
    turned = columns.take(np.array([2, 0]))
    assert turned["whole"].tolist() == [3, 1] and turned["text"].tolist() == ["b", "a"]
    assert repr(Columns.of({"a": [1]})) == "Columns(1 rows, 1 columns ('a'))"
    lines = Columns({"a": np.arange(3.0)}, np.array([2, 3, 5])).take(np.array([2]))
    assert lines.lines.tolist() == [5]


def test_numpy_arrays():
    found = Columns.of({
        "f4": np.float32([0.1, NAN]), "i1": np.int8([1, 2]), "u8": np.uint64([1, 2**64 - 1]),
        "u4": np.uint32([1, 2]), "text": np.array(["b ", "?"]), "day": times("2020-01-01", "NaT"),
        "seconds": np.array([1500, "NaT"], "timedelta64[ms]"), "b": np.array([True, False]),
        "masked": np.ma.masked_array([1, 2], [False, True]), "fixed": np.array(["a", "b"], "T"),
        "mixed": np.array([1, "x"], object), "huge": [2**63, 1], "beyond": [2**70, 1],
    })  # fmt: skip
    assert_equal(found, {
        "f4": np.array([np.float64(np.float32(0.1)), NAN]), "i1": np.array([1, 2]),
        "u8": np.array([1, 2**64 - 1], np.uint64), "u4": np.array([1, 2]), "text": text("b", None),
        "day": times("2020-01-01", "NaT"), "seconds": np.array([1.5, NAN]),
        "b": np.array([True, False]), "masked": np.array([1, NAN]), "fixed": text("a", "b"),
        "mixed": text("1", "x"), "huge": np.array([2**63, 1], np.uint64),
        "beyond": np.array([2.0**70, 1]),
    })  # fmt: skip


def test_mixed_values():
    found = Columns.of({
        "text": ["x", 1, 1.0, 2.5, True, NAN, None], "numbers": [1, 2.5, True, None, NAN, 0, 0],
        "flags": [True, NAN, False, None, True, True, True],
        "days": [dt.date(2020, 1, 2), "x", dt.datetime(2020, 1, 2, 3, tzinfo=EAST), *"abcd"],
    })  # fmt: skip
    assert_equal(found, {
        "text": text("x", "1", "1", "2.5", "true", None, None),
        "numbers": np.array([1, 2.5, 1, NAN, NAN, 0, 0]),
        "flags": text("true", None, "false", None, "true", "true", "true"),
        "days": text("2020-01-02", "x", "2020-01-02 01:00:00", *"abcd"),
    })  # fmt: skip


def test_a_list_of_dicts():
    found = Columns.of([{"b": 1, "a": "x"}, {"a": "y"}, {"a": "z", "c": True}])
    assert_equal(found, {
        "b": np.array([1, NAN, NAN]), "a": text("x", "y", "z"), "c": text(None, None, "true"),
    })  # fmt: skip
    assert_equal(Columns.of({"a": 1, "b": "x"}), {"a": np.array([1]), "b": text("x")})


def test_categories_of_data_frames():
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    pytest.importorskip("narwhals", reason="needs narwhals")
    found = Columns.of(pandas.DataFrame({
        "numbers": pandas.Categorical([1, 2, None]), "halves": pandas.Categorical([1.5, 2.0, None]),
        "text": pandas.Categorical(["x", "y ", None], ordered=True), "own": [1, 2, 3],
    }))  # fmt: skip
    assert found.categorical == {"numbers", "halves", "text"}
    assert_equal(found, {
        "numbers": text("1", "2", None), "halves": text("1.5", "2", None),
        "text": text("x", "y", None), "own": np.array([1, 2, 3]),
    })  # fmt: skip
    assert found.take(np.array([0])).categorical == found.categorical


def test_categories_of_polars_and_arrow():
    polars = pytest.importorskip("polars", reason="needs Polars")
    pyarrow = pytest.importorskip("pyarrow", reason="needs PyArrow")
    types = {"a": polars.Categorical, "b": polars.Enum(["x", "y"])}
    values = {"a": ["x", None], "b": ["y", None]}
    for frame in (
        polars.DataFrame(values, schema=types),
        pyarrow.table({name: pyarrow.array(v).dictionary_encode() for name, v in values.items()}),
    ):
        found = Columns.of(frame)
        assert found.categorical == {"a", "b"}
        assert_equal(found, {"a": text("x", None), "b": text("y", None)})


TABLE = "x: a table with column names is required (a data frame, dict of columns or list of dicts)"
ODD = "numbers, text, true and false, dates or durations are required"
REFUSED = {
    "array": (np.ones((2, 2)), TypeError, f"{TABLE}, got ndarray"),
    "None": (None, TypeError, f"{TABLE}, got NoneType"),
    "text": ("a", TypeError, f"{TABLE}, got str"),
    "rows": ([[1, 2]], TypeError, f"{TABLE}, got [1, 2] in row 0"),
    "no rows": ([], ValueError, "x: at least one row is required, got none"),
    "no columns": ({}, ValueError, "x: at least one column and one row are required, got none"),
    "empty": ({"a": []}, ValueError, "x: at least one column and one row are required, got none"),
    "number as name": ({1: [2]}, TypeError, "x: names of columns must be text, got 1"),
    "number as key": ([{1: 2}], TypeError, "x: names of columns must be text, got 1"),
    "lengths": ({"a": [1], "b": [1, 2]}, ValueError, "'a' has 1 values, 'b' has 2"),
    "scalar": ({"a": [1], "b": 2}, TypeError, "x, column 'b': a list or an array is required, as"),
    "object": ({"a": [1, {}]}, TypeError, f"x, column 'a', row 1: {ODD}, got {{}}"),
    "bytes": ({"a": [b"x"]}, TypeError, f"x, column 'a', row 0: {ODD}, got b'x'"),
    "complex": ({"a": np.array([1j])}, TypeError, f"x, column 'a': {ODD}, got complex128"),
    "matrix": ({"a": np.ones((2, 2))}, ValueError, "x, column 'a': one value per row is required"),
    "date among numbers": ({"a": [1, dt.date(2020, 1, 1)]}, TypeError, "row 1: values of one type"),
    "duration": (
        {"a": ["x", dt.timedelta(1)]},
        TypeError,
        "row 1: values of one type are required",
    ),
    "huge": ({"a": [None, 10**400]}, ValueError, "column 'a', row 1: numbers within the range of"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    table, error, part = REFUSED[case]
    with pytest.raises(error) as caught:
        Columns.of(table)
    assert part in str(caught.value) and "\n" not in str(caught.value)


def test_refused_data_frames():
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    polars = pytest.importorskip("polars", reason="needs Polars")
    frame = polars.DataFrame
    cases = [
        (pandas.DataFrame([[1, 2]], columns=["a", "a"]), "must be unique, 'a' occurs 2 times"),
        (pandas.DataFrame([[1, 2]]), "x: names of columns must be text, got 0"),
        (pandas.DataFrame({"a": pandas.period_range("2020", periods=2)}), f"{ODD}, got 'period["),
        (pandas.DataFrame(), "at least one column and one row are required"),
        (pandas.Series([1]), "got Series"),
        (frame({"a": [[1, 2]]}), f"x, column 'a': {ODD}, got List(Int64)"),
        (frame({"a": [{"b": 1}]}), f"{ODD}, got Struct("),
        (frame({"a": [b"x"]}), f"{ODD}, got Binary"),
        (frame({"a": [dt.time(3)]}), f"{ODD}, got Time"),
        (frame({"a": [1]}).lazy(), "got LazyFrame, which is evaluated on demand; use x.collect()"),
    ]
    for table, part in cases:
        with pytest.raises((TypeError, ValueError)) as caught:
            Columns.of(table)
        assert part in str(caught.value) and "\n" not in str(caught.value)
    ignored = Columns.of(frame({"a": [[1, 2]], "b": [1]}), only=["b"])
    assert list(ignored) == ["b"]


def test_without_narwhals(monkeypatch):
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    for name in ("narwhals", "narwhals.stable", "narwhals.stable.v2"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(RuntimeError) as caught:
        Columns.of(pandas.DataFrame({"a": [1]}))
    assert "pip install '.[tables]'" in str(caught.value)
    assert Columns.of({"a": pandas.Series([1, 2])})["a"].tolist() == [1, 2]


@pytest.mark.parametrize("zone", ["America/New_York", "Etc/GMT+5", "Asia/Ho_Chi_Minh", "-05:00"])
def test_pandas_times_of_any_time_zone_become_utc(zone):
    pd = pytest.importorskip("pandas")
    times = pd.Series(pd.to_datetime(["2020-01-31 12:00", None])).dt.tz_localize("UTC")
    columns = Columns.of(pd.DataFrame({"a": times.dt.tz_convert(zone)}))
    np.testing.assert_array_equal(columns["a"], np.array(["2020-01-31T12", "NaT"], "M8[us]"))


@pytest.mark.parametrize(
    "values",
    [
        np.array(["2020-01-01", "400000-01-01"], "M8[D]"),
        np.array(["2020", "-5"], "M8[Y]"),
        [dt.date(2020, 1, 1), np.datetime64("400000-01-01")],
        [None, np.datetime64(18_446_744_073_710 + 10**9, "s")],  # 2001 after a wrap
    ],
)
def test_a_date_beyond_year_9999_is_refused(values):
    message = "x, column 'a', row 1: a date of the years 1 to 9999 is required, got "
    with pytest.raises(ValueError, match=message):
        Columns.of({"a": values})


def test_a_time_that_is_beyond_year_9999_in_utc_is_refused():
    zone = dt.timezone(dt.timedelta(hours=-5))
    with pytest.raises(ValueError, match="column 'a'.*: a date of the years 1 to 9999 is required"):
        Columns.of({"a": [dt.datetime.max.replace(tzinfo=zone)]})
