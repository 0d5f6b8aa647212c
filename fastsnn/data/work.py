"""Progress of long computations on local files: decoding images, computing features."""

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
    """Return `progress.track(items, text, total)` if `progress` has such a method.

    Otherwise log `text` as a warning and return the items.
    """
    track = getattr(progress, "track", None)
    if track is None:
        log.warning("%s ...", text)
        return items
    found: Iterable[Item] = track(items, text, total)
    return found
