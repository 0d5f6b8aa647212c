"""Recipes of tables: kinds, options, notes, JSON, the message for everything that is refused."""

import datetime as dt
import json

import numpy as np
import pytest

from fastsnn.tables import Columns, Recipe

RNG = np.random.default_rng(0)
TABLE = {
    "number": [1.0, 2.5, None, 4.0] * 6, "whole": [1, 2, 3, 5] * 6,
    "flag": ["yes", "no", None, "yes"] * 6, "kind": ["x", "y", None, "z"] * 6,
    "day": ["2013-01-31", "2014-06-30 05:30", None, "2013-03-01"] * 6,
    "code": ["007", "7", "12", "12"] * 6,
}  # fmt: skip
RECIPES = {name: Recipe.fit(TABLE, scaling=name) for name in ("standard", "robust")}


def objects(values):
    array = np.empty(len(values), object)
    array[:] = list(values)
    return array


# ---- kinds, options and notes


KINDS = {
    "numeric": [["1", "2.5", "-3e2", None], [1, 2, 3], [0.5, None, 2], ["1", "2", "?"]],
    "boolean": [["Yes", "no", None], [True, False], [True, None, False], ["T", "f"], ["y", "N"]],
    "categorical": [["a", "b"], ["007", "12"], ["yes", "no", "maybe"], ["1", "2", "3+"],
                    ["2013-01-01", "soon"], ["yes", "f"]],
    "date": [["2013-01-01", "2013-01-02 05:00"], [dt.date(2020, 1, 1), dt.date(2020, 1, 2)]],
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_kinds(kind):
    for values in KINDS[kind]:
        assert Recipe.fit({"a": values}).kinds() == {"a": kind}, values


def test_options_override_kinds():
    table = {"a": [1, 2, 2], "b": ["1", "2", "2"], "c": ["yes", "no", "no"], "d": [1, 2, 3]}
    options = {"categorical": ["a", "b", "c"], "drop": ["d"]}
    recipe = Recipe.fit(table, **options)
    assert recipe.kinds() == dict.fromkeys("abc", "categorical")
    assert recipe.feature_names == ("a=1", "a=2", "b=1", "b=2", "c=no", "c=yes")
    for spelling in ("1", "1.0", 1, 1.0, " 01 ", np.float32(1)):
        one = recipe.transform({"a": spelling, "b": "2", "c": "no"})
        assert one.tolist() == [[1, 0, 0, 1, 1, 0]], spelling
    assert Recipe.fit({"a": [True, False]}, numeric=["a"]).kinds() == {"a": "numeric"}
    codes = Recipe.fit({"a": ["007", "7", "7"]})
    assert codes.feature_names == ("a=007", "a=7")
    assert codes.transform({"a": 7}).tolist() == [[0, 1]]


def test_types_of_a_data_frame_are_kinds():
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    frame = pandas.DataFrame({"a": pandas.Categorical([1, 2, 2]), "b": ["1", "2", "3"]})
    assert Recipe.fit(frame).kinds() == {"a": "categorical", "b": "numeric"}
    assert Recipe.fit(frame, numeric=["a"]).kinds() == {"a": "numeric", "b": "numeric"}


X = {"a": [1, 2, 3], "b": ["x", "y", "x"]}
WRONG = {
    "unknown": (
        {"drop": ["z"]},
        ValueError,
        "drop: there is no column 'z'; the table has 'a', 'b'",
    ),
    "twice": (
        {"drop": ["a"], "date": ["a"]},
        ValueError,
        "'a' is given twice, as date and as drop",
    ),
    "repeated": ({"drop": ["a", "a"]}, ValueError, "'a' is given twice, as drop and as drop"),
    "text": (
        {"categorical": "a"},
        TypeError,
        "categorical must be a list of column names, got 'a'",
    ),
    "scaling": ({"scaling": "log"}, ValueError, "scaling must be one of standard, robust"),
    "most": ({"max_categories": 1}, ValueError, "max_categories must be at least 2"),
    "least": ({"min_frequency": 0}, ValueError, "min_frequency must be at least 1"),
    "not numbers": ({"numeric": ["b"]}, ValueError, "column 'b', row 0: a number is required"),
    "not dates": ({"date": ["b"]}, ValueError, "column 'b', row 0: a date in ISO format such as"),
    "no dates": ({"date": ["a"]}, TypeError, "column 'a': dates are required, got int64"),
    "pattern": ({"date_patterns": {"b": "%Q"}}, ValueError, "pattern must be a format such as"),
    "mask": ({"rows": [True, False, True]}, TypeError, "rows must be indices, int, got bool; use"),
    "no rows": ({"rows": []}, ValueError, "rows must be indices of shape (n,), n > 0, got (0,)"),
    "beyond": ({"rows": [0, 3]}, ValueError, "recipe: rows must be in [0, 3), got 0 to 3"),
    "none left": ({"drop": ["a", "b"]}, ValueError, "no column is left to learn from"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_options(case):
    options, error, part = WRONG[case]
    with pytest.raises(error) as caught:
        Recipe.fit(X, **options)
    assert part in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("odd, kind", [("oops", "number"), ("2013-13-01", "date")])
def test_few_odd_values_are_refused(odd, kind):
    day = dt.date(2000, 1, 1)
    usual = [str(i) if kind == "number" else str(day + dt.timedelta(i)) for i in range(9_999)]
    values = [*usual[:5_000], odd, *usual[5_000:]]
    with pytest.raises(ValueError) as caught:
        Recipe.fit({"a": values})
    assert f"column 'a', row 5000: a {kind} is required, as in most rows, got {odd!r}" in str(
        caught.value
    )
    lines = np.arange(10_000) + 2
    with pytest.raises(ValueError, match="line 5,002, column 'a'"):
        Recipe.fit(Columns({"a": objects(values)}, lines), np.arange(4_970, 5_030))
    forced = Recipe.fit({"a": values, "b": np.arange(10_000) % 7}, categorical=["a"])
    assert forced.kinds() == {"b": "numeric"} and "min_frequency: 'a'" in forced.notes[0]
    with pytest.raises(ValueError, match="with a decimal point are required, got '0,5'"):
        Recipe.fit({"a": ["0,5", "1,5", "2,5"]})


def test_columns_that_are_left_out():
    n = 100
    recipe = Recipe.fit({
        "same": [1] * n, "same text": ["x"] * n, "nothing": [None] * n, "key": np.arange(n),
        "name": [f"person {i}" for i in range(n)], "rare": [f"r{i // 2}" for i in range(n)],
        "used": np.arange(n) % 3, "gap": [None] + [1] * (n - 1),
    }, min_frequency=3)  # fmt: skip
    assert recipe.column_names == ("key", "used", "gap")
    assert recipe.notes == (
        "left out, constant: 'same', 'same text'",
        "left out, no values: 'nothing'",
        "like an identifier (integers that count up), kept as a number; drop it unless it matters: "
        "'key'",
        "left out, like an identifier (text that differs in nearly every row): 'name'",
        "left out, each category has fewer rows than min_frequency: 'rare'",
    )
    values = [f"c{i}" for i in range(5) for _ in range(i + 1)]
    many = Recipe.fit({"a": values}, max_categories=3)
    assert many.feature_names == ("a=c3", "a=c4", "a: other")
    assert many.notes == (
        "'a' has 5 categories: the 2 most frequent have a feature each, the other 3 share one",
    )


def test_default_of_min_frequency():
    """1 % of the rows, at most 10."""
    for n, kept in ((50, True), (200, True), (201, False)):
        values = ["rare"] * 2 + ["a", "b"] * (n // 2 - 1) + ["a"] * (n % 2)
        recipe = Recipe.fit({"x": values})
        assert ("x=rare" in recipe.feature_names) == kept
    values = ["nine"] * 9 + ["ten"] * 10 + ["a"] * 5_000
    assert Recipe.fit({"x": values}).feature_names == ("x=a", "x=ten", "x: other")


def test_ties_are_broken_by_name():
    values = ["b", "a", "d", "c"] * 5
    for rows in (np.arange(20), RNG.permutation(20)):
        recipe = Recipe.fit({"a": values}, rows, max_categories=3)
        assert recipe.feature_names == ("a=a", "a=b", "a: other")


def test_feature_names_are_unique():
    recipe = Recipe.fit({"a": ["x", "y"], "a=x": [1, 2], "a: missing": [0, 1], "b": [1, None]})
    assert recipe.feature_names == ("a=x", "a=y", "a=x (2)", "a: missing", "b", "b: missing")


# ---- transform


ROWS = {name: values[:2] for name, values in TABLE.items()}
REFUSED = {
    "missing": (
        {"number": [1]},
        ValueError,
        "x: the column 'whole' is required, the table has 'nu",
    ),
    "text": (ROWS | {"number": ["1", "q"]}, ValueError, "'number', row 1: a number is required"),
    "infinity": (ROWS | {"number": [1, np.inf]}, ValueError, "row 1: finite numbers are required"),
    "dates": (ROWS | {"number": [dt.date(2020, 1, 1)] * 2}, TypeError, "are required, got dates"),
    "word": (ROWS | {"flag": ["yes", "maybe"]}, ValueError, "'flag', row 1: true or false, yes or"),
    "two": (ROWS | {"flag": [0, 2]}, ValueError, "'flag', row 1: true or false, yes or no, 1 or 0"),
    "day": (ROWS | {"day": [None, "soon"]}, ValueError, "'day', row 1: a date in ISO format such"),
    "year": (ROWS | {"day": [2013, 2014]}, TypeError, "'day': dates are required, got int64"),
    "list": ([ROWS], TypeError, "x, column 'number', row 0: numbers, text, true and false"),
    "rows": ({name: [] for name in TABLE}, ValueError, "x: at least one row is required, got none"),
    "array": (np.ones((2, 6)), TypeError, "x: a table with column names is required"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    table, error, part = REFUSED[case]
    with pytest.raises(error) as caught:
        RECIPES["standard"].transform(table)
    assert part in str(caught.value) and "\n" not in str(caught.value)


def test_lines_of_a_file_are_named():
    columns = Columns({"number": np.ones(3000), "flag": objects(["yes"] * 2999 + ["maybe"])},
                      np.arange(3000) * 2 + 2)  # fmt: skip
    recipe = Recipe.fit({"number": [1, 2], "flag": ["yes", "no"]})
    with pytest.raises(ValueError, match="data.csv, line 6,000, column 'flag'"):
        recipe.transform(columns, "data.csv")


# ---- JSON


def changed(**entries):
    description = json.loads(json.dumps(RECIPES["robust"].to_dict()))
    for name, entry in entries.items():
        (found,) = (c for c in description["columns"] if c["name"] == name)
        found.update(entry)
    return description


CRAFTED = {
    "no object": ([], "recipe: an object with columns is required"),
    "more": ({"columns": [], "more": 1}, "recipe: an object with columns is required"),
    "none": ({"columns": []}, "recipe: columns must be a list with entries, got []"),
    "entry": ({"columns": [1]}, "recipe, column 0: kind must be one of numeric, boolean"),
    "kind": (changed(number={"kind": "log"}), "column 0: kind must be one of numeric, boolean"),
    "list as kind": (changed(number={"kind": []}), "column 0: kind must be one of numeric"),
    "keys": (changed(number={"more": 1}), "an object with kind, name, median, gaps, scale is"),
    "name": (changed(kind={"name": 1}), "recipe, column 3: name must be text, got 1"),
    "twice": (changed(kind={"name": "flag"}), "recipe: names of columns must be unique"),
    "median": (changed(number={"median": float("nan")}), "median must be a finite number, got nan"),
    "bool": (changed(number={"median": True}), "median must be a finite number, got True"),
    "long": (changed(number={"median": 10**400}), "median must be a finite number, got 1000"),
    "scale": (changed(number={"scale": 0}), "scale must be above 0, got 0"),
    "gaps": (changed(flag={"gaps": 1}), "gaps must be true or false, got 1"),
    "usual": (changed(flag={"usual": None}), "usual must be true or false, got None"),
    "categories": (changed(kind={"categories": [1]}), "categories must be a list of text, got [1]"),
    "equal": (changed(kind={"categories": ["a", "a"]}), "categories must be unique, got ['a',"),
    "no feature": (
        changed(code={"categories": []}), "recipe, column 5: at least one category is required",
    ),
    "infrequent": (changed(kind={"infrequent": -1}), "infrequent must be an int >= 0, got -1"),
    "parts": (changed(day={"parts": ["moon"]}), "parts must be of day of year, day of week, time"),
    "pattern": (changed(day={"pattern": "%d%d"}), "pattern must be a format such as '%d.%m.%Y'"),
    "far": (changed(day={"median": 1e9}), "median must be days from 1970, got 1000000000.0"),
}  # fmt: skip


@pytest.mark.parametrize("case", CRAFTED)
def test_crafted_descriptions(case):
    description, part = CRAFTED[case]
    with pytest.raises(ValueError) as caught:
        Recipe.of(description)
    assert part in str(caught.value) and "\n" not in str(caught.value)


def test_texts():
    recipe = RECIPES["standard"]
    assert repr(recipe) == (
        "Recipe(6 columns: 2 numeric, 1 boolean, 2 categorical, 1 date; "
        f"{len(recipe.feature_names)} features)"
    )
    assert [c["name"] for c in recipe.describe()] == list(TABLE)
    assert sum(c["features"] for c in recipe.describe()) == len(recipe.feature_names)
    for kind in RECIPES.values():
        assert all(c["learned"] and "\n" not in c["learned"] for c in kind.describe())


@pytest.mark.parametrize(
    ("trained", "new"),
    [
        (["False", "True"], [False, True]),
        (["false", "true"], ["FALSE", "True"]),
        ([False, True], ["False", "True"]),
        (["1", "2", "3+"], [1.0, "2.0", "3+"]),
        (["1.0", "2.0", "3+"], [1, 2, "3+"]),
        (["2020-01-01T00:00:00.000", "2020-01-02T00:00:00.000"], ["2020-01-01", "2020-01-02"]),
        (
            np.array(["2020-01-01", "2020-01-02"], "M8[us]"),
            ["2020-01-01 00:00:00", "2020-01-02T00:00Z"],
        ),
    ],
)
def test_a_category_is_recognized_in_the_spelling_of_another_source(trained, new):
    recipe = Recipe.fit({"a": trained}, categorical=["a"], min_frequency=1)
    expected = np.eye(len(trained))
    np.testing.assert_array_equal(recipe.transform({"a": trained}), expected)
    np.testing.assert_array_equal(recipe.transform({"a": new}), expected)
    one_by_one = np.concatenate([recipe.transform({"a": value}) for value in new])
    np.testing.assert_array_equal(one_by_one, expected)


def test_other_spellings_of_known_categories_stay_apart():
    recipe = Recipe.fit({"a": ["01", "1", "1.0", "x"]}, min_frequency=1)
    assert recipe.feature_names == ("a=01", "a=1", "a=1.0", "a=x")
    np.testing.assert_array_equal(recipe.transform({"a": ["01", "1", "1.0", "x"]}), np.eye(4))
    assert not recipe.transform({"a": "001"}).any()


@pytest.mark.parametrize("value", [0, 0.0, "0", "0.0", "No", "F", False])
def test_numbers_of_booleans(value):
    recipe = Recipe.fit({"a": [True, False, True]})
    assert recipe.transform({"a": value}) == recipe.transform({"a": [value, True]})[0] == 0
    for wrong in "2", "0.5", "on", "nan1":
        with pytest.raises(ValueError, match="column 'a', row 0: true or false, yes or no, 1 or 0"):
            recipe.transform({"a": wrong})
