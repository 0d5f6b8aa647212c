"""The checks and timings of `fastsnn bench gpu`, run in the simulator so that every line has run
before it reaches a GPU. Run by test_bench_gpu.py in a separate process, with
NUMBA_ENABLE_CUDASIM=1.
"""

import json

import numpy as np
import pytest
from commands import call
from cuda_turns import turns

import fastsnn as fs
from fastsnn.bench import tables
from fastsnn.bench.gpu import (
    check,
    everything,
    gradients,
    networks,
    ours,
    results,
    runner,
    sanitize,
)
from fastsnn.bench.gpu.__main__ import described, main
from fastsnn.kernels.cuda import device, dropout

CASE = "2x4x3x0.1x5"


@pytest.fixture(autouse=True)
def in_turns():
    with turns():
        yield


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """Run workers in this process instead of in subprocesses."""
    modules = {m.__name__: m for m in (check, ours)}

    def run(module, tasks, request, keep, until=None, most=None):
        for task in tasks:
            if module not in modules:
                keep(task, {"error": "not here"})
                continue
            json.dumps(request)
            try:
                result = json.loads(json.dumps(modules[module].perform(task, request)))
            except Exception as error:
                result = {"error": f"{type(error).__name__}: {error}"}
            keep(task, result)

    monkeypatch.setattr(runner, "run", run)
    monkeypatch.setattr("fastsnn.bench.gpu.cases.STEPS", 2)
    monkeypatch.setattr(ours, "REPEATS", 2)
    monkeypatch.setattr(ours.timing, "LEAST", 2)


def test_all_in_one_call(tmp_path):
    from click.testing import CliRunner

    words = ["--out", str(tmp_path), "--case", CASE, "--precision", "float32", "--tiny",
             "--against", "torch", "--no-warm", "--seconds", "0.001"]  # fmt: skip
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "gpu.json").read_text())
    wrong = {task: r["error"] for task, r in found["checks"].items() if "error" in r}
    assert not wrong
    assert set(found["checks"]) == {
        "masks", "bits", "gradients float32", "graph float32", "two_runs float32", "files",
        "moves", "divergence", "mnist", *sanitize.TOOLS,
    }  # fmt: skip
    figures = found["checks"]["gradients float32"]
    assert 0 < figures["worst"] < 1e-5 and figures["with_equal_bits"] == figures["tensors"] == 6
    assert found["checks"]["graph float32"]["graphs"] == 2
    step = found["ours"][f"{CASE} float32"]
    assert step["graph"] and step["steps_per_call"] == 2 and step["median_s"] > 0
    kinds = {k["kind"]: k for k in step["kernels"]}
    assert sum(k["launches"] for k in step["kernels"]) == step["launches"]
    assert kinds["loss"]["bytes"] == 8 * 3 * 10 and kinds["weights and optimizer"]["flops"] > 0
    assert found["machine"]["command"] == "fastsnn bench gpu --against torch"
    (row,) = found["rows"]
    assert row["best_peer"] is None and row["tflops"] > 0
    text = (tmp_path / "gpu.txt").read_text()
    assert CASE in text and f"peers {CASE} float32 torch: not here" in text
    for part in ("gpu", "gpu-kernels"):
        assert CASE in tables.gpu(part, tmp_path) and "simulator" in tables.gpu(part, tmp_path)
    # A second call runs only what is missing.
    before = {**found["checks"], **found["ours"]}
    assert CliRunner().invoke(main, words).exit_code == 0
    again = json.loads((tmp_path / "gpu.json").read_text())
    assert {**again["checks"], **again["ours"]} == before


@pytest.mark.parametrize("mode", ["tf32", "bf16"])
def test_other_modes_are_checked(mode, monkeypatch):
    """Products rounded as the mode requires pass the check; others fail it."""
    found = check.perform(["gradients", mode], {"tiny": True})
    assert found["worst"] < 1e-6 < 1e-4 < found["from_exact"]
    other = {"tf32": "bf16", "bf16": "tf32"}[mode]
    trainer = networks.trainer
    for wrong in (other, "float32"):
        monkeypatch.setattr(networks, "trainer", lambda n, b, m="float32", wrong=wrong, **more:
                            trainer(n, b, wrong, **more))  # fmt: skip
        with pytest.raises(AssertionError, match="from rounded products"):
            check.perform(["gradients", mode], {"tiny": True})


def test_checks_find_errors(monkeypatch):
    masks = dropout.drop_mask
    monkeypatch.setattr(
        dropout, "drop_mask", lambda seed, step, *more: masks(seed, step + 1, *more)
    )
    with pytest.raises(AssertionError, match="other masks"):
        check.masks(True)
    with pytest.raises(AssertionError, match=r"other bits in 1 of 2: b"):
        check.same({"a": np.ones(1), "b": np.ones(1)}, {"a": np.ones(1), "b": np.zeros(1)}, "x")
    monkeypatch.setattr(gradients, "FLOAT32", 1e-9)
    with pytest.raises(AssertionError, match="relative error .* above 1e-09"):
        gradients.gradients(True, "float32")
    monkeypatch.setattr(device, "recorded", lambda launches: None)
    with pytest.raises(AssertionError, match="no step has become a graph"):
        check.graph(True, "float32")


def test_a_missing_description_is_no_failure(monkeypatch):
    def missing(command):
        raise ModuleNotFoundError("No module named 'rich'", name="rich")

    monkeypatch.setattr("fastsnn.machine.describe", missing)
    found = described(["bench", "gpu"])
    assert found["command"] == "fastsnn bench gpu" and found["missing"] == "rich"
    assert len(found["date"]) == 10


def test_the_command(tmp_path):
    words = "bench", "gpu", "--case", CASE, "--precision", "float32", "--seconds", 0.001
    path = tmp_path / "gpu.json"
    done = call(*words, "--json", path)
    assert done.exit_code == 0 and CASE in done.stdout, done.stderr
    found = json.loads(path.read_text())
    assert found["rows"][0]["case"] == CASE and "cpu" in found["machine"]
    assert CASE in tables.block("gpu", tmp_path)


def test_the_command_reports_a_failure(monkeypatch):
    def one(store, *_):
        store.keep("checks", ["masks"], {"error": "AssertionError: other masks"})

    monkeypatch.setattr(everything, "checks", one)
    monkeypatch.setattr(everything, "mnist", lambda *_: None)
    done = call("bench", "gpu", "--check", "--precision", "float32")
    assert done.exit_code == 1 and "1 of 1 checks failed" in done.stderr
    assert "WRONG" in done.stdout


def test_warming_measures_nothing():
    found = ours.perform(["warm", CASE, "float32"], {"seconds": 0})
    assert found == {"launches": ours.perform([CASE, "float32"], {"seconds": 0})["launches"]}


def test_the_work_of_the_sanitizer(capsys, monkeypatch):
    monkeypatch.setattr(device, "recording", True)  # `work` switches it off
    sanitize.work(["float32"], tiny=True)
    assert sanitize.DONE in capsys.readouterr().out


def test_a_network_of_everything_has_every_kind_of_node():
    kinds = {type(layer) for layer in networks.everything(True).layers}
    assert {fs.Dense, fs.SELU, fs.AlphaDropout, fs.BatchNorm, fs.LayerNorm, fs.Highway,
            fs.Residual, fs.Dropout, fs.ReLU, fs.Tanh} <= kinds  # fmt: skip
    assert results.rows({"ours": {}, "peers": {}}) == []
