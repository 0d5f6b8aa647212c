"""`--grid layers=2,4` and `--range learning_rate=0.01:1:log` as a space."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fastsnn.search.command import SEARCHED
from fastsnn.search.space import Range


def space(
    grids: Iterable[str], ranges: Iterable[str], convert: Callable[[str, str], Any]
) -> dict[str, Any]:
    """{"layers": [2, 4], "learning_rate": Range(0.01, 1.0, log=True)}; convert(name, text) is the
    value of an option. Raises ValueError with the word that is wrong.
    """
    found: dict[str, Any] = {}
    for flag, word in [("--grid", w) for w in grids] + [("--range", w) for w in ranges]:
        name, _, text = word.partition("=")
        name = name.strip().replace("-", "_")
        if name not in SEARCHED or name in found or not text:
            raise ValueError(
                f"{flag} {word}: NAME=... is required, once, with one of {', '.join(SEARCHED)}"
            )
        parts = [part.strip() for part in text.split("," if flag == "--grid" else ":")]
        log = flag == "--range" and parts[-1] == "log"
        try:
            values = [convert(name, part) for part in parts[: len(parts) - log]]
            if flag == "--grid":
                found[name] = values
            elif len(values) == 2:
                found[name] = Range(*values, log)
            else:
                raise ValueError("LOW:HIGH or LOW:HIGH:log is required")
        except (ValueError, TypeError) as error:
            raise ValueError(f"{flag} {word}: {error}") from error
    return found
