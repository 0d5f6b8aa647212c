"""Loading and validation of `last.safetensors`, the state of a run of `fastsnn train`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np

from fastsnn import checkpoint
from fastsnn.metrics import MAIN
from fastsnn.model import Model
from fastsnn.runs.config import RunConfig
from fastsnn.storage import modelfile
from fastsnn.storage.description import MEASURED

State = tuple[dict[str, np.ndarray], dict[str, Any]]


def load_run(
    path: str | os.PathLike[str],
) -> tuple[Model, State, list[dict[str, Any]], RunConfig]:
    """Return (model, trainer state, history, settled options) of a `last.safetensors`.

    Raises ValueError like `checkpoint.load_training`, and for inconsistent options, state and
    history.
    """
    model, state, history, options = checkpoint.load_training(path)
    with modelfile.fitting(modelfile.printable(path)):
        config = RunConfig.from_dict(options)
        config.require_settled()
        _require_state(state[0], config, len(checkpoint.trained(model.network)))
        _require_figures(history, model.task, config.metric)
    return model, state, history, config


def _require_state(arrays: Mapping[str, np.ndarray], config: RunConfig, n_tensors: int) -> None:
    """Raise ValueError if the number of state arrays does not fit the optimizer."""
    wanted = config.made_optimizer()._n_state * n_tensors
    if len(arrays) != wanted:
        raise ValueError(
            f"trainer state: {config.optimizer} with momentum {config.momentum} has {wanted} "
            f"arrays, got {len(arrays)}"
        )


def _require_figures(records: list[dict[str, Any]], task: str, metric: str | None) -> None:
    """Raise ValueError if the history lacks a metric that resuming needs."""
    needed = ["train_loss", *MEASURED]
    if records and any(name.startswith("validation_") for name in records[0]):
        needed += ["validation_loss", f"validation_{metric or MAIN[task]}"]
    for name in needed:
        if records and name not in records[0]:
            raise ValueError(f"history: {name} is required in each epoch")
    for record in records:
        if not all(isfinite(record[name]) for name in ("train_loss", *MEASURED)):
            raise ValueError(f"history, epoch {record['epoch']}: its figures must be finite")
