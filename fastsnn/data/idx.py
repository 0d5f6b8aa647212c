"""The idx format of MNIST: two zero bytes, type, number of dimensions, sizes, values."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from fastsnn.data.files import read_bytes

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | Path, ndim: int | None = None) -> np.ndarray:
    """The array in an idx file (.gz or plain); read-only, since it is a view of the bytes read.

    ndim: the number of dimensions that is required, any by default.
    """
    path = Path(path)
    data = read_bytes(path)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in TYPES or data[3] == 0:
        raise ValueError(
            f"{path}: must be an idx file (first bytes 00 00, type, dimensions), "
            f"begins with {data[:4].hex(' ') or 'nothing'}; copy or download it again"
        )
    if ndim is not None and data[3] != ndim:
        raise ValueError(
            f"{path}: must be an idx file of {ndim} dimensions, has {data[3]}; "
            "are images and labels interchanged?"
        )
    dtype, start = np.dtype(TYPES[data[2]]), 4 + 4 * data[3]
    shape = [int.from_bytes(data[i : i + 4], "big") for i in range(4, start, 4)]
    wanted = start + math.prod(shape) * dtype.itemsize
    if len(data) != wanted:
        raise ValueError(
            f"{path}: an idx file of shape {tuple(shape)} must have {wanted} bytes unpacked, "
            f"has {len(data)}; copy or download it again"
        )
    return np.frombuffer(data, dtype, offset=start).reshape(shape)
