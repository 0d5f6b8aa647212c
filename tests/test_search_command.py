"""`fastsnn search` as a user calls it."""

import json
import os
import pty
import shlex
import sys

import numpy as np
import pytest
from commands import call, good, result_of, start, write_table

from fastsnn.bench import search as measuring
from fastsnn.optimizers import OPTIMIZERS
from fastsnn.search import ModelSelection
from fastsnn.search.command import search_runs
from fastsnn.search.loop import Status
from fastsnn.search.progress import Lines, line, table

SMALL = ("search", "--width", 16, "--epochs", 12, "--batch-size", 64)
GRID = ("--grid", "layers=1,3", "--grid", "learning-rate=0.02,0.2,1e9")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_printed_command_trains_the_winner(folder):
    """The protocol, applied to the epochs that `fastsnn train` writes, finds the same epoch and
    score: the bits are the same.
    """
    result = result_of(*SMALL, *GRID, "--seed", 3, "--schedule", "constant")
    assert result["trials"] == 6 and result["diverged"] == 2 and result["metric"] == "accuracy"
    assert result["folder"] == "runs/digits-1" and os.listdir("runs/digits-1") == ["trials.jsonl"]
    scores = [record["figures"].get("score", 0) for record in result["table"]]
    assert scores == sorted(scores, reverse=True) and result["table"][0] == result["best"]
    words = shlex.split(result["command"])
    assert words[:2] == ["fastsnn", "train"] and "0.15" in words
    good(*words[1:], "--out", "run", "--threads", 2)
    epochs = [json.loads(text) for text in (folder / "run/metrics.jsonl").read_text().splitlines()]
    figures = result["best"]["figures"]
    curve = [epoch["validation_accuracy"] for epoch in epochs]
    assert ModelSelection().best_epoch(curve) == (figures["epoch"], figures["score"])
    chosen = epochs[figures["epoch"] - 1]
    for name in ("train_loss", "validation_loss", "validation_accuracy"):
        assert figures[name] == chosen[name]


def test_a_person_reads_a_table_and_the_command():
    result = call(*SMALL, *GRID)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["accuracy", "epoch", "layers", "learning", "rate", "seconds"]
    assert lines[5].split()[:2] == lines[6].split()[:2] == ["diverged", "-"]
    summary = dict(text.split("  ", 1) for text in lines[8:])
    assert summary["command"].strip().startswith("fastsnn train --data digits --epochs 12 --valid")
    assert summary["score"].strip() == lines[1].split()[0]
    assert "6/6 trials  best " in result.stderr


def test_regression_is_judged_in_its_units_and_by_its_figure(folder):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200, 3))
    path = write_table(folder / "r.csv", "abcy", np.column_stack([x, 5000 + 1000 * x[:, 0]]))
    words = (*SMALL, "--data", path, "--grid", "learning_rate=0.001,0.05")
    result = result_of(*words)
    assert result["metric"] == "rmse" and result["best"]["options"]["learning_rate"] == 0.05
    scores = [record["figures"]["score"] for record in result["table"]]
    assert 100 < scores[0] < scores[1]  # of standardized targets both would be about 1
    by_r2 = result_of(*words, "--metric", "r2")["best"]
    assert 0 < by_r2["figures"]["score"] < 1


def test_a_loss_of_its_own_is_the_figure_of_a_regression(folder):
    path = folder / "t.npz"
    x = np.random.default_rng(0).normal(size=(60, 3))
    np.savez(path, x=x, y=x @ np.ones((3, 1)))
    small = ("search", "--data", path, "--width", 4, "--epochs", 2, "--grid", "layers=1,2")
    for loss, figure in (("quantile:0.9", "loss"), ("mse", "rmse")):
        result = result_of(*small, "--loss", loss)
        assert result["metric"] == figure
        words = shlex.split(result["command"])
        run = result_of(*words[1:], "--out", folder / figure, "--threads", 1)
        lines = (folder / figure / "metrics.jsonl").read_text().splitlines()
        epochs = [json.loads(text) for text in lines]
        chosen = epochs[result["best"]["figures"]["epoch"] - 1]
        assert result["best"]["figures"]["validation_loss"] == chosen["validation_loss"]
        assert run["best_epoch"]
    assert result_of(*small, "--loss", "huber", "--metric", "r2")["metric"] == "r2"
    assert (
        "one for a regression is required" in call(*small, "--loss", "sigmoid_cross_entropy").stderr
    )


def test_random_and_proposed_options():
    ranges = ("--range", "learning_rate=0.001:1:log", "--range", "width=8:32", "--epochs", 2)
    words = (*SMALL[:1], "--layers", 1, *ranges, "--trials", 4)
    drawn = result_of(*words, "--sampler", "random")
    options = [record["options"] for record in drawn["table"]]
    assert drawn["trials"] == 4 and len({str(o) for o in options}) == 4
    assert all(type(o["width"]) is int and 8 <= o["width"] <= 32 for o in options)
    assert all(0.001 <= o["learning_rate"] <= 1 for o in options)
    pytest.importorskip("optuna", reason="needs Optuna: pip install '.[search]'")
    assert result_of(*words, "--sampler", "optuna")["trials"] == 4


BAD = [
    ((), 2, "at least one option to search over is required, got none; add for example --grid"),
    (("--grid", "layers"), 2, "--grid layers: values are required, got none; for example --grid l"),
    (("--grid", "layer=2,3"), 2, "--grid layer=2,3: NAME=... is required with one of "),
    (("--grid", "layer=2,3"), 2, "; did you mean layers? ("),
    (("--grid", "data=a,b"), 2, "NAME=... is required with one of "),
    (("--grid", "layers=2", "--range", "layers=2:3"), 2, "layers=2:3: layers is given twice"),
    (("--grid", "layers=2,x"), 2, "layers=2,x: a whole number of at least 1 is required, got 'x'"),
    (("--grid", "layers=0"), 2, "layers=0: a whole number of at least 1 is required, got '0'"),
    (("--grid", "optimizer=sgd,ftrl"), 2, f"{[*OPTIMIZERS][-1]} is required, got 'ftrl' ("),
    (("--range", "dropout=0"), 2, "--range dropout=0: LOW:HIGH or LOW:HIGH:log is required"),
    (("--range", "dropout=0:0.1:exp"), 2, "a number in [0, 1) is required, got 'exp' ("),
    (("--range", "layers=9:8"), 2, "layers=9:8: range: low < high is required, got 9 to 8"),
    (("--range", "optimizer=adam:sgd"), 2, "range: numbers are required, got 'adam' to 'sgd'"),
    (("--range", "layers=8:9"), 2, "--range layers: a range must be sampled, got --sampler grid"),
    (("--layers", "3,2"), 2, "1 is required, got '3,2'; to try several: --grid layers=3,2"),
    (("--grid", "layers=2,2"), 1, "trial 1 repeats the options of trial 0"),
    (("--grid", "layers=2", "--layers", 3), 1, "layers must be either fixed or searched, got both"),
    (("--grid", "optimizer=sgd,adam", "--momentum", 0.5), 1, "momentum: only sgd and rmsprop have"),
    (("--grid", "layers=2", "--metric", "rmse"), 1, "metric: must be one of loss, accuracy, auc, "),
    (("--grid", "layers=2", "--metric", "speed"), 1, "for classification, got 'speed'"),
    (("--grid", "layers=2", "--validation", 0), 1, "validation data are required to rank trials"),
    (("--grid", "layers=2", "--trials", 3), 2, "--trials 3: a grid trains all combinations; "),
    (("--grid", "layers=2", "--sampler", "random"), 2, "--sampler random: a number of trials is "
     "required; add for example --trials 20"),
    (("--resume", "--out", "none"), 2, "repeat the --grid and --range of the search (they may"),
    (("--grid", "layers=2", "--resume"), 2, "--resume needs the folder of the search: add --out"),
    (("--grid", "layers=2", "--data", "no.csv"), 1, "no.csv"),
    (("--grid", "learning_rate=1e9"), 1, "no configuration has a score, all 1 diverged"),
]  # fmt: skip


@pytest.mark.parametrize("words, code, text", BAD, ids=lambda value: str(value)[:40])
def test_bad_input_is_one_line(words, code, text):
    result = call(*SMALL, *words)
    last = result.stderr.splitlines()[-1]
    assert result.exit_code == code and not result.stdout
    assert (
        os.listdir("runs") == ["digits-1"] * ("1e9" in str(words)) if os.path.exists("runs") else 1
    )
    assert last.startswith("fastsnn") and text in last


def test_a_search_is_resumed_with_its_space(folder):
    good(*SMALL, *GRID, "--epochs", 2, "--out", "s")
    result = call(*SMALL, "--epochs", 2, "--resume", "--out", "s")
    assert result.exit_code == 2 and result.stderr.count("\n") == 1
    shown = result.stderr.split("the finished ones have ")[1].split(" (see")[0]
    assert "--grid layers=3,1" in shown or "--grid layers=1,3" in shown
    again = result_of(*SMALL, *shown.split(), "--epochs", 2, "--resume", "--out", "s")
    assert again["trials"] == 6
    (folder / "s/trials.jsonl").write_text("{}\n[1]\n")  # not shown in the message
    result = call(*SMALL, "--resume", "--out", "s")
    assert result.exit_code == 2 and result.stderr.endswith(
        "have more values now) (see fastsnn search --help)\n"
    )


@pytest.mark.parametrize(
    "module, words, text",
    [("optuna", ("--sampler", "optuna", "--trials", 2), "pip install '.[search]'"),
     ("distributed", ("--dask", "tcp://h:1"), "pip install '.[dask]'")],
)  # fmt: skip
def test_an_extra_that_is_not_installed(module, words, text, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    result = call(*SMALL, "--grid", "layers=1,2", *words)
    assert result.exit_code == 1 and text in result.stderr.splitlines()[-1]


def test_help_names_the_defaults_of_the_protocol():
    text = " ".join(good("search", "--help").split())
    assert "[default: 0; 0<=x<2^64]" in text  # of --seed
    assert "Validation metric that selects the best epoch and ranks the trials: loss;" in text
    assert f"[default: {ModelSelection().epochs}; x>=1]" in text
    assert f"[default: {ModelSelection().validation}; 0<=x<1]" in text


def test_patience_and_threads_are_not_offered():
    for option in ("--patience", "--threads"):
        assert call(*SMALL, "--grid", "layers=1", option, 1).exit_code == 2


def test_live_display_on_a_terminal():
    ours, theirs = pty.openpty()
    with open(ours, "rb", buffering=0) as screen:
        process = start(*SMALL, *GRID, "--json", env={"TERM": "xterm"}, stderr=theirs)
        os.close(theirs)
        seen = b""
        while True:
            try:
                block = screen.read(4096)
            except OSError:  # Linux: the other side was closed
                break
            if not block:
                break
            seen += block
        out, _ = process.communicate()
    assert process.returncode == 0, seen
    assert json.loads(out)["trials"] == 6
    assert "6/6 trials" in seen.decode() and "\x1b[2K" in seen.decode()


def test_lines_without_a_terminal(capsys):
    shown = Lines(sys.stdout)
    for done in range(1001):
        shown(Status(done, 1000, 61.0, None))
    said = capsys.readouterr().out.splitlines()
    assert (
        len(said) == 20
        and said[0] == "50/1000 trials  1:01 left"
        and said[-1] == "1000/1000 trials"
    )
    assert line(Status(0, 3, None, None)) == "0/3 trials"


def test_columns():
    def record(score, error=None, **options):
        figures = {} if error else {"score": score, "epoch": 10}
        return {"options": options, "figures": figures, "error": error, "seconds": 1.25}

    text = table([record(0.5, layers=12), record(None, layers=3), record(0, "x", layers=1)], "auc")
    assert text.splitlines() == [
        "     auc  epoch  layers  seconds",
        "  0.5000     10      12      1.2",
        "       -     10       3      1.2",
        "diverged      -       1      1.2",
    ]


def test_bench_search(monkeypatch):
    """Three ways to run the same trials; times are not checked."""
    pytest.importorskip("distributed", reason="needs distributed: pip install '.[dask]'")
    monkeypatch.setattr(measuring, "SPACE", {"layers": [1, 2]})
    path = "search.json"
    text = good("bench", "search", "--workers", 2, "--epochs", 1, "--json", path)
    assert [line.split()[:2] for line in text.splitlines()[1:]] == [
        ["one", "worker"], ["2", "threads"], ["2", "processes"],
    ]  # fmt: skip
    with open(path) as file:
        rows = json.load(file)["rows"]
    assert all(row["trials"] == 2 and 0 < row["busy"] <= 1 for row in rows)
    assert rows[0]["speedup"] == 1 and len({row["best"] for row in rows}) == 1


def test_from_python(folder):
    said = []
    result = search_runs(
        {"epochs": 2, "width": 8}, {"layers": [1, 2]}, out=folder / "s", report=said.append
    )
    assert result["trials"] == 2 and len(said) == 1
