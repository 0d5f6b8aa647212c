"""CIFAR-10: both original forms, programs disguised as data, the JPEG form, the exact part."""

import hashlib
import io
import os
import pickle
import struct
import tarfile

import numpy as np
import pytest
from data_files import message
from shared_data import shared_data

from fastsnn.data import cifar10, cifar10batches, cifar10jpeg, load

ROWS = 7
NAMES = [*cifar10batches.TRAIN, *cifar10batches.TEST]
RNG = np.random.default_rng(8)
IMAGES = RNG.integers(0, 256, (6, ROWS, 3072), dtype=np.uint8)
LABELS = RNG.integers(0, 10, (6, ROWS))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar10batches, "ROWS", ROWS)
    monkeypatch.setenv("FASTSNN_DATA", str(tmp_path))
    monkeypatch.setenv("FASTSNN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cifar10").mkdir()
    return tmp_path / "cifar10"


def archive(monkeypatch, folder, form, batches, damage=lambda data: data):
    """Write an original archive of these batches, and replace the published checksum by its own."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as file:
        for name, data in ({"readme.html": b"<html>"} | batches).items():
            member = tarfile.TarInfo(f"cifar-10-batches/{name}")
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    data = damage(content.getvalue())
    known = {"binary": "BINARY", "python": "PYTHON"}[form]
    file = cifar10.File(
        f"cifar-10-{form}.tar.gz", checksum=f"md5:{hashlib.md5(data).hexdigest()}", published=True
    )
    monkeypatch.setattr(cifar10, known, file)
    (folder / file.name).write_bytes(data)
    return folder / file.name


def binary(batch):
    return np.column_stack([LABELS[batch], IMAGES[batch]]).astype(np.uint8).tobytes()


def text(value):
    """Return a str of Python 2 in its pickles: SHORT_BINSTRING or BINSTRING."""
    value = value if isinstance(value, bytes) else value.encode()
    if len(value) < 256:
        return b"U" + bytes([len(value)]) + value
    return b"T" + struct.pack("<i", len(value)) + value


def python2(batch, content=None, kind="u1", shape=(ROWS, 3072)):
    """Return a batch as Python 2 pickled it (protocol 2), written opcode by opcode."""
    content = IMAGES[batch].tobytes() if content is None else content
    array = b"cnumpy.core.multiarray\n_reconstruct\n" + b"cnumpy\nndarray\n" + b"K\x00\x85"
    array += text("b") + b"\x87R" + b"(K\x01M" + struct.pack("<H", shape[0])
    array += b"M" + struct.pack("<H", shape[1]) + b"\x86"
    array += b"cnumpy\ndtype\n" + text(kind) + b"K\x00K\x01\x87R(K\x03" + text("|") + b"NNN"
    array += b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb" + b"\x89" + text(content) + b"tb"
    labels = b"](" + b"".join(b"K" + bytes([label]) for label in LABELS[batch]) + b"e"
    pairs = text("batch_label") + text(f"training batch {batch + 1} of 5")
    pairs += text("data") + array + text("labels") + labels
    return b"\x80\x02}(" + pairs + b"u."


def test_the_pickle_written_here_is_one_of_numpy():
    batch = pickle.loads(python2(2), encoding="bytes")
    assert np.array_equal(batch[b"data"], IMAGES[2]) and batch[b"labels"] == LABELS[2].tolist()


@pytest.mark.parametrize("form, data", [("binary", binary), ("python", python2)])
def test_original_forms(folder, monkeypatch, form, data):
    suffix = ".bin" if form == "binary" else ""
    batches = {name + suffix: data(i) for i, name in enumerate(NAMES)}
    archive(monkeypatch, folder, form, dict(reversed(batches.items())))  # in any order
    d = load("cifar10", validation=0)
    assert d.note is None and d.n_outputs == 10 and d.class_names[3] == "cat"
    assert (len(d.train), len(d.test), d.n_features) == (5 * ROWS, ROWS, 3072)
    assert d.train.y.tolist() == LABELS[:5].ravel().tolist()
    assert d.test.y.tolist() == LABELS[5].tolist()
    table = cifar10.load_cifar10()
    assert np.array_equal(table.train.x, IMAGES[:5].reshape(-1, 3072))
    assert np.array_equal(table.test.x, IMAGES[5]) and table.train.x.dtype == np.uint8


# ---- pickles that are programs


class Program:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def programs(path):
    quoted = str(path).encode()
    return {
        "reduce": pickle.dumps({b"data": Program(str(path))}, 2),
        "instead of a batch": pickle.dumps(Program(str(path)), 4),
        "old opcodes": b"(cos\nmkdir\nS'" + quoted + b"'\nio.",
        "a dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.",
        "another name of numpy": b"cnumpy\nload\n(S'" + quoted + b"'\ntR.",
        "object arrays": python2(0, b"", "O8", (ROWS, 3072)),
    }


@pytest.mark.parametrize("kind", programs("x"))
def test_programs_are_refused(folder, monkeypatch, kind):
    made = folder / "made"
    bad = programs(made)[kind]
    batches = {name: python2(i) for i, name in enumerate(NAMES)} | {"data_batch_2": bad}
    path = archive(monkeypatch, folder, "python", batches)
    error = message(load, "cifar10")
    assert str(path) in error and "must be the complete original archive" in error
    if kind != "object arrays":
        assert "which is refused: unpickling it could run arbitrary code" in error
    assert not made.exists()


def test_the_program_is_one(tmp_path):
    for i, data in enumerate(list(programs(tmp_path / "made").values())[:2]):
        pickle.loads(data)  # as a plain unpickler would
        assert (tmp_path / "made").is_dir(), i
        (tmp_path / "made").rmdir()


# ---- damaged files


@pytest.mark.parametrize(
    "form, change, part",
    [
        ("binary", {"data_batch_3.bin": b"short"}, "a batch must have 21511 bytes, has 5"),
        ("binary", {"test_batch.bin": b"\x0b" + binary(5)[1:]}, "a batch must have 7 labels 0..9"),
        ("python", {"data_batch_3": python2(2)[:-900]}, "a batch is damaged"),
        ("python", {"data_batch_3": b""}, "a batch is damaged: EOFError"),
        ("python", {"data_batch_3": python2(2, shape=(9, 3072))}, "data must be (7, 3072) bytes"),
        ("python", {"data_batch_3": python2(2, b"123")}, "a batch is damaged"),
        ("python", {"data_batch_3": b"\x80\x02}" + text("labels") + b"]s."}, "a batch is damaged"),
        ("python", {"data_batch_3": pickle.dumps([1], 2)}, "a batch is damaged"),
    ],
)
def test_damaged_batches(folder, monkeypatch, form, change, part):
    data, suffix = (binary, ".bin") if form == "binary" else (python2, "")
    batches = {name + suffix: data(i) for i, name in enumerate(NAMES)}
    path = archive(monkeypatch, folder, form, batches | change)
    error = message(load, "cifar10")
    assert error.startswith(str(path)) and part in error and "copy or download it again" in error


def test_damaged_archives(folder, monkeypatch):
    batches = {f"{name}.bin": binary(i) for i, name in enumerate(NAMES)}
    for damage in (
        lambda data: data[:-200],
        lambda data: data[:5000] + b"x" * 99,
        lambda data: b"",
    ):
        path = archive(monkeypatch, folder, "binary", batches, damage)
        assert f"{path}: must be the complete original archive" in message(load, "cifar10")
    del batches["data_batch_4.bin"]
    archive(monkeypatch, folder, "binary", batches)
    assert "lacks data_batch_4" in message(load, "cifar10")


def test_another_archive_is_not_the_original(folder):
    (folder / "cifar-10-python.tar.gz").write_bytes(b"x")
    error = message(load, "cifar10")
    assert "must have the md5 c58f30108f718f92721af3b95e74349a, has 9dd4e461268c80" in error


# ---- JPEG


@pytest.fixture
def jpeg(folder, monkeypatch):
    """Write two test images and three training images, each of one colour, in the JPEG form."""
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    monkeypatch.setattr(cifar10jpeg, "ROWS", {"train": 3, "test": 2})
    colours = {"train/cat/0000.jpg": 10, "train/cat/0001.jpg": 90, "train/dog/0000.jpg": 200,
               "test/cat/0000.jpg": 50, "test/ship/0000.jpg": 130}  # fmt: skip
    with tarfile.open(folder / cifar10.JPEG.name, "w:gz") as file:
        for name, grey in colours.items():
            data = io.BytesIO()
            image.new("RGB", (32, 32), (grey, grey, grey)).save(data, "JPEG", quality=75)
            member = tarfile.TarInfo(name)
            member.size = len(data.getvalue())
            file.addfile(member, io.BytesIO(data.getvalue()))
    lines = ["split,index,label,jpeg_path", "train,2,3,train/cat/0000.jpg",
             "train,0,3,train/cat/0001.jpg", "train,1,5,train/dog/0000.jpg",
             "test,0,8,test/ship/0000.jpg", "test,1,3,test/cat/0000.jpg"]  # fmt: skip
    write_order(folder, lines)
    return folder, lines


def write_order(folder, lines):
    import gzip

    data = gzip.compress(("\n".join(lines) + "\n").encode())
    (folder / cifar10.ORDER.name).write_bytes(data)


def test_jpeg_form(jpeg, monkeypatch, tmp_path):
    table = cifar10.load_cifar10()
    assert table.train.y.tolist() == [3, 5, 3] and table.test.y.tolist() == [8, 3]
    # Flat grey images of quality 75 are decoded within the rounding of one coefficient, 16 / 8 / 2.
    for part, greys in ((table.train, [90, 200, 10]), (table.test, [130, 50])):
        assert part.x.shape == (len(greys), 3072) and part.x.dtype == np.uint8
        assert np.abs(part.x.astype(int) - np.array(greys)[:, None]).max() <= 1
    assert table.note.startswith("JPEG quality 75, not the original pixels; this machine's JPEG")
    assert load("cifar10", validation=0).note == table.note
    monkeypatch.setattr(cifar10jpeg, "_decoded", lambda *arguments: 1 / 0)  # from the cache
    assert np.array_equal(cifar10.load_cifar10().train.x, table.train.x)
    cached = next((tmp_path / "cache" / "cifar10").glob("jpeg-*-train.npy"))
    cached.write_bytes(cached.read_bytes()[:-5])
    with pytest.raises(ZeroDivisionError):
        cifar10.load_cifar10()


def test_the_original_comes_before_jpeg(jpeg, monkeypatch):
    folder, _ = jpeg
    batches = {f"{name}.bin": binary(i) for i, name in enumerate(NAMES)}
    archive(monkeypatch, folder, "binary", batches)
    assert cifar10.load_cifar10().note is None


@pytest.mark.parametrize(
    "line, part",
    [
        ("train,1,5,train/dog/9999.jpg", "lacks 1 images, such as train/dog/9999.jpg"),
        ("train,3,5,train/dog/0000.jpg", "line 4: must be train or test, a row number"),
        ("train,1,10,train/dog/0000.jpg", "line 4: must be train or test, a row number"),
        ("valid,1,5,train/dog/0000.jpg", "line 4: must be train or test, a row number"),
        ("train,1", "line 4: must be train or test, a row number"),
        ("train,0,5,train/dog/0000.jpg", "must have a line for each image, lacks some"),
    ],
)
def test_an_order_that_does_not_fit(jpeg, line, part):
    folder, lines = jpeg
    write_order(folder, [*lines[:3], line, *lines[4:]])
    error = message(load, "cifar10")
    assert str(folder) in error and part in error and "copy it again" in error


def test_jpeg_archives_that_are_damaged(jpeg):
    folder, _ = jpeg
    path = folder / cifar10.JPEG.name
    whole = path.read_bytes()
    for data in (whole[:-100], b"", b"<html>"):
        path.write_bytes(data)
        assert f"{path}: must be the complete archive of" in message(load, "cifar10")


def picture(size=(32, 32), form="JPEG", comment=b""):
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    data = io.BytesIO()
    more = {"comment": comment} if comment else {}
    image.new("RGB", size).save(data, form, **more)
    return data.getvalue()


@pytest.mark.parametrize(
    "make, part",
    [
        (lambda: picture((1, 1)), "train/cat/0000.jpg has 1 x 1 pixels"),
        (lambda: picture((3000, 9)), "train/cat/0000.jpg has 3000 x 9 pixels"),
        (lambda: picture(form="PNG"), "cannot identify image file"),
        (lambda: picture(comment=bytes(20_000)), "must have at most 16,384 bytes, has 20,"),
        (lambda: picture()[:300], "must be the complete archive of 32 x 32 JPEG images"),
        (lambda: b"", "must be the complete archive of 32 x 32 JPEG images"),
    ],
)
def test_jpeg_archives_with_something_else(jpeg, make, part):
    folder, _ = jpeg
    data = make()
    with tarfile.open(folder / cifar10.JPEG.name, "w:gz") as file:
        member = tarfile.TarInfo("train/cat/0000.jpg")
        member.size = len(data)
        file.addfile(member, io.BytesIO(data))
    assert part in message(load, "cifar10")


def test_without_pillow(jpeg, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(RuntimeError, match=r"pip install '.\[cifar10\]'"):
        load("cifar10")


# ---- the exact part


def test_exact_part_errors(folder):
    with pytest.raises(FileNotFoundError, match="put it into a folder cifar10 and set FASTSNN_D"):
        load("cifar10-exact")
    path = folder / cifar10.EXACT.name
    path.write_bytes(b"PK")
    assert f"{path}: must be a complete zip archive, is not" in message(load, "cifar10-exact")
    plain = {"train_x": IMAGES[0], "train_y": LABELS[0], "test_x": IMAGES[1], "test_y": LABELS[1]}
    np.savez(path, **plain | {"test_x": IMAGES[1][:, :5]})
    assert "test_x must be uint8 of shape (7, 3072), is uint8 of (7, 5)" in message(
        load, "cifar10-exact"
    )
    np.savez(path, **plain | {"train_y": LABELS[0] + 9})
    assert "train_y must be labels 0..9" in message(load, "cifar10-exact")
    for labels in (LABELS[0] / 2, LABELS[0][:, None], np.array("a"), LABELS[0].astype(str)):
        np.savez(path, **plain | {"train_y": labels})
        assert "train_y must be labels 0..9" in message(load, "cifar10-exact")


@pytest.fixture(scope="module")
def real():
    data = shared_data()
    if data is None or not (data / "cifar10" / cifar10.EXACT.name).is_file():
        pytest.skip("CIFAR-10 is not at hand: set FASTSNN_DATA")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTSNN_DATA", str(data))
        yield data / "cifar10"


def test_figures_of_the_real_exact_part(real):
    table = cifar10.load_exact()
    assert table.train.x.shape == (8_068, 3072) and table.test.x.shape == (1_017, 3072)
    assert "8,068 of 50,000" in table.note
    with np.load(real / cifar10.EXACT.name) as arrays:
        for part in ("train", "test"):
            everyone = arrays[f"{part}_labels_all"]
            assert np.bincount(everyone).tolist() == [len(everyone) // 10] * 10
            split = getattr(table, part)
            assert np.array_equal(split.y, everyone[arrays[f"{part}_index"]])


def test_figures_of_the_real_jpeg_form(real, monkeypatch, tmp_path):
    if not (real / cifar10.JPEG.name).is_file():
        pytest.skip("the JPEG form of CIFAR-10 is not at hand: set FASTSNN_DATA")
    labels, places = cifar10jpeg._order(real / cifar10.ORDER.name)
    exact = cifar10.load_exact()
    with np.load(real / cifar10.EXACT.name) as arrays:
        assert np.array_equal(labels["train"], arrays["train_labels_all"])
        assert np.array_equal(labels["test"], arrays["test_labels_all"])
        index = arrays["test_index"]
    assert len(places) == 60_000
    # Of the images, the first 60 of the test part: enough to check order and layout.
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    wanted = {place: name for name, (part, place) in places.items() if part == "test"}
    rows = {wanted[index[i]]: i for i in range(60)}
    errors = []
    with tarfile.open(real / cifar10.JPEG.name, "r:gz") as file:
        for member in file:
            if member.name in rows:
                path = tmp_path / member.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(file.extractfile(member).read())
    for name, i in rows.items():
        pixels = np.asarray(image.open(tmp_path / name)).transpose(2, 0, 1).ravel()
        errors.append(np.abs(pixels.astype(int) - exact.test.x[i]).mean())
    assert 4 < np.mean(errors) < 8 and max(errors) < 13.1
