"""Terminal output of a search: progress on stderr, and the table of its results."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from fastsnn.runs.console import clock, is_terminal, text
from fastsnn.search.loop import Status

LINES = 20  # maximum number of progress lines if stderr is not a terminal


def progress(stream: TextIO | None = None) -> Live | Lines:
    """Return a `progress` callback for `search` that writes to `stream`, by default stderr.

    Close it at the end.
    """
    stream = stream or sys.stderr
    return Live(stream) if is_terminal(stream) else Lines(stream)


def line(status: Status) -> str:
    """Return a status as one line: finished trials, time left, best trial."""
    words = [f"{status.done}/{status.total} trials"]
    if status.seconds_left is not None and status.done < status.total:
        words.append(f"{clock(status.seconds_left)} left")
    if status.best is not None:
        words.append(f"best {text(status.best.score)} with {of(status.best.options)}")
    return "  ".join(words)


def of(options: Mapping[str, Any]) -> str:
    """Return options as text, "layers 8, width 64"."""
    return ", ".join(f"{name} {text(value)}" for name, value in options.items())


class Lines:
    """Progress as up to LINES lines of text, for streams that are not a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.part = stream, 0

    def __call__(self, status: Status) -> None:
        part = status.done * LINES // status.total
        if part > self.part:
            self.part = part
            print(line(status), file=self.stream, flush=True)

    def close(self) -> None:
        """Do nothing: there is no progress bar to remove."""


class Live:
    """Progress as a bar on a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.live: Any = None  # rich is imported at the first call

    def __call__(self, status: Status) -> None:
        if self.live is None:  # starts at the first call, after the lines that precede the search
            self._start()
        self.live.update(self.task, completed=status.done, total=status.total, text=line(status))
        self.live.refresh()

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        # No refresh by rich's own thread: it would hold the interpreter lock that trials need.
        self.live = Progress(
            BarColumn(bar_width=20), TextColumn("{task.fields[text]}"),
            console=Console(file=self.stream), auto_refresh=False,
        )  # fmt: skip
        self.task = self.live.add_task("", total=None, text="")
        self.live.start()

    def close(self) -> None:
        """Remove the bar."""
        if self.live is not None:
            self.live.stop()


def table(records: Sequence[Mapping[str, Any]], metric: str) -> str:
    """Return a table of trials with the columns score, epoch, options and seconds.

    records: `Trial.record` of each. metric: heading of the score.
    """
    rows = []
    for record in records:
        figures = record["figures"]
        score = "diverged" if record["error"] else text(figures["score"])
        rows.append({metric: score, "epoch": text(figures.get("epoch"))} | {
            name: text(value) for name, value in record["options"].items()
        } | {"seconds": f"{record['seconds']:.1f}"})  # fmt: skip
    lines = [[name.replace("_", " ") for name in rows[0]], *([*row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        for cells in lines
    )


def winner(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options and figures of the best trial's record as one dict."""
    return {**record["options"], **record["figures"]}
