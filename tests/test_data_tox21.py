"""Tox21: the published files, the authors' preparation compared with scikit-learn's, RDKit's
features.
"""

import csv
import gzip

import numpy as np
import pytest
from data_files import message
from shared_data import shared_data
from tox21_files import FOLDS, IDS, LABELS, N_TEST, N, compounds, dense, published, sparse

from fastsnn.data import load, load_folds, show, tox21, tox21deeptox, tox21rdkit
from fastsnn.data.tox21prepare import prepare


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTSNN_DATA", str(tmp_path))
    monkeypatch.setenv("FASTSNN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "tox21").mkdir()
    for name, content in published().items():
        (tmp_path / "tox21" / name).write_bytes(content)
    return tmp_path / "tox21"


def test_published_files(folder):
    f = tox21.load()
    # At least 5 % of the 26 rows of the smallest training part: 1.3 rows, so not the third column.
    wanted = np.concatenate([dense(), sparse()[:, :2]], axis=1)
    assert np.array_equal(f.x, wanted) and f.note is None
    values = {"0": 0, "1": 1, "NA": np.nan}
    np.testing.assert_array_equal(f.y, np.vectorize(values.get)(LABELS).astype(np.float32))
    assert f.task == "multitask" and f.target_names == tox21.TASKS


def test_folds_are_the_authors_and_the_five_of_the_cross_validation(folder):
    f = load_folds("tox21")
    assert f.n_folds == 6
    for fold, cvfold in enumerate(("5", "0", "1", "2", "3", "4"), 1):
        train, validation, test = f.rows(fold)
        assert test.tolist() == list(range(N - N_TEST, N))
        assert validation.tolist() == [i for i in range(N - N_TEST) if FOLDS[i] == cvfold]
        assert len(train) + len(validation) + len(test) == N
    d = load("tox21")
    assert (len(d.train), len(d.validation), len(d.test)) == (26, 6, 8) and d.n_outputs == 12
    assert d.target_names == tox21.TASKS and d.class_names is None


def test_the_second_time_is_from_the_cache(folder, monkeypatch):
    first = tox21.load()
    monkeypatch.setattr(tox21deeptox, "_assembled", lambda *arguments: 1 / 0)
    assert np.array_equal(tox21.load().x, first.x)


@pytest.mark.parametrize("fold", [1, 2])
def test_preparation_next_to_scikit_learn(folder, fold):
    scaling = pytest.importorskip("sklearn.preprocessing", reason="scikit-learn is not installed")
    f = tox21.load()
    rows = f.rows(fold)[0]
    x = f.x.astype(np.float64)
    counts = x[:, 6:]
    counts = counts[:, (counts[rows] > 0).mean(axis=0) >= 0.05]
    d = x[:, :6][:, x[rows, :6].var(axis=0) > 1e-6]
    assert d.shape[1] == 4 and counts.shape[1] == 2
    wide = np.ptp(d[rows], axis=0) > 10
    assert wide.sum() == 2
    d[:, wide] = np.log10(np.maximum(d[:, wide] - d[rows][:, wide].min(axis=0), 0) + 1e-8)
    x = np.concatenate([d, counts], axis=1)
    x = np.tanh(scaling.RobustScaler().fit(x[rows]).transform(x))
    x = scaling.StandardScaler().fit(x[rows]).transform(x)
    for part, some in zip(f.parts(fold), f.rows(fold), strict=True):
        # All in float64, rounded once to float32.
        np.testing.assert_allclose(part.x, x[some], rtol=1e-6, atol=1e-6)


def test_preparation_looks_at_training_rows_alone():
    rng = np.random.default_rng(6)
    x = rng.normal(scale=30, size=(50, 130)).astype(np.float32)
    rows = np.arange(40)
    before = prepare(x, rows, 100)
    x[40:] = rng.normal(scale=1e6, size=(10, 130))
    assert np.array_equal(prepare(x, rows, 100)[:40], before[:40])
    assert before.shape == (50, 130) and before.dtype == np.float32


def test_undefined_descriptors_become_the_median_of_the_training_rows():
    x = np.array([[1, 5], [2, 1], [4, 2], [np.nan, 3], [np.nan, np.nan]], np.float32)
    filled = np.where(np.isnan(x), [2, 2.5], x).astype(np.float32)
    rows = np.arange(4)
    filled[:, 1] = [5, 1, 2, 3, 2.5]
    np.testing.assert_array_equal(prepare(x, rows, 2), prepare(filled, rows, 2))
    x[:, 0] = np.nan  # undefined in all rows: the feature is removed
    assert prepare(x, rows, 2).shape == (5, 1)


# ---- damaged files


@pytest.mark.parametrize(
    "name, change, part",
    [
        ("tox21_dense_train.csv.gz", lambda t: t.replace(b"00000003-01", b"x"), "32 compounds of"),
        ("tox21_dense_train.csv.gz", lambda t: t[:-40], "must have lines of an ID and 6 numbers"),
        ("tox21_dense_test.csv.gz", lambda t: b"", "there are no numbers"),
        ("tox21_sparse_train.mtx.gz", lambda t: t[: len(t) // 2], "a complete MatrixMarket"),
        ("tox21_sparse_train.mtx.gz", lambda t: t.replace(b"32 5", b"31 5"), "has 31 rows of"),
        ("tox21_sparse_train.mtx.gz", lambda t: t.replace(b"32 5", b"32 1"), "beyond its last row"),
        ("tox21_sparse_test.mtx.gz", lambda t: b"<html>", "begins with b'<html>'"),
        ("tox21_sparse_test.mtx.gz", lambda t: t.replace(b" 1\n", b" x\n"), "MatrixMarket file"),
    ],
)  # fmt: skip
def test_damaged_features(folder, name, change, part):
    path = folder / name
    path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes()))))
    error = message(tox21.load, "deeptox")
    assert str(path) in error and part in error and "copy or download" in error


def test_a_file_cut_off(folder):
    path = folder / "tox21_dense_train.csv.gz"
    path.write_bytes(path.read_bytes()[:-9])
    assert f"{path}: must be a complete gzip file" in message(tox21.load, "deeptox")


@pytest.mark.parametrize(
    "content, part",
    [
        (b"ID,set\n", "lacks CVfold, NR.AR, "),
        (b"", "lacks CVfold, ID, "),
        (
            compounds(labels=np.where(LABELS == "1", "2", LABELS)),
            "must be one of 0, 1, NA, got '2'",
        ),
        (
            compounds(sets=["lost"] * N),
            "line 2: set must be one of training, valid",
        ),
    ],
)
def test_damaged_compounds(folder, content, part):
    (folder / "tox21_compoundData.csv").write_bytes(content)
    error = message(tox21.load)
    assert error.startswith(str(folder / "tox21_compoundData.csv")) and part in error


def test_features_must_be_known(folder):
    assert "features: must be one of auto, deeptox, rdkit, got 'ecfp'" in message(
        tox21.load, "ecfp"
    )


# ---- RDKit

SMILES = ["CCO", "c1ccccc1", "CC(=O)Nc1ccc(O)cc1", "C[N+](C)(C)C", "OCC(O)CO"]


@pytest.fixture
def structures(folder):
    """Write the structures of the 40 compounds, without published features."""
    chem = pytest.importorskip("rdkit.Chem", reason="RDKit is not installed")
    blocks = []
    for i, name in enumerate(IDS):
        molecule = chem.MolFromSmiles(SMILES[i % len(SMILES)])
        molecule.SetProp("_Name", name)
        blocks.append(chem.MolToMolBlock(molecule) + "\n> <x>\n1\n\n$$$$\n")
    # Pentavalent nitrogen: RDKit refuses it, and it must not shift the other rows.
    blocks[7] = blocks[7].replace(" C   0  0", " N   0  0", 1)
    (folder / "tox21.sdf.gz").write_bytes(gzip.compress("".join(blocks).encode()))
    for path in folder.glob("*.gz"):
        if "dense" in path.name or "sparse" in path.name:
            path.unlink()
    return folder


def test_features_by_rdkit(structures, monkeypatch, capsys):
    from rdkit import Chem
    from rdkit.Chem import Descriptors

    f = tox21.load(progress=show.Downloads())
    assert "computing the features of Tox21" in capsys.readouterr().err
    assert f.note == "features computed with RDKit from the structures, not those of the paper"
    n_dense = len(Descriptors.descList)
    assert f.x.shape == (N, n_dense + 2048 + 167)
    names = [name for name, _ in Descriptors.descList]
    for i in (0, 1, 3):
        molecule = Chem.MolFromSmiles(SMILES[i])
        for name in ("MolWt", "TPSA", "RingCount", "NumHDonors"):
            value = getattr(Descriptors, name)(molecule)
            np.testing.assert_allclose(f.x[i, names.index(name)], value, rtol=1e-6)
        np.testing.assert_allclose(
            f.x[i, names.index("Ipc")], np.log10(1 + Descriptors.Ipc(molecule)), rtol=1e-6
        )
        assert np.array_equal(f.x[i], f.x[i + 5])  # the same molecule
    assert set(np.unique(f.x[:, n_dense:])) == {0, 1}
    monkeypatch.setattr(tox21rdkit, "compute", lambda *_: 1 / 0)  # the second time: the cache
    assert np.array_equal(tox21.load().x, f.x, equal_nan=True)
    assert np.isfinite(f.parts(1)[2].x).all()


def test_structures_must_be_those_of_the_compounds(structures):
    path = structures / "tox21.sdf.gz"
    text = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(text.replace(IDS[3].encode(), b"other")))
    assert "must have the 40 molecules of tox21_compoundData.csv" in message(tox21.load)


def test_a_structure_that_is_none(structures):
    path = structures / "tox21.sdf.gz"
    blocks = gzip.decompress(path.read_bytes()).decode().split("$$$$\n")
    blocks[3] = f"{IDS[3]}\n\n\nno counts\n"
    path.write_bytes(gzip.compress("$$$$\n".join(blocks).encode()))
    assert f"RDKit cannot read the molecule '{IDS[3]}'" in message(tox21.load)


def test_derived_features_that_are_damaged(structures):
    (structures / "derived").mkdir()
    path = structures / "derived" / "tox21_rdkit_features.npz"
    path.write_bytes(b"PK")
    assert f"{path}: must be a complete zip archive, is not" in message(tox21.load)
    np.savez(path, rdkit_desc=np.ones((3, 2)), ecfp4_2048_packed=np.ones((3, 1)),
             maccs167_packed=np.ones((3, 1)))  # fmt: skip
    assert "for the 40 compounds of tox21_compoundData.csv" in message(tox21.load)


def test_derived_features_of_other_types(structures):
    (structures / "derived").mkdir()
    path = structures / "derived" / "tox21_rdkit_features.npz"
    right = {"rdkit_desc": np.ones((N, 217), np.float32),
             "ecfp4_2048_packed": np.ones((N, 256), np.uint8),
             "maccs167_packed": np.ones((N, 21), np.uint8)}  # fmt: skip
    np.savez(path, **right)
    assert tox21.load("rdkit").x.shape == (N, 217 + 2048 + 167)
    for name, array in (
        ("rdkit_desc", np.array(1.0)), ("rdkit_desc", np.full((N, 217), "1")),
        ("ecfp4_2048_packed", np.ones((N, 256))), ("maccs167_packed", np.ones((N, 3), np.uint8)),
        ("maccs167_packed", np.ones(N, np.uint8)),
    ):  # fmt: skip
        np.savez(path, **right | {name: array})
        assert "for the 40 compounds" in message(tox21.load, "rdkit")


@pytest.mark.parametrize(
    "change, part",
    [
        (lambda text: text + b"\0\n", "must be "),
        (lambda text: text + b"x" * 200_000, "must be the CSV file of Tox21, is not (field larger"),
        (lambda text: text + b'"short"\n', "line 42: NR.AhR must be one of 0, 1, NA, got 'None'"),
        (lambda text: text.replace(b",5,", ",\u00b2,".encode()), "CVfold must be one of 0, 1, 2"),
        (lambda text: text.replace(b",5,", b"," + b"9" * 30 + b","), "CVfold must be one of 0, 1"),
        (lambda text: text.replace(b",5,", b"," + b"9" * 9000 + b","), "CVfold must be one of 0"),
        (lambda text: bytes(40 << 20), "must have at most 33,554,432 bytes unpacked"),
    ],
)
def test_compounds_that_are_damaged(folder, change, part):
    path = folder / "tox21_compoundData.csv"
    path.write_bytes(change(path.read_bytes()))
    error = message(tox21.load)
    assert error.startswith(str(path)) and part in error and len(error) < 400


@pytest.mark.parametrize(
    "name, content, part",
    [
        (
            "dense_train.csv",
            b"," * 10**6 + b"\n" + b"1,",
            "fewer numbers than its header states",
        ),
        ("sparse_train.mtx", None, "has 999,999,999,999 columns, more than 4,194,304"),
        ("sparse_train.mtx", b"\xff" * 2**20, "must be a complete MatrixMarket file of integers"),
    ],
)
def test_features_that_announce_something_else(folder, name, content, part):
    path = folder / f"tox21_{name}.gz"
    if content is None:
        head, _, rest = gzip.decompress(path.read_bytes()).partition(b"\n")
        sizes, _, rest = rest.partition(b"\n")
        rows, columns, entries = sizes.split()
        content = b"\n".join([head, b" ".join([rows, b"9" * 12, entries]), rest])
    path.write_bytes(gzip.compress(content))
    error = message(tox21.load)
    assert str(path) in error and part in error and len(error) < 400


def test_without_rdkit(folder, monkeypatch):
    (folder / "tox21.sdf.gz").write_bytes(gzip.compress(b""))
    monkeypatch.setitem(__import__("sys").modules, "rdkit", None)
    with pytest.raises(RuntimeError, match=r"pip install '.\[tox21\]'"):
        tox21.load("rdkit")


# ---- the real files


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    data = shared_data()
    if data is None or not (data / "tox21" / "derived").is_dir():
        pytest.skip("Tox21 is not at hand: set FASTSNN_DATA")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTSNN_DATA", str(data))
        patch.setenv("FASTSNN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield data / "tox21", tox21.load("rdkit")


def test_figures_of_the_real_files(real):
    _, f = real
    assert f.x.shape == (12_707, 217 + 2048 + 167) and f.test[:, 0].sum() == 647
    active = [981, 383, 307, 378, 964, 456, 237, 1146, 363, 438, 1180, 565]
    inactive = [7460, 9271, 8545, 7062, 6998, 8584, 8214, 6255, 9000, 7979, 6378, 8338]
    train = f.y[~f.test[:, 0]]
    assert (train == 1).sum(axis=0).tolist() == active
    assert (train == 0).sum(axis=0).tolist() == inactive
    active = [73, 12, 8, 39, 51, 20, 31, 93, 38, 22, 60, 41]
    assert (f.y[f.test[:, 0]] == 1).sum(axis=0).tolist() == active
    sizes = [len(f.rows(fold)[1]) for fold in range(1, 7)]
    assert sizes == [291, 1558, 2036, 1476, 1353, 1510] and sum(sizes[1:]) == 7_933
    assert np.isnan(f.x).any(axis=1).sum() == 736 and np.isnan(f.x).any(axis=0).sum() == 13


def test_the_real_labels_are_those_of_the_label_files(real):
    folder, f = real
    for part, rows in (("train", ~f.test[:, 0]), ("test", f.test[:, 0])):
        with gzip.open(folder / f"tox21_labels_{part}.csv.gz", "rt", newline="") as file:
            names, *lines = csv.reader(file)
        labels = [[np.nan if cell == "NA" else float(cell) for cell in line[1:]] for line in lines]
        assert tuple(names[1:]) == tox21.TASKS
        np.testing.assert_array_equal(f.y[rows], np.array(labels, np.float32))


def test_the_real_training_part_is_standardized(real):
    _, f = real
    train, validation, test = f.parts(1)
    assert len(train) == 11_769 and len(validation) == 291 and len(test) == 647
    # 1e-6: sums of 11,769 numbers of size 1, each rounded to float32 once.
    np.testing.assert_allclose(train.x.mean(axis=0, dtype=np.float64), 0, atol=1e-6)
    np.testing.assert_allclose(train.x.std(axis=0, dtype=np.float64), 1, atol=1e-6)
    assert np.isfinite(test.x).all() and np.isfinite(validation.x).all()


def test_the_real_test_part_of_the_published_features(real):
    folder, f = real
    with open(folder / "tox21_compoundData.csv", newline="") as file:
        ids = [row["ID"] for row in csv.DictReader(file) if row["set"] == "test"]
    x = tox21deeptox._dense(folder / "tox21_dense_test.csv.gz", ids)
    assert x.shape == (647, 801) and np.isfinite(x).all() and (np.ptp(x, axis=0) == 0).sum() == 10
    np.testing.assert_allclose((x.min(), x.max()), (-15_705.4, 4.35e11), rtol=1e-3)
    (row, column, count), width = tox21deeptox._sparse(folder / "tox21_sparse_test.mtx.gz", 647)
    assert width == 272_776 and len(row) == 204_875 and (count.min(), count.max()) == (1, 50)
    assert row.max() == 646 and column.max() < width
    # A descriptor that occurs in both kinds of features shows that their rows are the same
    # compounds.
    with gzip.open(folder / "tox21_dense_test.csv.gz", "rt") as file:
        names = file.readline().strip().split(",")[1:]
    ours = np.load(folder / "derived" / "tox21_rdkit_features.npz")["rdkit_desc_names"].tolist()
    theirs = x[:, names.index('"Chi0"')]
    assert np.corrcoef(theirs, f.x[f.test[:, 0], ours.index("Chi0")])[0, 1] > 0.9999
