"""Fuzz target: the zip archive of the UCI tasks, with the smallest two of them."""

import io
import zipfile

from fuzz.mutate import zipped

from fastsnn.data import uci
from fastsnn.data.ucinames import SHAPES

SUFFIX = ".zip"
NAMES = ("balloons", "lenses")


def _archive(name, method, cell):
    shape = SHAPES[name]
    x = [[cell.format((i * 7 + j) % 11 / 5 - 1) for j in range(shape.features)]
         for i in range(shape.rows)]  # fmt: skip
    labels = [[str(i % shape.classes)] for i in range(shape.rows)]
    test = [[str(int(i % 4 == fold)) for fold in range(4)] for i in range(shape.rows)]
    parts = {f"{name}_py.dat": x, "labels_py.dat": labels, "folds_py.dat": test,
             "validation_folds_py.dat": [row[1:] + row[:1] for row in test]}  # fmt: skip
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as file:
        for part, rows in parts.items():
            info = zipfile.ZipInfo(f"data/{name}/{part}")
            file.writestr(info, "".join(",".join(row) + "\n" for row in rows), method)
    return content.getvalue()


SEEDS = [
    _archive("balloons", zipfile.ZIP_DEFLATED, "{:g}"),
    _archive("lenses", zipfile.ZIP_DEFLATED, "{:.18e}"),
    _archive("lenses", zipfile.ZIP_STORED, "{:.2f}"),
]


def read(path):
    refused = []
    for name in NAMES:
        try:
            folds = uci.read(path, name)
            folds.parts(1)
            folds.table()
        except ValueError as error:
            refused.append(error)
    if len(refused) == len(NAMES):  # a seed has one of them
        longest = max(refused, key=lambda error: len(str(error)))
        raise longest


def mutate(data, rng):
    return zipped(data, rng)
