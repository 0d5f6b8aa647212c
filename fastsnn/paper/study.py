"""Studies: grid search and repeats, shared by the experiments on UCI, HTRU2 and Tox21.

First, every configuration is trained on the selection folds. Then the best one is trained on all
other folds and seeds; if it diverges, the next best one. `fastsnn.search` executes all training
runs, single-threaded and concurrently. Each is stored when it finishes, so that a killed study can
be resumed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastsnn.search import ModelSelection, Trial, search
from fastsnn.search.loop import Status
from fastsnn.search.trial import key_of as _key
from fastsnn.search.workers import TrialFunction

Options = dict[str, Any]
OnStatus = Callable[[str, Status], None]
CHOOSE, REPEAT = "choose", "repeat"  # folders of the two stages


@dataclass(frozen=True)
class Unit:
    """Part of a study for which one configuration is selected.

    Parameters
    ----------
    key : options shared by all its training runs, such as data set and method.
    configurations : the other options, to be tried.
    folds : folds of the data set.
    select : folds whose validation rows select the configuration. None: each fold selects its own.
    seeds : seeds of the selected configuration; the selection uses the first one.
    """

    key: Options
    configurations: Sequence[Options]
    folds: tuple[int, ...] = (1,)
    select: tuple[int, ...] | None = None
    seeds: tuple[int, ...] = (0,)

    def choosing(self) -> list[Options]:
        """Return the options of the training runs that select the configuration."""
        folds = self.select or self.folds
        return [self.options(one, f, self.seeds[0]) for one in self.configurations for f in folds]

    def options(self, configuration: Options, fold: int, seed: int) -> Options:
        """Return the options of one training."""
        return {**self.key, **configuration, "fold": fold, "seed": seed}


@dataclass(frozen=True)
class Outcome:
    """Result of a unit.

    chosen: {fold: selected configuration}. trials: its training runs, by fold and seed. Both are
    empty if every configuration diverged. seconds: total of all training runs, including those that
    were not selected.
    """

    unit: Unit
    chosen: dict[int, Options]
    trials: list[Trial]
    seconds: float

    def tests(self) -> list[float]:
        """Return the test figure of each fold, averaged over its seeds.

        A fold counts as 0 if every configuration diverged before it could be evaluated.
        """
        found: dict[int, list[float]] = {fold: [] for fold in self.chosen}
        for trial in self.trials:
            found[trial.options["fold"]].append(trial.figures.get("test") or 0.0)
        return [sum(values) / len(values) for values in found.values()]


@dataclass(frozen=True)
class Study:
    """Settings shared by all training runs of a study: `trial` and other arguments of a search."""

    trial: TrialFunction
    protocol: ModelSelection
    cost: Callable[[Options], float]
    about: dict[str, Any]
    folder: Path
    resume: bool = False
    workers: int | None = None

    def run(self, units: Sequence[Unit], progress: OnStatus | None = None) -> list[Outcome]:
        """Run the study; progress(stage, status) is called as in `fastsnn.search.search`."""
        tried = self._search(CHOOSE, [o for u in units for o in u.choosing()], progress)
        ranked = [self._rank(unit, tried) for unit in units]
        found, level = dict(tried), 0
        new: list[Options] = []
        while True:
            wanted = [list(_repeats(u, r, found)) for u, r in zip(units, ranked, strict=True)]
            missing = [o for options in wanted for o in options if _key(o) not in found]
            if not missing:
                break
            new += missing  # the whole list, because a search is resumed with a longer list
            found |= self._search(REPEAT, new, progress, self.resume or level > 0)
            level += 1
        outcomes = []
        for unit, r, options in zip(units, ranked, wanted, strict=True):
            keys = {_key(o) for o in [*unit.choosing(), *options]}
            seconds = sum(found[key].seconds for key in keys)
            chosen = {fold: configurations[0] for fold, configurations in r.items()}
            outcomes.append(Outcome(unit, chosen, [found[_key(o)] for o in options], seconds))
        return outcomes

    def _search(
        self,
        what: str,
        options: Sequence[Options],
        progress: OnStatus | None,
        resume: bool | None = None,
    ) -> dict[str, Trial]:
        told = None if progress is None else lambda status: progress(what, status)
        found = search(
            self.trial, options, protocol=self.protocol, workers=self.workers,
            folder=self.folder / what, resume=self.resume if resume is None else resume,
            cost=self.cost, about=self.about, progress=told,
        )  # fmt: skip
        return {_key(trial.options): trial for trial in found.trials}

    def _rank(self, unit: Unit, tried: Mapping[str, Trial]) -> dict[int, list[Options]]:
        """Return {fold: configurations without diverged ones, best first}; empty if all diverged on
        the selection folds.
        """
        ranked: dict[int, list[Options]] = {}
        for fold in unit.folds:
            folds = unit.select or (fold,)
            joined = [_joined([tried[_key(unit.options(one, f, unit.seeds[0]))] for f in folds], n)
                      for n, one in enumerate(unit.configurations)]  # fmt: skip
            whole = [one for one in self.protocol.ranked(joined) if one.score is not None]
            if not whole:
                return {}
            ranked[fold] = [unit.configurations[one.number] for one in whole]
        return ranked

    def cost_of(self, units: Sequence[Unit]) -> float:
        """Return the cost of all training runs, with the mean cost for those not yet selected."""
        total = 0.0
        for unit in units:
            costs = [self.cost(options) for options in unit.choosing()]
            total += sum(costs)
            folds = unit.select or unit.folds
            more = len(unit.folds) * len(unit.seeds) - len(folds)
            total += more * sum(costs) / len(costs)
        return total


def _repeats(
    unit: Unit, ranked: Mapping[int, Sequence[Options]], found: Mapping[str, Trial]
) -> Iterator[Options]:
    """Yield the options of each fold and seed, with the best configuration.

    If that one diverged before it could be evaluated, the next best one takes its place. Divergence
    is observed on training rows, so the test rows do not influence the selection.
    """
    for fold, configurations in ranked.items():
        for seed in unit.seeds:
            for one in configurations:
                options = unit.options(one, fold, seed)
                trial = found.get(_key(options))
                if trial is None or trial.error is None:
                    break
            yield options


def _joined(trials: Sequence[Trial], number: int) -> Trial:
    """Return one trial for a configuration, with the mean score over the selection folds."""
    scores = [score for trial in trials if (score := trial.score) is not None]
    mean = None if len(scores) < len(trials) else sum(scores) / len(scores)
    return Trial(number, trials[0].options, {"score": mean})
