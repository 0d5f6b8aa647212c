"""Infer the task from the target columns of a file, and encode them as y for a loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fastsnn.checks.scalars import shown
from fastsnn.data.classes import encode_classes
from fastsnn.data.dataset import TASKS
from fastsnn.data.delimiter import decimal_comma
from fastsnn.tables.cells import (
    LARGEST,
    has_decimal_comma,
    is_code,
    is_missing,
    number,
    number_name,
)

MANY_CLASSES = 20  # more distinct integers than this are quantities, not classes

Where = Callable[..., str]  # (row, target), both optional -> "FILE, line 7, column 'y'"


@dataclass(frozen=True, eq=False)
class Column:
    """Target column of a file with n rows.

    cells: n strings, or an array (n,) of the file's dtype, in which integers are exact. numbers:
    the same as float64 (n,), NaN for missing values; None if a cell is text. codes: True if all
    cells are digits and some have a leading zero (007), so that they are labels and not numbers.
    """

    cells: Sequence[str] | np.ndarray
    numbers: np.ndarray | None
    codes: bool = False

    @classmethod
    def of(cls, cells: Sequence[str] | np.ndarray) -> Column:
        """Return the column of a list of strings or of an array of numbers."""
        if isinstance(cells, np.ndarray):
            return cls(cells, cells.astype(np.float64))
        values = list(map(number, cells))
        numbers = np.empty(len(cells))
        for row, (cell, value) in enumerate(zip(cells, values, strict=True)):
            if value is None and not is_missing(cell):
                return cls(cells, None)
            numbers[row] = np.nan if value is None else value
        whole = np.all(np.isnan(numbers) | (numbers == np.rint(numbers)))
        return cls(cells, numbers, bool(whole) and any(map(is_code, cells)))

    def count(self, values: np.ndarray) -> int:
        """Return the number of distinct cells.

        values: the distinct `numbers`. As float64, these merge integers above 2**53.
        """
        if len(values) == 0 or abs(values).max() < 2**53:
            return len(values)
        if isinstance(self.cells, np.ndarray):
            return len(np.unique(self.cells))
        return len({number_name(cell) for cell in set(self.cells) if not is_missing(cell)})

    def first(self, wanted: Callable[[str], bool]) -> tuple[int, str]:
        """Return (row, text) of the first cell that satisfies `wanted`; one must exist."""
        return next((row, cell) for row, cell in enumerate(self.cells) if wanted(cell))


def infer_task(columns: Sequence[Column], where: Where) -> tuple[str, str]:
    """Return (task, reason) for ``task="auto"``.

    Several targets are "multitask" if all values are 0, 1 or missing, else "regression". A single
    target is "classification" if it is text, or codes (digits, some with a leading zero), or at
    most 20 distinct integers; else "regression". The number of rows does not matter.

    Raises ValueError if the task is ambiguous: text among more than 20 distinct numbers, decimal
    commas, or one-hot columns.
    """
    if len(columns) > 1:
        return _infer_several(columns, where)
    (column,) = columns
    if column.numbers is None:
        return "classification", f"text targets{_require_labels(column, where)}"
    if column.codes:
        _, cell = column.first(is_code)
        return "classification", (
            f"targets are codes with leading zeros, such as {shown(cell.strip())}; "
            "override with --task regression"
        )
    values = np.unique(column.numbers[~np.isnan(column.numbers)])
    count = column.count(values)
    few = f"{count} distinct value{'s'[: count != 1]}"
    if not np.all(values == np.rint(values)):
        return "regression", "numbers with decimals"
    if count <= MANY_CLASSES:
        return "classification", f"integers, {few}; override with --task regression"
    return "regression", (
        f"{count:,} distinct integers, more than {MANY_CLASSES}; "
        "override with --task classification"
    )


def _infer_several(columns: Sequence[Column], where: Where) -> tuple[str, str]:
    numbers = [column.numbers for column in columns if column.numbers is not None]
    binary = len(numbers) == len(columns) and all(
        np.isin(n[~np.isnan(n)], (0, 1)).all() for n in numbers
    )
    if binary and np.all(np.sum(numbers, axis=0) == 1):
        raise ValueError(
            f"{where()}: the {len(columns)} targets look like a one-hot encoded class (a single 1 "
            "in every row); give the class number (argmax), or set the task to multitask"
        )
    if binary:
        return "multitask", f"{len(columns)} targets of 0, 1 or missing"
    return "regression", f"{len(columns)} targets of numbers"


def _require_labels(column: Column, where: Where) -> str:
    """Raise ValueError for text that looks like misspelled numbers.

    Returns an example of text among numbers, as a phrase for the reason of the task.
    """
    cells = dict.fromkeys(column.cells)
    values = {cell: value for cell in cells if (value := number(cell)) is not None}
    others = [cell for cell in cells if cell not in values and not is_missing(cell)]
    if all(map(has_decimal_comma, others)):
        row, cell = column.first(has_decimal_comma)
        raise decimal_comma(where(row, 0), cell)
    if len(set(values.values())) > MANY_CLASSES and not any(map(is_code, values)):
        row, _ = column.first(lambda cell: cell == others[0])
        raise ValueError(
            f"{where(row, 0)}: must be a number like the target of other rows, got "
            f"{shown(others[0])}; correct it, or set the task to classification"
        )
    return f", such as {shown(others[0].strip())}" if values else ""


def encode(
    columns: Sequence[Column], task: str, class_names: Sequence[str] | None, where: Where
) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Return (y, class names) for a task of `TASKS`.

    y is int64 (n,) for classification, float32 (n, tasks) for multitask, float64 (n, targets) for
    regression. class_names: those of a model, or None to collect them from the column; None is
    returned for other tasks.

    Raises ValueError, with the row, for a label or target that is invalid for the task.
    """
    if task not in TASKS:
        raise ValueError(f"task: must be one of auto, {', '.join(TASKS)}, got {shown(str(task))}")
    if task == "classification":
        if len(columns) != 1:
            raise ValueError(
                f"{where()}: classification needs one target column, got {len(columns)}; "
                "for a one-hot encoding give the class number (argmax) instead"
            )
        (column,) = columns
        text = column.numbers is None or column.codes
        return encode_classes(column.cells, text, class_names, where)
    for target, column in enumerate(columns):
        if column.numbers is None:
            row, cell = column.first(lambda cell: number(cell) is None and not is_missing(cell))
            if has_decimal_comma(cell):
                raise decimal_comma(where(row, target), cell)
            raise ValueError(
                f"{where(row, target)}: the target of a {task} must be a number, got "
                f"{shown(cell)}; correct it, or name another target"
            )
    y = np.stack([n for column in columns if (n := column.numbers) is not None], axis=1)
    if task == "multitask":
        good = np.isnan(y) | (y == 0) | (y == 1)
        required = "0, 1 or missing"
    else:
        good = np.abs(y) <= LARGEST  # False for NaN
        required = "a finite float32 number"
    if not good.all():
        row, target = np.argwhere(~good)[0]
        value = y[row, target]
        raise ValueError(
            f"{where(row, target)}: the target of a {task} must be {required}, got "
            f"{'a missing value' if np.isnan(value) else value}; correct or drop the row"
        )
    if np.isnan(y).all():
        raise ValueError(f"{where()}: at least one target must not be missing, all are")
    return (y.astype(np.float32) if task == "multitask" else y), None
