"""`fastsnn predict`, `evaluate` and `diagnose` with raw rows, also without other libraries."""

import os
import subprocess
import sys

import numpy as np
import pytest
from commands import ROOT, SMALL, call, good, result_of
from data_files import write_file
from shared_data import shared_data

import fastsnn as fs

pytest.importorskip("duckdb", reason="needs the extra tables: DuckDB")

ROWS = [
    (f"{0.2 + (7 * i % 41) / 20:.2f}", ("Fair", "Good", "007")[i % 3], f"{i % 28 + 1:02d}/03/2020",
     f"{500 + 40 * (7 * i % 41) + 300 * (i % 3)}")
    for i in range(90)
]  # fmt: skip
NAMES = ("carat", "cut", "day", "price")
# Imports of data frame libraries fail; DuckDB's, too, if BLOCK_DUCKDB is set.
BLOCKED = """
import os, sys
names = ["pandas", "polars", "sklearn", "pyarrow", "narwhals"]
names += ["duckdb"] * bool(os.environ.get("BLOCK_DUCKDB"))
sys.modules.update(dict.fromkeys(names))
from fastsnn.cli import main
main(prog_name="fastsnn")
"""


def write(folder, name, columns=NAMES, delimiter=",", rows=ROWS):
    order = [NAMES.index(c) if c in NAMES else None for c in columns]
    lines = [delimiter.join("x" if i is None else row[i] for i in order) for row in rows]
    return write_file(folder, "\n".join([delimiter.join(columns), *lines]) + "\n", name)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    path = write(folder, "train.csv")
    good("train", "--data", path, "--target", "price", *SMALL, "--out", folder / "run")
    return folder / "run"


def predicted(model, path, *more):
    result = call("predict", "--model", model, "--data", path, *more)
    assert result.exit_code == 0, result.stderr
    return result.stdout, result.stderr


def blocked(*words, **env):
    run = subprocess.run(
        [sys.executable, "-c", BLOCKED, *map(str, words)], capture_output=True, text=True,
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)} | env,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_columns_in_any_order_and_other_columns(model, tmp_path):
    whole, notes = predicted(model, write(tmp_path, "a.csv"))
    assert "columns that the model does not use: 'price'" in notes
    found, notes = predicted(model, write(tmp_path, "b.csv", ("day", "more", "cut", "carat")))
    assert found == whole and "does not use: 'more'" in notes
    found, notes = predicted(model, write(tmp_path, "c.csv", NAMES[:3], ";"))
    assert found == whole and notes == ""
    one, _ = predicted(model, write(tmp_path, "d.csv", NAMES[:3], rows=ROWS[4:5]))
    assert one.splitlines()[1] == whole.splitlines()[5]


def test_values_are_those_of_the_model(model, tmp_path):
    found, _ = predicted(model, write(tmp_path, "a.csv"))
    rows = [dict(zip(NAMES[:3], row, strict=False)) for row in ROWS]
    values = fs.load_model(model).predict(rows)
    assert np.allclose([float(v) for v in found.splitlines()[1:]], values[:, 0], rtol=1e-6)


def test_codes_dates_and_gaps(model, tmp_path):
    recipe = fs.load_model(model).recipe
    assert recipe.kinds() == {"carat": "numeric", "cut": "categorical", "day": "date"}
    assert "cut=007" in recipe.feature_names and recipe.date_patterns == {"day": "%d/%m/%Y"}
    unclear = write(tmp_path, "a.csv", rows=[("1.5", "007", "05/03/2020", "1")])
    plain, _ = predicted(model, unclear)
    iso, _ = predicted(model, write(tmp_path, "b.csv", rows=[("1.5", "007", "2020-03-05", "1")]))
    assert plain == iso
    comma = write(tmp_path, "c.csv", delimiter=";", rows=[("1,5", "007", "05/03/2020", "1")])
    assert predicted(model, comma)[0] == plain
    gap, _ = predicted(model, write(tmp_path, "d.csv", rows=[("NA", "?", "-", "1")]))
    assert len(gap.splitlines()) == 2


@pytest.mark.parametrize(
    "columns, row, words",
    [
        (("carat", "cut"), ROWS[0], "must have all 3 columns of the model, lacks 'day'; it has"),
        (("carat", "carat", "cut", "day"), ROWS[0], "column names must be unique, 'carat' occurs"),
        (NAMES, ("big", *ROWS[0][1:]), "line 2, column 'carat': must be a finite number"),
        (NAMES, ("1", "x", "in May", "2"), "line 2, column 'day': a date in ISO format"),
    ],
)
def test_bad_rows_are_one_line(model, tmp_path, columns, row, words):
    path = write(tmp_path, "a.csv", columns, rows=[row])
    for command in ("predict", "evaluate"):
        more = ("--target", "cut") if command == "evaluate" and "price" not in columns else ()
        result = call(command, "--model", model, "--data", path, *more)
        assert result.exit_code == 1 and not result.stdout
        if not more:
            assert words in result.stderr and str(path) in result.stderr
        assert sum(not line.startswith("note: ") for line in result.stderr.splitlines()) == 1


def test_named_data_and_arrays_are_refused(model, tmp_path):
    np.savez(tmp_path / "t.npz", x=np.zeros((3, 3)))
    for data in ("digits", tmp_path / "t.npz"):
        result = call("predict", "--model", model, "--data", data)
        assert result.exit_code == 1 and "needs a file with named columns" in result.stderr


def test_evaluate(model, tmp_path):
    rows = [*ROWS, ("1", "Fair", "01/03/2020", "")]
    path = write(tmp_path, "a.csv", ("price", "more", "day", "cut", "carat"), rows=rows)
    result = call("evaluate", "--model", model, "--data", path)
    assert result.exit_code == 0 and "does not use: 'more'" in result.stderr
    assert "rows without a target, left out: 1" in result.stderr
    assert result_of("evaluate", "--model", model, "--data", path)["rows"] == 90
    missing = write(tmp_path, "b.csv", NAMES[:3])
    result = call("evaluate", "--model", model, "--data", missing)
    assert result.exit_code == 1 and "got 'price'" in result.stderr


def test_diagnose(model, tmp_path):
    labelled = result_of("diagnose", "--model", model, "--data", write(tmp_path, "a.csv"))
    assert labelled["rows"] == 90
    plain = result_of("diagnose", "--model", model, "--data", write(tmp_path, "b.csv", NAMES[:3]))
    assert plain["rows"] == 90


def test_a_table_without_a_header(tmp_path):
    lines = [",".join(row) + "\n" for row in ROWS]
    path = write_file(tmp_path, "".join(lines))
    good("train", "--data", path, *SMALL, "--task", "regression", "--out", tmp_path / "r")
    whole, _ = predicted(tmp_path / "r", path)
    features = write_file(
        tmp_path, "".join(line.rsplit(",", 1)[0] + "\n" for line in lines), "f.csv"
    )
    assert predicted(tmp_path / "r", features)[0] == whole
    assert len(whole.splitlines()) == 91


def test_without_duckdb_csv_is_read_by_python(model, tmp_path):
    path = write(tmp_path, "a.csv", delimiter=";")
    whole, _ = predicted(model, path)
    words = ("predict", "--model", model, "--data", path)
    assert blocked(*words) == whole == blocked(*words, BLOCK_DUCKDB="1")


SIX = {
    "ames": ("Sale_Price", "--log-target"),
    "credit": ("Status",),
    "diamonds": ("price", "--scaling", "robust"),
    "flights": ("arr_delay", "--task", "regression"),
    "hitters": ("Salary",),
    "telco_churn": ("churn",),
}


@pytest.mark.parametrize("name", SIX)
def test_round_trip_of_real_tables(name, tmp_path):
    """Train and predict on raw rows; the prediction has no data frame library and no DuckDB."""
    folder = shared_data()
    path = None if folder is None else folder / "tables" / f"{name}.csv.gz"
    if path is None or not path.exists():
        pytest.skip(f"needs the table {name}.csv.gz in the folder of the real data")
    target, *more = SIX[name]
    good(
        "train", "--data", path, "--target", target, *more, "--layers", 2, "--width", 16,
        "--epochs", 1, "--threads", 1, "--out", tmp_path / "r",
    )  # fmt: skip
    words = ("predict", "--model", tmp_path / "r", "--data", path, "--threads", 1)
    lines = blocked(*words, BLOCK_DUCKDB="1").splitlines()
    model = fs.load_model(tmp_path / "r")
    rows = {"ames": 2930, "credit": 4454, "diamonds": 53940, "flights": 40000, "hitters": 322,
            "telco_churn": 7043}[name]  # fmt: skip
    assert len(lines) == rows + 1
    if model.task == "regression":
        assert lines[0] == target and np.isfinite([float(line) for line in lines[1:]]).all()
    else:
        assert {line.split(",")[0] for line in lines[1:]} <= set(model.class_names)
