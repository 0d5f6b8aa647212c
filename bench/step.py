"""Training steps: milliseconds, share of the machine's peak, and the same in the peers."""

from __future__ import annotations

from typing import Any

from . import systems, versus
from .case import Case


def measure(
    cases: tuple[Case, ...], optimizers: tuple[str, ...], peers: tuple[str, ...], threads: int,
    seconds: float, rounds: int, report: versus.Report,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return a row for each case and optimizer. GFLOP/s count only the three matrix products."""
    versus.require(peers, systems.OF_STEP)
    rows = []
    for case in cases:
        for optimizer in optimizers:
            found = versus.times("step", case, peers, threads, seconds, rounds, optimizer, report)
            for figures in found["systems"].values():
                figures["gflops"] = case.step_flops() / figures["median_s"] / 1e9
            rows.append({"case": str(case), "optimizer": optimizer, "threads": threads, **found})
    versus.set_shares(rows)
    return rows
