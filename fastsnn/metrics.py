"""Figures that judge a model, by name, computed from raw outputs."""

import numpy as np

from fastsnn.losses import Loss, suggested

# Watched by early stopping and by the choice of the best model, and whether more is better.
MAIN = {"classification": "accuracy", "multitask": "auc", "regression": "rmse"}
LARGER_IS_BETTER = {"accuracy": True, "auc": True, "r2": True, "rmse": False, "loss": False}


def main_of(loss: Loss) -> str:
    """The figure by which a run with this loss chooses its best epoch: that of the task. A
    regression with another loss than the suggested one takes that loss, since the predictions that
    minimize it may have a large root mean square error.
    """
    other = loss.task == "regression" and loss != suggested(loss.task)
    return "loss" if other else MAIN[loss.task]


def roc_auc(score: np.ndarray, label: np.ndarray) -> float:
    """Area under the ROC curve: the probability that a positive scores above a negative, ties
    counted half.

    NaN where one of the two classes is missing.
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
    """Figures for raw outputs z (n, outputs) and labels y, by the task.

    classification: loss, accuracy in [0, 1]. multitask: loss, auc (mean over the tasks that have
    both labels). regression: loss, rmse and r2. These two are in the units before standardization
    with `units`, (predictions, truth), both (n, outputs) float64, or with `scale` (outputs,),
    which is less accurate because y was rounded. loss: the one that was trained; by default the one
    that the task suggests.
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
