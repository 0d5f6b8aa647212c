"""From target columns as read to what a loss needs: which task it is, and y."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from fastsnn.data.cells import LARGEST, class_name, class_order, is_missing, number
from fastsnn.data.dataset import TASKS

MANY_CLASSES = 20  # more different whole numbers than this are taken as amounts, not as classes
ROWS_PER_CLASS = 10  # unless they are exactly 0..k-1 with so many rows each

Column = np.ndarray | Sequence[str]  # float64 with NaN where missing; or text
Where = Callable[..., str]  # (row, target), both optional -> "FILE, line 7, column 'y'"


def parse_column(cells: Sequence[str]) -> Column:
    """Numbers where every cell is one or missing, else the text as it is."""
    values = [number(cell) for cell in cells]
    for cell, value in zip(cells, values, strict=True):
        if value is None and not is_missing(cell):
            return cells
    return np.array([np.nan if value is None else value for value in values])


def infer_task(columns: Sequence[Column], where: Where) -> str:
    """What `task="auto"` stands for.

    Several targets: "multitask" if all are 0, 1 or missing, else "regression". One target:
    "classification" if it is text, or whole numbers of which there are two, or at most 20 with two
    rows each on average, or exactly 0..k-1 in at least 10 rows each; else "regression".
    """
    if len(columns) > 1:
        binary = all(_is_numeric(c) and np.isin(c[~np.isnan(c)], (0, 1)).all() for c in columns)
        if binary and np.all(np.sum(columns, axis=0) == 1):
            raise ValueError(
                f"{where()}: the {len(columns)} targets look like one class in one-hot form (one 1 "
                "in every row); give the class number (argmax), or ask for the task multitask"
            )
        return "multitask" if binary else "regression"
    column = columns[0]
    if not _is_numeric(column):
        values = [number(cell) for cell in column]
        if any(value is not None and not value.is_integer() for value in values):
            row = next(r for r, v in enumerate(values) if v is None)
            raise ValueError(
                f"{where(row, 0)}: must be a number like the target of other rows, got "
                f"{column[row]!r}; correct it, or ask for the task classification"
            )
        return "classification"
    values, counts = np.unique(column[~np.isnan(column)], return_counts=True)
    if not np.all(values == np.rint(values)):
        return "regression"
    k = len(values)
    few = k <= 2 or (k <= MANY_CLASSES and 2 * k <= counts.sum())
    numbered = np.array_equal(values, np.arange(k)) and np.all(counts >= ROWS_PER_CLASS)
    return "classification" if few or numbered else "regression"


def encode(
    columns: Sequence[Column], task: str, class_names: Sequence[str] | None, where: Where
) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """(y, class names) for a task of `TASKS`; class_names: a model's, or None to collect them."""
    if task not in TASKS:
        raise ValueError(f"task: must be one of auto, {', '.join(TASKS)}, got {task!r}")
    if task == "classification":
        return _encode_classes(columns, class_names, where)
    for target, column in enumerate(columns):
        if not _is_numeric(column):
            row = next(r for r, c in enumerate(column) if number(c) is None and not is_missing(c))
            raise ValueError(
                f"{where(row, target)}: the target of a {task} must be a number, got "
                f"{column[row]!r}; correct it, or name another target"
            )
    y = np.stack(columns, axis=1)
    if task == "multitask":
        good = np.isnan(y) | (y == 0) | (y == 1)
        required = "0, 1 or missing"
    else:
        good = np.abs(y) <= LARGEST  # False for NaN
        required = "a finite float32 number"
    if not good.all():
        row, target = np.argwhere(~good)[0]
        raise ValueError(
            f"{where(row, target)}: the target of a {task} must be {required}, got "
            f"{_shown(y[row, target])}; correct or drop the row"
        )
    if np.isnan(y).all():
        raise ValueError(f"{where()}: at least one target must not be missing, all are")
    return y.astype(np.float32), None


def _encode_classes(columns, class_names, where):
    if len(columns) != 1:
        raise ValueError(
            f"{where()}: classification needs one target column, got {len(columns)}; "
            "for one-hot columns give the class number (argmax) instead"
        )
    column = columns[0]
    if _is_numeric(column):
        bad = ~np.isfinite(column)
        values, index = np.unique(column, return_inverse=True)
        spellings = [class_name(float(value)) for value in values]
    else:
        values = {cell: i for i, cell in enumerate(dict.fromkeys(column))}
        unusable = [is_missing(c) or abs(number(c) or 0) == np.inf for c in values]
        index = np.array([values[cell] for cell in column])
        bad = np.array(unusable)[index]
        spellings = [class_name(cell) for cell in values]
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"{where(row, 0)}: every row needs a class, got {_shown(column[row])}; "
            "fill or drop the row"
        )
    names = tuple(class_names or sorted(set(spellings), key=class_order))
    if class_names is None and len(names) < 2:
        raise ValueError(
            f"{where(None, 0)}: a classification needs at least two classes, every row has "
            f"{names[0]!r}; is this the target column?"
        )
    label = {name: i for i, name in enumerate(names)}
    codes = np.array([label.get(spelling, -1) for spelling in spellings], np.int64)
    y = codes[index]
    if (y < 0).any():
        row = int(np.flatnonzero(y < 0)[0])
        known = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
        raise ValueError(
            f"{where(row, 0)}: the class must be one of the {len(names)} known ({known}), got "
            f"{spellings[index[row]]!r}; correct it or drop the row"
        )
    return y, names


def _is_numeric(column: Column) -> bool:
    return isinstance(column, np.ndarray)


def _shown(value) -> str:
    if isinstance(value, str):
        return repr(value) if value.strip() else "an empty cell"
    return "a missing value" if np.isnan(value) else str(value)
