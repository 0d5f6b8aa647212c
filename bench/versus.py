"""Several systems in alternating processes, so that a drift of the machine affects all of them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

from . import child, systems, timing
from .case import Case

WORKER = "fastsnn.bench.worker"
Report = Callable[[str], None]


def require(names: tuple[str, ...], known: tuple[str, ...]) -> None:
    """Raise ValueError for an unknown peer, RuntimeError for one that is not installed."""
    for name in names:
        if name not in known:
            raise ValueError(f"--against: one of {', '.join(known)} is required, got {name!r}")
        for module in systems.MODULES[name]:
            if importlib.util.find_spec(module) is None:
                raise RuntimeError(
                    f"--against {name}: {module} is not installed; "
                    f"pip install {systems.PACKAGES[name]}"
                )


def times(
    what: str,
    case: Case,
    peers: tuple[str, ...],
    threads: int,
    seconds: float,
    rounds: int,
    optimizer: str = "sgd",
    report: Report = lambda line: None,
) -> dict[str, Any]:
    """Return the figures of fastsnn and of each peer for one case, and "peak_gflops" measured with
    them.

    A peer runs with `threads` threads and with one, which is faster in some of them on small
    networks: the better median counts.
    """
    runs = [("fastsnn", threads)]
    runs += [(name, t) for name in peers for t in sorted({threads, 1}, reverse=True)]
    seen: dict[tuple[str, int], list[float]] = {run: [] for run in runs}
    memory: dict[str, float] = {}
    peaks = []
    for number in range(rounds):
        peaks.append(child.run(WORKER, {"what": "peak", "threads": threads}, threads)["gflops"])
        for system, t in runs:
            report(f"{case} {optimizer if what == 'step' else what}: {system}, {t} threads, "
                   f"round {number + 1} of {rounds}")  # fmt: skip
            found = child.run(
                WORKER,
                {
                    "what": what, "system": system, "cases": [str(case)], "optimizer": optimizer,
                    "threads": t, "seconds": seconds / rounds, "least": timing.LEAST,
                },
                t,
            )  # fmt: skip
            seen[system, t] += found["times"][str(case)]
            memory[system] = max(memory.get(system, 0), found["peak_memory_mib"])
    figures: dict[str, Any] = {}
    for (system, t), values in seen.items():
        found = timing.spread(values) | {"threads": t, "peak_memory_mib": memory[system]}
        if system not in figures or found["median_s"] < figures[system]["median_s"]:
            figures[system] = found
    best = min(peers, key=lambda name: figures[name]["median_s"], default=None)
    result = {"systems": figures, "peak_gflops": max(peaks), "best_peer": best}
    if best is not None:
        result["speedup"] = figures[best]["median_s"] / figures["fastsnn"]["median_s"]
    return result


def set_shares(rows: list[dict[str, Any]]) -> None:
    """Set each system's share of the highest peak that this machine reached in any row.

    A peak measured while the machine was busy with other programs is too low.
    """
    highest = max(row["peak_gflops"] for row in rows)
    for row in rows:
        row["peak_gflops"] = highest
        for figures in row["systems"].values():
            figures["of_peak"] = figures["gflops"] / highest
