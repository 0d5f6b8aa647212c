"""Predictions through the public call: microseconds, and the limiting resource."""

from __future__ import annotations

from typing import Any

from . import child, systems, versus
from .case import Case


def measure(
    cases: tuple[Case, ...], peers: tuple[str, ...], threads: int, seconds: float, rounds: int,
    report: versus.Report,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return a row for each case.

    "of_peak": share of the arithmetic peak. "of_memory": share of the bandwidth at which this
    machine reads as many bytes as the weights have, from the smallest cache that holds them.
    """
    versus.require(peers, systems.OF_PREDICTION)
    rows = []
    for case in cases:
        found = versus.times("predict", case, peers, threads, seconds, rounds, report=report)
        nbytes = case.weight_bytes()
        request = {"what": "read", "nbytes": nbytes, "threads": threads}
        found["memory_gb_s"] = child.run(versus.WORKER, request, threads)["gb_s"]
        for figures in found["systems"].values():
            figures["gflops"] = case.predict_flops() / figures["median_s"] / 1e9
            figures["gb_s"] = nbytes / figures["median_s"] / 1e9
            figures["of_memory"] = figures["gb_s"] / found["memory_gb_s"]
        rows.append({"case": str(case), "threads": threads, **found})
    versus.set_shares(rows)
    return rows
