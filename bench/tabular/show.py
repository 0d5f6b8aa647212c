"""Means, ranks and seconds of the stored results, as rows of text."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

Records = list[dict[str, Any]]
METRICS = {  # of a result: title, larger is better
    "accuracy": ("accuracy", True), "log_loss": ("log loss", False), "auc": ("AUC", True),
    "rmse": ("RMSE", False), "r2": ("R2", True),
}  # fmt: skip
MAIN = {"classification": "accuracy", "regression": "rmse"}  # the metric that is ranked


def summary(found: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of the tables: for each task and system, means over the folds.

    A mean is over those folds that all systems have finished. A system that failed in one of its
    folds has no mean, its reason instead, and the last rank.
    """
    records: dict[tuple[str, str], Records] = {}
    for record in found["results"]:
        records.setdefault((record["table"], record["system"]), []).append(record)
    tables = {}
    for table, about in found["tables"].items():
        cells = {
            name: cell(records.get((table, name), []), about["folds"]) for name in found["systems"]
        }
        good = [name for name, one in cells.items() if one["folds"]]
        if not all(one["folds"] or one["error"] for one in cells.values()):
            continue  # a system has no result yet
        folds = set.intersection(*(cells[name]["folds"] for name in good)) if good else set()
        if not folds:
            continue
        figures = {name: means(records[table, name], folds) for name in good}
        metric = MAIN[about["task"]]
        values = {name: figures[name][metric] for name in good}
        places = ranks(values, METRICS[metric][1])
        tables[table] = {
            "metric": metric, "folds": len(folds), "figures": figures,
            "errors": {name: one["error"] for name, one in cells.items() if one["error"]},
            "ranks": {name: places.get(name, _last(len(good), len(cells))) for name in cells},
        }  # fmt: skip
    return tables


def cell(records: Records, folds: int) -> dict[str, Any]:
    """Return the folds that are finished, or none and the reason of the first failure."""
    errors = [record["error"] for record in records if "error" in record]
    done = set() if errors else {record["fold"] for record in records}
    return {"folds": {fold for fold in done if fold <= folds}, "error": (errors or [None])[0]}


def means(records: Records, folds: set[int]) -> dict[str, float]:
    """Return the mean of each metric and of the seconds over these folds."""
    chosen = [record for record in records if record["fold"] in folds]
    names = set.intersection(*(set(record["metrics"]) for record in chosen))
    found = {name: statistics.fmean(r["metrics"][name] for r in chosen) for name in sorted(names)}
    for name in ("fit_s", "fit_cpu_s", "predict_s", "predict_cpu_s"):
        found[name] = statistics.fmean(record[name] for record in chosen)
    return found


def ranks(values: dict[str, float], larger: bool) -> dict[str, float]:
    """Return ranks from 1, the best; equal values share the mean of their ranks."""
    found = {}
    for name, value in values.items():
        better = sum((other > value) == larger and other != value for other in values.values())
        found[name] = better + (sum(other == value for other in values.values()) + 1) / 2
    return found


def _last(good: int, n: int) -> float:
    return (good + 1 + n) / 2  # mean of the ranks that no other system has


def groups(tables: dict[str, Any]) -> dict[str, list[str]]:
    """Return the names of the raw tables and of the UCI tasks that have results."""
    found = {"tables": [name for name in tables if not name.startswith("uci/")],
             "UCI": [name for name in tables if name.startswith("uci/")]}  # fmt: skip
    return {title: names for title, names in found.items() if names}


def overview(found: dict[str, Any], names: Sequence[str]) -> list[list[str]]:
    """Return a line for each system: mean rank and seconds, over tasks; best rank first."""
    tables = summary(found)
    several = {tables[name]["metric"] for name in names}
    accuracy = several == {"accuracy"}
    head = ["system", "mean rank", *(["mean accuracy", "mean log loss"] if accuracy else []),
            "CPU s to fit: median", "mean", "CPU s to predict: median", "failed"]  # fmt: skip
    lines = []
    for system, title in found["systems"].items():
        cells = [tables[name]["figures"].get(system) for name in names]
        good = [one for one in cells if one]
        rank = statistics.fmean(tables[name]["ranks"][system] for name in names)
        line = [title, f"{rank:.2f}"]
        if accuracy:
            line += [_mean(good, "accuracy", len(names)), _mean(good, "log_loss", len(names))]
        fit = [one["fit_cpu_s"] for one in good] or [float("nan")]
        predict = [one["predict_cpu_s"] for one in good] or [float("nan")]
        line += [f"{statistics.median(fit):.2f}", f"{statistics.fmean(fit):.2f}"]
        line += [f"{statistics.median(predict):.3f}", str(len(names) - len(good))]
        lines.append((rank, line))
    return [head, *(line for _, line in sorted(lines, key=lambda pair: pair[0]))]


def _mean(figures: list[dict[str, float]], name: str, n: int) -> str:
    values = [one[name] for one in figures if name in one]
    return f"{statistics.fmean(values):.4f}" if len(values) == n else "-"


def details(found: dict[str, Any], names: Sequence[str], metric: str) -> list[list[str]]:
    """Return a line for each task that has the metric, a column for each system."""
    tables = summary(found)
    rows = [[METRICS[metric][0], *found["systems"].values()]]
    for name in names:
        figures = tables[name]["figures"]
        if any(metric in one for one in figures.values()):
            values = [
                "failed" if system in tables[name]["errors"]
                else _four(one[metric]) if metric in (one := figures[system]) else "-"
                for system in found["systems"]
            ]  # fmt: skip
            rows.append([name.removeprefix("uci/"), *values])
    return rows


def _four(value: float) -> str:
    return f"{value:,.0f}" if value >= 1e4 else f"{value:.4g}"


def seconds(found: dict[str, Any], names: Sequence[str]) -> list[list[str]]:
    """Return the CPU seconds to fit: a line for each task, a column for each system."""
    tables = summary(found)
    rows = [["CPU s to fit", *found["systems"].values()]]
    for name in names:
        figures = tables[name]["figures"]
        values = [
            f"{figures[system]['fit_cpu_s']:.3g}" if system in figures else "failed"
            for system in found["systems"]
        ]
        rows.append([name.removeprefix("uci/"), *values])
    return rows


def blocks(found: dict[str, Any]) -> list[tuple[str, list[list[str]]]]:
    """Return all tables with their titles."""
    tables = summary(found)
    made = []
    for title, names in groups(tables).items():
        of = f"{len(names)} {'raw tables' if title == 'tables' else 'UCI tasks'}"
        made.append((f"Over {of}", overview(found, names)))
    raw = groups(tables).get("tables", [])
    for metric in METRICS:
        rows = details(found, raw, metric)
        if len(rows) > 1:
            title = METRICS[metric][0]
            made.append((f"{title[0].upper()}{title[1:]} on the raw tables", rows))
    if raw:
        made.append(("CPU seconds to fit, raw tables", seconds(found, raw)))
    if names := groups(tables).get("UCI"):
        made.append(("Accuracy on the UCI tasks", details(found, names, "accuracy")))
    return made


def verdicts(found: dict[str, Any], ours: str = "fastsnn") -> list[str]:
    """Return a sentence per group of tasks: on how many `ours` ranks first, and on how many each
    other system ranks above it.
    """
    tables, lines = summary(found), []
    if ours not in found["systems"]:
        return lines
    for title, names in groups(tables).items():
        counts = {}
        for system in found["systems"]:
            if system != ours:
                ranked = [(tables[n]["ranks"][system], tables[n]["ranks"][ours]) for n in names]
                counts[system] = sum(theirs < own for theirs, own in ranked)
        first = sum(tables[name]["ranks"][ours] == 1 for name in names)
        kind = "raw tables" if title == "tables" else "UCI tasks"
        above = ", ".join(
            f"{found['systems'][system]} on {count}" for system, count in
            sorted(counts.items(), key=lambda pair: -pair[1])
        )  # fmt: skip
        lines.append(
            f"{found['systems'][ours]} ranks first on {first} of {len(names)} {kind}. Ranked above "
            f"it: {above}."
        )
    return lines


def notes(found: dict[str, Any]) -> list[str]:
    """Return notes about subsamples, unfinished folds, failures, and systems left out."""
    tables, lines = summary(found), []
    reduced = [
        f"{name} ({about['file_rows'] - about['without_target']:,})"
        for name, about in found["tables"].items()
        if about["rows"] < about["file_rows"] - about["without_target"]
    ]
    if reduced:
        lines.append(
            f"Random subsamples of {found['rows']:,} rows of: {', '.join(reduced)}; in parentheses "
            "the rows with a target."
        )
    some = {n: t["folds"] for n, t in tables.items() if t["folds"] < found["tables"][n]["folds"]}
    if some:
        folds = ", ".join(f"{name} {count}" for name, count in some.items())
        lines.append(f"Fewer than {found['folds']} folds finished: {folds}.")
    errors: dict[tuple[str, str], str] = {}
    for record in found["results"]:
        if "error" in record:
            errors.setdefault((record["table"], record["system"]), record["error"])
    lines += [
        f"{found['systems'][system]} failed on {name}: {error}"
        for (name, system), error in errors.items()
    ]
    left = [name for name in found["tables"] if name not in tables]
    if left:
        lines.append(f"Without a result of every system, not shown: {', '.join(left)}.")
    lines += [f"{name} is left out: {reason}" for name, reason in found["left_out"].items()]
    lines += [
        f"{name} is not installed (pip install {packages}) and left out."
        for name, packages in found.get("missing", {}).items()
    ]
    return lines
