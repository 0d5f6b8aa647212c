"""Tox21: mean area under the ROC curve (AUC) over 12 tasks, by depth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import nan
from typing import Any

import numpy as np

from fastsnn.data import tox21
from fastsnn.data.folds import Folds
from fastsnn.data.show import Downloads
from fastsnn.paper import published, statistics
from fastsnn.paper.budgets import Grid, left_out
from fastsnn.paper.estimate import Speed
from fastsnn.paper.study import Outcome, Study, Unit
from fastsnn.paper.training import Task, aucs, mean_auc, train
from fastsnn.search import ModelSelection
from fastsnn.search import grid as combinations
from fastsnn.search.workers import Report, TrialFunction

FOLD = 1  # the authors' split: validation on CVfold 5, the 291 leaderboard compounds
NOT_FLAT = 0.02  # AUC; the paper's SNN loses 0.02 from its best depth to 32 layers


def load() -> Folds:
    """Load the data; progress of downloads and of feature computation goes to stderr."""
    progress = Downloads()
    try:
        return tox21.load(progress=progress)
    finally:
        progress.close()


def units(
    methods: Sequence[str], grid: Grid, seeds: Sequence[int], depths: Sequence[int] | None = None
) -> list[Unit]:
    """Return one unit per method and depth; each selects its own learning rate, dropout, ..."""
    found = []
    for method in methods:
        for configurations in _by_depth(combinations(grid.space(method))).values():
            if depths is None or configurations[0]["layers"] in depths:
                key = {"method": method, "layers": configurations[0].pop("layers")}
                for one in configurations[1:]:
                    del one["layers"]
                found.append(Unit(key, configurations, (FOLD,), None, tuple(seeds)))
    if not found:
        known = sorted({*grid.layers, *grid.blocks})
        raise ValueError(
            f"tox21: none of the layers {', '.join(map(str, depths or ()))} is in this budget, "
            f"which has {', '.join(map(str, known))}; choose from these"
        )
    return found


def _by_depth(configurations: Iterable[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for one in configurations:
        found.setdefault(one["layers"], []).append(one)
    return found


def trial(folds: Folds, grid: Grid, protocol: ModelSelection) -> TrialFunction:
    """Return the trial function of the search; its options name method, depth and seed."""
    parts = folds.parts(FOLD)
    task = Task("sigmoid_cross_entropy", folds.y.shape[1], mean_auc)

    def run(options: Mapping[str, Any], report: Report) -> dict[str, Any]:
        test = {"tasks": lambda z, y: aucs(z, y).tolist()}
        return train(options, parts, task, protocol, grid, report, test)

    return run


def study(folds: Folds, grid: Grid, speed: Speed, **more: Any) -> Study:
    """Return the study, which selects by the mean validation AUC.

    more: further arguments of `Study`.
    """
    protocol = ModelSelection(epochs=grid.epochs, metric="auc")
    training, validation, _ = folds.parts(FOLD)

    def seconds(options: Mapping[str, Any]) -> float:
        return speed.seconds(
            options, training.x.shape[1], folds.y.shape[1], len(training), len(validation), grid
        )

    about = {
        "experiment": "tox21", "rows_per_epoch": grid.rows_per_epoch, "batch": grid.batch,
        "epochs": grid.epochs, "features": folds.note or "deeptox",
    }  # fmt: skip
    return Study(trial(folds, grid, protocol), protocol, seconds, about, **more)


def summary(
    outcomes: Sequence[Outcome], folds: Folds, methods: Sequence[str], grid: Grid
) -> dict[str, Any]:
    """Return one row per method and depth: mean and standard deviation of the AUC, AUC by task."""
    rows = []
    for outcome in outcomes:
        method, layers = outcome.unit.key["method"], outcome.unit.key["layers"]
        values = [t.figures["test"] for t in outcome.trials if t.error is None]
        tasks = [t.figures["tasks"] for t in outcome.trials if t.error is None]
        mean, deviation = statistics.mean_and_deviation(values) if values else (nan, nan)
        paper = published.TOX21[method].get(layers, (nan, nan))
        rows.append(
            {"method": method, "layers": layers, "auc": mean, "deviation": deviation,
             "paper": paper[0], "paper_deviation": paper[1], "difference": mean - paper[0],
             "seeds": values, "tasks": np.mean(tasks, axis=0).tolist() if tasks else [],
             "chosen": outcome.chosen.get(FOLD),
             "diverged": sum(t.error is not None for t in outcome.trials),
             "seconds": round(outcome.seconds, 1)}
        )  # fmt: skip
    notes = [] if folds.note is None else [folds.note]
    notes.append("validation set: CVfold 5, the 291 compounds of the challenge's leaderboard")
    return {
        "rows": rows, "task_names": list(folds.target_names or ()), "statements": statements(rows),
        "notes": notes, "left_out": left_out("tox21", grid, tuple(methods)),
    }  # fmt: skip


def statements(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return lines on the paper's claims: the SNN with 8 layers, and which methods degrade."""
    lines = []
    found = {(row["method"], row["layers"]): row["auc"] for row in rows if row["auc"] == row["auc"]}
    if ("snn", 8) in found:
        value = found["snn", 8]
        lines.append(
            f"SNN with 8 layers: AUC {value:.3f}, {'at least' if value >= 0.81 else 'BELOW'} 0.81 "
            f"(paper, with other features: {published.TOX21['snn'][8][0]:.3f})"
        )
    for method in dict.fromkeys(row["method"] for row in rows):
        depths = sorted(layers for name, layers in found if name == method)
        if len(depths) < 2:
            continue
        best = max(depths, key=lambda layers: found[method, layers])
        fall = found[method, best] - found[method, depths[-1]]
        paper = published.TOX21[method]
        theirs = [d for d in depths if d in paper]
        text = (
            f"{published.NAMES[method]}: best with {best} layers, {fall:.3f} lower with "
            f"{depths[-1]}: {'degrades with depth' if fall > NOT_FLAT else 'stable'}"
        )
        if theirs:
            top = max(theirs, key=lambda layers: paper[layers][0])
            text += (
                f" (paper: best with {top}, {paper[top][0] - paper[theirs[-1]][0]:.3f} lower "
                f"with {theirs[-1]})"
            )
        lines.append(text)
    return lines
