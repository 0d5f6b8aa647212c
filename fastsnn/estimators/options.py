"""Parameters of the estimators as parts of a training: widths, loss, optimizer, schedule."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np

from fastsnn import schedules
from fastsnn.checks.scalars import integer, shown
from fastsnn.layers import MOST_UNITS
from fastsnn.losses import Loss, SoftmaxCrossEntropy, loss_of, suggested
from fastsnn.optimizers import OPTIMIZERS, Optimizer
from fastsnn.runs.defaults import BATCH_SIZE_FEW, FEW_ROWS, MEASURED, defaults
from fastsnn.runs.independent import independent_features
from fastsnn.schedules import Schedule

AUTO = "auto"
# Adam for small tables, chosen on UCI tasks that `fastsnn bench tables` does not use: as accurate
# as networks of twice the depth and width with sgd, in a tenth of the time. Label smoothing keeps
# probabilities away from 0 and 1, which small tables cannot justify. Class weights would multiply
# the part of each class that smoothing adds to every row.
LAYERS_ADAM, RATE_ADAM, SHARE_ADAM = 8, 1e-3, 0.5
SMOOTHING = 0.1


class Settings(NamedTuple):
    """Settings of a training, without "auto". batch_size: not limited by the number of rows."""

    batch_size: int
    epochs: int
    optimizer: Optimizer


def widths_of(estimator: Any) -> list[int]:
    """Return the units of each hidden layer. Raises TypeError or ValueError for other sizes."""
    sizes = estimator.hidden_layer_sizes
    if sizes is None:
        return [estimator.width] * estimator.layers
    sizes = list(sizes) if isinstance(sizes, Iterable) else [sizes]
    if not sizes:
        raise ValueError("hidden_layer_sizes: at least one hidden layer is required, got none")
    return [integer(size, "hidden_layer_sizes", 1, MOST_UNITS) for size in sizes]


def dropout_of(estimator: Any, task: str, n_rows: int) -> float:
    """Return the dropout rate."""
    if estimator.dropout_rate != AUTO:
        return float(estimator.dropout_rate)
    return float(_defaults(estimator, task, n_rows)["dropout"])


def loss_for(estimator: Any, task: str) -> Loss:
    """Return the loss. Raises ValueError for an unknown one and for one of another task."""
    if estimator.loss == AUTO:
        if task == "classification" and estimator.class_weight is None:
            return SoftmaxCrossEntropy(SMOOTHING)
        return suggested(task)
    loss = loss_of(estimator.loss, "loss")
    if loss.task != task:
        raise ValueError(
            f"loss: a loss for {task} targets is required, such as {suggested(task).name}; got "
            f"{shown(estimator.loss)}"
        )
    return loss


def merge_limit(estimator: Any) -> int:
    """Return the number of distinct rows up to which each update uses all rows."""
    return BATCH_SIZE_FEW if estimator.batch_size == AUTO else int(estimator.batch_size)


def settings_of(estimator: Any, task: str, x: np.ndarray) -> Settings:
    """Return the settings of a training. x: (n, features), standardized."""
    independent = None
    if task == "regression" and estimator.learning_rate_init == AUTO:
        independent = independent_features(x)
    rule = _defaults(estimator, task, len(x), independent)

    def chosen(name: str, default: str) -> Any:
        value = getattr(estimator, name)
        return rule[default] if isinstance(value, str) else value

    optimizer = estimator.solver
    if isinstance(optimizer, str):
        options = {
            "learning_rate": chosen("learning_rate_init", "learning_rate"),
            "weight_decay": chosen("weight_decay", "weight_decay"),
            "momentum": estimator.momentum,
            "nesterov": estimator.nesterovs_momentum,
        }
        kind = OPTIMIZERS[optimizer]
        known = {field.name for field in fields(kind)}  # type: ignore[arg-type]  # dataclasses
        optimizer = kind(**{name: v for name, v in options.items() if name in known})
    batch_size = int(chosen("batch_size", "batch_size"))
    return Settings(batch_size, int(chosen("max_iter", "epochs")), optimizer)


def schedule_for(estimator: Any, validated: bool) -> Schedule:
    """Return the schedule. validated: the training has validation data, which "plateau" monitors;
    else it monitors the training loss.
    """
    schedule = estimator.schedule
    if not isinstance(schedule, str):
        return schedules.schedule_of(schedule, "schedule")
    if schedule == "plateau" and not validated:
        return schedules.ReduceOnPlateau(monitor="train_loss")
    return schedules.SCHEDULES[schedule]()


class Later(Schedule):
    """A schedule for the epochs after the first ones of a training, as if it began there."""

    def __init__(self, schedule: Schedule, epochs: int, total: int) -> None:
        self.schedule, self.epochs, self.total = schedule, epochs, total

    def factor(self, step: int, n_steps: int, history: Any) -> float:
        """Return the factor of the schedule, which sees the later steps and epochs alone."""
        before = n_steps // self.total * self.epochs  # updates of the first epochs
        return self.schedule.factor(step - before, n_steps - before, history[self.epochs :])


class Reported(Schedule):
    """A schedule that reports the completed fraction of a `fit` before each update.

    Unlike a callback with `on_batch_end`, it does not limit the updates per native call.
    """

    def __init__(self, schedule: Schedule, report: Callable[[float], None]) -> None:
        self.schedule, self.report = schedule, report
        self.monitor = getattr(schedule, "monitor", "")
        self.first: int | None = None  # the first update of this `fit`

    def factor(self, step: int, n_steps: int, history: Any) -> float:
        """Return the factor of the schedule."""
        if self.first is None:
            self.first = step
        self.report((step - self.first) / (n_steps - self.first))
        return self.schedule.factor(step, n_steps, history)


def _defaults(
    estimator: Any, task: str, n_rows: int, independent: float | None = None
) -> dict[str, Any]:
    """Return the defaults of `fastsnn train` for this depth, width and number of rows; for Adam
    and up to LAYERS_ADAM layers those that were measured for the estimators.
    """
    widths = widths_of(estimator)
    solver = estimator.solver
    name = solver if isinstance(solver, str) else type(solver).__name__.lower()
    known: dict[str, Any] = {"method": "snn", "layers": len(widths), "width": max(widths)}
    rule = defaults(
        n_rows, task, independent, **known, optimizer=name if name in OPTIMIZERS else MEASURED
    )
    if name != "adam" or len(widths) > LAYERS_ADAM:
        return rule
    rule["learning_rate"] = RATE_ADAM
    rule["weight_decay"] = defaults(n_rows, task, **known, optimizer=MEASURED)["weight_decay"]
    if n_rows < FEW_ROWS:
        rule["epochs"] = round(SHARE_ADAM * rule["epochs"])
    return rule
