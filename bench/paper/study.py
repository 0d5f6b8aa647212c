"""Grid, choice, repeats: what the experiments on UCI, HTRU2 and Tox21 have in common.

First every configuration is trained on the folds that choose, then the chosen one on all other
folds and seeds. Both go through `fastsnn.search`: K single-threaded trainings at once, each on the
disk when it has finished, so that a killed study resumes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastsnn.search import Protocol, Trial, search
from fastsnn.search.trial import key_of as _key

Options = dict[str, Any]
CHOOSE, REPEAT = "choose", "repeat"  # folders of the two halves


@dataclass(frozen=True)
class Unit:
    """What gets a configuration of its own: `key` are options that all its trainings have (such as
    the data set and the method), `configurations` the others that are tried. folds: those that
    exist; select: those that choose, None for each fold its own; seeds: of the chosen one, the
    first one chooses.
    """

    key: Options
    configurations: Sequence[Options]
    folds: tuple[int, ...] = (1,)
    select: tuple[int, ...] | None = None
    seeds: tuple[int, ...] = (0,)

    def choosing(self) -> list[Options]:
        folds = self.select or self.folds
        return [self.options(one, f, self.seeds[0]) for one in self.configurations for f in folds]

    def options(self, configuration: Options, fold: int, seed: int) -> Options:
        return {**self.key, **configuration, "fold": fold, "seed": seed}

    def repeats(self, chosen: Mapping[int, Options]) -> list[Options]:
        """All trainings of what was chosen, {fold: configuration}, in the order of the folds."""
        return [self.options(chosen[f], f, seed) for f in chosen for seed in self.seeds]


@dataclass(frozen=True)
class Outcome:
    """Of a unit: the configuration of each fold, and the trainings of the chosen ones by fold and
    seed; both empty where every configuration diverged. seconds: of all its trainings, those that
    were not chosen among them.
    """

    unit: Unit
    chosen: dict[int, Options]
    trials: list[Trial]
    seconds: float

    def tests(self) -> list[float]:
        """The test figure of each fold, the mean over its seeds. A training that diverged before
        it could be judged counts as 0.
        """
        found = {fold: [] for fold in self.chosen}
        for trial in self.trials:
            found[trial.options["fold"]].append(trial.figures.get("test") or 0.0)
        return [sum(values) / len(values) for values in found.values()]


@dataclass(frozen=True)
class Study:
    """How its trainings are run: `trial` for `fastsnn.search`, and what it is told."""

    trial: Callable[[Options, Callable[[float], None]], Mapping[str, Any]]
    protocol: Protocol
    cost: Callable[[Options], float]
    about: dict[str, Any]
    folder: Path
    resume: bool = False
    workers: int | None = None

    def run(self, units: Sequence[Unit], progress: Callable | None = None) -> list[Outcome]:
        """`progress(what, status)`, see `fastsnn.search.search`."""
        tried = self._search(CHOOSE, [o for u in units for o in u.choosing()], progress)
        chosen = [self._choose(unit, tried) for unit in units]
        wanted = [u.repeats(c) for u, c in zip(units, chosen, strict=True)]
        new = [o for options in wanted for o in options if _key(o) not in tried]
        found = tried | (self._search(REPEAT, new, progress) if new else {})
        outcomes = []
        for unit, c, options in zip(units, chosen, wanted, strict=True):
            keys = {_key(o) for o in [*unit.choosing(), *options]}
            seconds = sum(found[key].seconds for key in keys)
            outcomes.append(Outcome(unit, c, [found[_key(o)] for o in options], seconds))
        return outcomes

    def _search(self, what, options, progress):
        told = None if progress is None else lambda status: progress(what, status)
        found = search(
            self.trial, options, protocol=self.protocol, workers=self.workers,
            folder=self.folder / what, resume=self.resume, cost=self.cost, about=self.about,
            progress=told,
        )  # fmt: skip
        return {_key(trial.options): trial for trial in found.trials}

    def _choose(self, unit, tried):
        """{fold: configuration}; empty where all have diverged on the folds that choose."""
        chosen = {}
        for fold in unit.folds:
            folds = unit.select or (fold,)
            ranked = [_joined([tried[_key(unit.options(one, f, unit.seeds[0]))] for f in folds], n)
                      for n, one in enumerate(unit.configurations)]  # fmt: skip
            try:
                best = self.protocol.select(ranked)
            except FloatingPointError:
                return {}
            chosen[fold] = unit.configurations[best.number]
        return chosen

    def cost_of(self, units: Sequence[Unit]) -> float:
        """Of all trainings, if the chosen ones cost the mean of what is tried."""
        total = 0.0
        for unit in units:
            costs = [self.cost(options) for options in unit.choosing()]
            total += sum(costs)
            folds = unit.select or unit.folds
            more = len(unit.folds) * len(unit.seeds) - len(folds)
            total += more * sum(costs) / len(costs)
        return total


def _joined(trials, number):
    """One configuration's trials on the folds that choose, as one: the mean of their scores."""
    scores = [trial.score for trial in trials]
    mean = None if None in scores else sum(scores) / len(scores)
    return Trial(number, trials[0].options, {"score": mean})
