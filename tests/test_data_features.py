"""Features for a prediction: by name if there are names, else by number."""

from functools import partial

import numpy as np
import pytest
from data_files import message, save_arrays, write_file

from fastsnn.data import read_features

X = np.arange(12.0).reshape(6, 2)


@pytest.fixture
def write(tmp_path):
    return partial(write_file, tmp_path)


@pytest.fixture
def save(tmp_path):
    return partial(save_arrays, tmp_path)


def test_features_by_name_ignore_other_columns(write):
    path = write("kind,b,a\ncat,1,2\ndog,3,4\n")
    x = read_features(path, ("a", "b"), 2)
    assert x.dtype == np.float64 and x.flags.c_contiguous and x.tolist() == [[2, 1], [4, 3]]


def test_features_of_one_row_with_and_without_header(write):
    assert read_features(write("1,2\n"), ("a", "b"), 2).tolist() == [[1, 2]]
    assert read_features(write("b,a\n1,2\n"), ("a", "b"), 2).tolist() == [[2, 1]]
    assert read_features(write("1,0\n5,6\n"), ("0", "1"), 2).tolist() == [[6, 5]]


def test_features_without_names_by_number(write):
    assert read_features(write("a,b\n1,2\n3,4\n"), None, 2).tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    "content, names, n_features, parts",
    [
        ("a,c\n1,2\n", ("a", "b"), 2, ("all 2 feature columns", "lacks 'b'", "it has 'a', 'c'")),
        ("1,2,3\n4,5,6\n", ("a", "b"), 2, ("needs 2 feature columns", "has 3", "leave out")),
        ("a,b,c\n4,5,6\n", None, 2, ("needs 2 feature columns", "has 3")),
        ("a,b\n1,2\n3,\n", ("a", "b"), 2, ("line 3, column 'b'", "got ''")),
        ("a,b\n", ("a", "b"), 2, ("at least one row", "header only")),
    ],
)
def test_features_errors(write, content, names, n_features, parts):
    path = write(content)
    text = message(read_features, path, names, n_features)
    assert text.startswith(str(path))
    for part in parts:
        assert part in text


def test_features_of_npz(save):
    path = save(x=X.astype(np.uint8).reshape(6, 2, 1))
    x = read_features(path, ("ignored", "names"), 2)
    assert x.dtype == np.uint8 and np.array_equal(x, X)
    text = message(read_features, path, None, 3)
    assert "needs 3 features, x has 2" in text
    assert "must hold the array x, holds z" in message(read_features, save(z=X), None, 2)
