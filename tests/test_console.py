"""Names, numbers and counts in the output for people."""

import io

import pytest
from commands import call, write_table

from fastsnn.runs import console
from fastsnn.runs.folder import RunFolder


@pytest.mark.parametrize(
    "n, noun, text",
    [(0, "row", "0 rows"), (1, "output", "1 output"), (2, "hidden layer", "2 hidden layers"),
     (10_000, "row", "10,000 rows")],
)  # fmt: skip
def test_counts(n, noun, text):
    assert console.count(n, noun) == text


@pytest.mark.parametrize(
    "name, value, shown",
    [
        ("compile_seconds", 1.05e-5, "compile seconds  0"),
        ("compile_seconds", 0.0, "compile seconds  0"),
        ("seconds", 0.25, "seconds  0.2"),
        ("seconds", 37.46, "seconds  37.5"),
        ("seconds", 12345.6, "seconds  12,345.6"),
        ("train_loss", 1.05e-5, "train loss  1.05e-05"),
        ("samples_per_second", 1500.0, "samples per second  1,500"),
        ("FASTSNN_DATA", None, "FASTSNN_DATA  -"),
        ("learning_rate", 1e28, "learning rate  1e+28"),
        ("validation_r2", -0.0, "validation r2  0.0000"),
        ("validation_loss", float("inf"), "validation loss  inf"),
        ("validation_rmse", 9.4989, "validation rmse  9.499"),
        ("validation_rmse", 11.7, "validation rmse  11.70"),
        ("validation_rmse", 117.0, "validation rmse  117.0"),
        ("validation_rmse", 999.96, "validation rmse  1,000"),
        ("validation_rmse", 9.99996, "validation rmse  10.00"),
        ("validation_rmse", 0.99996, "validation rmse  1.000"),
        ("validation_rmse", 0.05, "validation rmse  0.0500"),
        ("data_cache", "x", "data cache  x"),
    ],
)
def test_a_row_of_a_table(name, value, shown):
    stream = io.StringIO()
    console.table({name: value}, stream)
    assert stream.getvalue() == f"{shown}\n"


def test_a_run_of_one_of_everything(tmp_path):
    """1 feature, 1 output, 1 layer, 1 thread: no plural; nothing compiled: no 1e-05."""
    rows = [(i / 7, (i % 5) / 3) for i in range(60)]
    path = write_table(tmp_path / "d.csv", ("a", "y"), rows)
    result = call("train", "--data", path, "--task", "regression", "--layers", 1, "--width", 4,
                  "--epochs", 1, "--threads", 1, "--out", tmp_path / "r")  # fmt: skip
    assert result.exit_code == 0, result.stderr
    for text in ("1 feature, 1 output", "1 hidden layer of 4", "1 thread;"):
        assert text in result.stderr
    assert "e-0" not in next(x for x in result.stdout.splitlines() if x.startswith("compile"))
    assert RunFolder(tmp_path / "r").holds_run()
    done = call("predict", "--model", tmp_path / "r", "--data", path, "--out", tmp_path / "p.csv")
    assert done.stderr.splitlines()[-1].startswith("60 predictions in")


def test_the_environment_variable_keeps_its_name():
    assert "FASTSNN_DATA" in call("info").stdout and "FASTSNN DATA" not in call("info").stdout
