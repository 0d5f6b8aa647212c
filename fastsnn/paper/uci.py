"""121 UCI data sets: seven methods on the published folds, ranks and paired tests."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from math import isnan, nan
from typing import Any

import numpy as np

from fastsnn.data import uci
from fastsnn.data.dataset import Split
from fastsnn.data.folds import Folds
from fastsnn.data.ucinames import SHAPES
from fastsnn.engine.locks import Lock
from fastsnn.methods import METHODS
from fastsnn.paper import published, references, statistics
from fastsnn.paper.budgets import Grid, left_out
from fastsnn.paper.estimate import Speed
from fastsnn.paper.study import Outcome, Study, Unit
from fastsnn.paper.training import Task, accuracy, train
from fastsnn.search import ModelSelection
from fastsnn.search import grid as combinations
from fastsnn.search.workers import Report, TrialFunction

FOLDS = (1, 2, 3, 4)
_loading = Lock()


def sets(chosen: Sequence[str] | None, max_rows: int | None) -> list[str]:
    """Return the names of the data sets to run: those on this machine, or a selection of them."""
    there = uci.names()
    found = list(chosen or there)
    for name in found:
        if name not in there:
            uci.load(name)  # raises with the reason
    small = [name for name in found if SHAPES[name].rows <= (max_rows or np.inf)]
    if not small:
        raise ValueError(f"--max-rows {max_rows}: all {len(found)} data sets have more rows")
    return small


def parts(name: str, fold: int) -> tuple[Split, Split, Split]:
    """Return (training, validation, test) rows, standardized."""
    with _loading:  # the first thread loads, the others use its result
        return _folds(name).parts(fold)


@functools.cache
def _folds(name: str) -> Folds:
    return uci.load(name)


def trial(grid: Grid, protocol: ModelSelection) -> TrialFunction:
    """Return the trial function of the search; its options name data set, fold and method."""

    def run(options: Mapping[str, Any], report: Report) -> dict[str, Any]:
        data = parts(options["set"], options["fold"])
        if options["method"] in references.CLASSIFIERS:
            return references.classify(options, data)
        task = Task("softmax_cross_entropy", SHAPES[options["set"]].classes, accuracy)
        return train(options, data, task, protocol, grid, report)

    return run


def units(
    names: Sequence[str], methods: Sequence[str], grid: Grid, seeds: Sequence[int]
) -> list[Unit]:
    """Return one unit per data set and method."""
    found = []
    for name in names:
        for method in methods:
            known = method in METHODS
            space = grid.space(method) if known else references.CLASSIFIERS[method]
            configurations = combinations(space) if space else [{}]
            key = {"set": name, "method": method}
            found.append(
                Unit(key, configurations, FOLDS, grid.select_folds, tuple(seeds) if known else (0,))
            )
    return found


def cost(grid: Grid, speed: Speed) -> Callable[[dict[str, Any]], float]:
    """Return the cost of a trial: its estimated seconds on one thread."""

    def seconds(options: Mapping[str, Any]) -> float:
        shape = SHAPES[options["set"]]
        # 25 % of the rows are test rows, 15 % of the others validation rows.
        rows, judged = round(0.64 * shape.rows), round(0.11 * shape.rows)
        if options["method"] in references.CLASSIFIERS:
            return references.seconds(options, rows, shape.features)
        return speed.seconds(options, shape.features, shape.classes, rows, judged, grid)

    return seconds


def study(grid: Grid, speed: Speed, **more: Any) -> Study:
    """Return the study, which selects by the validation accuracy.

    more: further arguments of `Study`.
    """
    protocol = ModelSelection(epochs=grid.epochs)
    about = {
        "experiment": "uci", "rows_per_epoch": grid.rows_per_epoch, "batch": grid.batch,
        "validation_rows": grid.validation_rows,
    }  # fmt: skip
    return Study(trial(grid, protocol), protocol, cost(grid, speed), about, **more)


def summary(
    outcomes: Sequence[Outcome], methods: Sequence[str], grid: Grid, chosen: Sequence[str]
) -> dict[str, Any]:
    """Return the stored result: a row per data set and method, and comparisons with the paper."""
    paper = published.uci_accuracies()
    rows = []
    for outcome in outcomes:
        name, method = outcome.unit.key["set"], outcome.unit.key["method"]
        tests = outcome.tests()
        rows.append(
            {"set": name, "rows": SHAPES[name].rows, "method": method,
             "accuracy": float(np.mean(tests)) if tests else nan,
             "paper": paper[name].get(method, nan), "folds": tests,
             "chosen": next(iter(outcome.chosen.values()), None),
             "diverged": sum(t.error is not None for t in outcome.trials),
             "seconds": round(outcome.seconds, 1)}
        )  # fmt: skip
    known = [m for m in METHODS if m in methods]
    means, ranks = compared(rows, methods), ranked(rows, known) if len(known) > 1 else []
    return {
        "methods": means, "ranks": ranks, "statements": statements(means, ranks),
        "sets": len(chosen), "missing": sorted(SHAPES.keys() - set(uci.names())),
        "not_run": sorted(set(uci.names()) - set(chosen)),
        "left_out": left_out("uci", grid, tuple(known)), "rows": rows,
    }  # fmt: skip


def flat(rows: Sequence[dict[str, Any]], methods: Sequence[str]) -> list[dict[str, Any]]:
    """Return one row per data set: for each method, the accuracy here and in the paper."""
    found = {(row["set"], row["method"]): row for row in rows}
    lines = []
    for name in dict.fromkeys(row["set"] for row in rows):
        line = {"set": name, "rows": SHAPES[name].rows}
        for method in methods:
            row = found[name, method]
            line[method] = _rounded(row["accuracy"])
            if method in METHODS:
                line[f"paper_{method}"] = _rounded(row["paper"])
        lines.append(line)
    return lines


def _rounded(value: float | None) -> str:
    return "" if value is None or isnan(value) else f"{value:.4f}"


def table_of(
    rows: Sequence[dict[str, Any]], methods: Sequence[str], figure: str
) -> tuple[list[str], np.ndarray]:
    """Return (sets, values (sets, methods)) of the data sets with a figure for every method."""
    found = {(row["set"], row["method"]): row[figure] for row in rows}
    names = list(dict.fromkeys(row["set"] for row in rows))
    values = {name: [found.get((name, m)) for m in methods] for name in names}
    whole = {n: v for n, v in values.items() if all(x is not None and x == x for x in v)}
    return list(whole), np.array(list(whole.values()), np.float64).reshape(len(whole), len(methods))


def compared(rows: Sequence[dict[str, Any]], methods: Sequence[str]) -> list[dict[str, Any]]:
    """Return the mean accuracy of each method, and the paper's mean over the same data sets."""
    found = []
    for method in methods:
        own = [row for row in rows if row["method"] == method and not isnan(row["accuracy"])]
        both = [row for row in own if not isnan(row["paper"])]
        depths = [row["chosen"]["layers"] for row in own if "layers" in (row["chosen"] or {})]
        ours, theirs = (_mean([row[name] for row in both]) for name in ("accuracy", "paper"))
        found.append(
            {"method": method, "sets": len(both) or len(own),
             "accuracy": ours if both else _mean([row["accuracy"] for row in own]),
             "paper": theirs, "difference": ours - theirs, "layers": _mean(depths),
             "paper_layers": published.UCI_DEPTH.get(method, nan)}
        )  # fmt: skip
    return found


def ranked(rows: Sequence[dict[str, Any]], methods: Sequence[str]) -> list[dict[str, Any]]:
    """Return one row per method: average rank difference and p against the SNN.

    Each is given for this run, for the paper's accuracies on the same data sets, and as published
    for all 121.
    """
    names, ours = table_of(rows, methods, "accuracy")
    same, theirs = table_of([row for row in rows if row["set"] in names], methods, "paper")
    found = []
    differences = [statistics.rank_differences(v) if len(v) else None for v in (ours, theirs)]
    snn = methods.index("snn") if "snn" in methods else None
    for j, method in enumerate(methods):
        row = {"method": method, "sets": len(names)}
        row |= {
            name: nan if d is None else float(d[j])
            for name, d in zip(("difference", "paper_same_sets"), differences, strict=True)
        }
        row["published"] = published.UCI_RANKS[method]
        tested = snn is not None and j != snn
        row["p"] = statistics.wilcoxon(ours[:, snn], ours[:, j]) if tested else nan
        row["paper_p_same_sets"] = (
            statistics.wilcoxon(theirs[:, snn], theirs[:, j]) if tested else nan
        )
        row["published_p"] = published.UCI_P.get(method, nan)
        found.append(row)
    return found


def statements(means: Sequence[dict[str, Any]], ranks: Sequence[dict[str, Any]]) -> list[str]:
    """Return lines that compare the table with the claims of the paper."""
    lines = []
    for row in means:
        if row["method"] == "snn" and not isnan(row["difference"]):
            far = row["difference"] < -0.01
            lines.append(
                f"SNN: mean accuracy {row['accuracy']:.4f}, in the paper {row['paper']:.4f} over "
                f"the same {row['sets']} data sets: {'MORE THAN' if far else 'at most'} 0.01 below"
            )
    for words, figure in (("ranking", "difference"), ("ranking in the paper", "published")):
        order = sorted((row for row in ranks if not isnan(row[figure])), key=lambda r: r[figure])
        if order:
            names = [published.NAMES[row["method"]] for row in order]
            lines.append(f"{words}: {' > '.join(names)}")
    return lines


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else nan
