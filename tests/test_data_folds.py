"""Folds: the use of each row; no figure is computed from validation or test rows."""

import numpy as np
import pytest
from data_files import message

from fastsnn.data import Folds, load_folds

X = np.arange(24, dtype=np.float32).reshape(8, 3) ** 2
Y = np.arange(8) % 2
TEST = np.zeros((8, 2), bool)
TEST[:2, 0] = TEST[6:, 1] = True
VALIDATION = np.zeros((8, 2), bool)
VALIDATION[5, 0] = True


def folds(**changes):
    plain = {"name": "t", "x": X, "y": Y, "test": TEST, "validation": VALIDATION}
    return Folds(**plain | {"class_names": ("a", "b"), "note": "made up"} | changes)


def test_rows_of_each_fold():
    f = folds()
    assert len(f) == 8 and f.n_folds == 2
    assert [part.tolist() for part in f.rows(1)] == [[2, 3, 4, 6, 7], [5], [0, 1]]
    assert [part.tolist() for part in f.rows(2)] == [[0, 1, 2, 3, 4, 5], [], [6, 7]]


def test_parts_are_standardized_by_the_training_rows():
    f = folds()
    rows = f.rows(1)
    mean, deviation = X[rows[0]].mean(axis=0), X[rows[0]].std(axis=0)
    for part, index in zip(f.parts(1), rows, strict=True):
        # Differences of numbers below 600 divided by deviations above 90: a few roundings of
        # float32.
        np.testing.assert_allclose(part.x, (X[index] - mean) / deviation, rtol=1e-5, atol=1e-6)
        assert part.y.tolist() == Y[index].tolist()
    changed = X.copy()
    changed[[0, 1, 5]] = 1e6  # test and validation rows
    assert np.array_equal(folds(x=changed).parts(1)[0].x, f.parts(1)[0].x)


def test_a_rule_of_the_data_set_gets_the_training_rows():
    given = []

    def prepare(x, rows):
        given.append(rows.tolist())
        return x[:, :1] + 1

    f = folds(prepare=prepare, feature_names=("p", "q", "r"))
    assert [part.x[:, 0].tolist() for part in f.parts(2)[1:]] == [[], [325, 442]]
    table = f.table(1)
    assert table.train.x[:, 0].tolist() == [37, 82, 145, 325, 442] and table.feature_names is None
    assert given == [[0, 1, 2, 3, 4, 5], [2, 3, 4, 6, 7]]


def test_the_table_of_a_fold_is_as_in_the_files():
    table = folds(feature_names=("p", "q", "r")).table(1)
    assert np.array_equal(table.test.x, X[:2]) and np.array_equal(table.validation.x, X[5:6])
    assert table.class_names == ("a", "b") and table.feature_names == ("p", "q", "r")
    assert table.note == "made up" and table.task == "classification"
    assert folds().table(2).validation is None


@pytest.mark.parametrize("fold", [0, 3, -1])
def test_folds_are_counted_from_1(fold):
    assert f"t: the fold must be a number from 1 to 2, got {fold}" in message(folds().rows, fold)


@pytest.mark.parametrize(
    "changes, part",
    [
        ({"y": Y[:7]}, "must have 8 rows like x, have 7, (8, 2) and (8, 2)"),
        ({"validation": VALIDATION[:, :1]}, "have 8, (8, 2) and (8, 1)"),
        ({"validation": TEST}, "row 0 (from 0) must not be in both the test and the validation"),
        ({"test": TEST & False}, "fold 1 must have training and test rows"),
        ({"test": ~VALIDATION}, "fold 1 must have training and test rows"),
    ],
)
def test_inconsistent_arrays(changes, part):
    assert part in message(folds, **changes)


def test_only_some_names_have_folds():
    assert "folds exist for htru2, tox21 and uci/NAME, got 'mnist'" in message(load_folds, "mnist")
