"""Comparison with PyTorch: the same network, starting weights, batches and masks in both.

The reference is PyTorch in float64, whose rounding is negligible. The error of PyTorch in float32
against this reference is the yardstick for the error of fastsnn.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import fastsnn as fs
from fastsnn.machine import describe

from . import child, timing
from .case import CLASSES, Case
from .compare_twin import affine

TWIN = "fastsnn.bench.compare_twin"
ROUNDS = 3  # processes alternate, so that a drift of the machine affects all of them
BATCHES = 2  # used in turn, so that the losses decrease
LEARNING_RATE = {"sgd": 0.05, "adam": 3e-4}


def require() -> None:
    """Raise RuntimeError before anything is measured if PyTorch is missing."""
    if importlib.util.find_spec("torch") is None:
        raise RuntimeError("compare: PyTorch is not installed; pip install torch==2.13.0")


def compare(
    case: Case,
    threads: int,
    optimizer: str = "sgd",
    steps: int = 10,
    learning_rate: float | None = None,
    seconds: float = 2.0,
    seed: int = 0,
    compiled: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Return the result of `fastsnn compare`, ready for JSON. `seconds`: time spent per system."""
    learning_rate = LEARNING_RATE[optimizer] if learning_rate is None else learning_rate
    request = {
        "case": str(case), "optimizer": optimizer, "learning_rate": learning_rate, "steps": steps,
        "threads": threads, "seed": seed, "seconds": seconds / ROUNDS,
    }  # fmt: skip
    systems = ["fastsnn", "torch", *(["torch-compile"] if compiled else [])]
    with tempfile.TemporaryDirectory(prefix="fastsnn-compare-") as folder:
        request["folder"] = folder
        _write_inputs(Path(folder), case, seed)
        found = parity(request, report)
        measured = speed(request, systems, report)
    command = f"compare --case {case} --optimizer {optimizer} --steps {steps} --learning-rate "
    command += f"{learning_rate:g} --threads {threads} --seconds {seconds:g} --seed {seed}"
    result = {
        "case": str(case), "optimizer": optimizer, "learning_rate": learning_rate,
        "threads": threads, "seed": seed, "reference": "PyTorch in float64", **found,
        "systems": measured,
    }  # fmt: skip
    result["verdict"] = verdict(result)
    return result | {"machine": describe([command + " --compile" * compiled])}


def _write_inputs(folder, case, seed):
    """Write starting weights (names of a state_dict), x (batches, batch, inputs), y (batches,
    batch).
    """
    net = fs.mlp(case.inputs, CLASSES, case.layers, case.width, case.rate, seed)
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((BATCHES, case.batch, case.inputs), dtype=np.float32)
    y = rng.integers(0, CLASSES, (BATCHES, case.batch))
    np.savez(folder / "inputs.npz", x=x, y=y, **net.state_dict())


def parity(request: dict[str, Any], report: Callable[[str], None]) -> dict[str, Any]:
    """Return the losses of each step, and differences, mean and variance of each layer."""
    arrays = {}
    for system in ("fastsnn", "torch"):
        report(f"{request['steps']} steps: {system}")
        child.run(TWIN, request | {"what": "parity", "system": system}, request["threads"])
        with np.load(Path(request["folder"]) / f"{system}.npz", allow_pickle=False) as file:
            arrays[system] = {name: file[name] for name in file.files}
    ours, theirs = arrays["fastsnn"], arrays["torch"]
    _, b = affine(Case.parse(request["case"]).rate)

    def difference(name):
        single = theirs[f"float32.{name}"]
        return {
            "largest": float(np.abs(ours[name] - theirs[name]).max()),
            "relative": relative(ours[name], theirs[name]),
            "relative_of_torch_float32": relative(single, theirs[name]),
        }

    weights = [n.removesuffix(".weight") for n in theirs if n.startswith("gradient.")]
    weights = [n for n in weights if not n.endswith(".bias")]
    layers = []
    for k, weight in enumerate(weights, 1):
        last = k == len(weights)
        layer = {
            "layer": "output" if last else k,
            "activations": difference("outputs" if last else f"activation.{k}"),
            "weight_gradients": difference(f"{weight}.weight"),
            "bias_gradients": difference(f"{weight}.bias"),
        }
        if not last:
            layer["other_side_of_0"] = other_side(ours, theirs, k, b)
            for system, found in arrays.items():
                mean, variance = found["moments"][:, k - 1].tolist()
                layer[f"after_dropout_{system}"] = {"mean": mean, "variance": variance}
        layers.append(layer)
    losses = [
        {
            "step": step, "fastsnn": float(a), "torch": float(b), "torch_float32": float(c),
            "relative": relative(a, b), "relative_of_torch_float32": relative(c, b),
        }
        for step, (a, b, c) in enumerate(
            zip(ours["losses"], theirs["losses"], theirs["float32.losses"], strict=True)
        )
    ]  # fmt: skip
    return {"losses": losses, "layers": layers}


def other_side(ours, theirs, k: int, b: float) -> dict[str, int]:
    """Count inputs of layer k's SELU whose sign differs from float64.

    The slope differs there, and so do the gradients of this layer and of earlier layers.
    """
    side = theirs[f"side.{k}"]
    signs = {
        "fastsnn": np.sign(ours[f"activation.{k}"] - np.float32(b)),  # SELU keeps the sign
        "torch_float32": theirs[f"float32.side.{k}"],
    }
    return {name: int(np.sum((s > 0) != (side > 0), where=side != 0)) for name, s in signs.items()}


def relative(found, reference) -> float:
    """Return the largest difference relative to the largest magnitude of the reference."""
    largest = float(np.abs(reference).max())
    return float(np.abs(found - reference).max()) / (largest or 1.0)


def speed(
    request: dict[str, Any], systems: list[str], report: Callable[[str], None]
) -> dict[str, dict[str, float]]:
    """Return the time of a step in seconds and the peak memory in MiB of each system."""
    times: dict[str, list[float]] = {system: [] for system in systems}
    memory = dict.fromkeys(systems, 0.0)
    for number in range(ROUNDS):
        for system in systems:
            report(f"time of a step: {system}, round {number + 1} of {ROUNDS}")
            timed = request | {"what": "time", "system": system}
            found = child.run(TWIN, timed, request["threads"])
            times[system] += found["times"]
            memory[system] = max(memory[system], found["peak_memory_mib"])
    return {s: timing.spread(times[s]) | {"peak_memory_mib": memory[s]} for s in systems}


def worst(result: dict[str, Any], *names: str, of: str = "relative") -> tuple[float, str]:
    """Return the largest relative difference of these tensors, and a description of its layer."""
    largest, layer = max(
        ((layer[name][of], layer["layer"]) for layer in result["layers"] for name in names),
        key=lambda pair: pair[0],
    )
    return largest, "output" if layer == "output" else f"layer {layer}"


def verdict(result: dict[str, Any]) -> str:
    parts = []
    for what, names in (
        ("activations", ["activations"]), ("gradients", ["weight_gradients", "bias_gradients"]),
    ):  # fmt: skip
        largest, place = worst(result, *names)
        single, _ = worst(result, *names, of="relative_of_torch_float32")
        parts.append(f"{what} {largest:.1e} ({place}; PyTorch's own float32: {single:.1e})")
    loss = max(step["relative"] for step in result["losses"])
    ours, theirs = result["systems"]["fastsnn"], result["systems"]["torch"]
    return (
        f"largest relative difference: {', '.join(parts)}; losses agree to {loss:.1e}; fastsnn "
        f"takes {ours['median_s'] / theirs['median_s']:.2f} of PyTorch's time and "
        f"{ours['peak_memory_mib'] / theirs['peak_memory_mib']:.2f} of its memory"
    )
