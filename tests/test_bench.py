"""The benchmarks run and their figures are well-formed. Times are not checked."""

import json
import math
import struct
from pathlib import Path

import numpy as np
import oracle
import pytest
from commands import call, good

import fastsnn.bench
from fastsnn.bench import child, kernels, peak, reference, scaling, show, systems, tables, versus
from fastsnn.bench import command as commands
from fastsnn.bench.case import Case
from fastsnn.kernels.cpu.caches import cache_bytes, depth_of, rows_of

ROOT = Path(__file__).resolve().parents[1]
QUICK = ("--seconds", "0.01", "--rounds", 1)
SMALL = ("--case", "2x16x20x0.1")


def is_picture(path):
    data = path.read_bytes()
    width, height = struct.unpack(">II", data[16:24])
    return data[:8] == b"\x89PNG\r\n\x1a\n" and min(width, height) > 300


def written(path):
    """Return the JSON of a command; require finite numbers, a time and a machine."""
    found = json.loads(path.read_text(), parse_constant=lambda word: 1 / 0)
    machine = found["machine"]
    assert {"cpu", "date", "command", "versions", "processors"} <= machine.keys()
    assert {"fastsnn", "numba", "numpy", "python"} <= machine["versions"].keys()
    return found


def assert_figures(figures):
    assert 0 < figures["p10_s"] <= figures["median_s"] <= figures["p90_s"]
    assert figures["calls"] >= 5 and figures["gflops"] > 0 and figures["of_peak"] > 0
    assert figures["peak_memory_mib"] > 10


def test_a_case():
    case = Case.parse("3x5x7x0.25x11")
    assert (case.layers, case.width, case.batch, case.rate, case.inputs) == (3, 5, 7, 0.25, 11)
    assert str(case) == "3x5x7x0.25x11" and str(Case.parse("3x5x7")) == "3x5x7x0"
    assert case.sizes == [11, 5, 5, 5, 10]
    forward = 11 * 5 + 5 * 5 + 5 * 5 + 5 * 10
    assert case.predict_flops() == 2 * 7 * forward
    assert case.step_flops() == 2 * 7 * (forward + forward + forward - 11 * 5)
    assert case.weight_bytes() == 4 * (forward + 5 + 5 + 5 + 10)


@pytest.mark.parametrize("text", ["", "3", "3x4", "axbxc", "0x4x4", "3x4x4x1", "3x4x4x0.1x0", "x"])
def test_no_case(text):
    result = call("bench", "step", "--case", text)
    assert result.exit_code == 2 and result.stderr.count("\n") == 1


def test_step(tmp_path):
    path = tmp_path / "step.json"
    text = good("bench", "step", *SMALL, *QUICK, "--optimizer", "both", "--json", path)
    assert "2x16x20x0.1 adam" in text
    found = written(path)
    assert [row["optimizer"] for row in found["rows"]] == ["sgd", "adam"]
    for row in found["rows"]:
        assert_figures(row["systems"]["fastsnn"])
        assert row["peak_gflops"] > 0 and row["best_peer"] is None


def test_predict(tmp_path):
    path = tmp_path / "predict.json"
    good("bench", "predict", "--case", "2x16x1x0x8", *QUICK, "--json", path)
    (row,) = written(path)["rows"]
    assert_figures(row["systems"]["fastsnn"])
    assert row["systems"]["fastsnn"]["of_memory"] > 0


def pytorch():
    reason = "PyTorch 2.13.0 is not installed (pip install torch==2.13.0)"
    return pytest.importorskip("torch", reason=reason)


@pytest.mark.torch
def test_against_pytorch(tmp_path):
    pytorch()
    path = tmp_path / "step.json"
    good("bench", "step", *SMALL, *QUICK, "--against", "torch", "--json", path)
    (row,) = written(path)["rows"]
    assert row["best_peer"] == "torch"
    ours, theirs = (row["systems"][name]["median_s"] for name in ("fastsnn", "torch"))
    assert math.isclose(row["speedup"], theirs / ours)
    assert "torch" in json.loads(path.read_text())["machine"]["versions"]
    grid = tmp_path / "grid.json"
    good("bench", "grid", "--case", "1x16x4", *QUICK, "--json", grid)
    assert [row["speedup"] > 0 for row in written(grid)["rows"]] == [True]


@pytest.mark.torch
def test_kernels_and_scaling_against_pytorch(tmp_path, monkeypatch):
    pytorch()
    monkeypatch.setattr(kernels, "WIDTHS", (64,))
    monkeypatch.setattr(kernels, "ELEMENTS", 1 << 10)
    path = tmp_path / "kernels.json"
    good("bench", "kernels", "--seconds", "0.001", "--against", "torch", "--json", path)
    rows = written(path)["rows"]
    named = [row["kernel"] for row in rows if row["peers"].get("torch", 0) > 0]
    assert len(named) == 9  # six of a dense layer, two exponentials, one prediction
    monkeypatch.setattr(scaling, "DEPTHS", (1, 2))
    monkeypatch.setattr(scaling, "BATCHES", (4, 8))
    monkeypatch.setattr(scaling, "STEPS", 2)
    path = tmp_path / "scaling.json"
    words = ("--threads", "1", "--seconds", "0.01", "--against", "torch", "--json", path)
    assert "PyTorch" in good("bench", "scaling", *words)
    found = written(path)
    assert all(len(found[name]["peers"]["torch"]) == 2 for name in ("depth", "batch"))


@pytest.mark.torch
@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_the_twin_is_the_same_network(rate):
    """Modules and the number of parameters are equal, so the same work is timed."""
    torch = pytorch()
    case = Case(3, 8, 4, rate, 5)
    twin, ours = systems.torch_network(case, 1), systems.network(case)
    names = [type(module).__name__ for module in twin if not isinstance(module, torch.nn.Linear)]
    assert names == [
        type(layer).__name__ for layer in ours.layers if hasattr(torch.nn, type(layer).__name__)
    ]
    shapes = {name: tuple(value.shape) for name, value in twin.state_dict().items()}
    assert shapes == {name: value.shape for name, value in ours.state_dict().items()}


def test_scaling(tmp_path, monkeypatch):
    monkeypatch.setattr(scaling, "DEPTHS", (1, 2))
    monkeypatch.setattr(scaling, "BATCHES", (4, 8))
    monkeypatch.setattr(scaling, "STEPS", 2)
    path = tmp_path / "scaling.json"
    text = good("bench", "scaling", "--threads", "1,2", "--seconds", "0.01", "--json", path)
    found = written(path)
    assert found["depth"]["sizes"] == [1, 2] and "trainers" in text
    assert found["many"]["trainers"] == 2 and found["many"]["efficiency"] > 0
    assert [row["threads"] for row in found["threads"]] == [[1, 2]] * 3


def test_a_line_is_fitted():
    found = scaling.fit([8, 16, 32], [0.5 + 3 * n for n in (8, 16, 32)])
    assert math.isclose(found["start_s"], 0.5) and math.isclose(found["slope_s"], 3)
    assert found["worst_deviation"] < 1e-12
    assert math.isclose(scaling.fit([2, 4], [4, 16])["exponent"], 2)
    assert scaling.fit([1, 2, 4], [1, 4, 16])["worst_deviation"] > 0.1


def test_kernels(tmp_path, monkeypatch):
    monkeypatch.setattr(kernels, "WIDTHS", (64, 100))
    path = tmp_path / "kernels.json"
    text = good("bench", "kernels", "--seconds", "0.001", "--json", path)
    rows = written(path)["rows"]
    for row in rows:
        assert row["kernel"] in text and row["median_s"] > 0 and row["share"] > 0
        assert (row["gflops"] is None) != (row["gb_s"] is None)
        # Products of at most 128 terms, exponentials of 2 ulp: a few roundings of 6e-8.
        assert 0 <= row["error"] < 5e-6, row
    whole = {row["kernel"]: row["error"] for row in rows}
    assert whole["dropout mask (Philox, 2 bytes an element)"] == 0  # integers: no error at all
    assert whole["rows to panels, both layouts"] == whole["check of a batch"] == 0


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "sigmoid_cross_entropy", "mse"])
def test_the_reference_is_the_oracle(loss):
    """Two independently written references agree: that of the benchmarks, and that of the tests."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(5, 4)) * 3
    y = np.array([0, 1, 2, 3, 0])
    if loss != "softmax_cross_entropy":
        y = rng.integers(0, 2, z.shape).astype(float)
    wanted, gradient = getattr(oracle, loss)(z, y)[:2]
    value, dz = reference.losses(loss, z, y)
    assert math.isclose(wanted, value, rel_tol=1e-12)
    np.testing.assert_allclose(dz, gradient, rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(reference.selu(z), oracle.activate(z, "selu")[0], rtol=1e-12)


def test_parts(tmp_path):
    path = tmp_path / "parts.json"
    good("bench", "parts", *SMALL, "--seconds", "0.01", "--json", path)
    (row,) = written(path)["rows"]
    assert math.isclose(sum(row["parts"].values()), row["sum_s"])
    assert {"loss", "input gradients", "weight gradients + SGD"} <= row["parts"].keys()


def test_pictures(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    for words in (
        ("step", *SMALL, *QUICK), ("predict", *SMALL, *QUICK), ("kernels", "--seconds", "0.001"),
    ):  # fmt: skip
        monkeypatch.setattr(kernels, "WIDTHS", (64,))
        path = tmp_path / f"{words[0]}.png"
        good("bench", *words, "--plot", path)
        assert is_picture(path)


@pytest.mark.parametrize("peer", ["torch", "torch-compile", "jax"])
def test_a_peer_that_is_not_installed(monkeypatch, peer):
    monkeypatch.setattr(versus.importlib.util, "find_spec", lambda name: None)
    result = call("bench", "step", *SMALL, "--against", peer)
    assert result.exit_code == 1
    assert result.stderr.strip().endswith(f"pip install {systems.PACKAGES[peer]}")


@pytest.mark.parametrize(
    "words, part",
    [
        (("step", "--against", "caffe"), "one of torch, torch-compile, jax is required"),
        (("predict", "--against", "jax"), "one of torch, onnxruntime is required"),
        (("step", "--json", "nowhere/x.json"), "nowhere/x.json: it cannot be written"),
        (("scaling", "--threads", "1,a"), "numbers are required"),
    ],
)
def test_wrong_turns(words, part, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call("bench", *words)
    assert result.exit_code in (1, 2) and part in result.stderr
    assert result.stderr.count("\n") == 1 and not result.stdout


def test_no_picture_without_matplotlib(monkeypatch, tmp_path):
    monkeypatch.setattr(versus.importlib.util, "find_spec", lambda name: None)
    result = call("bench", "kernels", "--plot", tmp_path / "x.png")
    assert result.exit_code == 1 and "pip install '.[plot]'" in result.stderr


def test_a_failing_child_says_why():
    with pytest.raises(RuntimeError, match="fastsnn.bench.worker.*KeyError"):
        child.run("fastsnn.bench.worker", {"what": "step"}, 1)


def test_peaks():
    assert peak.peak_gflops(1, 1) > 0.1
    assert peak.read_gb_s(1 << 16, 1, 1) > 0.1


def test_blocks_fit_the_caches(tmp_path):
    first, second = cache_bytes()
    for terms in (1, 3, 100, 256, 784, 1024, 5000):
        depth = depth_of(terms, 16, 4)
        assert depth % 4 == 0 and depth * 16 * 4 <= max(first // 2, 256)
        assert rows_of(terms, 6) % 6 == 0
        assert rows_of(terms, 6) == 6 or rows_of(terms, 6) * terms * 4 <= second // 4
    assert cache_bytes(tmp_path) == (32 << 10, 256 << 10)  # a system that reports no sizes
    caches = (
        (1, "Instruction", "64K"),
        (1, "Data", "48K"),
        (2, "Unified", "2048K"),
        (3, "Unified", "32M"),
    )
    for index, (level, kind, size) in enumerate(caches):
        folder = tmp_path / f"index{index}"
        folder.mkdir()
        for name, text in (("level", level), ("type", kind), ("size", size)):
            (folder / name).write_text(f"{text}\n")
    cache_bytes.cache_clear()
    assert cache_bytes(tmp_path) == (48 << 10, 2 << 20)


def test_columns():
    text = show.columns([["case", "time"], ["a", "1 ms"], ["longer", "22 ms"]])
    assert text == "case     time\na        1 ms\nlonger  22 ms"
    assert [show.duration(s) for s in (2.5, 1.5e-3, 2e-6)] == ["2.5 s", "1.5 ms", "2 us"]


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md"])
def test_documents_show_the_stored_results(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "<!-- " in text and tables.filled(ROOT / name) == text


def test_every_measuring_command_explains_itself():
    for command in commands.bench.commands.values():
        text = " ".join(good("bench", command.name, "--help").split())
        for option in command.params:
            assert option.help and option.show_default, option.name
            assert "[default:" in text


def test_bench_is_installed():
    assert Path(fastsnn.bench.__file__).name == "__init__.py"
