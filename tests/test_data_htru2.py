"""HTRU2: every form of its file, the documented folds, and truncated files."""

import csv
import shutil
import zipfile

import numpy as np
import pytest
from data_files import message
from shared_data import shared_data

from fastsnn.data import htru2, load, load_folds

N = 40
RNG = np.random.default_rng(1)
VALUES = np.column_stack([RNG.normal(size=(N, 8)).round(5), np.arange(N) % 4 == 1])
LINES = [",".join(f"{v:.9g}" for v in row) for row in VALUES]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(htru2, "ROWS", N)
    monkeypatch.setattr(htru2, "ARCHIVE", htru2.File("htru2.zip"))
    monkeypatch.setenv("FASTSNN_DATA", str(tmp_path))
    monkeypatch.setenv("FASTSNN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "htru2").mkdir()
    return tmp_path / "htru2"


def write(folder, form):
    if form == "zip":
        with zipfile.ZipFile(folder / "htru2.zip", "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("HTRU_2.csv", "\r".join(LINES))
    elif form == "arff":
        head = ["@relation HTRU_2", "@attribute Profile_mean numeric", "@data", "% a remark", ""]
        (folder / "HTRU_2.arff").write_text("\n".join(head + LINES) + "\n")
    else:
        (folder / "HTRU_2.csv").write_bytes(form.join(LINES).encode())


@pytest.mark.parametrize("form", ["\r", "\n", "\r\n", "arff", "zip"])
def test_every_form(folder, form):
    write(folder, form)
    f = htru2.load()
    assert np.array_equal(f.x, VALUES[:, :8]) and f.x.dtype == np.float64
    assert f.y.tolist() == VALUES[:, 8].tolist() and f.y.dtype == np.int64
    assert f.class_names == ("spurious", "pulsar") and len(f.feature_names) == 8


def test_fold_1_is_the_data_set(folder):
    write(folder, "\r")
    f, d = load_folds("htru2"), load("htru2")
    assert len(d.test) == 4 and d.test.y.tolist() == f.y[f.test[:, 0]].tolist()
    assert d.validation.y.tolist() == f.y[f.test[:, 9]].tolist()
    np.testing.assert_allclose(d.inputs.inverse_transform(d.test.x), f.x[f.test[:, 0]], atol=1e-5)


def test_the_folds_are_a_promise():
    # The documented rule, written out: rows by class and number, dealt out in turn.
    y = np.arange(30) % 3 == 0
    raw = np.random.Philox(0).random_raw(30)
    dealt = sorted(range(30), key=lambda i: (y[i], raw[i]))
    test = htru2.folds(y.astype(int))
    assert test.sum(axis=0).tolist() == [3] * 10 and (test.sum(axis=1) == 1).all()
    for place, row in enumerate(dealt):
        assert test[row, place % 10]
    assert np.flatnonzero(test[:, 0]).tolist() == sorted(dealt[::10]) == [0, 8, 22]


@pytest.mark.parametrize(
    "content, part",
    [
        ("\r".join(LINES[:-1]), "must have 40 rows of 9 numbers, has 39 of 9"),
        ("\r".join(LINES)[:-30], "must hold lines of 9 numbers joined by commas"),
        ("", "there are no numbers"),
        ("<html>\nnot found", "must hold lines of 9 numbers joined by commas"),
        ("\r".join(line[:-1] + "2" for line in LINES), "0 or 1 in the last column"),
        ("\r".join(["nan" + LINES[0][LINES[0].index(",") :], *LINES[1:]]), "finite numbers"),
    ],
)
def test_damaged_files(folder, content, part):
    (folder / "HTRU_2.csv").write_text(content, newline="")
    error = message(htru2.load)
    assert error.startswith(str(folder / "HTRU_2.csv")) and part in error
    assert "copy or download it again" in error


def test_a_damaged_archive(folder):
    (folder / "htru2.zip").write_bytes(b"PK no")
    assert "must be a complete zip archive, is not" in message(htru2.load)
    with zipfile.ZipFile(folder / "htru2.zip", "w") as file:
        file.writestr("Readme.txt", "")
    assert "There is no item named 'HTRU_2.csv'" in message(htru2.load)


# ---- the real file


@pytest.fixture(scope="module")
def real():
    data = shared_data()
    if data is None or not (data / "htru2" / "HTRU_2.csv").is_file():
        pytest.skip("HTRU_2.csv is not at hand: set FASTSNN_DATA")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTSNN_DATA", str(data))
        yield data / "htru2"


def test_figures_of_the_real_file(real):
    f = htru2.load()
    assert f.x.shape == (17_898, 8) and np.bincount(f.y).tolist() == [16_259, 1_639]
    least = [5.8125, 24.772, -1.876, -1.792, 0.213, 7.370, -3.139, -1.977]
    most = [192.617, 98.779, 8.070, 68.102, 223.392, 110.642, 34.540, 1191.001]
    np.testing.assert_allclose(f.x.min(axis=0), least, atol=6e-4)  # published to three decimals
    np.testing.assert_allclose(f.x.max(axis=0), most, atol=6e-4)
    assert f.n_folds == 10 and (f.test.sum(axis=1) == 1).all()
    assert set(f.test.sum(axis=0)) == {1789, 1790}
    assert set((f.test & (f.y == 1)[:, None]).sum(axis=0)) == {163, 164}
    for m in range(10):
        assert np.array_equal(f.validation[:, m], f.test[:, m - 1])


def test_the_real_forms_agree(real, tmp_path, monkeypatch):
    if not (real / "HTRU_2.arff").is_file():
        pytest.skip("HTRU_2.arff is not at hand")
    f = htru2.load()
    lines = (real / "HTRU_2.csv").read_bytes().decode().split("\r")
    rows = np.array([[float(cell) for cell in row] for row in csv.reader(lines)])
    assert np.array_equal(f.x, rows[:, :8]) and np.array_equal(f.y, rows[:, 8])
    (tmp_path / "htru2").mkdir()
    shutil.copy(real / "HTRU_2.arff", tmp_path / "htru2")
    monkeypatch.setenv("FASTSNN_DATA", str(tmp_path))
    assert np.array_equal(htru2.load().x, f.x)
