"""The task and the classes that follow from the target, and the classes of a trained model."""

from functools import partial

import pytest
from data_files import column, message, write_file

from fastsnn.data import read_table


@pytest.fixture
def write(tmp_path):
    return partial(write_file, tmp_path)


@pytest.mark.parametrize(
    "values, task",
    [
        (["a", "b"], "classification"),
        ([0, 1], "classification"),
        ([5, -2], "classification"),
        (["0.0", "1.0", "2.0"] * 2, "classification"),
        (list(range(20)) * 2, "classification"),
        ([*range(20), 33] * 2, "regression"),
        (list(range(20)), "classification"),
        (list(range(21)), "regression"),
        (list(range(100)) * 10, "regression"),
        (list(range(60)) * 10, "regression"),
        (list(range(60)) * 50, "regression"),
        ([1, 2, 3], "classification"),
        ([0.5, 1.5] * 10, "regression"),
        (["1", "2", "3+"], "classification"),
    ],
)
def test_task_is_inferred(write, values, task):
    assert read_table(write(column(values))).task == task


def test_task_may_be_given(write):
    path = write(column([1, 2] * 5))
    assert read_table(path, task="regression").train.y.shape == (10, 1)
    table = read_table(write(column([0.5, 1.5, 10, 0.5])), task="classification")
    assert table.class_names == ("0.5", "1.5", "10") and table.train.y.tolist() == [0, 1, 2, 0]


def test_class_names_are_sorted_by_value_then_by_the_alphabet(write):
    table = read_table(write(column(["10", "9", "b", "a", "+9", "09"])))
    assert table.class_names == ("+9", "09", "9", "10", "a", "b")
    assert table.train.y.tolist() == [3, 2, 5, 4, 0, 1]


def test_long_identifiers_stay_different(write):
    table = read_table(write(column(["x", "12345678901234567890", "12345678901234567891"])))
    assert len(table.class_names) == 3


def test_class_names_of_a_model(write):
    path = write(column(["dog", "cat", "dog"]))
    table = read_table(path, class_names=("ant", "cat", "dog"))
    assert table.class_names == ("ant", "cat", "dog") and table.train.y.tolist() == [2, 1, 2]
    text = message(read_table, path, class_names=("ant", "dog"))
    assert "line 3, column 'y'" in text and "2 known (ant, dog), got 'cat'" in text
    # One class in the file is enough, and 1.0 is the class 1.
    table = read_table(write(column(["1.0", "1.0"])), class_names=("0", "1"))
    assert table.task == "classification" and table.train.y.tolist() == [1, 1]
    # Without the text, 21 different numbers would be a regression.
    table = read_table(write(column(range(21))), class_names=tuple(map(str, range(21))))
    assert table.task == "classification" and table.train.y.tolist() == list(range(21))


def test_features_of_a_model_are_taken_by_name(write):
    path = write("b,note,a,y\n1,u,2,0\n3,v,4,1\n")
    table = read_table(path, "y", feature_names=("a", "b"), n_features=2)
    assert table.train.x.tolist() == [[2, 1], [4, 3]] and table.feature_names == ("a", "b")
    text = message(read_table, path, "a", feature_names=("a", "b"))
    assert "'a' is a feature of the model" in text and "name the target" in text
