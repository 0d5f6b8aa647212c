"""Main loop of a search: submit trials to workers, collect results, track the best trial."""

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

if TYPE_CHECKING:  # tpe.py is only imported if it is used
    from fastsnn.search.tpe import Proposed

SAMPLERS = ("grid", "random", "optuna")
REFRESH_S = 0.5  # interval of progress updates, seconds


@dataclass(frozen=True)
class Found:
    """Result of a search.

    Attributes
    ----------
    trials : list of Trial
        All trials, in the order of their numbers, including those of a resumed search.
    protocol : ModelSelection
        Criterion that ranks the trials.
    seconds : float
        Duration of this call.
    busy : float or None
        Mean utilization of the workers' processors, in [0, 1]; None if the trials ran on other
        machines, or if this call ran none.
    """

    trials: list[Trial]
    protocol: ModelSelection
    seconds: float
    busy: float | None

    @property
    def best(self) -> Trial:
        """The best `Trial`. Raises FloatingPointError if all trials diverged, see
        `ModelSelection.select`.
        """
        return self.protocol.select(self.trials)

    @property
    def ranked(self) -> list[Trial]:
        """List of all trials, best first, see `ModelSelection.ranked`."""
        return self.protocol.ranked(self.trials)


@dataclass(frozen=True)
class Status:
    """Progress of a running search.

    Attributes
    ----------
    done, total : int
        Number of finished trials and of all trials.
    seconds_left : float or None
        Estimated time left; None before the first estimate.
    best : Trial or None
        Best finished trial; None before the first with a score.
    """

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
    """Call `trial` for many option sets, several concurrently, and rank the results.

    Results do not depend on the number of workers or on the order in which trials finish.

    Parameters
    ----------
    trial : callable
        Trains once, called as ``trial(options, report)``. `options` is a dict that the trial owns.
        It returns a dict of numbers, strings and lists of these, with the entry "score"; a score of
        NaN or None ranks last. The result must be a function of the options only.

        Trials run in Python threads, so train with ``threads=1`` and load the data once, outside
        the trial. ``report(fraction)`` reports the completed fraction of the training, in [0, 1];
        call it at least once per epoch, because an interrupted search ends a trial in this call. A
        FloatingPointError means that the training diverged: the trial is recorded and ranks last.
        Any other exception ends the search.
    space : dict or list of dict
        Search space: name of each option -> list of values, or `Range`. Or a list of option sets,
        which are all run.
    protocol : ModelSelection, optional
        Criterion that ranks the trials. By default ``ModelSelection()``, the paper's protocol with
        accuracy as the metric.
    workers : int >= 1, optional
        Number of concurrent trials; by default the number of available processors.
    folder : str or path, optional
        Folder of the journal trials.jsonl, to which each finished trial is appended. By default
        nothing is stored.
    resume : bool
        Reuse the finished trials in the folder, if it has any, and run only the others. The grid,
        the list or the number of trials may have grown since.
    sampler : {"grid", "random", "optuna"}
        "grid" runs all combinations, "random" `trials` distinct random samples of the space,
        "optuna" `trials` proposals of Optuna's TPE sampler.
    trials : int in [1, 1000000], optional
        Number of trials; required for "random" and "optuna", not allowed for "grid".
    seed : int in [0, 2**64)
        Seed of the samples and proposals. The seed of a training run is one of its options.
    ahead : int in [1, 1000000]
        For "optuna", maximum number of concurrent trials. Trial n is proposed from the results of
        trials 0 to n - ahead only, so that proposals do not depend on the order of finishing.
    dask : str or distributed.Client, optional
        Run the trials on a Dask cluster: a client, or the address of a scheduler
        ("tcp://host:port"). "local" starts `workers` single-threaded processes for this search, for
        networks so small that threads would wait for the interpreter lock. `trial` and its options
        must be picklable. By default, trials run in threads of this process.
    cost : callable
        Returns an estimate of a trial's duration in any unit, called as ``cost(options)``. The
        longest trials start first, and the time left is computed from it. By default layers *
        width**2 * epochs.
    about : dict, optional
        JSON object of everything that results depend on in addition to the options. A search can
        only be resumed with an equal one.
    progress : callable, optional
        Called with a `Status` about twice per second and at the end.

    Returns
    -------
    Found
        All trials, ranked by `protocol`; ``found.best`` is the best.

    Raises
    ------
    ValueError, TypeError
        An argument is invalid, the result of a trial has no valid score, or the folder contains
        another search.
    RuntimeError
        A trial failed, the folder cannot be written, or an optional dependency is not installed.
    KeyboardInterrupt
        The search was interrupted. The message states which results were stored.

    Examples
    --------
    >>> from fastsnn.search import Range, search
    >>> def trial(options, report):
    ...     return {"score": -abs(options["x"] - 3)}
    >>> found = search(trial, {"x": Range(0, 9)}, sampler="random", trials=5)
    >>> found.best.options, found.best.score, len(found.trials)
    ({'x': 4}, -1, 5)
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
            kept = "nothing was stored"
            if folder is not None:
                kept = (
                    f"{folder} has their results; continue with the same command and --resume "
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
    """Return the processor time of this process and of its finished child processes, in seconds."""
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
        wanted = "a number is required" if drawn else "a grid runs all combinations"
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
            f"trial {number}, {options}: the cluster cancelled it; are its scheduler and workers "
            "running? restart them, and resume the search"
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
    """Finished trials by number, the best of them, and the progress of the search."""

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
        self.cost_done = self.cost_now = 0.0  # cost of all finished trials, and of this call's

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
