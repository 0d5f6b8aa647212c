"""Callback of early stopping by any score of the validation rows."""

from __future__ import annotations

from collections.abc import Callable
from math import isinf
from typing import Any

from fastsnn.callbacks import EarlyStopping
from fastsnn.selection import best_index


class StopByScore(EarlyStopping):
    """`EarlyStopping` by a function, which adds "validation_score" to each record.

    Only the epochs of this `fit` count. Among equal scores the first is the best.

    Parameters
    ----------
    score : callable
        Returns the score of the current weights for the record of the epoch. Larger is better; NaN
        is worse than any number.
    patience : int >= 1 or infinity
        Epochs in a row without an improvement before the training stops.

    Attributes
    ----------
    scores : list of float
        The score of each epoch.
    """

    def __init__(self, score: Callable[[dict[str, Any]], float], patience: float) -> None:
        super().__init__("validation_score", None if isinf(patience) else int(patience))
        self.score = score
        self.scores: list[float] = []

    @property
    def best_score(self) -> float:
        """The score of the best epoch. Raises ValueError before the end of the first epoch."""
        return self.scores[best_index(self.scores, larger=True)]

    def _best_index(self, history: Any) -> int:
        score = history[-1]["validation_score"] = float(self.score(history[-1]))
        self.scores.append(score)
        return len(history) - len(self.scores) + best_index(self.scores, larger=True)
