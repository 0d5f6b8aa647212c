"""The built-in digits, and `load` as a whole."""

import dataclasses
import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastsnn.data
from fastsnn.data import Standardizer, load
from fastsnn.data.split import split

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def rng():
    return np.random.default_rng(7)


# ---- digits


def test_digits():
    d = load("digits")
    assert (d.name, d.task, d.n_features, d.n_outputs) == ("digits", "classification", 64, 10)
    assert (len(d.train), len(d.validation), len(d.test)) == (1294, 144, 359)
    assert d.class_names == tuple("0123456789") and d.feature_names[9] == "pixel_1_1"
    assert d.targets is None and d.target_names == ("class",)
    for part in (d.train, d.validation, d.test):
        assert part.x.dtype == np.float32 and part.x.flags.c_contiguous
        assert part.y.dtype == np.int64 and part.y.shape == (len(part.x),)
    assert len(set(d.inputs.mean)) == len(set(d.inputs.scale)) == 1  # images: "all"
    assert abs(d.train.x.mean(dtype=np.float64)) < 1e-5
    assert abs(d.train.x.std(dtype=np.float64) - 1) < 1e-5
    held = np.bincount(d.validation.y)
    share = (np.bincount(d.train.y) + held) * 144 / 1438
    assert np.all(np.abs(held - share) < 1)


def test_digits_equal_those_of_scikit_learn():
    sklearn = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")
    x, y = sklearn.load_digits(return_X_y=True)
    test = np.arange(len(x)) % 5 == 4
    d = load("digits", validation=0, standardize="none")
    assert np.array_equal(d.train.x, x[~test]) and np.array_equal(d.train.y, y[~test])
    assert np.array_equal(d.test.x, x[test]) and np.array_equal(d.test.y, y[test])
    assert d.validation is None


def test_digits_file_is_small_and_carries_no_time():
    packed = Path(fastsnn.data.__file__).with_name("digits.csv.gz").read_bytes()
    assert len(packed) < 60_000 and packed[4:8] == bytes(4)
    assert gzip.decompress(packed).count(b"\n") == 1798


# ---- load


def test_load_the_seed_moves_the_validation_part_only():
    a, b = load("digits", seed=1), load("digits", seed=2)
    raw_a, raw_b = a.inputs.inverse_transform(a.test.x), b.inputs.inverse_transform(b.test.x)
    np.testing.assert_allclose(raw_a, raw_b, atol=1e-4)
    assert not np.array_equal(a.validation.y, b.validation.y)
    assert np.array_equal(a.train.x, load("digits", seed=1).train.x)


def test_load_standardizes_by_the_training_part_alone():
    d = load("digits", standardize="feature")
    raw = load("digits", standardize="none")
    want = Standardizer.fit(raw.train.x.astype(np.uint8))
    assert np.array_equal(d.inputs.mean, want.mean) and np.array_equal(d.inputs.scale, want.scale)
    assert np.array_equal(d.validation.x, want.transform(raw.validation.x))
    assert d.inputs.scale[0] == 1  # the corner pixel is always 0


def test_load_with_the_standardizer_of_a_model():
    model = Standardizer(np.full(64, 2, np.float32), np.full(64, 4, np.float32))
    raw, d = load("digits", standardize="none"), load("digits", standardize=model)
    assert d.inputs is model and np.array_equal(d.test.x, (raw.test.x - 2) / 4)


@pytest.mark.parametrize("end", ["csv", "npz"])
def test_load_regression_standardizes_the_targets(tmp_path, rng, end):
    x, y = rng.normal(size=(200, 3)), rng.normal(50, 9, (200, 2))
    path = tmp_path / f"r.{end}"
    if end == "csv":
        np.savetxt(path, np.hstack([x, y]), delimiter=",", header="a,b,c,u,v", comments="")
        d = load(path, target="u,v", seed=4)
        assert d.target_names == ("u", "v") and d.feature_names == ("a", "b", "c")
    else:
        np.savez(path, x=x, y=y)
        d = load(path, seed=4)
        assert d.target_names is None and d.feature_names is None
    train, held = split(200, 0.1, 4)
    assert d.task == "regression" and d.n_outputs == 2 and d.class_names is None
    assert d.train.y.dtype == np.float32 and d.train.y.shape == (180, 2) and d.test is None
    np.testing.assert_allclose(d.train.y.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(d.train.y.std(0), 1, atol=1e-5)
    np.testing.assert_allclose(d.targets.inverse_transform(d.validation.y), y[held], rtol=1e-5)
    np.testing.assert_allclose(
        d.inputs.inverse_transform(d.train.x), x[train], rtol=1e-4, atol=1e-5
    )


def test_load_multitask_keeps_missing_labels(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("a,t1,t2\n" + "1,0,1\n2,,0\n3,1,NA\n" * 10)
    d = load(path, target=["t1", "t2"], validation=0)
    assert d.task == "multitask" and d.n_outputs == 2 and d.targets is None
    want = np.tile(np.array([[0, 1], [np.nan, 0], [1, np.nan]], np.float32), (10, 1))
    np.testing.assert_array_equal(d.train.y, want)


def test_load_uses_the_parts_of_an_npz_file(tmp_path, rng):
    x = rng.integers(0, 256, (60, 4, 5), dtype=np.uint8)
    y = np.arange(60) % 3
    parts = {"x_train": x[:40], "y_train": y[:40], "x_validation": x[40:50]}
    parts |= {"y_validation": y[40:50], "x_test": x[50:], "y_test": y[50:]}
    np.savez(tmp_path / "p.npz", **parts)
    d = load(tmp_path / "p.npz", validation=0.5)
    assert (len(d.train), len(d.validation), len(d.test), d.n_features) == (40, 10, 10, 20)
    assert len(set(d.inputs.mean)) == 1  # uint8 are images: "all"
    np.testing.assert_allclose(
        d.inputs.inverse_transform(d.test.x), x[50:].reshape(10, 20), atol=1e-3
    )
    assert np.array_equal(d.test.y, y[50:])
    per_feature = load(tmp_path / "p.npz", standardize="feature")
    assert len(set(per_feature.inputs.mean)) > 1


@pytest.mark.parametrize(
    "data, arguments, parts",
    [
        ("minst", {}, ("digits, mnist", ".csv, .tsv, .txt, .data", "'minst'")),
        ("data.xml", {}, ("'data.xml'",)),
        (
            "digits",
            {"header": True},
            ("digits: header applies only to data from a file", "leave it out"),
        ),
        (
            "digits",
            {"class_names": ("0",)},
            ("digits: class_names applies only to data from a file", "leave"),
        ),
        ("digits", {"target": "class"}, ("digits", "fixed", "the target 'class'", "leave")),
        ("mnist", {"task": "regression"}, ("mnist", "fixed", "the task regression", "leave")),
        ("digits", {"standardize": "max"}, ("auto, feature, all, none", "'max'")),
        ("digits", {"validation": 1}, ("[0, 1)", "got 1")),
    ],
)
def test_load_errors(data, arguments, parts):
    with pytest.raises(ValueError) as error:
        load(data, **arguments)
    assert all(part in str(error.value) for part in parts)


@pytest.mark.parametrize("end", ["csv", "csv.gz", "tsv", "data", "npz"])
def test_load_says_in_one_line_that_a_file_is_missing(tmp_path, end):
    with pytest.raises(FileNotFoundError) as error:
        load(tmp_path / f"none.{end}")
    assert str(error.value) == f"{tmp_path / f'none.{end}'}: no such file; check the path"


def test_load_of_a_folder(tmp_path):
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(ValueError, match="must be a file, is a folder"):
        load(tmp_path / "d.csv")


def test_datasets_are_frozen():
    d = load("digits")
    with pytest.raises(dataclasses.FrozenInstanceError):
        d.name = "other"


def test_import_is_light():
    # fastsnn/__init__.py may import more; the data part by itself must not.
    code = (
        "import sys, types; p = types.ModuleType('fastsnn'); p.__path__ = ['fastsnn'];"
        "sys.modules['fastsnn'] = p; import fastsnn.data; fastsnn.data.load('digits');"
        "names = ('requests', 'click', 'rich', 'numba', 'sklearn', 'duckdb');"
        "own = [m for m in sys.modules if m.startswith('fastsnn.')];"
        "folders = ('fastsnn.data', 'fastsnn.tables');"
        "print([m for m in names if m in sys.modules],"
        "      sorted(m for m in own if not m.startswith(folders) and m.count('.') > 1))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    loaded = ["fastsnn.checks.arrays", "fastsnn.checks.scalars", "fastsnn.engine.byterows"]
    assert run.stdout == f"[] {loaded}\n", run.stderr
