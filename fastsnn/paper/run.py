"""Execution of `fastsnn reproduce`: data, training runs, result files, plots."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from fastsnn.engine import cpu
from fastsnn.engine import threads as processors
from fastsnn.paper import budgets, fig1, htru2, plots, progress, references, tox21, uci
from fastsnn.paper import tutorial_mnist as tutorial
from fastsnn.paper.budgets import Grid
from fastsnn.paper.estimate import Speed, weights
from fastsnn.paper.results import Place
from fastsnn.paper.study import Outcome, Study, Unit
from fastsnn.runs.console import clock, count
from fastsnn.runs.folder import RunFolder


@dataclass(frozen=True)
class Request:
    """Options that all experiments share. seeds: None selects the number of the budget."""

    budget: str
    seeds: tuple[int, ...] | None
    place: Place
    resume: bool
    workers: int | None

    def seeds_of(self, number: int) -> tuple[int, ...]:
        """Return the seeds: those requested, else 0, ..., number - 1."""
        return tuple(range(number)) if self.seeds is None else self.seeds

    def grid(self, name: str) -> Grid:
        """Return the grid of an experiment for this budget and number of seeds."""
        grid = budgets.BY_NAME[name][self.budget]
        return replace(grid, seeds=len(self.seeds_of(grid.seeds)))


def _prepare(request: Request, dry: bool, draws: bool = False) -> None:
    """Create the folders, and check that plots can be drawn. A dry run needs neither."""
    if not dry:
        if draws:
            plots.require()
        request.place.make()


def run_fig1(
    request: Request, name: str, methods: Sequence[str], layers: Sequence[int] | None,
    epochs: int | None, dry: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Run figure 1 on the data set `name` and return the stored result, or that of a dry run."""
    _prepare(request, dry, draws=True)
    start, place = time.perf_counter(), request.place
    of_budget = budgets.FIG1[request.budget]
    layers, epochs = layers or of_budget[0], epochs or of_budget[1]
    seeds = request.seeds_of(1)
    if not (request.resume or dry) and any(place.work.glob("*.safetensors")):
        raise ValueError(
            f"{place.work}: this folder already contains training runs; continue them with "
            "--resume, or choose another folder with --work"
        )
    images = fig1.Images(name)
    at_once = request.workers or processors.available()
    if dry:
        speed, width, classes = _speed(methods), images.x.shape[1], len(images.classes)
        networks = [{"method": m, "layers": d, "width": width} for m in methods for d in layers]
        sizes = [weights(one, width, classes) for one in networks]
        whole = 1 + 1 / epochs  # plus one final pass over the training rows
        seconds = sum(
            epochs * speed.plain(one, size, whole * len(images.y), len(images.held_y) / epochs)
            for one, size in zip(networks, sizes, strict=True)
        )
        return _prediction(len(networks) * len(seeds), at_once, seconds * len(seeds))
    cpu.load_kernels(1, report=progress.line)
    shown = progress.OfCurves()

    def keep(curves: list[dict[str, Any]]) -> dict[str, Any]:
        result = place.write(
            {"budget": request.budget, "seeds": list(seeds), "curves": curves,
             "statements": fig1.statements(curves),
             "left_out": fig1.left_out(name, methods, layers, min(c["epochs"] for c in curves)),
             "notes": [*([images.note] if images.note else []), *fig1.NOTES],
             **_times(start, sum(c["seconds"] for c in curves), f"{at_once} concurrently")}
        )  # fmt: skip
        plots.curves(place.file(".png"), result, name)
        return result

    try:
        with RunFolder(place.work).locked():
            rows = fig1.run(
                images, methods, layers, seeds, epochs, place.work, shown, keep, at_once
            )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted; finished epochs are stored in {place.work}; to continue, repeat the "
            "command with --resume"
        ) from None
    finally:
        shown.close()
    return keep(rows)


def run_uci(
    request: Request, methods: Sequence[str], sets: Sequence[str] | None, max_rows: int | None,
    with_references: bool, dry: bool,
) -> dict[str, Any]:  # fmt: skip
    """Run the UCI experiment and return the stored result, or that of a dry run."""
    _prepare(request, dry)
    start, grid = time.perf_counter(), request.grid("uci")
    names = uci.sets(sets, max_rows)
    every = [*methods, *(("forest", "svm", "bayes") if with_references else ())]
    if with_references:
        references.require()
    study = uci.study(grid, _speed(methods), **_how(request))
    units = uci.units(names, every, grid, request.seeds_of(grid.seeds))
    if dry:
        return predicted(request, study, units)
    outcomes = _shown(study, units, request)
    result = _written(request, start, outcomes, uci.summary(outcomes, every, grid, names), grid)
    request.place.write_csv(uci.flat(result["rows"], every))
    return result


def run_htru2(
    request: Request, methods: Sequence[str], with_references: bool, dry: bool
) -> dict[str, Any]:
    """Run the HTRU2 experiment and return the stored result, or that of a dry run."""
    _prepare(request, dry)
    start, grid = time.perf_counter(), request.grid("htru2")
    every = [*methods, *(htru2.REFERENCES if with_references else ())]
    if with_references:
        references.require()
    folds = htru2.load()
    study = htru2.study(folds, grid, _speed(methods), **_how(request))
    units = htru2.units(folds, every, grid, request.seeds_of(grid.seeds))
    if dry:
        return predicted(request, study, units)
    outcomes = _shown(study, units, request)
    return _written(request, start, outcomes, htru2.summary(outcomes, every, grid), grid)


def run_tox21(
    request: Request, methods: Sequence[str], layers: Sequence[int] | None, dry: bool
) -> dict[str, Any]:
    """Run the Tox21 experiment and return the stored result, or that of a dry run."""
    _prepare(request, dry, draws=True)
    start, grid = time.perf_counter(), request.grid("tox21")
    folds = tox21.load()
    study = tox21.study(folds, grid, _speed(methods), **_how(request))
    units = tox21.units(methods, grid, request.seeds_of(grid.seeds), layers)
    if dry:
        return predicted(request, study, units)
    outcomes = _shown(study, units, request)
    summary = tox21.summary(outcomes, folds, methods, grid)
    result = _written(request, start, outcomes, summary, grid)
    plots.depth(request.place.file(".png"), result)
    return result


def run_tutorial(
    request: Request, networks: Sequence[str], epochs: int | None, dry: bool = False
) -> dict[str, Any]:
    """Run the MNIST tutorial and return the stored result, or that of a dry run."""
    _prepare(request, dry)
    start = time.perf_counter()
    epochs = epochs or budgets.TUTORIAL[request.budget]
    seeds, shown = request.seeds_of(1), progress.OfStudy()
    images = tutorial.Images()
    if dry:
        method = {"selu": "snn", "relu": "msra"}
        speed = _speed(tuple(method[kind] for kind in networks))
        sizes = (images.train[0].shape[1], *tutorial.HIDDEN, images.classes)
        size = sum(a * b for a, b in zip(sizes, sizes[1:], strict=False))
        rows, held = len(images.train[1]), len(images.held[1])
        seconds = sum(speed.plain({"method": method[k]}, size, rows, held) for k in networks)
        trainings = len(networks) * len(seeds)
        at_once = min(request.workers or processors.available(), trainings)
        return _prediction(trainings, at_once, epochs * seconds * len(seeds))
    cpu.load_kernels(1, report=progress.line)
    try:
        trials = tutorial.run(
            images, networks, seeds, epochs, workers=request.workers, resume=request.resume,
            folder=request.place.work, progress=lambda status: shown("train", status),
        )  # fmt: skip
    finally:
        shown.close()
    seconds = sum(one.seconds for one in trials)
    return request.place.write(
        {"budget": request.budget, "seeds": list(seeds), **tutorial.summary(trials, epochs),
         **_times(start, seconds, "each on one thread")}
    )  # fmt: skip


def predicted(request: Request, study: Study, units: Sequence[Unit]) -> dict[str, Any]:
    """Return the result of a dry run: number of training runs, estimated time."""
    workers = request.workers or processors.available()
    trainings = sum(len(unit.choosing()) + _repeats(unit) for unit in units)
    return _prediction(trainings, workers, study.cost_of(units))


def _prediction(trainings: int, at_once: int, seconds: float) -> dict[str, Any]:
    """Return the result of a dry run. seconds: total of all training runs on one thread each."""
    seconds /= max(at_once, 1)
    return {"trainings": trainings, "at_once": at_once, "predicted_seconds": round(seconds),
            "predicted": clock(seconds)}  # fmt: skip


def _repeats(unit: Unit) -> int:
    chosen = len(unit.select or unit.folds)
    return len(unit.folds) * len(unit.seeds) - chosen


def _speed(methods: Sequence[str]) -> Speed:
    cpu.load_kernels(1, report=progress.line)
    return Speed(tuple(methods))


def _how(request: Request) -> dict[str, Any]:
    return {
        "folder": request.place.work, "resume": request.resume, "workers": request.workers,
    }  # fmt: skip


def _shown(study: Study, units: Sequence[Unit], request: Request) -> list[Outcome]:
    forecast = predicted(request, study, units)
    progress.line(
        f"{count(forecast['trainings'], 'training run')}, {forecast['at_once']} concurrently; "
        f"estimated time {forecast['predicted']}"
    )
    shown = progress.OfStudy()
    try:
        return study.run(units, shown)
    finally:
        shown.close()


def _written(
    request: Request, start: float, outcomes: Sequence[Outcome], summary: dict[str, Any], grid: Grid
) -> dict[str, Any]:
    notes = [*summary.get("notes", ()), budgets.note(grid)]
    at_once = f"{request.workers or processors.available()} concurrently, each on one thread"
    return request.place.write(
        {"budget": request.budget, "seeds": list(request.seeds_of(grid.seeds)), **summary,
         "notes": notes, **_times(start, sum(one.seconds for one in outcomes), at_once)}
    )  # fmt: skip


def _times(start: float, training: float, at_once: str) -> dict[str, Any]:
    return {"seconds": round(time.perf_counter() - start, 1),
            "training_seconds": round(training, 1), "at_once": at_once}  # fmt: skip
