"""Files with text, gaps, booleans and dates: what is read, what is said, and what is refused."""

import gzip
import json
import os
from functools import partial

import numpy as np
import pytest
from data_files import message, write_file

from fastsnn.data import load, read_table
from fastsnn.data.rawcells import read_cells
from fastsnn.data.rawtable import Encoding, read_known, read_raw, split_names
from fastsnn.tables import reader
from fastsnn.tables.typed import convert, infer

pytest.importorskip("duckdb", reason="needs the extra tables: DuckDB")

TOWNS = ("Köln", "Paris", "Rome")
HEAD = ("size", "town", "sold", "day", "price")


def row(i, decimal="."):
    day = f"{i % 28 + 1:02d}/{i % 12 + 1:02d}/2020"
    return f"{i}{decimal}5", TOWNS[i % 3], ("true", "false")[i % 2], day, f"{3 * i}{decimal}25"


def text(delimiter=",", decimal=".", n=40, change=lambda i, cells: cells):
    lines = [HEAD, *(change(i, row(i, decimal)) for i in range(n))]
    return "".join(delimiter.join(cells) + "\n" for cells in lines)


PLAIN = text()


@pytest.fixture
def write(tmp_path):
    return partial(write_file, tmp_path)


def quoted(i, cells):
    return (cells[0], '"Paris, the\nsecond ""town"""', *cells[2:]) if i % 3 == 1 else cells


def gaps(i, cells):
    return (("NA", "?", "None", "null", "-", "")[i % 6], *cells[1:]) if i % 5 == 2 else cells


UGLY = {
    "plain": (PLAIN, "t.csv", "utf-8", ("header; delimiter ','", "dates %d/%m/%Y in 'day'")),
    "decimal commas": (text(";", ","), "t.csv", "utf-8", ("delimiter ';'", "decimal commas")),
    "latin-1": (PLAIN, "t.csv", "latin-1", ("encoding cp1252",)),
    "utf-16": (PLAIN, "t.csv", "utf-16", ("encoding utf-16",)),
    "a BOM": (PLAIN, "t.csv", "utf-8-sig", ("delimiter ','",)),
    "quotes": (text(change=quoted), "t.csv", "utf-8", ()),
    "gaps": (
        text(change=gaps), "t.csv", "utf-8", ("missing values '-', '?', 'NA', 'None', 'null'",),
    ),
    "a title": ("Sales of the year\n\n" + PLAIN, "t.csv", "utf-8", ("2 lines above the table",)),
    "spaces": (text(" , "), "t.csv", "utf-8", ("delimiter ','",)),
    "tabs": (text("\t"), "t.tsv", "utf-8", ("delimiter '\\t'",)),
    "pipes": (text("|"), "t.txt", "utf-8", ("delimiter '|'",)),
    "blank lines": (PLAIN.replace("\n9.5", "\n\n9.5"), "t.csv", "utf-8", ()),
    "CR LF": (PLAIN.replace("\n", "\r\n"), "t.csv", "utf-8", ()),
    "gzip": (PLAIN, "t.csv.gz", "utf-8", ("header",)),
    "single quotes": (PLAIN.replace("Paris", "'Paris, F'"), "t.csv", "utf-8", ('quote "\'"',)),
}  # fmt: skip


@pytest.mark.parametrize("content, name, encoding, words", UGLY.values(), ids=UGLY.keys())
def test_ugly_files_become_the_same_table(write, content, name, encoding, words):
    data = load(write(content, name, encoding))
    assert data.task == "regression" and len(data.train) + len(data.validation) == 40
    kinds = data.recipe.kinds()
    assert kinds == {"size": "numeric", "town": "categorical", "sold": "boolean", "day": "date"}
    for word in words:
        assert word in data.found
    assert "\n" not in data.found
    plain = load(write(PLAIN, "plain.csv"))
    assert np.array_equal(data.train.y, plain.train.y)
    if name != "t.txt" and "missing" not in data.found:
        assert np.array_equal(data.train.x, plain.train.x)


@pytest.mark.parametrize("name", ["t.parquet", "t.json", "t.jsonl", "t.csv.zst", "t.csv"])
def test_other_formats(write, tmp_path, name):
    import duckdb

    source, path = write(PLAIN, "source.csv"), tmp_path / name
    if name.endswith(("json", "jsonl")):
        head, *rows = [line.split(",") for line in PLAIN.splitlines()]
        rows = [
            {
                k: json.loads(v) if v[0].isdigit() and "/" not in v else v
                for k, v in zip(head, r, strict=True)
            }
            for r in rows
        ]
        if name == "t.json":
            path.write_text(json.dumps(rows))
        else:
            path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    else:
        how = {"t.parquet": "FORMAT parquet", "t.csv.zst": "COMPRESSION zstd"}.get(name, "")
        options = f"HEADER true, {how}" if how and "zstd" in how else how or "HEADER true"
        duckdb.connect().execute(
            f"COPY (SELECT * REPLACE (day::VARCHAR AS day) FROM read_csv('{source}', types="
            f"{{'day': 'VARCHAR'}})) TO '{path}' ({options})"
        )
    data, plain = load(path), load(source)
    assert data.recipe == plain.recipe and np.array_equal(data.train.x, plain.train.x)


def line_11(new):
    return PLAIN.replace("\n9.5,Köln,false", f"\n{new},false")


REFUSED = {
    "a short row": (line_11("9.5"), ("line 11", "5 columns", "has 4")),
    "a bad number": (line_11("oops,Köln"), ("line 11, column 'size'", "'oops'")),
    "a comma": (line_11('"9,5",Köln'), ("line 11, column 'size'", "'9,5'")),
    "infinity": (line_11("inf,Köln"), ("line 11, column 'size'", "finite number")),
    "an open quote": (line_11('9.5,"Köln'), ("line 11", "no closing quote")),
    "a closing quote": (line_11('9.5,"Kö"ln'), ("line 11", "closing quote")),
    "control characters": (PLAIN.replace("\n9.5", "\n9\x01"), ("control character",)),
    "two delimiters": ("a;b,c\n" + "x;y,z\n" * 9, ("delimiter is ambiguous",)),
    "thousands": (
        "a;b;c\n" + "".join(f'x;"{i},123";{i}.5\n' for i in range(1, 9)),
        ("line 2, column 'b'", "decimal point", "'1,123'"),
    ),
    "commas and points": (
        "a;b;c\n" + "".join(f"x;{i},5;{i}.5\n" for i in range(30)), ("decimal comma", "'b'"),
    ),
    "unclear dates": (
        "a,b\n" + "".join(f"0{i}/02/2020,{i}.5\n" for i in range(1, 9)), ("which the month",),
    ),
    "a title with commas": ("Sales, 2020\n" + PLAIN, ("line 1", "remove titles")),
    "names twice": (PLAIN.replace("size,town", "town,town"), ("must be unique", "'town'")),
    "no name": (PLAIN.replace("size,town", ",town"), ("needs a name",)),
    "no rows": ("a,b,c\n", ("header only",)),
    "no targets": ("a,b\n" + "x,\ny,\nz,\n", ("at least one row with a target",)),
    "a number among words": (
        PLAIN.replace(HEAD[1], "2020"), ("like the cells below, got 'size'", "--header"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("content, parts", REFUSED.values(), ids=REFUSED.keys())
def test_faults_are_refused_with_their_place(write, content, parts):
    path = write(content)
    found = message(load, path)
    assert found.startswith(str(path))
    for part in parts:
        assert part in found, found


def test_spaces_before_quotes(write, monkeypatch):
    path = write(PLAIN.replace("\n9.5,Köln", '\n9.5, "Köln"'))
    assert load(path).recipe == load(write(PLAIN, "plain.csv")).recipe
    monkeypatch.setattr(reader, "installed", lambda: False)
    assert "line 11, column 1 (from 0): no space is allowed" in message(read_cells, path)


def test_one_byte_that_is_not_utf8_is_damage(write):
    path = write(PLAIN.replace("Köln", "Koeln").encode().replace(b"9.5,Koeln", b"9.5,K\xf6ln"))
    assert "line 11: must be UTF-8 text, but the byte 0xf6" in message(load, path)


@pytest.mark.parametrize(
    "first, header",
    [
        ("a,b,c,d", True),
        ("1,x,2,y", False),
        ("1,?,2,y", False),
        (",x,2,y", False),
    ],
)
def test_the_first_line(write, first, header):
    rows = "1,x,2,y\n2,z,2,y\n3,x,3,w\n" * 4
    data = load(write(f"{first}\n{rows}"), validation=0)
    assert data.found.startswith("header;" if header else "no header;")
    assert len(data.train) == 12 + (not header)
    names = ("a", "b", "c") if header else ("0", "1", "2")
    assert set(data.recipe.column_names) <= set(names)


@pytest.mark.parametrize(
    "first", ["2019,2020,2021,2022", "5,6,x,y", "1,NULL,2,y", "x,y,z,w", "a,x,b,y"]
)
def test_unclear_first_lines_are_refused(write, first):
    rows = "1,x,2,y\n2,z,2,y\n3,x,3,w\n" * 4
    path = write(f"{first}\n{rows}")
    text = message(load, path)
    assert "line 1" in text and "--header" in text
    load(path, header=False, categorical="0,1,2", validation=0)


def test_text_without_a_header(write):
    rng = np.random.default_rng(0)
    letters = rng.choice(list("pqr"), (60, 3))
    rows = [",".join([*row, "uv"[i % 2]]) for i, row in enumerate(letters)]
    data = load(write("\n".join(rows) + "\n"), validation=0)
    assert data.found.startswith("no header") and len(data.train) == 60


@pytest.mark.parametrize("name", ["a*.csv", "x'y.csv", "[ab].csv", "a?.csv", "ä b.csv", "s3:x.csv"])
def test_names_of_files_are_no_patterns(write, name):
    write("other,file\n1,2\n", "ab.csv")
    assert len(load(write(PLAIN, name), validation=0).train) == 40


def test_folders_and_values_cannot_be_read_by_duckdb(write, tmp_path):
    path, other = write(PLAIN), write(PLAIN, "other.csv")
    with reader._opened(path) as (connection, place):
        for query in (
            f"SELECT * FROM read_csv('{other}')", "INSTALL spatial", "LOAD httpfs",
            f"COPY (SELECT 1) TO '{tmp_path}/out.csv'", "SET enable_external_access = true",
        ):  # fmt: skip
            with pytest.raises(Exception, match="(?i)permission|disabled|lock|denied|not found"):
                connection.execute(query)
        assert connection.execute(f"SELECT count(*) FROM read_csv({place})").fetchone() == (40,)
    assert sorted(os.listdir(tmp_path)) == ["other.csv", "t.csv"]


def test_python_and_duckdb_read_the_same_cells(write, monkeypatch):
    paths = [write(c, f"{i}{n}", e) for i, (c, n, e, _) in enumerate(UGLY.values())][:-1]
    by_duckdb = [read_cells(path) for path in paths]
    monkeypatch.setattr(reader, "installed", lambda: False)
    for path, one in zip(paths, by_duckdb, strict=True):
        other = read_cells(path)
        assert one.lines.tolist() == other.lines.tolist() and one.found == other.found
        for a, b in zip(one.columns, other.columns, strict=True):
            assert a.tolist() == b.tolist()


def test_lines_of_rows_with_line_breaks_and_blank_lines(write):
    cells = read_cells(write('a,b\n\n1,"x\ny"\n\n2,z\n'))
    assert cells.lines.tolist() == [1, 3, 6]


def test_rows_without_a_target_are_left_out(write):
    path = write(text(change=lambda i, c: (*c[:-1], "") if i % 10 == 3 else c))
    data = load(path, validation=0)
    assert len(data.train) == 36 and "4 rows without a target left out" in data.found
    assert "line 5, column 'price'" in message(
        read_table, write("x,price\n1,2.5\n2,3\n3,1\n4,\n"), task="regression"
    )


def test_targets(write):
    assert load(write(PLAIN), target="sold").class_names == ("false", "true")
    assert load(write(PLAIN), target="town").class_names == TOWNS
    several = load(write(PLAIN), target="size,price")
    assert several.task == "regression" and several.target_names == ("size", "price")
    lines = "x,u,v\n" + "a,0,1\nb,1,\nc,1,1\n" * 5 + "a,,\n"
    multitask = load(write(lines), target="u,v", validation=0)
    assert multitask.task == "multitask" and len(multitask.train) == 15
    assert np.isnan(multitask.train.y).sum() == 5
    days = write(text(n=80).replace("2020", "2021"), "days.csv")
    assert load(days, target="day", validation=0).task == "classification"


def test_options(write):
    path = write(PLAIN)
    data = load(path, categorical=["size"], drop="day, sold", max_categories=3, min_frequency=1)
    assert data.recipe.kinds() == {"size": "categorical", "town": "categorical"}
    assert data.n_features == 3 + 3
    assert load(path, scaling="robust").recipe != load(path).recipe
    assert "there is no column 'nix'" in message(load, path, drop="nix")
    assert "twice" in message(load, path, drop="size", numeric="size")
    assert "line 2, column 'town'" in message(load, path, numeric="town")
    for name in ("digits",):
        assert "drop applies only to files" in message(load, name, drop="a")
    numbers = write("a,b,c\n" + "".join(f"{i},{i % 3},{i / 7}\n" for i in range(40)), "n.csv")
    assert load(numbers).recipe is None
    assert load(numbers, categorical="b").feature_names[1:] == ("b=0", "b=1", "b=2")
    with pytest.raises(ValueError, match="must be a finite number"):
        load(path, raw=False)


def test_names_of_columns():
    assert split_names('a, "b, c",d', "drop") == ("a", "b, c", "d")
    assert split_names(["a,b"], "drop") == ("a,b",) and split_names(None, "drop") == ()
    assert "must not be empty" in message(split_names, "a,,b", "drop")
    assert "joined by commas" in message(split_names, 'a,"b', "drop")
    with pytest.raises(TypeError, match="drop: names of columns are required, got 3"):
        split_names(3, "drop")
    assert Encoding().given() == [] and Encoding(drop=("a",)).given() == ["drop"]


def where(row):
    return f"line {row + 2}"


@pytest.mark.parametrize(
    "cells, dtype, values",
    [
        (["1", "2", " 3 "], np.int64, [1, 2, 3]),
        (["1", "2.5", "-"], np.float64, [1, 2.5, np.nan]),
        (["1", None, "NA"], np.float64, [1, np.nan, np.nan]),
        (["1,5", "2", "?"], np.float64, [1.5, 2, np.nan]),
        (["007", "010"], object, ["007", "010"]),
        (["a", " b ", "-", "n/a"], object, ["a", "b", "-", None]),
        ([None, "", "NA"], np.float64, [np.nan] * 3),
        (["9007199254740993", "1"], np.float64, [9007199254740992, 1]),
        (["1e3", "1"], np.int64, [1000, 1]),
    ],
)
def test_types_of_columns(cells, dtype, values):
    found = infer(cells, where).values
    assert found.dtype == dtype
    assert found.tolist() == values or np.array_equal(found, values, equal_nan=True)


def test_conversion_for_a_recipe():
    assert convert(["007", "7"], "categorical", where).values.tolist() == ["007", "7"]
    assert convert(["007", "7"], "numeric", where).values.tolist() == [7, 7]
    assert convert(["1,5"], "numeric", where).values.tolist() == [1.5]
    assert "line 3: must be a finite number, got 'x'" in message(
        convert, ["1", "x"], "numeric", where
    )
    assert convert(["-", "2013-01-31"], "date", where).values.tolist() == [None, "2013-01-31"]


def test_columns_of_a_recipe_by_name(write):
    recipe = load(write(PLAIN)).recipe
    shuffled = "extra,day,town,sold,size\n5,01/02/2020,007,TRUE,1.5\n"
    columns, others = read_known(write(shuffled), recipe.kinds())
    assert others == ["extra"] and list(columns) == list(recipe.kinds())
    assert columns["town"].tolist() == ["007"] and recipe.transform(columns).shape == (
        1,
        recipe_size(recipe),
    )
    text = message(read_known, write("size,town\n1,Rome\n"), recipe.kinds())
    assert "lacks 'sold', 'day'" in text and "it has 'size', 'town'" in text


def recipe_size(recipe):
    return len(recipe.feature_names)


def test_bombs_are_refused(write, tmp_path, monkeypatch):
    import duckdb

    monkeypatch.setenv("FASTSNN_UNPACKED_LIMIT", "10000")
    big = "a,b\n" + "x,1\n" * 5000
    for name in ("t.csv.gz", "t.csv.zst", "t.parquet"):
        path = tmp_path / name
        if name.endswith("gz"):
            path.write_bytes(gzip.compress(big.encode()))
        else:
            how = "FORMAT parquet" if name.endswith("parquet") else "COMPRESSION zstd"
            query = f"COPY (SELECT 'x' AS a, range AS b FROM range(5000)) TO '{path}' ({how})"
            duckdb.connect().execute(query)
        assert "at most 10,000 bytes unpacked" in message(load, path)


def test_nested_columns_are_refused(write):
    path = write('{"a": 1, "b": [1, 2], "c": 3}\n' * 5, "t.jsonl")
    assert "column 'b': must hold numbers" in message(load, path)
    assert "could not be read" in message(load, write("{broken", "t.json"))
    assert "is empty" in message(load, write("", "t.jsonl"))


def test_read_raw_needs_duckdb(write, monkeypatch):
    path = write(PLAIN)
    monkeypatch.setattr(reader, "installed", lambda: False)
    with pytest.raises(RuntimeError, match="needs DuckDB: pip install"):
        read_raw(path)
    with pytest.raises(RuntimeError, match="needs DuckDB"):
        load(write("{}", "t.json"))
