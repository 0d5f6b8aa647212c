"""Callbacks of `Trainer.fit`: their interface, and early stopping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastsnn.checks.scalars import integer
from fastsnn.fitting import Callback
from fastsnn.selection import BestWeights, best_epoch
from fastsnn.trainer import Trainer

__all__ = ["Callback", "EarlyStopping"]


class EarlyStopping(Callback):
    """Callback that stops training when a metric stops improving, and restores the best weights.

    The best epoch has the best value of `monitor`. Ties are broken by the lower loss on the same
    data, then by the earlier epoch. NaN is worse than any number.

    Parameters
    ----------
    monitor : str
        Key of the records of `Trainer.fit`, such as "validation_loss", "validation_accuracy" or
        "train_loss"; "validation_NAME" takes any metric of the task, which is then evaluated after
        each epoch. Accuracy, AUC, F1 and R2 are maximized; losses and errors are minimized. Keys
        that begin with "validation" need ``fit(validation_data=)``.
    patience : int >= 1, or None
        Number of consecutive epochs without an improvement after which training stops. None: never
        stop; only restore the best weights.
    restore_best : bool
        True: at the end of `fit`, restore the parameters of the best epoch of this call. If
        ``fit(history=)`` continues a training and the best epoch is an earlier one, the network
        keeps its last parameters. False: it always keeps its last parameters.

    Attributes
    ----------
    best_epoch : int >= 1, or None
        Number of the best epoch, as in ``record["epoch"]``; its record is
        ``history[best_epoch - 1]``. None before the end of the first epoch.

    Raises
    ------
    TypeError, ValueError
        If `patience` is not an integer >= 1 or None. During `fit`, ValueError if the records have
        no `monitor`.

    Examples
    --------
    ::

        stop = fs.EarlyStopping("validation_accuracy", patience=5)
        trainer.fit(x, y, epochs=100, validation_data=(x_val, y_val), callbacks=[stop])
        stop.best_epoch
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
        self.best_epoch: int | None = None
        self._best = BestWeights()

    def on_fit_start(self, trainer: Trainer, epochs: int, batches: int) -> None:
        """Discard the weights and the best epoch of an earlier `fit`."""
        self.best_epoch = None
        self._best.forget()

    def on_epoch_end(self, trainer: Trainer, history: Sequence[Mapping[str, Any]]) -> bool:
        """Copy the weights if the epoch is the best one; return True to stop."""
        best = self._best_index(history)
        self.best_epoch = best + 1
        if best == len(history) - 1 and self.restore_best:
            self._best.keep(trainer.network.buffer)
        return self.patience is not None and len(history) - 1 - best >= self.patience

    def _best_index(self, history: Sequence[Mapping[str, Any]]) -> int:
        """Return the index of the best record so far."""
        return best_epoch(history, self.monitor)

    def on_fit_end(self, trainer: Trainer, history: Sequence[Mapping[str, Any]]) -> None:
        """Restore the weights of the best epoch if `restore_best` is True."""
        self._best.restore(trainer.network.buffer)
