"""The split into training and validation rows depends only on the seed."""

import numpy as np
import pytest

from fastsnn.data.split import split


def test_split_is_a_partition_in_order():
    train, held = split(100, 0.1, seed=3)
    assert train.dtype == held.dtype == np.int64
    assert len(held) == 10 and np.all(np.diff(train) > 0) and np.all(np.diff(held) > 0)
    assert sorted([*train, *held]) == list(range(100))


def test_split_depends_on_the_seed_alone():
    assert np.array_equal(split(1000, 0.2, 5)[1], split(1000, 0.2, 5)[1])
    assert not np.array_equal(split(1000, 0.2, 5)[1], split(1000, 0.2, 6)[1])


def test_split_rows_are_a_promise():
    # The documented rule, written out: the rows with the smallest raw numbers of Philox.
    raw = np.random.Philox(0).random_raw(20)
    assert split(20, 0.25, 0)[1].tolist() == sorted(sorted(range(20), key=lambda i: raw[i])[:5])
    assert split(20, 0.25, 0)[1].tolist() == [0, 3, 8, 9, 19]


def test_split_keeps_the_share_of_each_class():
    labels = np.repeat([0, 1, 2], [600, 300, 100])
    _, held = split(1000, 0.1, 1, labels)
    assert np.bincount(labels[held]).tolist() == [60, 30, 10]
    plain = split(1000, 0.1, 1)[1]
    assert not np.array_equal(plain, held)


@pytest.mark.parametrize("fraction", [0.01, 0.3, 0.5, 0.9, 0.99])
def test_split_leaves_every_class_a_row_to_train_on(fraction):
    labels = np.repeat([4, 7, 9], [2, 3, 50])
    train, held = split(55, fraction, 0, labels)
    assert set(labels[train]) == {4, 7, 9}
    assert len(held) == min(max(1, round(55 * fraction)), 52)


def test_split_gives_the_odd_rows_to_the_largest_remainders():
    labels = np.repeat([0, 1, 2], [13, 18, 19])  # 10 of 50: shares of 2.6, 3.6 and 3.8
    assert np.bincount(labels[split(50, 0.2, 0, labels)[1]]).tolist() == [3, 3, 4]


def test_a_class_of_one_row_trains_and_the_others_stay_divided_by_class():
    labels = np.repeat([0, 1, 2, 3], [80, 2, 2, 1])
    for seed in range(100):
        train, held = split(85, 0.2, seed, labels)
        assert set(labels[train]) == {0, 1, 2, 3} and 3 not in labels[held] and len(held) == 17
    without = split(84, 0.2, 5, labels[:84])[1]
    assert np.bincount(labels[without]).tolist() == [16, 1]
    assert np.bincount(labels[split(85, 0.2, 5, labels)[1]]).tolist() == [16, 1]


def test_only_classes_of_one_row_cannot_be_held_back():
    with pytest.raises(ValueError, match="needs a class with two rows or more, got 30 classes"):
        split(30, 0.1, 0, np.arange(30))
    assert len(split(30, 0, 0, np.arange(30))[0]) == 30


def test_split_of_nothing_and_of_little():
    train, held = split(4, 0, 0)
    assert train.tolist() == [0, 1, 2, 3] and held.size == 0
    assert len(split(2, 0.01, 0)[1]) == 1


@pytest.mark.parametrize(
    "n, fraction, seed, parts",
    [
        (10, 1.0, 0, ("[0, 1)", "1.0")),
        (10, -0.1, 0, ("[0, 1)", "-0.1")),
        (10, float("nan"), 0, ("[0, 1)", "nan")),
        (10, 0.1, -1, ("seed", "-1")),
        (10, 1.5, np.int64(3), ("[0, 1)", "1.5")),
        (1, 0.1, 0, ("at least one row in each part", "got 1 row ")),
        (3, 0.9, 0, ("at least one row in each part", "got 3 rows ")),
    ],
)
def test_split_errors(n, fraction, seed, parts):
    with pytest.raises(ValueError) as error:
        split(n, fraction, seed)
    assert all(part in str(error.value) for part in parts)
