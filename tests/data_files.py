"""Small data files for tests, and the one-line message of a refusal."""

import gzip
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

PLAIN = "a,b,kind\n1,2.5,cat\n-3e1,4,dog\n"


def write_file(folder: Path, content: str | bytes, name="t.csv", encoding="utf-8") -> Path:
    path = folder / name
    data = content if isinstance(content, bytes) else content.encode(encoding)
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def column(values: Iterable) -> str:
    """Write a CSV file with these cells, quoted, as the target y."""
    return "x,y\n" + "".join(f'{i},"{value}"\n' for i, value in enumerate(values))


def save_arrays(folder: Path, **arrays) -> Path:
    np.savez(folder / "t.npz", **arrays)
    return folder / "t.npz"


def message(call, *arguments, **keywords) -> str:
    with pytest.raises(ValueError) as error:
        call(*arguments, **keywords)
    assert "\n" not in str(error.value)
    return str(error.value)
