"""Runs and searches whose folder was removed, moved or tampered with: one line, exit code 1."""

import json
import shutil

import numpy as np
import pytest
from commands import SMALL, call, result_of
from fuzz import target_last
from fuzz.target_model import joined, parts

from fastsnn import checkpoint
from fastsnn.runs.config import RunConfig
from fastsnn.runs.folder import RunFolder
from fastsnn.runs.run import resume, run
from fastsnn.search import ModelSelection, Range, search
from fastsnn.search.command import SEARCHED
from fastsnn.search.journal import NAME

TINY = dict(layers=1, width=8, epochs=2, batch_size=128, threads=1)


class After:
    """A callback that calls a function after an epoch."""

    def __init__(self, epoch, what):
        self.epoch, self.what = epoch, what

    def on_epoch_end(self, trainer, history):
        if len(history) == self.epoch:
            self.what()


def one_line(error):
    return "\n" not in str(error.value) and str(error.value)


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_folder_removed_during_a_run(tmp_path, epoch):
    folder = tmp_path / "r"
    with pytest.raises(RuntimeError) as caught:
        run(RunConfig(**TINY), folder, callbacks=[After(epoch, lambda: shutil.rmtree(folder))])
    text = one_line(caught)
    assert text.startswith(f"{folder}/") and "during the run" in text or "another folder" in text
    assert not folder.exists()


def test_a_folder_moved_before_the_first_epoch_ends(tmp_path):
    class Moves:
        def on_fit_start(self, trainer, epochs, batches):
            (tmp_path / "r").rename(tmp_path / "moved")

    with pytest.raises(RuntimeError, match="its folder is missing; create it, or choose another"):
        run(RunConfig(**TINY), tmp_path / "r", callbacks=[Moves()])
    assert not (tmp_path / "r").exists()


def test_a_file_takes_the_folders_place(tmp_path):
    folder = tmp_path / "r"

    def replaced():
        shutil.rmtree(folder)
        folder.write_text("")

    with pytest.raises(RuntimeError, match="could not be written"):
        run(RunConfig(**TINY), folder, callbacks=[After(1, replaced)])
    with pytest.raises(RuntimeError, match="could not be opened"):
        with RunFolder(tmp_path / "absent").locked():
            pass


def test_the_command_says_it_in_one_line(tmp_path, monkeypatch):
    folder = tmp_path / "r"
    real = RunFolder.write_metrics
    monkeypatch.setattr(
        RunFolder, "write_metrics", lambda self, h: (shutil.rmtree(folder), real(self, h))
    )
    result = call("train", *SMALL, "--data", "digits", "--out", folder)
    assert result.exit_code == 1 and "Traceback" not in result.stderr
    assert "metrics.jsonl: could not be written (No such file" in result.stderr.splitlines()[-1]


def test_a_folder_removed_during_a_search(tmp_path):
    folder = tmp_path / "s"

    def trial(options, report):
        shutil.rmtree(folder, ignore_errors=True)
        return {"score": options["x"]}

    with pytest.raises(RuntimeError, match=r"trials.jsonl: the file was removed during the search"):
        search(trial, {"x": [1, 2]}, protocol=ModelSelection(metric="r2"), workers=1, folder=folder)


LAST = {
    "options are a list": ({"config": []}, "config: an object with the options is required"),
    "an option's type": ({"config": {"layers": "1"}}, "layers: a whole number is required"),
    "an unknown option": ({"config": {"lr": 1}}, "there is no option 'lr'"),
    "an option out of range": ({"config": {"epochs": 10**400}}, "epochs: at most 1,000,000,000"),
    "threads": ({"config": {"threads": 10**6}}, "threads: at most 1,024 are supported"),
    "an open option": ({"config": {}}, "layers: a value is required, got None"),
    "another optimizer": (
        {"config": RunConfig(optimizer="adam").settled(9, "classification").to_dict()},
        "trainer state: adam with momentum 0.0 has 8 arrays, got 0",
    ),
    "no numbers": ({"trainer": {}}, "trainer: step_count and first_loss are required"),
    "numbers of a list": ({"trainer": [1, 2]}, "trainer: step_count and first_loss are required"),
    "a step below 0": (
        {"trainer": {"step_count": -1, "first_loss": 1.0}}, "step_count must be at least 0, got -1",
    ),
    "a step and a half": (
        {"trainer": {"step_count": 1.5, "first_loss": 1.0}}, "step_count must be an int, got 1.5",
    ),
    "a loss of NaN": (
        {"trainer": {"step_count": 1, "first_loss": float("nan")}}, "first_loss must be finite",
    ),
    "a loss as text": (
        {"trainer": {"step_count": 1, "first_loss": "1"}}, "first_loss must be a number, got '1'",
    ),
    "history of another type": ({"history": {}}, "history: a list is required, got {}"),
    "epochs of another type": ({"history": [1]}, "history, epoch 1: an object with its number"),
    "an epoch twice": ({"history": [{"epoch": 1}, {"epoch": 1}]}, "epoch 2: it has the number 1"),
    "an epoch without figures": ({"history": [{"epoch": 1}]}, "history: train_loss is required"),
    "figures that come and go": (
        {"history": [{"epoch": 1, "train_loss": 1.0}, {"epoch": 2}]}, "epoch 2: its figures",
    ),
    "a figure as text": (
        {"history": [{"epoch": 1, "train_loss": "1"}]}, "'train_loss' must be a number, got '1'",
    ),
    "a figure that no float holds": (
        {"history": [{"epoch": 1, "train_loss": 10**400}]}, "'train_loss' must be a number",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LAST)
def test_an_invalid_training(name, tmp_path):
    changes, text = LAST[name]
    description, entries, tensors = parts(target_last.SEEDS[0])
    folder = RunFolder(tmp_path)
    folder.last.write_bytes(joined(description | changes, entries, tensors))
    with pytest.raises(ValueError) as caught:
        resume(tmp_path)
    assert one_line(caught).startswith(f"{folder.last}: ") and text in str(caught.value)


STATES = {
    "NaN": ("trainer.0.weight.state0", np.nan, "0.weight.state0: finite numbers are"),
    "infinity": ("trainer.3.bias.state1", np.inf, "3.bias.state1: finite numbers are"),
    "a negative square": ("trainer.0.bias.state1", -1, "0.bias.state1: numbers >= 0 are required"),
}


@pytest.mark.parametrize("name", STATES)
def test_an_invalid_state(name, tmp_path):
    tensor, value, text = STATES[name]
    description, entries, tensors = parts(target_last.SEEDS[2])
    begin = entries[tensor]["data_offsets"][0]
    tensors = tensors[:begin] + np.float32(value).tobytes() + tensors[begin + 4 :]
    path = tmp_path / "last.safetensors"
    path.write_bytes(joined(description, entries, tensors))
    with pytest.raises(ValueError, match=text):
        checkpoint.load_training(path)


@pytest.mark.parametrize("edit", ["missing", "shape", "unknown"])
def test_a_state_of_another_network(edit, tmp_path):
    description, entries, tensors = parts(target_last.SEEDS[2])
    if edit == "missing":
        entries = {n.replace("trainer.0.bias.state0", "trainer.0.b"): e for n, e in entries.items()}
    elif edit == "shape":
        entries["trainer.0.weight.state1"]["shape"].reverse()
    else:
        entries = {n.replace("bias.state1", "bias.state2"): e for n, e in entries.items()}
    path = tmp_path / "last.safetensors"
    path.write_bytes(joined(description, entries, tensors))
    with pytest.raises(ValueError, match="trainer state: .*0.(bias|b|weight)"):
        checkpoint.load_training(path)


def test_a_trainer_refuses_numbers_that_are_not_finite():
    trainer = target_last.run._trainer(
        RunConfig(optimizer="adam", layers=1).settled(8, "classification"),
        target_last.target_model.models()[0],
    )
    arrays, numbers = trainer.state_dict()
    before = trainer.state_dict()
    arrays["0.bias.state0"] += np.nan
    with pytest.raises(ValueError, match="0.bias.state0.*finite numbers are required"):
        trainer.load_state_dict(arrays, numbers)
    with pytest.raises(TypeError, match="step_count must be an int"):
        trainer.load_state_dict(before[0], {"step_count": 1.5, "first_loss": None})
    assert all((trainer.state_dict()[0][n] == a).all() for n, a in before[0].items())


RECORD = {"number": 0, "options": {"x": 1}, "figures": {"score": 1}, "error": None, "seconds": 0.1}
RECORDS = {
    "deep": (2, "[" * 100_000, "a record of a search is required"),
    "another field": (2, RECORD | {"extra": 1}, "are required, got"),
    "number": (2, RECORD | {"number": "0"}, "number must be an int >= 0, got '0'"),
    "options": (2, RECORD | {"options": []}, "options and figures must be objects"),
    "figures": (2, RECORD | {"figures": None}, "options and figures must be objects"),
    "score": (2, RECORD | {"figures": {"score": "1"}}, "the score must be a finite number or null"),
    "huge score": (2, RECORD | {"figures": {"score": 10**400}}, "the score must be a finite"),
    "error": (2, RECORD | {"error": 1}, "error must be a string or null"),
    "seconds": (2, RECORD | {"seconds": None}, "seconds must be a number"),
    "search": (1, {"search": []}, "a description of the search is required"),
}  # fmt: skip


@pytest.mark.parametrize("name", RECORDS)
def test_an_invalid_journal(name, tmp_path):
    number, record, text = RECORDS[name]

    def go():
        return search(
            lambda o, report: {"score": o["x"]}, {"x": [1, 2]},
            protocol=ModelSelection(metric="r2"), workers=1, folder=tmp_path, resume=True,
        )  # fmt: skip

    go()
    lines = (tmp_path / NAME).read_text().splitlines()
    lines[number - 1] = record if isinstance(record, str) else json.dumps(record)
    (tmp_path / NAME).write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(ValueError) as caught:
        go()
    assert f"{NAME}, line {number}: a record of a search is required" in one_line(caught)
    assert text in str(caught.value)


def test_proposals_of_another_space(tmp_path):
    pytest.importorskip("optuna", reason="needs Optuna: pip install '.[search]'")
    space, sampler = {"x": [1, 2, 3], "y": Range(0.0, 1.0)}, {"sampler": "optuna", "trials": 3}

    def go():
        return search(
            lambda o, report: {"score": o["x"]}, space, protocol=ModelSelection(metric="r2"),
            workers=1, folder=tmp_path, resume=True, **sampler,
        )  # fmt: skip

    go()
    first, *lines = (tmp_path / NAME).read_text().splitlines()
    for options in ({"x": 1}, {"x": 9, "y": 0.5}, {"x": 1, "y": "a"}, {"x": [1], "y": None}, {}):
        record = json.dumps(json.loads(lines[0]) | {"options": options})
        (tmp_path / NAME).write_text("".join(f"{line}\n" for line in (first, record, *lines[1:])))
        with pytest.raises(ValueError) as caught:
            go()
        assert "its options in the folder are of another space" in one_line(caught)


def test_every_option_that_is_searched_has_values():
    """`--grid NAME=...` converts a value by the option NAME of `fastsnn train`."""
    from fastsnn import cli

    assert set(SEARCHED) <= {option.name for option in cli.search.params}
    for name in ("precision", "backend", "threads", "data"):
        result = call("search", "--grid", f"{name}=tf32,bf16")
        assert result.exit_code == 2 and "Traceback" not in result.stderr
        assert f"--grid {name}=tf32,bf16: NAME=... is required" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "words, text",
    [
        (("--threads", 10**6), "threads: at most 1,024 are supported"),
        (("--layers", 10**9), "layers: at most 100,000 is supported"),
        (("--epochs", 10**400), "epochs: at most 1,000,000,000 is supported"),
        (("--batch-size", 10**400), "batch_size: at most"),
        (("--width", 10**400), "width: at most"),
        (("--learning-rate", "1e400"), "learning_rate must be in [0, 1e+30), got inf"),
        (("--weight-decay", "1e300"), "weight_decay must be at most 3.4e+38"),
        (("--bottleneck", "nan"), "bottleneck: must be in (0, 1], got nan"),
        (("--validation", "nan"), "validation: must be in [0, 1), got nan"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_options_that_no_machine_bears(words, text, tmp_path):
    result = call("train", *SMALL, *words, "--out", tmp_path / "r")
    assert result.exit_code == 1 and not (tmp_path / "r").exists()
    assert text in result.stderr.splitlines()[-1] and "Traceback" not in result.stderr


def test_a_run_still_resumes(tmp_path):
    words = ("train", *SMALL, "--data", "digits", "--schedule", "constant")
    result_of(*words, "--out", tmp_path)
    assert result_of("train", "--resume", "--out", tmp_path, "--epochs", 3)["epochs"] == 3
