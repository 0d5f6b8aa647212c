"""Files that a run keeps after each epoch."""

from __future__ import annotations

from fastsnn import checkpoint
from fastsnn.selection import best_of_run


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
        if best_of_run(history, self.model.task) == len(history) - 1:
            checkpoint.save_model(self.folder.model, self.model)
        options = self.config.to_dict()
        checkpoint.save_training(self.folder.last, self.model, trainer, history, options)
        self.saved = len(history)
        self.folder.write_metrics(history)
        return self.finished(history)

    def finished(self, history) -> bool:
        waited = len(history) - 1 - best_of_run(history, self.model.task)
        patience = self.config.patience
        return len(history) >= self.config.epochs or 0 < patience <= waited
