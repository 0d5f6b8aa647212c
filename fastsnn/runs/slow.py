"""Warning about epochs that are much slower than the previous ones."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from fastsnn.engine import threads as processors
from fastsnn.runs.console import count
from fastsnn.trainer import Trainer

TIMES = 10  # slow: longer than this many times the median of the previous epochs
LEAST_S = 1.0  # seconds; shorter epochs are never reported


class SlowEpochs:
    """Callback for `Trainer.fit` that reports slow epochs, the first of consecutive ones only."""

    def __init__(self, report: Callable[[str], None]):
        self.report = report

    def on_fit_start(self, trainer: Trainer, epochs: int, batches: int) -> None:
        self.seconds: list[float] = []
        self.slow = False
        self.start = time.perf_counter(), time.process_time()

    def on_epoch_end(self, trainer: Trainer, history: Sequence[Mapping[str, Any]]) -> None:
        before, self.start = self.start, (time.perf_counter(), time.process_time())
        wall, busy = (now - then for now, then in zip(self.start, before, strict=True))
        last = history[-1]["seconds"]
        usual = median(self.seconds or [last])
        slow = last > LEAST_S and last > TIMES * usual
        if slow and not self.slow:
            self.report(_line(history[-1]["epoch"], last, usual, busy / wall, trainer.threads))
        self.slow = slow
        if not slow:
            self.seconds.append(last)


def _line(epoch: int, seconds: float, usual: float, share: float, threads: int) -> str:
    cause = f"this process used {100 * share:.0f} % of a processor"
    if hasattr(os, "getloadavg"):
        load, available = os.getloadavg()[0], count(processors.available(), "processor")
        cause += f", the system load is {load:.1f} on {available}"
    fewer = " or reduce --threads" if threads > 1 else ""
    return (
        f"warning: epoch {epoch} took {seconds:.3g} s, previous epochs {usual:.3g} s: {cause}; "
        f"stop other programs{fewer} (if none is busy, memory may be short or the machine was "
        "suspended)"
    )
