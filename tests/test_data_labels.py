"""Labels: every spelling of a text target remains a class, numbers are exact, and labels of
version 0.1 still fit.
"""

from functools import partial

import numpy as np
import pytest
from data_files import column, message, save_arrays, write_file

from fastsnn.data import read_table
from fastsnn.tables.cells import MISSING, number_name


@pytest.fixture
def write(tmp_path):
    return partial(write_file, tmp_path)


@pytest.mark.parametrize(
    "labels",
    [
        ["250.0", "250.00", "V45"],
        ["01", "1", "A1"],
        ["1E2", "100", "B4"],
        ["007", "008", "M"],
        ["1.10", "1.1", "2.0-beta"],
        ["+1", "1", "-"],
        ["1.0", "1", "one"],
        ["TRUE", "true", "0"],
        ["a", "A", "a b", "a  b"],
    ],
)
@pytest.mark.parametrize("kind", ["csv", "npz"])
def test_text_targets_keep_every_spelling(write, tmp_path, labels, kind):
    if kind == "csv":
        table = read_table(write(column(labels)))
    else:
        x = np.arange(float(len(labels)))[:, None]
        table = read_table(save_arrays(tmp_path, x=x, y=np.array(labels)))
    assert table.task == "classification" and set(table.class_names) == set(labels)
    assert [table.class_names[i] for i in table.train.y] == labels
    assert "text targets" in table.found


def test_outer_blanks_do_not_count(write):
    assert read_table(write(column([" a ", "a", "b\t"]))).class_names == ("a", "b")


def test_numbers_are_one_class_by_value(write):
    table = read_table(write(column(["1", "1.0", "1e0", "+1", "2", "-0", "0"])))
    assert table.class_names == ("0", "1", "2") and table.train.y.tolist() == [1, 1, 1, 1, 2, 0, 0]


def test_digits_with_a_leading_zero_are_codes(write):
    codes = ["007", "008", "012", "100"]
    table = read_table(write(column(codes)))
    assert table.class_names == tuple(codes) and "leading zeros, such as '007'" in table.found
    table = read_table(write(column(codes)), task="regression")
    assert table.train.y[:, 0].tolist() == [7, 8, 12, 100]
    many = [f"{i:05d}" for i in range(100)]
    assert read_table(write(column(many))).class_names == tuple(many)
    # Numbers with decimals are not codes, although their width is fixed.
    assert read_table(write(column(["01.5", "12.0", "00.5"]))).task == "regression"


BIG = 2**53


def test_whole_numbers_stay_exact_in_csv(write):
    labels = [str(BIG), str(BIG + 1), str(BIG + 2), f"{BIG + 1}.0", "-" + "9" * 30, "9" * 30]
    table = read_table(write(column(labels)))
    assert table.class_names == ("-" + "9" * 30, *labels[:3], "9" * 30)
    assert table.train.y.tolist() == [1, 2, 3, 2, 0, 4]


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_whole_numbers_stay_exact_in_npz(tmp_path, dtype):
    y = np.array([BIG, BIG + 1, BIG + 2, BIG + 1], dtype)
    table = read_table(save_arrays(tmp_path, x=np.ones((4, 1)), y=y))
    assert table.class_names == tuple(map(str, (BIG, BIG + 1, BIG + 2)))
    assert table.train.y.tolist() == [0, 1, 2, 1] and "3 distinct values" in table.found
    many = np.arange(30, dtype=dtype) + dtype(BIG)
    table = read_table(save_arrays(tmp_path, x=np.ones((30, 1)), y=many))
    assert table.task == "regression" and "30 distinct integers" in table.found


@pytest.mark.parametrize(
    "text, name",
    [
        ("1", "1"), ("1.0", "1"), ("01", "1"), ("-0.0", "0"), ("0e5", "0"), ("1e3", "1000"),
        ("0.10", "0.1"), ("1e-5", "1e-05"), (".5", "0.5"), ("5.", "5"), ("-2.50", "-2.5"),
        ("0.10000000000000000001", "10000000000000000001e-20"), ("12e-1", "1.2"),
        (1, "1"), (1.0, "1"), (0.1, "0.1"), (True, "1"), (1e22, "1" + "0" * 22),
        (2**63, str(2**63)),
        ("1e-00000000000000000000000000000005", "1e-05"),
    ],
)  # fmt: skip
def test_names_of_numbers(text, name):
    assert number_name(text) == name
    assert number_name(name) == name


def test_missing_words_are_those_of_pandas(write):
    parsers = pytest.importorskip("pandas._libs.parsers", reason="pandas is not installed")
    assert MISSING - {"?"} == parsers.STR_NA_VALUES
    for word in sorted(MISSING | {"NAN", "-NAN", " NULL "}):
        text = message(read_table, write(column(["a", word, "b"])))
        assert "line 3, column 'y': every row needs a class" in text
        text = message(read_table, write(column([1.5, 2.5, word])))
        assert "line 4, column 'y'" in text and "missing value" in text
        table = read_table(write(column([0, 1, word])), task="multitask")
        assert np.isnan(table.train.y[2, 0])


@pytest.mark.parametrize(
    "names, cells, y",
    [
        (("1", "2"), ["2.0", "1"], [1, 0]),
        (("250", "V45"), ["250.00", "V45", "250"], [0, 1, 0]),  # as version 0.1 wrote them
        (("0.1", "2.5"), ["0.10", "2.5"], [0, 1]),
        (("NULL", "a"), ["NULL", "a"], [0, 1]),
        (("7", "8"), ["007", "8"], [0, 1]),
        (("007", "008"), ["008", "007"], [1, 0]),
        (("1", "1.0", "x"), ["1.0", "1"], [1, 0]),
    ],
)
def test_classes_of_a_model_are_found(write, names, cells, y):
    assert read_table(write(column(cells)), class_names=names).train.y.tolist() == y


def test_other_spellings_of_a_model_that_keeps_them_are_unknown(write):
    text = message(read_table, write(column(["007", "7"])), class_names=("007", "008"))
    assert "line 3" in text and "known (007, 008), got '7'" in text


def test_text_among_many_numbers_is_refused(write):
    values = [f"{i}.5" for i in range(21)]
    text = message(read_table, write(column([*values, "oops"])))
    assert "line 23, column 'y'" in text and "'oops'" in text and "classification" in text
    table = read_table(write(column([*values[:20], "oops"])))
    assert len(table.class_names) == 21 and "as 'oops'" in table.found


@pytest.mark.parametrize(
    "values, reason",
    [
        (
            range(60),
            "regression: 60 distinct integers, more than 20; override with --task classification",
        ),
        (range(3), "classification: integers, 3 distinct values; override with --task regression"),
        ([0.5, 1.5], "regression: numbers with decimals"),
        (["a", "b"], "classification: text targets"),
    ],
)
def test_the_reason_of_the_task_is_said_for_any_number_of_rows(write, values, reason):
    for times in (1, 2, 50):
        table = read_table(write(column(list(values) * times)))
        assert table.found.startswith("header; delimiter ','; ") and reason in table.found
    assert "; class" not in read_table(write(column(values)), task="classification").found
