"""A user's own file, CSV or NPZ, to train on, to evaluate on, or to predict for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastsnn.checks.scalars import shown
from fastsnn.data.columns import Target, target_names
from fastsnn.data.csvfile import Expected, read_csv
from fastsnn.data.dataset import Split, summary
from fastsnn.data.npzfile import read_npz, read_npz_features
from fastsnn.data.targets import Column, Where, encode, infer_task

TEXT = (".csv", ".tsv", ".txt", ".data")  # all read by the same rules, whatever the delimiter
SUFFIXES = (*TEXT, *(f"{end}.gz" for end in TEXT), ".npz")
ENDINGS = f"{', '.join(TEXT)} (or these with .gz), .npz"


@dataclass(frozen=True, eq=False)
class Table:
    """A file's content, not yet standardized.

    x is float64 (float32 if an NPZ file has it), or uint8 if it is stored so (images);
    y as of `targets.encode`. A CSV file and an NPZ file of x and y have the part `train` only.
    note: what must be said with any result on these data. found: what a reader found in a user's
    file: header, delimiter, the task and its reason.
    """

    task: str
    train: Split
    validation: Split | None
    test: Split | None
    class_names: tuple[str, ...] | None
    feature_names: tuple[str, ...] | None
    target_names: tuple[str, ...] | None
    note: str | None = None
    found: str | None = None

    __repr__ = summary


def is_table(path: str | Path) -> bool:
    return str(path).lower().endswith(SUFFIXES)


def read_table(
    path: str | Path,
    target: Target = None,
    task: str = "auto",
    *,
    header: bool | None = None,
    class_names: Sequence[str] | None = None,
    feature_names: Sequence[str] | None = None,
    n_features: int | None = None,
    unclear: bool | None = None,
) -> Table:
    """Read features and targets.

    Parameters
    ----------
    target : the column of a CSV file to predict: its name, or its index from 0 ("-1" is the last);
        several names or indices joined by commas, or a list of them. The last column by default.
        An NPZ file has its targets in y, so there it must be None.
    task : "classification", "multitask", "regression", or "auto": see `targets.infer_task`.
    header : whether line 1 of a CSV file holds the names of the columns; None: decide by its
        content, see `fastsnn.data.header`.
    class_names, feature_names, n_features : a trained model's, to evaluate it. Labels then get the
        model's class numbers, and the columns are taken by name in the model's order.
    unclear : the value of `header` if the content of line 1 does not decide; None refuses such
        files.
    """
    path = _checked(path)
    if task == "auto" and class_names:
        task = "classification"
    if path.suffix.lower() == ".npz":
        require_no_header(path, header)
        return _from_npz(path, target, task, class_names, n_features)
    expected = Expected(header, unclear, feature_names, n_features, class_names)
    csv = read_csv(path, target, expected)

    def where(row: int | None = None, target: int | None = None) -> str:
        line = "" if row is None else f", line {csv.lines[row]}"
        if target is None:
            return f"{path}{line}"
        return f"{path}{line}, column {shown(csv.target_names[target])}"

    columns = [Column.of(cells) for cells in csv.targets]
    task, reason = _task(columns, task, where)
    y, names = encode(columns, task, class_names, where)
    return Table(
        task, Split(csv.x, y), None, None, names, csv.feature_names, csv.target_names,
        found=csv.found + reason,
    )  # fmt: skip


def read_features(
    path: str | Path,
    feature_names: Sequence[str] | None,
    n_features: int,
    header: bool | None = None,
    unclear: bool | None = None,
) -> np.ndarray:
    """The inputs of a prediction as they are in the file: (n, n_features), of a dtype of `Table.x`.

    With a CSV header and known feature_names the columns are taken by name in that order, and
    others are ignored; otherwise the number of columns must be n_features. Of NPZ: the array x.
    header, unclear: as of `read_table`.
    """
    path = _checked(path)
    if path.suffix.lower() != ".npz":
        expected = Expected(header, unclear, feature_names, n_features)
        return read_csv(path, expected=expected, labelled=False).x
    require_no_header(path, header)
    x = read_npz_features(path)
    _check_width(path, x, n_features)
    return x


def _task(columns: Sequence[Column], task: str, where: Where) -> tuple[str, str]:
    """(task, its reason for `Table.found`)"""
    if task != "auto":
        return task, ""
    task, reason = infer_task(columns, where)
    return task, f"; {task}: {reason}"


def _from_npz(
    path: Path, target: Target, task: str, class_names: Sequence[str] | None, n_features: int | None
) -> Table:
    if target is not None:
        target_names(target)  # raises for an invalid target
        raise ValueError(
            f"{path}: an .npz file has its targets in the array y, got the target "
            f"{shown(str(target))}; leave the target out"
        )
    splits: dict[str, Split] = {}
    said = ""
    for part, (x, y) in read_npz(path).items():

        def where(row: int | None = None, target: int | None = None, part: str = part) -> str:
            return f"{path}, y of the {part} part" + (
                "" if row is None else f", row {row} (from 0)"
            )

        _check_width(path, x, n_features)
        columns = [Column.of(c.tolist() if c.dtype.kind == "U" else c) for c in y.T]
        task, reason = _task(columns, task, where)
        y, names = encode(columns, task, class_names, where)
        class_names = class_names or names  # the other parts must use the classes of the first
        splits[part] = Split(x, y)
        said = said or reason.removeprefix("; ")
    return Table(
        task, splits["train"], splits.get("validation"), splits.get("test"),
        class_names=names, feature_names=None, target_names=None, found=said or None,
    )  # fmt: skip


def _checked(path: str | Path) -> Path:
    if not is_table(path):
        raise ValueError(f"{path}: must be a file ending in {ENDINGS}")
    return Path(path)


def require_no_header(path: str | Path, header: bool | None) -> None:
    """Raise ValueError where `header` is given for data that have none."""
    if header is not None:
        raise ValueError(f"{path}: header is for a CSV file, got {header}; leave it out")


def _check_width(path: Path, x: np.ndarray, n_features: int | None) -> None:
    if n_features not in (None, x.shape[1]):
        raise ValueError(
            f"{path}: the model needs {n_features} features, x has {x.shape[1]}; "
            "give the features that it was trained with"
        )
