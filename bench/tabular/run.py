"""All results, one after another, each in a process of its own; stored ones are not repeated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from ..child import THREAD_SETTINGS
from ..gpu.runner import environment
from ..versus import Report
from . import tasks
from .journal import Journal, key_of
from .systems import SYSTEMS

WORKER = "fastsnn.bench.tabular.worker"


class Worker:
    """The process of one system, started with the first request."""

    def __init__(self, system: str) -> None:
        self.system = system
        self._process: subprocess.Popen[str] | None = None

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer, or {"error": reason} if the process has died."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", WORKER, self.system], text=True, bufsize=1,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env=environment() | dict.fromkeys(THREAD_SETTINGS, "1"),
            )  # fmt: skip
        process, line = self._process, ""
        try:
            process.stdin.write(json.dumps(request) + "\n")
            line = process.stdout.readline()
        except BrokenPipeError:
            pass
        if line:
            return json.loads(line)
        self.close()
        return {"error": f"the process ended, exit code {process.returncode}"}

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def present(names: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the systems that are installed, and the packages of each that is not."""
    lacking = {name: missing for name in names if (missing := SYSTEMS[name].missing())}
    return [name for name in names if name not in lacking], lacking


def measure(
    tables: Sequence[str], systems: Sequence[str], folds: int, first: int, rows: int | None,
    limit: float, minutes: float, journal: Journal, retry: bool, report: Report,
) -> dict[str, Any]:  # fmt: skip
    """Compute all results that the journal lacks; return all of them.

    first: number of folds to compute. minutes: no result is begun later. retry: repeat results
    that have failed. Fold 1 of every table comes first, so that a run that ends early has results
    for every table.
    """
    until = time.monotonic() + 60 * minutes
    known, skipped = describe(tables, folds, rows, report)
    workers = {name: Worker(name) for name in systems}
    try:
        for fold in range(1, min(first, folds) + 1):
            for table in [name for name, about in known.items() if fold <= about["folds"]]:
                for name, worker in workers.items():
                    request = {"table": table, "system": name, "fold": fold,
                               "folds": folds, "rows": rows}  # fmt: skip
                    if time.monotonic() < until:
                        _one(worker, request, limit, journal, retry, report)
    finally:
        for worker in workers.values():
            worker.close()
    wanted = {(table, name) for table in known for name in systems}
    records = [
        record for record in journal.read().values()
        if (record["table"], record["system"]) in wanted
        and (record["folds"], record["rows"]) == (folds, rows)
    ]  # fmt: skip
    return {
        "what": "tables", "folds": folds, "rows": rows, "limit_s": limit,
        "systems": {name: SYSTEMS[name].title for name in systems}, "tables": known,
        "left_out": skipped, "results": records,
    }  # fmt: skip


def _one(worker, request, limit, journal, retry, report) -> None:
    with journal.claimed(key_of(request)) as free:
        stored = journal.read().get(key_of(request))
        if not free or (stored is not None and not (retry and "error" in stored)):
            return
        report(f"{request['table']}, fold {request['fold']}: {worker.system}")
        found = worker.ask(request | {"limit": limit})
        if "error" in found:
            report(f"{worker.system}: {found['error']}")
        journal.append(request | found)


def describe(
    tables: Sequence[str], folds: int, rows: int | None, report: Report
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the size of each task, and the reason for each that cannot be read."""
    known, skipped = {}, {}
    for name in tables:
        try:
            task = tasks.load(name, folds, rows)
        except (RuntimeError, ValueError) as error:
            skipped[name] = str(error).replace(os.environ.get("FASTSNN_DATA") or "\0", "")
            report(f"{name} is left out: {error}")
            continue
        known[name] = {
            "task": task.task, "file_rows": task.file_rows, "without_target": task.without_target,
            "rows": sum(map(len, task.folds[0])), "columns": task.x.shape[1],
            "categorical": len(task.categorical), "classes": task.n_classes,
            "folds": len(task.folds),
        }  # fmt: skip
    return known, skipped
