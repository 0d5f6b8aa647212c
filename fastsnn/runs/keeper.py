"""Callback that evaluates each epoch and writes the files of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fastsnn import checkpoint, metrics
from fastsnn.data.dataset import Dataset
from fastsnn.engine.predict import Placed
from fastsnn.model import Model
from fastsnn.runs.config import RunConfig
from fastsnn.runs.folder import RunFolder
from fastsnn.selection import best_of_run
from fastsnn.trainer import Trainer


class Keeper:
    """Callback that evaluates each epoch on the validation rows and writes the run's files."""

    def __init__(
        self, folder: RunFolder, config: RunConfig, dataset: Dataset, model: Model, threads: int,
        callbacks: Iterable[object] = (),
    ):  # fmt: skip
        """callbacks: objects whose monitored metrics the records must have."""
        self.folder, self.config, self.dataset = folder, config, dataset
        self.model, self.threads = model, threads
        self.loss = config.made_loss(model.task)
        more = [] if config.metric is None else [config.metric]
        self.names = metrics.each_epoch(model.task, callbacks, *more)
        self.saved = 0  # number of epochs in the files
        self.held_x: Placed | None = None  # inputs of the validation rows, placed for prediction

    def on_fit_start(self, trainer: Trainer, epochs: int, batches: int) -> None:
        if self.dataset.validation is not None:
            self.held_x = trainer.network._placed(self.dataset.validation.x)

    def on_epoch_end(self, trainer: Trainer, history: list[dict[str, Any]]) -> bool:
        held = self.dataset.validation
        if held is not None:
            figures = self.model.judge(held, self.threads, self.held_x, self.loss, self.names)
            history[-1] |= {f"validation_{name}": value for name, value in figures.items()}
        # The model first: after a kill between the two, resuming repeats the epoch bit for bit.
        if self.best(history) == len(history) - 1:
            self.model.save(self.folder.model)
        options = self.config.to_dict()
        checkpoint.save_training(self.folder.last, self.model, trainer, history, options)
        self.saved = len(history)
        self.folder.write_metrics(history)
        return self.finished(history)

    def best(self, history: Sequence[Mapping[str, Any]]) -> int:
        """Return the index of the best epoch."""
        return best_of_run(history, self.model.task, self.loss, self.config.metric)

    def selecting(self, history: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Return the validation metric that was to select the best epoch, in the first epoch."""
        name = self.config.metric or metrics.main_of(self.loss)
        return {} if self.dataset.validation is None else {name: history[0][f"validation_{name}"]}

    def finished(self, history: Sequence[Mapping[str, Any]]) -> bool:
        """Return True after the last epoch, or after `patience` epochs without an improvement."""
        waited = len(history) - 1 - self.best(history)
        patience = self.config.patience
        assert self.config.epochs is not None  # the options are settled
        return len(history) >= self.config.epochs or 0 < patience <= waited
