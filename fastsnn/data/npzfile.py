"""Read an .npz file with the arrays x and y, or x_train and y_train and optionally other parts."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from fastsnn.checks.scalars import listed
from fastsnn.data.files import brief, require_file
from fastsnn.data.npzmember import read_member
from fastsnn.tables.cells import LARGEST

PARTS = ("train", "validation", "test")
WANTED = ("x", "y", *(f"{array}_{part}" for part in PARTS for array in "xy"))
BLOCK = 1024  # rows checked per pass


def read_npz(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return {"train": (x, y), ...} with the parts that the file contains.

    x is (n, features); further dimensions are flattened. uint8 stays uint8, types that float32
    represents exactly (float16, bool, integers of 8 and 16 bits) become float32, all others
    float64. y is (n, targets) with the stored dtype.

    Raises ValueError for missing or extra arrays, mismatched shapes, and features that are not
    finite in float32.
    """
    with _open(path) as file:
        names = file.arrays
        single = {"x", "y"} <= names.keys()
        if single == ({"x_train", "y_train"} <= names.keys()):
            raise ValueError(
                f"{path}: must hold either the arrays x and y, or x_train and y_train (and "
                f"optionally x_validation, y_validation, x_test, y_test), {file.holds()}"
            )
        parts = {}
        for part in PARTS[:1] if single else PARTS:
            x, y = ("x", "y") if single else (f"x_{part}", f"y_{part}")
            if (x in names) != (y in names):
                raise ValueError(f"{path}: must hold both {x} and {y} or neither, {file.holds()}")
            if x in names:
                parts[part] = _features(path, file, x), _targets(path, file, y)
                if len(parts[part][0]) != len(parts[part][1]):
                    raise ValueError(
                        f"{path}: {x} and {y} must have the same number of rows, have "
                        f"{len(parts[part][0])} and {len(parts[part][1])}"
                    )
    widths = {part: x.shape[1] for part, (x, _) in parts.items()}
    if len(set(widths.values())) > 1:
        raise ValueError(f"{path}: all parts must have the same number of features, have {widths}")
    return parts


def read_npz_features(path: Path) -> np.ndarray:
    """Return the array x, (n, features), with a dtype as in `read_npz`.

    Raises ValueError if it is missing or not finite in float32.
    """
    with _open(path) as file:
        if "x" not in file.arrays:
            raise ValueError(f"{path}: must hold the array x, {file.holds()}")
        return _features(path, file, "x")


class _Archive:
    """Open archive. arrays: lower-case name -> member."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path, self.archive = path, archive
        self.arrays: dict[str, zipfile.ZipInfo] = {}
        self.names = [info.filename.removesuffix(".npy") for info in archive.infolist()]
        for name, info in zip(self.names, archive.infolist(), strict=True):
            if name.lower() in self.arrays and name.lower() in WANTED:
                raise ValueError(f"{path}: must hold {name.lower()} once, {self.holds()}")
            self.arrays[name.lower()] = info

    def __getitem__(self, name: str) -> np.ndarray:
        return read_member(self.path, self.archive, self.arrays[name])

    def holds(self) -> str:
        """Return a list of the arrays, for errors."""
        names = sorted(self.names)
        if all(len(name) < 40 and name.isprintable() for name in names[:10]) and len(names) <= 10:
            return f"holds {', '.join(names) or 'nothing'}"
        return f"holds {listed(names)}"


@contextmanager
def _open(path: Path) -> Iterator[_Archive]:
    require_file(path)
    with open(path, "rb") as raw:
        try:
            archive = zipfile.ZipFile(raw)
        except MemoryError:
            raise
        except Exception as error:  # zipfile can raise nearly any exception for damaged bytes
            raise ValueError(
                f"{path}: must be a complete .npz archive, is not ({brief(error)}); "
                "copy it again, or save it with numpy.savez"
            ) from error
        with archive:
            yield _Archive(path, archive)


def _features(path: Path, file: _Archive, name: str) -> np.ndarray:
    x = file[name]
    if x.dtype.kind in "US" or x.ndim < 2 or x.size == 0:
        raise ValueError(
            f"{path}: {name} must be numbers of shape (rows, features), is {x.dtype} of shape "
            f"{x.shape}; for one feature use x.reshape(-1, 1)"
        )
    x = x.reshape(len(x), math.prod(x.shape[1:]))
    if x.dtype == np.uint8:
        return np.ascontiguousarray(x)
    x = np.ascontiguousarray(x, dtype=np.result_type(x.dtype, np.float32))
    for start in range(0, len(x), BLOCK):
        good = np.abs(x[start : start + BLOCK]) <= LARGEST  # False for NaN
        if not good.all():
            row, column = np.argwhere(~good)[0]
            raise ValueError(
                f"{path}: {name}[{start + row}, {column}] must be a finite float32 number, is "
                f"{x[start + row, column]}; fill in or drop missing values"
            )
    return x


def _targets(path: Path, file: _Archive, name: str) -> np.ndarray:
    y = file[name]
    if y.ndim > 2 or y.size == 0:
        raise ValueError(
            f"{path}: {name} must have the shape (rows,) or (rows, targets), has {y.shape}"
        )
    if y.dtype.kind == "S":
        try:
            y = np.char.decode(y, "utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{path}: the text in {name} must be UTF-8, is not ({error})"
            ) from error
    if y.dtype.kind == "U":  # NumPy stores any 32 bits as a character, but str() of some fails
        codes = np.ascontiguousarray(y).view(np.dtype("u4").newbyteorder(y.dtype.byteorder))
        if ((codes > 0x10FFFF) | ((codes >= 0xD800) & (codes <= 0xDFFF))).any():
            raise ValueError(
                f"{path}: the text in {name} must be Unicode, a character is not; the file is "
                "damaged, copy it again"
            )
    return y.reshape(len(y), -1)
