"""The last step of every loader: hold rows back, standardize, once and without spare copies."""

from __future__ import annotations

import numpy as np

from fastsnn.data.byterows import ByteRows
from fastsnn.data.dataset import Dataset, Split
from fastsnn.data.split import split
from fastsnn.data.standardize import Standardizer
from fastsnn.data.table import Table


def assemble(
    name: str, table: Table, validation: float, seed: int, standardize: str | Standardizer,
    keep_bytes: bool = False,
) -> Dataset:  # fmt: skip
    """The data set of a table. With `keep_bytes`, uint8 features become `ByteRows`.

    Without a validation part of its own, the fraction `validation` of its training rows becomes
    one. standardize: "feature", "all" or "none", or a model's Standardizer to be used as it is.
    """
    rows, held = np.arange(len(table.train)), None
    if table.validation is None:
        labels = table.train.y if table.task == "classification" else None
        rows, held = split(len(table.train), validation, seed, labels)
    inputs = standardize
    if not isinstance(inputs, Standardizer):
        inputs = Standardizer.fit(table.train.x, standardize, rows)
    targets = None
    if table.task == "regression":
        targets = Standardizer.fit(table.train.y, "feature", rows)

    def part(source: Split | None, rows: np.ndarray | None) -> Split | None:
        if source is None:
            return None
        y = source.y if targets is None else targets.apply(source.y)
        if keep_bytes and source.x.dtype == np.uint8:
            x = ByteRows(source.x, inputs, rows)
        else:
            x = inputs.apply(source.x, rows=rows)
        return Split(x, y if rows is None else y[rows])

    held_part = part(table.train, held) if held is not None and len(held) else None
    return Dataset(
        name=name,
        task=table.task,
        train=part(table.train, rows),
        validation=held_part or part(table.validation, None),
        test=part(table.test, None),
        class_names=table.class_names,
        feature_names=table.feature_names,
        target_names=table.target_names,
        inputs=inputs,
        targets=targets,
        note=table.note,
        found=table.found,
    )
