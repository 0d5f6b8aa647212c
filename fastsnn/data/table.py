"""A user's own file, .csv, .csv.gz or .npz, to train on, to evaluate on, or to predict for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastsnn.data.csvfile import read_csv
from fastsnn.data.dataset import Split, summary
from fastsnn.data.npzfile import read_npz, read_npz_features
from fastsnn.data.targets import encode, infer_task, parse_column

SUFFIXES = (".csv", ".csv.gz", ".npz")


@dataclass(frozen=True, eq=False)
class Table:
    """A file's content, not yet standardized: x is float32, or uint8 if it was stored so (images).

    A CSV file and an .npz file of x and y have the part `train` only. note: what must be said with
    any result on these data.
    """

    task: str
    train: Split
    validation: Split | None
    test: Split | None
    class_names: tuple[str, ...] | None
    feature_names: tuple[str, ...] | None
    target_names: tuple[str, ...] | None
    note: str | None = None

    __repr__ = summary


def is_table(path: str | Path) -> bool:
    return str(path).lower().endswith(SUFFIXES)


def read_table(
    path: str | Path,
    target: str | int | Sequence[str] | None = None,
    task: str = "auto",
    *,
    class_names: Sequence[str] | None = None,
    feature_names: Sequence[str] | None = None,
    n_features: int | None = None,
) -> Table:
    """Read features and targets.

    Parameters
    ----------
    target : the column of a CSV file to predict: its name, or its index from 0 ("-1" is the last);
        several names or indices joined by commas, or a list of them. The last column by default.
        An .npz file has its targets in y, so there it must be None.
    task : "classification", "multitask", "regression", or "auto": see `targets.infer_task`.
    class_names, feature_names, n_features : a trained model's, to evaluate it. Labels then get the
        model's class numbers, and the columns are taken by name in the model's order.
    """
    path = _checked(path)
    if task == "auto" and class_names:
        task = "classification"
    if path.suffix.lower() == ".npz":
        return _from_npz(path, target, task, class_names, n_features)
    csv = read_csv(path, target, feature_names, n_features)

    def where(row: int | None = None, target: int | None = None) -> str:
        line = "" if row is None else f", line {csv.lines[row]}"
        if target is None:
            return f"{path}{line}"
        return f"{path}{line}, column {csv.target_names[target]!r}"

    columns = [parse_column(cells) for cells in csv.targets]
    task = infer_task(columns, where) if task == "auto" else task
    y, names = encode(columns, task, class_names, where)
    return Table(task, Split(csv.x, y), None, None, names, csv.feature_names, csv.target_names)


def read_features(
    path: str | Path, feature_names: Sequence[str] | None, n_features: int
) -> np.ndarray:
    """The inputs of a prediction as they are in the file: (n, n_features) float32.

    With a CSV header and known feature_names the columns are taken by name in that order, and
    others are ignored; otherwise the number of columns must be n_features. Of .npz: the array x.
    """
    path = _checked(path)
    if path.suffix.lower() != ".npz":
        return read_csv(path, (), feature_names, n_features).x
    x = read_npz_features(path)
    _check_width(path, x, n_features)
    return x


def _from_npz(path, target, task, class_names, n_features) -> Table:
    if target is not None:
        raise ValueError(
            f"{path}: an .npz file has its targets in the array y, got the target {target!r}; "
            "leave the target out"
        )
    splits = {"train": None, "validation": None, "test": None}
    parts = read_npz(path)
    for part, (x, y) in parts.items():

        def where(row: int | None = None, target: int | None = None, part=part) -> str:
            return f"{path}, y of the {part} part" + (
                "" if row is None else f", row {row} (from 0)"
            )

        _check_width(path, x, n_features)
        columns = [
            parse_column(c.tolist()) if c.dtype.kind == "U" else c.astype(np.float64) for c in y.T
        ]
        task = infer_task(columns, where) if task == "auto" else task
        y, names = encode(columns, task, class_names, where)
        class_names = class_names or names  # the other parts must use the classes of the first
        splits[part] = Split(x, y)
    return Table(task, **splits, class_names=names, feature_names=None, target_names=None)


def _checked(path) -> Path:
    if not is_table(path):
        raise ValueError(f"{path}: must be a file ending in {', '.join(SUFFIXES)}")
    return Path(path)


def _check_width(path, x, n_features) -> None:
    if n_features not in (None, x.shape[1]):
        raise ValueError(
            f"{path}: the model needs {n_features} features, x has {x.shape[1]}; "
            "give the features that it was trained with"
        )
