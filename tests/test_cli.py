"""The commands as a user calls them: stdout, stderr, and the files."""

import csv
import io
import json
import os
import pty

import click
import numpy as np
import pytest
from commands import ROOT, SMALL, call, good, result_of, start, write_table

import fastsnn.cli
from fastsnn import __version__
from fastsnn.runs.defaults import BY_RULE

FIGURES = {
    "data", "task", "method", "layers", "width", "dropout", "parameters", "epochs", "best_epoch",
    "seconds", "compile_seconds", "samples_per_second", "seed", "threads", "model", "train_loss",
    "validation_loss",
}  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows_of(text):
    return list(csv.reader(io.StringIO(text)))


def flowers(folder, n=120):
    """Write three named classes; the features are in columns b and a."""
    rng = np.random.default_rng(5)
    kinds = np.array(["rose", "tulip", "oak, old"])[np.arange(n) % 3]
    b = rng.normal(size=n) + 4 * (np.arange(n) % 3)
    a = rng.normal(size=n)
    rows = [(f"{x:.4f}", f'"{k}"', f"{y:.4f}") for x, k, y in zip(b, kinds, a, strict=True)]
    return write_table(folder / "flowers.csv", ("b", "kind", "a"), rows), kinds, a, b


@pytest.mark.parametrize("command", fastsnn.cli.main.commands.values(), ids=lambda c: c.name)
def test_help_shows_every_default(command):
    text = " ".join(good(command.name, "--help").split())
    for option in command.params:
        assert isinstance(option, click.Option), "options, not positional arguments"
        assert option.help, option.name
        if not option.required:
            shown = option.show_default
            assert shown, option.name
            assert f"[default: {f'({shown})' if isinstance(shown, str) else option.default}" in text


def test_help_follows_the_defaults_table():
    text = " ".join(good("train", "--help").split())
    assert "[default: (32; regression: 4); x>=1]" in text
    assert BY_RULE["epochs"] in text


def test_version_and_help_load_nothing_heavy():
    code = (
        "import sys, fastsnn.cli\n"
        "fastsnn.cli.main(['train', '--help'], standalone_mode=False)\n"
        "print([m for m in ('rich', 'tomli_w', 'requests') if m in sys.modules])"
    )
    out, err = start(how=("-c", code)).communicate()
    assert out.endswith("[]\n"), err
    assert __version__ in good("--version")


@pytest.mark.parametrize("how", [("-m", "fastsnn"), (str(ROOT / "cli.py"),)], ids=str)
def test_ways_to_start(how, folder):
    process = start("info", "--json", how=how)
    out, err = process.communicate()
    assert process.returncode == 0, err
    info = json.loads(out)
    assert info["fastsnn"] == __version__ and info["threads"] >= 1
    assert info["panel_samples"] == 2 * info["vector_width"]
    assert {info["kernels_compiled"], info["kernels_compiled_1_thread"]} <= {True, False}


def test_train_prints_one_json_object(folder):
    result = call("train", *SMALL, "--json")
    assert result.exit_code == 0
    values = json.loads(result.stdout)
    assert FIGURES | {"validation_accuracy", "test_loss", "test_accuracy"} == values.keys()
    assert values["epochs"] == 2 and values["layers"] == 2 and values["threads"] == 1
    assert values["parameters"] == 64 * 16 + 16 + 16 * 16 + 16 + 16 * 10 + 10
    assert values["model"] == "runs/digits-1/model.safetensors"
    assert "epoch 2/2" in result.stderr
    assert sorted(os.listdir("runs/digits-1")) == [
        "config.toml", "last.safetensors", "metrics.jsonl", "model.safetensors",
    ]  # fmt: skip


def test_train_prints_a_plain_table_and_numbers_its_folders(folder):
    for number in (1, 2):
        lines = good("train", *SMALL).splitlines()
        assert lines[0].split() == ["data", "digits"]
        assert lines[-1].split() == ["model", f"runs/digits-{number}/model.safetensors"]


def test_evaluate_repeats_the_test_figures():
    trained = result_of("train", *SMALL, "--out", "run")
    for model in ("run", "run/model.safetensors"):
        figures = result_of("evaluate", "--model", model, "--data", "digits")
        assert figures["rows"] == 359
        for name in ("loss", "accuracy"):
            assert figures[name] == trained[f"test_{name}"]


def test_text_classes_and_columns_in_another_order(folder):
    path, kinds, a, b = flowers(folder)
    options = ("--target", "kind", *SMALL, "--epochs", 60, "--learning-rate", 0.1)
    trained = result_of("train", "--data", path, *options, "--out", "run")
    assert trained["task"] == "classification" and "test_accuracy" not in trained
    found = rows_of(good("predict", "--model", "run", "--data", path))
    assert found[0] == ["class", "p_oak, old", "p_rose", "p_tulip"]
    assert len(found) == len(kinds) + 1
    right = np.mean([row[0] == kind for row, kind in zip(found[1:], kinds, strict=True)])
    assert right > 0.9
    assert np.allclose([sum(map(float, row[1:])) for row in found[1:]], 1, atol=1e-5)
    figures = result_of("evaluate", "--model", "run", "--data", path)
    assert figures["accuracy"] == pytest.approx(right)

    turned = [(f"{x:.4f}", i, f"{y:.4f}") for i, (x, y) in enumerate(zip(a, b, strict=True))]
    other = write_table(folder / "turned.csv", ("a", "number", "b"), turned)
    good("predict", "--model", "run", "--data", other, "--out", "p.csv")
    assert rows_of((folder / "p.csv").read_text()) == found


def test_regression_in_the_units_of_the_data(folder):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 3))
    y = 5000 + 1000 * x[:, 0]
    path = write_table(folder / "r.csv", ("u", "v", "w", "price"), np.column_stack([x, y]))
    options = (*SMALL, "--epochs", 30, "--learning-rate", 0.05)
    trained = result_of("train", "--data", path, *options, "--out", "run")
    assert trained["task"] == "regression"
    assert 10 < trained["validation_rmse"] < 400 and trained["validation_r2"] > 0.8
    found = rows_of(good("predict", "--model", "run", "--data", path))
    assert found[0] == ["price"]
    error = np.array([float(row[0]) for row in found[1:]]) - y
    figures = result_of("evaluate", "--model", "run", "--data", path)
    assert figures["rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-4)


def test_several_tasks_with_missing_labels(folder):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(200, 2))
    labels = [[int(a > 0), "" if i % 5 == 0 else int(b > 0)] for i, (a, b) in enumerate(x)]
    rows = [[*features, *label] for features, label in zip(x, labels, strict=True)]
    path = write_table(folder / "t.csv", ("x1", "x2", "left", "up"), rows)
    options = (*SMALL, "--epochs", 30, "--learning-rate", 0.1)
    trained = result_of("train", "--data", path, "--target", "left,up", *options, "--out", "run")
    assert trained["task"] == "multitask" and trained["validation_auc"] > 0.9
    found = rows_of(good("predict", "--model", "run", "--data", path))
    assert found[0] == ["p_left", "p_up"] and len(found) == 201


def test_arrays_without_names(folder):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(90, 4)).astype(np.float32)
    np.savez("d.npz", x=x, y=(x[:, 0] > 0).astype(int))
    result_of("train", "--data", "d.npz", *SMALL, "--out", "run", "--validation", 0)
    found = rows_of(good("predict", "--model", "run", "--data", "d.npz"))
    assert found[0] == ["class", "p_0", "p_1"] and len(found) == 91
    write_table(folder / "d.csv", None, x)
    assert rows_of(good("predict", "--model", "run", "--data", "d.csv"))[:2] == found[:2]
    assert result_of("evaluate", "--model", "run", "--data", "d.npz")["rows"] == 90


def test_without_a_header_the_target_is_remembered_by_its_column(folder):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(60, 3)).round(3)
    path = write_table(folder / "t.csv", None, [[a + 2 * b, a, b, c] for a, b, c in x])
    trained = result_of("train", "--data", path, "--target", 0, *SMALL, "--out", "run")
    assert trained["task"] == "regression"
    same = [result_of("evaluate", "--model", "run", "--data", path, *more)
            for more in ((), ("--target", 0))]  # fmt: skip
    assert same[0] == same[1] and same[0]["rows"] == 60
    write_table(folder / "x.csv", None, x)
    assert rows_of(good("predict", "--model", "run", "--data", "x.csv"))[0] == ["y_0"]


def test_a_figure_that_cannot_be_measured_is_null(folder):
    """AUC of a task without positive labels is null; the loss selects the best epoch."""
    x = np.random.default_rng(4).normal(size=(60, 2))
    path = write_table(folder / "t.csv", "abcd", [[*row, 0, 0] for row in x])
    options = ("--task", "multitask", *SMALL)
    trained = result_of("train", "--data", path, "--target", "c,d", *options, "--out", "run")
    assert trained["validation_auc"] is None and trained["best_epoch"] >= 1
    lines = (folder / "run" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["validation_auc"] is None


def test_ctrl_c_before_the_run_begins(monkeypatch, folder):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("fastsnn.data.load", interrupted)
    result = call("train", *SMALL)
    assert result.exit_code == 130 and not result.stdout
    assert result.stderr.split("\n")[-2:] == ["fastsnn: interrupted", ""]
    assert not list(folder.iterdir())


def test_reader_of_the_pipe_has_gone(folder):
    good("train", *SMALL, "--out", "run")
    process = start("predict", "--model", "run", "--data", "digits")
    process.stdout.close()
    said = [line for line in process.stderr if not line.startswith("fastsnn: compil")]
    assert said == []  # on a new machine it may report compilation, and nothing else
    process.stderr.close()
    process.wait()


def test_live_display_on_a_terminal(folder):
    """A live display goes to stderr, which is a terminal here; stdout stays clean."""
    ours, theirs = pty.openpty()
    code = (
        "import fastsnn.runs.console, fastsnn.cli, sys\n"
        "fastsnn.runs.console.REFRESH_S = 0\n"
        "fastsnn.cli.main(sys.argv[1:])"
    )
    with open(ours, "rb", buffering=0) as screen:
        words = ("train", *SMALL, "--json")
        process = start(*words, how=("-c", code), env={"TERM": "xterm"}, stderr=theirs)
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
    text = seen.decode()
    assert json.loads(out)["epochs"] == 2
    assert "left" in text and "samples/s" in text and "\x1b[2K" in text


def test_a_bottleneck_is_of_resnet(folder):
    result = call("train", *SMALL, "--bottleneck", 0.3)
    assert result.exit_code == 2 and "only --method resnet has one" in result.stderr


def test_a_data_sets_task_is_fixed(folder):
    result = call("train", *SMALL, "--task", "regression")
    said = result.stderr.splitlines()[-1]
    assert (
        said == "fastsnn: digits: its target and task (classification) are fixed, got the task "
        "regression; leave it out"
    )
