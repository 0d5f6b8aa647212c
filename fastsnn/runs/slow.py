"""A warning when epochs become much slower than before, with the cause and a remedy."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from fastsnn.engine import threads as processors
from fastsnn.runs.console import count
from fastsnn.trainer import Trainer

TIMES = 10  # such an epoch takes this many times the median before it
LEAST_S = 1.0  # shorter epochs are never reported


class SlowEpochs:
    """Callback for `Trainer.fit`: reports the first of consecutive epochs that take more than
    TIMES as long as the ones before.
    """

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
    cause = f"this process had {100 * share:.0f} % of a processor"
    if hasattr(os, "getloadavg"):
        load, available = os.getloadavg()[0], count(processors.available(), "processor")
        cause += f", the load is {load:.1f} on {available}"
    fewer = " or give it fewer --threads" if threads > 1 else ""
    return (
        f"epoch {epoch} took {seconds:.3g} s, the ones before {usual:.3g} s: {cause}; end other "
        f"programs{fewer} (if none is busy: memory may be short, or the machine was asleep)"
    )
