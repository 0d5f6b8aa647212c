"""Source of trials that Optuna's tree-structured Parzen estimator (TPE) proposes sequentially.

Proposals must not depend on the order in which trials finish. Trial n is therefore proposed from
the results of trials 0 to n - ahead only, which are reported in the order of their numbers, by a
sampler with a separate seed. It is a function of the seed, n and these results. A resumed search
adds its finished trials to a new study.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from typing import Any

import numpy as np

from fastsnn.checks.scalars import shown
from fastsnn.search.protocol import ModelSelection
from fastsnn.search.space import Range, Space
from fastsnn.search.trial import Trial, plain


class Proposed:
    """Source of proposals, at most `ahead` of which have no result yet."""

    def __init__(
        self, space: Space, trials: int, seed: int, ahead: int,
        cost: Callable[[dict[str, Any]], float], protocol: ModelSelection,
    ) -> None:  # fmt: skip
        self.optuna = _optuna()
        self.distributions = {name: self._distribution(space[name]) for name in space}
        self.total, self.seed, self.ahead, self.cost = trials, seed, ahead, cost
        self.worst = -inf if protocol.maximize else inf
        self.about = {
            "sampler": "optuna", "space": _described(space), "sampler_seed": seed, "ahead": ahead,
        }  # fmt: skip
        level = self.optuna.logging.get_verbosity()
        self.optuna.logging.set_verbosity(self.optuna.logging.WARNING)
        direction = "maximize" if protocol.maximize else "minimize"
        self.study = self.optuna.create_study(direction=direction)
        self.optuna.logging.set_verbosity(level)
        self.replay: dict[int, dict[str, Any]] = {}
        self.scores: dict[int, float | None] = {}
        self.asked = self.told = 0
        self.costs = 0.0  # total cost of the proposed trials

    def recall(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Take the options of finished trials from the journal instead of proposing new ones."""
        self.replay = {record["number"]: record["options"] for record in records}

    def next(self) -> tuple[int, dict[str, Any]] | None:
        """Return (number, options) of the next trial; None if none can start yet."""
        number = self.asked
        if number == self.total or not self._tell_until(number - self.ahead):
            return None
        options = self.replay.get(number)
        if options is None:
            entropy = np.random.SeedSequence([self.seed, number]).generate_state(1)
            self.study.sampler = self.optuna.samplers.TPESampler(seed=int(entropy[0]))
            options = self.study.ask(self.distributions).params
        else:
            self._replay(number, options)
        self.asked += 1
        self.costs += self.cost(options)
        return number, options

    def _replay(self, number: int, options: dict[str, Any]) -> None:
        running = self.optuna.trial.TrialState.RUNNING
        try:
            self.study.add_trial(
                self.optuna.trial.create_trial(
                    state=running, params=options, distributions=self.distributions
                )
            )
        except (TypeError, ValueError, KeyError) as error:
            raise ValueError(
                f"trial {number}: its options in the folder are of another space, "
                f"{shown(options)}; choose another folder"
            ) from error

    def _tell_until(self, number: int) -> bool:
        """Report the results of the trials up to this one; return True if all are finished."""
        while self.told <= number and self.told in self.scores:
            score = self.scores.pop(self.told)
            self.study.tell(self.told, self.worst if score is None else score)
            self.told += 1
        return self.told > number

    def tell(self, trial: Trial) -> None:
        """Store the score of a finished trial."""
        self.scores[trial.number] = trial.score

    def total_cost(self) -> float:
        """Return the estimated cost of all trials, from the mean cost of those proposed so far."""
        return self.costs / max(self.asked, 1) * self.total

    def _distribution(self, values: Sequence[Any] | Range) -> Any:
        of = self.optuna.distributions
        if not isinstance(values, Range):
            return of.CategoricalDistribution(values)
        kind = of.IntDistribution if values.whole else of.FloatDistribution
        return kind(values.low, values.high, log=values.log)


def _described(space: Space) -> dict[str, Any]:
    return {
        name: f"{v.low}:{v.high}{':log' * v.log}" if isinstance(v, Range) else plain(v)
        for name, v in space.items()
    }


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise RuntimeError(
            "sampler optuna: Optuna is required, and it is not installed; "
            "pip install '.[search]', or choose the sampler grid or random"
        ) from error
    return optuna
