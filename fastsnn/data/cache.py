"""Store arrays that are expensive to compute in the per-user cache."""

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
    """Return the named arrays of an .npz file, in the order of `names`.

    most: maximum uncompressed bytes of each array; `unpacked_limit()` by default. Raises ValueError
    if an array is missing or damaged, OSError if the file cannot be opened.
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
    """Raise ValueError if the header of a .npy file does not describe `size` bytes.

    NumPy allocates the size in the header before it reads the values.
    """
    shape, dtype, start = read_header(io.BytesIO(head))
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size - start:
        raise ValueError(
            f"{name} has {size - start:,} bytes of values, which does not match dtype "
            f"{brief(dtype, 40)} and shape {brief(shape, 60)}"
        )


def kept(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray] | None:
    """Return `arrays(path, names)`; None if the file is missing or damaged."""
    try:
        return arrays(path, names)
    except (OSError, ValueError, RuntimeError):
        return None


def keep(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write the arrays. If the cache cannot be written, the next call computes them again."""
    from fastsnn.storage import files

    content = io.BytesIO()
    np.savez(content, **dict[str, Any](arrays))
    try:
        make_folder(path.parent)
        files.replace(path, content.getvalue())
    except (OSError, RuntimeError):
        pass
