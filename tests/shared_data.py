"""Folder of the real data sets that some tests read in place."""

import os
from pathlib import Path


def shared_data() -> Path | None:
    """Return $FASTSNN_DATA, or a folder shared/data next to the repository; None if neither
    exists.
    """
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("FASTSNN_DATA") or default)
    return folder if folder.is_dir() else None
