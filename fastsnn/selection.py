"""The choice of the best epoch: which it is, what counts as an improvement, its weights put back.

A figure of an epoch's record is named "PART_FIGURE", such as "validation_accuracy"; whether more of
it is better is known by `metrics.LARGER_IS_BETTER`. NaN is a figure that could not be measured: any
number is better.
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
    """True if more of a figure is better. Raises TypeError or ValueError for an unknown name."""
    if not isinstance(monitor, str):
        raise TypeError(f"{where} must be the name of a figure, got {shown(monitor)}")
    figure = monitor.rsplit("_", 1)[-1]
    if figure not in LARGER_IS_BETTER:
        raise ValueError(
            f"{where} must end in one of {', '.join(LARGER_IS_BETTER)}, got {shown(monitor)}"
        )
    return LARGER_IS_BETTER[figure]


def beats(value: float, best: float, larger: bool) -> bool:
    """True if a value is better than the best so far; an equal one is not."""
    if isnan(best):
        return not isnan(value)
    return value > best if larger else value < best


def improves(monitor: str, value: float, best: float) -> bool:
    """`beats` for a figure by its name."""
    return beats(value, best, larger_is_better(monitor))


def best_index(values: Sequence[float], larger: bool, ties: Sequence[float] | None = None) -> int:
    """Index of the best value; among equals the one with the lowest of `ties`, then the first."""
    sign = -1 if larger else 1

    def rank(i: int) -> tuple[bool, float, float]:
        return isnan(values[i]), sign * values[i], 0.0 if ties is None else ties[i]

    return min(range(len(values)), key=rank)


def best_epoch(history: Records, monitor: str) -> int:
    """Index of the best record by `monitor`; among equals the one of the lowest loss, then the
    first. Raises ValueError where it is not measured.
    """
    if monitor not in history[0] or monitor.rsplit("_", 1)[-1] not in LARGER_IS_BETTER:
        known = [name for name in history[0] if name.rsplit("_", 1)[-1] in LARGER_IS_BETTER]
        raise ValueError(
            f"monitor: one of {', '.join(known)} is required, got {monitor!r}; "
            "figures that begin with validation_ need validation_data"
        )
    loss = f"{monitor.rsplit('_', 1)[0]}_loss"
    values = [record[monitor] for record in history]
    return best_index(values, larger_is_better(monitor), [r.get(loss, 0.0) for r in history])


def monitor_of(history: Records, task: str, loss: Loss | None = None) -> str | None:
    """The figure that chooses the best epoch of a run with this loss, by default the one that the
    task suggests; None without validation data.

    The loss where the task's own figure cannot be measured (AUC with labels of one kind).
    """
    name = f"validation_{main_of(loss or suggested(task))}"
    if name not in history[0]:
        return None
    return "validation_loss" if isnan(history[0][name]) else name


def best_of_run(history: Records, task: str, loss: Loss | None = None) -> int:
    """Index of the best epoch of a run; the last one without validation data. See `monitor_of`."""
    name = monitor_of(history, task, loss)
    return len(history) - 1 if name is None else best_epoch(history, name)


class BestWeights:
    """A copy of a network's parameters at the best epoch so far."""

    def __init__(self) -> None:
        self._copy: np.ndarray | None = None

    def forget(self) -> None:
        self._copy = None

    def keep(self, parameters: Parameters) -> None:
        """Copy the parameters as they are now."""
        self._copy = parameters.snapshot()

    def restore(self, parameters: Parameters) -> bool:
        """Put the copy back and drop it; False, and nothing happens, if there is none."""
        if self._copy is None:
            return False
        parameters.restore(self._copy)
        self._copy = None
        return True
