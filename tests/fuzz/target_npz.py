"""Fuzz target: the NPZ reader. The seeds are stored and deflated archives, whole and damaged."""

import io
import random
from pathlib import Path

import numpy as np
from fuzz.calls import call_all
from fuzz.mutate import zipped

from fastsnn.data import read_features, read_table

SUFFIX = ".npz"


def _archive(save=np.savez, **arrays) -> bytes:
    out = io.BytesIO()
    save(out, **arrays)
    return out.getvalue()


_X = np.arange(8.0).reshape(4, 2)
_Y = np.array([0, 1, 0, 1])
SEEDS: list[bytes] = [
    _archive(x=_X, y=_Y),
    _archive(np.savez_compressed, x=_X.astype("f4"), y=np.array(["a", "b", "007", "1.0"])),
    _archive(x=_X.astype(np.uint8).reshape(4, 2, 1), y=np.array([2**53, 2**53 + 1, 0, 0])),
    _archive(x_train=_X, y_train=_Y, x_test=_X[:2], y_test=_Y[:2]),
    _archive(X=np.asfortranarray(_X).astype("?"), Y=np.array([[0, np.nan]] * 4)),
    _archive(x=_X.astype("f2"), y=np.array([b"u", b"v", b"u", b"v"])),
]


def read(path: Path) -> None:
    """Read the file in every way, see `call_all`."""
    calls = [
        lambda: read_table(path),
        lambda: read_table(path, task="classification", class_names=("0", "1")),
        lambda: read_table(path, task="regression"),
        lambda: read_features(path, None, 2),
    ]
    call_all(calls)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Damage a member (header and data of the array), and repair the archive's checksums."""
    return zipped(data, rng)
