"""Last step of every loader: hold out validation rows and standardize, without extra copies."""

from __future__ import annotations

import numpy as np

from fastsnn.checks.scalars import listed
from fastsnn.data.dataset import Dataset, Split
from fastsnn.data.split import split
from fastsnn.data.standardize import Standardizer
from fastsnn.data.table import Table
from fastsnn.engine.byterows import ByteRows

LARGE = 1 << 22  # bytes of features; smaller arrays train faster if converted to float32 once


def assemble(
    name: str, table: Table, validation: float, seed: int, standardize: str | Standardizer,
    keep_bytes: bool = False, dtype: type = np.float64,
) -> Dataset:  # fmt: skip
    """Return the `Dataset` of a table.

    If the table has no validation part, the fraction `validation` of the training rows becomes
    one. standardize: "feature", "all", "none", or a Standardizer that is used unchanged.
    keep_bytes: store uint8 features of at least LARGE bytes as `ByteRows`. dtype: precision of the
    standardization, see `Standardizer.fit`; with float32, parts have no `raw_y` and validation rows
    are selected as in version 0.1.
    """
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
        targets = Standardizer.fit(table.train.y, "feature", rows, dtype)
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
