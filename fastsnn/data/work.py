"""Progress of long work on files that are on this machine: decoding, computing features."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TypeVar

from fastsnn.data.download import Progress

log = logging.getLogger("fastsnn")
Item = TypeVar("Item")


def tracked(
    items: Iterable[Item], text: str, total: int | None = None, progress: Progress | None = None
) -> Iterable[Item]:
    """The items, followed by `progress.track(items, text, total)` if the progress of downloads has
    such a method; else a line in the log says what is being done.
    """
    track = getattr(progress, "track", None)
    if track is None:
        log.warning("%s ...", text)
        return items
    found: Iterable[Item] = track(items, text, total)
    return found
