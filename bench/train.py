"""MNIST from process start to finish: seconds, memory and accuracy, here and in PyTorch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

from . import child, versus

TORCH = "fastsnn.bench.train_torch"
MODES = {"torch": "eager", "torch-compile": "compile"}


def measure(
    layers: int, epochs: int | None, peers: tuple[str, ...], threads: int, report: versus.Report
) -> list[dict[str, Any]]:
    """Return a row for each system. Seconds are those of the whole process."""
    versus.require(peers, tuple(MODES))
    report("fastsnn")
    rows = [_fastsnn(layers, epochs, threads)]
    for name in peers:
        report(name)
        request = {
            "mode": MODES[name], "threads": threads, "layers": layers, "epochs": rows[0]["epochs"],
        }  # fmt: skip
        start = time.perf_counter()
        found = child.run(TORCH, request, threads)
        rows.append(
            {"system": name, "seconds": time.perf_counter() - start,
             "peak_memory_mib": found["peak_memory_mib"], "test_accuracy": found["test_accuracy"],
             "epochs": rows[0]["epochs"]}
        )  # fmt: skip
    for row in rows[1:]:
        row["speedup"] = row["seconds"] / rows[0]["seconds"]
        row["memory"] = rows[0]["peak_memory_mib"] / row["peak_memory_mib"]
    return rows


def _fastsnn(layers, epochs, threads):
    arguments = ["train", "--data", "mnist", "--layers", layers, "--threads", threads, "--json"]
    with tempfile.TemporaryDirectory() as folder:
        arguments += ["--out", os.path.join(folder, "run")]
        arguments += [] if epochs is None else ["--epochs", epochs]
        start = time.perf_counter()
        command = [sys.executable, "-m", "fastsnn", *map(str, arguments)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as run:
            printed = run.stdout.read()
            _, status, used = os.wait4(run.pid, 0)  # memory of this process alone
            run.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
    if run.returncode:
        raise RuntimeError(f"fastsnn {' '.join(map(str, arguments))}: exit code {run.returncode}")
    result, memory = json.loads(printed), used.ru_maxrss / 1024
    if memory <= child.peak_memory_mib():  # on Linux a child's figure starts at its parent's
        raise RuntimeError("bench train: this process uses more memory than the measured one")
    return {
        "system": "fastsnn", "seconds": seconds, "peak_memory_mib": memory,
        "test_accuracy": result["test_accuracy"], "epochs": result["epochs"],
    }  # fmt: skip
