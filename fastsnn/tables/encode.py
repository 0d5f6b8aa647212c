"""Encode tables, and single rows without arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastsnn.tables.columns import Columns, is_single
from fastsnn.tables.learn import Encoder
from fastsnn.tables.place import Place
from fastsnn.tables.values import of_list

BLOCK = 2048  # rows written at a time, so that their features stay in the cache

Part = tuple[Encoder, slice]  # the encoding of a column, and the range of its features


def features_of(columns: Columns, parts: Sequence[Part], n_features: int, where: str) -> np.ndarray:
    """Return the features of columns, float64 (n, n_features)."""
    read = [
        encoder.read(columns[encoder.name], Place(where, encoder.name, columns.lines))
        for encoder, _ in parts
    ]
    out = np.empty((columns.n_rows, n_features))
    for start in range(0, columns.n_rows, BLOCK):
        rows = slice(start, start + BLOCK)
        for (encoder, part), values in zip(parts, read, strict=True):
            encoder.write(values[rows], out[rows, part])
    return out


def features_of_one(
    table: object, parts: Sequence[Part], n_features: int, where: str
) -> np.ndarray | None:
    """Return the features of a table of one row, a dict or a list of one dict; None if it needs
    `features_of`.

    Plain values (float, int, bool, known text, None) need no arrays; the bits are the same.
    """
    if type(table) is list and len(table) == 1:
        table = table[0]
    if type(table) is not dict:
        return None
    row = [0.0] * n_features
    for encoder, part in parts:
        value = table.get(encoder.name, table)
        if value is table:  # a missing column
            return None
        if type(value) is float and value != value:  # NaN
            value = None
        if encoder.write_plain(value, row, part.start):
            continue
        if not is_single(value):
            return None
        place = Place(where, encoder.name)
        out = np.empty((1, part.stop - part.start))
        encoder.write(encoder.read(of_list([value], place), place), out)
        row[part] = out[0].tolist()
    return np.array([row])
