"""What a person sees of data sets: long work, downloads, the list."""

from __future__ import annotations

import sys
from collections.abc import Iterable


def track(items: Iterable, text: str) -> Iterable:
    """The items, with a bar of progress and the time left on stderr where that is a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(file=sys.stderr)
    if not console.is_terminal:
        print(f"{text} ...", file=sys.stderr, flush=True)
        return items
    return track(items, text, console=console, transient=True)
