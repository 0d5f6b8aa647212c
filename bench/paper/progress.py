"""What a person sees while the paper is rerun: on stderr, lines, and on a terminal a moving one."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import TextIO

from fastsnn.console import clock, is_terminal, number
from fastsnn.search import progress as of_searches

REFRESH_S = 0.2


def line(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class OfStudy:
    """`progress` of `Study.run`: trials done, time left."""

    def __init__(self):
        self.what, self.shown = None, None

    def __call__(self, what, status) -> None:
        if what != self.what:
            self.close()
            self.what, self.shown = what, of_searches.progress()
            line(f"{what}: {status.total:,} trainings")
        self.shown(replace(status, best=None))  # the best of several data sets says nothing

    def close(self) -> None:
        if self.shown is not None:
            self.shown.close()
            self.shown = None


class OfCurves:
    """Of trainings that take turns: a line after each epoch, with the time left for all."""

    def __init__(self, stream: TextIO | None = None):
        self.stream = stream or sys.stderr
        self.live = None

    def begin(self, work: dict, epochs: int) -> None:
        """work: {curve: weights}, to guess the time of what has not been seen yet."""
        self.work, self.epochs, self.last, self.drawn = work, epochs, {}, 0.0
        if is_terminal(self.stream):
            self.live = _bar(self.stream)
            self.live.start()

    def training(self, curve) -> None:
        self.curve, self.done = curve, 0
        self.name = f"{curve.method} {curve.layers} layers"
        self.name += f"  epoch {len(curve.history) + 1}/{self.epochs}"
        if self.live:
            self.task = self.live.add_task(self.name, total=curve.batches)

    def batch(self) -> None:
        self.done += 1
        now = time.perf_counter()
        if self.live and now - self.drawn > REFRESH_S:
            self.drawn = now
            self.live.update(self.task, completed=self.done)
            self.live.refresh()

    def epoch(self, curve) -> None:
        record = curve.history[-1]
        self.last[curve] = record["seconds"]
        text = f"{self.name}  loss {number(record['loss'])}  {record['seconds']:.1f} s"
        text += f"  {clock(self._left())} left"
        if self.live:
            self.live.remove_task(self.task)
            self.live.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=self.stream, flush=True)

    def _left(self):
        speed = sum(self.last.values()) / sum(self.work[curve] for curve in self.last)
        return sum(
            self.last.get(curve, speed * work) * max(0, self.epochs - len(curve.history))
            for curve, work in self.work.items()
        )

    def close(self) -> None:
        if self.live:
            self.live.stop()


def _bar(stream):
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    # No refresh by rich's own thread: it would take the interpreter away from the steps.
    return Progress(
        TextColumn("{task.description}"), BarColumn(bar_width=20), TaskProgressColumn(),
        console=Console(file=stream), auto_refresh=False, transient=True,
    )  # fmt: skip
