"""Model files: safetensors with a JSON description. Never pickle; replaced atomically.

Tensors are named as in `state_dict`. "inputs.mean", "inputs.scale", "targets.mean" and
"targets.scale" are the standardization, and "trainer.*" the state to resume a training. Tensors of
the further networks of an ensemble have the prefix "member.1.", "member.2.", ... The metadata entry
"fastsnn" is the JSON description, which includes a CRC-32 checksum, because safetensors itself has
none.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from safetensors.numpy import save as to_bytes

from fastsnn.checks.scalars import shown
from fastsnn.layers import Layer, describe
from fastsnn.storage import description as described
from fastsnn.storage import files, tensorfile
from fastsnn.version import __version__

KEY = "fastsnn"
FORMAT = 2  # newest format; format 1 lacks the entries of NEWER
NEWER = ("recipe", "log_target", "members")


def write(
    path: str | os.PathLike[str],
    layers: Sequence[Layer],
    sizes: tuple[int, int],
    arrays: Mapping[str, np.ndarray],
    more: Mapping[str, Any],
) -> None:
    """Write a model file.

    Parameters
    ----------
    path : str or path
        The file; an existing one is replaced atomically.
    layers : sequence of Layer
        Layers of the network.
    sizes : (int, int)
        Input and output size of the network.
    arrays : dict
        Name -> tensor, float32 or float64, in the order in which they are stored.
    more : dict
        Entries of the description in addition to format, version, input size and layers.

    Raises
    ------
    FloatingPointError
        A tensor contains NaN or infinity.
    ValueError, TypeError
        The content is inconsistent or too large, so that `read` would reject it.
    RuntimeError
        The file could not be written. In all cases the previous file is kept.
    """
    files.replace(path, content(path, layers, sizes, arrays, more))


def content(
    path: str | os.PathLike[str],
    layers: Sequence[Layer],
    sizes: tuple[int, int],
    arrays: Mapping[str, np.ndarray],
    more: Mapping[str, Any],
) -> bytes:
    """Return the bytes that `write` writes. path: a name for errors. Raises its other errors."""
    description: dict[str, Any] = {
        "format": FORMAT if any(more.get(name) for name in NEWER) else 1,
        "version": __version__,
        "input_size": sizes[0],
        "layers": [describe(layer) for layer in layers],
        **more,
    }
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    _require_readable(path, description, arrays, sizes)
    # A single entry, because safetensors writes several in any order; equal models are equal files.
    description["crc32"] = checksum(description, arrays)
    text = json.dumps(description)
    if 2 * len(text) > tensorfile.MOST_HEADER:  # quotes get a backslash in the header
        raise ValueError(
            f"{path}: nothing was written: names and history have {len(text):,} characters, at "
            f"most {tensorfile.MOST_HEADER // 2:,} are supported; train fewer epochs"
        )
    return to_bytes(arrays, metadata={KEY: text})


def read(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return (tensors, description) of a model file.

    Raises ValueError if the file does not exist, was written by another program, is damaged or has
    another format version; RuntimeError if it cannot be read.
    """
    file, path = path, printable(path)
    if not os.path.isfile(file):
        raise ValueError(f"{path}: no such file; `fastsnn train --out DIR` writes model files")
    try:
        return _checked(path, lambda: tensorfile.read(file, KEY))
    except OSError as error:
        raise RuntimeError(f"{path}: could not be read ({error.strerror or error})") from error


def parse(name: str, content: bytes) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return `read` of a file with this content. name: for errors, which are ValueErrors."""
    return _checked(name, lambda: tensorfile.from_bytes(content, KEY))


def _checked(
    path: str, read: Callable[[], tuple[str | None, dict[str, np.ndarray]]]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    try:
        text, tensors = read()
    except ValueError as error:
        raise ValueError(
            f"{path}: a safetensors file is required, and this one is damaged or of another "
            f"type ({error}); use an earlier copy or train again"
        ) from error
    if text is None:
        raise ValueError(
            f"{path}: a model file of fastsnn is required, this one was written by another program"
        )
    damaged = f"{path}: the file is damaged ({{}}); use an earlier copy or train again"
    try:
        description = tensorfile.parse(text)
        if not isinstance(description, dict) or type(description.get("format")) is not int:
            raise ValueError("its description has no format")
        crc = description.pop("crc32", None)
        found = checksum(description, tensors)
    except (ValueError, RecursionError) as error:
        raise ValueError(damaged.format(shown(str(error)).strip("'"))) from error
    if not 1 <= description["format"] <= FORMAT:
        raise ValueError(
            f"{path}: format 1 or {FORMAT} is required, got {shown(description['format'])}; it was "
            f"written by fastsnn {str(description.get('version'))[:20]}: use that version"
        )
    if crc != found:
        raise ValueError(damaged.format("its checksum is wrong"))
    return tensors, description


@contextmanager
def fitting(path: str) -> Iterator[None]:
    """Convert errors about inconsistent content to a ValueError that names the file."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: its description and its tensors are inconsistent ({error}); use an "
            "earlier copy or train again"
        ) from error


def printable(path: str | os.PathLike[str]) -> str:
    """Return the path as one printable line, for messages."""
    name = os.fsdecode(path)
    return name if name.isprintable() else shown(name)


def checksum(description: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> str:
    """Return the CRC-32 of the description and of the tensors' names, dtypes, shapes and bytes."""
    crc = zlib.crc32(json.dumps(description).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        crc = zlib.crc32(f"{name} {tensor.dtype} {tensor.shape}".encode(), crc)
        crc = zlib.crc32(tensor.data, crc)
    return f"{crc:08x}"


def _require_readable(
    path: str | os.PathLike[str],
    description: dict[str, Any],
    arrays: dict[str, np.ndarray],
    sizes: tuple[int, int],
) -> None:
    """Raise an error for content that `read` or its callers would reject."""
    name = described.not_finite(arrays)
    if name is not None:
        raise FloatingPointError(
            f"{path}: finite numbers are required, {name} has NaN or infinity; nothing was "
            "written, and the previous file, if any, is kept; train with a smaller learning rate"
        )
    try:
        if "task" in description:
            described.model(description, arrays, sizes)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{path}: nothing was written: {error}") from error
