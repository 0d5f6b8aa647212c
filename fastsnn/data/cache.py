"""Arrays that took long to make, kept in the per-user cache."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np

from fastsnn.data import members
from fastsnn.data.download import make_folder
from fastsnn.data.files import brief, damage


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


def _check_header(name, head: bytes, size: int) -> None:
    """ValueError where a .npy file of `size` bytes does not announce itself as so many: NumPy
    allocates what a header asks for before it reads on.
    """
    file = io.BytesIO(head)
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"{name} must be of version 1 or 2 of the .npy format, is of {version}")
    read = getattr(np.lib.format, f"read_array_header_{version[0]}_0")
    shape, _, dtype = read(file)
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size - file.tell():
        raise ValueError(
            f"{name} has {size - file.tell():,} bytes of values, which are not those of "
            f"{brief(dtype, 40)} in the shape {brief(shape, 60)}"
        )


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
        make_folder(path.parent)
        files.replace(path, content.getvalue())
    except (OSError, RuntimeError):
        pass
