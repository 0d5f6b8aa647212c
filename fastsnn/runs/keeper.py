"""What a run keeps after each epoch, and which epoch is its best."""

from __future__ import annotations

from math import isnan

from fastsnn import checkpoint
from fastsnn.callbacks import best_epoch
from fastsnn.metrics import MAIN


class Keeper:
    """Judges each epoch on the validation data, in their units, and writes the files of the run."""

    def __init__(self, folder, config, dataset, model, threads):
        self.folder, self.config, self.dataset = folder, config, dataset
        self.model, self.threads = model, threads
        self.saved, self.held_x = 0, None

    def on_fit_start(self, trainer, epochs, batches):
        if self.dataset.validation is not None:
            self.held_x = trainer.network.placed(self.dataset.validation.x)

    def on_epoch_end(self, trainer, history):
        held = self.dataset.validation
        if held is not None:
            figures = self.model.judge(held, self.threads, self.held_x)
            history[-1] |= {f"validation_{name}": value for name, value in figures.items()}
        # In this order: a kill between the two costs an epoch, which gives the same bits again.
        if best(history, self.model.task) == len(history) - 1:
            checkpoint.save_model(self.folder.model, self.model)
        options = self.config.to_dict()
        checkpoint.save_training(self.folder.last, self.model, trainer, history, options)
        self.saved = len(history)
        self.folder.write_metrics(history)
        return self.finished(history)

    def finished(self, history) -> bool:
        waited = len(history) - 1 - best(history, self.model.task)
        patience = self.config.patience
        return len(history) >= self.config.epochs or 0 < patience <= waited


def monitor(history: list[dict], task: str) -> str | None:
    """The figure by which the best epoch is chosen; None without validation data.

    The loss where the task's own figure cannot be measured (AUC with labels of one kind).
    """
    name = f"validation_{MAIN[task]}"
    if name not in history[0]:
        return None
    return "validation_loss" if isnan(history[0][name]) else name


def best(history: list[dict], task: str) -> int:
    """Index of the best epoch; the last one without validation data."""
    name = monitor(history, task)
    return len(history) - 1 if name is None else best_epoch(history, name)
