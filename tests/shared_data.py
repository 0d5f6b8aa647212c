"""Where the real data sets lie that some tests read in place."""

import os
from pathlib import Path


def shared_data() -> Path | None:
    """$FASTSNN_DATA, or a folder shared/data beside the repository; None where neither exists."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("FASTSNN_DATA") or beside)
    return folder if folder.is_dir() else None
