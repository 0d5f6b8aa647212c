"""Tables on the command line: the line about a run reports how the table was read; a resumed run
keeps it.
"""

import numpy as np
import pytest
from commands import SMALL, call, good, result_of, write_table

import fastsnn as fs
from fastsnn.data import targets
from fastsnn.data.idx import read_idx
from fastsnn.runs.config import RunConfig
from fastsnn.search.command import command_line

CALM = (*SMALL, "--schedule", "constant")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def spectrum(folder, rows=40):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(rows, 2)).round(3)
    return write_table(
        folder / "s.csv", ("400.5", "401", "kind"), [[*r, "uv"[r[0] > 0]] for r in x.tolist()]
    )


def test_the_detected_format_is_reported(folder):
    path = spectrum(folder)
    result = call("train", *SMALL, "--data", path, "--header", "--out", "run")
    assert "(header; delimiter ','; classification: text targets)" in result.stderr
    assert "header = true" in (folder / "run" / "config.toml").read_text()
    model = fs.load_model("run/model.safetensors")
    assert model.feature_names == ("400.5", "401") and model.class_names == ("u", "v")


def test_the_header_of_a_run_is_kept(folder):
    path = spectrum(folder)
    text = call("train", *CALM, "--data", path, "--out", "run").stderr
    assert "line 1: it is unclear" in text and "--header or --no-header" in text
    good("train", *CALM, "--data", path, "--header", "--out", "run")
    resumed = call("train", "--resume", "--out", "run", "--epochs", 3)
    assert resumed.exit_code == 0 and "(header; delimiter ','" in resumed.stderr
    wrong = call("train", "--resume", "--out", "run", "--no-header").stderr
    assert "started with header True, got False" in wrong
    # By the names of the columns: without the option, and with additional columns.
    assert result_of("evaluate", "--model", "run", "--data", path)["rows"] == 40
    write_table(folder / "x.csv", ("401", "n", "400.5"), [[1.5, "?", 2.5]] * 6)
    assert len(good("predict", "--model", "run", "--data", "x.csv").splitlines()) == 7


@pytest.mark.parametrize("words, rows", [((), 6), (("--no-header",), 6), (("--header",), 5)])
def test_a_model_without_names_takes_an_unclear_line_as_a_row(folder, words, rows):
    data = [[i % 5, (3 * i) % 7, (i % 3) + 1] for i in range(60)]
    path = write_table(folder / "t.csv", None, data)
    good("train", *SMALL, "--data", path, "--out", "run")
    write_table(folder / "x.csv", None, [[0, 1]] * 6)
    found = good("predict", "--model", "run", "--data", "x.csv", *words)
    assert len(found.splitlines()) == rows + 1
    write_table(folder / "e.csv", None, [[0, 1, 2]] * 6)
    assert result_of("evaluate", "--model", "run", "--data", "e.csv", *words)["rows"] == rows


def test_an_unclear_header_is_refused_for_a_model_of_arrays(folder):
    np.savez("t.npz", x=np.arange(40.0).reshape(20, 2), y=np.arange(20) % 2)
    good("train", *SMALL, "--data", "t.npz", "--out", "run")
    write_table(folder / "x.csv", ("0", "1"), [[2.5, 1.5]] * 6)
    assert "unclear" in call("predict", "--model", "run", "--data", "x.csv").stderr
    found = good("predict", "--model", "run", "--data", "x.csv", "--header")
    assert len(found.splitlines()) == 7


@pytest.mark.parametrize(
    "words",
    [
        ("train", "--data", "digits"),
        ("evaluate", "--data", "digits", "--model", "run"),
        ("predict", "--data", "digits", "--model", "run"),
        ("diagnose", "--data", "digits", "--model", "run"),
    ],
)
def test_header_is_for_files(folder, words):
    path = spectrum(folder)
    good("train", *SMALL, "--data", path, "--header", "--out", "run")
    result = call(*words, "--header")
    assert result.exit_code == 1 and "digits: header applies only to" in result.stderr


def test_a_run_keeps_its_task_and_its_class_names(folder, monkeypatch):
    rows = [[i % 7, i % 11, i % 100] for i in range(400)]
    path = write_table(folder / "t.csv", "aby", rows)
    with monkeypatch.context() as other:  # the rule of another version
        other.setattr(targets, "MANY_CLASSES", 100)
        assert result_of("train", *CALM, "--data", path, "--out", "run")["task"] == "classification"
    found = result_of("train", "--resume", "--out", "run", "--epochs", 3)
    assert found["task"] == "classification" and found["epochs"] == 3
    assert "regression: 100 distinct" in call("train", *SMALL, "--data", path).stderr


def test_a_search_takes_the_header(folder):
    path = spectrum(folder, 60)
    found = result_of(
        "search", "--data", path, "--header", "--grid", "layers=1,2", "--width", 8, "--epochs", 1,
        "--workers", 1,
    )  # fmt: skip
    assert found["trials"] == 2 and " --header" in found["command"]
    assert "--no-header" in command_line({"header": False})


def test_header_is_true_false_or_none():
    assert RunConfig(header=False).to_dict()["header"] is False
    for value in ("yes", 1):
        with pytest.raises(TypeError, match="header: True or False is required"):
            RunConfig(header=value)
    with pytest.raises(TypeError, match="layers: a whole number"):
        RunConfig(layers=True)


def test_idx_files_of_more_dimensions_than_arrays_have(tmp_path):
    path = tmp_path / "x-ubyte"
    path.write_bytes(bytes([0, 0, 8, 65]) + b"\0\0\0\1" * 65 + b"\7")
    with pytest.raises(ValueError, match="must have 1 to 32 dimensions"):
        read_idx(path)
