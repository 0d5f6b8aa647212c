"""Files that are damaged, of another type than their suffix, or crafted to fill the memory."""

import gzip
import io
import itertools
import struct
import zipfile
from functools import partial

import numpy as np
import pytest
from data_files import PLAIN, message, save_arrays, write_file

from fastsnn.data import limits, read_features, read_table
from fastsnn.data.columns import target_names
from fastsnn.data.numbers import parse

X = np.arange(12.0).reshape(6, 2)
Y = np.array([0, 1, 0, 1, 0, 1])


@pytest.fixture
def write(tmp_path):
    return partial(write_file, tmp_path)


def npy(array) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def headed(header: str, data: bytes = b"", version=1) -> bytes:
    raw = header.encode("latin-1")
    size = struct.pack("<H" if version == 1 else "<I", len(raw))
    return b"\x93NUMPY" + bytes([version, 0]) + size + raw + data


def archive(path, x: bytes, y: bytes | None = None, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("x.npy", x)
        file.writestr("y.npy", npy(Y) if y is None else y)
    return path


# ---- text


@pytest.mark.parametrize(
    "head, words",
    [
        (gzip.compress(PLAIN.encode(), mtime=0), ("is a gzip file", "t.csv.gz")),
        (b"BZh91AY", ("bzip2",)),
        (b"\xfd7zXZ\x00", ("xz file",)),
        (b"\x28\xb5\x2f\xfd", ("zstd",)),
        (b"PK\x03\x04" + bytes(22) + b"\5\0\0\0x.npy", ("an .npz archive", ".npz")),
        (b"PK\x03\x04" + bytes(22) + b"\x13\0\0\0[Content_Types].xml", ("Excel", "as CSV")),
        (b"PK\x03\x04" + bytes(22) + b"\5\0\0\0a.csv", ("a zip archive", "unpack")),
        (b"PK\x03\x04", ("a zip archive",)),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ("Excel",)),
        (b"PAR1", ("Parquet", "read_parquet")),
        (b"ARROW1", ("Arrow",)),
        (npy(X), (".npy array", "numpy.savez")),
        (b"\x89HDF\r\n", ("HDF5",)),
        (b"SQLite format 3\x00", ("SQLite",)),
        (b"%PDF-1.4", ("PDF",)),
        (PLAIN.encode("utf-16"), ("UTF-16", "UTF-8")),
        (b"\xfe\xff" + PLAIN.encode("utf-16-be"), ("UTF-16", "UTF-8")),
        (PLAIN.encode("utf-32"), ("UTF-32", "UTF-8")),
    ],
)
def test_messages_name_the_actual_file_type(write, head, words):
    text = message(read_table, write(head))
    assert "must be a text file, is" in text and all(word in text for word in words)
    text = message(read_table, write(head, "t.csv.gz"))
    assert "the gzip file contains" in text


@pytest.mark.parametrize("end", ["tsv", "txt", "data", "TXT", "tsv.gz", "txt.gz", "data.gz"])
def test_every_ending_of_text_is_read_by_the_same_rules(write, end):
    assert read_table(write(PLAIN, f"t.{end}")).class_names == ("cat", "dog")
    assert read_features(write("1\t2\n3\t4\n", f"x.{end}"), None, 2).tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("number", [1, 2, 40, 3002])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_the_line_of_broken_text_is_named(write, number, newline):
    rows = ["a,b"] + ["1,2"] * 3500

    def at(cell):
        rows[number - 1] = cell
        return newline.join(rows).encode("latin-1")

    for data, words in [
        (at("é,1"), ("must be UTF-8 text", "0xe9", "character 1")),
        (at("1,2\0"), ("NUL", "character 4")),
        (at('1,"2'), ("opening quote and no closing quote", "'\"2")),
        (at('"2"x,1'), ("a closing quote must be followed", "got 'x'")),
    ]:
        text = message(read_table, write(data))
        assert f"line {number}: " in text and all(word in text for word in words)


def test_utf16_without_a_mark_is_suspected(write):
    assert "line 1: must be text, but character 2 is NUL" in message(
        read_table, write(PLAIN.encode("utf-16-le"))
    )


def test_a_quote_that_breaks_within_a_cell_of_several_lines(write):
    path = write('a,k\n1,"x\n\n"\n2,"y\n\n"z\n')
    assert f"{path}, line 7: a closing quote must be followed" in message(read_table, path)
    path = write('a,k\n1,"x\n\n"\n2,"y\n3,z\n4,v\n')
    assert f"{path}, line 5: a cell has an opening quote" in message(read_table, path)
    path = write('a,k\n1,"x\n\n"\nq,y\n')  # the line where the record begins
    assert f"{path}, line 5, column 'a'" in message(read_table, path)


@pytest.mark.parametrize(
    "content, arguments",
    [
        ("a," + "b" * 130_000 + "\n1,2\n3,x\n", {"target": "a"}),
        ("a,b\n" + "y" * 130_000 + ",2\n", {}),
        ("a,b\n1," + "y" * 140_000 + "\n", {}),
        ("a,b\n1," + "y" * 130_000 + "\n", {"task": "regression"}),
        ("a,b\n1,u\n2," + "v" * 130_000 + "\n", {"class_names": ["u", "w" * 130_000]}),
        ("a,b\n1," + "\x01" * 1000 + "\n", {"task": "regression"}),
        ("a,b\n1,2\n", {"target": "t" * 130_000}),
        ("a,b\n1,2\n", {"feature_names": ["t" * 9000] * 2, "n_features": 2, "header": True}),
        ("a,b\n1,2\n2,3\n", {"task": "t" * 9000}),
        ("a,b\n1,2\n", {"target": ["t" * 9000]}),
        ('a,b\n1,"' + "y" * 100_000 + '"z\n', {}),
        ('a,b\n1,"' + "y" * 100_000 + "\n", {}),
        (",".join(["x" * 100] * 1000) + "\n" + ",".join("1" * 1000) + "\n", {}),
    ],
)
def test_messages_stay_short(write, content, arguments):
    text = message(read_table, write(content), **arguments)
    assert len(text) < 1000 and text.isprintable()


@pytest.mark.parametrize("target", [[], (), True, 1.5, [1.5], [True, None], b"a", {"a": 1}, object])
def test_targets_that_name_no_column(write, target):
    with pytest.raises((TypeError, ValueError)) as error:
        read_table(write("a,b,c\n1,2,0\n2,3,1\n"), target)
    assert "target" in str(error.value) and "\n" not in str(error.value)


def test_target_indices_of_numpy(write):
    path = write("a,b,c\n1,2,0\n2,3,1\n")
    assert read_table(path, np.int64(1)).target_names == ("b",)
    assert read_table(path, np.array([0, 1])).target_names == ("a", "b")
    assert target_names(np.uint8(2)) == ["2"]


def test_lines_of_numbers_quote_little():
    with pytest.raises(ValueError) as error:
        parse(b"1,2\n" + b"y" * 9000 + b",2\n")
    assert len(str(error.value)) < 300


# ---- limits


@pytest.fixture
def small_limit(monkeypatch):
    monkeypatch.setattr(limits, "ALWAYS", 10_000)
    monkeypatch.setattr(limits, "RATIO", 20)


def test_packed_text_has_a_limit(write, small_limit, monkeypatch):
    path = write("a,b\n" + "1,2\n1,3\n" * 3000, "t.csv.gz")
    text = message(read_table, path)
    assert "at most 10,000 bytes unpacked, has more" in text and "FASTSNN_UNPACKED_LIMIT" in text
    monkeypatch.setenv("FASTSNN_UNPACKED_LIMIT", "24003")
    assert "24,003" in message(read_table, path)
    monkeypatch.setenv("FASTSNN_UNPACKED_LIMIT", "24004")
    assert len(read_table(path).train) == 6000
    monkeypatch.setenv("FASTSNN_UNPACKED_LIMIT", "1 TB")
    assert message(read_table, path).startswith("FASTSNN_UNPACKED_LIMIT: must be a number of bytes")


def test_packed_text_of_the_usual_ratio_is_read(write, small_limit):
    x = np.random.default_rng(0).normal(size=(3000, 3))
    path = write("\n".join(",".join(map(repr, row)) for row in x.tolist()), "t.csv.gz")
    assert read_table(path).train.x.shape == (3000, 2)


def test_a_line_has_a_limit(write, monkeypatch):
    monkeypatch.setattr("fastsnn.data.csvlines.LINE", 1000)
    text = message(read_table, write("a,b\n1,2\n3," + "4" * 2000))
    assert "line 3: must have at most 1,000 characters" in text


def test_npz_members_have_a_limit(tmp_path, small_limit, monkeypatch):
    np.savez_compressed(tmp_path / "t.npz", x=np.zeros((6, 4000)), y=Y)
    text = message(read_table, tmp_path / "t.npz")
    assert "must have at most" in text and "has 192,128" in text
    monkeypatch.setenv("FASTSNN_UNPACKED_LIMIT", "200000")
    assert read_table(tmp_path / "t.npz").train.x.shape == (6, 4000)


# ---- npz

GOOD = "{'descr': '<f8', 'fortran_order': False, 'shape': (6, 2), }"
DATA = X.tobytes()


def test_npz_written_by_hand_is_read(tmp_path):
    path = archive(tmp_path / "t.npz", headed(GOOD, DATA))
    assert np.array_equal(read_table(path).train.x, X)
    path = archive(tmp_path / "t.npz", headed(GOOD, DATA, version=2))
    assert np.array_equal(read_table(path).train.x, X)


@pytest.mark.parametrize(
    "x, words",
    [
        (headed(GOOD[:-1], DATA), ("not a NumPy array",)),
        (headed(GOOD[:-2] + "'", DATA), ("not a NumPy array",)),
        (headed("(" * 200, DATA), ("not a NumPy array",)),
        (headed("{" * 9000, DATA), ("not a NumPy array",)),
        (headed(GOOD + " " * 20_000, DATA), ("not a NumPy array",)),
        (headed("\0", DATA), ("not a NumPy array",)),
        (headed("[]", DATA), ("not a NumPy array",)),
        (headed(GOOD.replace("<f8", "q'q"), DATA), ("not a NumPy array",)),
        (headed(GOOD.replace("'<f8'", "'\\8'"), DATA), ("not a NumPy array",)),
        (headed(GOOD.replace("<f8", "x" * 5000), DATA), ("not a NumPy array",)),
        (headed(GOOD.replace("(6, 2)", "(6, 'a')"), DATA), ("not a NumPy array",)),
        (headed(GOOD, DATA, version=3), ("not a NumPy array", "unknown")),
        (headed(GOOD, DATA, version=9), ("not a NumPy array",)),
        (b"", ("not a NumPy array",)),
        (b"x,y\n1,2\n", ("not a NumPy array",)),
        (headed(GOOD)[:9], ("not a NumPy array",)),
        (headed(GOOD, DATA[:-1]), ("according to its header", "has 164")),
        (headed(GOOD, DATA + b"\0"), ("according to its header", "has 166")),
        (headed(GOOD.replace("6,", "1" + "0" * 30 + ","), DATA), ("more than 10^18",)),
        (
            headed(GOOD.replace("6,", "1" + "0" * 9 + ","), DATA),
            ("according to its header (shape",),
        ),
        (headed(GOOD.replace("(6, 2)", "(-6, -2)"), DATA), ("according to its header",)),
        (headed(GOOD.replace("(6, 2)", "()"), DATA[:8]), ("at least one row",)),
        (headed(GOOD.replace("(6, 2)", "(0, 2)")), ("at least one row",)),
        (headed(GOOD.replace("(6, 2)", f"({10**12}, 0)")), ("shape (rows, features)",)),
        (headed(GOOD.replace("<f8", "<U0").replace("6,", f"{10**15},")), ("dtype",)),
        (headed(GOOD.replace("(6, 2)", "(6, 2" + ", 1" * 70 + ")"), DATA), ("x",)),
        (headed(GOOD.replace("<f8", "|O"), DATA), ("pickled object", "refused")),
        (headed(GOOD.replace("'<f8'", "[('a', '<f4'), ('b', '<f4')]"), DATA), ("dtype",)),
        (headed(GOOD.replace("<f8", "<M8[s]"), DATA), ("datetime64",)),
        (headed(GOOD.replace("<f8", "<c8"), DATA), ("complex64",)),
        (headed(GOOD.replace("<f8", "|V8"), DATA), ("dtype",)),
        (npy(np.ones((6, 2), np.longdouble)), ("64 bits",)),
    ],
)
def test_npz_members_that_are_no_arrays(tmp_path, x, words):
    path = archive(tmp_path / "t.npz", x)
    for call in (read_table, lambda path: read_features(path, None, 2)):
        text = message(call, path)
        assert text.startswith(f"{path}: x") and all(word in text for word in words)
        assert len(text) < 1000
    text = message(read_table, archive(path, npy(X), x))
    assert text.startswith(f"{path}: y") or f"{path}, y" in text


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_npz_methods_that_unpack_without_a_limit(tmp_path, method):
    text = message(read_table, archive(tmp_path / "t.npz", npy(X), method=method))
    assert "x must be stored or deflated" in text and "savez_compressed" in text


@pytest.mark.parametrize("letter", [0x110000, 2**32 - 1, 0xD800])
@pytest.mark.parametrize("order", "<>")
def test_npz_text_that_is_not_unicode(tmp_path, letter, order):
    y = np.array([ord("a"), letter] * 3, f"{order}u4").view(f"{order}U1")
    assert "text in y must be Unicode" in message(read_table, save_arrays(tmp_path, x=X, y=y))
    y = np.array(["ä", "日", "😀"] * 2, f"{order}U2")
    assert len(read_table(save_arrays(tmp_path, x=X, y=y)).class_names) == 3


def test_npz_encrypted(tmp_path):
    path = save_arrays(tmp_path, x=X, y=Y)
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    path.write_bytes(data)
    assert "x must not be encrypted" in message(read_table, path)


def test_npz_with_the_same_name_twice(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as file:
        for name in ("x", "X", "y"):
            file.writestr(f"{name}.npy", npy(Y if name == "y" else X))
    assert "must hold x once, holds X, x, y" in message(read_table, tmp_path / "t.npz")


def test_npz_names_of_members_are_shown_in_one_short_line(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as file:
        for name in ("a\nb", "c" * 5000, *map(str, range(50))):
            file.writestr(f"{name}.npy", npy(X))
    text = message(read_table, tmp_path / "t.npz")
    assert len(text) < 1000 and "and 46 more" in text


@pytest.mark.parametrize("compressed", [False, True])
def test_npz_with_any_byte_changed_is_read_or_refused_in_a_line(tmp_path, compressed):
    path = tmp_path / "t.npz"
    (np.savez_compressed if compressed else np.savez)(path, x=X[:4], y=Y[:4])
    whole = path.read_bytes()
    for position, change in itertools.product(range(0, len(whole), 3), (0xFF, 0x10)):
        damaged = bytearray(whole)
        damaged[position] ^= change
        path.write_bytes(damaged)
        try:
            table = read_table(path)
        except ValueError as error:
            assert "\n" not in str(error) and len(str(error)) < 1000
        else:
            assert np.array_equal(table.train.x, X[:4])
