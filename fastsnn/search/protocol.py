"""Selection of an epoch and of a configuration, as in the paper's UCI experiments.

A fraction of the training data is held out for validation. The validation metric is smoothed over
the epochs by a moving average. The epoch with the best smoothed value is selected, and this value
is the score of the configuration. The configuration with the best score is selected. (Klambauer et
al. 2017, experiments on the UCI tasks)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum, isfinite, nan
from typing import TYPE_CHECKING, Any

import numpy as np

from fastsnn import metrics
from fastsnn.checks.scalars import number, plain, shown
from fastsnn.deprecated import renamed
from fastsnn.runs.defaults import SEARCH_EPOCHS, SEARCH_VALIDATION
from fastsnn.search.trial import Trial, is_number
from fastsnn.selection import BestWeights, beats, best_index, larger_is_better
from fastsnn.trainer import Trainer


@dataclass(frozen=True)
class ModelSelection:
    """Criterion that selects the best epoch of a training run and the best trial of a search.

    Parameters
    ----------
    epochs : int >= 1
        Number of epochs of every training run.
    window : int >= 1
        Length of the moving average in epochs, including the current one. Only full windows count,
        so the first epoch that can be selected is the `window`-th. A training run of fewer epochs
        is a single window, and its last epoch is selected.
    validation : float in [0, 1)
        Fraction of the training rows to hold out, if the data have no validation part.
    metric : str
        Validation metric to smooth: "loss" or a metric of the task, see `fastsnn.metrics`; or
        another name, for which `maximize` is required.
    maximize : bool, optional
        True if larger values are better. By default as known for the metric.

    Raises
    ------
    ValueError
        `epochs`, `window` or `validation` is out of range, or `metric` is unknown and `maximize` is
        not given.
    TypeError
        `metric`, `maximize` or `validation` has an invalid type.

    Examples
    --------
    >>> ModelSelection(window=2).best_epoch([0.5, 0.7, 0.9, 0.6])
    (3, 0.8)
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
                "ModelSelection: metric must be a string and maximize True, False or None, got "
                f"{shown(self.metric)} and {shown(self.maximize)}"
            )
        if self.maximize is None:
            try:
                metrics.require(self.metric, where="ModelSelection: metric")
            except ValueError as error:
                hint = "for another metric, give maximize=True or False"
                raise ValueError(f"{error}; {hint}") from None
            object.__setattr__(self, "maximize", larger_is_better(self.metric))

    def smooth(self, curve: Sequence[float]) -> np.ndarray:
        """Return the moving average of a curve over `window` epochs (10 in the paper).

        Parameters
        ----------
        curve : sequence of float
            Metric of each epoch, (epochs,).

        Returns
        -------
        numpy.ndarray
            float64 (epochs,): mean of each epoch and the window - 1 epochs before it. NaN for an
            incomplete window and for one with a value that is NaN or infinite.

        Raises
        ------
        ValueError
            The curve is empty.
        """
        curve = [float(value) for value in curve]
        if not curve:
            raise ValueError("ModelSelection: a curve of at least one epoch is required, got none")
        first = min(self.window, len(curve))
        means = [_mean(curve[end - first : end]) for end in range(first, len(curve) + 1)]
        return np.array([nan] * (first - 1) + means)

    def best_epoch(self, curve: Sequence[float]) -> tuple[int, float]:
        """Return (epoch, smoothed value) of the best epoch, counted from 1.

        The best value is the highest of `smooth` if `maximize` is True, the lowest otherwise. Among
        equal values, the first epoch is selected. If no window is finite, (last epoch, NaN) is
        returned. curve: metric of each epoch, (epochs,). Raises ValueError if it is empty.
        """
        smooth = self.smooth(curve)
        if np.isnan(smooth).all():
            return len(smooth), nan
        best = best_index(smooth.tolist(), bool(self.maximize))
        return best + 1, float(smooth[best])

    def better(self, value: float, than: float) -> bool:
        """Return True if `value` is strictly better than `than`.

        Any finite number is better than NaN and infinity.
        """
        value, than = (score if isfinite(score) else nan for score in (value, than))
        return beats(value, than, bool(self.maximize))

    def ranked(self, trials: Iterable[Trial]) -> list[Trial]:
        """Return the trials, best first.

        Ties are broken by the options: more "layers", then the lower "learning_rate", then the
        higher "dropout" (an option that is missing or not a number counts as 0), then the lower
        trial number. Trials without a score, because they diverged, come last.
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
        """Return the best trial, see `ranked`.

        Raises ValueError if there are no trials, FloatingPointError if all of them diverged.
        """
        ranked = self.ranked(trials)
        if not ranked:
            raise ValueError("ModelSelection: at least one trial is required, got none")
        if ranked[0].score is None:
            raise FloatingPointError(
                f"no configuration has a score, all {len(ranked)} diverged (the first: "
                f"{ranked[0].error or 'its score is not a number'}); try lower learning rates"
            )
        return ranked[0]


def _mean(window: Sequence[float]) -> float:
    # fsum rounds once, in any order: windows with the same values have bitwise equal means, so that
    # ties are detected.
    return fsum(window) / len(window) if all(map(isfinite, window)) else nan


class BestEpoch:
    """Callback for `Trainer.fit` that restores the parameters of the best epoch.

    It copies the parameters whenever the smoothed "validation_METRIC" of the history improves, and
    restores the best copy at the end of the training. Test metrics are thus those of the selected
    network, and no retraining is needed. A callback that adds the metric to the history must
    precede this one.

    Parameters
    ----------
    protocol : ModelSelection
        Metric, window and direction of the selection.

    Attributes
    ----------
    epoch : int
        Selected epoch, counted from 1; valid after the training.
    value : float
        Smoothed metric of that epoch; NaN if no window was finite.
    monitor : str
        "validation_METRIC", which `Trainer.fit` evaluates after each epoch.

    Raises
    ------
    ValueError
        During the training, if the history lacks the metric.
    """

    def __init__(self, protocol: ModelSelection):
        self.protocol, self.monitor = protocol, f"validation_{protocol.metric}"
        self.epoch, self.value = 0, nan
        self._best = BestWeights()

    def on_fit_start(self, trainer: Trainer, epochs: int, batches: int) -> None:
        """Discard the weights and the selected epoch of an earlier `fit`."""
        self.epoch, self.value = 0, nan
        self._best.forget()
        self._window = min(self.protocol.window, epochs)

    def on_epoch_end(self, trainer: Trainer, history: Sequence[Mapping[str, Any]]) -> None:
        """Copy the weights if the smoothed metric has improved."""
        name = self.monitor
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
        """Restore the weights of the selected epoch."""
        if not self._best.restore(trainer.network.buffer):  # no window was full and finite
            curve = [record[self.monitor] for record in history]
            self.epoch, self.value = self.protocol.best_epoch(curve)

    def figures(self) -> dict[str, float]:
        """Return a dict with the keys "score" (`value`) and "epoch" (`epoch`), for a trial."""
        return {"score": self.value, "epoch": self.epoch}


# The names of version 0.1, here and in `fastsnn.search`.
NAMES_0_1 = {
    "Protocol": "fastsnn.search.ModelSelection",
    "Selection": "fastsnn.search.BestEpoch",
}
if not TYPE_CHECKING:
    __getattr__ = renamed(__name__, NAMES_0_1)
