"""Arrays that took long to make, kept in the per-user cache."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from fastsnn.data import members
from fastsnn.data.files import damage


def arrays(path: Path, names: tuple[str, ...], most: int | None = None) -> dict[str, np.ndarray]:
    """The arrays of these names in an .npz file, in this order.

    most: bytes that each may have unpacked; `unpacked_limit()` by default. Raises ValueError where
    one is missing or damaged, OSError where the file cannot be opened.
    """
    with damage(path, "must be a complete .npz archive, is not"), members.opened(path) as archive:
        found = {}
        for name in names:
            info = archive.getinfo(f"{name}.npy")
            with members.stream(archive, info, path, most) as file:
                found[name] = np.lib.format.read_array(file, allow_pickle=False)
                if file.read(1):
                    raise ValueError(f"{name} has more bytes than its shape and type need")
        return found


def kept(path: Path, names: tuple[str, ...], most: int | None = None) -> dict | None:
    """As `arrays`; None where the file is not there, or anything is wrong with it."""
    try:
        return arrays(path, names, most)
    except (OSError, ValueError, RuntimeError):
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
