"""Metrics of a model, computed from its raw outputs in float64."""

import numpy as np

from fastsnn.losses import Loss, suggested

# The metric that selects the best epoch, by task.
MAIN = {"classification": "accuracy", "multitask": "auc", "regression": "rmse"}
LARGER_IS_BETTER = {"accuracy": True, "auc": True, "r2": True, "rmse": False, "loss": False}


def main_of(loss: Loss) -> str:
    """Return the name of the metric that selects the best epoch of a run with this loss.

    It is the main metric of the task, `MAIN`. For a regression with a loss other than the mean
    squared error it is "loss", because predictions that minimize that loss may have a large root
    mean squared error.
    """
    other = loss.task == "regression" and loss != suggested(loss.task)
    return "loss" if other else MAIN[loss.task]


def roc_auc(score: np.ndarray, label: np.ndarray) -> float:
    """Return the area under the ROC curve: the probability that a random positive has a higher
    score than a random negative, where ties count half.

    Parameters
    ----------
    score : (n,) array
    label : (n,) array
        Positive if > 0.5.

    Returns
    -------
    float
        In [0, 1]; NaN if one of the two classes is missing.

    Examples
    --------
    >>> roc_auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]))
    0.75
    """
    positive = label > 0.5
    n_positive, n_negative = positive.sum(), (~positive).sum()
    if not n_positive or not n_negative:
        return float("nan")
    values, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = np.cumsum(counts) - (counts - 1) / 2  # of each distinct value, ties share the mean
    total = rank[place][positive].sum()
    return float((total - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def evaluate(
    task: str,
    z: np.ndarray,
    y: np.ndarray,
    scale: np.ndarray | None = None,
    units: tuple[np.ndarray, np.ndarray] | None = None,
    loss: Loss | None = None,
) -> dict[str, float]:
    """Return the metrics of a task for raw outputs and labels.

    Parameters
    ----------
    task : {"classification", "multitask", "regression"}
    z : (n, outputs) array
        Raw outputs of the network.
    y : array
        classification: (n,) classes. multitask: (n, outputs) labels in [0, 1], NaN where missing.
        regression: (n, outputs) targets, standardized like the outputs.
    scale : (outputs,) array, optional
        Regression: standard deviation of the targets before standardization; "rmse" is then in
        their units.
    units : tuple of 2 (n, outputs) float64 arrays, optional
        Regression: predictions and truth in the units before standardization, for "rmse" and "r2".
        More accurate than `scale`, because y was rounded to float32.
    loss : Loss, optional
        Default: the loss of the task.

    Returns
    -------
    dict of str to float
        "loss": mean loss. classification: "accuracy", share of rows whose largest output is that of
        their class. multitask: "auc", mean of `roc_auc` over the tasks with both labels.
        regression: "rmse", root of the mean squared error over all entries; "r2", 1 minus the
        ratio of the sum of squared errors to that of squared deviations from the column means (NaN
        for constant targets).

    Examples
    --------
    >>> figures = evaluate("classification", np.array([[2.0, 0.0], [1.0, 0.0]]), np.array([0, 1]))
    >>> figures["accuracy"], round(figures["loss"], 4)
    (0.5, 0.7201)
    """
    figures = {"loss": (loss or suggested(task)).value(z, y)}
    if task == "classification":
        figures["accuracy"] = float((z.argmax(axis=1) == y).mean())
    elif task == "multitask":
        areas, y = [], y.reshape(z.shape)
        for j in range(z.shape[1]):
            labelled = ~np.isnan(y[:, j])
            areas.append(roc_auc(z[labelled, j], y[labelled, j]))
        areas = [a for a in areas if not np.isnan(a)]
        figures["auc"] = float(np.mean(areas)) if areas else float("nan")
    else:
        predicted, truth = (z, y) if units is None else units
        truth = truth.reshape(z.shape).astype(np.float64)
        error = predicted.astype(np.float64) - truth
        spread = truth if units is None else truth - truth[0]  # exactly 0 for constant targets
        spread = spread - spread.mean(axis=0)
        if scale is not None:
            error, spread = error * scale, spread * scale
        figures["rmse"] = float(np.sqrt((error**2).mean()))
        variance = (spread**2).sum()
        figures["r2"] = float(1 - (error**2).sum() / variance) if variance else float("nan")
    return figures
