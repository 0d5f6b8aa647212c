"""HTRU2: pulsar classification, area under the ROC curve (AUC) over ten folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan
from typing import Any

from fastsnn.data import htru2
from fastsnn.data.folds import Folds
from fastsnn.methods import METHODS
from fastsnn.paper import published, references, statistics
from fastsnn.paper.budgets import Grid, left_out
from fastsnn.paper.estimate import Speed
from fastsnn.paper.study import Outcome, Study, Unit
from fastsnn.paper.training import Task, auc_of_second, train
from fastsnn.search import ModelSelection
from fastsnn.search import grid as combinations
from fastsnn.search.workers import Report, TrialFunction

REFERENCES = ("bayes", "svm", "tree")
TASK = Task("softmax_cross_entropy", 2, auc_of_second)


def load() -> Folds:
    """Return all rows with their folds."""
    return htru2.load()


def units(folds: Folds, methods: Sequence[str], grid: Grid, seeds: Sequence[int]) -> list[Unit]:
    """Return one unit per method; as in the paper, each fold selects its own configuration."""
    every = tuple(range(1, folds.n_folds + 1))
    found = []
    for method in methods:
        known = method in METHODS
        space = grid.space(method) if known else references.CLASSIFIERS[method]
        configurations = combinations(space) if space else [{}]
        repeats = tuple(seeds) if known else (0,)
        found.append(Unit({"method": method}, configurations, every, grid.select_folds, repeats))
    return found


def trial(folds: Folds, grid: Grid, protocol: ModelSelection) -> TrialFunction:
    """Return the trial function of the search; its options name method, fold and seed."""
    parts = {fold: folds.parts(fold) for fold in range(1, folds.n_folds + 1)}

    def run(options: Mapping[str, Any], report: Report) -> dict[str, Any]:
        data = parts[options["fold"]]
        if options["method"] in references.CLASSIFIERS:
            return references.detect(options, data)
        return train(options, data, TASK, protocol, grid, report)

    return run


def study(folds: Folds, grid: Grid, speed: Speed, **more: Any) -> Study:
    """Return the study, which selects by the validation AUC.

    more: further arguments of `Study`.
    """
    protocol = ModelSelection(epochs=grid.epochs, metric="auc")
    training, validation, _ = folds.rows(1)

    def seconds(options: Mapping[str, Any]) -> float:
        if options["method"] in references.CLASSIFIERS:
            return references.seconds(options, len(training), folds.x.shape[1])
        return speed.seconds(
            options, folds.x.shape[1], TASK.outputs, len(training), len(validation), grid
        )

    about = {"experiment": "htru2", "rows_per_epoch": grid.rows_per_epoch, "batch": grid.batch}
    return Study(trial(folds, grid, protocol), protocol, seconds, about, **more)


def summary(outcomes: Sequence[Outcome], methods: Sequence[str], grid: Grid) -> dict[str, Any]:
    """Return one row per method: mean AUC, standard deviation over the folds, p against the SNN."""
    tests = {o.unit.key["method"]: o.tests() for o in outcomes}
    rows = []
    for outcome in outcomes:
        method = outcome.unit.key["method"]
        mean, deviation = (nan, nan)
        if tests[method]:
            mean, deviation = statistics.mean_and_deviation(tests[method])
        paper = published.HTRU2[method]
        tested = method != "snn" and len(tests.get("snn", ())) == len(tests[method]) > 0
        rows.append(
            {"method": method, "auc": mean, "deviation": deviation, "paper": paper[0],
             "paper_deviation": paper[1], "difference": mean - paper[0],
             "p": statistics.wilcoxon(tests["snn"], tests[method]) if tested else nan,
             "paper_p": published.HTRU2_P.get(method, nan), "folds": tests[method],
             "chosen": [outcome.chosen[fold] for fold in sorted(outcome.chosen)],
             "diverged": sum(t.error is not None for t in outcome.trials),
             "seconds": round(outcome.seconds, 1)}
        )  # fmt: skip
    known = tuple(method for method in methods if method in METHODS)
    return {
        "methods": rows, "statements": statements(rows), "left_out": left_out("htru2", grid, known),
        "notes": [
            "the paper does not specify its folds; here they are stratified by class"
        ],
    }  # fmt: skip


def statements(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return lines that compare the table with the claims of the paper."""
    found = {row["method"]: row["auc"] for row in rows}
    lines = []
    if "snn" in found:
        snn = found["snn"]
        lines.append(f"SNN AUC {snn:.4f}, {'at least' if snn >= 0.977 else 'BELOW'} 0.977")
        for other in ("batchnorm", "resnet", "bayes"):
            if other in found:
                above = snn > found[other]
                lines.append(
                    f"SNN {'above' if above else 'NOT above'} {published.NAMES[other]}, "
                    f"difference {snn - found[other]:+.4f} (paper: "
                    f"{published.HTRU2['snn'][0] - published.HTRU2[other][0]:+.4f})"
                )
    order = sorted(found, key=lambda method: -found[method])
    theirs = sorted(found, key=lambda method: -published.HTRU2[method][0])
    lines.append("ranking: " + " > ".join(published.NAMES[m] for m in order))
    lines.append("ranking in the paper: " + " > ".join(published.NAMES[m] for m in theirs))
    return lines
