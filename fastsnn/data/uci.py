"""The 121 UCI tasks of the paper (Klambauer et al. 2017), from the authors' archive data_py.zip.

Each task has four folds with given test and validation rows, which are used unchanged. The archive
has the following properties:

* The features are standardized over all rows of their file, including test rows.
* The test folds of most tasks overlap and do not cover all rows.
* 19 tasks have the same test part in all four folds.
* The 100 test rows of annealing are not standardized.
* Copies of the archive may lack some tasks.
"""

from __future__ import annotations

import difflib
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fastsnn.data.cache import keep, kept
from fastsnn.data.download import Progress, cache_folder
from fastsnn.data.files import damage
from fastsnn.data.folds import Folds
from fastsnn.data.locate import File, locate
from fastsnn.data.members import opened, place, read_member
from fastsnn.data.numbers import parse
from fastsnn.data.ucinames import SHAPES

FOLDER, FOLDS = "uci121", 4
# No published checksum is known: a download is verified against the checksums inside the archive,
# and each task against its numbers of rows, features and classes.
ARCHIVE = File("data_py.zip", urls=("http://www.bioinf.jku.at/people/klambauer/data_py.zip",))
PARTS = ("{}_py.dat", "labels_py.dat", "folds_py.dat", "validation_folds_py.dat")
ARRAYS = ("x", "y", "test", "validation")
NUMBER_BYTES = 128  # maximum bytes of a number, twice as many as in the authors' copy
CACHED_FROM = 1 << 20  # bytes of text; parsing less takes no longer than reading a cached file


def load(name: str, progress: Progress | None = None) -> Folds:
    """Return one task, such as "iris" or "uci/iris", with its four folds.

    x is float64 (n, features), y int64 (n,). Raises ValueError if the name is not one of the 121
    tasks or if the copy on this machine lacks the task, RuntimeError if a download failed.
    """
    name = name.removeprefix("uci/")
    if name not in SHAPES:
        near = difflib.get_close_matches(name, SHAPES, n=5, cutoff=0.5)
        hint = "fastsnn.data.uci.SHAPES has all names"
        if near:
            hint = f"similar names: {', '.join(near)}"
        raise ValueError(f"uci/{name}: must be one of the {len(SHAPES)} UCI tasks; {hint}")
    return read(locate(FOLDER, ARCHIVE, progress), name)


def read(path: Path, name: str) -> Folds:
    """Return one of the 121 tasks in an archive.

    Raises ValueError if it is missing, incomplete or damaged.
    """
    with opened(path) as archive:
        members = _members(archive).get(name, {})
        if len(members) < len(PARTS):
            lacking = [part.format(name) for part in PARTS if part.format(name) not in members]
            raise ValueError(
                f"uci/{name}: {path} does not contain its {', '.join(lacking)} (this copy has "
                f"{len(_complete(archive))} of {len(SHAPES)} tasks); download the authors' archive "
                f"from {ARCHIVE.urls[0]}, or choose another task"
            )
        x, labels, test, validation = _arrays(path, archive, members, name)
    return Folds(
        name=f"uci/{name}", x=x, y=labels, test=test, validation=validation,
        class_names=tuple(str(i) for i in range(SHAPES[name].classes)),
    )  # fmt: skip


def names(progress: Progress | None = None) -> list[str]:
    """Return the sorted names of the tasks that are complete in the archive.

    The archive is downloaded if it is not on this machine.
    """
    with opened(locate(FOLDER, ARCHIVE, progress)) as archive:
        return _complete(archive)


def missing(progress: Progress | None = None) -> list[str]:
    """Return the sorted names of the tasks among the 121 that the archive lacks."""
    return sorted(SHAPES.keys() - set(names(progress)))


def _members(archive: zipfile.ZipFile) -> dict[str, dict[str, zipfile.ZipInfo]]:
    """Return {task: {file: member}}, regardless of the folders that contain the task's folder."""
    found: dict[str, dict[str, zipfile.ZipInfo]] = {}
    for info in archive.infolist():
        *_, folder, file = ["", *info.filename.split("/")][-2:]
        if file in {part.format(folder) for part in PARTS}:
            found.setdefault(folder, {})[file] = info
    return found


def _complete(archive: zipfile.ZipFile) -> list[str]:
    have = {name for name, members in _members(archive).items() if len(members) == len(PARTS)}
    return sorted(have & SHAPES.keys())


def _arrays(
    path: Path, archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str
) -> Sequence[np.ndarray]:
    infos = [members[part.format(name)] for part in PARTS]
    cached = None
    if infos[0].file_size >= CACHED_FROM:
        key = "-".join(f"{info.CRC:08x}" for info in infos)  # identifies the content
        cached = cache_folder() / FOLDER / f"{name}-float64-{key}.npz"
        if (stored := kept(cached, ARRAYS)) is not None:
            return tuple(stored.values())
    shape, where = SHAPES[name], f"{path}, {name}"
    wanted = [(shape.rows, shape.features), (shape.rows, 1), *[(shape.rows, FOLDS)] * 2]
    x, labels, test, validation = (
        _numbers(path, archive, info, rows * columns)
        for info, (rows, columns) in zip(infos, wanted, strict=True)
    )
    for part, array, size in zip(PARTS, (x, labels, test, validation), wanted, strict=True):
        if array.shape != size:
            raise ValueError(
                f"{where}: {part.format(name)} must have {size[0]} rows of {size[1]} numbers, has "
                f"{array.shape[0]} of {array.shape[1]}; copy or download the archive again"
            )
    if not np.isin(labels, np.arange(shape.classes)).all():
        raise ValueError(f"{where}: labels must be 0 to {shape.classes - 1}, one is not")
    if not (np.isin(test, (0, 1)).all() and np.isin(validation, (0, 1)).all()):
        raise ValueError(f"{where}: folds must be 0 or 1, one is not")
    if not np.isfinite(x).all():
        raise ValueError(f"{where}: features must be finite numbers, one is not")
    arrays = x, labels[:, 0].astype(np.int64), test == 1, validation == 1
    if cached is not None:
        keep(cached, dict(zip(ARRAYS, arrays, strict=True)))
    return arrays


def _numbers(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo, count: int) -> np.ndarray:
    text = read_member(archive, info, path, NUMBER_BYTES * (count + 1))
    advice = "copy or download the archive again"
    with damage(place(path, info), "must hold lines of numbers joined by commas", advice):
        return parse(text)
