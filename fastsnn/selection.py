"""Choice of the best epoch: comparison of figures, and the copy of the best weights.

Keys of an epoch's record have the form "PART_FIGURE", such as "validation_accuracy".
`metrics.LARGER_IS_BETTER` says which metrics are maximized. NaN means that a metric could not be
measured; any number is better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
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
    figure = monitor.rsplit("_", 1)[-1]
    if figure not in LARGER_IS_BETTER:
        raise ValueError(
            f"{where} must end in one of {', '.join(LARGER_IS_BETTER)}, got {shown(monitor)}"
        )
    return LARGER_IS_BETTER[figure]


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
    of the same part, then the first. Raises ValueError if the records have no such key.
    """
    if monitor not in history[0] or monitor.rsplit("_", 1)[-1] not in LARGER_IS_BETTER:
        known = [name for name in history[0] if name.rsplit("_", 1)[-1] in LARGER_IS_BETTER]
        raise ValueError(
            f"monitor: one of {', '.join(known)} is required, got {monitor!r}; "
            "metrics that begin with validation_ need validation_data"
        )
    loss = f"{monitor.rsplit('_', 1)[0]}_loss"
    values = [record[monitor] for record in history]
    return best_index(values, larger_is_better(monitor), [r.get(loss, 0.0) for r in history])


def monitor_of(history: Records, task: str, loss: Loss | None = None) -> str | None:
    """Return the key of the records that chooses the best epoch of a run with this loss (default:
    that of the task), or None without validation data.

    It is "validation_loss" if the main metric cannot be measured (AUC with one kind of label).
    """
    name = f"validation_{main_of(loss or suggested(task))}"
    if name not in history[0]:
        return None
    return "validation_loss" if isnan(history[0][name]) else name


def best_of_run(history: Records, task: str, loss: Loss | None = None) -> int:
    """Return the index of the best epoch of a run by `monitor_of`; without validation data, that of
    the last epoch.
    """
    name = monitor_of(history, task, loss)
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
