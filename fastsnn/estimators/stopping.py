"""Callback of early stopping: validation scores, the best weights, the end of the training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastsnn.callbacks import Callback
from fastsnn.selection import BestWeights, beats
from fastsnn.trainer import Trainer


class StopByScore(Callback):
    """Stop the training when the score no longer improves, and restore the best weights.

    Parameters
    ----------
    score : callable
        Returns the score of the current weights for the record of the epoch. Larger is better; NaN
        is worse than any number.
    patience : int >= 1
        Epochs in a row without an improvement before the training stops.

    Attributes
    ----------
    scores : list of float
        The score of each epoch.
    best : int
        Index of the best one; the first among equal ones.
    """

    def __init__(self, score: Callable[[dict[str, Any]], float], patience: float) -> None:
        self.score, self.patience = score, patience
        self.scores: list[float] = []
        self.best = 0
        self._weights = BestWeights()

    def on_epoch_end(self, trainer: Trainer, history: list[dict[str, Any]]) -> bool:
        """Add "validation_score" to the record, and return True to stop."""
        score = history[-1]["validation_score"] = float(self.score(history[-1]))
        self.scores.append(score)
        last = len(self.scores) - 1
        if last == 0 or beats(score, self.scores[self.best], larger=True):
            self.best = last
            self._weights.keep(trainer.network.buffer)
        return last - self.best >= self.patience

    def on_fit_end(self, trainer: Trainer, history: list[dict[str, Any]]) -> None:
        """Restore the best weights."""
        self._weights.restore(trainer.network.buffer)
