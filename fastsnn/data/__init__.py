"""Load named data sets and files of tables: validated, split and standardized.

`load` returns a `Dataset` that is ready to train on. `load_folds` returns the data sets with
predefined folds (HTRU2, Tox21, the 121 UCI tasks), as the paper's experiments use them.
`catalogue` lists every named data set with its source and terms, and downloads it. A data set's
files are searched in its folder below $FASTSNN_DATA, then in the per-user cache.

>>> d = load("digits")
>>> d.task, d.train.x.shape, d.validation.x.shape, d.test.x.shape, d.n_outputs
('classification', (1294, 64), (144, 64), (359, 64), 10)
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from fastsnn.checks.scalars import shown
from fastsnn.data.anytable import read_any, require_none
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
from fastsnn.data.rawtable import Encoding, RawTable
from fastsnn.data.standardize import PER, Standardizer
from fastsnn.data.table import Table, is_table, read_features, read_table
from fastsnn.engine.byterows import ByteRows
from fastsnn.tables.learn import MOST_CATEGORIES

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
    categorical: str | Sequence[str] = (),
    numeric: str | Sequence[str] = (),
    date: str | Sequence[str] = (),
    drop: str | Sequence[str] = (),
    max_categories: int = MOST_CATEGORIES,
    min_frequency: int | None = None,
    scaling: str = "standard",
    log_target: bool = False,
    raw: bool | None = None,
) -> Dataset:
    """Load a data set by name or from a file, split it and standardize it.

    Parameters
    ----------
    data : str or path
        A name (a key of `DATASETS`, or "uci/NAME", see `uci.names`), or the path of a CSV file
        (.csv, .tsv, .txt, .data, or one of these with .gz or .zst appended), an .npz, .parquet or
        .json file (also .jsonl, .ndjson). For a data set with folds, fold 1 is loaded; `load_folds`
        returns all folds.
    target : str, int or list, optional
        Target column or columns of a file other than .npz, see `read_table`; the last column by
        default. Not accepted for named data sets.
    task : {"auto", "classification", "multitask", "regression"}
        "auto" infers the task of a file from its targets, see `targets.infer_task`.
    header : bool, optional
        True if line 1 of a CSV file contains the column names. By default this is detected, see
        `read_table`.
    class_names : sequence of str, optional
        Class names of a file; class k is the k-th name. By default the names that occur in the
        training part, numbers in numerical order before text in alphabetical order.
    validation : float in [0, 1)
        Fraction of the training rows to hold out as the validation part, stratified by class; see
        `split.split`. 0 holds out none. Ignored if the data already have a validation part.
    seed : int >= 0
        Seed of the validation split. The same seed selects the same rows on every machine.
    standardize : {"auto", "feature", "all", "none"} or Standardizer
        How the features are standardized, see `Standardizer.fit`. "auto" is "all" for images
        (digits, mnist, cifar10, and uint8 arrays in an .npz file) and "feature" otherwise. A
        `Standardizer`, such as a model's own, is used unchanged.
    progress : callable, optional
        Called during a download as ``progress(file_name, n_bytes, total_bytes)``; ``total_bytes``
        is None if the server does not report it.
    keep_bytes : bool
        Store uint8 features of at least 4 MiB as `ByteRows`, which standardize each batch when it
        is read. `Trainer.fit` and `Model.judge` accept them and give the same results.
    dtype : {numpy.float64, numpy.float32}
        Precision of the standardization of targets and of features that are not uint8. float32
        reproduces version 0.1, which rounded to float32 before standardizing.
    categorical, numeric, date : str or list of str, optional
        Feature columns of a file whose kind is given: names, or text in which commas divide them.
        By default the kind follows from the values.
    drop : str or list of str, optional
        Columns of a file to leave out.
    max_categories : int >= 2
        Maximum features of a categorical column, including the one that less frequent categories
        share, but not the one of missing values.
    min_frequency : int >= 1, optional
        Categories with fewer training rows share a feature. Default: 1 % of the training rows, at
        most 10.
    scaling : {"standard", "robust"}
        Scaling of numeric columns before the standardization, see `fastsnn.tables.Recipe.fit`.
    log_target : bool
        Standardize the logarithms of the targets of a regression, which must be above 0.
    raw : bool, optional
        True encodes a file by a `fastsnn.tables.Recipe`, False refuses what is not a number. By
        default a recipe is used for CSV files with text, gaps, booleans or dates, for other formats
        than CSV, and if an option of the recipe is given. Files that need a recipe need the extra
        `tables`. Rows without a target are left out.

    Returns
    -------
    Dataset
        x is float32 (n, features), standardized with the statistics of the training rows. y is
        int64 (n,) for classification, float32 (n, tasks) or (n, targets) otherwise.

    Raises
    ------
    ValueError
        An argument or the content of a file is invalid. The message names the file, line and
        column.
    TypeError
        `target`, `validation` or `seed` has an invalid type.
    FileNotFoundError
        The file does not exist, or a named data set is not on this machine and has no download.
    RuntimeError
        A download failed on every mirror, or an optional dependency is not installed.

    Examples
    --------
    >>> d = load("digits", validation=0.2, seed=1)
    >>> d.train.x.shape, d.train.x.dtype, d.train.y.dtype
    ((1150, 64), dtype('float32'), dtype('int64'))
    """
    if not isinstance(standardize, Standardizer) and standardize not in ("auto", *PER):
        raise ValueError(
            f"standardize: must be one of auto, {', '.join(PER)} or a Standardizer, "
            f"got {standardize!r}"
        )
    name = os.fspath(data)
    encoding = Encoding.of(
        categorical, numeric, date, drop, max_categories=max_categories,
        min_frequency=min_frequency, scaling=scaling,
    )  # fmt: skip
    table: Table | RawTable
    if is_named(name):
        if header is not None or class_names is not None:
            option = "class_names" if header is None else "header"
            raise ValueError(f"{name}: {option} applies only to data from a file; leave it out")
        if target is not None or task not in ("auto", task_of(name)):
            what = f"task {task}" if target is None else f"target {shown(target)}"
            raise ValueError(
                f"{name}: its target and task ({task_of(name)}) are fixed, got the {what}; leave "
                "it out"
            )
        require_none(name, encoding)
        table, image = read_named(name, progress), is_image(name)
    elif is_table(name):
        table = read_any(name, target, task, header, class_names, encoding, raw)
        image = isinstance(table, Table) and table.train.features.dtype == np.uint8
    else:
        raise unknown(name)
    if not isinstance(standardize, Standardizer) and standardize == "auto":
        standardize = "all" if image else "feature"
    return assemble(
        name, table, validation, seed, standardize, keep_bytes, dtype, encoding, log_target
    )
