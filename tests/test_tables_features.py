"""Features of tables: those of scikit-learn; dates by the calendar; rows are independent."""

import datetime as dt
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastsnn.tables import Columns, Recipe
from fastsnn.tables.dates import iso, iso_all, written_all

RNG = np.random.default_rng(0)
NAN = np.nan


def objects(values):
    array = np.empty(len(values), object)
    array[:] = list(values)
    return array


def column(recipe, table, name):
    """Return the features of one column."""
    of = [i for i, f in enumerate(recipe.feature_names) if f.split("=")[0].split(":")[0] == name]
    return recipe.transform(table)[:, of]


# ---- scikit-learn as the oracle


def oracle():
    return pytest.importorskip("sklearn", reason="needs scikit-learn")


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_numbers_equal_those_of_scikit_learn(seed, gaps):
    oracle()
    from sklearn.impute import SimpleImputer

    rng = np.random.default_rng(seed)
    train, new = rng.lognormal(0, 2, 101 + seed), rng.lognormal(0, 2, 50)
    new[::7] = NAN
    if gaps:
        train[rng.random(len(train)) < 0.2] = NAN
    recipe = Recipe.fit({"a": train})
    imputer = SimpleImputer(strategy="median", add_indicator=True).fit(train[:, None])
    for values in (train, new):
        assert np.array_equal(recipe.transform({"a": values}), imputer.transform(values[:, None]))
    assert recipe.feature_names == (("a", "a: missing") if gaps else ("a",))


@pytest.mark.parametrize("seed", range(3))
def test_robust_scaling_equals_that_of_scikit_learn(seed):
    oracle()
    from sklearn.preprocessing import RobustScaler

    rng = np.random.default_rng(seed)
    train = rng.standard_t(1, 200 + seed) * 1e3
    new = np.array([0.0, 1e300, -1e300, 5.0, *rng.standard_t(1, 50)])
    recipe = Recipe.fit({"a": train}, scaling="robust")
    scaler = RobustScaler().fit(train[:, None])
    for values in (train, new):
        z = scaler.transform(values[:, None])
        found = recipe.transform({"a": values})
        with np.errstate(over="ignore"):
            assert np.allclose(found, np.where(abs(z) > 1e100, 3 * np.sign(z), z / (
                1 + (z / 3) ** 2) ** 0.5), rtol=1e-13, atol=0)  # fmt: skip
        assert (np.abs(found) <= 3).all()


def test_robust_scaling_without_a_spread():
    """Interquartile range 0: half the range, as in RealMLP."""
    train = np.array([1.0] * 10 + [5.0])
    found = Recipe.fit({"a": train, "b": np.arange(11)}, scaling="robust")
    z = (train - 1) / 2
    assert np.allclose(column(found, {"a": train, "b": train}, "a")[:, 0], z / np.hypot(1, z / 3))
    gap = Recipe.fit({"a": [1.0, 1.0, None]}, scaling="robust")
    assert gap.transform({"a": [1.0, None, 4.0]})[:, 0].tolist() == [0, 0, 3 / math.sqrt(2)]


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("most, least", [(100, 1), (100, 12), (5, 1), (5, 20), (2, 1), (26, 2)])
def test_categories_equal_those_of_scikit_learn(most, least, gaps):
    oracle()
    from sklearn.preprocessing import OneHotEncoder

    names = [f"c{i:02}" for i in RNG.permutation(25)]
    train = objects([n for i, n in enumerate(names, 1) for _ in range(2 * i)])  # no equal counts
    new = objects([*names, "unknown", "c99"] * 2)
    if gaps:
        train = objects([*train, *[None] * 101])
    recipe = Recipe.fit({"a": train}, max_categories=most, min_frequency=least)
    encoder = OneHotEncoder(
        max_categories=most + gaps,
        min_frequency=least,
        sparse_output=False,
        handle_unknown="infrequent_if_exist",
    ).fit(np.where(train == None, "~", train)[:, None])  # noqa: E711
    order = [n.removeprefix("x0_") for n in encoder.get_feature_names_out()]
    wanted = [f"a={n}" for n in order if n[0] == "c"]
    bucket = ["a: other"] if "infrequent_sklearn" in order else []
    assert recipe.feature_names == (*wanted, *bucket, *["a: missing"] * gaps)
    index = [order.index(n.removeprefix("a=")) for n in wanted]
    index += [i for name in ("infrequent_sklearn", "~") for i, n in enumerate(order) if n == name]
    for values in (train, new):
        filled = np.where(values == None, "~", values)[:, None]  # noqa: E711
        found = recipe.transform({"a": values})
        assert np.array_equal(found, encoder.transform(filled)[:, index])


def test_booleans_equal_those_of_scikit_learn():
    oracle()
    from sklearn.impute import SimpleImputer

    train = np.array([1, 0, NAN, 1, 1, NAN, 0])
    words = {"yes/no": ("No", "yes"), "t/f": ("F", "t"), "bool": (False, True)}
    imputer = SimpleImputer(strategy="most_frequent", add_indicator=True).fit(train[:, None])
    for no, yes in words.values():
        values = [None if v != v else (no, yes)[int(v)] for v in train]
        recipe = Recipe.fit({"a": values})
        assert recipe.kinds() == {"a": "boolean"}
        assert np.array_equal(recipe.transform({"a": values}), imputer.transform(train[:, None]))
    assert recipe.transform({"a": ["TRUE", "n", "1", "0", None]})[:, 0].tolist() == [1, 0, 1, 0, 1]
    assert recipe.transform({"a": [1, 0.0, NAN]}).tolist() == [[1, 0], [0, 0], [1, 1]]


def test_a_whole_table_equals_a_column_transformer():
    oracle()
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OneHotEncoder

    frame = pandas.DataFrame({
        "a": RNG.normal(size=300), "b": np.where(RNG.random(300) < 0.1, NAN, RNG.normal(size=300)),
        "c": RNG.choice(["x", "y", "z"], 300), "d": RNG.integers(0, 9, 300),
        "e": RNG.choice(list("abcdefghijklmnop"), 300, p=np.arange(1, 17) / 136),
    })  # fmt: skip
    rows = RNG.permutation(300)[:200]
    numbers = SimpleImputer(strategy="median", add_indicator=True)
    one_hot = OneHotEncoder(
        min_frequency=5, sparse_output=False, handle_unknown="infrequent_if_exist"
    )
    parts = [("a", numbers, ["a"]), ("b", numbers, ["b"]), ("c", one_hot, ["c"]),
             ("d", numbers, ["d"]), ("e", one_hot, ["e"])]  # fmt: skip
    transformer = ColumnTransformer(parts).fit(frame.iloc[rows])
    recipe = Recipe.fit(frame, rows, min_frequency=5)
    assert np.array_equal(recipe.transform(frame), transformer.transform(frame))


# ---- dates


def test_dates_by_the_calendar():
    start = dt.datetime(2011, 2, 3, 4, 5, 6)
    values = [start + dt.timedelta(hours=int(h)) for h in RNG.integers(0, 40_000, 99)] + [None]
    recipe = Recipe.fit({"t": values})
    names = [f"t: {wave} of {part}" for part in ("day of year", "day of week", "time of day")
             for wave in ("sine", "cosine")]  # fmt: skip
    assert recipe.feature_names == ("t", "t: missing", *names)
    found, epoch = recipe.transform({"t": values}), dt.datetime(1970, 1, 1)
    middle = np.median([(v - epoch) / dt.timedelta(days=1) for v in values[:-1]])
    assert np.allclose(found[-1], [middle, 1, 0, 0, 0, 0, 0, 0], rtol=1e-13)
    for value, row in zip(values[:-1], found, strict=False):
        leap = value.year % 4 == 0
        midnight = value.replace(hour=0, minute=0, second=0)
        phases = [
            (value.timetuple().tm_yday - 1) / (366 if leap else 365), value.weekday() / 7,
            (value - midnight) / dt.timedelta(days=1),
        ]  # fmt: skip
        waves = [wave(2 * math.pi * p) for p in phases for wave in (math.sin, math.cos)]
        assert np.allclose(row, [(value - epoch) / dt.timedelta(days=1), 0, *waves], atol=1e-12)


def test_dates_from_text():
    texts = ["2013-01-31", "2013-02-28 05:30", "2013-02-28T05:30:01.5Z", "2013-05-01 01:00+02:00"]
    times = ["2013-01-31", "2013-02-28T05:30", "2013-02-28T05:30:01.5", "2013-04-30T23:00"]
    recipe = Recipe.fit({"t": texts})
    assert recipe.kinds() == {"t": "date"}
    same = recipe.transform({"t": np.array(times, "datetime64[us]")})
    assert np.array_equal(recipe.transform({"t": texts}), same)
    for table in [{"t": text} for text in texts], [{"t": None}, {"t": "NA"}, {"t": NAN}]:
        rows = np.concatenate([recipe.transform(row) for row in table])
        assert np.array_equal(rows, recipe.transform(table))
    days = Recipe.fit({"t": ["2013-01-07", "2013-01-14", "2014-01-06"]})
    assert days.feature_names == ("t", "t: sine of day of year", "t: cosine of day of year")
    pattern = {"t": "%d.%m.%Y"}
    written = Recipe.fit({"t": ["31.12.2012", "2.1.2013"]}, date=["t"], date_patterns=pattern)
    assert written.date_patterns == pattern and Recipe.of(written.to_dict()) == written
    assert np.array_equal(written.transform({"t": "2.1.2013"}), written.transform({"t": dt.date(
        2013, 1, 2)}))  # fmt: skip


# ---- transform


TABLE = {
    "number": [1.0, 2.5, None, 4.0] * 6, "whole": [1, 2, 3, 5] * 6,
    "flag": ["yes", "no", None, "yes"] * 6, "kind": ["x", "y", None, "z"] * 6,
    "day": ["2013-01-31", "2014-06-30 05:30", None, "2013-03-01"] * 6,
    "code": ["007", "7", "12", "12"] * 6,
}  # fmt: skip
RECIPES = {name: Recipe.fit(TABLE, scaling=name) for name in ("standard", "robust")}
NUMBERS = st.none() | st.floats(allow_infinity=False) | st.integers(-(2**62), 2**62)
TEXTS = st.none() | st.sampled_from(["x", "y", "z", " x ", "NA", "", "unknown"]) | st.text()
ROW = st.fixed_dictionaries({
    "number": NUMBERS, "whole": NUMBERS, "kind": TEXTS, "code": TEXTS | NUMBERS,
    "flag": st.sampled_from(["yes", "NO", "t", True, False, None, " n ", 1, 0.0, float("nan")]),
    "day": st.none() | st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1))
    | st.dates(dt.date(1900, 1, 1)).map(str),
})  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(ROW, min_size=2, max_size=8), name=st.sampled_from(list(RECIPES)))
def test_rows_are_independent(rows, name):
    """One row alone, any order of rows and columns, and a reloaded recipe give the same bits."""
    recipe = RECIPES[name]
    whole = recipe.transform(rows)
    assert np.isfinite(whole).all()
    for row, wanted in zip(rows, whole, strict=True):
        for one in (row, [row], [row, row], {key: [v] for key, v in reversed(row.items())}):
            assert np.array_equal(recipe.transform(one)[0], wanted)
    assert np.array_equal(recipe.transform(rows[::-1]), whole[::-1])
    again = Recipe.of(json.loads(json.dumps(recipe.to_dict())))
    assert again == recipe and np.array_equal(again.transform(rows), whole)


def test_bits_do_not_depend_on_the_position():
    n = 10_000
    times = np.datetime64("2000-01-01", "us") + RNG.integers(0, 10**15, n).astype("m8[us]")
    table = {"t": times, "x": RNG.normal(size=n), "c": objects(RNG.choice(list("abcd"), n))}
    recipe = Recipe.fit(table, scaling="robust")
    whole, order = recipe.transform(table), RNG.permutation(n)
    assert np.array_equal(recipe.transform(Columns.of(table).take(order)), whole[order])
    shuffled = Recipe.fit({name: values[order] for name, values in table.items()}, scaling="robust")
    assert shuffled == recipe
    for i in range(0, n, 999):
        row = {name: values[i] for name, values in table.items()}
        assert np.array_equal(recipe.transform(row)[0], whole[i])


def test_unknown_categories_and_missing_values():
    plain = Recipe.fit({"a": ["x", "y"]})
    assert plain.transform({"a": ["z", None, "x"]}).tolist() == [[0, 0], [0, 0], [1, 0]]
    bucket = Recipe.fit({"a": ["x", "x", "y", "y", "z"]}, min_frequency=2)
    assert bucket.transform({"a": ["z", "new", None, "x"]}).tolist() == [
        [0, 0, 1], [0, 0, 1], [0, 0, 1], [1, 0, 0],
    ]  # fmt: skip
    gaps = Recipe.fit({"a": ["x", "y", None]})
    assert gaps.transform({"a": ["new", None, 5]}).tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 0]]


X = {"a": [1, 2, 3], "b": ["x", "y", "x"]}


def test_extra_columns_are_ignored():
    recipe, more = Recipe.fit(X), {"c": [object()] * 3, "d": [[1], [2], [3]]}
    assert np.array_equal(recipe.transform(X | more), recipe.transform(X))
    assert np.array_equal(recipe.transform({"a": 1, "b": "x", "c": []}), recipe.transform(X)[:1])


@pytest.mark.parametrize(
    "text",
    [
        "2020-02-29", "2019-02-29", "2020-02-30", "2020-13-01", "2020-00-10", "0000-01-01",
        "0001-01-01", "9999-12-31 23:59:59.999999", "2020-01-01 24:00", "2020-01-01 23:60",
        "2020-01-01 23:59:60", "2020-01-01T05:30", "2020-01-01 05:30:00.5", "2020-01-01 05",
        "2020-01-01T", "2020-01-01 05:30:00Z", "2020-01-01 05:30:00+01:00", "20200101", "2020-01",
        "2020", "+2020-01-01", "-2020-01-01", "NaT", "now", "today", "٢٠٢٠-01-01", "2020-1-1",
    ],
)  # fmt: skip
def test_many_iso_dates_are_read_like_a_single_one(text):
    one, many = iso(text), iso_all(["2020-01-31", text])
    if many is not None:
        assert many[1] == one and many.dtype == "M8[us]"
    else:  # the slower reader decides
        assert one is None or text.endswith(("Z", "+01:00", "24:00"))


@pytest.mark.parametrize("pattern", ["%d.%m.%Y", "%m/%d/%Y %H:%M", "%Y/%m/%dT%H:%M:%S"])
@pytest.mark.parametrize(
    "text",
    [
        "1.2.2020", "29.02.2020", "29.02.2019", "31.04.2020", "01.01.0000", "01.01.0001",
        "1.1.20", " 1.2.2020", "1.2.2020 05:30", "12/31/2020 5:07", "13/01/2020 05:30",
        "12/31/2020 24:00", "12/31/2020  05:30", "2020/1/2T03:04:05", "2020/01/02T03:04:60",
        "2020/01/02 03:04:05", "1x2x2020", "",
    ],
)  # fmt: skip
def test_many_dates_of_a_pattern_are_read_by_strptime(text, pattern):
    try:
        one = dt.datetime.strptime(text, pattern)
    except ValueError:
        one = None
    found = written_all([text], pattern)
    if found is not None:
        assert found.tolist() == [one]
    else:  # the slower reader decides
        spaces = text.startswith(" ") or "  " in text  # more than the pattern has
        assert one is None or spaces or text.endswith(":60")


def test_other_patterns_are_left_to_strptime():
    for pattern in ("%d.%m.%y", "%d %b %Y", "%Y-%j", "%d.%m.%Y %d", "100%", "%%"):
        assert written_all(["01.02.20"], pattern) is None
