"""Choice of the best epoch: comparison of figures, and the copy of the best weights.

Keys of an epoch's record have the form "PART_METRIC", such as "validation_accuracy".
`metrics.LARGER_IS_BETTER` says which metrics are maximized. NaN means that a metric could not be
measured; any number is better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan, nan
from typing import Any

import numpy as np

from fastsnn.checks.scalars import shown
from fastsnn.engine.parameters import Parameters
from fastsnn.losses import Loss, suggested
from fastsnn.metrics import LARGER_IS_BETTER, main_of

Records = Sequence[Mapping[str, Any]]


def larger_is_better(monitor: str, where: str = "monitor") -> bool:
    """Return True if a metric is maximized, False if it is minimized.

    monitor: key of a record, "PART_METRIC". Raises TypeError or ValueError for an unknown metric.
    """
    if not isinstance(monitor, str):
        raise TypeError(f"{where} must be the name of a metric, got {shown(monitor)}")
    metric = _metric(monitor)
    if metric is None:
        raise ValueError(
            f"{where} must end in one of {', '.join(LARGER_IS_BETTER)}, got {shown(monitor)}"
        )
    return LARGER_IS_BETTER[metric]


def _metric(monitor: str) -> str | None:
    """Return the longest name of a metric with which a key ends, without its parameter, or None."""
    key = monitor.partition(":")[0]
    names = [name for name in LARGER_IS_BETTER if key == name or key.endswith(f"_{name}")]
    return max(names, key=len, default=None)


def beats(value: float, best: float, larger: bool) -> bool:
    """Return True if a value is better than the best so far; an equal one is not."""
    if isnan(best):
        return not isnan(value)
    return value > best if larger else value < best


def improves(monitor: str, value: float, best: float) -> bool:
    """Return `beats` for the key of a record."""
    return beats(value, best, larger_is_better(monitor))


def best_index(values: Sequence[float], larger: bool, ties: Sequence[float] | None = None) -> int:
    """Return the index of the best value; among equal ones that with the lowest of `ties`, then the
    first.
    """
    sign = -1 if larger else 1

    def rank(i: int) -> tuple[bool, float, float]:
        return isnan(values[i]), sign * values[i], 0.0 if ties is None else ties[i]

    return min(range(len(values)), key=rank)


def best_epoch(history: Records, monitor: str) -> int:
    """Return the index of the best record by `monitor`; among equal ones that with the lowest loss
    of the same part, then the first. Earlier records without the key count as NaN. Raises
    ValueError if the last record has no such key.
    """
    metric = _metric(monitor)
    if monitor not in history[-1] or metric is None:
        known = [name for name in history[-1] if _metric(name)]
        raise ValueError(
            f"monitor: one of {', '.join(known)} is required, got {monitor!r}; "
            "metrics that begin with validation_ need validation_data, and a metric of the task"
        )
    loss = f"{monitor.partition(':')[0].removesuffix(metric)}loss"
    values = [record.get(monitor, nan) for record in history]
    return best_index(values, larger_is_better(monitor), [r.get(loss, 0.0) for r in history])


def monitor_of(
    history: Records, task: str, loss: Loss | None = None, metric: str | None = None
) -> str | None:
    """Return the key of the records that selects the best epoch of a run, or None without
    validation data.

    loss: default that of the task. metric: default the main metric of the loss. The key is
    "validation_loss" if the metric cannot be measured (AUC of rows of one class).
    """
    name = f"validation_{metric or main_of(loss or suggested(task))}"
    if name not in history[0]:
        return None
    return "validation_loss" if isnan(history[0][name]) else name


def best_of_run(
    history: Records, task: str, loss: Loss | None = None, metric: str | None = None
) -> int:
    """Return the index of the best epoch of a run by `monitor_of`; without validation data, that of
    the last epoch.
    """
    name = monitor_of(history, task, loss, metric)
    return len(history) - 1 if name is None else best_epoch(history, name)


class BestWeights:
    """Copy of a network's parameters at the best epoch so far."""

    def __init__(self) -> None:
        self._copy: np.ndarray | None = None

    def forget(self) -> None:
        """Discard the copy."""
        self._copy = None

    def keep(self, parameters: Parameters) -> None:
        """Copy the current parameters."""
        self._copy = parameters.snapshot()

    def restore(self, parameters: Parameters) -> bool:
        """Write the copy back and drop it. Return False, and change nothing, if there is none."""
        if self._copy is None:
            return False
        parameters.restore(self._copy)
        self._copy = None
        return True
