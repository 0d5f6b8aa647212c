"""A run that is killed at any moment resumes to the bits of an uninterrupted run."""

import json
import os
import random
import signal
import time

import numpy as np
import pytest
from commands import call, result_of, start
from safetensors.numpy import load_file

from fastsnn import checkpoint
from fastsnn.storage import files

TIMES = ("seconds", "samples_per_second")
RUN = (
    "train", "--layers", 3, "--width", 16, "--batch-size", 32, "--epochs", 5, "--threads", 1,
    "--learning-rate", 0.05, "--momentum", 0.5, "--dropout", 0.05,
)  # fmt: skip

# Kills its own process: in step N, or in the Nth write, before or after the file is replaced.
KILLER = """
import os, signal, sys
import fastsnn.engine.cpu, fastsnn.cli, fastsnn.runs.keeper, fastsnn.trainer
what, count = sys.argv[1], int(sys.argv[2])

def counted(call, before):
    left = [count]
    def replaced(*arguments):
        left[0] -= 1
        if before and not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        result = call(*arguments)
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return replaced

if what == "step":
    fastsnn.engine.cpu.MAX_STEPS = 1
    fastsnn.trainer.Trainer._steps = counted(fastsnn.trainer.Trainer._steps, True)
else:
    os.replace = counted(os.replace, what == "writing")
fastsnn.cli.main(sys.argv[3:])
"""


def state_of(folder):
    """Return all that must be equal: the model file, the last tensors, all epochs' figures."""
    history = [
        {name: value for name, value in record.items() if name not in TIMES}
        for record in checkpoint.load_training(folder / "last.safetensors")[2]
    ]
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [{k: v for k, v in line.items() if k not in TIMES} for line in lines] == history
    return (
        (folder / "model.safetensors").read_bytes(),
        load_file(folder / "last.safetensors"),
        history,
    )


def assert_same(a, b):
    assert a[0] == b[0] and a[2] == b[2] and a[1].keys() == b[1].keys()
    for name in a[1]:
        assert np.array_equal(a[1][name], b[1][name]), name


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    result_of(*RUN, "--out", folder)
    return state_of(folder)


def kill(folder, what, count):
    process = start(what, count, *RUN, "--out", folder, how=("-c", KILLER))
    _, err = process.communicate()
    assert process.returncode == -signal.SIGKILL, err


def leftovers(folder):
    return [path for path in folder.iterdir() if path.name.startswith(".")]


# Writes: last, config; then per epoch model (if best), last, metrics.
@pytest.mark.parametrize(
    "what, count",
    [("step", 1), ("step", 60), ("writing", 2), ("writing", 3), ("writing", 4), ("wrote", 3),
     ("wrote", 4), ("writing", 8)],
)  # fmt: skip
def test_killed_at(what, count, tmp_path, whole):
    kill(tmp_path, what, count)
    assert bool(leftovers(tmp_path)) == (what == "writing"), "killed in the middle of a write"
    checkpoint.load_training(tmp_path / "last.safetensors")
    result_of("train", "--resume", "--out", tmp_path)
    assert_same(state_of(tmp_path), whole)
    assert not leftovers(tmp_path)


def test_killed_in_the_very_first_write(tmp_path, whole):
    """Nothing was stored: the same command starts the run."""
    kill(tmp_path, "writing", 1)
    assert call("train", "--resume", "--out", tmp_path).exit_code == 1
    result_of(*RUN, "--out", tmp_path)
    assert_same(state_of(tmp_path), whole)


def test_killed_again_and_again(tmp_path):
    """The moments are random, by the clock of the parent."""
    long = (*RUN, "--epochs", 100)
    result_of(*long, "--out", tmp_path / "whole")
    cut = tmp_path / "cut"
    draw, begin, epochs = random.Random(3), long, []
    for _ in range(5):
        process = start(*begin, "--out", cut)
        moment = draw.uniform(0, 0.8)
        while process.poll() is None and not (cut / "last.safetensors").exists():
            time.sleep(0.001)
        time.sleep(moment)
        process.kill()
        process.communicate()
        epochs.append(len(checkpoint.load_training(cut / "last.safetensors")[2]))
        begin = ("train", "--resume")
    assert epochs == sorted(epochs)
    result_of("train", "--resume", "--out", cut)
    assert_same(state_of(tmp_path / "whole"), state_of(cut))


@pytest.mark.parametrize(
    "more",
    [
        ("--optimizer", "adam", "--momentum", 0, "--learning-rate", 0.001),
        ("--schedule", "plateau", "--patience", 3, "--learning-rate", 0),
        ("--schedule", "step", "--validation", 0),
    ],
    ids=lambda more: more[1],
)
def test_state_of_optimizers_and_schedules(more, tmp_path):
    result_of(*RUN, *more, "--out", tmp_path / "whole")
    process = start("step", 95, *RUN, *more, "--out", tmp_path / "cut", how=("-c", KILLER))
    process.communicate()
    assert len(checkpoint.load_training(tmp_path / "cut/last.safetensors")[2]) == 2
    result_of("train", "--resume", "--out", tmp_path / "cut", "--threads", 2)
    a, b = (state_of(tmp_path / name) for name in ("whole", "cut"))
    assert_same(a, b)
    assert len(a[2]) == (4 if "--patience" in more else 5), "patience counts from the history"


def test_more_epochs(tmp_path):
    short = [*RUN, "--schedule", "constant"]
    result_of(*short, "--out", tmp_path / "whole")
    result_of(*short, "--epochs", 2, "--out", tmp_path / "cut")
    assert result_of("train", "--resume", "--out", tmp_path / "cut", "--epochs", 5)["epochs"] == 5
    assert_same(*(state_of(tmp_path / name) for name in ("whole", "cut")))
    result = call("train", "--resume", "--out", tmp_path / "cut", "--epochs", 3)
    assert result.exit_code == 1 and "at least the 5 that the run has finished" in result.stderr


@pytest.mark.parametrize(
    "words, message",
    [
        (("--layers", 4), "layers 3, got 4"),
        (("--seed", 1), "seed 0, got 1"),
        (("--epochs", 9), "cosine schedule"),
        (("--data", "other.csv"), "the run was started with data 'digits', got"),
        (("--data", "mnist"), "the run was started with data 'digits', got 'mnist'; leave it out"),
    ],
)
def test_resume_keeps_the_options(words, message, tmp_path):
    result_of(*RUN, "--epochs", 1, "--out", tmp_path)
    before = state_of(tmp_path)
    result = call("train", "--resume", "--out", tmp_path, *words)
    assert result.exit_code == 1 and message in result.stderr
    assert_same(state_of(tmp_path), before)
    result_of("train", "--resume", "--out", tmp_path, "--layers", 3, "--seed", 0)


def test_other_data_are_refused(tmp_path):
    table = tmp_path / "t.csv"
    rng = np.random.default_rng(0)
    lines = [f"{a:.3f},{'yes' if a > 0 else 'no'}" for a in rng.normal(size=50)]
    table.write_text("\n".join(lines))
    result_of(*RUN, "--data", table, "--out", tmp_path / "r")
    table.write_text("\n".join(lines[1:]))
    result = call("train", "--resume", "--out", tmp_path / "r")
    assert result.exit_code == 1 and "not those that the run was started with" in result.stderr


def test_full_disk(tmp_path):
    """No file may grow above 2000 bytes: the first write of a model fails."""
    more = ("--schedule", "constant", "--epochs")
    result_of(*RUN, *more, 2, "--out", tmp_path)
    before = state_of(tmp_path)
    limited = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "import fastsnn.cli; fastsnn.cli.main()"
    )
    process = start("train", "--resume", "--out", tmp_path, "--epochs", 4, how=("-c", limited))
    _, err = process.communicate()
    assert process.returncode == 1 and "Traceback" not in err
    assert "could not be written (File too large); the previous file" in err.splitlines()[-1]
    assert_same(state_of(tmp_path), before)
    assert not leftovers(tmp_path)


def test_folder_that_became_read_only(tmp_path, monkeypatch):
    result_of(*RUN, "--schedule", "constant", "--epochs", 1, "--out", tmp_path)
    before = state_of(tmp_path)

    def refuse(_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(files, "_new_file", refuse)
    result = call("train", "--resume", "--out", tmp_path, "--epochs", 2)
    assert result.exit_code == 1 and "Read-only file system" in result.stderr
    assert_same(state_of(tmp_path), before)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_parent(tmp_path):
    tmp_path.chmod(0o500)
    result = call(*RUN, "--out", tmp_path / "r")
    assert result.exit_code == 1 and "Permission denied" in result.stderr


def test_ctrl_c(tmp_path, whole):
    # Tests in the background of a shell ignore Ctrl-C, and so would their children.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = start(*RUN, "--epochs", 2000, "--out", tmp_path / "long")
    signal.signal(signal.SIGINT, before)
    while not (tmp_path / "long" / "metrics.jsonl").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130 and not out
    assert f"continue with: fastsnn train --resume --out {tmp_path}" in err.splitlines()[-1]
    assert "Traceback" not in err
    checkpoint.load_training(tmp_path / "long" / "last.safetensors")
