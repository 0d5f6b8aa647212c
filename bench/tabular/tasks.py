"""The tasks: raw tables and UCI tasks, read without a data frame library, and their folds."""

from __future__ import annotations

import csv
import functools
import gzip
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fastsnn.data import uci
from fastsnn.data.download import cache_folder
from fastsnn.data.locate import find
from fastsnn.data.ucinames import SHAPES

FOLDER = "tables"  # below $FASTSNN_DATA
SEED = 0  # of subsamples, folds and the draw of UCI tasks
UCI_TASKS, UCI_ROWS = 30, (100, 5000)  # drawn by default; rows of such tasks, at least and at most
UCI = "uci"  # as a name: the drawn tasks


class Source(NamedTuple):
    """File, target column and task of a raw table."""

    file: str
    target: str
    task: str


TABLES = {
    "hitters": Source("hitters.csv.gz", "Salary", "regression"),
    "ames": Source("ames.csv.gz", "Sale_Price", "regression"),
    "credit": Source("credit.csv.gz", "Status", "classification"),
    "telco_churn": Source("telco_churn.csv.gz", "churn", "classification"),
    "diamonds": Source("diamonds.csv.gz", "price", "regression"),
    "flights-delay": Source("flights.csv.gz", "arr_delay", "regression"),
    "flights-carrier": Source("flights.csv.gz", "carrier", "classification"),
}


@dataclass(frozen=True, eq=False)
class Task:
    """One task of n rows and its folds.

    Attributes
    ----------
    name, task : str
        `task` is "classification" or "regression".
    columns : dict or None
        Columns as in the file, in the form of `fastsnn.tables.Columns`; None for a UCI task.
    x : numpy.ndarray
        (n, d) float64: numbers, dates in days, categories as codes; NaN is a missing value.
    categorical : tuple of int
        Columns of `x` that hold codes.
    y : numpy.ndarray
        (n,) float64, or int64 class numbers.
    n_classes : int
        0 for a regression.
    folds : list
        (training rows, test rows) of each fold.
    file_rows, without_target : int
        Rows of the file, and those of them without a target, which are left out.
    """

    name: str
    task: str
    columns: dict[str, np.ndarray] | None
    x: np.ndarray
    categorical: tuple[int, ...]
    y: np.ndarray
    n_classes: int
    folds: list[tuple[np.ndarray, np.ndarray]]
    file_rows: int
    without_target: int = 0


def uci_tasks(count: int = UCI_TASKS) -> list[str]:
    """Return the UCI tasks that are drawn, sorted; a smaller draw is part of a larger one.

    A fixed permutation of all tasks with UCI_ROWS rows; its first ones that the archive on this
    machine has. Copies of the archive differ in the tasks that they lack.
    """
    fewest, most = UCI_ROWS
    names = [name for name, shape in sorted(SHAPES.items()) if fewest <= shape.rows <= most]
    drawn = map(str, np.random.default_rng(SEED).permutation(names))
    present = set(uci.names())
    return [f"uci/{name}" for name in sorted([n for n in drawn if n in present][:count])]


def resolve(names: Sequence[str], count: int = UCI_TASKS) -> list[str]:
    """Return the names of tasks with "uci" replaced by the drawn UCI tasks; none: all tasks.

    Raises ValueError for an unknown name.
    """
    found = []
    for name in names or [*TABLES, UCI]:
        if name != UCI and name not in TABLES and name.removeprefix("uci/") not in SHAPES:
            known = ", ".join([*TABLES, UCI, "uci/NAME"])
            raise ValueError(f"--tables: names among {known} are required, got {name!r}")
        found += uci_tasks(count) if name == UCI else [name]
    return list(dict.fromkeys(found))


def load(name: str, n_folds: int, rows: int | None) -> Task:
    """Return a task.

    rows: larger tables are reduced to a random subsample of this size; of a UCI task, only the
    training rows are. Raises ValueError or RuntimeError if its file is missing or damaged.
    """
    return _table(name, n_folds, rows) if name in TABLES else _uci(name, rows)


def _uci(name: str, rows: int | None) -> Task:
    """Return fold 1 of a UCI task; its validation rows are training rows."""
    found = uci.load(name)
    train, validation, test = found.rows(1)
    train = _sample(np.sort(np.concatenate([train, validation])), rows)
    return Task(
        name, "classification", None, found.x, (), found.y, len(found.class_names),
        [(train, test)], len(found.x),
    )  # fmt: skip


def _table(name: str, n_folds: int, rows: int | None) -> Task:
    from sklearn.model_selection import KFold, StratifiedKFold

    source = TABLES[name]
    columns = read(source.file)
    target = columns[source.target]
    known = np.array([not _is_missing(value) for value in target])
    kept = _sample(np.flatnonzero(known), rows)
    y, n_classes = target[kept], 0
    if source.task == "classification":
        classes, y = np.unique(y.astype(str), return_inverse=True)
        n_classes = len(classes)
    else:
        y = y.astype(np.float64)
    columns = {k: values[kept] for k, values in columns.items() if k != source.target}
    kind = StratifiedKFold if n_classes else KFold
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # rare airlines
        folds = list(kind(n_folds, shuffle=True, random_state=SEED).split(y, y))
    x = np.column_stack([_numbers(values) for values in columns.values()])
    categorical = tuple(i for i, v in enumerate(columns.values()) if v.dtype == object)
    return Task(
        name, source.task, columns, x, categorical, y, n_classes, folds, len(target),
        int((~known).sum()),
    )  # fmt: skip


def _sample(rows: np.ndarray, most: int | None) -> np.ndarray:
    if most is None or len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(SEED).choice(rows, most, replace=False))


def _is_missing(value: object) -> bool:
    return value is None or value != value


def _numbers(values: np.ndarray) -> np.ndarray:
    """Return a column as float64: codes of text in alphabetical order, days of dates."""
    if values.dtype == object:
        codes = np.full(len(values), np.nan)
        known = np.array([value is not None for value in values])
        codes[known] = np.unique(values[known].astype(str), return_inverse=True)[1]
        return codes
    if values.dtype.kind == "M":
        days = values.astype(np.int64) / 86_400e6
        return np.where(np.isnat(values), np.nan, days)
    return values.astype(np.float64)


@functools.lru_cache(maxsize=2)
def read(file: str) -> dict[str, np.ndarray]:
    """Return the columns of a file below $FASTSNN_DATA/tables, or in the per-user cache.

    A column is int64, float64 (NaN where a cell is empty), datetime64[us] (times of ISO 8601, in
    UTC), or object with str and None. Raises RuntimeError if the file does not exist.
    """
    path = find(FOLDER, file)
    if path is None:
        raise RuntimeError(
            f"{file}: not found; set FASTSNN_DATA to a folder with {FOLDER}/{file}, or copy the "
            f"file to {cache_folder() / FOLDER}"
        )
    return parse(path)


def parse(path: Path) -> dict[str, np.ndarray]:
    """Return the columns of a gzipped CSV file with one header line, see `read`."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        head, *lines = csv.reader(stream)
    cells = zip(*lines, strict=True)
    return {name: _typed(values) for name, values in zip(head, cells, strict=True)}


def _typed(cells: tuple[str, ...]) -> np.ndarray:
    for convert in (_integers, _floats, _dates):
        try:
            return convert(cells)
        except ValueError:
            continue
    return np.array([cell or None for cell in cells], object)


def _integers(cells: tuple[str, ...]) -> np.ndarray:
    return np.array([int(cell) for cell in cells], np.int64)


def _floats(cells: tuple[str, ...]) -> np.ndarray:
    return np.array([float(cell) if cell else np.nan for cell in cells])


def _dates(cells: tuple[str, ...]) -> np.ndarray:
    if not all(cell.endswith("Z") for cell in cells if cell):
        raise ValueError("UTC is required")
    return np.array([cell.removesuffix("Z") or "NaT" for cell in cells], "datetime64[us]")
