"""All optical digits: the two original files, and the part of them in this package."""

import numpy as np
import pytest
from data_files import message
from shared_data import shared_data

from fastsnn.data import load, optdigits
from fastsnn.data.digits import load_digits

RNG = np.random.default_rng(2)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTSNN_DATA", str(tmp_path))
    monkeypatch.setenv("FASTSNN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "optdigits").mkdir()
    for name, rows in (("optdigits.tra", 30), ("optdigits.tes", 10)):
        monkeypatch.setitem(optdigits.ROWS, name, rows)
        values = np.column_stack([RNG.integers(0, 17, (rows, 64)), np.arange(rows) % 10])
        np.savetxt(tmp_path / "optdigits" / name, values, "%d", ",")
    return tmp_path / "optdigits"


def test_both_parts(folder):
    d = load("optdigits", validation=0)
    assert (len(d.train), d.validation, len(d.test)) == (30, None, 10)
    assert d.n_features == 64 and d.n_outputs == 10 and d.test.y.tolist() == list(range(10))
    lines = (folder / "optdigits.tes").read_text().splitlines()
    pixels = [[int(cell) for cell in line.split(",")[:-1]] for line in lines]
    np.testing.assert_allclose(d.inputs.inverse_transform(d.test.x), pixels, atol=1e-5)
    assert len(set(d.inputs.scale)) == 1  # one deviation for all pixels


@pytest.mark.parametrize(
    "change, part",
    [
        (lambda text: text[: len(text) // 2], "must have 30 lines of 64 pixels 0..16 and a class"),
        (lambda text: text + "1,2,3\n", "columns changed"),
        (lambda text: text.replace(",0\n", ",17\n"), "has 0 to 17"),
        (lambda text: "a,b\n", "must have 30 lines of 64 pixels"),
        (lambda text: "", "there are no numbers"),
        (lambda text: "é", "must have 30 lines of 64 pixels"),
    ],
)
def test_damaged_files(folder, change, part):
    path = folder / "optdigits.tra"
    path.write_text(change(path.read_text()), "utf-8")
    error = message(load, "optdigits")
    assert str(path) in error and part in error and "copy or download it again" in error


@pytest.fixture(scope="module")
def real():
    data = shared_data()
    if data is None or not (data / "optdigits" / "optdigits.tes").is_file():
        pytest.skip("optdigits is not at hand: set FASTSNN_DATA")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTSNN_DATA", str(data))
        yield optdigits.load_optdigits()


def test_figures_of_the_real_files(real):
    assert real.train.x.shape == (3823, 64) and real.test.x.shape == (1797, 64)
    counts = [376, 389, 380, 389, 387, 376, 377, 387, 380, 382]
    assert np.bincount(real.train.y).tolist() == counts
    counts = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(real.test.y).tolist() == counts
    assert real.train.x.max() == real.test.x.max() == 16 and real.train.x.dtype == np.uint8


def test_the_test_images_are_those_of_the_package(real):
    digits = load_digits()
    is_test = np.arange(1797) % 5 == 4
    for part, rows in ((digits.train, ~is_test), (digits.test, is_test)):
        assert np.array_equal(real.test.x[rows], part.x)
        assert np.array_equal(real.test.y[rows], part.y)


def test_the_test_images_are_those_of_scikit_learn(real):
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")
    x, y = datasets.load_digits(return_X_y=True)
    assert np.array_equal(real.test.x, x) and np.array_equal(real.test.y, y)
