"""One call of `fit` or `partial_fit`: the training of all members."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import sklearn

from fastsnn.checkpoint import State
from fastsnn.checks.scalars import shown
from fastsnn.data.standardize import Standardizer
from fastsnn.estimators import options
from fastsnn.estimators.members import SEEDS, Part, seed_of
from fastsnn.estimators.options import Settings
from fastsnn.estimators.parallel import threads_of_members
from fastsnn.estimators.progress import MembersProgress
from fastsnn.estimators.rows import Chosen, Rows
from fastsnn.estimators.stopping import StopByScore
from fastsnn.model import Model
from fastsnn.network import Network
from fastsnn.runs.concurrent import Report, run_all
from fastsnn.runs.console import progress
from fastsnn.schedules import Constant
from fastsnn.trainer import Trainer

Records = list[dict[str, Any]]


class Held(NamedTuple):
    """Validation rows: as they were given, and with encoded targets."""

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None
    encoded: np.ndarray


class Trained(NamedTuple):
    """Result of a member's training.

    best: number of the epoch of the weights, from 1. best_score: its validation score, or None.
    state: of the trainer, if the training may continue. outputs: raw outputs of the validation
    rows, if predictions of them are wanted.
    """

    network: Network
    history: Records
    best: int
    best_score: float | None
    state: State | None
    outputs: np.ndarray | None


@dataclass(frozen=True)
class Training:
    """Arguments that all members share.

    estimator: for its parameters. given: rows as they were given, with weights > 0. encoded: their
    targets. parts: rows of each member. network_of: new or earlier network of a member. model_of:
    model of networks. histories, states: of earlier calls; empty for new networks.
    """

    estimator: Any
    task: str
    given: Rows
    encoded: np.ndarray
    parts: list[Part]
    network_of: Callable[[int], Network]
    model_of: Callable[..., Model]
    histories: list[Records]
    states: list[State]
    partial: bool

    def run(self) -> list[Trained]:
        """Train all members, concurrently if there are threads, and return their results."""
        snn, count = self.estimator, len(self.parts)
        first = self.network_of(0)
        model = self.model_of(first)
        x = model.inputs.transform(self.given.x)
        y = _standardized(model.targets, self.encoded)
        # Folds differ by at most one row, so that all members have the settings of the first.
        rows = x[self.parts[0].train.rows]
        settings = options.settings_of(snn, self.task, rows)
        work = 3.0 * min(settings.batch_size, len(rows)) * first.n_parameters
        most, threads = threads_of_members(snn.n_jobs, count, work, snn.backend)
        shared = None
        if all(part is self.parts[0] for part in self.parts):
            shared = _taken(x, y, self.parts[0].train)  # one copy of the rows
        with ExitStack() as opened:
            shown: Any = None
            if snn.verbose:
                shown = progress() if count == 1 else MembersProgress(count)
                opened.enter_context(closing(shown))
            common = _Common(x, y, shared, settings, threads, shown, sklearn.get_config())
            jobs = [partial(self._member, common, k, first if k == 0 else None)
                    for k in range(count)]  # fmt: skip
            return run_all(jobs, most, "member")

    def _member(self, common: _Common, k: int, network: Network | None, report: Report) -> Trained:
        with sklearn.config_context(**common.config):  # scikit-learn's is that of the thread
            try:
                return self._train(common, k, network or self.network_of(k), report)
            except Exception as error:
                if len(self.parts) > 1:
                    error.add_note(f"in member {k + 1} of {len(self.parts)}")
                raise

    def _train(self, common: _Common, k: int, network: Network, report: Report) -> Trained:
        snn, part, several = self.estimator, self.parts[k], len(self.parts) > 1
        settings, shown = common.settings, common.shown
        x, y = common.shared or _taken(common.x, common.y, part.train)
        history = [dict(record) for record in self.histories[k]] if self.histories else []
        before = len(history)
        epochs = before + (1 if self.partial else settings.epochs)
        weight = part.train.weight
        encoded = self.encoded[part.train.rows]
        trainer = Trainer(
            network, options.loss_for(snn, self.task), settings.optimizer, common.threads,
            seed_of(snn._seed, k), snn.backend,
            snn._class_weight(Rows(x, encoded, weight)), snn.precision,
        )  # fmt: skip
        if self.states:
            _resume(trainer, self.states[k])
        held, stop = None, None
        if snn.early_stopping:
            if part.held is None:
                raise ValueError(
                    f"{type(snn).__name__}: early_stopping needs validation rows, member {k + 1} "
                    "has none; give more rows"
                )
            held = common.x[part.held.rows], common.y[part.held.rows]
            stop = StopByScore(self._score_of(part.held, network, common.threads),
                               snn.n_iter_no_change)  # fmt: skip
        schedule = options.schedule_for(snn, held is not None)
        if self.partial:
            schedule = Constant()
        elif before:
            schedule = options.Later(schedule, before, epochs)
        callbacks: list[Any] = [] if stop is None else [stop]
        if several:

            def report_both(fraction: float) -> None:
                report(fraction)
                if shown is not None:
                    shown.report(k, fraction)

            schedule = options.Reported(copy.deepcopy(schedule), report_both)
        elif shown is not None:
            callbacks.append(shown)
        trainer.fit(
            x, y, epochs, min(settings.batch_size, len(x)), held, callbacks, schedule,
            None if weight is None else weight / weight.mean(), history,
        )  # fmt: skip
        if several and shown is not None:
            shown.finished(k, history[-1])
        outputs = None
        if snn.members != SEEDS and part.held is not None:
            outputs = network.forward(common.x[part.held.rows], common.threads)
        best, score = len(history), None
        if stop is not None:
            assert stop.best_epoch is not None  # at least one epoch was trained
            best, score = stop.best_epoch, stop.best_score
        state = trainer.state_dict() if self.partial or snn.warm_start else None
        return Trained(network, history, best, score, state, outputs)

    def _score_of(self, held: Chosen, network: Network, threads: int) -> Any:
        index = held.rows
        part = Held(self.given.x[index], self.given.y[index], held.weight, self.encoded[index])
        jobs = threads if len(self.parts) > 1 else self.estimator.n_jobs
        score = self.estimator._score_of(self.model_of(network), self.task, part, jobs)
        if self.task != "classification":
            return score
        missing = np.setdiff1d(self.encoded, part.encoded)

        def noted(record: dict[str, Any]) -> Any:
            try:
                return score(record)
            except ValueError as error:
                if len(missing):
                    label = self.estimator.classes_.tolist()[missing[0]]
                    error.add_note(
                        f"the validation rows have none of class {shown(label)}; give more rows "
                        'of it, or use scoring="loss"'
                    )
                raise

        return noted


class _Common(NamedTuple):
    """Arguments that all members share during `Training.run`.

    x, y: features (n, features) and targets, standardized. shared: both of the training rows, if
    all members train on the same ones. threads: of each member.
    """

    x: np.ndarray
    y: np.ndarray
    shared: tuple[np.ndarray, np.ndarray] | None
    settings: Settings
    threads: int
    shown: Any
    config: dict[str, Any]


def _taken(x: np.ndarray, y: np.ndarray, rows: Chosen) -> tuple[np.ndarray, np.ndarray]:
    return x[rows.rows], y[rows.rows]


def _standardized(targets: Standardizer | None, y: np.ndarray) -> np.ndarray:
    return y if targets is None else targets.transform(y, where="y")


def _resume(trainer: Trainer, state: State) -> None:
    """Load the state of an earlier training; of another optimizer, only the number of updates."""
    arrays, numbers = state
    own, _ = trainer.state_dict()
    trainer.load_state_dict(arrays if arrays.keys() == own.keys() else own, numbers)
