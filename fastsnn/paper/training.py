"""Training shared by all experiments: SGD, validation after each epoch, test of the best epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastsnn import methods
from fastsnn.data.dataset import Split
from fastsnn.metrics import roc_auc
from fastsnn.network import Network
from fastsnn.optimizers import SGD
from fastsnn.paper.budgets import Grid
from fastsnn.search import BestEpoch, ModelSelection
from fastsnn.trainer import Trainer

LEAST_STEPS = 8  # steps per epoch, unless batches would have less than 8 rows
NETWORK = ("layers", "width", "dropout", "shape", "bottleneck")


@dataclass(frozen=True)
class Task:
    """A learning task.

    loss: name of the loss. outputs: number of outputs. judge(z, y): metric in [0, 1] of raw outputs
    z and labels y; higher is better.
    """

    loss: str
    outputs: int
    judge: Callable[[np.ndarray, np.ndarray], float]


def accuracy(z: np.ndarray, y: np.ndarray) -> float:
    """Return the accuracy in [0, 1] of raw outputs z (n, classes) and labels y (n,)."""
    return float((z.argmax(axis=1) == y).mean())


def auc_of_second(z: np.ndarray, y: np.ndarray) -> float:
    """Return the area under the ROC curve of class 1; z (n, 2), y (n,) in {0, 1}."""
    return roc_auc(z[:, 1] - z[:, 0], y)


def mean_auc(z: np.ndarray, y: np.ndarray) -> float:
    """Return the mean of `aucs` over the tasks that have both labels; NaN if there are none."""
    areas = aucs(z, y)
    return float(np.nanmean(areas)) if np.isfinite(areas).any() else float("nan")


def aucs(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the area under the ROC curve of each task, (tasks,).

    z, y (n, tasks); NaN in y is a missing label. A task without both labels has NaN.
    """
    labelled = ~np.isnan(y)
    return np.array([roc_auc(z[l, j], y[l, j]) for j, l in enumerate(labelled.T)])


def batch_size(rows: int, batch: int) -> int:
    """Return `batch`, or less if an epoch of `rows` rows would have fewer than 8 steps."""
    return max(1, min(batch, max(8, -(-rows // LEAST_STEPS)), rows))


def build(options: Mapping[str, Any], inputs: int, outputs: int) -> Network:
    """Return the network of a trial's options."""
    chosen = {name: options[name] for name in NETWORK if name in options}
    return methods.network(options["method"], inputs, outputs, seed=options["seed"], **chosen)


def train(
    options: Mapping[str, Any],
    parts: tuple[Split, Split, Split],
    task: Task,
    protocol: ModelSelection,
    grid: Grid,
    report: Callable[[float], None],
    test: Mapping[str, Callable[[np.ndarray, np.ndarray], Any]] | None = None,
) -> dict[str, Any]:
    """Train a network on one thread and evaluate its best epoch on the test rows.

    Parameters
    ----------
    options : method, seed, learning_rate, weight_decay (optional), and the options of `build`.
    parts : training, validation and test rows, standardized.
    test : further metrics of the test rows, {name: function(z, y)}.

    Returns
    -------
    dict
        "score": smoothed validation metric of the best epoch; "epoch": its number, from 1; "test":
        metric of its network on the test rows; "diverged": epoch in which the training diverged, or
        None; and the metrics of `test`.

    Raises
    ------
    FloatingPointError
        The training diverged before the first full smoothing window. Later divergence ends the
        training, and the epochs before it count.
    """
    training, validation, held = parts
    network = build(options, training.x.shape[1], task.outputs)
    optimizer = SGD(options["learning_rate"], weight_decay=options.get("weight_decay", 0.0))
    trainer = Trainer(network, task.loss, optimizer, threads=1, seed=options["seed"])
    selection, diverged = BestEpoch(protocol), None
    history: list[dict[str, float]] = []
    selection.on_fit_start(trainer, protocol.epochs, 0)
    judged = _first(validation, grid.validation_rows, options["seed"])
    epochs = rows_of_epochs(len(training), grid.rows_per_epoch, options["seed"])
    size = batch_size(min(len(training), grid.rows_per_epoch or len(training)), grid.batch)
    for epoch, rows in zip(range(protocol.epochs), epochs, strict=False):
        try:
            trainer.fit(training.features[rows], training.y[rows], 1, size)
        except FloatingPointError:
            if len(history) < protocol.window:
                raise
            diverged = epoch + 1
            break
        value = task.judge(network.forward(judged.x, threads=1), judged.y)
        history.append({f"validation_{protocol.metric}": value})
        selection.on_epoch_end(trainer, history)
        report((epoch + 1) / protocol.epochs)
    selection.on_fit_end(trainer, history)
    z = network.forward(held.x, threads=1)
    figures = {name: judge(z, held.y) for name, judge in (test or {}).items()}
    return {
        **selection.figures(), "test": task.judge(z, held.y), "diverged": diverged, **figures,
    }  # fmt: skip


def rows_of_epochs(n: int, most: int | None, seed: int) -> Iterator[np.ndarray]:
    """Yield the rows of each epoch without end: n shuffled rows, or the next `most` of them.

    Yields index arrays. If n > most, epochs are consecutive pieces of concatenated shuffles.
    """
    generator = np.random.Generator(np.random.Philox(key=seed))
    if most is None or n <= most:
        while True:
            yield generator.permutation(n)
    waiting = np.empty(0, np.int64)
    while True:
        while len(waiting) < most:
            waiting = np.concatenate([waiting, generator.permutation(n)])
        yield waiting[:most]
        waiting = waiting[most:]


def _first(part: Split, most: int | None, seed: int) -> Split:
    """Return the part, or a random sample of `most` of its rows."""
    if most is None or len(part) <= most:
        return part
    rows = np.random.Generator(np.random.Philox(key=seed)).permutation(len(part))[:most]
    return Split(part.features[rows], part.y[rows])
