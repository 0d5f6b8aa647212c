"""Console output of a run: one line per epoch, a live line on a terminal, tables of results."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from math import isnan
from typing import Any, TextIO

from fastsnn.data.show import track
from fastsnn.trainer import Trainer

REFRESH_S = 0.2  # refresh interval of the live line; a step takes 0.1 to 30 ms
FIGURES = ("accuracy", "auc", "r2", "rmse")


def is_terminal(stream: TextIO) -> bool:
    """Return True if the stream is a terminal that can show a live display."""
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def progress(stream: TextIO | None = None) -> LineProgress:
    """Return a callback for `Trainer.fit` that shows progress on a stream, by default stderr."""
    stream = stream or sys.stderr
    return LiveProgress(stream) if is_terminal(stream) else LineProgress(stream)


class DownloadLine:
    """Progress of downloads: one line at the start of each. `track` shows other long work."""

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
    """Callback that prints one line after each epoch."""

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
    """Callback that prints the lines of `LineProgress` and a live line below them.

    The live line shows epoch, progress in the epoch, mean loss, samples per second, time left.
    """

    def on_fit_start(self, trainer: Trainer, epochs: int, batches: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        super().on_fit_start(trainer, epochs, batches)
        self.batches, self.figure = batches, ""
        self.start = time.perf_counter()
        self.done = self.samples = 0  # batches in this fit, samples in this epoch
        self.losses, self.shown = 0.0, 0.0
        # No auto-refresh: rich's thread would compete with the steps for the interpreter lock.
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
    """Return name and value of an epoch's main validation metric; ("", nan) without one."""
    names = [k.removeprefix("validation_") for k in record if k.startswith("validation_")]
    asked = [name for name in names if name not in ("loss", *FIGURES)]  # with --metric
    for name in (*asked, *FIGURES):
        if name in names:
            return name, record[f"validation_{name}"]
    return "", float("nan")


def epoch_line(record: dict[str, Any], epochs: int) -> str:
    """Return the line of one epoch: training loss, validation metrics, samples per second."""
    figures = {
        name.removeprefix("validation_"): value
        for name, value in record.items()
        if name.startswith("validation_") and not isnan(value)
    }
    loss = figures.pop("loss", None)  # labelled "validation loss"; the other names are unique
    words = [
        f"epoch {record['epoch']:{len(str(epochs))}}/{epochs}",
        f"loss {number(record['train_loss'])}",
        *([] if loss is None else [f"validation loss {number(loss)}"]),
        *(f"{label(name)} {number(value)}" for name, value in figures.items()),
        f"{record['samples_per_second']:,.0f} samples/s",
    ]
    return "  ".join(words)


def table(values: dict[str, Any], stream: TextIO | None = None) -> None:
    """Print names and values in two columns, by default on stdout."""
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
    """Return rows of cells as aligned columns: text to the left, numbers to the right.

    rows: all of the same length, the first one the header.
    """
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
    """Return a name in words. Names of environment variables are unchanged, and so are indented
    names, which come from the data.
    """
    return name if name.isupper() or name[:1] == " " else name.replace("_", " ")


def cell(name: str, value: object) -> str:
    """Return `text` of a value; seconds are rounded to a tenth."""
    if name.endswith("seconds") and isinstance(value, float) and not isnan(value):
        return f"{value:,.1f}" if value >= 0.05 else "0"
    return text(value)


def count(n: int, noun: str) -> str:
    """Return a number with its noun: "1 row", "2 rows", "10,000 rows"."""
    return f"{n:,} {noun}{'s' * (n != 1)}"


def text(value: object) -> str:
    """Return a value for a table; "-" for None."""
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
    """Return a float with four significant digits; from 0.01 to 1 with four decimals; "-" for NaN.

    From 1,000 on it is rounded to an integer; below 0.01 it has at most three digits.
    """
    if isnan(value):
        return "-"
    if abs(value) >= 1e15:
        return f"{value:.4g}"
    value += 0.0  # no -0
    if abs(value) >= 999.95:
        return f"{value:,.0f}"
    if abs(value) >= 0.99995:
        return f"{value:#.4g}"
    return f"{value:.4f}" if abs(value) >= 0.01 or value == 0 else f"{value:.3g}"


def clock(seconds: float) -> str:
    """Return a duration as M:SS or H:MM:SS."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
