"""The idx format, and MNIST found in FASTSNN_DATA, in the cache, or not at all."""

import gzip
import hashlib
import shutil

import numpy as np
import pytest
from shared_data import shared_data

from fastsnn.data import load, mnist
from fastsnn.data.idx import read_idx
from fastsnn.data.split import split


def idx(array, code=0x08):
    sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, code, array.ndim]) + sizes + array.tobytes()


IMAGES = np.arange(5 * 28 * 28).reshape(5, 28, 28).astype(np.uint8)


# ---- idx


@pytest.mark.parametrize("name", ["a-ubyte", "a-ubyte.gz"])
def test_idx(tmp_path, name):
    data = idx(IMAGES)
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    read = read_idx(tmp_path / name, ndim=3)
    assert read.dtype == np.uint8 and np.array_equal(read, IMAGES)


@pytest.mark.parametrize(
    "code, dtype", [(9, "i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4"), (0x0E, ">f8")]
)
def test_idx_types(tmp_path, code, dtype):
    values = np.array([-1, 0, 2], dtype)
    (tmp_path / "a").write_bytes(idx(values, code))
    assert read_idx(tmp_path / "a").tolist() == [-1, 0, 2]


@pytest.mark.parametrize(
    "data, parts",
    [
        (b"", ("must be an idx file", "begins with nothing")),
        (b"\x89PNG", ("must be an idx file", "89 50 4e 47")),
        (b"\0\0\x07\x01\0\0\0\0", ("must be an idx file", "00 00 07 01")),
        (idx(IMAGES[0, 0]), ("of 3 dimensions, has 1", "swapped")),
        (
            idx(IMAGES)[:-1],
            ("(5, 28, 28)", "must have 3,936 bytes", "has 3,935", "download it again"),
        ),
        (idx(IMAGES) + b"x", ("must have 3,936 bytes", "has more")),
        (idx(IMAGES)[:9], ("must have 1 to 32 dimensions", "has 1 of 3")),
    ],
)
def test_idx_errors(tmp_path, data, parts):
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(ValueError) as error:
        read_idx(tmp_path / "a", ndim=3)
    for part in (str(tmp_path / "a"), *parts):
        assert part in str(error.value)


def test_idx_gz_errors(tmp_path):
    whole = gzip.compress(idx(IMAGES))
    crc, body = bytearray(whole), bytearray(whole)
    crc[-6] ^= 1
    body[10] = 7  # no such type of block
    for data in (whole[: len(whole) // 2], bytes(crc), bytes(body), idx(IMAGES)):
        (tmp_path / "a.gz").write_bytes(data)
        with pytest.raises(
            ValueError, match="a.gz: must be a complete gzip file.*download it again"
        ):
            read_idx(tmp_path / "a.gz")
    with pytest.raises(FileNotFoundError, match="b.gz: no such file"):
        read_idx(tmp_path / "b.gz")


# ---- sources of the files


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Write a small MNIST to tmp_path/data/mnist; no mirror, and an empty cache."""
    files = {
        "train-images-idx3-ubyte.gz": np.repeat(IMAGES, 8, axis=0),
        "train-labels-idx1-ubyte.gz": np.arange(40, dtype=np.uint8) % 10,
        "t10k-images-idx3-ubyte.gz": IMAGES,
        "t10k-labels-idx1-ubyte.gz": np.arange(5, dtype=np.uint8),
    }
    folder = tmp_path / "data" / "mnist"
    folder.mkdir(parents=True)
    for name, array in files.items():
        packed = gzip.compress(idx(array))
        (folder / name).write_bytes(packed)
        monkeypatch.setitem(mnist.SHA256, name, hashlib.sha256(packed).hexdigest())
    monkeypatch.setattr(mnist, "MIRRORS", ["http://127.0.0.1:9/a/", "http://127.0.0.1:9/b/"])
    monkeypatch.setenv("FASTSNN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("FASTSNN_CACHE", str(tmp_path / "cache"))
    return folder


def test_mnist_under_fastsnn_data(small, tmp_path):
    d = load("mnist", validation=0.25)
    assert (len(d.train), len(d.validation), len(d.test)) == (30, 10, 5)
    assert (d.task, d.n_features, d.n_outputs) == ("classification", 784, 10)
    assert d.class_names == tuple("0123456789") and d.test.y.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(
        d.inputs.inverse_transform(d.test.x), IMAGES.reshape(5, 784), atol=1e-3
    )
    assert not (tmp_path / "cache").exists()


def test_mnist_in_the_cache(small, tmp_path, monkeypatch):
    (tmp_path / "cache").mkdir()
    shutil.move(small, tmp_path / "cache" / "mnist")
    assert len(load("mnist").test) == 5  # FASTSNN_DATA is set, but has no mnist folder
    monkeypatch.delenv("FASTSNN_DATA")
    assert len(load("mnist").test) == 5


def test_mnist_a_wrong_file_under_fastsnn_data(small):
    path = small / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(b"something else")
    with pytest.raises(ValueError) as error:
        load("mnist")
    for part in (
        f"{path}: must have the sha256 {mnist.SHA256[path.name]}",
        f"has {hashlib.sha256(b'something else').hexdigest()}",
        "replace it",
        "unset FASTSNN_DATA",
    ):
        assert part in str(error.value)


@pytest.mark.parametrize("given", [True, False])
def test_mnist_nowhere(small, monkeypatch, given):
    (small / "t10k-images-idx3-ubyte.gz").rename(small / "away")
    if not given:
        shutil.rmtree(small)
        monkeypatch.delenv("FASTSNN_DATA")
    name = "t10k-images-idx3-ubyte.gz" if given else "train-images-idx3-ubyte.gz"
    with pytest.raises(RuntimeError) as error:
        load("mnist")
    for part in (
        f"{name}: could not be downloaded",
        f"http://127.0.0.1:9/a/{name}: ConnectionError",
        f"http://127.0.0.1:9/b/{name}: ConnectionError",
        "put it into a folder mnist and set FASTSNN_DATA to its parent folder",
    ):
        assert part in str(error.value)
    assert ("FASTSNN_DATA is set, but" in str(error.value)) == given


# ---- the real files


@pytest.fixture(scope="module")
def real():
    data = shared_data()
    if data is None or not (data / "mnist").is_dir():
        pytest.skip("mnist is not at hand: set FASTSNN_DATA")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTSNN_DATA", str(data))
        patch.setattr(mnist, "MIRRORS", [])
        yield load("mnist"), data / "mnist"


def test_mnist_parts(real):
    d, _ = real
    assert d.train.x.shape == (54_000, 784) and d.validation.x.shape == (6_000, 784)
    assert d.test.x.shape == (10_000, 784)
    for part in (d.train, d.validation, d.test):
        assert part.x.dtype == np.float32 and part.x.flags.c_contiguous
        assert part.y.dtype == np.int64
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert (np.bincount(d.train.y) + np.bincount(d.validation.y)).tolist() == counts
    assert np.abs(np.bincount(d.validation.y) - np.array(counts) / 10).max() < 1
    assert np.bincount(d.test.y).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_mnist_is_standardized_by_the_training_part(real):
    d, folder = real
    images = read_idx(folder / "train-images-idx3-ubyte.gz", ndim=3).reshape(60_000, 784)
    labels = read_idx(folder / "train-labels-idx1-ubyte.gz", ndim=1)
    train, held = split(60_000, 0.1, 0, labels)
    assert np.array_equal(d.train.y, labels[train]) and np.array_equal(d.validation.y, labels[held])
    pixels = np.bincount(images[train].ravel(), minlength=256)  # exact sums, in integers
    value = np.arange(256)
    mean = (pixels * value).sum() / pixels.sum()
    deviation = np.sqrt((pixels * (value - mean) ** 2).sum() / pixels.sum())
    assert np.all(d.inputs.mean == np.float32(mean))
    assert np.all(d.inputs.scale == np.float32(deviation))
    sample = slice(0, 54_000, 997)
    want = (images[train[sample]] - mean) / deviation
    np.testing.assert_allclose(d.train.x[sample], want, rtol=1e-5, atol=1e-6)
