"""Choice of an epoch and of a configuration: the protocol of the paper's UCI experiments.

A fraction of the training data is held back. The validation curve over the epochs is smoothed by a
moving average; the best smoothed epoch is where the training would have been stopped, and its
smoothed value is the score of the configuration. The configuration of the best score wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum, isfinite, nan
from typing import TYPE_CHECKING, Any

import numpy as np

from fastsnn.checks.scalars import number, plain, shown
from fastsnn.deprecated import renamed
from fastsnn.metrics import LARGER_IS_BETTER
from fastsnn.runs.defaults import SEARCH_EPOCHS, SEARCH_VALIDATION
from fastsnn.search.trial import Trial, is_number
from fastsnn.selection import BestWeights, beats, best_index
from fastsnn.trainer import Trainer


@dataclass(frozen=True)
class ModelSelection:
    """The choice by a smoothed validation curve.

    Parameters
    ----------
    epochs : int >= 1
        Length of every training.
    window : int >= 1
        Epochs that the moving average looks back over, the epoch itself among them. Only full
        windows count: the first epoch that can be chosen is the `window`-th. A curve shorter than
        that is one window, and its last epoch is chosen.
    validation : float in [0, 1)
        Fraction of the training rows that is held back, where the data bring no such rows.
    metric : str
        The validation figure that is smoothed: "accuracy", "auc", "loss", "rmse", "r2", or a name
        of your own together with `maximize`.
    maximize : bool, optional
        True if more is better; known for the five names.
    """

    epochs: int = SEARCH_EPOCHS
    window: int = 10
    validation: float = SEARCH_VALIDATION
    metric: str = "accuracy"
    maximize: bool | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "window"):
            value = plain(getattr(self, name))
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"ModelSelection: {name} must be an int >= 1, got {shown(value)}")
            object.__setattr__(self, name, value)
        validation = number(self.validation, "ModelSelection: validation", 0, 1)
        object.__setattr__(self, "validation", validation)
        if not isinstance(self.metric, str) or not isinstance(self.maximize, bool | None):
            raise TypeError(
                "ModelSelection: metric must be a text and maximize True, False or None, got "
                f"{shown(self.metric)} and {shown(self.maximize)}"
            )
        if self.maximize is None:
            if self.metric not in LARGER_IS_BETTER:
                raise ValueError(
                    f"ModelSelection: metric must be one of {', '.join(LARGER_IS_BETTER)}, got "
                    f"{shown(self.metric)}; for another figure say whether to maximize it"
                )
            object.__setattr__(self, "maximize", LARGER_IS_BETTER[self.metric])

    def smooth(self, curve: Sequence[float]) -> np.ndarray:
        """Mean of each epoch and the window - 1 before it, float64 (epochs,); NaN where there are
        fewer, and where a figure among them is NaN or infinite.
        """
        curve = [float(value) for value in curve]
        if not curve:
            raise ValueError("ModelSelection: a curve of at least one epoch is required, got none")
        first = min(self.window, len(curve))
        means = [_mean(curve[end - first : end]) for end in range(first, len(curve) + 1)]
        return np.array([nan] * (first - 1) + means)

    def best_epoch(self, curve: Sequence[float]) -> tuple[int, float]:
        """(epoch, smoothed value) of the best smoothed epoch, counted from 1; the first of equal
        ones. Where no window is finite: (the last epoch, NaN).
        """
        smooth = self.smooth(curve)
        if np.isnan(smooth).all():
            return len(smooth), nan
        best = best_index(smooth.tolist(), bool(self.maximize))
        return best + 1, float(smooth[best])

    def better(self, value: float, than: float) -> bool:
        """True if a score beats another one; any number beats NaN and infinity."""
        value, than = (score if isfinite(score) else nan for score in (value, than))
        return beats(value, than, bool(self.maximize))

    def ranked(self, trials: Iterable[Trial]) -> list[Trial]:
        """The best first. Equal scores: more "layers", then the lower "learning_rate", then the
        higher "dropout" of the options (one that is missing or no number counts as 0), then the
        lower number. Trainings without a score, because they diverged, come last.
        """

        def rank(trial: Trial) -> tuple[Any, ...]:
            score = trial.score
            sign = -1 if self.maximize else 1
            given: list[Any] = [
                trial.options.get(name) for name in ("layers", "learning_rate", "dropout")
            ]
            layers, rate, dropout = (v if is_number(v) else 0 for v in given)
            value = 0.0 if score is None else sign * score
            return score is None, value, -layers, rate, -dropout, trial.number

        return sorted(trials, key=rank)

    def select(self, trials: Iterable[Trial]) -> Trial:
        """The winner, see `ranked`. Raises ValueError without trials, FloatingPointError where all
        of them have diverged.
        """
        ranked = self.ranked(trials)
        if not ranked:
            raise ValueError("ModelSelection: at least one trial is required, got none")
        if ranked[0].score is None:
            raise FloatingPointError(
                f"no configuration has a score, all {len(ranked)} diverged (the first: "
                f"{ranked[0].error or 'its figure is no number'}); try lower learning rates"
            )
        return ranked[0]


def _mean(window: Sequence[float]) -> float:
    # Rounded once, whatever the order: windows with the same figures are equal to the bit, so that
    # ties are ties.
    return fsum(window) / len(window) if all(map(isfinite, window)) else nan


class BestEpoch:
    """Callback for `Trainer.fit`: watches "validation_METRIC" of the history, copies the parameters
    whenever the smoothed figure improves, and at the end puts those of the best epoch back. So test
    figures are taken of the very network that was chosen; nothing is trained again.

    A callback that adds the figure to the history must come before this one.
    """

    def __init__(self, protocol: ModelSelection):
        self.protocol = protocol
        self.epoch, self.value = 0, nan  # what was chosen, after the training
        self._best = BestWeights()

    def on_fit_start(self, trainer: Trainer, epochs: int, batches: int) -> None:
        self.epoch, self.value = 0, nan
        self._best.forget()
        self._window = min(self.protocol.window, epochs)

    def on_epoch_end(self, trainer: Trainer, history: Sequence[Mapping[str, Any]]) -> None:
        name = f"validation_{self.protocol.metric}"
        if name not in history[-1]:
            known = ", ".join(k for k in history[-1] if k.startswith("validation_")) or "none"
            raise ValueError(
                f"BestEpoch: {name} is required in the history, got {known}; give validation data "
                "and a metric of the task"
            )
        if len(history) < self._window:
            return
        value = _mean([record[name] for record in history[-self._window :]])
        if self.protocol.better(value, self.value):
            self.epoch, self.value = len(history), value
            self._best.keep(trainer.network.buffer)

    def on_fit_end(self, trainer: Trainer, history: Sequence[Mapping[str, Any]]) -> None:
        if not self._best.restore(trainer.network.buffer):  # no window was full, or nothing but NaN
            name = f"validation_{self.protocol.metric}"
            self.epoch, self.value = self.protocol.best_epoch([r[name] for r in history])

    def figures(self) -> dict[str, float]:
        """{"score": smoothed value, "epoch": chosen one, from 1}: a trial's own figures."""
        return {"score": self.value, "epoch": self.epoch}


# The names of version 0.1, here and in `fastsnn.search`.
NAMES_0_1 = {
    "Protocol": "fastsnn.search.ModelSelection",
    "Selection": "fastsnn.search.BestEpoch",
}
if not TYPE_CHECKING:
    __getattr__ = renamed(__name__, NAMES_0_1)
