"""The command ``fastsnn search``: run a search and return the best trial and its command line."""

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
SHOWN = 10  # number of trials in the table


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
    """Search over options of `RunConfig`, and report the best trial.

    Parameters
    ----------
    fixed : dict
        Options of `RunConfig` that all trials share.
    space : dict
        Searched options: name -> list of values, or `Range`.
    metric : str, optional
        Validation metric to optimize; by default the main metric of the loss.
    out : str or path, optional
        Folder of the search; by default the next free runs/DATA-N.
    report : callable
        Called with each line of text about the search.
    download : callable, optional
        Progress callback of a download, see `fastsnn.data.load`.
    sampler, trials, workers, dask, resume, progress
        As in `fastsnn.search.search`.

    Returns
    -------
    dict
        "best": record of the best trial; "command": command line that trains it; "table": records
        of the SHOWN best trials; "data", "metric", "trials", "diverged", "seconds", "busy" and
        "folder" describe the search.

    Raises
    ------
    ValueError
        The space is empty, an option is both fixed and searched or not searchable, a combination is
        invalid, or the metric does not exist for the task.
    RuntimeError
        As in `fastsnn.search.search`.
    """
    if not space:
        raise ValueError(
            "search: at least one option to search over is required, got none; add for example "
            "--grid layers=2,4,8"
        )
    base = ModelSelection()
    both = sorted(fixed.keys() & space.keys())
    if both:
        raise ValueError(f"search: {both[0]} must be either fixed or searched, got both; omit one")
    fixed = {"data": RunConfig.data, "epochs": base.epochs, "validation": base.validation, **fixed}
    config = RunConfig(**fixed).absolute()
    fixed["data"] = config.data
    _require_usable(fixed, space, sampler)
    dataset = load(config, download)
    if metric is not None:
        metrics.require(metric, dataset.task)
    protocol = replace(
        base, epochs=cast(int, config.epochs), validation=config.validation, maximize=None,
        metric=metric or metrics.main_of(config.made_loss(dataset.task)),
    )  # fmt: skip
    cpu.load_kernels(1, report=report)
    folder = Path(out or RunFolder.create(None, Path(config.data).name.split(".")[0]).path)
    report(
        f"{Path(config.data).name}: {dataset.task}, rows: {len(dataset.train):,} train, "
        f"{len(held_back(dataset)):,} validation"
        f"{f' ({dataset.found})' if dataset.found else ''}; output in {folder}"
    )
    for note in () if dataset.recipe is None else dataset.recipe.notes:
        report(f"note: {note}")
    try:
        found = search(
            RunTrial(fixed, protocol), space, protocol=protocol, workers=workers, folder=folder,
            resume=resume, sampler=sampler, trials=trials, seed=config.seed, dask=dask,
            cost=lambda options: spaces.cost({**_sizes(config), **options}),
            about={**fixed, "rows": _digest(dataset)}, progress=progress,
        )  # fmt: skip
    except Exception:
        if out is None and not any(folder.iterdir()):  # the search did not start
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
        "command": command_line({**fixed, **best.options, "metric": metric}),
        "best": best.record(),
        "table": [trial.record() for trial in found.ranked[:SHOWN]],
    }


def command_line(options: Mapping[str, Any]) -> str:
    """Return the command line of ``fastsnn train`` with these options of `RunConfig`."""
    words = ["fastsnn", "train"]
    for name, value in options.items():
        if isinstance(value, bool):
            words.append(f"--{'' if value else 'no-'}{name.replace('_', '-')}")
        elif value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)


def _require_usable(fixed: Mapping[str, Any], space: spaces.Space, sampler: str) -> None:
    """Raise ValueError unless all searched options are searchable and all combinations valid.

    For samplers other than "grid", each value is validated individually.
    """
    for name in space:
        if name not in SEARCHED:
            raise ValueError(
                f"search: a searched option must be one of {', '.join(SEARCHED)}; got {name!r}"
            )
    if sampler == "grid":
        for options in spaces.grid(space):
            RunConfig(**{**fixed, **options})
        return
    for name, values in space.items():
        for value in (values.low, values.high) if isinstance(values, spaces.Range) else values:
            RunConfig(**{**fixed, name: value})


def _sizes(config: RunConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in ("layers", "width", "epochs")}


def _digest(dataset: Dataset) -> str:
    """Return a digest of the data: statistics of the inputs, and the targets."""
    digest = hashlib.sha256()
    for array in (dataset.inputs.mean, dataset.inputs.scale, dataset.train.y, held_back(dataset).y):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
