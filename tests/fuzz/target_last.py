"""Fuzz target: `last.safetensors`, by what `fastsnn train --resume` does with it."""

import pathlib
import sys
import warnings

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent))  # for every way to import this file
import target_model
from target_model import SUFFIX, mutate, use, written  # noqa: F401

from fastsnn import checkpoint
from fastsnn.runs import run
from fastsnn.runs.config import RunConfig
from fastsnn.runs.stored import load_run
from fastsnn.search.trial import is_number
from fastsnn.selection import best_of_run


def _seed(optimizer, momentum):
    model = target_model.models()[0]
    config = RunConfig(
        layers=1, width=4, dropout=0.1, epochs=3, optimizer=optimizer, momentum=momentum
    ).settled(8, "classification")
    x = np.random.default_rng(1).normal(size=(8, 3)).astype(np.float32)
    trainer = run._trainer(config, model)
    history = trainer.fit(x, np.arange(8) % 2, 2, 4, validation_data=(x, np.arange(8) % 2))
    return written(
        lambda path: checkpoint.save_training(path, model, trainer, history, config.to_dict())
    )


SEEDS = [_seed("sgd", 0.0), _seed("sgd", 0.9), _seed("adam", 0.0)]


def read(path: pathlib.Path) -> None:
    """Accept a ValueError, TypeError, OSError or RuntimeError of one line, or a usable state."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, state, history, config = load_run(path)
        use(model.network)
        if config.backend == "cpu" and (config.threads or 1) < 8:
            trainer = run._trainer(config, model)
            trainer.load_state_dict(*state)
            assert all(np.isfinite(array).all() for array in trainer.state_dict()[0].values())
        if history:
            assert 0 <= best_of_run(history, model.task) < len(history)
            assert is_number(history[0]["train_loss"])
