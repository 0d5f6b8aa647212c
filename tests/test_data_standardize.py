"""Mean 0 and standard deviation 1, per feature or over all of them."""

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
    y = s.transform(x)
    assert s.mean.dtype == s.scale.dtype == np.float64
    assert y.dtype == np.float32 and y.flags.c_contiguous
    assert np.array_equal(x, before)
    np.testing.assert_allclose(y.mean(0, dtype=np.float64), 0, atol=1e-4)
    np.testing.assert_allclose(y.std(0, dtype=np.float64), 1, atol=1e-4)
    np.testing.assert_allclose(s.inverse_transform(y), x, rtol=1e-5, atol=1e-5)
    assert s.transform(x, out=x) is x and np.array_equal(x, y)


def test_standardize_all_takes_one_mean_and_deviation(rng):
    x = rng.integers(0, 256, (2500, 6), dtype=np.uint8)
    s = Standardizer.fit(x, per="all")
    assert s.mean.shape == s.scale.shape == (6,)
    assert np.all(s.mean == np.float32(x.mean())) and np.all(s.scale == np.float32(x.std()))
    np.testing.assert_allclose(s.transform(x), (x - x.mean()) / x.std(), rtol=1e-5, atol=1e-6)


def test_standardize_none():
    x = np.array([[1.5, -2.0]], np.float32)
    assert np.array_equal(Standardizer.fit(x, per="none").transform(x), x)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e-30, 1e8, -3e38])
def test_standardize_constant_column_gets_scale_one(constant):
    x = np.full((3001, 1), constant, np.float32)
    for per in ("feature", "all"):
        s = Standardizer.fit(x, per)
        assert s.scale[0] == 1 and np.all(s.transform(x) == 0)


def test_standardize_accumulates_in_float64():
    x = np.full((100_000, 1), 1e4, np.float32)
    x[::2] += 1
    s = Standardizer.fit(x)
    assert s.mean[0] == 10000.5 and s.scale[0] == 0.5
    x = np.random.default_rng(1).normal(5, 1, (50_000, 8)).astype(np.float32)
    s = Standardizer.fit(x)
    # Sums of 50,000 numbers of one sign: relative errors of a few hundred roundings at most.
    np.testing.assert_allclose(s.mean, x.mean(0, dtype=np.float64), rtol=1e-13)
    np.testing.assert_allclose(s.scale, x.std(0, dtype=np.float64), rtol=1e-13)
    # Version 0.1: the same figures, rounded.
    old = Standardizer.fit(x, dtype=np.float32)
    assert old.mean.dtype == np.float32 and np.array_equal(old.mean, s.mean.astype(np.float32))
    assert np.array_equal(old.scale, s.scale.astype(np.float32))


def test_standardize_of_some_rows_equals_that_of_their_copy(rng):
    x = rng.normal(size=(3000, 4)).astype(np.float32)
    rows = np.sort(rng.permutation(3000)[:1500])
    for per in ("feature", "all"):
        a, b = Standardizer.fit(x, per, rows), Standardizer.fit(x[rows], per)
        assert np.array_equal(a.mean, b.mean) and np.array_equal(a.scale, b.scale)
        assert np.array_equal(a.transform(x, rows=rows), b.transform(x[rows]))


def test_standardize_errors():
    x = np.ones((2, 3), np.float32)
    with pytest.raises(ValueError, match="feature, all, none, got 'max'"):
        Standardizer.fit(x, "max")
    with pytest.raises(ValueError, match="at least one row, got 0"):
        Standardizer.fit(x[:0])
    with pytest.raises(ValueError, match=r"3 features, got shape \(2, 2\); was the"):
        Standardizer.fit(x).transform(x[:, :2])


def test_byte_rows_give_the_same_rows():
    rng = np.random.default_rng(3)
    x = rng.integers(0, 256, (3000, 7)).astype(np.uint8)
    inputs = Standardizer.fit(x, "all")
    chosen = rng.permutation(3000)[:2500]
    whole, rows = inputs.transform(x)[chosen], ByteRows(x, inputs, chosen)
    assert len(rows) == 2500 and rows.shape == whole.shape
    assert np.array_equal(np.concatenate(list(rows.blocks())), whole)
    out = np.empty((3, 7), np.float32)
    assert rows.take(np.array([5, 0, 2499]), out) is out and np.array_equal(out, whole[[5, 0, -1]])
    assert ByteRows(x, inputs).shape == (3000, 7)


def exact(x):
    x = x.astype(np.longdouble)
    return ((x - x.mean(0)) / x.std(0)).astype(np.float64)


def test_a_large_offset_keeps_every_value(rng):
    """Unix times, Julian dates, northings and identifiers have more digits than float32 holds."""
    x = np.stack([1.7e9 + rng.uniform(0, 100, 399), 2460000.5 + rng.uniform(0, 1, 399),
                  9e10 + rng.integers(0, 1000, 399)], axis=1)  # fmt: skip
    y = Standardizer.fit(x).transform(x)
    # Rounded to float32 once: up to 2^-24 of 2 deviations, and the last digit of the inputs.
    np.testing.assert_allclose(y, exact(x), rtol=2e-7, atol=1e-7)
    assert [len(np.unique(column)) for column in y.T] == [len(np.unique(c)) for c in x.T]
    old = Standardizer.fit(x, dtype=np.float32).transform(x)
    assert len(np.unique(old[:, 0])) < 5, "what float32 makes of it"


@pytest.mark.parametrize(
    "column",
    [
        np.where(np.arange(50) % 2, 0.1 + 0.2, 0.3),
        1.7e9 + np.arange(50) % 3 * 2.4e-7,
        np.full(50, 0.1) + np.arange(50) % 4 * 1e-17,
    ],
    ids=["a sum", "a time", "a tenth"],
)
def test_rounding_noise_is_no_variation(column):
    s = Standardizer.fit(column[:, None])
    assert s.scale[0] == 1 and np.abs(s.transform(column[:, None])).max() < 1e-6
    assert Standardizer.fit((column + [0, 1] * 25)[:, None]).scale[0] != 1


@pytest.mark.parametrize("size", [1e-300, 1e-150, 1e150, 1e300])
def test_values_whose_squares_leave_float64(size, rng):
    x = rng.normal(3, 1, (2000, 2)) * [size, 1]
    s = Standardizer.fit(x)
    np.testing.assert_allclose(s.mean[0], (x[:, 0] / size).mean() * size, rtol=1e-12)
    np.testing.assert_allclose(s.scale[0], (x[:, 0] / size).std() * size, rtol=1e-12)
    assert s.mean[1] == Standardizer.fit(x[:, 1:]).mean[0], "the other column keeps its bits"
    np.testing.assert_allclose(s.transform(x).std(0), 1, rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_values_outside_of_float32_are_refused_by_position(dtype):
    x = np.zeros((3000, 3))
    x[:, 1] = np.linspace(0, 1e-30, 3000)
    s = Standardizer.fit(x, dtype=dtype)
    x[2500, 1] = 1e20
    with pytest.raises(ValueError, match="1e.20 in row 2500, column 1, with mean 5e-31"):
        s.transform(x)
    with pytest.raises(ValueError, match="1e.20 in row 2500, column 'b'"):
        s.transform(x, rows=np.array([7, 2500]), names=("a", "b", "c"))
    x[1100, 2] = np.nan
    with pytest.raises(
        ValueError, match="x: finite numbers are required, got nan in row 1100, col"
    ):
        s.transform(x)


def test_bytes_stay_in_float32(rng):
    """Images have the cost and the bits of version 0.1."""
    x = rng.integers(0, 256, (3000, 7)).astype(np.uint8)
    for per in ("all", "feature", "none"):
        s, old = Standardizer.fit(x, per), Standardizer.fit(x.astype(float), per, dtype=np.float32)
        assert s.mean.dtype == s.scale.dtype == np.float32
        assert np.array_equal(s.mean, old.mean) and np.array_equal(s.scale, old.scale)
        y = x.astype(np.float32)
        np.subtract(y, s.mean, out=y)
        np.divide(y, s.scale, out=y)
        assert np.array_equal(s.transform(x), y)


def test_inverse_transform_is_in_float64(rng):
    y = 1.7e9 + rng.normal(0, 22, (500, 1))
    s = Standardizer.fit(y)
    back = s.inverse_transform(s.transform(y))
    assert back.dtype == np.float64
    np.testing.assert_allclose(back, y, rtol=0, atol=22 * 4 * 2.0**-24)
    assert s.inverse_transform(s.transform(y)).std() == pytest.approx(y.std(), rel=1e-6)


@pytest.mark.parametrize(
    "mean, scale, part",
    [
        (np.zeros(3), np.ones(2), "(3,) and (2,)"),
        (np.zeros((1, 3)), np.ones((1, 3)), "must have the shape (features,)"),
        (np.zeros(3), np.array([1, 0, 1.0]), "finite scales above 0"),
        (np.array([0, np.nan, 0]), np.ones(3), "finite means"),
    ],
)
def test_invalid_standardizers(mean, scale, part):
    with pytest.raises(ValueError) as error:
        Standardizer(mean, scale)
    assert part in str(error.value)


@pytest.mark.parametrize("mean", [[0, 0, 0], np.zeros(3, np.float32), np.zeros(3, int), None])
def test_a_standardizer_has_one_type(mean):
    with pytest.raises(TypeError, match="arrays of one dtype, float64 or float32, got"):
        Standardizer(mean, np.ones(3))


def test_repr_of_a_standardizer():
    assert repr(Standardizer.fit(np.array([[1.0, 5.0], [3.0, 6.0]]))) == (
        "Standardizer(2 features, float64, mean [2, 5.5], scale [1, 0.5])"
    )
