"""The trials of `fastsnn search`: training runs in memory, by the code of `fastsnn train`."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastsnn import data
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

DATASETS = 4  # kept in memory: a search over seeds splits the rows anew for each
EVERY = 16  # steps between two reports: a step of a small network takes 10 us
_loading = Lock()


@dataclass(frozen=True)
class RunTrial:
    """A trial function: trains by the options of `RunConfig`, `fixed` and those of the trial, and
    judges the network of the epoch that the protocol chooses.

    Figures: "score" and "epoch" of the protocol, that epoch's "train_loss" and "validation_*", and
    "test_*" where there is a test set; the choice never looks at these.
    """

    fixed: Mapping[str, Any]
    protocol: ModelSelection

    def config(self, options: Mapping[str, Any]) -> RunConfig:
        return RunConfig(**{**self.fixed, **options, "threads": 1})

    def __call__(self, options: Mapping[str, Any], report: Report) -> dict[str, Any]:
        config = self.config(options)
        dataset = load(config)
        config = settled(config, dataset)
        model, trainer, schedule = run.build(config, dataset)
        assert config.epochs is not None and config.batch_size is not None  # they are settled
        chosen = BestEpoch(self.protocol)
        history = trainer.fit(
            dataset.train.x, dataset.train.y, config.epochs, config.batch_size,
            callbacks=[_Judge(model, held_back(dataset)), chosen, _Reporter(report)],
            schedule=schedule,
        )  # fmt: skip
        figures = chosen.figures()
        for name, value in history[chosen.epoch - 1].items():
            if name.startswith(("train_", "validation_")):
                figures[name] = value
        if dataset.test is not None:
            test = model.judge(dataset.test, threads=1, loss=loss_of(trainer.loss))
            figures |= {f"test_{name}": value for name, value in test.items()}
        return figures


def load(config: RunConfig, progress: data.Progress | None = None) -> data.Dataset:
    """The data of a trial: loaded once in a process, and shared by its threads."""
    with _loading:  # whoever comes second waits for the first one's data
        return _loaded(
            config.data, config.target, config.task, config.validation, config.seed,
            config.standardize, config.header, progress,
        )  # fmt: skip


@functools.lru_cache(DATASETS)
def _loaded(
    name: str,
    target: str | None,
    task: str,
    validation: float,
    seed: int,
    standardize: str,
    header: bool | None,
    progress: data.Progress | None,
) -> data.Dataset:
    dataset = data.load(
        name, target=target, task=task, validation=validation, seed=seed, standardize=standardize,
        header=header, progress=progress,
    )  # fmt: skip
    held_back(dataset)
    return dataset


def held_back(dataset: data.Dataset) -> data.Split:
    """The validation part. Raises ValueError if there is none."""
    if dataset.validation is None:
        raise ValueError(
            f"{dataset.name}: validation data are required to choose by, got none; give a "
            "--validation above 0"
        )
    return dataset.validation


class _Judge:
    """Adds the validation figures, in the units of the data, to each epoch's record."""

    def __init__(self, model: Model, held: Split) -> None:
        self.model, self.held = model, held

    def on_epoch_end(self, trainer: Trainer, history: list[dict[str, Any]]) -> None:
        figures = self.model.judge(self.held, trainer.threads, loss=loss_of(trainer.loss))
        history[-1] |= {f"validation_{name}": value for name, value in figures.items()}


class _Reporter:
    def __init__(self, report: Report) -> None:
        self.report = report

    def on_fit_start(self, trainer: Trainer, epochs: int, batches: int) -> None:
        self.steps = epochs * batches

    def on_batch_end(self, trainer: Trainer, samples: int, loss: float) -> None:
        if trainer.step_count % EVERY == 0:
            self.report(trainer.step_count / self.steps)
