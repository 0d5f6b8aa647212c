"""Reader of one array of an .npz archive.

The size that the array's header describes is compared with the archive first, because numpy.load
allocates that size before it reads the values.
"""

from __future__ import annotations

import math
import tokenize
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from fastsnn.data.files import brief
from fastsnn.data.limits import table_limit, too_large
from fastsnn.data.members import require_supported

READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
KINDS = "biufUS"


def read_member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """Return the array in a member: numbers of at most 64 bits, or text, with at least one row.

    Raises ValueError for anything else, before memory is allocated.
    """
    name = info.filename.removesuffix(".npy")
    where = f"{path}: {name}"
    require_supported(info, where, "save it with numpy.savez_compressed")
    if info.file_size > (limit := table_limit(path)):
        raise too_large(path, limit, info.file_size)
    try:
        with archive.open(info) as file:
            header = _header(where, file)
        _require_array(where, *header, info.file_size)
        with archive.open(info) as file:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # warnings about headers written by Python 2
                value = npy.read_array(file, allow_pickle=False)
            file.read()  # to the end, where zipfile verifies the checksum
    except MemoryError:
        raise
    except Exception as error:  # damaged bytes can raise nearly any exception
        if str(error).startswith(where):  # raised by `_require_array`
            raise
        raise ValueError(
            f"{where} cannot be decompressed ({brief(error)}); the file is damaged, copy it again"
        ) from error
    return value


def read_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Return (shape, dtype, bytes of the header) of a .npy file.

    Damaged bytes can raise nearly any exception.
    """
    version = npy.read_magic(file)
    if version not in READERS:
        raise ValueError(f"its format {version} is unknown")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings about headers written by Python 2
        shape, _, dtype = READERS[version](file)
    return shape, dtype, file.tell()


def _header(where: str, file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    try:
        return read_header(file)
    except (ValueError, TypeError, SyntaxError, tokenize.TokenError, RecursionError) as error:
        raise ValueError(
            f"{where} is not a NumPy array ({brief(error)}); save it with numpy.savez"
        ) from error


def _require_array(
    where: str, shape: tuple[int, ...], dtype: np.dtype[Any], start: int, size: int
) -> None:
    if dtype.hasobject:
        raise ValueError(
            f"{where} is a pickled object array, which is refused because unpickling can run "
            "arbitrary code; save it as numbers or text, with x.astype(float) or y.astype(str)"
        )
    if dtype.kind not in KINDS or dtype.itemsize == 0 or (dtype.kind == "f" and dtype.itemsize > 8):
        raise ValueError(
            f"{where} must be an array of numbers or text, numbers of at most 64 bits, is dtype "
            f"{brief(dtype)}"
        )
    if not shape or shape[0] == 0:
        raise ValueError(f"{where} must have at least one row, has shape {_shown(shape)}")
    described = start + math.prod(shape) * dtype.itemsize
    if min(shape) < 0 or described != size:
        raise ValueError(
            f"{where} must have {_count(described)} bytes according to its header (shape "
            f"{_shown(shape)}, dtype {brief(dtype)}), has {size:,}; the file is damaged, copy it "
            "again"
        )


def _shown(shape: Sequence[int]) -> str:
    return brief(str(tuple(_count(n) for n in shape[:8])).replace("'", ""))


def _count(number: int) -> str:
    return str(number) if abs(number) < 10**18 else "more than 10^18"
