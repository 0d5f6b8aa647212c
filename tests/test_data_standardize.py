"""Mean 0 and deviation 1, per feature or over all of them."""

import numpy as np
import pytest

from fastsnn.data import ByteRows, Standardizer


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def test_standardize_per_feature(rng):
    x = rng.normal([5, -3, 100], [1, 10, 0.1], (5000, 3)).astype(np.float32)
    before = x.copy()
    s = Standardizer.fit(x)
    y = s.apply(x)
    assert y.dtype == s.mean.dtype == s.scale.dtype == np.float32 and y.flags.c_contiguous
    assert np.array_equal(x, before)
    np.testing.assert_allclose(y.mean(0, dtype=np.float64), 0, atol=1e-4)
    np.testing.assert_allclose(y.std(0, dtype=np.float64), 1, atol=1e-4)
    np.testing.assert_allclose(s.invert(y), x, rtol=1e-5, atol=1e-5)
    assert s.apply(x, out=x) is x and np.array_equal(x, y)


def test_standardize_all_takes_one_mean_and_deviation(rng):
    x = rng.integers(0, 256, (2500, 6), dtype=np.uint8)
    s = Standardizer.fit(x, per="all")
    assert s.mean.shape == s.scale.shape == (6,)
    assert np.all(s.mean == np.float32(x.mean())) and np.all(s.scale == np.float32(x.std()))
    np.testing.assert_allclose(s.apply(x), (x - x.mean()) / x.std(), rtol=1e-5, atol=1e-6)


def test_standardize_none():
    x = np.array([[1.5, -2.0]], np.float32)
    assert np.array_equal(Standardizer.fit(x, per="none").apply(x), x)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e-30, 1e8, -3e38])
def test_standardize_constant_column_gets_scale_one(constant):
    x = np.full((3001, 1), constant, np.float32)
    for per in ("feature", "all"):
        s = Standardizer.fit(x, per)
        assert s.scale[0] == 1 and np.all(s.apply(x) == 0)


def test_standardize_accumulates_in_float64():
    x = np.full((100_000, 1), 1e4, np.float32)
    x[::2] += 1
    s = Standardizer.fit(x)
    assert s.mean[0] == 10000.5 and s.scale[0] == 0.5
    x = np.random.default_rng(1).normal(5, 1, (50_000, 8)).astype(np.float32)
    s = Standardizer.fit(x)
    assert np.array_equal(s.mean, x.mean(0, dtype=np.float64).astype(np.float32))
    assert np.array_equal(s.scale, x.std(0, dtype=np.float64).astype(np.float32))


def test_standardize_of_some_rows_equals_that_of_their_copy(rng):
    x = rng.normal(size=(3000, 4)).astype(np.float32)
    rows = np.sort(rng.permutation(3000)[:1500])
    for per in ("feature", "all"):
        a, b = Standardizer.fit(x, per, rows), Standardizer.fit(x[rows], per)
        assert np.array_equal(a.mean, b.mean) and np.array_equal(a.scale, b.scale)
        assert np.array_equal(a.apply(x, rows=rows), b.apply(x[rows]))


def test_standardize_errors():
    x = np.ones((2, 3), np.float32)
    with pytest.raises(ValueError, match="feature, all, none, got 'max'"):
        Standardizer.fit(x, "max")
    with pytest.raises(ValueError, match="at least one row, got 0"):
        Standardizer.fit(x[:0])
    with pytest.raises(ValueError, match=r"3 features, got the shape \(2, 2\); was it"):
        Standardizer.fit(x).apply(x[:, :2])


def test_byte_rows_give_the_same_rows():
    rng = np.random.default_rng(3)
    x = rng.integers(0, 256, (3000, 7)).astype(np.uint8)
    inputs = Standardizer.fit(x, "all")
    chosen = rng.permutation(3000)[:2500]
    whole, rows = inputs.apply(x)[chosen], ByteRows(x, inputs, chosen)
    assert len(rows) == 2500 and rows.shape == whole.shape
    assert np.array_equal(np.concatenate(list(rows.blocks())), whole)
    out = np.empty((3, 7), np.float32)
    assert rows.take(np.array([5, 0, 2499]), out) is out and np.array_equal(out, whole[[5, 0, -1]])
    assert ByteRows(x, inputs).shape == (3000, 7)
