"""Searches: 200 small training runs, one after another and on all processors."""

from __future__ import annotations

import importlib.util
from typing import Any

from fastsnn.search import ModelSelection, search
from fastsnn.search.training import RunTrial

from . import show, versus

SPACE = {
    "layers": [2, 4, 8, 16, 32],
    "width": [32, 64, 96, 128],
    "learning_rate": [0.003, 0.01, 0.03, 0.1, 0.3],
    "dropout": [0.0, 0.05],
}


def measure(workers: int, epochs: int, report: versus.Report) -> list[dict[str, Any]]:
    """Return a row for each executor: one worker, threads, and processes if dask is installed.

    All must find the same results, to the bit. Seconds include the start of the processes. busy:
    processor time divided by the time available to the workers. It also drops when other programs
    use the processors.
    """
    protocol = ModelSelection(epochs=epochs)
    trial = RunTrial({"epochs": epochs, "validation": protocol.validation}, protocol)
    ways = [("one worker", 1, None), (f"{workers} threads", workers, None)]
    if importlib.util.find_spec("distributed"):
        ways.append((f"{workers} processes", workers, "local"))
    search(trial, {name: values[:1] for name, values in SPACE.items()})  # compile, load data
    rows, results = [], []
    for name, count, dask in ways:
        report(name)
        found = search(trial, SPACE, protocol=protocol, workers=count, dask=dask)
        results.append(found.trials)
        rows.append(
            {"workers": name, "trials": len(found.trials), "seconds": found.seconds,
             "busy": found.busy, "best": found.best.score}
        )  # fmt: skip
    if any(trials != results[0] for trials in results):
        raise RuntimeError("bench search: results differ between workers")
    for row in rows:
        row["speedup"] = rows[0]["seconds"] / row["seconds"]
    return rows


def table(rows: list[dict[str, Any]]) -> list[list[str]]:
    lines = [["workers", "trials", "time", "busy", "speed-up"]]
    for row in rows:
        lines.append(
            [row["workers"], str(row["trials"]), show.duration(row["seconds"]),
             show.percent(row["busy"]), f"{row['speedup']:.2f}"]
        )  # fmt: skip
    return lines
