"""Model files: safetensors with a JSON description. Never pickle; replaced atomically.

Tensors are named as in `state_dict`; "inputs.mean", "inputs.scale", "targets.mean", "targets.scale"
are the standardization; "trainer.*" is what a resumed training needs. The metadata entry "fastsnn"
is JSON, with a checksum in it, for safetensors itself has none.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from safetensors.numpy import save as to_bytes

from fastsnn.checks.scalars import shown
from fastsnn.layers import Layer, describe
from fastsnn.storage import description as described
from fastsnn.storage import files, tensorfile
from fastsnn.version import __version__

FORMAT, KEY = 1, "fastsnn"


def write(
    path: str | os.PathLike[str],
    layers: Sequence[Layer],
    sizes: tuple[int, int],
    arrays: Mapping[str, np.ndarray],
    more: Mapping[str, Any],
) -> None:
    """Write a network and what belongs to it.

    sizes: of the input and of the output. arrays: the tensors, in the order in which they are
    stored. more: entries of the description besides version, input size and layers.

    Raises, before anything is written, FloatingPointError for NaN and infinity, and ValueError or
    TypeError for what could not be read again; RuntimeError where the machine refuses.
    """
    description: dict[str, Any] = {
        "format": FORMAT,
        "version": __version__,
        "input_size": sizes[0],
        "layers": [describe(layer) for layer in layers],
        **more,
    }
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    _require_readable(path, description, arrays, sizes)
    # One entry: safetensors writes several in any order, and equal models shall be equal files.
    description["crc32"] = checksum(description, arrays)
    text = json.dumps(description)
    if 2 * len(text) > tensorfile.MOST_HEADER:  # quotes get a backslash in the header
        raise ValueError(
            f"{path}: nothing was written: names and history have {len(text):,} letters, a file "
            f"holds at most {tensorfile.MOST_HEADER // 2:,}; train fewer epochs"
        )
    files.replace(path, to_bytes(arrays, metadata={KEY: text}))


def read(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(tensors, description) of a file. Raises ValueError for a file that is none of ours, damaged
    or of a newer format; RuntimeError where it cannot be read.
    """
    file, path = path, printable(path)
    if not os.path.isfile(file):
        raise ValueError(
            f"{path}: there is no such file; `fastsnn train --out DIR` writes model files"
        )
    try:
        text, tensors = tensorfile.read(file, KEY)
    except OSError as error:
        raise RuntimeError(f"{path}: it could not be read ({error.strerror or error})") from error
    except ValueError as error:
        raise ValueError(
            f"{path}: a safetensors file is required, and this one is damaged or something "
            f"else ({error}); take an earlier copy or train again"
        ) from error
    if text is None:
        raise ValueError(
            f"{path}: a model file of fastsnn is required; this one was written by another program"
        )
    damaged = f"{path}: it is damaged ({{}}); take an earlier copy or train again"
    try:
        description = tensorfile.parse(text)
        if not isinstance(description, dict) or type(description.get("format")) is not int:
            raise ValueError("its description has no format")
        crc = description.pop("crc32", None)
        found = checksum(description, tensors)
    except (ValueError, RecursionError) as error:
        raise ValueError(damaged.format(shown(str(error)).strip("'"))) from error
    if description["format"] != FORMAT:
        raise ValueError(
            f"{path}: format {FORMAT} is required, got {shown(description['format'])}; it was "
            f"written by fastsnn {str(description.get('version'))[:20]}: use that version"
        )
    if crc != found:
        raise ValueError(damaged.format("its checksum is wrong"))
    return tensors, description


@contextmanager
def fitting(path: str) -> Iterator[None]:
    """Turn errors about contradictory content into one ValueError that names the file."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: its description and its tensors do not fit together ({error}); take an "
            "earlier copy or train again"
        ) from error


def printable(path: str | os.PathLike[str]) -> str:
    """The path as one printable line, for messages."""
    name = os.fsdecode(path)
    return name if name.isprintable() else shown(name)


def checksum(description: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> str:
    """CRC-32 of the description and of the tensors with their names, types and shapes."""
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
    """Raise an error for anything that `read` or its callers would refuse, so that the previous
    file is kept.
    """
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
