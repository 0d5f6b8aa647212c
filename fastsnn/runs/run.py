"""Training runs: from options to a run folder with the best model, resumable after a kill."""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from threading import Thread
from typing import Any

import numpy as np

from fastsnn import checkpoint, data, methods, metrics, schedules
from fastsnn.data import is_named
from fastsnn.data.rawtable import TYPED
from fastsnn.engine import backends, cpu
from fastsnn.engine import threads as processors
from fastsnn.model import Model
from fastsnn.runs import inference, linear
from fastsnn.runs.config import RunConfig
from fastsnn.runs.console import count
from fastsnn.runs.folder import RunFolder
from fastsnn.runs.independent import settled
from fastsnn.runs.keeper import Keeper
from fastsnn.runs.slow import SlowEpochs
from fastsnn.runs.stored import load_run
from fastsnn.storage import files
from fastsnn.trainer import Trainer

log = logging.getLogger("fastsnn")
Report = Callable[[str], None]

OFFSET = 1e4  # standard deviations; with a larger mean, float32 data keep fewer than 3 digits
LOST = (
    "note: this run was started by version 0.1, which rounds data to float32 before "
    f"standardization; a mean is more than {OFFSET:g} standard deviations from 0, so digits are "
    "lost; start a new run"
)


def run(
    config: RunConfig,
    out: str | os.PathLike[str] | None = None,
    report: Report = log.info,
    callbacks: Iterable[object] = (),
    progress: data.Progress | None = None,
) -> dict[str, Any]:
    """Train with the options `config` and write the run to a folder.

    Parameters
    ----------
    out : run folder; by default the next free runs/DATA-N.
    report : function of one line of text, called with notes and warnings.
    callbacks : further callbacks for `Trainer.fit`.
    progress : callback for downloads, see `fastsnn.data.load`.

    Returns
    -------
    dict
        The main options and sizes, and the metrics of the best epoch: "train_NAME",
        "validation_NAME", and "test_NAME" if there is a test set. "seconds" is the duration of this
        call.

    Raises
    ------
    ValueError, TypeError
        Options or data are not usable, or `out` already contains a run.
    RuntimeError
        Files cannot be written.
    FloatingPointError
        The training diverged.
    """
    start = time.perf_counter()
    if out is not None:
        RunFolder(out).require_none()
    config = config.absolute()
    dataset = _load(config, progress)
    config = settled(config, dataset)
    model, trainer, _ = build(config, dataset)
    folder = RunFolder.create(out, Path(config.data).name.split(".")[0])
    with folder.locked():
        folder.require_none()
        try:
            checkpoint.save_training(folder.last, model, trainer, [], config.to_dict())
            files.replace(folder.config, config.to_toml())
            return _finish(folder, config, dataset, model, trainer, [], report, callbacks, start)
        except Exception:
            folder.discard_without_model()  # only if no epoch was finished
            raise


def build(config: RunConfig, dataset: data.Dataset) -> tuple[Model, Trainer, schedules.Schedule]:
    """Return (model, trainer, schedule) for settled options, before the first step."""
    assert config.layers is not None and config.dropout is not None  # they are settled
    network = methods.network(
        config.method, dataset.n_features, dataset.n_outputs, config.layers, config.width,
        config.dropout, config.shape, config.bottleneck, config.seed,
    )  # fmt: skip
    model = Model.of(network, dataset)
    return model, _trainer(config, model), _schedule(config, dataset)


def resume(
    out: str | os.PathLike[str],
    report: Report = log.info,
    callbacks: Iterable[object] = (),
    progress: data.Progress | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Continue the run in folder `out` with its stored options; return what `run` returns.

    The result is bit-identical to that of an uninterrupted run. `options` must repeat the stored
    ones, except for those that `RunConfig.changed` allows. Raises as `run` does, and ValueError if
    the folder contains no run or if the data have changed.
    """
    start = time.perf_counter()
    folder = RunFolder(out)
    if not folder.holds_run():
        raise ValueError(
            f"{out}: this folder contains no run to resume; start one without --resume"
        )
    with folder.locked():
        if not folder.last.exists():
            raise ValueError(
                f"{folder.last}: this file is required to resume, but is missing; start another run"
            )
        model, state, history, config = load_run(folder.last)
        config = config.changed(options, len(history), f"{out}")
        # A run of version 0.1 continues with data in float32, bit-identically to that version.
        scaled = model.targets or model.inputs
        assert scaled is not None  # every model of a run has input statistics
        dtype = scaled.mean.dtype.type
        raw = model.recipe is not None
        dataset = _load(_as_trained(config, model), progress, dtype, model.class_names, raw)
        _require_same(dataset, model, config, history)
        if _loses(model):
            report(LOST)
        trainer = _trainer(config, model)
        trainer.load_state_dict(*state)
        files.replace(folder.config, config.to_toml())
        if history:
            folder.write_metrics(history)
        report(f"resuming {out} after epoch {len(history)} of {config.epochs}")
        return _finish(folder, config, dataset, model, trainer, history, report, callbacks, start)


def _finish(
    folder: RunFolder,
    config: RunConfig,
    dataset: data.Dataset,
    model: Model,
    trainer: Trainer,
    history: list[dict[str, Any]],
    report: Report,
    callbacks: Iterable[object],
    start: float,
) -> dict[str, Any]:
    report(_describe(config, dataset, model, trainer, folder))
    callbacks, schedule = list(callbacks), _schedule(config, dataset)
    keeper = Keeper(folder, config, dataset, model, trainer.threads, [*callbacks, schedule])
    keeper.saved = len(history)
    compile_s = 0.0
    try:
        if not history or not keeper.finished(history):
            compile_s = trainer.load_kernels(report)
            assert config.epochs is not None and config.batch_size is not None  # they are settled
            trainer.fit(
                dataset.train.x, dataset.train.y, config.epochs, config.batch_size,
                callbacks=[keeper, SlowEpochs(report), *callbacks], schedule=schedule,
                history=history,
            )  # fmt: skip
    except FloatingPointError as error:
        kept = "no epoch was finished, so no model was stored"
        if history:
            chosen = keeper.best(history) + 1
            kept = f"the best model, of epoch {chosen}, is stored in {folder.model}"
        raise FloatingPointError(f"{error}; {kept}") from error
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted; the state after epoch {keeper.saved} is stored in {folder.last}; "
            f"continue with: fastsnn train --resume --out {folder.path}"
        ) from None
    result = _result(keeper, trainer, history, compile_s, start)
    for name, reason in metrics.undefined(model.task, keeper.selecting(history)).items():
        report(
            f"warning: {name} is not defined for the validation rows ({reason}); the best epoch "
            "was selected by the validation loss"
        )
    if warning := linear.advice(config, dataset, result):
        report(warning)
    return result


def _result(
    keeper: Keeper,
    trainer: Trainer,
    history: list[dict[str, Any]],
    compile_s: float,
    start: float,
) -> dict[str, Any]:
    folder, config, dataset = keeper.folder, keeper.config, keeper.dataset
    chosen = keeper.best(history)
    folder.require_model()
    model = checkpoint.load_model(folder.model)
    if config.backend == "cuda":
        model.to_device()
    figures = {k: v for k, v in history[chosen].items() if k.startswith(("train_", "validation_"))}
    if dataset.test is not None:
        test = model.judge(dataset.test, trainer.threads, None, keeper.loss, keeper.names)
        figures |= {f"test_{name}": value for name, value in test.items()}
    return {
        "data": config.data,
        **({"note": dataset.note} if dataset.note else {}),
        "task": dataset.task,
        "method": config.method,
        "layers": config.layers,
        "width": config.width,
        "dropout": config.dropout,
        "parameters": model.network.n_parameters,
        "epochs": len(history),
        "best_epoch": chosen + 1,
        **figures,
        "seconds": time.perf_counter() - start,
        "compile_seconds": compile_s,
        "samples_per_second": median(record["samples_per_second"] for record in history),
        "seed": config.seed,
        "threads": trainer.threads,
        "model": str(folder.model),
    }


@contextmanager
def _kernels_meanwhile(config: RunConfig) -> Iterator[None]:
    """Load compiled kernels from the cache in a thread while the data are read.

    Kernels that are not in the cache are compiled later, so that errors in the data are reported
    first.
    """
    threads = processors.resolve(config.threads)
    if config.backend != "cpu" or not cpu.compiled(threads):
        yield
        return
    loader = Thread(target=cpu.load_kernels, args=(threads,))
    loader.start()
    try:
        yield
    finally:
        loader.join()


def _as_trained(config: RunConfig, model: Model) -> RunConfig:
    """Return the options with which to read the data again.

    A resumed run keeps its task and its reading of line 1, even if this version detects them
    differently.
    """
    if is_named(config.data):
        return config
    header: bool | None = model.feature_names is not None
    if model.recipe is not None and config.header is None:
        header = inference.is_named_by_header(model.recipe)
    if config.data.lower().endswith((".npz", *TYPED)):
        header = None
    return dataclasses.replace(config, task=model.task, header=header)


def _load(
    config: RunConfig,
    progress: data.Progress | None,
    dtype: type = np.float64,
    class_names: Sequence[str] | None = None,
    raw: bool | None = None,
) -> data.Dataset:
    """Return the data of a run. raw: as in `data.load`."""
    backends.require(config.backend)
    with _kernels_meanwhile(config):
        dataset = data.load(
            config.data, **config.loading(), progress=progress, keep_bytes=True, dtype=dtype,
            class_names=None if is_named(config.data) else class_names,
            raw=None if is_named(config.data) else raw,
        )  # fmt: skip
    config.require_metric(dataset.task)
    for name, needs in (("patience", "early stopping"), ("metric", "selecting the best epoch")):
        if getattr(config, name) and dataset.validation is None:
            raise ValueError(
                f"{name}: {needs} requires validation data, got {name} {getattr(config, name)} "
                "and no validation data; give a --validation above 0"
            )
    return dataset


def _trainer(config: RunConfig, model: Model) -> Trainer:
    return Trainer(
        model.network, config.made_loss(model.task), config.made_optimizer(), config.threads,
        config.seed, config.backend, precision=config.precision,
    )  # fmt: skip


def _schedule(config: RunConfig, dataset: data.Dataset) -> schedules.Schedule:
    if config.schedule == "plateau" and dataset.validation is None:
        return schedules.ReduceOnPlateau(monitor="train_loss")
    return schedules.SCHEDULES[config.schedule]()


def _loses(model: Model) -> bool:
    """Return True if a run of version 0.1 lost most digits of its data by rounding to float32.

    Bytes, whose means are below 256, are exact.
    """
    parts = [part for part in (model.inputs, model.targets) if part is not None]
    return any(
        part.mean.dtype == np.float32
        and (np.abs(part.mean) > np.maximum(OFFSET * part.scale, 256)).any()
        for part in parts
    )


def _require_same(
    dataset: data.Dataset, model: Model, config: RunConfig, history: list[dict[str, Any]]
) -> None:
    validated = history and any(name.startswith("validation_") for name in history[0])
    assert dataset.inputs is not None and model.inputs is not None
    same = (
        (not history or validated == (dataset.validation is not None))
        and dataset.task == model.task
        and dataset.class_names == model.class_names
        and dataset.recipe == model.recipe
        and np.array_equal(dataset.inputs.mean, model.inputs.mean)
        and np.array_equal(dataset.inputs.scale, model.inputs.scale)
        and (dataset.targets is None) == (model.targets is None)
        and (
            model.targets is None
            or dataset.targets is not None
            and np.array_equal(dataset.targets.mean, model.targets.mean)
            and np.array_equal(dataset.targets.scale, model.targets.scale)
            and dataset.targets.log == model.targets.log
        )
    )
    if not same:
        raise ValueError(
            f"{config.data}: the data are not those that the run was started with; "
            "restore them, or start another run"
        )


def _describe(
    config: RunConfig, dataset: data.Dataset, model: Model, trainer: Trainer, folder: RunFolder
) -> str:
    assert config.layers is not None  # the options are settled
    rows = ", ".join(
        f"{len(part):,} {name}"
        for name in ("train", "validation", "test")
        if (part := getattr(dataset, name)) is not None
    )
    notes = [dataset.note] if dataset.note else []
    notes += dataset.recipe.notes if dataset.recipe is not None else ()
    note = "".join(f"note: {text}\n" for text in notes)
    found = f" ({dataset.found})" if dataset.found else ""
    task = "regression on logarithms" if config.log_target else dataset.task
    hidden = "hidden layer" if config.method == "snn" else f"{config.method} layer"
    return (
        f"{Path(config.data).name}: {task}, rows: {rows}; "
        f"{count(dataset.n_features, 'feature')}, {count(dataset.n_outputs, 'output')}{found}\n"
        f"{note}"
        f"{count(config.layers, hidden)} of {config.width}, "
        f"{count(model.network.n_parameters, 'parameter')}; {count(trainer.threads, 'thread')}; "
        f"output in {folder.path}"
    )
