"""Read an .npz file: the arrays x and y, or x_train, y_train, x_test, y_test and so on."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from fastsnn.data.files import require_file

PARTS = ("train", "validation", "test")


def read_npz(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """{"train": (x, y), ...}; x (n, features) as uint8 or float32, y (n, targets) as stored."""
    with _open(path) as file:
        names = {name.lower(): name for name in file.files}
        plain = {"x", "y"} <= names.keys()
        if plain == ({"x_train", "y_train"} <= names.keys()):
            raise ValueError(
                f"{path}: must hold either the arrays x and y, or x_train and y_train (with "
                f"x_validation, y_validation, x_test, y_test where wanted), {_holds(file)}"
            )
        parts = {}
        for part in PARTS[:1] if plain else PARTS:
            x, y = ("x", "y") if plain else (f"x_{part}", f"y_{part}")
            if (x in names) != (y in names):
                raise ValueError(f"{path}: needs {x} and {y} together, {_holds(file)}")
            if x in names:
                parts[part] = _features(path, file, names[x]), _targets(path, file, names[y])
                if len(parts[part][0]) != len(parts[part][1]):
                    raise ValueError(
                        f"{path}: {x} and {y} must have as many rows, have "
                        f"{len(parts[part][0])} and {len(parts[part][1])}"
                    )
    widths = {part: x.shape[1] for part, (x, _) in parts.items()}
    if len(set(widths.values())) > 1:
        raise ValueError(f"{path}: all parts must have as many features, have {widths}")
    return parts


def read_npz_features(path: Path) -> np.ndarray:
    """The array x (n, features) as float32."""
    with _open(path) as file:
        names = {name.lower(): name for name in file.files}
        if "x" not in names:
            raise ValueError(f"{path}: must hold the array x, {_holds(file)}")
        return _features(path, file, names["x"]).astype(np.float32, copy=False)


@contextmanager
def _open(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    require_file(path)
    with open(path, "rb") as raw:  # opened here: np.load forgets to close what is no archive
        cause = "no archive, or cut off"
        try:
            archive = None
            if zipfile.is_zipfile(raw):
                raw.seek(0)
                archive = np.load(raw, allow_pickle=False)
        except (zipfile.BadZipFile, EOFError) as error:
            cause = str(error)
        if archive is None:
            raise ValueError(
                f"{path}: must be a complete .npz archive, is not ({cause}); "
                "copy it again, or save it with numpy.savez"
            )
        with archive:
            yield archive


def _array(path, file, name) -> np.ndarray:
    try:
        value = file[name]
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise ValueError(
            f"{path}: {name} cannot be unpacked ({error}); the file is damaged, copy it again"
        ) from error
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise ValueError(
                f"{path}: {name} is not a NumPy array ({error}); save it with numpy.savez"
            ) from error
        raise ValueError(
            f"{path}: {name} is a pickled object array, which is refused because unpickling "
            "can run any program; save it as numbers or text, by x.astype(float) or y.astype(str)"
        ) from error
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biufUS":
        kind = f"dtype {value.dtype}" if isinstance(value, np.ndarray) else "no NumPy array"
        raise ValueError(f"{path}: {name} must be an array of numbers or text, is {kind}")
    if value.ndim == 0 or len(value) == 0:
        raise ValueError(f"{path}: {name} must have at least one row, has shape {value.shape}")
    return value


def _features(path, file, name) -> np.ndarray:
    x = _array(path, file, name)
    if x.dtype.kind in "US" or x.ndim < 2 or x.size == 0:
        raise ValueError(
            f"{path}: {name} must be numbers of shape (rows, features), is {x.dtype} of shape "
            f"{x.shape}; for one feature use x.reshape(-1, 1)"
        )
    x = x.reshape(len(x), math.prod(x.shape[1:]))
    if x.dtype == np.uint8:
        return np.ascontiguousarray(x)
    with np.errstate(over="ignore"):  # what does not fit becomes infinite, which is reported
        x = np.ascontiguousarray(x, dtype=np.float32)
    for row, values in enumerate(x):
        if not np.isfinite(values).all():
            column = int(np.flatnonzero(~np.isfinite(values))[0])
            raise ValueError(
                f"{path}: {name}[{row}, {column}] must be a finite float32 number, is "
                f"{values[column]}; fill or drop missing values"
            )
    return x


def _targets(path, file, name) -> np.ndarray:
    y = _array(path, file, name)
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
    return y.reshape(len(y), -1)


def _holds(file) -> str:
    return f"holds {', '.join(sorted(file.files)) or 'nothing'}"
