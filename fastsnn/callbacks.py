"""What may happen between epochs. A callback is any object with some of the methods that
`Trainer.fit` calls.
"""

from math import isnan

from fastsnn.checks.scalars import integer
from fastsnn.metrics import LARGER_IS_BETTER


def best_epoch(history: list[dict], monitor: str) -> int:
    """Index of the best record by `monitor`; among equals the one of the lowest loss, then the
    first. Raises ValueError where it is not measured.
    """
    if monitor not in history[0] or monitor.rsplit("_", 1)[-1] not in LARGER_IS_BETTER:
        known = [name for name in history[0] if name.rsplit("_", 1)[-1] in LARGER_IS_BETTER]
        raise ValueError(
            f"monitor: one of {', '.join(known)} is required, got {monitor!r}; "
            "figures that begin with validation_ need validation_data"
        )
    part, figure = monitor.rsplit("_", 1)
    sign = -1 if LARGER_IS_BETTER[figure] else 1

    def rank(i):
        value, loss = history[i][monitor], history[i].get(f"{part}_loss", 0.0)
        return isnan(value), sign * value, loss

    return min(range(len(history)), key=rank)


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

    def __init__(self, monitor="validation_loss", patience=10, restore_best=True):
        if patience is not None:
            patience = integer(patience, "EarlyStopping: patience", 1)
        self.monitor, self.patience, self.restore_best = monitor, patience, restore_best
        self.best = None  # copy of the parameters

    def on_fit_start(self, trainer, epochs, batches):
        self.best = None

    def on_epoch_end(self, trainer, history):
        best = best_epoch(history, self.monitor)
        if best == len(history) - 1 and self.restore_best:
            self.best = trainer.network.buffer.snapshot()
        return self.patience is not None and len(history) - 1 - best >= self.patience

    def on_fit_end(self, trainer, history):
        if self.best is not None:
            trainer.network.buffer.restore(self.best)
