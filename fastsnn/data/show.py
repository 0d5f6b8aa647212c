"""Terminal output of ``fastsnn data``: progress bars, downloads, the list of data sets."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, TextIO, TypeVar

from fastsnn.data import catalogue

Item = TypeVar("Item")


def track(items: Iterable[Item], text: str, total: int | None = None) -> Iterable[Item]:
    """Return the items; on a terminal, iterating over them shows a progress bar on stderr."""
    from rich.console import Console
    from rich.progress import track

    console = Console(file=sys.stderr)
    if not console.is_terminal:
        print(f"{text} ...", file=sys.stderr, flush=True)
        return items
    return track(items, text, total=total, console=console, transient=True)


class Downloads:
    """Progress of downloads on stderr: bytes, speed and time left on a terminal, else a line each.

    Call it as ``progress(file_name, n_bytes, total_bytes)``, where ``total_bytes`` may be None, and
    close it at the end. `track` shows the progress of long computations on local files.
    """

    track = staticmethod(track)

    def __init__(self, stream: TextIO | None = None):
        self.stream = stream or sys.stderr
        self.tasks: dict[str, Any] = {}
        self.live: Any = None

    def __call__(self, name: str, done: int, total: int | None) -> None:
        if name not in self.tasks:
            self.tasks[name] = self._begin(name, done, total)
        if self.live is not None:
            self.live.update(self.tasks[name], completed=done, total=total)

    def _begin(self, name: str, done: int, total: int | None) -> Any:
        from rich import progress
        from rich.console import Console

        console = Console(file=self.stream)
        if not console.is_terminal:
            size = f" ({total / 1e6:.1f} MB)" if total else ""
            print(f"downloading {name}{size} ...", file=self.stream, flush=True)
            return None
        if self.live is None:
            columns = (
                progress.TextColumn("{task.description}"), progress.BarColumn(bar_width=20),
                progress.DownloadColumn(), progress.TransferSpeedColumn(),
                progress.TimeRemainingColumn(),
            )  # fmt: skip
            self.live = progress.Progress(*columns, console=console, transient=True)
            self.live.start()
        return self.live.add_task(name, total=total, completed=done)

    def close(self) -> None:
        """Remove the progress bar."""
        if self.live is not None:
            self.live.stop()


def fetch(name: str) -> dict[str, Any]:
    """Download a data set with progress on stderr; return its paths, source and terms."""
    progress = Downloads()
    try:
        paths = catalogue.fetch(name, progress)
    finally:
        progress.close()
    entry = catalogue.entry(name)
    return {
        "name": name,
        "files": [str(path) for path in paths] or catalogue.PACKAGE,
        "checked by": sorted({catalogue.verified(*found) for found in paths.items()}) or None,
        "source": list(entry.home),
        "terms": entry.terms,
        "cite": entry.citation,
    }


def about() -> list[dict[str, Any]]:
    """Return `catalogue.Entry.about` of every data set."""
    return [entry.about() for entry in catalogue.ENTRIES.values()]


COLUMNS = ("name", "task", "rows", "features", "classes", "where", "terms")


def listing(entries: list[dict[str, Any]], stream: TextIO | None = None) -> None:
    """Print a table of the entries of `about` to `stream`, by default stdout."""
    stream = stream or sys.stdout
    rows = [_cells(entry) for entry in entries]
    if not stream.isatty():
        widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
        for row in (COLUMNS, *rows):
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            print("  ".join(cells).rstrip(), file=stream)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in COLUMNS:
        words = name in ("where", "terms")
        right = name in ("rows", "features", "classes")
        shown.add_column(
            name, justify="right" if right else "left", overflow="fold", no_wrap=not words
        )
    for row in rows:
        shown.add_row(*map(Text, row))
    Console(file=stream, highlight=False).print(shown)


def _cells(entry: dict[str, Any]) -> tuple[str, ...]:
    name = entry["name"]
    absent = f"not here: fastsnn data fetch {name}" if entry["files"] else "not here"
    where = entry["where"] or absent
    if entry["note"]:
        where += f" ({entry['note']})"
    return (
        name, entry["task"],
        *(_count(entry[field]) for field in ("rows", "features", "classes")),
        where, entry["terms"],
    )  # fmt: skip


def _count(value: int | tuple[int, int]) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return " to ".join(f"{bound:,}" for bound in value)
