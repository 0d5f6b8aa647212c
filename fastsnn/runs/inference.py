"""Evaluation of a saved model on other data, and its predictions as CSV."""

from __future__ import annotations

import csv
import io
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from fastsnn import checkpoint, metrics
from fastsnn.checks.scalars import listed, shown
from fastsnn.data import Progress, Split, Table, is_named, read_features, read_named, read_table
from fastsnn.data.named import unknown
from fastsnn.data.rawtable import RawTable, read_known, read_labelled
from fastsnn.data.standardize import Standardizer
from fastsnn.data.table import is_table, require_no_header
from fastsnn.engine.byterows import ByteRows
from fastsnn.model import Model
from fastsnn.tables import Columns, Recipe

log = logging.getLogger("fastsnn")
Report = Callable[[str], None]

SMALL = 2.0**-10  # in standard deviations, see `_decimals`


def load(path: str | os.PathLike[str], backend: str = "cpu") -> tuple[Path, Model]:
    """Return (path, model) of a model file or run folder. backend: device of its predictions."""
    path = checkpoint.file_of(path)
    model = checkpoint.load_model(path)
    if backend == "cuda":
        model.to_device()
    return path, model


def evaluate(
    model: Model,
    name: str,
    target: str | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
    header: bool | None = None,
    names: Iterable[str] | None = None,
    report: Report = log.info,
) -> dict[str, Any]:
    """Return the metrics of a model on a named data set or a labelled file; test rows, if present.

    Parameters
    ----------
    name : name of a data set, or path of a file.
    target, header : as in `read_table`; by default the target columns of the model.
    names : metrics to compute; by default all of the task.
    report : function of one line of text, called with notes about the file.

    Returns
    -------
    dict
        "data", "task", "rows" (number of rows), the metrics, "undefined" if one is NaN (the
        reason), and "note" if the data have one.

    Raises
    ------
    ValueError
        The data do not fit the model, or are not readable.
    """
    names = None if names is None else list(names)
    for metric in names or ():
        metrics.require(metric, model.task)
    note = None
    if model.recipe is not None:
        raw = _labelled(model, model.recipe, name, target, header, report)
        x, y, n = raw.columns, raw.y, len(raw.y)
        with _naming(name):
            figures = model.judge_raw(x, y, threads, names)
    else:
        table, rows = labelled(model, name, target, progress, header)
        figures = model.judge_raw(np.asarray(rows.x), rows.y, threads, names)
        note, n = table.note, len(rows)
    reasons = "; ".join(f"{k}: {v}" for k, v in metrics.undefined(model.task, figures).items())
    more = {"undefined": reasons, "note": note}
    return {
        "data": name, "task": model.task, "rows": n, **figures,
        **{key: text for key, text in more.items() if text},
    }  # fmt: skip


def labelled(
    model: Model,
    name: str,
    target: str | Sequence[str] | None = None,
    progress: Progress | None = None,
    header: bool | None = None,
) -> tuple[Table, Split]:
    """Return (table, rows): the data, and the rows of it that `evaluate` uses.

    The rows are not standardized; with a recipe, they are its features. Raises ValueError for data
    that do not fit the model.
    """
    if model.recipe is not None:
        raw = _labelled(model, model.recipe, name, target, header, log.info)
        rows = Split(_encoded(model.recipe, raw.columns, name), raw.y)
        table = Table(
            raw.task, rows, None, None, raw.class_names, model.feature_names, raw.target_names
        )
        return table, rows
    if is_named(name):
        if target is not None:
            raise ValueError(f"{name}: its target is fixed, got {target!r}; leave the target out")
        require_no_header(name, header)
        table = read_named(name, progress)
    else:
        if target is None and model.target_names and not name.lower().endswith(".npz"):
            target = list(model.target_names)
            header = _for_names(model, name, header)
        table = read_table(
            name, target, model.task, class_names=model.class_names,
            feature_names=model.feature_names, n_features=model.network.input_size, header=header,
            unclear=_had_no_header(model),
        )  # fmt: skip
    part = "train" if table.test is None else "test"
    rows = getattr(table, part)
    _require_fitting(model, name, table, rows)
    return table, rows


def features(
    model: Model, name: str, progress: Progress | None = None, header: bool | None = None
) -> np.ndarray:
    """Return the inputs (n, features) of a file, or of a named data set's test rows.

    They are not standardized; with a recipe, they are its features. header: as in `read_table`.
    """
    if model.recipe is not None:
        columns = _known(model.recipe, name, header, log.info)
        return _encoded(model.recipe, columns, name)
    if not is_named(name):
        return read_features(
            name, model.feature_names, model.network.input_size, header, _had_no_header(model)
        )
    require_no_header(name, header)
    test = read_named(name, progress).test
    assert test is not None  # every data set with a name has one
    x = np.asarray(test.x)
    _require_width(model, name, x)
    return x


def predict(
    model: Model,
    name: str,
    threads: int | None = None,
    progress: Progress | None = None,
    header: bool | None = None,
    report: Report = log.info,
) -> np.ndarray:
    """Return `Model.predict` for the rows of a file, or for a named data set's test rows.

    header: as in `read_table`. report: function of one line of text, called with notes.
    """
    if model.recipe is not None:
        columns = _known(model.recipe, name, header, report)
        with _naming(name):
            return model.predict(columns, threads)
    return model.predict(features(model, name, progress, header), threads)


def is_named_by_header(recipe: Recipe) -> bool:
    """Return False if the columns of a recipe are those of a file without a header."""
    return not all(map(_is_index, recipe.column_names))


def _known(recipe: Recipe, name: str, header: bool | None, report: Report) -> Columns:
    """Return the columns of a file that a recipe needs."""
    _require_table(name)
    columns, others = read_known(Path(name), recipe.kinds(), header)
    _report_ignored(name, others, report)
    return columns


def _labelled(
    model: Model, recipe: Recipe, name: str, target: str | Sequence[str] | None,
    header: bool | None, report: Report,
) -> RawTable:  # fmt: skip
    """Return the columns of a labelled file that a recipe needs, and its labels."""
    _require_table(name)
    if target is None and model.target_names:
        target = list(model.target_names)
    raw, others = read_labelled(
        Path(name), recipe.kinds(), target, model.task, model.class_names, header
    )
    outputs = model.network.output_size
    if model.task != "classification" and raw.y.shape[1] != outputs:
        raise ValueError(
            f"{name}: the model has {outputs} targets, the data {raw.y.shape[1]}; "
            "name the target columns"
        )
    _report_ignored(name, others, report)
    if raw.left_out:
        report(f"note: {name}: rows without a target, left out: {raw.left_out:,}")
    return raw


def _require_table(name: str) -> None:
    if is_named(name) or name.lower().endswith(".npz"):
        raise ValueError(
            f"{name}: the model needs a file with named columns, such as CSV, because it was "
            "trained on a table with text, gaps, booleans or dates"
        )
    if not is_table(name):
        raise unknown(name)


def _report_ignored(name: str, others: Sequence[str], report: Report) -> None:
    if others:
        report(f"note: {name}: columns that the model does not use: {listed(others, 20)}")


def _encoded(recipe: Recipe, columns: Columns, name: str) -> np.ndarray:
    with _naming(name):
        return recipe.transform(columns)


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Begin errors about the table x with the name of its file."""
    try:
        yield
    except (TypeError, ValueError) as error:
        text = str(error)
        if not text.startswith(("x,", "x:")):
            raise
        raise type(error)(f"{name}{text[1:]}") from error


def _had_no_header(model: Model) -> bool | None:
    """Return how to read an ambiguous line 1 of a CSV file: False (as data), or None.

    A model with feature names recognizes its header by them; if a model that was trained on a CSV
    file has none, that file had no header.
    """
    return None if model.target_names is None else False


def _for_names(model: Model, name: str, header: bool | None) -> bool | None:
    """Return `header` for a file that is searched for the model's own target columns.

    A target named "0" among columns with other names is not the first column; only a header can
    identify it.
    """
    features = model.feature_names
    assert model.target_names is not None  # checked by the caller
    numbered = any(map(_is_index, model.target_names))
    if header or not numbered or features is None or all(map(_is_index, features)):
        return header
    if header is False:
        raise ValueError(
            f"{name}: without a header the target {shown(model.target_names[0])} of the model is "
            "not found; give the index of its column as the target"
        )
    return True


def _is_index(name: str) -> bool:
    return name.isascii() and name.removeprefix("-").isdigit()


def to_csv(model: Model, predictions: np.ndarray) -> str:
    """Return predictions (n, outputs) as CSV: a header, and one line per row in order.

    Columns by task: classification: class, and p_NAME for each class. multitask: p_NAME for each
    task. regression: the targets by name, in their original units. Classes and tasks without names
    are numbered from 0; unnamed targets are y_N, N the index of their column. Numbers have as many
    digits as the float32 outputs of the network.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    known = model.class_names or model.target_names
    names = [str(i) for i in range(predictions.shape[1])] if known is None else list(known)
    if model.task == "regression":
        named = model.target_names and model.feature_names
        writer.writerow(names if named else [f"y_{name}" for name in names])
    else:
        first = ["class"] if model.task == "classification" else []
        writer.writerow([*first, *(f"p_{name}" for name in names)])
    decimals = None
    if predictions.dtype == np.float64 and model.targets is not None:
        decimals = _decimals(predictions, model.targets)
    for i, row in enumerate(predictions):
        first = [names[row.argmax()]] if model.task == "classification" else []
        if decimals is None:
            cells = map(str, row)
        else:
            cells = map(repr, map(round, row.tolist(), decimals[i].tolist()))
        writer.writerow([*first, *cells])
    return out.getvalue()


def _decimals(predictions: np.ndarray, targets: Standardizer) -> np.ndarray:
    """Return the number of decimals (n, targets) that preserve the float32 network outputs.

    predictions (n, targets) float64, in original units. A network output is a number of standard
    deviations from the mean; outputs below SMALL in magnitude count as SMALL.
    """
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):  # not finite
        y = np.log(predictions) if targets.log else predictions
        z = np.maximum(np.abs((y - targets.mean) / targets.scale), SMALL)
        step = np.spacing(z.astype(np.float32)).astype(np.float64) * targets.scale
        step = step * np.abs(predictions) if targets.log else step
        decimals: np.ndarray = np.nan_to_num(np.ceil(-np.log10(step))).astype(np.int64)
    return decimals


def _require_fitting(model: Model, name: str, table: Table, rows: Split) -> None:
    _require_width(model, name, rows.x)
    outputs = model.network.output_size
    if table.task != model.task or table.class_names != model.class_names:
        raise ValueError(
            f"{name}: the model was trained for {_purpose(model.task, model.class_names)}, the "
            f"data are for {_purpose(table.task, table.class_names)}; give data like the training "
            "data"
        )
    if model.task != "classification" and rows.y.shape[1] != outputs:
        raise ValueError(
            f"{name}: the model has {outputs} targets, the data {rows.y.shape[1]}; "
            "name the target columns"
        )


def _require_width(model: Model, name: str, x: np.ndarray | ByteRows) -> None:
    if x.shape[1] != model.network.input_size:
        raise ValueError(
            f"{name}: the model needs {model.network.input_size} features, the data have "
            f"{x.shape[1]}; was the model trained on other data?"
        )


def _purpose(task: str, class_names: Sequence[str] | None) -> str:
    if not class_names:
        return task
    first = ", ".join(class_names[:5]) + (", ..." if len(class_names) > 5 else "")
    return f"{task} of {len(class_names)} classes ({first})"
