"""The entries that `fastsnn info` prints: of the machine, or with --model of a model file."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from typing import Any

from fastsnn import checkpoint
from fastsnn.checks.scalars import listed, shown
from fastsnn.data.standardize import Standardizer
from fastsnn.info import info
from fastsnn.layers import Layer
from fastsnn.model import Model
from fastsnn.runs.folder import RunFolder
from fastsnn.runs.stored import load_run
from fastsnn.selection import best_of_run
from fastsnn.storage import modelfile

MOST_NAMES = 20  # names listed in the table; JSON has all


def about(path: str | None, as_json: bool) -> dict[str, Any]:
    """Return the entries of the machine, or with a path those of a model."""
    if path is None:
        return info()
    found = describe(path)
    return found if as_json else table(found)


def describe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return a description, ready for JSON, of a model file or of the model in a run folder.

    Entries: "file", "version", "task", "layers" (one text per layer), "parameters", "features",
    "outputs", "members" if there are several, the names, the standardization; with a recipe
    "recipe", a dict per column; for a run folder "epoch" and the figures of the best epoch. Raises
    ValueError and RuntimeError, as `checkpoint.load_model`.
    """
    file = checkpoint.file_of(path)
    _, description = modelfile.read(file)
    model = checkpoint.load_model(file)
    network = model.network
    found: dict[str, Any] = {
        "file": modelfile.printable(file),
        "version": str(description.get("version"))[:20],
        "task": model.task,
        "layers": [_brief(layer) for layer in network.layers],
        "parameters": network.n_parameters,
        "features": network.input_size,
        "outputs": network.output_size,
    }
    if len(model.members) > 1:
        found["members"] = len(model.members)
    for name in ("class_names", "target_names", "feature_names"):
        if getattr(model, name) is not None:
            found[name] = list(getattr(model, name))
    found["standardized_features"] = not _is_identity(model.inputs)
    if model.task == "regression":
        found["standardized_targets"] = model.targets is not None
    if model.recipe is not None:
        found["recipe"] = model.recipe.describe()
    last = RunFolder(path).last
    return found | (_figures(last, model) if last.is_file() else {})


def _is_identity(inputs: Standardizer) -> bool:
    return bool((inputs.mean == 0).all() and (inputs.scale == 1).all())


def _figures(path: os.PathLike[str], model: Model) -> dict[str, Any]:
    """Return the number and the figures of the best epoch of a run."""
    _, _, history, config = load_run(path)
    if not history:
        return {}
    record = history[best_of_run(history, model.task, config.made_loss(model.task), config.metric)]
    kept = {n: v for n, v in record.items() if n.startswith(("train_", "validation_"))}
    return {"epochs": len(history), "best_epoch": record["epoch"]} | kept


def table(found: dict[str, Any]) -> dict[str, Any]:
    """Return the description with a line per column of the recipe, and with few names."""
    shortened = dict(found)
    for name in ("class_names", "target_names", "feature_names"):
        if name in found:
            shortened[name] = listed(found[name], MOST_NAMES)
    if "members" in found:
        shortened["members"] = f"{found['members']:,}, each with these layers and parameters"
    shortened["layers"] = ", ".join(_runs(found["layers"]))
    columns = shortened.pop("recipe", None)
    if columns is not None:
        del shortened["feature_names"]  # those of the recipe
        shortened["recipe"] = f"{len(columns):,} columns, {found['features']:,} features"
        for column in columns:
            more = f", {column['features']:,} features" if column["features"] > 1 else ""
            text = f"{column['kind']}: {column['learned']}{more}"
            shortened[f"  {shown(column['name'])}"] = text
    return shortened


def _brief(layer: Layer) -> str:
    """Return the constructor call of a layer without the arguments that have their default."""
    changed = [
        f"{f.name}={getattr(layer, f.name)!r}"
        for f in dataclasses.fields(layer)
        if f.init and getattr(layer, f.name) != f.default
    ]
    return f"{type(layer).__name__}({', '.join(changed)})"


def _runs(layers: Iterable[str]) -> list[str]:
    """Return the layers, with a count in place of repetitions of the same dense block."""
    found: list[str] = []
    layers = list(layers)
    start = 0
    while start < len(layers):
        for length in (3, 2, 1):
            block, count = layers[start : start + length], 1
            while layers[start + count * length : start + (count + 1) * length] == block:
                count += 1
            if count > 1:
                break
        text = ", ".join(block)
        if count > 1:
            found.append(f"{count} x ({text})" if length > 1 else f"{count} x {text}")
            start += count * length
        else:
            found.append(layers[start])
            start += 1
    return found
