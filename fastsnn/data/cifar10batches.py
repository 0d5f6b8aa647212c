"""The original forms of CIFAR-10: an archive of six batches, binary or as Python pickles.

A pickle is a program, and unpickling runs it. So the batches in the Python form are read by an
unpickler that knows three names - those that an array of NumPy needs - and puts dummies of its own
in their places; any other name is refused, and nothing of NumPy or of anything else is ever called.
It is the unpickler in Python: six bytes can make the one in C allocate 64 GB for its memo.
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

ROWS, PIXELS = 10_000, 3072  # of a batch, of an image: 32 x 32 values of red, of green, of blue
TRAIN = tuple(f"data_batch_{i}" for i in range(1, 6))
TEST = ("test_batch",)


def read(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(training images, labels, test images, labels): (n, 3072) uint8 and (n,) int64."""
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
    """(name, size, function that opens it) of each file in a .tar.gz, which may have at most `most`
    bytes unpacked. They come in the order of the archive, so that nothing is unpacked twice.
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
    except Exception as error:  # a damaged pickle fails in any way that objects can
        raise ValueError(f"a batch is damaged: {type(error).__name__}: {brief(error)}") from error


def _checked(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if labels.shape != (ROWS,) or labels.max() > 9:
        raise ValueError(f"a batch must have {ROWS} labels 0..9")
    return images, labels.astype(np.int64)


class _Refused(ValueError):
    pass


class _Dummy:
    """In the place of a NumPy array or dtype: keeps what the pickle gives it, and does nothing."""

    def __init__(self, kind: object = None) -> None:
        self.kind = kind
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state


# Functions, not classes: a pickle could give a class other methods.
_KNOWN = {
    ("numpy.core.multiarray", "_reconstruct"): lambda *arguments: _Dummy(),
    ("numpy", "ndarray"): None,
    ("numpy", "dtype"): lambda kind, *arguments: _Dummy(kind),
}


def _no_bytearray(unpickler: object) -> None:
    raise ValueError("it has a bytearray, for which memory is allocated before its bytes are read")


class _Unpickler(pickle._Unpickler):
    dispatch = pickle._Unpickler.dispatch | {pickle.BYTEARRAY8[0]: _no_bytearray}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise _Refused(
                f"a batch asks for {brief(f'{module}.{name}', 60)}, which is refused: unpickling "
                "it could run any program"
            )
        return _KNOWN[module, name]
