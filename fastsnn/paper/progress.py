"""Progress of an experiment on stderr: lines of text, and a live display on a terminal."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol, TextIO

from fastsnn.runs.console import clock, count, is_terminal, number
from fastsnn.search import progress as of_searches
from fastsnn.search.loop import Status

REFRESH_S = 0.2


class Curve(Protocol):
    """Interface of a displayed training, implemented by `fig1.Curve`."""

    method: str
    layers: int
    batches: int
    history: list[dict[str, Any]]


def line(text: str) -> None:
    """Print a line on stderr."""
    print(text, file=sys.stderr, flush=True)


class OfStudy:
    """Callback for `Study.run` that shows finished trials and the remaining time."""

    def __init__(self) -> None:
        self.what: str | None = None
        self.shown: Any = None

    def __call__(self, what: str, status: Status) -> None:
        if what != self.what:
            self.close()
            self.what, self.shown = what, of_searches.progress()
            line(f"{what}: {count(status.total, 'training')}")
        self.shown(replace(status, best=None))  # scores of different data sets are not comparable

    def close(self) -> None:
        if self.shown is not None:
            self.shown.close()
            self.shown = None


class OfCurves:
    """Progress of alternating, partly concurrent training runs: one line per epoch, with the
    remaining time of all of them.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.live: Any = None  # rich.progress.Progress on a terminal
        self.lock = threading.Lock()

    def begin(self, work: Mapping[Curve, float], epochs: int, at_once: int) -> None:
        """Start the display. work: {training: number of weights}, to estimate unmeasured times."""
        self.work, self.epochs, self.at_once = work, epochs, at_once
        self.last: dict[Curve, float] = {}
        self.tasks: dict[Curve, Any] = {}
        self.drawn = 0.0
        if is_terminal(self.stream):
            self.live = _bar(self.stream)
            self.live.start()

    def _name(self, curve: Curve, epoch: int) -> str:
        return f"{curve.method} {count(curve.layers, 'layer')}  epoch {epoch}/{self.epochs}"

    def training(self, curve: Curve) -> None:
        if self.live:
            name = self._name(curve, len(curve.history) + 1)
            self.tasks[curve] = self.live.add_task(name, total=curve.batches)

    def batch(self, curve: Curve) -> None:
        if not self.live:
            return
        with self.lock:
            self.live.advance(self.tasks[curve])
            now = time.perf_counter()
            if now - self.drawn > REFRESH_S:
                self.drawn = now
                self.live.refresh()

    def epoch(self, curve: Curve) -> None:
        with self.lock:
            record = curve.history[-1]
            self.last[curve] = record["seconds"]
            text = f"{self._name(curve, len(curve.history))}  loss {number(record['loss'])}"
            text += f"  {record['seconds']:.1f} s  {clock(self._left())} left"
            if self.live:
                self.live.remove_task(self.tasks.pop(curve))
                self.live.console.print(text, markup=False, highlight=False, soft_wrap=True)
            else:
                print(text, file=self.stream, flush=True)

    def _left(self) -> float:
        speed = sum(self.last.values()) / sum(self.work[curve] for curve in self.last)
        left = sum(
            self.last.get(curve, speed * work) * max(0, self.epochs - len(curve.history))
            for curve, work in self.work.items()
        )
        return left / self.at_once

    def close(self) -> None:
        if self.live:
            self.live.stop()


def _bar(stream: TextIO) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    # No auto-refresh: rich's thread would compete with the steps for the interpreter lock.
    return Progress(
        TextColumn("{task.description}"), BarColumn(bar_width=20), TaskProgressColumn(),
        console=Console(file=stream), auto_refresh=False, transient=True,
    )  # fmt: skip
