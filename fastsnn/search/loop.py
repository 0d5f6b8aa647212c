"""The loop of a search: sends trials to workers, collects results, keeps the best so far."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from fastsnn.checks.scalars import integer, shown
from fastsnn.search import space as spaces
from fastsnn.search.journal import Journal
from fastsnn.search.listed import Listed
from fastsnn.search.protocol import ModelSelection
from fastsnn.search.trial import Trial, is_number, key_of, plain
from fastsnn.search.workers import (
    Attempt,
    Crew,
    LocalReport,
    RemoteReport,
    TrialFunction,
    workers_of,
)

if TYPE_CHECKING:  # tpe.py is imported if it is used
    from fastsnn.search.tpe import Proposed

SAMPLERS = ("grid", "random", "optuna")
REFRESH_S = 0.5  # of the progress


@dataclass(frozen=True)
class Found:
    """Result of a search: `trials` in the order of their numbers, and how it went.

    seconds: of this call. busy: share of the workers' processors that the search used meanwhile,
    in [0, 1]; None where the trials ran on other machines, or none did.
    """

    trials: list[Trial]
    protocol: ModelSelection
    seconds: float
    busy: float | None

    @property
    def best(self) -> Trial:
        """See `ModelSelection.select`."""
        return self.protocol.select(self.trials)

    @property
    def ranked(self) -> list[Trial]:
        """See `ModelSelection.ranked`."""
        return self.protocol.ranked(self.trials)


@dataclass(frozen=True)
class Status:
    """Progress of a running search. seconds_left: None before the first estimate."""

    done: int
    total: int
    seconds_left: float | None
    best: Trial | None


def search(
    trial: TrialFunction,
    space: spaces.Space | Sequence[Mapping[str, Any]],
    *,
    protocol: ModelSelection | None = None,
    workers: int | None = None,
    folder: str | os.PathLike[str] | None = None,
    resume: bool = False,
    sampler: str = "grid",
    trials: int | None = None,
    seed: int = 0,
    ahead: int = 16,
    dask: Any = None,
    cost: Callable[[dict[str, Any]], float] = spaces.cost,
    about: Mapping[str, Any] | None = None,
    progress: Callable[[Status], None] | None = None,
) -> Found:
    """Run `trial` for many options, several concurrently; order and place change no result.

    Parameters
    ----------
    trial : function (options, report) -> figures
        A training. `options` is a dict of its own; figures is a dict of numbers, texts and lists of
        them, with "score" for the protocol (NaN or None: worst). It runs in a Python thread beside
        others, so train with `threads=1`, and load data once for all. Its result must be a function
        of the options alone. A FloatingPointError is a training that diverged: it is recorded as
        such and ranks last; any other exception ends the search. `report(fraction)` takes the
        share of the training that is done, in [0, 1], and is where an interrupted search leaves
        the trial: call it at least once an epoch.
    space : dict of name -> values (or `Range`), or a list of options
        All combinations of the values, or just the list.
    protocol : ModelSelection
        Whether more is better, and who wins among equals. By default the paper's, on accuracy.
    workers : int >= 1
        Concurrent trials, default: all processors, one each.
    folder : path
        Keeps trials.jsonl, a line per finished trial, see `journal`. None: keeps nothing.
    resume : bool
        Take the finished trials from the folder, if there are any, and run the others. A grid, a
        list or the number of trials may have grown meanwhile.
    sampler : {"grid", "random", "optuna"}
        All combinations; `trials` draws from them; `trials` proposals of Optuna's TPE.
    trials : int >= 1
        For random and optuna.
    seed : int in [0, 2**64)
        Of the drawn and proposed options. A training's own seed is one of its options.
    ahead : int >= 1
        For optuna, the most concurrent trials: trial n is proposed from the results of the trials
        before n - ahead + 1 alone, so that proposals do not depend on who finishes first.
    dask : address of a scheduler ("tcp://host:port"), distributed.Client, or "local"
        Run the trials on its workers; "local" starts `workers` processes of one thread for this
        search, for networks so small that threads would wait for the interpreter. `trial` and its
        options are pickled then, for each trial.
    cost : function (options) -> float
        Estimate of a trial's time in any unit: long ones begin first, and the time left
        is computed from it.
    about : dict
        JSON of all else that results depend on; a resumed search must say the same.
    progress : function (Status)
        Called about twice a second and at the end.

    Raises
    ------
    ValueError, TypeError : arguments are not usable, or the folder holds another search.
    RuntimeError : a trial failed, the folder cannot be written, an extra is not installed.
    KeyboardInterrupt : with what has been kept.
    """
    protocol = protocol or ModelSelection()
    if not callable(trial):
        raise TypeError(f"trial: a function is required, got {shown(trial)}")
    if about is not None and not isinstance(about, Mapping):
        raise TypeError(f"about: a dict is required, got {shown(about)}")
    source = _source(space, sampler, trials, seed, ahead, cost, protocol)
    start, cpu = time.perf_counter(), _cpu_s()
    about = plain({**(about or {}), "protocol": asdict(protocol), **source.about})
    with (
        Journal(folder, about, resume) as journal,
        workers_of(trial, workers, dask) as crew,
    ):
        watch = _Watch(source, protocol, progress)
        try:
            _run(source, crew, journal, watch)
        except KeyboardInterrupt:
            kept = "nothing was kept"
            if folder is not None:
                kept = (
                    f"{folder} keeps them; continue with the same command and --resume "
                    f"--out {folder}"
                )
            raise KeyboardInterrupt(
                f"interrupted after {len(watch.done)} of {source.total} trials; {kept}"
            ) from None
        seconds = time.perf_counter() - start
    share = None
    if crew.local and watch.cost_now:
        share = min((_cpu_s() - cpu) / (seconds * crew.most), 1.0)
    found = [watch.done[number] for number in sorted(watch.done)]
    return Found(found, protocol, seconds, share)


def _cpu_s() -> float:
    """Seconds of the processors, of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _source(
    space: spaces.Space | Sequence[Mapping[str, Any]],
    sampler: str,
    trials: int | None,
    seed: int,
    ahead: int,
    cost: Callable[[dict[str, Any]], float],
    protocol: ModelSelection,
) -> Listed | Proposed:
    if sampler not in SAMPLERS:
        raise ValueError(f"sampler: must be one of {', '.join(SAMPLERS)}; got {shown(sampler)}")
    drawn = sampler != "grid"
    if drawn == (trials is None):
        wanted = "a number is required" if drawn else "a grid has as many as it has combinations"
        raise ValueError(f"trials: {wanted}, got {trials} with the sampler {sampler}")
    for name, value in (("trials", trials), ("ahead", ahead)):
        if value is not None and integer(value, name, None, spaces.MOST_TRIALS) < 1:
            raise ValueError(f"{name}: at least 1 is required, got {value}")
    seed = integer(seed, "seed", 0, 2**64 - 1)
    if not isinstance(space, Mapping | list | tuple):
        raise TypeError(
            f"space: a dict of names with values, or a list of options, is required, got "
            f"{shown(space)}"
        )
    if not isinstance(space, Mapping):
        if drawn:
            raise ValueError(f"space: {sampler} needs names with values, got a list of options")
        return Listed(spaces.unique(space), cost)
    if trials is None:  # the sampler is grid
        return Listed(spaces.unique(spaces.grid(space)), cost)
    if sampler == "random":
        return Listed(spaces.drawn(space, trials, seed), cost)
    from fastsnn.search.tpe import Proposed

    return Proposed(spaces.checked(space), trials, seed, ahead, cost, protocol)


def _run(source: Listed | Proposed, crew: Crew, journal: Journal, watch: _Watch) -> None:
    known = {key_of(r["options"]): Trial.of(r) for r in journal.records}
    source.recall(journal.records)
    running: dict[Future[Attempt], tuple[int, dict[str, Any], LocalReport | RemoteReport]] = {}
    while len(watch.done) < source.total:
        while len(running) < crew.queued and (item := source.next()) is not None:
            number, options = item
            before = known.get(key_of(options))
            if before is not None:
                watch.finished(replace(before, number=number, options=options))
            else:
                report = crew.report()
                running[crew.submit(options, report)] = number, options, report
        done, _ = wait(running, REFRESH_S, FIRST_COMPLETED)
        for future in sorted(done, key=lambda f: running[f][0]):
            number, options, _ = running.pop(future)
            trial = _outcome(future, number, options)
            journal.append(trial.record())
            known[key_of(options)] = trial
            watch.finished(trial, new=True)
        watch.show([(options, report) for _, options, report in running.values()])


def _outcome(future: Future[Attempt], number: int, options: dict[str, Any]) -> Trial:
    if future.cancelled():
        raise RuntimeError(
            f"trial {number}, {options}: the cluster has dropped it; are its scheduler and workers "
            "alive? start them, and resume the search"
        )
    error = future.exception()
    if error is not None:
        if not isinstance(error, Exception):
            raise error
        text = str(error) or type(error).__name__
        raise RuntimeError(f"trial {number}, {options}: {text}") from error
    figures, diverged, seconds = future.result()
    if diverged is None and not (isinstance(figures, Mapping) and "score" in figures):
        raise TypeError(
            f'trial {number}, {options}: a dict of figures with "score" is required, got '
            f"{shown(figures)}"
        )
    found = Trial(number, options, plain(figures), diverged, round(seconds, 3))
    if found.score is not None and not is_number(found.score):
        raise TypeError(
            f"trial {number}, {options}: the score must be a number, got {shown(found.score)}"
        )
    return found


class _Watch:
    """Finished trials by number, and their progress display."""

    def __init__(
        self,
        source: Listed | Proposed,
        protocol: ModelSelection,
        progress: Callable[[Status], None] | None,
    ) -> None:
        self.source, self.protocol, self.progress = source, protocol, progress
        self.done: dict[int, Trial] = {}
        self.best: Trial | None = None
        self.start, self.shown = time.perf_counter(), 0.0
        self.cost_done = self.cost_now = 0.0  # of all finished trials, and of those of this call

    def finished(self, trial: Trial, new: bool = False) -> None:
        self.done[trial.number] = trial
        cost = self.source.cost(trial.options)
        self.cost_done += cost
        self.cost_now += cost if new else 0.0
        if trial.score is not None:
            both = [trial] if self.best is None else [self.best, trial]
            self.best = self.protocol.ranked(both)[0]
        self.source.tell(trial)

    def show(self, running: Iterable[tuple[dict[str, Any], LocalReport | RemoteReport]]) -> None:
        now = time.perf_counter()
        end = len(self.done) == self.source.total
        if self.progress is None or (now - self.shown < REFRESH_S and not end):
            return
        self.shown = now
        under_way = sum(self.source.cost(options) * r.fraction for options, r in running)
        left, speed = None, (self.cost_now + under_way) / (now - self.start)
        if speed:
            left = max(0.0, self.source.total_cost() - self.cost_done - under_way) / speed
        self.progress(Status(len(self.done), self.source.total, left, self.best))
