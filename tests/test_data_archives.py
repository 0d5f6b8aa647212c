"""Archives that are damaged or crafted to fill the memory are refused in one line, cheaply."""

import gzip
import io
import os
import resource
import struct
import tarfile
import tracemalloc
import zipfile

import numpy as np
import pytest
from data_files import message
from test_data_cifar10 import ROWS, python2, text

from fastsnn.data import cache, cifar10batches, limits, members, optdigits
from fastsnn.data.files import brief, damage, open_file, read_bytes
from fastsnn.data.idx import read_idx
from fastsnn.data.numbers import parse

MB = 1 << 20


@pytest.fixture(autouse=True)
def little_memory():
    """Allocations of gigabytes fail immediately on every machine."""
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + 512 * MB, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def archive(path, packing=zipfile.ZIP_DEFLATED, content=b"1,2\n", name="a.npy", **fields):
    """Write a zip archive with one member, and other numbers in its entry of the central
    directory.
    """
    with zipfile.ZipFile(path, "w", packing) as file:
        file.writestr(zipfile.ZipInfo(name), content, packing)
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    for field, value in fields.items():
        place, kind = {
            "version": (6, "<H"), "flags": (8, "<H"), "method": (10, "<H"), "packed": (20, "<I"),
            "size": (24, "<I"), "offset": (42, "<I"),
        }[field]  # fmt: skip
        struct.pack_into(kind, data, at + place, value)
    path.write_bytes(data)
    return path


def read(path, most=None):
    with members.opened(path) as file:
        return members.read_member(file, file.infolist()[0], path, most)


def npy(array):
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


# ---- zip


def test_a_member(tmp_path):
    assert read(archive(tmp_path / "a.zip")) == b"1,2\n"
    assert read(archive(tmp_path / "a.zip", zipfile.ZIP_STORED), 4) == b"1,2\n"


DAMAGED = {
    "encrypted": ({"flags": 1}, "a.npy: must not be encrypted"),
    "bzip2": ({"method": zipfile.ZIP_BZIP2}, "must be stored or deflated, its method is bzip2"),
    "LZMA": ({"method": zipfile.ZIP_LZMA}, "its method is lzma"),
    "deflate64": ({"method": 9}, "its method is deflate64"),
    "unknown": ({"method": 4242}, "its method is 4242"),
    "a later zip": ({"version": 999}, "must be a complete zip archive, is not (zip file version"),
    "patches": ({"flags": 0x20}, "must be complete, is damaged (compressed patched data"),
    "strong": ({"flags": 0x40}, "must be complete, is damaged (strong encryption"),
    "shorter": ({"size": 3}, "must be complete, is damaged (Bad CRC-32"),
    "longer": ({"size": 5}, "must be complete, is damaged"),
    "huge": ({"size": 2**32 - 2}, "bytes unpacked, has 4,294,967,294; if this is intended, set"),
    "elsewhere": ({"offset": 7}, "must be complete, is damaged"),
    "beyond": ({"offset": 2**31}, "must be "),
    "cut": ({"packed": 1}, "must be complete, is damaged"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_member(tmp_path, monkeypatch, name):
    fields, part = DAMAGED[name]
    monkeypatch.setenv("FASTSNN_UNPACKED_LIMIT", str(100 * MB))
    path = archive(tmp_path / "a.zip", **fields)
    assert part in message(read, path) and str(path) in message(read, path)
    assert cache.kept(path, ("a",)) is None and message(cache.arrays, path, ("a",))


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\x05\x06" + b"\xff" * 18, b"x" * 99])
def test_no_archive(tmp_path, data):
    (tmp_path / "a.zip").write_bytes(data)
    assert "a.zip: must be a complete zip archive, is not" in message(read, tmp_path / "a.zip")


def test_a_name_that_is_no_text(tmp_path):
    path = archive(tmp_path / "a.zip", name="\u00e9.npy")
    path.write_bytes(path.read_bytes().replace("\u00e9".encode(), b"\xff\xfe"))
    assert "must be a complete zip archive, is not ('utf-8' codec" in message(read, path)
    path = archive(tmp_path / "b.zip", name="\x1b[31m" + "n" * 5000, flags=1)
    error = message(read, path)
    assert len(error) < 400 and error.isprintable()


def test_a_member_that_unpacks_to_more_than_it_states(tmp_path):
    path = archive(tmp_path / "a.zip", content=bytes(64 * MB), size=100)
    tracemalloc.start()
    try:
        assert "must be complete, is damaged" in message(read, path)
        assert tracemalloc.get_traced_memory()[1] < 4 * MB
    finally:
        tracemalloc.stop()


def test_all_members_together_have_a_limit(tmp_path, monkeypatch):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for i in range(4):
            file.writestr(str(i), bytes(1000))
    monkeypatch.setenv("FASTSNN_UNPACKED_LIMIT", "4000")
    with members.opened(path) as file:
        members.whole(file, path)
        monkeypatch.setenv("FASTSNN_UNPACKED_LIMIT", "3999")
        assert "must have at most 3,999 bytes" in message(members.whole, file, path)


# ---- arrays of the cache, and those that data sets include

HEADER = npy(np.arange(3.0))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"no array", HEADER[:20], HEADER[:-1], HEADER + b"x",
        HEADER.replace(b"(3,)", b"(3,"), HEADER.replace(b"(3,)", b"-3  "),
        HEADER.replace(b"(3,), }" + b" " * 15, b"(999999999999999999,),}"),
        HEADER.replace(b"{", b"("), HEADER.replace(b"'<f8'", b"'|O' "),
        HEADER.replace(b"'<f8'", b"'<q9'"), HEADER.replace(b"False", b"  [  "),
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(1 << 16), b"\x93NUMPY\x09\x00v\x00",
        npy(np.array([{}, 1], object)),
        b"\x93NUMPY\x01\x00\xd0\x07" + b"[" * 2000, b"\x93NUMPY\x01\x00\xd0\x07" + b"-" * 2000,
    ],
)  # fmt: skip
def test_arrays_that_are_damaged(tmp_path, content):
    path = archive(tmp_path / "a.npz", content=content)
    assert f"{path}: must be a complete .npz archive, is not" in message(cache.arrays, path, ("a",))
    assert cache.kept(path, ("a",)) is None


def test_arrays_have_a_limit(tmp_path):
    path = archive(tmp_path / "a.npz", content=npy(np.zeros(1 << 16)))
    assert len(cache.arrays(path, ("a",), 1 << 20)["a"]) == 1 << 16
    assert "must have at most 1,000 bytes unpacked" in message(cache.arrays, path, ("a",), 1000)
    assert "There is no item named 'b.npy'" in message(cache.arrays, path, ("b",))


# ---- gzip


def test_bombs_of_gzip(tmp_path, monkeypatch):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(bytes(8 * MB)))
    assert len(read_bytes(path)) == len(read_bytes(path, 8 * MB)) == 8 * MB
    error = message(read_bytes, path, 8 * MB - 1)
    assert f"{path}: must have at most 8,388,607 bytes unpacked, has more; copy" in error
    monkeypatch.setenv("FASTSNN_UNPACKED_LIMIT", str(MB))
    error = message(read_bytes, path)
    assert "at most 1,048,576 bytes" in error and "set FASTSNN_UNPACKED_LIMIT to more" in error

    def line():  # a text without a line end
        with open_file(path, "rt", encoding="utf-8") as file:
            next(file)

    assert "at most 1,048,576 bytes" in message(line)
    (tmp_path / "plain").write_bytes(bytes(2 * MB))  # small when unpacked
    assert len(read_bytes(tmp_path / "plain")) == 2 * MB


def test_the_limit_follows_the_memory(monkeypatch):
    monkeypatch.setattr(os, "sysconf", lambda name: 1 << 15)  # 1 GiB
    assert limits.unpacked_limit() == 1 << 29
    monkeypatch.setattr(os, "sysconf", lambda name: 1 << 20)
    assert limits.unpacked_limit() == limits.UNPACKED_LIMIT == 8 << 30
    monkeypatch.setenv("FASTSNN_UNPACKED_LIMIT", "much")
    assert "FASTSNN_UNPACKED_LIMIT: must be a number" in message(limits.unpacked_limit)


def idx(*sizes, content=b"", code=8):
    return bytes([0, 0, code, len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes) + content


@pytest.mark.parametrize(
    "data, part",
    [
        (idx(60_000, 28, 28, content=bytes(9)), "needs more bytes than this file has"),
        (idx(2**32 - 1, 2**32 - 1, 2**32 - 1), "needs more bytes than this file has"),
        (idx(2**32 - 1, 0, 2**32 - 1), "with sizes above 0"),
        (idx(*[1] * 70, content=b"x"), "must have 1 to 32 dimensions"),
        (idx(*range(100, 355)), "must have 1 to 32 dimensions"),
        (idx(3, content=bytes(64 * MB)), "must have 11 bytes unpacked, has more"),
    ],
)
def test_idx_files_that_announce_something_else(tmp_path, data, part):
    packed = tmp_path / "a.gz"
    packed.write_bytes(gzip.compress(data, 1))
    for path in [packed] + [tmp_path / "a"] * (len(data) < MB):
        if path.suffix != ".gz":
            path.write_bytes(data)
        error = message(read_idx, path)
        assert str(path) in error and part in error and len(error) < 400


# ---- tar and pickles


def tar(path, parts, form="w:gz"):
    with tarfile.open(path, form) as file:
        for name, data in parts.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path


def test_a_pickle_that_announces_a_large_bytearray(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar10batches, "ROWS", ROWS)
    batch = b"\x80\x05\x96" + struct.pack("<Q", 1 << 28) + b"."
    path = tar(tmp_path / "a-python.tar.gz", {"data_batch_1": batch})
    assert "it has a bytearray" in message(cifar10batches.read, path)


def test_bombs_of_tar(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar10batches, "ROWS", ROWS)
    path = tar(tmp_path / "a-binary.tar.gz", {"data_batch_1.bin": bytes(MB)})
    error = message(cifar10batches.read, path)
    assert "data_batch_1 must have at most 43,022 bytes, has 1,048,576" in error
    path = tar(tmp_path / "a-binary.tar.gz", {"other": bytes(MB)})
    assert "must have at most 430,220 bytes unpacked, has more" in message(
        cifar10batches.read, path
    )
    whole = tmp_path / "whole.tar"
    tar(whole, {"data_batch_1.bin": b"1"}, "w:")
    data = bytearray(whole.read_bytes())
    data[124:136] = b"\x80" + b"\xff" * 11  # a negative size, as GNU tar writes it
    data[148:156] = b"%06o\0 " % (256 + sum(data[:148]) + sum(data[156:512]))
    path.write_bytes(gzip.compress(data))
    assert "must be the complete original archive of CIFAR-10" in message(cifar10batches.read, path)


@pytest.mark.parametrize(
    "batch",
    [
        b"\x80\x02Nr\xff\xff\xff\x7f.",  # stored in a memo at index two thousand million
        b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b".",
        b"\x80\x05\x96" + b"\xff" * 7 + b"\x7f.",
        b"(" * 5000 + b".", b"\x80\x02" + b"](" * 3000 + b"e" * 3000 + b".",
        b"I" + b"9" * 5000 + b"\n.", b"\x80\x04\x82\x01.", b"P1\n.", b"cos\n\xff\n.",
        b"\x80\x02K\x05\x81.", b"\x80\x02NNb.", b"0.", python2(0, shape=(7, 9)),
        b"\x80\x02}(" + text("data") + b"K\x01u.",
    ],
)  # fmt: skip
def test_pickles_that_are_damaged(tmp_path, monkeypatch, batch):
    monkeypatch.setattr(cifar10batches, "ROWS", ROWS)
    path = tar(tmp_path / "a-python.tar.gz", {"data_batch_1": batch})
    error = message(cifar10batches.read, path)
    assert f"{path}: must be the complete original archive of CIFAR-10 (" in error


# ---- text


def test_numbers_are_quoted_in_part():
    error = message(parse, b"x" * 9000 + b"\x1b\n")
    assert "could not convert" in error and len(error) < 200 and error.isprintable()
    for numbers in (b"1e400", b"9" * 400, b"99999999999999999999", b"1\x00", b"\xff\xfe"):
        assert message(parse, numbers, np.int64)


def test_pixels_that_no_integer_holds(tmp_path):
    path = tmp_path / "optdigits.tes"
    path.write_text(f"{'9' * 30},1\n")
    assert "must have 1,797 lines of 64 pixels" in message(optdigits._part, path)
    path.write_bytes(b"1," * 4 * MB)
    assert "must have at most 1,868,880 bytes unpacked" in message(optdigits._part, path)


# ---- helpers


def test_paths_that_are_not_files(tmp_path):
    assert "must be a file, is a folder" in message(read_bytes, tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert "must be a regular file, is a pipe" in message(read_bytes, tmp_path / "pipe")


def test_every_exception_of_a_library_is_one_line():
    for kind in (
        zipfile.BadZipFile, tarfile.ReadError, EOFError, KeyError, IndexError, struct.error,
        OverflowError, RecursionError, NotImplementedError, AttributeError, AssertionError,
        SyntaxError, TypeError, OSError,
    ):  # fmt: skip

        def fails(kind=kind):
            with damage("the path", "must be whole, is not"):
                raise kind("two\nlines \x1b" + "x" * 999)

        error = message(fails)
        assert error.startswith("the path: must be whole, is not (") and len(error) < 300
        assert error.isprintable() and error.endswith("; copy or download it again")


def test_errors_of_the_machine_are_not_damage():
    for given, raised in (
        (PermissionError(13, "no"), PermissionError), (MemoryError(), RuntimeError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ):  # fmt: skip
        with pytest.raises(raised), damage("the path", "must be whole"):
            raise given


def test_foreign_text_is_shortened_in_the_middle():
    assert brief("a\n b\t\x1b[1m") == "a b [1m" and brief(EOFError()) == "EOFError"
    text = brief("begin" + "x" * 9000 + "end", 60)
    assert len(text) == 60 and text.startswith("beginx") and "x ... x" in text
