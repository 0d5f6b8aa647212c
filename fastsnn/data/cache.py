"""Arrays that took long to make, kept in the per-user cache."""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from zipfile import BadZipFile

import numpy as np


def kept(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray] | None:
    """The arrays of these names in an .npz file; None where it is not there, or not whole."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names}
    except (OSError, EOFError, LookupError, TypeError, ValueError, BadZipFile, zlib.error):
        return None


def keep(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write the arrays; where the cache cannot be written they are made again the next time."""
    from fastsnn import files

    content = io.BytesIO()
    np.savez(content, **arrays)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.replace(path, content.getvalue())
    except (OSError, RuntimeError):
        pass
