"""Display of a run: a line per epoch, a live line on a terminal, tables of results."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from math import isnan
from typing import Any, TextIO

from fastsnn.data.show import track
from fastsnn.trainer import Trainer

REFRESH_S = 0.2  # of the live line; a step takes 0.1 to 30 ms
FIGURES = ("accuracy", "auc", "r2", "rmse")


def is_terminal(stream: TextIO) -> bool:
    """True if a live display makes sense there."""
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def progress(stream: TextIO | None = None) -> LineProgress:
    """Callback for `Trainer.fit` that shows progress on stderr."""
    stream = stream or sys.stderr
    return LiveProgress(stream) if is_terminal(stream) else LineProgress(stream)


class DownloadLine:
    """Progress of downloads: a line when each begins. `track` shows that of other long work."""

    track = staticmethod(track)

    def __init__(self, report: Callable[[str], None]):
        self.report = report
        self.seen: set[str] = set()

    def __call__(self, name: str, done: int, total: int | None) -> None:
        if name not in self.seen:
            self.seen.add(name)
            size = f" ({total / 1e6:.1f} MB)" if total else ""
            self.report(f"downloading {name}{size} ...")


class LineProgress:
    """A line after each epoch."""

    def __init__(self, stream: TextIO):
        self.stream = stream

    def on_fit_start(self, trainer: Trainer, epochs: int, batches: int) -> None:
        self.epochs = epochs

    def on_epoch_end(self, trainer: Trainer, history: Sequence[dict[str, Any]]) -> None:
        self.show(epoch_line(history[-1], self.epochs))

    def show(self, line: str) -> None:
        print(line, file=self.stream, flush=True)

    def close(self) -> None:
        pass


class LiveProgress(LineProgress):
    """Prints the lines of `LineProgress` and, below them, one that moves: epoch, batches, loss,
    speed, time left.
    """

    def on_fit_start(self, trainer: Trainer, epochs: int, batches: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        super().on_fit_start(trainer, epochs, batches)
        self.batches, self.figure = batches, ""
        self.start = time.perf_counter()
        self.done = self.samples = 0  # batches of this fit, samples of this epoch
        self.losses, self.shown = 0.0, 0.0
        # No refresh by rich's own thread: it would take the interpreter away from the steps.
        self.live = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[text]}"),
            console=Console(file=self.stream),
            auto_refresh=False,
            transient=True,
        )
        self.task = self.live.add_task("", total=batches, epoch="", text="")
        self.live.start()

    def on_batch_end(self, trainer: Trainer, samples: int, loss: float) -> None:
        now = time.perf_counter()
        if not self.samples:
            self.epoch_start = now
            self.batch = 0
        self.batch += 1
        self.done += 1
        self.samples += samples
        self.losses += loss * samples
        if now - self.shown >= REFRESH_S:
            self.shown = now
            self._refresh(trainer, now)

    def _refresh(self, trainer: Trainer, now: float) -> None:
        epoch = -(-trainer.step_count // self.batches)
        elapsed = now - self.start
        left = (self.epochs * self.batches - trainer.step_count) * elapsed / self.done
        speed = ""
        if now > self.epoch_start:
            rate = self.samples * (self.batch - 1) / self.batch / (now - self.epoch_start)
            speed = f"  {rate:,.0f} samples/s"
        text = f"loss {self.losses / self.samples:.4f}{self.figure}{speed}  {clock(left)} left"
        self.live.update(self.task, completed=self.batch, epoch=f"{epoch}/{self.epochs}", text=text)
        self.live.refresh()

    def on_epoch_end(self, trainer: Trainer, history: Sequence[dict[str, Any]]) -> None:
        self.samples, self.losses = 0, 0.0
        name, value = main_figure(history[-1])
        self.figure = f"  {name} {value:.4g}" if name else ""
        super().on_epoch_end(trainer, history)

    def show(self, line: str) -> None:
        self.live.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        if hasattr(self, "live"):
            self.live.stop()


def main_figure(record: dict[str, Any]) -> tuple[str, float]:
    """("accuracy", 0.97): the main validation figure of an epoch, or ("", nan)."""
    for name in FIGURES:
        if f"validation_{name}" in record:
            return name, record[f"validation_{name}"]
    return "", float("nan")


def epoch_line(record: dict[str, Any], epochs: int) -> str:
    figures = {
        name.removeprefix("validation_"): value
        for name, value in record.items()
        if name.startswith("validation_") and not isnan(value)
    }
    loss = figures.pop("loss", None)  # the other names say by themselves what they are
    words = [
        f"epoch {record['epoch']:{len(str(epochs))}}/{epochs}",
        f"loss {number(record['train_loss'])}",
        *([] if loss is None else [f"validation {number(loss)}"]),
        *(f"{name} {number(value)}" for name, value in figures.items()),
        f"{record['samples_per_second']:,.0f} samples/s",
    ]
    return "  ".join(words)


def table(values: dict[str, Any], stream: TextIO | None = None) -> None:
    """Names and values in two columns on stdout."""
    stream = stream or sys.stdout
    rows = [(label(name), cell(name, value)) for name, value in values.items()]
    if not is_terminal(stream):
        width = max(len(name) for name, _ in rows)
        for name, value in rows:
            print(f"{name:{width}}  {value}", file=stream)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=box.SIMPLE_HEAD, show_header=False, pad_edge=False)
    shown.add_column(style="bold")
    shown.add_column(overflow="fold")
    for name, value in rows:
        shown.add_row(name, Text(value))
    Console(file=stream, highlight=False).print(shown)


def columns(rows: list[list[str]]) -> str:
    """Rows, the first of them the header, in columns: text to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    left = [not any(c.isdigit() for c in rows[-1][i][:1]) for i in range(len(widths))]
    lines = [
        "  ".join(
            f"{cell:<{w}}" if to_left else f"{cell:>{w}}"
            for cell, w, to_left in zip(row, widths, left, strict=True)
        ).rstrip()
        for row in rows
    ]
    return "\n".join(lines)


def label(name: str) -> str:
    """A name in words; the name of an environment variable stays as it is."""
    return name if name.isupper() else name.replace("_", " ")


def cell(name: str, value: object) -> str:
    """`text`, but seconds are rounded to a tenth: 10 us to read a cache are 0 seconds."""
    if name.endswith("seconds") and isinstance(value, float) and not isnan(value):
        return f"{value:,.1f}" if value >= 0.05 else "0"
    return text(value)


def count(n: int, noun: str) -> str:
    """ "1 row", "2 rows", "10,000 rows"."""
    return f"{n:,} {noun}{'s' * (n != 1)}"


def text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, int):
        return f"{value:,}" if value >= 10_000 else str(value)
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return "-" if value is None else str(value)


def number(value: float) -> str:
    if isnan(value):
        return "-"
    if abs(value) >= 1e15:
        return f"{value:.4g}"
    value += 0.0  # no -0
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.4f}" if abs(value) >= 0.01 or value == 0 else f"{value:.3g}"


def clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
