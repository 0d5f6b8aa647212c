"""Metrics of a model, computed from its raw outputs in float64.

To add a metric, add its function and a row of `METRICS` for each task that has it. Evaluation,
histories, early stopping, the command line and searches follow from the row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from fastsnn.checks.inputs import weights
from fastsnn.checks.scalars import number, shown
from fastsnn.losses import Loss, log_softmax, suggested

# The metric that selects the best epoch, by task.
MAIN = {"classification": "accuracy", "multitask": "auc", "regression": "rmse"}
Weight = np.ndarray | None  # (n,) weights >= 0 of the rows; None: 1
Area = Callable[[np.ndarray, np.ndarray, Weight], float]


@dataclass(frozen=True)
class Metric:
    """A row of `METRICS`.

    Parameters
    ----------
    name : str. Word of the command line, and key of records and results.
    task : {"classification", "multitask", "regression"}
    larger_is_better : bool. True if the metric is maximized.
    function : callable that returns a float. The last argument is the weight (n,) of the rows, or
        None. classification: ``function(y, z, weight)``, classes (n,) int and raw outputs (n,
        classes). multitask: the same, labels (n, tasks) of 0, 1 and NaN and raw outputs (n, tasks).
        regression: ``function(error, spread, weight)``, prediction minus target and target minus
        mean of its column, both (n, targets) in the units of the data.
    each_epoch : bool. True if the records of all epochs have it; others have it only if monitored.
    undefined : str. Reason why the value is NaN.
    parameter : str, optional. Keyword argument of `function` in (0, 1): q of "pinball:0.9".
    """

    name: str
    task: str
    larger_is_better: bool
    function: Callable[..., float]
    each_epoch: bool = False
    undefined: str = "there are no rows"
    parameter: str | None = None


def roc_auc(score: np.ndarray, label: np.ndarray, weight: Weight = None) -> float:
    """Return the area under the ROC curve: the probability that a random positive has a higher
    score than a random negative, where ties count half.

    Parameters
    ----------
    score : (n,) array
        Scores of the rows; larger means more probably positive.
    label : (n,) array of 0 and 1
        1 for a positive row. Values between are positive if > 0.5.
    weight : (n,) array, optional
        Weights >= 0 of the rows. Default: 1.

    Returns
    -------
    float
        In [0, 1]; NaN if one of the two classes has no rows or a total weight of 0.

    Examples
    --------
    >>> roc_auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]))
    0.75
    """
    positive, negative = _by_score(score, label, weight)
    if not positive.sum() or not negative.sum():
        return float("nan")
    below = np.cumsum(negative) - negative / 2  # negatives with a lower score, and half of the ties
    return float((positive * below).sum() / (positive.sum() * negative.sum()))


def average_precision(score: np.ndarray, label: np.ndarray, weight: Weight = None) -> float:
    """Return the average precision: sum_i (R_i - R_(i-1)) P_i over the thresholds i from high to
    low, with recall R_i and precision P_i of the rows whose score is at least the threshold.

    The arguments are those of `roc_auc`, all (n,): score, label (0 and 1), and weight >= 0. The
    result is in [0, 1]; NaN if there is no positive row or their total weight is 0.

    Examples
    --------
    >>> round(average_precision(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1])), 4)
    0.8333
    """
    positive, negative = (sums[::-1] for sums in _by_score(score, label, weight))
    if not positive.sum():
        return float("nan")
    found = np.cumsum(positive)
    precision = found / (found + np.cumsum(negative))
    return float((positive * precision).sum() / positive.sum())


def _by_score(score: np.ndarray, label: np.ndarray, weight: Weight) -> list[np.ndarray]:
    """Return the weight of the positives and of the negatives at each distinct score, ascending."""
    _, place = np.unique(score, return_inverse=True)
    w = np.ones(len(score)) if weight is None else weight
    return [np.bincount(place, w * kind) for kind in (label > 0.5, label <= 0.5)]


def _accuracy(y: np.ndarray, z: np.ndarray, weight: Weight) -> float:
    return _mean(z.argmax(axis=1) == y, weight)


def _balanced_accuracy(y: np.ndarray, z: np.ndarray, weight: Weight) -> float:
    """Return the mean recall of the classes that have rows."""
    true, _, right = _counts(y, z, weight)
    return float((right[true > 0] / true[true > 0]).mean())


def _f1_of_classes(y: np.ndarray, z: np.ndarray, weight: Weight) -> float:
    """Return the mean F1 of the classes that have rows or predictions."""
    true, predicted, right = _counts(y, z, weight)
    either = true + predicted > 0
    return float((2 * right[either] / (true + predicted)[either]).mean())


def _f1_of_positives(y: np.ndarray, z: np.ndarray, weight: Weight) -> float:
    true, predicted, right = (count[1] for count in _counts(y, z, weight))
    return float(2 * right / (true + predicted)) if true + predicted else float("nan")


def _counts(y: np.ndarray, z: np.ndarray, weight: Weight) -> list[np.ndarray]:
    """Return, for each class, the weight of its rows, of its predictions, and of those in both."""
    w = np.ones(len(y)) if weight is None else weight
    predicted, n = z.argmax(axis=1), z.shape[1]
    right = np.bincount(y, w * (predicted == y), n)
    return [np.bincount(y, w, n), np.bincount(predicted, w, n), right]


def _log_loss(y: np.ndarray, z: np.ndarray, weight: Weight) -> float:
    return _mean(-log_softmax(z)[np.arange(len(z)), y], weight)


def _one_vs_rest(area: Area) -> Callable[..., float]:
    """Return the metric of a classification: the area for class 1 of two classes, else the mean of
    the areas of each class against the others, without those that are NaN.
    """

    def metric(y: np.ndarray, z: np.ndarray, weight: Weight) -> float:
        if z.shape[1] == 2:
            return area(z[:, 1].astype(np.float64) - z[:, 0], y == 1, weight)
        scores = log_softmax(z).astype(np.float32)  # rounding keeps ties that float64 would break
        return _of_defined(area(scores[:, c], y == c, weight) for c in range(z.shape[1]))

    return metric


def _over_tasks(metric: Callable[..., float]) -> Callable[..., float]:
    """Return the metric of a multitask network: the mean of a metric of two classes over the tasks,
    on the labelled rows of each, without those that are NaN or have no labels.
    """

    def mean(y: np.ndarray, z: np.ndarray, weight: Weight) -> float:
        values, y = [], y.reshape(z.shape)
        for j in range(z.shape[1]):
            rows = ~np.isnan(y[:, j])
            if rows.any():
                score = z[rows, j].astype(np.float64)
                pair = np.column_stack([np.zeros_like(score), score])  # its softmax is the sigmoid
                label = (y[rows, j] > 0.5).astype(np.int64)
                values.append(metric(label, pair, None if weight is None else weight[rows]))
        return _of_defined(values)

    return mean


def _rmse(error: np.ndarray, spread: np.ndarray, weight: Weight) -> float:
    return float(np.sqrt(_mean(error**2, weight)))


def _mae(error: np.ndarray, spread: np.ndarray, weight: Weight) -> float:
    return _mean(np.abs(error), weight)


def _r2(error: np.ndarray, spread: np.ndarray, weight: Weight) -> float:
    w = 1.0 if weight is None else weight[:, None]
    variance = (w * spread**2).sum()
    return float(1 - (w * error**2).sum() / variance) if variance else float("nan")


def _pinball(error: np.ndarray, spread: np.ndarray, weight: Weight, q: float = 0.5) -> float:
    return _mean(np.maximum(-q * error, (1 - q) * error), weight)


def _mean(each: np.ndarray, weight: Weight) -> float:
    """Return the mean of (n,) or (n, outputs) values with the weights of the rows."""
    return float(each.mean() if weight is None else np.average(each, axis=0, weights=weight).mean())


def _of_defined(values: Iterable[float]) -> float:
    """Return the mean of the values that are not NaN; NaN if there are none."""
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")


_auc, _precision = _one_vs_rest(roc_auc), _one_vs_rest(average_precision)
_ONE = "the rows are of one class"
_NONE = "no task has a label"
# fmt: off
METRICS = (
    Metric("accuracy", "classification", True, _accuracy, each_epoch=True),
    Metric("auc", "classification", True, _auc, undefined=_ONE),
    Metric("average_precision", "classification", True, _precision,
           undefined="no row is of the second class"),
    Metric("balanced_accuracy", "classification", True, _balanced_accuracy),
    Metric("f1", "classification", True, _f1_of_classes),
    Metric("log_loss", "classification", False, _log_loss),
    Metric("auc", "multitask", True, _over_tasks(_auc), each_epoch=True,
           undefined="no task has both labels"),
    Metric("accuracy", "multitask", True, _over_tasks(_accuracy), undefined=_NONE),
    Metric("average_precision", "multitask", True, _over_tasks(_precision),
           undefined="no task has a positive label"),
    Metric("balanced_accuracy", "multitask", True, _over_tasks(_balanced_accuracy),
           undefined=_NONE),
    Metric("f1", "multitask", True, _over_tasks(_f1_of_positives),
           undefined="no task has a positive label or prediction"),
    Metric("log_loss", "multitask", False, _over_tasks(_log_loss), undefined=_NONE),
    Metric("rmse", "regression", False, _rmse, each_epoch=True),
    Metric("r2", "regression", True, _r2, each_epoch=True, undefined="the targets are constant"),
    Metric("mae", "regression", False, _mae),
    Metric("pinball", "regression", False, _pinball, parameter="q"),
)
# fmt: on


def names_of(task: str) -> list[str]:
    """Return the names of the metrics of a task, without "loss"."""
    return [metric.name for metric in METRICS if metric.task == task]


_ROWS = {(metric.task, metric.name): metric for metric in METRICS}
# For help texts: each list of names with the tasks that have it.
_NAMES = {task: ", ".join(sorted(names_of(task))) for task in MAIN}
_TASKS = {names: [t for t in MAIN if _NAMES[t] == names] for names in _NAMES.values()}
WORDS = "; ".join(["loss", *(f"{names} ({', '.join(of)})" for names, of in _TASKS.items())])
WORDS += ". pinball:Q weighs errors by Q if the prediction is too low, else by 1 - Q (default 0.5)"
LARGER_IS_BETTER = {m.name: m.larger_is_better for m in METRICS} | {"loss": False}


def metric_of(name: str, task: str, where: str = "metric:") -> Metric:
    """Return the metric of a task for a name, or for a name and parameter: "pinball:0.9".

    `where` is the start of the error message. Raises ValueError for a name that the task does not
    have, for "loss", which is not a metric, and for a parameter out of range.
    """
    base, colon, text = name.partition(":") if isinstance(name, str) else ("", "", "")
    row = _ROWS.get((task, base))
    if row is None or (colon and row.parameter is None):
        known = ", ".join([*["loss"] * (name != "loss"), *names_of(task)])
        raise ValueError(f"{where} must be one of {known} for {task}, got {shown(name)}")
    if not colon or row.parameter is None:
        return row
    try:
        value = number(float(text), f"{where} {row.parameter}", 0, 1, "()")
    except ValueError as error:
        raise ValueError(
            f"{where} {base}:{row.parameter.upper()} with a number in (0, 1) is required, got "
            f"{shown(name)}"
        ) from error
    return replace(row, name=name, function=partial(row.function, **{row.parameter: value}))


def require(name: str, task: str | None = None, where: str = "metric:") -> None:
    """Raise ValueError unless the name is "loss" or a metric of the task, by default of any."""
    tasks = [t for t in MAIN if (t, name.partition(":")[0]) in _ROWS]
    if name != "loss" and task is None and not tasks:
        raise ValueError(f"{where} must be one of {', '.join(LARGER_IS_BETTER)}, got {shown(name)}")
    if name != "loss":
        metric_of(name, task or tasks[0], where)


def each_epoch(task: str, callbacks: Iterable[object] = (), *more: str) -> list[str]:
    """Return the names of the validation metrics in the records of a training run.

    These are the rows with `each_epoch`, `more`, and metrics of the task that are monitored: the
    attribute `monitor` of callbacks and schedules, such as "validation_f1".
    """
    found = [metric.name for metric in METRICS if metric.task == task and metric.each_epoch]
    keys = [str(getattr(callback, "monitor", "")) for callback in callbacks]
    asked = [key.removeprefix("validation_") for key in keys if key.startswith("validation_")]
    for name in (*more, *asked):
        if name not in found and (task, name.partition(":")[0]) in _ROWS:
            found.append(metric_of(name, task).name)
    return found


def undefined(task: str, figures: dict[str, Any]) -> dict[str, str]:
    """Return the reason for each metric of a result of `evaluate` that is NaN, by its name."""
    return {
        name: metric_of(name, task).undefined
        for name, value in figures.items()
        if (task, name.partition(":")[0]) in _ROWS and np.isnan(value)
    }


def main_of(loss: Loss) -> str:
    """Return the name of the default validation metric for this loss, which selects the best epoch.

    This is "accuracy", "auc" or "rmse" by task (`MAIN`), and "loss" for a regression loss other
    than the mean squared error: predictions that minimize such a loss may have a large root mean
    squared error.
    """
    other = loss.task == "regression" and loss != suggested(loss.task)
    return "loss" if other else MAIN[loss.task]


def evaluate(
    task: str,
    z: np.ndarray,
    y: np.ndarray,
    scale: np.ndarray | None = None,
    units: tuple[np.ndarray, np.ndarray] | None = None,
    loss: Loss | None = None,
    names: Iterable[str] | None = None,
    sample_weight: object = None,
) -> dict[str, float]:
    """Return the loss and the metrics of a task for raw outputs and labels.

    Parameters
    ----------
    task : {"classification", "multitask", "regression"}
    z : (n, outputs) array
        Raw outputs of the network.
    y : array
        classification: (n,) classes. multitask: (n, outputs) labels in [0, 1], NaN where missing;
        labels > 0.5 are positive. regression: (n, outputs) targets, standardized like the outputs.
    scale : (outputs,) array, optional
        Regression: standard deviation of the targets before standardization; the metrics are then
        in their units.
    units : tuple of 2 (n, outputs) float64 arrays, optional
        Regression: predictions and truth in the units before standardization, for the metrics.
        More accurate than `scale`, because y was rounded to float32.
    loss : Loss, optional
        Default: the loss of the task.
    names : iterable of str, optional
        Metrics to compute, such as ``["f1", "auc"]``. Default: all of the task.
    sample_weight : (n,) array, optional
        Weights >= 0 of the rows, not all 0; rows of weight 0 are left out. Default: 1.

    Returns
    -------
    dict of str to float
        "loss": mean loss; and the metrics, NaN where they are undefined, see :doc:`/howto/metrics`.

    Raises
    ------
    ValueError
        If the task does not have a metric, or a weight is invalid.

    Examples
    --------
    >>> figures = evaluate("classification", np.array([[2.0, 0.0], [1.0, 0.0]]), np.array([0, 1]))
    >>> figures["accuracy"], round(figures["loss"], 4)
    (0.5, 0.7201)
    """
    chosen = names_of(task) if names is None else [name for name in names if name != "loss"]
    functions = {name: metric_of(name, task).function for name in chosen}
    weight = None
    if sample_weight is not None:
        weights(sample_weight, (len(z),), "sample_weight")
        weight = np.asarray(sample_weight, np.float64)
        used = weight > 0
        if len(z) and not used.any():
            raise ValueError("sample_weight: a weight above 0 is required, got only 0")
        weight, z, y = weight[used], z[used], y[used]
        units = None if units is None else (units[0][used], units[1][used])
    if not len(z):
        return {"loss": float("nan")} | dict.fromkeys(functions, float("nan"))
    figures = {"loss": (loss or suggested(task)).value(z, y, weight)}
    if task == "regression":
        y, z = _deviations(z, y, scale, units, weight)
    return figures | {name: function(y, z, weight) for name, function in functions.items()}


def _deviations(
    z: np.ndarray,
    y: np.ndarray,
    scale: np.ndarray | None,
    units: tuple[np.ndarray, np.ndarray] | None,
    weight: Weight,
) -> tuple[np.ndarray, np.ndarray]:
    """Return (error, spread) of a regression in the units of the data, see `Metric.function`."""
    predicted, truth = (z, y) if units is None else units
    truth = truth.reshape(z.shape).astype(np.float64)
    error = predicted.astype(np.float64) - truth
    spread = truth if units is None else truth - truth[0]  # exactly 0 for constant targets
    spread = spread - (spread.mean(axis=0) if weight is None else weight @ spread / weight.sum())
    return (error, spread) if scale is None else (error * scale, spread * scale)
