"""Callbacks between epochs: objects with some of the methods that `Trainer.fit` calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastsnn.checks.scalars import integer
from fastsnn.selection import BestWeights, best_epoch
from fastsnn.trainer import Trainer


class EarlyStopping:
    """Stop after `patience` epochs without a better `monitor`, and put the best weights back: those
    of the best epoch of this `fit` (one that is continued does not hold the earlier weights).

    Parameters
    ----------
    monitor : str
        A figure of the record, such as "validation_loss" or "validation_accuracy".
    patience : int >= 1, or None
        None never stops, and only restores the best weights.
    restore_best : bool
    """

    def __init__(
        self,
        monitor: str = "validation_loss",
        patience: int | None = 10,
        restore_best: bool = True,
    ):
        if patience is not None:
            patience = integer(patience, "EarlyStopping: patience", 1)
        self.monitor, self.patience, self.restore_best = monitor, patience, restore_best
        self.best = BestWeights()

    def on_fit_start(self, trainer: Trainer, epochs: int, batches: int) -> None:
        self.best.forget()

    def on_epoch_end(self, trainer: Trainer, history: Sequence[Mapping[str, Any]]) -> bool:
        best = best_epoch(history, self.monitor)
        if best == len(history) - 1 and self.restore_best:
            self.best.keep(trainer.network.buffer)
        return self.patience is not None and len(history) - 1 - best >= self.patience

    def on_fit_end(self, trainer: Trainer, history: Sequence[Mapping[str, Any]]) -> None:
        self.best.restore(trainer.network.buffer)
