"""`fastsnn compare`: a small network in both systems, a wrong weight on one side, and messages
if something is missing.

Bounds are those of tolerance.py. Times are not checked.
"""

import importlib.machinery
import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest
import tolerance
from commands import call, good

from fastsnn.bench import child, compare, compare_table, compare_twin
from fastsnn.bench.case import Case

CASE, STEPS = Case(3, 16, 20, 0.1, 50), 3
SMALL = ("--case", str(CASE), "--steps", STEPS, "--threads", 1, "--seconds", 0.01)
NO_TORCH = "PyTorch 2.13.0 is not installed (pip install torch==2.13.0)"
installed = importlib.util.find_spec
with_torch = pytest.mark.skipif(not installed("torch"), reason=NO_TORCH)

DEPTH, FAN = CASE.layers + 1, max(CASE.sizes)
FORWARD = tolerance.forward(DEPTH, FAN)
GRADIENT = tolerance.gradient(DEPTH, FAN, CASE.batch)


def parity(folder, **more):
    """Return (request, result of `compare.parity`)."""
    request = {
        "case": str(CASE), "optimizer": "sgd", "learning_rate": 0.05, "steps": STEPS, "threads": 1,
        "seed": (7 << 32) + 11, "folder": str(folder),
    } | more  # fmt: skip
    compare._write_inputs(folder, CASE, request["seed"])
    return compare.parity(request, lambda line: None)


def assert_close(found):
    assert [layer["layer"] for layer in found["layers"]] == [1, 2, 3, "output"]
    for layer in found["layers"]:
        for of in ("relative", "relative_of_torch_float32"):
            assert layer["activations"][of] <= FORWARD, layer
            assert layer["weight_gradients"][of] <= GRADIENT, layer
            assert layer["bias_gradients"][of] <= GRADIENT, layer
        assert 0 < layer["activations"]["largest"], "float32 is not float64"
    assert [loss["step"] for loss in found["losses"]] == list(range(STEPS))
    for loss in found["losses"]:  # twice: see tolerance.Drift
        assert abs(loss["fastsnn"] - loss["torch"]) <= 2 * GRADIENT * max(1, loss["torch"])


@pytest.mark.torch
@with_torch
def test_the_command(tmp_path):
    """Tables go to stdout, progress to stderr, results to JSON; a figure if matplotlib is
    installed.
    """
    words = ["--json", tmp_path / "c.json"]
    if installed("matplotlib"):
        words += ["--plot", tmp_path / "c.png"]
    result = call("compare", *SMALL, *words)
    assert result.exit_code == 0, result.stderr
    found = json.loads((tmp_path / "c.json").read_text(), parse_constant=lambda word: 1 / 0)
    assert result.stdout.splitlines()[-1] == found["verdict"]
    assert "losses agree to" in found["verdict"]
    assert found["case"] == str(CASE) and found["machine"]["versions"]["torch"]
    assert str(tmp_path) not in json.dumps(found), "nothing of the user's folders"
    assert_close(found)
    for system in ("fastsnn", "torch"):
        assert found["systems"][system]["calls"] >= compare.ROUNDS
        assert found["systems"][system]["peak_memory_mib"] > 10
        for layer in found["layers"][:-1]:
            moments = layer[f"after_dropout_{system}"]
            assert abs(moments["mean"]) < 0.5 and 0.5 < moments["variance"] < 1.5
        assert f"{STEPS} steps: {system}" in result.stderr
        assert "time of a step: " + system in result.stderr
    if installed("matplotlib"):
        assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in tmp_path.iterdir()} <= {"c.json", "c.png"}


@pytest.mark.torch
@with_torch
def test_adam(tmp_path):
    assert_close(parity(tmp_path, optimizer="adam", learning_rate=1e-4))


@pytest.mark.torch
@with_torch
def test_a_wrong_weight_is_seen(tmp_path, monkeypatch):
    """PyTorch gets another weight in the second layer: the activations of the first layer agree,
    and those of all later layers differ.
    """
    run = child.run

    def wrong(module, request, threads):
        if request["system"] == "torch":
            path = Path(request["folder"]) / "inputs.npz"
            with np.load(path) as file:
                arrays = dict(file)
            arrays["3.weight"][0, 0] += 0.1
            np.savez(path, **arrays)
        return run(module, request, threads)

    monkeypatch.setattr(child, "run", wrong)
    found = parity(tmp_path)
    first, *others = found["layers"]
    assert first["activations"]["relative"] <= FORWARD
    assert first["weight_gradients"]["relative"] > 100 * GRADIENT
    for layer in others:
        assert layer["activations"]["relative"] > 100 * FORWARD, layer
        assert layer["weight_gradients"]["relative"] > 100 * GRADIENT, layer
    assert found["losses"][0]["relative"] > 1e-5
    name = compare.worst(found, "activations")[1]
    assert name != "layer 1"


@pytest.mark.torch
@with_torch
def test_other_masks_are_seen(tmp_path, monkeypatch):
    run = child.run

    def wrong(module, request, threads):
        seed = request["seed"] + (request["system"] == "torch")
        return run(module, request | {"seed": seed}, threads)

    monkeypatch.setattr(child, "run", wrong)
    for layer in parity(tmp_path)["layers"][:-1]:
        assert layer["activations"]["relative"] > 100 * FORWARD, layer


def test_the_other_side_of_0():
    """Changed signs of SELU's input are counted, except where dropout hides them."""
    b = 0.25
    ours = {"activation.1": np.float32([[b + 1, b - 1, b - 1, b + 1]])}
    sides = np.int8([[1, -1, 1, 0]])
    theirs = {"side.1": sides, "float32.side.1": -sides}
    found = compare.other_side(ours, theirs, 1, b)
    assert found == {"fastsnn": 1, "torch_float32": 3}


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.5])
def test_affine_keeps_mean_and_variance(rate):
    """A value of mean 0 and variance 1 becomes -lambda alpha with probability p."""
    a, b = compare_twin.affine(rate)
    p, dropped = round(rate * 65536) / 65536, -compare_twin.ALPHA_PRIME
    mean = a * p * dropped + b
    variance = a**2 * (1 - p + p * dropped**2 - (p * dropped) ** 2)
    assert abs(mean) < 1e-12 and abs(variance - 1) < 1e-12


def missing(monkeypatch, *names):
    monkeypatch.setattr(
        importlib.util, "find_spec",
        lambda name, *more: None if name in names else importlib.machinery.ModuleSpec(name, None),
    )  # fmt: skip
    monkeypatch.setattr(child, "run", lambda *arguments: 1 / 0)  # nothing has been measured


def test_without_torch(monkeypatch):
    missing(monkeypatch, "torch")
    result = call("compare", *SMALL)
    assert result.exit_code == 1 and not result.stdout
    line = "fastsnn: compare: PyTorch is not installed; pip install torch==2.13.0\n"
    assert result.stderr == line


def test_without_matplotlib(monkeypatch, tmp_path):
    missing(monkeypatch, "matplotlib")
    result = call("compare", *SMALL, "--plot", tmp_path / "c.png")
    assert result.exit_code == 1 and not result.stdout
    assert result.stderr.count("\n") == 1 and "pip install '.[plot]'" in result.stderr


@pytest.mark.parametrize("option, name", [("--json", "c.json"), ("--plot", "c.png")])
def test_a_folder_that_is_not_there(monkeypatch, tmp_path, option, name):
    missing(monkeypatch)
    result = call("compare", *SMALL, option, tmp_path / "absent" / name)
    assert result.exit_code == 1 and not result.stdout
    assert f"{option} {tmp_path}" in result.stderr and "cannot be written" in result.stderr
    assert os.listdir(tmp_path) == []


def test_invalid_options(monkeypatch, tmp_path):
    missing(monkeypatch)
    result = call("compare", "--case", "8x64")
    assert result.exit_code == 2 and "'--case': 8x64: a case is" in result.stderr
    result = call("compare", *SMALL, "--plot", tmp_path / "c.txt")
    assert result.exit_code == 1 and ".png, .svg, .pdf" in result.stderr


def test_help():
    text = " ".join(good("compare", "--help").split())
    for word in (
        "--case",
        "--optimizer [sgd|adam]",
        "--compile",
        "--plot FILE",
        "[default: 8x",
    ):
        assert word in text


def test_long_runs_are_shortened(capsys):
    step = {"fastsnn": 1.0, "torch": 1.0, "relative": 0.0, "relative_of_torch_float32": 0.0}
    _, header, rows = compare_table._losses({"losses": [{"step": i, **step} for i in range(100)]})
    assert len(rows) == compare_table.MOST_ROWS + 1 and all(len(r) == len(header) for r in rows)
    assert rows[-1][0] == "99"
