"""Reader of the idx format of MNIST: two zero bytes, type, number of dimensions, sizes, values."""

from __future__ import annotations

import math
from pathlib import Path
from typing import IO, Any

import numpy as np

from fastsnn.data.files import brief, open_file, packed, read_all
from fastsnn.data.limits import unpacked_limit

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MOST_DIMENSIONS = 32  # NumPy supports 64
DEFLATE = 1040  # maximum compression ratio of gzip


def read_idx(path: str | Path, ndim: int | None = None) -> np.ndarray:
    """Return the array in an idx file (.gz or plain).

    The array is read-only, because it is a view of the file's bytes. ndim: required number of
    dimensions; any number by default. Raises ValueError for any other content.
    """
    path = Path(path)
    with open_file(path) as file:
        dtype, shape, size = _header(path, file, ndim)
        data = read_all(file, size + 1)
    if len(data) != size:
        start = 4 + 4 * len(shape)
        found = "more" if len(data) > size else f"{start + len(data):,}"
        raise ValueError(
            f"{path}: an idx file of shape {brief(shape, 60)} must have {start + size:,} bytes "
            f"unpacked, has {found}; copy or download it again"
        )
    return np.frombuffer(data, dtype).reshape(shape)


def _header(
    path: Path, file: IO[bytes], ndim: int | None
) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Return (dtype, shape, bytes of all values).

    Raises ValueError if the file cannot have that many bytes.
    """
    data = read_all(file, 4)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in TYPES or data[3] == 0:
        raise ValueError(
            f"{path}: must be an idx file (first bytes 00 00, type, dimensions), "
            f"begins with {data[:4].hex(' ') or 'nothing'}; copy or download it again"
        )
    if ndim is not None and data[3] != ndim:
        raise ValueError(
            f"{path}: must be an idx file of {ndim} dimensions, has {data[3]}; "
            "are images and labels swapped?"
        )
    sizes = read_all(file, 4 * data[3])
    shape = tuple(int.from_bytes(sizes[i : i + 4], "big") for i in range(0, len(sizes) - 3, 4))
    if len(shape) < data[3] or len(shape) > MOST_DIMENSIONS or 0 in shape:
        raise ValueError(
            f"{path}: must have 1 to {MOST_DIMENSIONS} dimensions with sizes above 0, "
            f"has {len(shape)} of {data[3]}, {brief(shape, 60)}; copy or download it again"
        )
    dtype = np.dtype(TYPES[data[2]])
    size = math.prod(shape) * dtype.itemsize
    most = path.stat().st_size * (DEFLATE if packed(path) else 1)
    if size > min(most, unpacked_limit()):
        raise ValueError(
            f"{path}: an idx file of shape {brief(shape, 60)} needs more bytes than this file has "
            f"or FASTSNN_UNPACKED_LIMIT ({unpacked_limit():,}) allows; copy or download it again"
        )
    return dtype, shape, size
