"""Results of the checks and timings on a GPU, stored after each task; rows and tables from them.

A result file holds {"checks": ..., "ours": ..., "peers": ...}. Each maps a task, its words joined
by spaces, to the answer of its worker.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from fastsnn.storage import files

from .. import show
from ..case import Case
from .cases import PEERS

Found = dict[str, Any]
NAMES = {
    "torch-whole-graph": "PyTorch, one CUDA graph",
    "torch-whole-graph-compile": "torch.compile, one CUDA graph",
    "torch-graphs": "torch.compile, CUDA graphs", "torch-compile": "torch.compile",
    "torch": "PyTorch",
}  # fmt: skip


class Store:
    """Results in a file. Stored results are kept, except failures. Thread-safe."""

    def __init__(self, path: Path | None):
        self.path, self.planned, self._lock = path, [], threading.RLock()
        self.found: Found = {"what": "gpu", "checks": {}, "ours": {}, "peers": {}}
        if path is not None and path.exists():
            self.found |= json.loads(path.read_text())

    def missing(self, part: str, tasks: list[list[str]]) -> list[list[str]]:
        """Return the tasks without a result, failed ones included; record all as planned."""
        known = self.found[part]
        self.planned += [(part, " ".join(task)) for task in tasks]
        return [t for t in tasks if "error" in known.get(" ".join(t), {"error": "not there"})]

    def keep(self, part: str, task: list[str], result: dict) -> None:
        with self._lock:
            self.found[part][" ".join(task)] = result
            self.write()

    def end(self) -> Found:
        """Add the rows, and the list of planned results that are missing."""
        left = [f"{part} {task}" for part, task in self.planned if task not in self.found[part]]
        self.found |= {"rows": rows(self.found), "not_done": left}
        self.write()
        return self.found

    def write(self) -> None:
        if self.path is not None:
            files.replace(self.path, f"{json.dumps(self.found, indent=1)}\n".encode())


def good(found: Found, part: str, *task: str) -> dict | None:
    """Return the result of a task, or None if it is missing, failed or left out."""
    result = found[part].get(" ".join(task))
    return result if result and "error" not in result and "left_out" not in result else None


def rows(found: Found) -> list[Found]:
    """Return a row for each measured case and mode, with figures of the peers and the ceilings."""
    made = []
    copy = good(found, "peers", "copy")
    for task in found["ours"]:
        ours = good(found, "ours", task)
        if not ours or "kernels" not in ours:
            continue
        case_text, mode = task.split()
        case = Case.parse(case_text)
        product = good(found, "peers", "product", mode)
        peers = {n: p for n in PEERS if (p := good(found, "peers", case_text, mode, n))}
        best = min(peers, key=lambda name: peers[name]["median_s"], default=None)
        row: Found = {"case": case_text, "mode": mode, "best_peer": best}
        row["systems"] = {"fastsnn": ours, **peers}
        row["tflops"] = case.step_flops() / ours["median_s"] / 1e12
        row["of_product"] = product and row["tflops"] / product["tflops"]
        row["speedup"] = best and peers[best]["median_s"] / ours["median_s"]
        row["kernels"] = [
            kernel | {"share": share(kernel, product, copy)} for kernel in ours["kernels"]
        ]
        made.append(row)
    return made


def share(kernel: Found, product: Found | None, copy: Found | None) -> float | None:
    """Return the share of the ceiling that the kernels of a kind reach.

    The time that all their products, or all their bytes, need at the speed of the machine,
    whichever is longer, divided by their measured time.
    """
    if not product or not copy or not kernel["bytes"]:
        return None
    least = max(kernel["flops"] / product["tflops"] / 1e12, kernel["bytes"] / copy["gb_s"] / 1e9)
    return least / kernel["median_s"]


def _or_dash(value, write):
    return "-" if value is None else write(value)


def steps_table(found: Found) -> list[list[str]]:
    head = ["case", "arithmetic", "fastsnn", "TFLOP/s", "of product"]
    table = [[*head, *(NAMES[name] for name in PEERS), "speed-up"]]
    for row in rows(found):
        systems = row["systems"]
        table.append([
            row["case"], row["mode"], show.duration(systems["fastsnn"]["median_s"]),
            f"{row['tflops']:.3g}", _or_dash(row["of_product"], show.percent),
            *(_or_dash(systems.get(n), lambda s: show.duration(s["median_s"])) for n in PEERS),
            _or_dash(row["speedup"], "{:.2f}".format),
        ])  # fmt: skip
    return table


def kernels_table(found: Found) -> list[list[str]]:
    table = [["case", "arithmetic", "kernels", "launches", "time", "of ceiling"]]
    for row in rows(found):
        table += [
            [row["case"], row["mode"], k["kind"], str(k["launches"]),
             show.duration(k["median_s"]), _or_dash(k["share"], show.percent)]
            for k in row["kernels"]
        ]  # fmt: skip
    return table


def checks_table(found: Found) -> list[list[str]]:
    table = [["check", "result", "figures"]]
    for task, result in found["checks"].items():
        verdict = "WRONG" if "error" in result else "left out" if "left_out" in result else "good"
        figures = ", ".join(
            f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in result.items()
        )
        table.append([task, verdict, figures])
    return table


def machine(found: Found) -> str:
    """Return a description of the GPU and its ceilings."""
    known = good(found, "ours", "machine")
    if not known:
        return "Unknown GPU."
    versions = ", ".join(f"{name} {version}" for name, version in known["versions"].items())
    return f"{known['gpu']}, driver for CUDA {known['driver']}, {versions}. {ceilings(found)}"


def ceilings(found: Found) -> str:
    known = [
        f"{mode} {result['tflops']:.3g} TFLOP/s"
        for mode in ("float32", "tf32", "bf16")
        if (result := good(found, "peers", "product", mode))
    ]
    copy = good(found, "peers", "copy")
    known += [f"copy {copy['gb_s']:.0f} GB/s"] if copy else []
    return f"Ceilings by PyTorch: {', '.join(known)}." if known else "No ceilings were measured."


def failures(found: Found) -> list[str]:
    return [
        f"{part} {task}: {result['error']}"
        for part in ("checks", "ours", "peers")
        for task, result in found[part].items()
        if "error" in result
    ]


def text(found: Found) -> str:
    """Return all results as text."""
    blocks = []
    for table in (checks_table(found), steps_table(found), kernels_table(found)):
        if len(table) > 1:
            blocks.append(show.columns(table))
    if found["ours"]:
        blocks.append(machine(found))
    failed = failures(found)
    blocks.append("\n".join(["failed:", *failed]) if failed else "nothing failed")
    left = found.get("not_done", [])
    if left:
        blocks.append("\n".join(["not done:", *left]))
    return "\n\n".join(blocks)
