"""The 121 UCI tasks: the authors' archive, copies of it that lack sets, and damaged ones."""

import csv
import io
import shutil
import zipfile

import numpy as np
import pytest
from data_files import message
from shared_data import shared_data

from fastsnn.data import Dataset, catalogue, load, load_folds, ucinames
from fastsnn.data import uci as archive

N = 12
RNG = np.random.default_rng(3)
X = RNG.normal(size=(N, 4)).round(4)
LABELS = np.arange(N) % 3
TEST = np.arange(N)[:, None] // 3 == np.arange(4)
VALIDATION = np.roll(TEST, 1, axis=1)


def text(array):
    return "".join(",".join(f"{v:g}" for v in np.atleast_1d(row)) + "\n" for row in array)


def members(name="iris", **changes):
    parts = {f"{name}_py.dat": X, "labels_py.dat": LABELS}
    parts |= {"folds_py.dat": TEST * 1, "validation_folds_py.dat": VALIDATION * 1}
    return {f"data_py/{name}/{part}": text(a) for part, a in (parts | changes).items()}


@pytest.fixture
def put(tmp_path, monkeypatch):
    """Return a function of members that writes a small data_py.zip to the data folder."""
    monkeypatch.setenv("FASTSNN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("FASTSNN_CACHE", str(tmp_path / "cache"))
    for name in ("iris", "wine"):
        monkeypatch.setitem(ucinames.SHAPES, name, ucinames.Shape(N, 4, 3))
    path = tmp_path / "data" / "uci121" / "data_py.zip"
    path.parent.mkdir(parents=True)

    def write(content):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, value in content.items():
                file.writestr(name, value)
        return path

    return write


def test_a_task_as_it_is_in_the_files(put):
    put(members())
    f = load_folds("uci/iris")
    assert f.x.dtype == np.float64 and np.array_equal(f.x, X)
    assert f.y.dtype == np.int64 and f.y.tolist() == LABELS.tolist()
    assert np.array_equal(f.test, TEST) and np.array_equal(f.validation, VALIDATION)
    assert f.class_names == ("0", "1", "2") and f.name == "uci/iris"
    assert np.array_equal(archive.load("iris").x, f.x)


def test_fold_1_is_the_data_set(put):
    put(members())
    d = load("uci/iris")
    assert isinstance(d, Dataset) and d.name == "uci/iris" and d.n_outputs == 3
    train, validation, test = archive.load("iris").rows(1)
    assert test.tolist() == [0, 1, 2] and validation.tolist() == [9, 10, 11]
    np.testing.assert_allclose(d.inputs.inverse_transform(d.test.x), X[test], atol=1e-5)
    assert d.validation.y.tolist() == LABELS[validation].tolist()
    np.testing.assert_allclose(d.inputs.mean, X[train].mean(axis=0), rtol=1e-6)
    assert "its target and task (classification) are fixed" in message(load, "uci/iris", target="x")


def test_the_folder_in_the_archive_may_have_any_name(put):
    content = {k.replace("data_py/iris", "data/iris"): v for k, v in members().items()}
    content |= {"data/iris_py.dat": "in the wrong place", "__MACOSX/data/iris/._labels_py.dat": ""}
    put(content)
    assert archive.load("iris").y.tolist() == LABELS.tolist()
    put({k.removeprefix("data_py/"): v for k, v in members().items()})
    assert archive.names() == ["iris"]


def test_a_copy_may_lack_tasks(put):
    content = members("wine") | members()
    del content["data_py/wine/wine_py.dat"]
    path = put(content)
    assert archive.names() == ["iris"]
    assert len(archive.missing()) == 120 and {"wine", "adult"} <= set(archive.missing())
    error = message(load, "uci/wine")
    assert f"{path} does not contain its wine_py.dat (this copy has 1 of 121 tasks)" in error
    assert "http://www.bioinf.jku.at/people/klambauer/data_py.zip" in error


def test_unknown_names_bring_near_ones(put):
    put(members())
    assert "must be one of the 121 UCI tasks; similar names: iris" in message(load, "uci/iriss")
    assert "fastsnn.data.uci.SHAPES has all names" in message(archive.load, "zzzz")
    assert "similar names: uci/iris" in message(load, "uciiris")


def test_the_archive_needs_no_unpacking_and_no_cache(put, tmp_path):
    put(members())
    archive.load("iris")
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["data_py.zip"]


def test_large_tasks_are_parsed_once(put, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "CACHED_FROM", 1)
    put(members())
    first = archive.load("iris")
    (cached,) = (tmp_path / "cache" / "uci121").glob("iris-*.npz")
    with monkeypatch.context() as patch:
        patch.setattr(archive, "_numbers", lambda *arguments: 1 / 0)
        again = archive.load("iris")
    for name in ("x", "y", "test", "validation"):
        assert np.array_equal(getattr(first, name), getattr(again, name))
    cached.write_bytes(b"damaged")
    assert np.array_equal(archive.load("iris").x, first.x)
    put(members(**{"iris_py.dat": X + 1}))  # other contents have another name in the cache
    assert np.array_equal(archive.load("iris").x, (X + 1).round(4))


def test_a_cache_that_cannot_be_written_is_no_error(put, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "CACHED_FROM", 1)
    (tmp_path / "cache").write_text("in the way")
    put(members())
    assert len(archive.load("iris")) == N


@pytest.mark.parametrize(
    "changes, part",
    [
        ({"iris_py.dat": X[:0]}, "iris_py.dat: must hold lines of numbers"),
        ({"iris_py.dat": X[:11]}, "iris_py.dat must have 12 rows of 4 numbers, has 11 of 4"),
        ({"iris_py.dat": X[:, :3]}, "must have 12 rows of 4 numbers, has 12 of 3"),
        ({"labels_py.dat": LABELS + 1}, "labels must be 0 to 2"),
        ({"folds_py.dat": TEST * 2}, "folds must be 0 or 1"),
        ({"validation_folds_py.dat": TEST * 1}, "must not be in both the test and the"),
        ({"iris_py.dat": X * np.inf}, "features must be finite numbers"),
    ],
)  # fmt: skip
def test_content_that_cannot_be(put, changes, part):
    put(members(**changes))
    assert part in message(archive.load, "iris")


def test_the_catalogue_lists_present_and_missing_sets(put):
    put(members())
    about = catalogue.entry("uci").about()
    assert about["tasks"] == ["iris"] and about["missing"] == archive.missing()
    assert about["note"] == "1 of 121 tasks: --json names them"


def test_damaged_archives(put):
    path = put(members())
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    assert f"{path}: must be a complete zip archive" in message(archive.load, "iris")
    assert f"{path}: must be a complete zip archive" in message(archive.names)
    damaged = bytearray(whole)
    damaged[whole.index(b"iris_py.dat") + 20] ^= 0xFF
    path.write_bytes(damaged)
    assert "data_py/iris/iris_py.dat: must be complete, is damaged" in message(archive.load, "iris")
    put(members() | {"data_py/iris/iris_py.dat": "1,2\nx,y\n"})
    assert "iris_py.dat: must hold lines of numbers" in message(archive.load, "iris")


# ---- the real archive


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    data = shared_data()
    if data is None or not (data / "uci121" / "data_py.zip").is_file():
        pytest.skip("data_py.zip is not at hand: set FASTSNN_DATA")
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTSNN_DATA", str(data))
        patch.setenv("FASTSNN_CACHE", str(cache))
        yield data / "uci121"
    shutil.rmtree(cache)


def test_every_task_that_is_there(real):
    assert len(ucinames.SHAPES) == 121
    names = archive.names()
    assert len(names) + len(archive.missing()) == 121
    for name in names:
        f, shape = archive.load(name), ucinames.SHAPES[name]
        assert f.x.shape == (shape.rows, shape.features) and f.x.dtype == np.float64
        assert np.unique(f.y).tolist() == list(range(shape.classes)) and f.n_folds == 4
        assert (f.x.std(axis=0) > 0).all()
    assert sum(shape.rows < 1000 for shape in ucinames.SHAPES.values()) == 75


def test_figures_of_the_list_beside_the_archive(real):
    with open(real / "datasets.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == list(ucinames.SHAPES)
    here = set(archive.names())
    for row in rows:
        shape = ucinames.Shape(*(int(row[field]) for field in ucinames.Shape._fields))
        assert ucinames.SHAPES[row["name"]] == shape
        if row["name"] in here:
            f = archive.load(row["name"])
            for part in ("test", "validation"):  # the list has three decimals
                share = getattr(f, part).mean()
                assert abs(share - float(row[f"mean_{part}_fraction"])) <= 0.00051, row["name"]
            assert (~f.test.any(axis=1)).sum() == int(row["never_in_test_rows"])
            assert np.bincount(f.y).min() == int(row["min_class_count"])
            np.testing.assert_allclose(f.x.min(), float(row["min_value"]), rtol=1e-6)
            np.testing.assert_allclose(f.x.max(), float(row["max_value"]), rtol=1e-6)


def test_the_text_of_a_task_line_by_line(real):
    f = archive.load("uci/iris")
    with zipfile.ZipFile(real / "data_py.zip") as file:
        for part, array in (("iris_py", f.x), ("labels_py", f.y[:, None]), ("folds_py", f.test)):
            lines = io.TextIOWrapper(file.open(f"data_py/iris/{part}.dat")).read().split()
            parsed = [[float(cell) for cell in line.split(",")] for line in lines]
            assert np.array_equal(np.array(parsed, np.float32), array.astype(np.float32))


def test_one_given_test_part_in_all_folds(real):
    f = archive.load("adult")
    assert f.test.sum(axis=0).tolist() == [16_281] * 4 and (f.test.all(1) == f.test.any(1)).all()
    assert len({tuple(column) for column in f.validation.T[:, :1000]}) == 4
