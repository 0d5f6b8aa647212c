"""Data sets by name, and a user's own files: split, standardized and checked.

`load` gives any of them ready to train on; `load_folds` gives those with folds of their own (HTRU2,
Tox21, the 121 tasks of UCI) as the paper's experiments need them. `catalogue` says what each is,
where it comes from and on what terms, and gets it. Files are looked for in $FASTSNN_DATA, in a
folder for each data set, then in the per-user cache.

>>> d = load("digits")
>>> d.task, d.train.x.shape, d.validation.x.shape, d.test.x.shape, d.n_outputs
('classification', (1294, 64), (144, 64), (359, 64), 10)
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from fastsnn.checks.scalars import shown
from fastsnn.data.assemble import assemble
from fastsnn.data.dataset import Dataset, Split
from fastsnn.data.download import Progress
from fastsnn.data.folds import Folds
from fastsnn.data.named import (
    DATASETS,
    is_image,
    is_named,
    load_folds,
    read_named,
    task_of,
    unknown,
)
from fastsnn.data.standardize import PER, Standardizer
from fastsnn.data.table import Table, is_table, read_features, read_table
from fastsnn.engine.byterows import ByteRows

__all__ = [
    "DATASETS",
    "ByteRows",
    "Dataset",
    "Folds",
    "Progress",
    "Split",
    "Standardizer",
    "Table",
    "is_named",
    "load",
    "load_folds",
    "read_features",
    "read_named",
    "read_table",
]


def load(
    data: str | os.PathLike[str],
    *,
    target: str | int | Sequence[str] | None = None,
    task: str = "auto",
    header: bool | None = None,
    class_names: Sequence[str] | None = None,
    validation: float = 0.1,
    seed: int = 0,
    standardize: str | Standardizer = "auto",
    progress: Progress | None = None,
    keep_bytes: bool = False,
    dtype: type = np.float64,
) -> Dataset:
    """Load a data set by name or from a file, ready to train on.

    Parameters
    ----------
    data : a name (`DATASETS`, or "uci/NAME": see `uci.names`), or the path of a CSV file (.csv,
        .tsv, .txt, .data, or these with .gz) or .npz file. Of data sets with folds, fold 1;
        `load_folds` has them all.
    target, task, header : what to predict, and whether line 1 holds names, for a file: see
        `read_table`.
    class_names : the classes of a file, in this order; by default those that occur in it.
    validation : fraction in [0, 1) of the training rows to hold back (0: none), see `split.split`;
        not used where the data bring a validation part of their own.
    standardize : "feature", "all" or "none" (see `Standardizer.fit`), or "auto": "all" for images
        (digits, mnist, cifar10, uint8 in .npz ...), else "feature". Or a Standardizer, such as a
        model's own.
    keep_bytes : keep large image data as bytes, see `ByteRows`: `Trainer.fit` and `Model.judge`
        take these, too, with the same results.
    dtype : of the standardization of targets and of features other than images; float32 repeats
        version 0.1, which rounded them first.
    progress : called as progress(file name, bytes so far, bytes in all or None) while downloading.

    Raises
    ------
    ValueError : an argument or a file's content is not usable; the message says where and why.
    FileNotFoundError : there is no such file.
    RuntimeError : a download failed on every mirror.
    """
    if not isinstance(standardize, Standardizer) and standardize not in ("auto", *PER):
        raise ValueError(
            f"standardize: must be one of auto, {', '.join(PER)} or a Standardizer, "
            f"got {standardize!r}"
        )
    name = os.fspath(data)
    if is_named(name):
        if header is not None or class_names is not None:
            option = "class_names" if header is None else "header"
            raise ValueError(f"{name}: {option} is for a file of your own; leave it out")
        if target is not None or task not in ("auto", task_of(name)):
            what = f"task {task}" if target is None else f"target {shown(target)}"
            raise ValueError(
                f"{name}: its target and task ({task_of(name)}) are fixed, got the {what}; leave "
                "it out"
            )
        table, image = read_named(name, progress), is_image(name)
    elif is_table(name):
        table = read_table(name, target, task, header=header, class_names=class_names)
        image = table.train.features.dtype == np.uint8
    else:
        raise unknown(name)
    if not isinstance(standardize, Standardizer) and standardize == "auto":
        standardize = "all" if image else "feature"
    return assemble(name, table, validation, seed, standardize, keep_bytes, dtype)
