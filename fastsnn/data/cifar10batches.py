"""Reader of the original CIFAR-10 archives: six batches, binary or as Python pickles.

Unpickling can run arbitrary code. The Python version is therefore read by a restricted unpickler.
It accepts the three names that a pickled NumPy array refers to, and replaces them with dummies; any
other name raises an error, so no function of NumPy or of another module is called. It derives from
the pure Python unpickler, because six bytes can make the C version allocate 64 GB for its memo.
"""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fastsnn.data.files import brief, damage, limited, require_file

ROWS, PIXELS = 10_000, 3072  # images per batch; values per image: 32 x 32 red, green and blue
TRAIN = tuple(f"data_batch_{i}" for i in range(1, 6))
TEST = ("test_batch",)


def read(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return (training images, labels, test images, labels): uint8 (n, 3072) and int64 (n,)."""
    decode = _binary if "binary" in path.name else _pickled
    batches, most = {}, 2 * ROWS * (1 + PIXELS)
    with damage(path, "must be the complete original archive of CIFAR-10"):
        for name, size, file in members(path, 10 * most):
            name = name.rsplit("/", 1)[-1].removesuffix(".bin")
            if name in (*TRAIN, *TEST):
                if size > most:
                    raise ValueError(f"{name} must have at most {most:,} bytes, has {size:,}")
                batches[name] = decode(file().read())
        lost = [name for name in (*TRAIN, *TEST) if name not in batches]
        if lost:
            raise ValueError(f"lacks {', '.join(lost)}")
    train_x, train_y, test_x, test_y = (
        np.concatenate([batches[name][i] for name in names])
        for names in (TRAIN, TEST)
        for i in (0, 1)
    )
    return train_x, train_y, test_x, test_y


def members(path: Path, most: int) -> Iterator[tuple[str, int, Callable[[], Any]]]:
    """Yield (name, size, function that opens it) for each file in a .tar.gz archive.

    Files are yielded in archive order, so that nothing is decompressed twice. most: maximum
    uncompressed bytes of the archive.
    """
    require_file(path)
    with (
        gzip.open(path) as packed,
        tarfile.open(fileobj=limited(packed, most, path), mode="r|") as archive,
    ):
        for member in archive:
            if member.isfile():
                yield member.name, member.size, partial(archive.extractfile, member)


def _binary(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    if len(data) != ROWS * (1 + PIXELS):
        raise ValueError(f"a batch must have {ROWS * (1 + PIXELS)} bytes, has {len(data)}")
    rows = np.frombuffer(data, np.uint8).reshape(ROWS, 1 + PIXELS)
    return _checked(rows[:, 1:], rows[:, 0])


def _pickled(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    try:
        batch = _Unpickler(io.BytesIO(data), encoding="bytes").load()
        version, shape, dtype, fortran, content = batch[b"data"].state
        if shape != (ROWS, PIXELS) or dtype.kind not in (b"u1", "u1") or fortran is not False:
            raise ValueError(f"data must be ({ROWS}, {PIXELS}) bytes, is {brief(shape, 60)}")
        images = np.frombuffer(content, np.uint8).reshape(shape)
        return _checked(images, np.array(batch[b"labels"], np.uint8))
    except _Refused:
        raise
    except Exception as error:  # a damaged pickle can raise any exception
        raise ValueError(f"a batch is damaged: {type(error).__name__}: {brief(error)}") from error


def _checked(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if labels.shape != (ROWS,) or labels.max() > 9:
        raise ValueError(f"a batch must have {ROWS} labels 0..9")
    return images, labels.astype(np.int64)


class _Refused(ValueError):
    """The pickle refers to a name that is not in _KNOWN."""


class _Dummy:
    """Stand-in for a NumPy array or dtype that stores the state from the pickle."""

    def __init__(self, kind: object = None) -> None:
        self.kind = kind
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state


# Functions, not classes: a pickle could replace the methods of a class.
_KNOWN = {
    ("numpy.core.multiarray", "_reconstruct"): lambda *arguments: _Dummy(),
    ("numpy", "ndarray"): None,
    ("numpy", "dtype"): lambda kind, *arguments: _Dummy(kind),
}


def _no_bytearray(unpickler: object) -> None:
    raise ValueError("it has a bytearray, whose memory is allocated before its bytes are read")


class _Unpickler(pickle._Unpickler):
    dispatch = pickle._Unpickler.dispatch | {pickle.BYTEARRAY8[0]: _no_bytearray}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise _Refused(
                f"a batch refers to {brief(f'{module}.{name}', 60)}, which is refused: unpickling "
                "it could run arbitrary code"
            )
        return _KNOWN[module, name]
