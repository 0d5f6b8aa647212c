"""Trial function of ``fastsnn search``: a training run as in ``fastsnn train``, without files."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastsnn import data, metrics
from fastsnn.data.dataset import Split
from fastsnn.engine.locks import Lock
from fastsnn.losses import loss_of
from fastsnn.model import Model
from fastsnn.runs import run
from fastsnn.runs.config import RunConfig
from fastsnn.runs.independent import settled
from fastsnn.search.protocol import BestEpoch, ModelSelection
from fastsnn.search.workers import Report
from fastsnn.trainer import Trainer

DATASETS = 4  # data sets kept in memory; a search over seeds has another split for each seed
EVERY = 16  # steps between two reports, because a step of a small network takes only 10 us
_loading = Lock()


@dataclass(frozen=True)
class RunTrial:
    """Trial function that trains with options of `RunConfig` and evaluates the selected epoch.

    fixed: options that all trials share. protocol: selects the epoch. The figures are "score" and
    "epoch" of the protocol, "train_loss" and `"validation_*"` of that epoch, and `"test_*"` if
    there is a test part, which does not affect the selection.
    """

    fixed: Mapping[str, Any]
    protocol: ModelSelection

    def config(self, options: Mapping[str, Any]) -> RunConfig:
        """Return the configuration of a trial."""
        return RunConfig(**{**self.fixed, **options, "threads": 1})

    def __call__(self, options: Mapping[str, Any], report: Report) -> dict[str, Any]:
        config = self.config(options)
        dataset = load(config)
        config = settled(config, dataset)
        model, trainer, schedule = run.build(config, dataset)
        assert config.epochs is not None and config.batch_size is not None  # set by `settled`
        chosen = BestEpoch(self.protocol)
        names = metrics.each_epoch(dataset.task, [chosen, schedule])
        history = trainer.fit(
            dataset.train.x, dataset.train.y, config.epochs, config.batch_size,
            callbacks=[_Judge(model, held_back(dataset), names), chosen, _Reporter(report)],
            schedule=schedule,
        )  # fmt: skip
        figures = chosen.figures()
        for name, value in history[chosen.epoch - 1].items():
            if name.startswith(("train_", "validation_")):
                figures[name] = value
        if dataset.test is not None:
            test = model.judge(dataset.test, 1, None, loss_of(trainer.loss), names)
            figures |= {f"test_{name}": value for name, value in test.items()}
        return figures


def load(config: RunConfig, progress: data.Progress | None = None) -> data.Dataset:
    """Return the data of a trial, which are loaded once per process and shared by its threads."""
    with _loading:  # a second thread waits until the first has loaded the data
        return _loaded(config.data, tuple(config.loading().items()), progress)


@functools.lru_cache(DATASETS)
def _loaded(
    name: str, options: tuple[tuple[str, Any], ...], progress: data.Progress | None
) -> data.Dataset:  # fmt: skip
    dataset = data.load(name, **dict(options), progress=progress)
    held_back(dataset)
    return dataset


def held_back(dataset: data.Dataset) -> data.Split:
    """Return the validation part. Raises ValueError if there is none."""
    if dataset.validation is None:
        raise ValueError(
            f"{dataset.name}: validation data are required to rank trials, got none; give a "
            "--validation above 0"
        )
    return dataset.validation


class _Judge:
    """Callback that adds the validation metrics, in units of the data, to each epoch's record."""

    def __init__(self, model: Model, held: Split, names: list[str]) -> None:
        self.model, self.held, self.names = model, held, names

    def on_epoch_end(self, trainer: Trainer, history: list[dict[str, Any]]) -> None:
        loss = loss_of(trainer.loss)
        figures = self.model.judge(self.held, trainer.threads, None, loss, self.names)
        history[-1] |= {f"validation_{name}": value for name, value in figures.items()}


class _Reporter:
    """Callback that reports the completed fraction of the training every EVERY steps."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def on_fit_start(self, trainer: Trainer, epochs: int, batches: int) -> None:
        self.steps = epochs * batches

    def on_batch_end(self, trainer: Trainer, samples: int, loss: float) -> None:
        if trainer.step_count % EVERY == 0:
            self.report(trainer.step_count / self.steps)
