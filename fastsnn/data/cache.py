"""Arrays that took long to make, kept in the per-user cache."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np

from fastsnn.data import members
from fastsnn.data.download import make_folder
from fastsnn.data.files import brief, damage
from fastsnn.data.npzmember import read_header


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
                _check_header(name, file.peek(), info.file_size)
                found[name] = np.lib.format.read_array(file, allow_pickle=False)
        return found


def _check_header(name: str, head: bytes, size: int) -> None:
    """Raise ValueError if the header of a .npy file describes another size than `size` bytes: NumPy
    allocates what the header describes before it reads on.
    """
    shape, dtype, start = read_header(io.BytesIO(head))
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size - start:
        raise ValueError(
            f"{name} has {size - start:,} bytes of values, which are not those of "
            f"{brief(dtype, 40)} in the shape {brief(shape, 60)}"
        )


def kept(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray] | None:
    """Like `arrays`, but None if the file is missing or damaged."""
    try:
        return arrays(path, names)
    except (OSError, ValueError, RuntimeError):
        return None


def keep(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write the arrays; if the cache cannot be written they are made again the next time."""
    from fastsnn.storage import files

    content = io.BytesIO()
    np.savez(content, **dict[str, Any](arrays))
    try:
        make_folder(path.parent)
        files.replace(path, content.getvalue())
    except (OSError, RuntimeError):
        pass
