"""The checks and timings of a GPU: all of them in the simulator, and their runner and results."""

import importlib.util
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from commands import call

import fastsnn as fs
from fastsnn.bench import tables
from fastsnn.bench.case import Case
from fastsnn.bench.gpu import (
    cases,
    emulate,
    everything,
    gradients,
    networks,
    peers,
    results,
    runner,
    sanitize,
)

TESTS = Path(__file__).parent
NUMBA_CUDA = importlib.util.find_spec("numba_cuda") is not None


@pytest.mark.skipif(not NUMBA_CUDA, reason="numba-cuda is not installed: pip install '.[cuda13]'")
def test_in_the_simulator():
    """All tests of cuda_bench.py pass in the simulator."""
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider",
         str(TESTS / "cuda_bench.py")],
        cwd=TESTS.parent, text=True, capture_output=True,
        env=os.environ | {"NUMBA_ENABLE_CUDASIM": "1"},
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-2000:]
    assert " passed" in run.stdout


# Tasks in separate processes.


@pytest.fixture
def tasks(monkeypatch):
    """Run tasks of gpu_tasks.py; return [(word, result)]."""
    monkeypatch.setenv("PYTHONPATH", str(TESTS))

    def run(*words, **more):
        kept = []
        runner.run(
            "gpu_tasks", [[word] for word in words], {"given": 7},
            lambda task, result: kept.append((*task, result)), **more,
        )  # fmt: skip
        return kept

    return run


def test_tasks_share_a_process_until_one_fails(tasks):
    kept = tasks("a", "talks", "fails", "b", "dies", "c")
    assert [word for word, _ in kept] == ["a", "talks", "fails", "b", "dies", "c"]
    found = dict(kept)
    assert found["fails"] == {"error": "ValueError: a line and another"}
    assert found["dies"]["error"] == "died, exit code 11: Segmentation fault"
    pids = [found[word]["pid"] for word in ("a", "talks", "b", "c")]
    assert pids[0] == pids[1] and len(set(pids)) == 3
    assert found["c"]["seen"] == 7


def test_a_task_that_hangs(tasks):
    start = time.monotonic()
    kept = tasks("hangs", "a", most=10)
    assert kept[0] == ("hangs", {"error": "took more than 10 s"}) and kept[1][1]["task"] == "a"
    assert time.monotonic() - start < 60


def test_the_end_of_the_time(tasks):
    """Tasks that are not finished then are left out: another call can run them."""
    kept = tasks("a", "hangs", "b", until=time.monotonic() + 12)
    assert [word for word, _ in kept] == ["a"]
    assert tasks("a", until=time.monotonic() - 1) == []


def test_a_worker_that_does_not_start():
    kept = []
    runner.run("no_such_module", [["a"], ["b"]], {}, lambda *one: kept.append(one))
    assert [task for task, _ in kept] == [["a"], ["b"]]
    assert all("did not start" in result["error"] for _, result in kept)
    assert "No module named" in kept[0][1]["error"]


def test_warming_compiles_every_mode_and_compiled_peer(monkeypatch):
    """Kernels of each arithmetic, and the peers that compile; no result is kept."""
    started, given = [], ("torch-graphs", "torch-whole-graph", "torch")
    monkeypatch.setattr(runner, "run", lambda module, tasks, *more: started.append((module, tasks)))
    everything.Warming(["a", "b"], ("float32", "bf16"), given, 0.0).end()
    modes = [[["warm", case, mode] for case in "ab"] for mode in ("float32", "bf16")]
    graphs = [[*task, "torch-graphs"] for tasks in modes for task in tasks]
    ours, peers = everything.WORKERS["ours"], everything.WORKERS["peers"]
    expected = [*((ours, tasks) for tasks in modes), (peers, graphs)]
    assert sorted(started) == sorted(expected)


# Rows, tables and text from the results.

CASE = "2x64x128x0.05"


def found():
    kernel = {"kind": "forward", "launches": 3, "median_s": 1e-4, "flops": 2e9, "bytes": 1e6}
    other = {"kind": "other", "launches": 1, "median_s": 1e-6, "flops": 0, "bytes": 0}
    ours = {"median_s": 1e-3, "kernels": [kernel, other]}
    return {
        "checks": {"masks": {"elements": 5}, "mnist": {"left_out": "no data"},
                   "bits": {"error": "other bits"}},
        "ours": {"machine": {"gpu": "G", "driver": "13.0", "versions": {"numba-cuda": "1"}},
                 f"{CASE} float32": ours, f"{CASE} tf32": {"error": "no"}},
        "peers": {f"{CASE} float32 torch": {"median_s": 4e-3},
                  f"{CASE} float32 torch-graphs": {"median_s": 2e-3},
                  f"{CASE} float32 torch-compile": {"error": "failed"},
                  "product float32": {"tflops": 40.0}, "copy": {"gb_s": 2000.0}},
    }  # fmt: skip


def test_rows():
    (row,) = results.rows(found())
    assert row["best_peer"] == "torch-graphs" and row["speedup"] == 2
    assert row["tflops"] == pytest.approx(Case.parse(CASE).step_flops() / 1e-3 / 1e12)
    assert row["of_product"] == pytest.approx(row["tflops"] / 40)
    # 2e9 operations take 50 us at 40 TFLOP/s, a million bytes half a us at 2 TB/s.
    assert row["kernels"][0]["share"] == pytest.approx(0.5)
    assert row["kernels"][1]["share"] is None


def test_text():
    text = results.text(found())
    for words in ("bits", "WRONG", "left out", "good", "2.00", "failed:", "checks bits: other bits",
                  f"ours {CASE} tf32: no", "G, driver for CUDA 13.0, numba-cuda 1.",
                  "float32 40 TFLOP/s, copy 2000 GB/s"):  # fmt: skip
        assert words in text, words
    alone = found() | {"peers": {}}
    (row,) = results.rows(alone)
    assert row["speedup"] is None and row["of_product"] is None
    assert results.steps_table(alone)[1][-1] == "-"


def test_a_second_call_runs_missing_tasks(tmp_path):
    path = tmp_path / "gpu.json"
    store = results.Store(path)
    store.keep("checks", ["a", "b"], {})
    store.keep("checks", ["c"], {"error": "x"})
    again = results.Store(path)
    assert again.missing("checks", [["a", "b"], ["c"], ["d"]]) == [["c"], ["d"]]
    assert again.end()["not_done"] == ["checks d"]
    assert "not done:\nchecks d" in results.text(json.loads(path.read_text()))


def test_tables_of_the_documents(tmp_path):
    """Without figures they state that."""
    assert tables.block("gpu", tmp_path) == "Not yet measured on hardware."
    assert tables.block("gpu-kernels", tmp_path) == "Not yet measured on hardware."
    machine = {"command": "fastsnn bench gpu --json x.json", "date": "2026-01-02"}
    (tmp_path / "gpu.json").write_text(json.dumps(found() | {"machine": machine}))
    text = tables.block("gpu", tmp_path)
    assert f"| {CASE} | float32 |" in text and "`fastsnn bench gpu`, 2026-01-02" in text
    assert "| forward | 3 |" in tables.block("gpu-kernels", tmp_path)


def test_work_is_counted():
    case = Case.parse("3x5x7x0x11")
    flops = [cases.work_of(kind, case)[0] for kind in
             ("forward", "backward", "weights and optimizer")]  # fmt: skip
    assert sum(flops) == case.step_flops()
    assert cases.work_of("narrow", case)[0] == flops[0] + flops[1]
    one = Case.parse("1x5x7x0x11")  # 11 -> 5 -> 10
    assert cases.work_of("forward", one)[1] == 4 * (7 * (11 + 5) + 5 * 11 + 10 * 5 + 7 * (5 + 10))
    assert cases.work_of("backward", one)[1] == 4 * (7 * (5 + 10) + 10 * 5 + 2 * 7 * 5)
    assert cases.work_of("loss", one) == (0, 8 * 7 * 10)
    assert cases.work_of("something", one) == (0, 0)
    assert cases.kind_of("fastsnn_weights_sum_64x64_adam") == "weights and optimizer"
    assert cases.kind_of("fastsnn_gather") == "other"
    assert cases.steps_of(Case.parse("1x1x8192")) == 8 and cases.steps_of(one) == 64


# References for rounded products.


def test_the_emulated_gradients_are_the_cpu_s():
    shape = networks.SHAPES[3]
    x, y = networks.rows(shape[2], shape[3], shape[4])
    net = networks.plain(shape)
    cpu = networks.trainer(net, "cpu").gradients(x, y)
    given = net, networks.RATE, x, y
    assert gradients.relative(emulate.gradients(*given, "float32", networks.SEED), cpu) < 1e-5
    rough = {mode: gradients.relative(emulate.gradients(*given, mode, networks.SEED), cpu)
             for mode in emulate.ROUNDOFF}  # fmt: skip
    assert 1e-3 < rough["tf32"] < 0.02 and 2 * rough["tf32"] < rough["bf16"] < 0.08
    assert gradients.relative(emulate.gradients(*given, "float32", networks.SEED + 1), cpu) > 0.1


def moved(make, mode, seed):
    """Return the change of gradients when weights and features have errors up to the unit
    roundoff of a mode; on the CPU.
    """
    rng, made = np.random.default_rng(seed), []
    x, y = networks.rows(200, networks.INPUTS, networks.OUTPUTS)
    for u in (0.0, emulate.ROUNDOFF[mode]):

        def off(values, u=u):
            return (values * (1 + u * rng.uniform(-1, 1, values.shape))).astype(np.float32)

        net = make()
        state = net.state_dict()
        net.load_state_dict(
            {name: off(v) if ".weight" in name and v.ndim == 2 else v for name, v in state.items()}
        )
        made.append(networks.trainer(net, "cpu").gradients(off(x), y))
    for one in made:
        one.pop(networks.NO_GRADIENT)
    return gradients.relative(made[1], made[0], gradients.root_mean_square(made[0]))


def smooth():
    """Return the same network without slopes that jump."""
    layers = [
        fs.Dense(29, weight_norm=True), fs.LayerNorm(), fs.Tanh(), fs.Dense(37), fs.Tanh(),
        fs.Dense(19), fs.BatchNorm(), fs.Tanh(), fs.Dropout(0.1),
        fs.Residual([fs.Dense(21), fs.Tanh(), fs.Dense(19)]), fs.Tanh(), fs.Dense(networks.OUTPUTS),
    ]  # fmt: skip
    return fs.Network(layers, networks.INPUTS, seed=3)


@pytest.mark.parametrize("mode", emulate.ROUNDOFF)
def test_errors_of_gradients_are_within_their_bound(mode):
    """If slopes jump, errors exceed any multiple of the roundoff that smooth networks need,
    since some units change their side.
    """
    depth, n = networks.DEPTH, 200
    kinked, plain = (gradients.loose(mode, depth, k, n) for k in (networks.KINKED, ()))
    errors = [moved(lambda: networks.everything(False), mode, seed) for seed in range(12)]
    assert plain < max(errors) < 0.8 * kinked
    assert max(moved(smooth, mode, seed) for seed in range(3)) < 0.5 * plain < 0.03


@pytest.mark.parametrize("mode, digits", [("tf32", 10), ("bf16", 7)])
def test_rounding(mode, digits):
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    step = 2.0 ** (np.floor(np.log2(np.abs(x.astype(np.float64)))) - digits)
    rounded = emulate.rounded(x, mode)
    assert np.array_equal(rounded % step, np.zeros(1000))
    assert (np.abs(rounded - x) <= step / 2).all() and (rounded != x).mean() > 0.9
    tie = np.float32([1 + 2.0 ** -(digits + 1), -1 - 2.0 ** -(digits + 1)])
    to = 1 + 2.0**-digits if mode == "tf32" else 1
    assert emulate.rounded(tie, mode).tolist() == [to, -to]


# External programs.


def program(folder, text):
    path = folder / sanitize.PROGRAM
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_the_sanitizer(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    left_out = {"left_out": "compute-sanitizer is not installed"}
    assert sanitize.run("memcheck", ["float32"], 30) == left_out
    good = f"print({sanitize.DONE!r})\nprint('========= ERROR SUMMARY: 0 errors')\n"
    program(tmp_path, good)
    assert sanitize.run("memcheck", ["float32"], 30) == {"summary": "ERROR SUMMARY: 0 errors"}
    program(tmp_path, f"import sys\n{good}print('========= Invalid __global__ read')\nsys.exit(9)")
    error = sanitize.run("memcheck", ["float32"], 30)["error"]
    assert "exit code 9" in error and "Invalid __global__ read" in error
    program(tmp_path, "print('========= ERROR SUMMARY: 0 errors')")  # it ran no step
    assert "error" in sanitize.run("memcheck", ["float32"], 30)
    program(tmp_path, "import time\ntime.sleep(60)")
    assert "took more than" in sanitize.run("memcheck", ["float32"], 0.5)["error"]


def test_an_unknown_peer_is_refused_in_one_line():
    result = call("bench", "gpu", "--against", "jax")
    assert result.exit_code != 0 and len(result.stderr.strip().splitlines()) == 1


@pytest.mark.torch
def test_pytorch_is_measured(monkeypatch):
    """PyTorch is measured as on a GPU, except for torch.compile and CUDA graphs."""
    pytest.importorskip("torch")
    monkeypatch.setattr(cases, "STEPS", 2)
    request = {"seconds": 0.001}
    for mode in cases.MODES:
        for system in ("torch", "torch-whole-graph"):
            step = peers.perform(["2x8x4x0.1x5", mode, system], request)
            assert step["median_s"] > 0 and step["steps_per_call"] == 2
        assert peers.perform(["product", mode], request)["tflops"] > 0
    assert peers.perform(["copy"], request)["gb_s"] > 0
    assert peers.perform(["warm", "2x8x4x0.1x5", "float32", "torch"], request) == {}
