"""The command `fastsnn search`: from options to the winner and the command that trains it."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from fastsnn import metrics
from fastsnn.data import Progress
from fastsnn.data.dataset import Dataset
from fastsnn.engine import cpu
from fastsnn.runs.config import ROWS, RunConfig
from fastsnn.runs.folder import RunFolder
from fastsnn.search import space as spaces
from fastsnn.search.loop import Status, search
from fastsnn.search.protocol import ModelSelection
from fastsnn.search.training import RunTrial, held_back, load

SEARCHED = tuple(name for name, row in ROWS.items() if row.search == "tried")
SHOWN = 10  # trials of the table


def search_runs(
    fixed: Mapping[str, Any],
    space: spaces.Space,
    *,
    metric: str | None = None,
    sampler: str = "grid",
    trials: int | None = None,
    workers: int | None = None,
    dask: str | None = None,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    report: Callable[[str], None] = print,
    progress: Callable[[Status], None] | None = None,
    download: Progress | None = None,
) -> dict[str, Any]:
    """Train by all options of the space beside the `fixed` ones of `RunConfig`, and report the
    best.

    metric: by default the main figure of the task. The other parameters are those of
    `fastsnn.search.search`; out: its folder, by default the next free runs/DATA-N.

    Returns
    -------
    dict
        "best": the winner's record; "command": the line that trains it; "table": the SHOWN best
        trials' records; and how the search went.
    """
    if not space:
        raise ValueError(
            "search: at least one option to search over is required, got none; add for example "
            "--grid layers=2,4,8"
        )
    base = ModelSelection()
    both = sorted(fixed.keys() & space.keys())
    if both:
        raise ValueError(
            f"search: {both[0]} must be either fixed or searched, got both; leave one out"
        )
    fixed = {"data": RunConfig.data, "epochs": base.epochs, "validation": base.validation, **fixed}
    config = RunConfig(**fixed).absolute()
    fixed["data"] = config.data
    _require_usable(fixed, space, sampler)
    dataset = load(config, download)
    protocol = replace(
        base, epochs=cast(int, config.epochs), validation=config.validation, maximize=None,
        metric=metric or metrics.main_of(config.made_loss(dataset.task)),
    )  # fmt: skip
    _require_measured(dataset, protocol.metric)
    cpu.load_kernels(1, report=report)
    folder = Path(out or RunFolder.create(None, Path(config.data).name.split(".")[0]).path)
    report(
        f"{Path(config.data).name}: {dataset.task}, rows: {len(dataset.train):,} train, "
        f"{len(held_back(dataset)):,} validation"
        f"{f' ({dataset.found})' if dataset.found else ''}; into {folder}"
    )
    try:
        found = search(
            RunTrial(fixed, protocol), space, protocol=protocol, workers=workers, folder=folder,
            resume=resume, sampler=sampler, trials=trials, seed=config.seed, dask=dask,
            cost=lambda options: spaces.cost({**_sizes(config), **options}),
            about={**fixed, "rows": _digest(dataset)}, progress=progress,
        )  # fmt: skip
    except Exception:
        if out is None and not any(folder.iterdir()):  # the search did not begin
            folder.rmdir()
        raise
    best = found.best
    return {
        "data": config.data,
        "metric": protocol.metric,
        "trials": len(found.trials),
        "diverged": sum(trial.error is not None for trial in found.trials),
        "seconds": found.seconds,
        "busy": found.busy,
        "folder": str(folder),
        "command": command_line({**fixed, **best.options}),
        "best": best.record(),
        "table": [trial.record() for trial in found.ranked[:SHOWN]],
    }


def command_line(options: Mapping[str, Any]) -> str:
    """`fastsnn train` with these options of `RunConfig`."""
    words = ["fastsnn", "train"]
    for name, value in options.items():
        if isinstance(value, bool):
            words.append(f"--{'' if value else 'no-'}{name.replace('_', '-')}")
        elif value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)


def _require_usable(fixed: Mapping[str, Any], space: spaces.Space, sampler: str) -> None:
    """Before anything is trained: no option twice, and each combination is one of `RunConfig`."""
    for name in space:
        if name not in SEARCHED:
            raise ValueError(f"search: must be over some of {', '.join(SEARCHED)}; got {name!r}")
    if sampler == "grid":
        for options in spaces.grid(space):
            RunConfig(**{**fixed, **options})
        return
    for name, values in space.items():
        for value in (values.low, values.high) if isinstance(values, spaces.Range) else values:
            RunConfig(**{**fixed, name: value})


def _require_measured(dataset: Dataset, metric: str) -> None:
    held = held_back(dataset)
    constant = np.zeros((len(held), dataset.n_outputs), np.float32)
    known = metrics.evaluate(dataset.task, constant, held.y)
    if metric not in known:
        raise ValueError(
            f"metric: must be one of {', '.join(known)} for {dataset.task}, got {metric!r}"
        )


def _sizes(config: RunConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in ("layers", "width", "epochs")}


def _digest(dataset: Dataset) -> str:
    """Digest of the data: statistics of the inputs, and the labels."""
    digest = hashlib.sha256()
    for array in (dataset.inputs.mean, dataset.inputs.scale, dataset.train.y, held_back(dataset).y):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
