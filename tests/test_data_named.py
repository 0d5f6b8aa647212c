"""Data sets by name on the command line: train, evaluate, predict and resume support all of
them.
"""

import csv
import io
import zipfile

import numpy as np
import pytest
from commands import SMALL, call, good, result_of
from tox21_files import published

from fastsnn.data import ucinames

N = 60
RNG = np.random.default_rng(9)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Write uci/iris of 60 easily separated rows, and the small Tox21, to the data folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FASTSNN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("FASTSNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(ucinames.SHAPES, "iris", ucinames.Shape(N, 2, 3))
    y = np.arange(N) % 3
    fold = (np.arange(N) // 3 % 5)[:, None]
    parts = {
        "iris_py": RNG.normal(scale=0.1, size=(N, 2)) + y[:, None], "labels_py": y,
        "folds_py": (fold == np.arange(4)) * 1,
        "validation_folds_py": (fold == (np.arange(4) + 1) % 5) * 1,
    }  # fmt: skip
    for name in ("uci121", "tox21"):
        (tmp_path / "data" / name).mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "data" / "uci121" / "data_py.zip", "w") as file:
        for name, array in parts.items():
            text = io.StringIO()
            np.savetxt(text, array, "%g", ",")
            file.writestr(f"data_py/iris/{name}.dat", text.getvalue())
    for name, content in published().items():
        (tmp_path / "data" / "tox21" / name).write_bytes(content)
    return tmp_path


def test_a_task_of_uci(folder):
    values = result_of("train", "--data", "uci/iris", *SMALL, "--epochs", 30, "--batch-size", 6)
    assert values["data"] == "uci/iris" and values["model"] == "runs/iris-1/model.safetensors"
    assert values["validation_accuracy"] > 0.6 and values["test_accuracy"] > 0.6
    figures = result_of("evaluate", "--model", "runs/iris-1", "--data", "uci/iris")
    assert figures["rows"] == 12 and figures["accuracy"] == values["test_accuracy"]
    rows = list(
        csv.reader(io.StringIO(good("predict", "--model", "runs/iris-1", "--data", "uci/iris")))
    )
    assert rows[0] == ["class", "p_0", "p_1", "p_2"] and len(rows) == 13
    hits = np.mean([int(row[0]) == i % 3 for i, row in enumerate(rows[1:])])
    np.testing.assert_allclose(hits, figures["accuracy"], atol=1e-6)


def test_several_labels_with_gaps(folder):
    values = result_of("train", "--data", "tox21", *SMALL)
    assert values["task"] == "multitask" and "test_auc" in values
    figures = result_of("evaluate", "--model", "runs/tox21-1", "--data", "tox21")
    assert figures["rows"] == 8 and figures["loss"] == values["test_loss"]
    header = good("predict", "--model", "runs/tox21-1", "--data", "tox21").split("\n")[0]
    assert header.split(",")[0] == "p_NR.AhR" and len(header.split(",")) == 12


def test_a_run_is_resumed_by_its_name(folder):
    words = ("--data", "uci/iris", *SMALL, "--schedule", "constant")
    whole = result_of("train", *words, "--epochs", 4, "--out", "whole")
    result_of("train", *words, "--epochs", 2, "--out", "half")
    resumed = result_of("train", "--resume", "--out", "half", "--epochs", 4)
    assert resumed["train_loss"] == whole["train_loss"] and resumed["data"] == "uci/iris"


def test_wrong_uses(folder):
    result = call("train", "--data", "uci/irs", *SMALL)
    assert result.exit_code == 1 and "similar names: iris" in result.stderr
    result = call("train", "--data", "uci/iris", "--target", "x", *SMALL)
    assert "uci/iris: its target and task (classification) are fixed" in result.stderr
    good("train", "--data", "uci/iris", *SMALL, "--out", "run")
    result = call("evaluate", "--model", "run", "--data", "digits")
    assert "digits: the model needs 2 features, the data have 64" in result.stderr


def test_a_file_in_a_folder_called_uci_is_a_file(folder):
    (folder / "uci").mkdir()
    (folder / "uci" / "iris.csv").write_text("a,b\n" + "1,2\n3,4\n" * 20)
    assert result_of("train", "--data", "uci/iris.csv", *SMALL)["task"] == "classification"
