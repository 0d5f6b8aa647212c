"""The loop of `Trainer.fit`: epochs, mini-batches, records, callbacks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from fastsnn import batches, metrics
from fastsnn.checks import inputs as check
from fastsnn.checks.scalars import number
from fastsnn.engine.batch import Batch
from fastsnn.engine.byterows import ByteRows
from fastsnn.engine.epoch import batches_of, shuffled
from fastsnn.engine.interface import TrainingEngine
from fastsnn.engine.predict import Placed
from fastsnn.losses import Loss
from fastsnn.network import Network
from fastsnn.optimizers import HIGHEST_RATE, Optimizer
from fastsnn.schedules import Constant, Schedule, schedule_of


class Callback:
    """The interface of a callback, with methods that do nothing.

    `Trainer.fit` calls each callback in the order of its list. It accepts any object and calls
    those of the methods `on_fit_start`, `on_batch_end`, `on_epoch_end` and `on_fit_end` that exist;
    deriving from this class is optional.

    Callbacks run in the thread that called `fit`, which holds the trainer's lock. They may call
    the trainer, set `trainer.optimizer` and change the record of the last epoch. They must not wait
    for another thread that calls this trainer: that thread waits for the end of `fit`, which is a
    deadlock. An exception in a callback ends `fit`; `on_fit_end` is then not called.

    A callback that reads a metric which is not in every record, such as "validation_f1", names it
    in an attribute `monitor`. `fit` then evaluates it after each epoch.

    Examples
    --------
    Print the loss of every epoch, and stop below 0.1:

    >>> class Report(Callback):
    ...     def on_epoch_end(self, trainer, history):
    ...         print(history[-1]["epoch"], history[-1]["train_loss"])
    ...         return history[-1]["train_loss"] < 0.1
    """

    def on_fit_start(self, trainer: Any, epochs: int, batches: int) -> None:
        """Called at the start of `fit`, after its arguments have been checked.

        Parameters
        ----------
        trainer : Trainer
            The trainer that runs `fit`.
        epochs : int
            Number of the last epoch, earlier epochs of a resumed training run included.
        batches : int
            Mini-batches per epoch.
        """

    def on_batch_end(self, trainer: Any, samples: int, loss: float) -> None:
        """Called after each update.

        A callback with this method limits single-threaded training on the CPU to one update per
        native call. With ``backend="cuda"`` it is called later, for up to 64 updates in a row.

        Parameters
        ----------
        trainer : Trainer
            The trainer that runs `fit`.
        samples : int
            Rows of the mini-batch.
        loss : float
            Mean loss of the mini-batch before the update.
        """

    def on_epoch_end(self, trainer: Any, history: list[dict[str, Any]]) -> bool | None:
        """Called after each epoch.

        Parameters
        ----------
        trainer : Trainer
            The trainer that runs `fit`.
        history : list of dict
            Records of all epochs so far, see `Trainer.fit`; ``history[-1]`` is this epoch's.

        Returns
        -------
        bool or None
            A true value stops the training after this epoch. All callbacks are still called.
        """
        return None

    def on_fit_end(self, trainer: Any, history: list[dict[str, Any]]) -> None:
        """Called at the end of `fit`, unless an exception ends it.

        Parameters
        ----------
        trainer : Trainer
            The trainer that runs `fit`.
        history : list of dict
            Records of all epochs, see `Trainer.fit`.
        """


class Fitted(Protocol):
    """The members of a `Trainer` that the loop uses."""

    class_weight: Any
    _engine: TrainingEngine
    _first_loss: float | None
    _loss: Loss

    @property
    def network(self) -> Network: ...

    @property
    def optimizer(self) -> Optimizer: ...

    @property
    def seed(self) -> int: ...

    def load_kernels(self) -> float: ...

    def _steps(
        self,
        batch: Batch,
        first_row: int,
        sizes: Sequence[int],
        rates: Sequence[float],
        x: np.ndarray | ByteRows,
    ) -> list[float]: ...

    def _figures(self, x: Placed, y: np.ndarray, *options: Any) -> dict[str, float]: ...


class Plan(NamedTuple):
    """The work of one `fit`, from checked arguments."""

    epochs: int
    batch_size: int
    schedule: Schedule
    callbacks: list[Any]
    data: Batch  # without an order of the rows; x may be on a device
    x: np.ndarray | ByteRows  # the rows on the host
    rows: int  # used in each epoch
    validation: tuple[Placed, np.ndarray] | None
    names: list[str]  # metrics of the validation data in each record


def fit(
    trainer: Fitted,
    x: object,
    y: object,
    epochs: int,
    batch_size: int,
    validation_data: object,
    callbacks: Iterable[object],
    schedule: Schedule | None,
    sample_weight: object,
    history: list[dict[str, Any]],
) -> None:
    """Train the epochs after those of `history`, and append their records; see `Trainer.fit`."""
    epochs = check.integer(epochs, "fit: epochs", 1)
    batch_size = check.integer(batch_size, "fit: batch_size", 1)
    schedule = schedule_of(schedule or Constant(), "fit: schedule")
    trainer.load_kernels()
    network, loss = trainer.network, trainer._loss
    rows = batches.checked(network, loss, x, y)
    weights = batches.weights_of(
        rows, sample_weight, trainer.class_weight, network.output_size, fitting=True
    )
    data = Batch(rows.x, check.NO_INTEGERS, rows.labels, rows.targets, *weights)
    held = None
    if validation_data is not None:
        if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
            parts = "; write (part.x, part.y)" if hasattr(validation_data, "raw_y") else ""
            raise TypeError(
                f"fit: validation_data must be (x, y), got {type(validation_data).__name__}{parts}"
            )
        try:
            held = batches.checked(network, loss, *validation_data)
        except (TypeError, ValueError) as error:
            raise type(error)(f"validation_data: {error}") from error
    if not isinstance(callbacks, Iterable):
        raise TypeError(
            f"fit: callbacks must be a list, got {type(callbacks).__name__}; write [callback]"
        )
    called = list(callbacks)
    for one in called:
        if isinstance(one, type):
            name = one.__name__
            raise TypeError(
                f"fit: callbacks must be instances, got the class {name}; write {name}()"
            )
    n_rows = len(rows.x)
    batches.require_enough(network, min(batch_size, n_rows))
    if isinstance(trainer.class_weight, str):
        trainer.class_weight = data.class_weight
    alone = network.couples_rows and n_rows % batch_size == 1  # the last batch would be one row
    placed = trainer._engine.place(data)
    validation = None if held is None else (network._placed(held.x), held.y)
    names = metrics.each_epoch(loss.task, [*called, schedule])
    plan = Plan(
        epochs, batch_size, schedule, called, placed, rows.x, n_rows - alone, validation, names
    )
    _run(trainer, plan, history)


def _run(trainer: Fitted, plan: Plan, history: list[dict[str, Any]]) -> None:
    n_batches, called = -(-plan.rows // plan.batch_size), plan.callbacks
    _call(called, "on_fit_start", trainer, plan.epochs, n_batches)
    after_batch = [c.on_batch_end for c in called if _has(c, "on_batch_end")]
    for epoch in range(len(history), plan.epochs):
        history.append(_epoch(trainer, plan, epoch, n_batches, history, after_batch))
        if any(_call(called, "on_epoch_end", trainer, history)):
            break
    _call(called, "on_fit_end", trainer, history)


def _epoch(
    trainer: Fitted,
    plan: Plan,
    epoch: int,
    n_batches: int,
    history: list[dict[str, Any]],
    after_batch: Sequence[Callable[[Any, int, float], object]],
) -> dict[str, float]:
    """Train epoch number `epoch` (from 0) and return its record."""
    start, total, made = time.perf_counter(), 0.0, 0
    order = shuffled(len(plan.x), trainer.seed, epoch)[: plan.rows]
    data = plan.data._replace(index=order)

    def steps_per_call() -> int:
        """Return 1 until the first loss is known, because divergence is defined relative to it."""
        several = trainer._engine.steps_per_call(plan.batch_size, bool(after_batch))
        return 1 if trainer._first_loss is None else several

    for batch, first, sizes in batches_of(trainer._engine, data, plan.batch_size, steps_per_call):
        before, n_steps = epoch * n_batches + made, plan.epochs * n_batches
        rates = [
            _rate(
                trainer.optimizer.learning_rate,
                plan.schedule.factor(before + i, n_steps, history),
            )
            for i in range(len(sizes))
        ]
        made += len(sizes)
        losses = trainer._steps(batch, first, sizes, rates, plan.x)
        for samples, loss in zip(sizes, losses, strict=True):
            total += loss * samples
            for call in after_batch:
                call(trainer, samples, loss)
    rate = rates[-1]
    seconds = time.perf_counter() - start
    record: dict[str, float] = {
        "epoch": epoch + 1,
        "train_loss": total / plan.rows,
        "learning_rate": rate,
        "seconds": seconds,
        "samples_per_second": plan.rows / seconds,
    }
    if plan.validation is not None:
        for name, value in trainer._figures(*plan.validation, plan.names).items():
            record[f"validation_{name}"] = value
    return record


def _has(callback: object, name: str) -> bool:
    """Return True unless the method is missing, or the one of `Callback`, which does nothing."""
    return hasattr(callback, name) and getattr(type(callback), name, None) is not getattr(
        Callback, name
    )


def _call(callbacks: Iterable[object], name: str, *arguments: Any) -> list[Any]:
    return [getattr(c, name)(*arguments) for c in callbacks if _has(c, name)]


def _rate(learning_rate: float, factor: object) -> float:
    """Return a learning rate times a schedule's factor. Raises ValueError or TypeError for a factor
    that is not a finite number >= 0.
    """
    factor = number(factor, "fit: schedule: a factor", 0)
    return min(learning_rate * factor, HIGHEST_RATE)
