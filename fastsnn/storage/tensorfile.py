"""Reader of the safetensors format.

A file consists of 8 bytes with the length n of the header (little-endian), n bytes of JSON, and the
bytes of the tensors. The header is compared with the size of the file before memory of that size is
allocated. The bytes are read and not mapped, because SIGBUS ends a process if another process
truncates a mapped file.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from math import prod
from typing import Any, BinaryIO

import numpy as np

from fastsnn.checks.scalars import shown

MOST_HEADER = 100_000_000  # bytes, as in the safetensors library
MOST_DIMENSIONS = 8
DTYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
}  # the types that fastsnn writes
ENTRY = {"dtype", "shape", "data_offsets"}
Place = tuple[int, int, np.dtype[Any], tuple[int, ...]]  # first byte, end, dtype, shape


def read(path: str | os.PathLike[str], key: str) -> tuple[str | None, dict[str, np.ndarray]]:
    """Return (metadata entry `key`, tensors by name) of a file.

    Returns (None, {}) for a file without that entry, which another program wrote. Raises
    ValueError, with the reason only, for any other content, and OSError if it cannot be read.
    """
    with open(path, "rb") as handle:
        return _read(handle, os.fstat(handle.fileno()).st_size, key)


def from_bytes(content: bytes, key: str) -> tuple[str | None, dict[str, np.ndarray]]:
    """Return what `read` returns for a file with this content."""
    return _read(io.BytesIO(content), len(content), key)


def _read(handle: BinaryIO, size: int, key: str) -> tuple[str | None, dict[str, np.ndarray]]:
    header, size = _header(handle, size)
    metadata = header.pop("__metadata__", {})
    text = metadata.get(key) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        return None, {}
    places = {name: _place(name, entry) for name, entry in header.items()}
    _require_filled(places, size)
    data = np.empty(size, np.uint8)
    if handle.readinto(data.data) != size:  # type: ignore[attr-defined]  # of every binary file
        raise ValueError("it became shorter while it was read")
    return text, {
        name: data[begin:end].view(dtype).reshape(shape)
        for name, (begin, end, dtype, shape) in places.items()
    }


def parse(text: str | bytes) -> Any:
    """Parse JSON. Raises ValueError for invalid JSON, duplicate names and deep nesting."""
    try:
        return json.loads(text, object_pairs_hook=_named)
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None


def _named(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("its JSON has a duplicate name")
    return found


def _header(handle: BinaryIO, size: int) -> tuple[dict[str, Any], int]:
    """Return (header, number of bytes after it) of a file of `size` bytes."""
    length = int.from_bytes(handle.read(8), "little")
    if size < 8 or length > min(size - 8, MOST_HEADER):
        raise ValueError(f"a header of {shown(length)} bytes in a file of {size:,}")
    content = handle.read(length)
    if len(content) < length:
        raise ValueError("it became shorter while it was read")
    try:
        header = parse(content.decode())
    except UnicodeDecodeError:
        raise ValueError("its header is not UTF-8 text") from None
    if not isinstance(header, dict):
        raise ValueError("its header is not a JSON object")
    return header, size - 8 - length


def _place(name: str, entry: object) -> Place:
    """Return (first byte, end, dtype, shape) of a tensor."""
    if not isinstance(entry, dict) or entry.keys() != ENTRY:
        raise ValueError(f"tensor {shown(name)} needs dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(f"tensor {shown(name)} has the dtype {shown(dtype)}, not F32 or F64")
    if not (_counts(shape) and len(shape) <= MOST_DIMENSIONS):
        raise ValueError(f"tensor {shown(name)} has the shape {shown(shape)}")
    if not (_counts(offsets) and len(offsets) == 2):
        raise ValueError(f"tensor {shown(name)} has the data_offsets {shown(offsets)}")
    begin, end = offsets
    if end - begin != prod(shape) * DTYPES[dtype].itemsize:
        raise ValueError(f"tensor {shown(name)} has the shape {shown(shape)} and other offsets")
    return begin, end, DTYPES[dtype], tuple(shape)


def _counts(values: object) -> bool:
    return isinstance(values, list) and all(type(v) is int and 0 <= v < 1 << 62 for v in values)


def _require_filled(places: Mapping[str, Place], size: int) -> None:
    """Raise ValueError unless the tensors fill the file up to its end, without gap or overlap."""
    at = 0
    for begin, end, *_ in sorted(places.values(), key=lambda place: place[:2]):
        if begin != at:
            raise ValueError(f"its tensors do not follow one another at byte {at:,}")
        at = end
    if at != size:
        raise ValueError(f"its tensors need {at:,} bytes, it has {size:,}")
