"""NPZ files: supported contents, and every refusal."""

from functools import partial

import numpy as np
import pytest
from data_files import message, save_arrays

from fastsnn.data import read_table

X = np.arange(12.0).reshape(6, 2)
Y = np.array([0, 1, 0, 1, 0, 1])


@pytest.fixture
def save(tmp_path):
    return partial(save_arrays, tmp_path)


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f8", "i8", "u2", "?"])
def test_npz_dtypes(save, dtype):
    table = read_table(save(x=X.astype(dtype), y=Y))
    want = np.float32 if dtype in ("f4", "u2", "?") else np.float64
    assert table.train.x.dtype == want and table.train.x.flags.c_contiguous
    assert np.array_equal(table.train.x, X.astype(dtype))
    assert table.task == "classification" and table.train.y.tolist() == Y.tolist()


def test_npz_uint8_stays_and_more_dimensions_are_flattened(save):
    table = read_table(save(x=np.arange(72, dtype=np.uint8).reshape(6, 3, 4), y=Y))
    assert table.train.x.dtype == np.uint8 and table.train.x[1].tolist() == list(range(12, 24))
    assert read_table(save(x=np.asfortranarray(X), y=Y)).train.x.flags.c_contiguous


@pytest.mark.parametrize("y", [list("abcabc"), np.array(list("abcabc"), "S1")])
def test_npz_text_labels_and_capitals(save, y):
    table = read_table(save(X=X, Y=y))
    assert table.class_names == ("a", "b", "c") and table.train.y.tolist() == [0, 1, 2, 0, 1, 2]


def test_npz_targets_of_two_dimensions(save):
    assert read_table(save(x=X, y=Y.reshape(-1, 1))).task == "classification"
    y = np.array([[0, 1, np.nan]] * 6)
    table = read_table(save(x=X, y=y))
    assert table.task == "multitask" and table.train.y.shape == (6, 3)
    assert read_table(save(x=X, y=X * 0.3)).task == "regression"


@pytest.mark.parametrize(
    "arrays, parts",
    [
        ({"x": X}, ("x and y, or x_train", "holds x")),
        ({"x": X, "y": Y, "x_train": X, "y_train": Y}, ("either", "holds x, x_train, y, y_train")),
        ({"x_train": X, "y_train": Y, "x_test": X}, ("must hold both x_test and y_test",)),
        ({"x": X, "y": Y[:4]}, ("same number of rows", "6 and 4")),
        (
            {"x_train": X, "y_train": Y, "x_test": X[:, :1], "y_test": Y},
            ("same number of features", "'train': 2", "'test': 1"),
        ),
        (
            {"x_train": X, "y_train": Y, "x_test": X, "y_test": Y + 1},
            ("y of the test part, row 1 (from 0)", "2 known (0, 1)", "got '2'"),
        ),
        ({"x": X[:, 0], "y": Y}, ("shape (rows, features)", "(6,)", "reshape(-1, 1)")),
        ({"x": X[:0], "y": Y[:0]}, ("x must have at least one row", "(0, 2)")),
        ({"x": X[:, :0], "y": Y}, ("shape (rows, features)", "(6, 0)")),
        ({"x": X.astype(str), "y": Y}, ("x must be numbers", "<U32")),
        ({"x": X + 0j, "y": Y}, ("x must be an array of numbers or text", "complex128")),
        ({"x": X, "y": np.zeros((6, 2, 2))}, ("y must have the shape", "(6, 2, 2)")),
        ({"x": np.where(X == 7, np.nan, X), "y": Y}, ("x[3, 1]", "finite", "nan")),
        ({"x": np.where(X == 7, 1e39, X), "y": Y}, ("x[3, 1]", "finite", "1e+39")),
        ({"x": X, "y": np.where(Y == 0, np.nan, Y)}, ("row 0 (from 0)", "needs a class")),
        ({"x": X, "y": Y * 0}, ("y of the train part", "at least two classes")),
        ({"x": X, "y": np.array([b"\xff", b"a"] * 3)}, ("text in y must be UTF-8",)),
        ({"x": X, "y": Y.astype(object)}, ("y is a pickled object", "refused", "arbitrary code")),
        ({"x": X.astype(object), "y": Y}, ("x is a pickled object", "astype(float)")),
    ],
)
def test_npz_errors(save, arrays, parts):
    path = save(**arrays)
    text = message(read_table, path)
    assert text.startswith(str(path))
    for part in parts:
        assert part in text


def test_npz_has_no_target_columns(save):
    assert "its array y" in message(read_table, save(x=X, y=Y), "kind")


def test_npz_damaged(save, tmp_path):
    path = save(x=X, y=Y)
    whole = path.read_bytes()
    for data in (whole[:200], b"", b"x,y\n1,2\n", whole[:-30]):
        path.write_bytes(data)
        text = message(read_table, path)
        assert str(path) in text and "complete .npz archive" in text and "copy it again" in text
    damaged = bytearray(whole)
    damaged[200] ^= 1
    path.write_bytes(damaged)
    assert "x cannot be decompressed (Bad CRC-32" in message(read_table, path)
    directory = bytearray(whole)
    directory[whole.index(b"PK\x01\x02")] ^= 1  # the central directory of the archive
    path.write_bytes(directory)
    assert "complete .npz archive" in message(read_table, path)
    np.save(tmp_path / "a.npy", X)
    (tmp_path / "a.npy").rename(path)
    assert "complete .npz archive" in message(read_table, path)
