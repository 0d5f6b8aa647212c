"""Read CSV and NPZ files for training, evaluation and prediction."""

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
from fastsnn.tables import reader

TEXT = (".csv", ".tsv", ".txt", ".data")  # all are read by the same rules, with any delimiter
SUFFIXES = (*TEXT, *(f"{end}.gz" for end in TEXT), ".npz")
ENDINGS = f"{', '.join(TEXT)} (or these with .gz), .npz"
# Files that `fastsnn.data.load` reads with DuckDB.
MORE = (*(f"{end}.zst" for end in TEXT), *reader.PARQUET, *reader.JSON)


@dataclass(frozen=True, eq=False)
class Table:
    """Content of a file or a named data set, not standardized.

    Attributes
    ----------
    task : {"classification", "multitask", "regression"}
        Task that the targets define.
    train : Split
        Training part. x is (n, features): uint8 if it is stored as uint8 (images), float32 if an
        .npz file stores a dtype that float32 represents exactly, float64 otherwise. y is int64 (n,)
        for classification, float32 (n, tasks) for multitask, float64 (n, targets) for regression.
        Multitask labels are 0, 1 or NaN (missing label).
    validation : Split or None
        Validation part, with the same dtypes. None if there is none, as for CSV files and for .npz
        files with x and y only.
    test : Split or None
        Test part, with the same dtypes; None as for `validation`.
    class_names : tuple of str or None
        Name of each class, in the order of the class numbers; None for other tasks.
    feature_names : tuple of str or None
        Names from the header; None without a header.
    target_names : tuple of str or None
        Names from the header, or column indices without one; None for an .npz file.
    note : str or None
        Caveat that applies to any result on these data.
    found : str or None
        Description of what was detected in a user's file: header and delimiter (CSV), and the
        task with the reason if it was inferred. None for a named data set, and for an .npz file
        whose task was given.
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
    """Return True if the name of a file ends like a table that fastsnn reads."""
    return str(path).lower().endswith((*SUFFIXES, *MORE))


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
    """Read the features and targets of a CSV or NPZ file, without standardizing them.

    Parameters
    ----------
    path : str or path
        A file whose name ends in .csv, .tsv, .txt, .data, one of these with .gz, or .npz. CSV
        files must be UTF-8; the delimiter (comma, semicolon or tab) is detected. Every feature must
        be a finite number within the range of float32.
    target : str, int or list, optional
        Target column of a CSV file: its name, or its index in [-columns, columns). Several targets
        are a list of these, or one comma-separated string. The last column by default. Must be None
        for an NPZ file, whose targets are the array y.
    task : {"auto", "classification", "multitask", "regression"}
        "auto" infers the task from the targets, see `targets.infer_task`.
    header : bool, optional
        True if line 1 of a CSV file contains the column names. By default this is detected by the
        rule in `fastsnn.data.header`. Must be None for an NPZ file.
    class_names : sequence of str, optional
        Class names of a model; labels are converted to their positions in it. By default the names
        are collected from the file.
    feature_names : sequence of str, optional
        Feature names of a model. If the file has a header, these columns are selected in this order
        and other columns are ignored.
    n_features : int, optional
        Required number of features; any number by default.
    unclear : bool, optional
        Value of `header` to use if detection is ambiguous. By default an ambiguous line 1 raises
        ValueError.

    Returns
    -------
    Table
        x is uint8, float32 or float64 (n, features); y depends on the task, see `Table`.

    Raises
    ------
    ValueError
        An argument or the content of the file is invalid. The message names the file, line and
        column.
    TypeError
        `target` has an invalid type.
    FileNotFoundError
        The file does not exist.
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
    """Read the features of a CSV or NPZ file for prediction, without standardizing them.

    Parameters
    ----------
    path : str or path
        A file as in `read_table`. For an NPZ file, the array x is read.
    feature_names : sequence of str or None
        Feature names of a model. If the file has a header, these columns are selected in this order
        and other columns are ignored. If None, or without a header, the file must have exactly
        `n_features` columns.
    n_features : int
        Number of features of the model.
    header, unclear : bool, optional
        As in `read_table`.

    Returns
    -------
    numpy.ndarray
        (n, n_features) as in the file: float64 for CSV; uint8, float32 or float64 for NPZ.

    Raises
    ------
    ValueError
        The content of the file is invalid, or the number of features differs.
    FileNotFoundError
        The file does not exist.
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
    """Return (task, its reason for `Table.found`)."""
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
            f"{path}: the targets of an .npz file are its array y, got the target "
            f"{shown(str(target))}; leave the target out"
        )
    splits: dict[str, Split] = {}
    found = ""
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
        found = found or reason.removeprefix("; ")
    return Table(
        task, splits["train"], splits.get("validation"), splits.get("test"),
        class_names=names, feature_names=None, target_names=None, found=found or None,
    )  # fmt: skip


def _checked(path: str | Path) -> Path:
    if not str(path).lower().endswith(SUFFIXES):
        more = "; fastsnn.data.load reads it" if is_table(path) else ""
        raise ValueError(f"{path}: must be a file ending in {ENDINGS}{more}")
    return Path(path)


def require_no_header(path: str | Path, header: bool | None) -> None:
    """Raise ValueError if `header` is given for a file that is not CSV."""
    if header is not None:
        raise ValueError(f"{path}: header applies only to CSV files, got {header}; leave it out")


def _check_width(path: Path, x: np.ndarray, n_features: int | None) -> None:
    if n_features not in (None, x.shape[1]):
        raise ValueError(
            f"{path}: the model needs {n_features} features, x has {x.shape[1]}; "
            "give the features that it was trained with"
        )
