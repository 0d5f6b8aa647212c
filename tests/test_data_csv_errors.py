"""CSV files that are refused: each message states the place, the requirement, and the remedy."""

import gzip
from functools import partial

import pytest
from data_files import PLAIN, message, write_file

from fastsnn.data import read_features, read_table


@pytest.fixture
def write(tmp_path):
    return partial(write_file, tmp_path)


@pytest.mark.parametrize(
    "content, arguments, parts",
    [
        ("", {}, ("at least one row", "is empty")),
        ("\n \n", {}, ("at least one row", "is empty")),
        ("a,b\n", {}, ("at least one row", "header only")),
        ("a,b\n1,2\n3,x\n", {"target": "a"}, ("line 3, column 'b'", "finite number, got 'x'")),
        ("a,b\n1,2\n\n3,\n", {"target": "a"}, ("line 4, column 'b'", "got ''", "missing")),
        ("\n\na,b\n1,2\n3,x\n", {"target": "a"}, ("line 5, column 'b'", "got 'x'")),
        ("1,2,3\n1,2,nan\n", {"target": "0"}, ("line 2, column 2 (from 0)", "got 'nan'")),
        ("1,2\n1,nan\n", {"target": "0"}, ("line 2, column 1 (from 0)", "got 'nan'")),
        ("1,2\n1,inf\n", {"target": "0"}, ("line 2", "got 'inf'")),
        ("1,2\n1,1e39\n", {"target": "0"}, ("line 2", "got '1e39'")),
        ("1,2\n1,1_000\n", {"target": "0"}, ("line 2", "got '1_000'")),
        ("1,2,3\n4,5\n", {}, ("line 2", "must have 3 columns", "has 2")),
        ("a,b,y\r1,2,3\r4,5,6,7\r", {}, ("line 3", "must have 3 columns", "has 4")),
        ("# made today\na,b\n1,2\n", {}, ("line 1", "2 columns like line 2", "titles")),
        ("1 2 3\n4 5 6\n", {}, ("feature column", "has 1 column;", "comma, semicolon or tab")),
        ("a,b\n1,2\n3,4\n", {"target": "a,b"}, ("feature column in addition to the target",)),
        ("a,b\n1,2\n3,4\n", {"target": "c"}, ("[-2, 1]", "got 'c'", "'a', 'b'")),
        ("a,b\n1,2\n3,4\n", {"target": "2"}, ("[-2, 1]", "got '2'")),
        ("1,2\n3,4\n", {"target": "c"}, ("got 'c'", "has no header")),
        ("1,2,3\n3,4,5\n", {"target": "1,-2"}, ("must be distinct", "'1,-2'")),
        (",a,y\n0,1,0\n1,2,1\n", {}, ("header", "column 0", "needs a name", "index=False")),
        ("a,a,y\n0,1,0\n1,2,1\n", {}, ("must be unique", "'a' occurs 2 times")),
        ("x,y\n1,5\n2,5\n", {}, ("column 'y'", "at least two classes", "'5'")),
        ("x,y\n1,5\n2,oops\n", {"task": "regression"}, ("line 3, column 'y'", "got 'oops'")),
        ("x,y\n1,2.5\n2,inf\n", {}, ("line 3, column 'y'", "finite", "got inf")),
        ("x,y\n1,2.5\n2,1e39\n", {}, ("line 3, column 'y'", "finite float32", "got 1e+39")),
        ("x,y\n1,a\n2,\n", {}, ("line 3, column 'y'", "needs a class", "an empty cell")),
        ("x,y\n1,a\n2,inf\n", {"task": "classification"}, ("line 3", "needs a class", "'inf'")),
        ("x,y\n1,0\n2,2\n", {"task": "multitask"}, ("line 3", "0, 1 or missing", "got 2.0")),
        ("x,y\n1,\n2,\n", {"task": "multitask"}, ("at least one target", "all are")),
        ("x,u,v\n1,0,1\n2,1,0\n", {"target": "u,v"}, ("one-hot", "argmax", "multitask")),
        (
            "x,u,v\n1,0,1\n2,1,0\n",
            {"target": "u,v", "task": "classification"},
            ("one target column, got 2", "argmax"),
        ),
        ("x,y\n1,0\n2,1\n", {"task": "clustering"}, ("auto, classification", "'clustering'")),
        ('x,y\n1,"0\n2,1\n', {}, ("line 2", "no closing quote", "'\"0")),
        (
            'x,y\n1, "a"\n2, "b"\n',
            {},
            ("line 2, column 1", "no space is allowed before the opening quote", "' \"a\"'"),
        ),
        (
            'x, "y"\n1,2\n2,3\n',
            {},
            ("line 1, column 1", "no space is allowed before the opening quote"),
        ),
        ("a|b|c\n1|2|3\n", {}, ("line 1: needs a feature column", "'a|b|c'", "by comma")),
        (
            "# 3 May\na,b\n1,2\n",
            {},
            ("line 1: must have 2 columns like line 2", "'# 3 May'", "remove titles and comments"),
        ),
        ("sep=;\na;b\n1;2\n", {}, ("line 1: must hold names", "'sep='", "remove this line")),
        ("a,é,y\n1,2,3\n".encode("latin-1"), {}, ("line 1", "UTF-8", "0xe9", "save it as CSV")),
        (PLAIN.encode("utf-16"), {}, ("UTF-16", "save it as CSV in UTF-8")),
    ],
)
def test_csv_errors(write, content, arguments, parts):
    path = write(content)
    text = message(read_table, path, **arguments)
    assert "task:" in text or text.startswith(str(path))
    for part in parts:
        assert part in text


def test_csv_gz_errors(write):
    whole = gzip.compress(PLAIN.encode())
    path = write(b"", "t.csv.gz")
    damaged = bytearray(whole)
    damaged[-6] ^= 1  # in the checksum
    for data, cause in [(whole[:-9], "ended before"), (damaged, "CRC"), (b"a,b", "Not a gzip")]:
        path.write_bytes(data)
        text = message(read_table, path)
        assert str(path) in text and "complete gzip file" in text and cause in text
        assert "download it again" in text


def test_other_endings_are_refused(write):
    endings = ".csv, .tsv, .txt, .data (or these with .gz), .npz"
    assert endings in message(read_table, write(PLAIN, "t.json"))
    assert endings in message(read_features, write(PLAIN, "t.json"), None, 2)
