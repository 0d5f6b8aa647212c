"""Timing: a warm-up, many calls, medians."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

WARM_UP, LEAST = 3, 8


def times(call: Callable[[], object], seconds: float, least: int = LEAST) -> list[float]:
    """Return the seconds of each of at least `least` calls within about `seconds` seconds."""
    for _ in range(WARM_UP):
        call()
    taken, end = [], time.perf_counter() + seconds
    while len(taken) < least or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return taken


def spread(values: list[float]) -> dict[str, float]:
    """Return the median and the 10th and 90th percentile: the noise of the machine."""
    ordered = sorted(values)
    return {
        "median_s": statistics.median(ordered),
        "p10_s": ordered[len(ordered) // 10],
        "p90_s": ordered[len(ordered) * 9 // 10],
        "calls": len(ordered),
    }
