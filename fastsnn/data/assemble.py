"""Last step of every loader: hold out validation rows and standardize, without extra copies."""

from __future__ import annotations

from collections import Counter

import numpy as np

from fastsnn.checks.scalars import listed, shown
from fastsnn.data.dataset import Dataset, Split
from fastsnn.data.rawtable import Encoding, RawTable
from fastsnn.data.split import split
from fastsnn.data.standardize import Standardizer
from fastsnn.data.table import Table
from fastsnn.engine.byterows import ByteRows
from fastsnn.tables import Recipe

LARGE = 1 << 22  # bytes of features; smaller arrays train faster if converted to float32 once


def assemble(
    name: str, table: Table | RawTable, validation: float, seed: int,
    standardize: str | Standardizer, keep_bytes: bool = False, dtype: type = np.float64,
    encoding: Encoding | None = None, log_target: bool = False,
) -> Dataset:  # fmt: skip
    """Return the `Dataset` of a table.

    If the table has no validation part, the fraction `validation` of the training rows becomes
    one. standardize: "feature", "all", "none", or a Standardizer that is used unchanged.
    keep_bytes: store uint8 features of at least LARGE bytes as `ByteRows`. dtype: precision of the
    standardization, see `Standardizer.fit`; with float32, parts have no `raw_y` and validation rows
    are selected as in version 0.1. encoding: options of the recipe of a `RawTable`, which is
    learned from the training rows. log_target: standardize the logarithms of the targets of a
    regression.

    Raises ValueError, with line and column, if the recipe refuses a value.
    """
    recipe = None
    if isinstance(table, RawTable):
        labels = table.y if table.task == "classification" else None
        rows, held = split(len(table.y), validation, seed, labels)
        table, recipe = _encoded(name, table, rows, encoding or Encoding())
    else:
        rows, held = np.arange(len(table.train)), None
        if table.validation is None:
            rows, held = split(len(table.train), validation, seed, _labels(table, dtype))
    features = table.train.features
    if isinstance(standardize, Standardizer):
        inputs = standardize
    else:
        inputs = Standardizer.fit(features, standardize, rows, dtype)
    targets = None
    if table.task == "regression":
        if log_target:
            _require_positive(name, table)
        targets = Standardizer.fit(table.train.y, "feature", rows, dtype, log=log_target)
    elif log_target:
        raise ValueError(f"{name}: log_target is for a regression, the task is {table.task}")
    keep_bytes = keep_bytes and features.dtype == np.uint8 and features.nbytes >= LARGE

    def part(which: str, source: Split, rows: np.ndarray | None = None) -> Split:
        where = f"{name}, {which} part"
        x: np.ndarray | ByteRows
        if keep_bytes and source.features.dtype == np.uint8:
            x = ByteRows(source.features, inputs, rows)
        else:
            x = inputs.transform(source.features, None, rows, table.feature_names, f"{where}: x")
        y = source.y if rows is None else source.y[rows]
        if targets is None:
            return Split(x, y)
        exact = targets.mean.dtype == np.float64
        raw_y = y.astype(np.float64, copy=False) if exact else None
        return Split(x, targets.transform(y, None, None, table.target_names, f"{where}: y"), raw_y)

    validation_part = None
    if held is not None and len(held):
        validation_part = part("validation", table.train, held)
    elif table.validation is not None:
        validation_part = part("validation", table.validation)
    notes = [table.note, _lacking(table, held)]
    return Dataset(
        name=name,
        task=table.task,
        train=part("training", table.train, rows),
        validation=validation_part,
        test=None if table.test is None else part("test", table.test),
        class_names=table.class_names,
        feature_names=table.feature_names,
        target_names=table.target_names,
        inputs=inputs,
        targets=targets,
        note="; ".join(filter(None, notes)) or None,
        found=table.found,
        recipe=recipe,
    )


def _encoded(
    name: str, raw: RawTable, rows: np.ndarray, encoding: Encoding
) -> tuple[Table, Recipe]:  # fmt: skip
    """Return (table of features, recipe), learned from these rows."""
    dates = dict.fromkeys((*encoding.date, *raw.patterns))
    taken = {*encoding.categorical, *encoding.numeric, *encoding.drop}
    try:
        recipe = Recipe.fit(
            raw.columns, rows,
            categorical=encoding.categorical,
            numeric=encoding.numeric,
            date=[column for column in dates if column in encoding.date or column not in taken],
            drop=encoding.drop,
            max_categories=encoding.max_categories,
            min_frequency=encoding.min_frequency,
            scaling=encoding.scaling,
            date_patterns=raw.patterns,
        )  # fmt: skip
        x = recipe.transform(raw.columns, name)
    except (ValueError, TypeError) as error:
        text = str(error)
        if text.startswith("recipe"):
            text = f"{name}{text.removeprefix('recipe')}"
        raise ValueError(text) from error
    table = Table(
        raw.task, Split(x, raw.y), None, None, raw.class_names, recipe.feature_names,
        raw.target_names, found=f"{raw.found}; columns: {_counts(recipe)}",
    )  # fmt: skip
    return table, recipe


def _counts(recipe: Recipe) -> str:
    """Return the number of columns of each kind, "2 numeric, 1 date"."""
    return ", ".join(f"{n} {kind}" for kind, n in Counter(recipe.kinds().values()).items())


def _require_positive(name: str, table: Table) -> None:
    for part in (table.train, table.validation, table.test):
        if part is not None and not (part.y > 0).all():
            row, column = np.argwhere(~(part.y > 0))[0]
            of = "" if table.target_names is None else f" {shown(table.target_names[column])}"
            raise ValueError(
                f"{name}: log_target requires targets above 0, got {part.y[row, column]:g} in the "
                f"target{of}; leave it out"
            )


def _labels(table: Table, dtype: type) -> np.ndarray | None:
    """Return the labels to stratify by; None for no stratification.

    With float32, as in version 0.1, the split is not stratified if a class has a single row.
    """
    if table.task != "classification":
        return None
    y = table.train.y
    if (
        dtype == np.float32 and table.train.features.dtype != np.uint8
    ):  # resumes a run of version 0.1
        return y if np.unique(y, return_counts=True)[1].min() > 1 else None
    return y


def _lacking(table: Table, held: np.ndarray | None) -> str | None:
    """Return a note that names the classes without a validation row; None if all have one."""
    if table.task != "classification" or held is None or not len(held):
        return None
    absent = np.setdiff1d(np.unique(table.train.y), table.train.y[held])
    if not len(absent):
        return None
    names = listed([(table.class_names or ())[k] for k in absent])
    return f"the validation part has no row of the class{'es'[: 2 * (len(absent) > 1)]} {names}"
