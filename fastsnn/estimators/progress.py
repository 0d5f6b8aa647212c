"""Progress of members that train concurrently: one line for all of them."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, TextIO

from fastsnn.runs.console import REFRESH_S, clock, is_terminal, number


class MembersProgress:
    """Finished members, loss and time left: a live line on a terminal, else a line per member.

    Members report from their own threads.
    """

    def __init__(self, members: int, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.fractions, self.done = [0.0] * members, 0
        self.start, self.shown = time.perf_counter(), 0.0
        self.live: Any = None
        self._lock = threading.Lock()

    def report(self, member: int, fraction: float) -> None:
        """Set the completed fraction of a member in [0, 1]."""
        with self._lock:
            self.fractions[member] = fraction
            now = time.perf_counter()
            if now - self.shown >= REFRESH_S and is_terminal(self.stream):
                self.shown = now
                self._refresh()

    def finished(self, member: int, record: Mapping[str, Any]) -> None:
        """Count a member. record: that of its last epoch."""
        with self._lock:
            self.fractions[member] = 1.0
            self.done += 1
            words = [f"member {member + 1}: epoch {record['epoch']}"]
            words += [
                f"{name} {number(record[key])}"
                for name, key in (("loss", "train_loss"), ("score", "validation_score"))
                if key in record
            ]
            text = "  ".join([self.line(), *words])
            if not is_terminal(self.stream):
                print(text, file=self.stream, flush=True)
                return
            self._refresh()
            self.live.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def line(self) -> str:
        """Return the number of finished members, and the time left if some remain."""
        total, part = len(self.fractions), sum(self.fractions)
        text = f"{self.done}/{total} members"
        if self.done == total or not part:
            return text
        left = (time.perf_counter() - self.start) * (total - part) / part
        return f"{text}  {clock(left)} left"

    def _refresh(self) -> None:
        if self.live is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            # No refresh by rich's own thread: it would hold the interpreter lock.
            self.live = Progress(
                BarColumn(bar_width=20), TextColumn("{task.fields[text]}"),
                console=Console(file=self.stream), auto_refresh=False, transient=True,
            )  # fmt: skip
            self.task = self.live.add_task("", total=len(self.fractions), text="")
            self.live.start()
        self.live.update(self.task, completed=sum(self.fractions), text=self.line())
        self.live.refresh()

    def close(self) -> None:
        """Remove the live line."""
        if self.live is not None:
            self.live.stop()
