"""Speed-up over PyTorch eager for every corner of depth, width and batch."""

from __future__ import annotations

from itertools import product
from typing import Any

from . import child, timing, versus
from .case import Case

DEPTHS, WIDTHS, BATCHES = (1, 4, 16, 64), (16, 64, 256, 1024), (1, 16, 128, 1024)
LEAST = 3  # calls: the largest network takes seconds for each


def cells() -> list[Case]:
    return [Case(*sizes, rate=0.05) for sizes in product(DEPTHS, WIDTHS, BATCHES)]


def measure(
    cases: list[Case], threads: int, seconds: float, rounds: int, report: versus.Report
) -> list[dict[str, Any]]:
    """Return a row for each case; fastsnn and PyTorch eager alternate, width by width."""
    versus.require(("torch",), ("torch",))
    seen: dict[tuple[str, str], list[float]] = {}
    groups = sorted({(case.layers, case.width) for case in cases})
    for number in range(rounds):
        for layers, width in groups:
            texts = [str(c) for c in cases if (c.layers, c.width) == (layers, width)]
            report(f"{layers} layers of {width}, round {number + 1} of {rounds}")
            for system in ("fastsnn", "torch"):
                found = child.run(
                    versus.WORKER,
                    {
                        "what": "step", "system": system, "cases": texts, "optimizer": "sgd",
                        "threads": threads, "seconds": seconds / rounds, "least": LEAST,
                    },
                    threads,
                )  # fmt: skip
                for text, values in found["times"].items():
                    seen.setdefault((text, system), []).extend(values)
    rows = []
    for case in cases:
        ours, theirs = (timing.spread(seen[str(case), s])["median_s"] for s in ("fastsnn", "torch"))
        rows.append({"case": str(case), "fastsnn_s": ours, "torch_s": theirs,
                     "speedup": theirs / ours})  # fmt: skip
    return rows
