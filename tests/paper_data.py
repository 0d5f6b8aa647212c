"""Small data in the formats that the paper's experiments read."""

import io
import zipfile
from pathlib import Path

import numpy as np

from fastsnn.data.dataset import Split
from fastsnn.data.folds import Folds
from fastsnn.data.table import Table
from fastsnn.data.ucinames import SHAPES

UCI_SETS = ("iris", "lenses", "balloons", "zoo")


def classes(generator, rows, features, n):
    """Return (x, y): a cloud of points for each class."""
    y = np.arange(rows) % n
    centres = generator.normal(size=(n, features)) * 2
    return centres[y] + generator.normal(size=(rows, features)), y


def uci_archive(folder: Path, names=UCI_SETS) -> Path:
    """Write `folder`/uci121/data_py.zip with made-up numbers for some of the tasks."""
    generator = np.random.default_rng(0)
    (folder / "uci121").mkdir(parents=True)
    with zipfile.ZipFile(folder / "uci121" / "data_py.zip", "w") as archive:
        for name in names:
            shape = SHAPES[name]
            x, y = classes(generator, *shape)
            drawn = generator.permuted(np.tile(np.arange(shape.rows), (4, 1)), axis=1).T
            test, held = drawn < shape.rows // 4, drawn >= shape.rows - max(2, shape.rows // 6)
            parts = {f"{name}_py.dat": x, "labels_py.dat": y[:, None], "folds_py.dat": test,
                     "validation_folds_py.dat": held}  # fmt: skip
            for file, values in parts.items():
                text = io.StringIO()
                np.savetxt(text, values, "%.6g", ",")
                archive.writestr(f"data_py/{name}/{file}", text.getvalue())
    return folder


def folds(n=240, k=10) -> Folds:
    """Return two classes in k folds, like HTRU2."""
    x, y = classes(np.random.default_rng(1), n, 8, 2)
    number = np.arange(n) // 2 % k
    test = number[:, None] == np.arange(k)
    return Folds(
        "htru2", x.astype(np.float32), y, test, np.roll(test, 1, axis=1), ("spurious", "pulsar")
    )


def multitask(n=300, tasks=3) -> Folds:
    """Return several 0/1 tasks with missing labels, like Tox21."""
    generator = np.random.default_rng(2)
    x = generator.normal(size=(n, 10)).astype(np.float32)
    y = (x @ generator.normal(size=(10, tasks)) > 0).astype(np.float32)
    y[generator.random(y.shape) < 0.3] = np.nan
    part = np.arange(n)[:, None] % 5
    return Folds(
        "tox21", x, y, part == 0, part == 1, note="made-up features", task="multitask",
        target_names=tuple(f"task {i}" for i in range(tasks)),
    )  # fmt: skip


def images(name="mnist", n=600, n_test=150) -> Table:
    """Return bytes of 5 x 5 pixels in 4 classes; one pixel is always 0."""
    x, y = classes(np.random.default_rng(3), n + n_test, 25, 4)
    x = np.clip(128 + 20 * x, 0, 255).astype(np.uint8)
    x[:, 7] = 0
    y = y.astype(np.int64)
    train, test = Split(x[:n], y[:n]), Split(x[n:], y[n:])
    return Table("classification", train, None, test, tuple("abcd"), None, None)
