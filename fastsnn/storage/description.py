"""Validate the description in a model file, and the file's tensors against it.

All functions raise ValueError or TypeError with the reason only; `modelfile.fitting` adds the path
of the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastsnn.checks.scalars import integer, is_finite, shown
from fastsnn.engine.state import require_state
from fastsnn.layers import Layer, from_description
from fastsnn.metrics import MAIN
from fastsnn.optimizers import MOST_STATE
from fastsnn.tables.recipe import Recipe

MEASURED = ("learning_rate", "seconds", "samples_per_second")
NAMES = ("class_names", "feature_names", "target_names")
STANDARDIZERS = ("inputs.mean", "inputs.scale", "targets.mean", "targets.scale")
STATE = "trainer."  # prefix of the tensors of a trainer's state
MEMBER = "member."  # followed by k and a dot: prefix of the tensors of member k = 1, 2, ...
# Maximum layers per tensor: Residual, Dense, activation and dropout share a weight and a bias.
LAYERS_A_TENSOR = 2
Tensors = Mapping[str, np.ndarray]


def members(description: Mapping[str, Any], tensors: Tensors) -> list[dict[str, np.ndarray]]:
    """Return the tensors of each member, without its prefix; member 0 has those without a prefix.

    The number of members is limited by the tensors. Members have the layers of the description.
    """
    found: dict[str, dict[str, np.ndarray]] = {"0": {}}
    for name, tensor in tensors.items():
        number, own = "0", name
        if name.startswith(MEMBER):
            number, _, own = name.removeprefix(MEMBER).partition(".")
            if number == "0" or own in STANDARDIZERS:
                raise ValueError(f"{shown(name)}: no member has such a tensor")
        found.setdefault(number, {})[own] = tensor
    count = 1
    if "members" in description:
        count = integer(description["members"], "members", 2)
    if count != len(found) or any(str(k) not in found for k in range(count)):
        names = [number for number in found if number != "0"]
        raise ValueError(
            f"members: tensors of member 1 to {shown(count - 1)} are required, got {shown(names)}"
            if count > 1
            else f"members: a number is required, there are tensors of member {shown(names[0])}"
        )
    return [found[str(k)] for k in range(count)]


def network(description: Mapping[str, Any], tensors: Tensors) -> tuple[list[Layer], int, Tensors]:
    """Return (layers, input size, state dict) of a description.

    The number of layers is limited by the number of tensors, so that a small file cannot describe
    millions of layers.
    """
    entries = description.get("layers")
    if not isinstance(entries, list):
        raise ValueError(f"layers: a list is required, got {shown(entries)}")
    own = {
        name: tensor
        for name, tensor in tensors.items()
        if name not in STANDARDIZERS and not name.startswith(STATE)
    }
    if len(entries) > LAYERS_A_TENSOR * len(own):
        raise ValueError(f"{len(entries):,} layers need more than {len(own):,} tensors")
    size = integer(description.get("input_size"), "input_size", 1)
    return [from_description(entry) for entry in entries], size, own


def model(
    description: Mapping[str, Any], tensors: Tensors, sizes: tuple[int, int]
) -> dict[str, Any]:
    """Return the arguments of `fastsnn.Model` other than the network.

    A standardizer is returned as (mean, scale), that of targets as (mean, scale, log). sizes: input
    and output size of the network.
    """
    features, outputs = sizes
    task = description["task"]
    if not isinstance(task, str) or task not in MAIN:
        raise ValueError(f"task: must be one of {', '.join(MAIN)}; got {shown(task)}")
    found: dict[str, Any] = {"task": task, "inputs": standardizer("inputs", tensors, features)}
    found["targets"] = None
    if "targets.mean" in tensors or "targets.scale" in tensors:
        if task != "regression":
            raise ValueError(f"targets.mean: only a regression has one, the task is {task}")
        log = description.get("log_target", False)
        if not isinstance(log, bool):
            raise ValueError(f"log_target: true or false is required, got {shown(log)}")
        found["targets"] = *standardizer("targets", tensors, outputs), log
    counts = {
        "class_names": outputs if task == "classification" else None,
        "feature_names": features,
        "target_names": 1 if task == "classification" else outputs,
    }
    found["recipe"] = (
        None if "recipe" not in description else recipe(description["recipe"], features)
    )
    return found | {n: names(n, description.get(n, ""), count) for n, count in counts.items()}


def recipe(entry: Any, features: int) -> Recipe:
    """Return the recipe of a table that has this number of features."""
    found = Recipe.of(entry)
    if len(found.feature_names) != features:
        raise ValueError(
            f"recipe: {features:,} features are required, got {len(found.feature_names):,}"
        )
    return found


def names(which: str, values: object, count: int | None) -> tuple[str, ...] | None:
    """Validate a list of `count` strings or None, and return it as a tuple.

    If `count` is None, the list must be None. Class names must be unique.
    """
    if values is None:
        return None
    if not isinstance(values, list | tuple) or not all(isinstance(v, str) for v in values):
        raise ValueError(f"{which}: a list of strings or null is required, got {shown(values)}")
    if count is None:
        raise ValueError(f"{which}: only a classification has them, got {shown(values)}")
    if len(values) != count:
        raise ValueError(f"{which}: {count:,} are required, got {len(values):,}")
    if which == "class_names" and len(set(values)) < count:
        twice = Counter(values).most_common(1)[0][0]
        raise ValueError(f"{which}: unique names are required, got {shown(twice)} twice")
    return tuple(values)


def standardizer(part: str, tensors: Tensors, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return validated (mean, scale) of part "inputs" or "targets", both (size,)."""
    found = []
    for name in (f"{part}.mean", f"{part}.scale"):
        if name not in tensors:
            raise ValueError(f"the tensor {name} is missing")
        values = tensors[name]
        if values.shape != (size,):
            raise ValueError(f"{name}: shape ({size},) is required, got {values.shape}")
        if values.dtype not in (np.float32, np.float64):
            raise TypeError(f"{name}: float32 or float64 is required, got {values.dtype}")
        if not np.isfinite(values).all():
            raise ValueError(f"{name}: finite numbers are required, got NaN or infinity")
        if name.endswith(".scale") and values.min() <= 0:
            raise ValueError(f"{name}: numbers > 0 are required, got {values.min()}")
        found.append(np.array(values))  # a copy, so that the file's buffer can be freed
    if found[0].dtype != found[1].dtype:
        raise TypeError(f"{part}.scale: {found[0].dtype} is required, like {part}.mean")
    return found[0], found[1]


def state(
    description: Mapping[str, Any], tensors: Tensors, trained: Mapping[str, tuple[int, ...]]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return (arrays, numbers) for `Trainer.load_state_dict`.

    trained: name -> shape of each tensor of the network that the optimizer updates.
    """
    numbers = description["trainer"]
    if not isinstance(numbers, dict) or numbers.keys() != {"step_count", "first_loss"}:
        raise ValueError(f"trainer: step_count and first_loss are required, got {shown(numbers)}")
    arrays = {n.removeprefix(STATE): a for n, a in tensors.items() if n.startswith(STATE)}
    present = [i for i in range(1, MOST_STATE) if any(n.endswith(f".state{i}") for n in arrays)]
    n_state = present[-1] + 1 if present else min(len(arrays), 1)
    wanted = {f"{n}.state{i}": trained[n] for i in range(n_state) for n in trained}
    for name in sorted(wanted.keys() ^ arrays.keys())[:1]:
        required = "is required" if name in wanted else "belongs to no tensor of the network"
        raise ValueError(f"trainer state: {shown(name)} {required}")
    for name, array in arrays.items():
        if array.shape != wanted[name] or array.dtype != np.float32:
            raise ValueError(
                f"trainer state: {name}: float32 of shape {wanted[name]} is required, got "
                f"{array.dtype} of {array.shape}"
            )
    require_state(arrays, numbers)
    return arrays, numbers


def states(
    description: Mapping[str, Any], tensors: Tensors, trained: Mapping[str, tuple[int, ...]]
) -> list[tuple[dict[str, np.ndarray], dict[str, Any]]]:
    """Return `state` of each member. The numbers of several members are a list."""
    own = members(description, tensors)
    numbers = description["trainer"] if len(own) > 1 else [description["trainer"]]
    if not isinstance(numbers, list) or len(numbers) != len(own):
        raise ValueError(f"trainer: a list of {len(own)} is required, got {shown(numbers)}")
    return [
        state({"trainer": each}, part, trained) for each, part in zip(numbers, own, strict=True)
    ]


def history(records: Any) -> list[dict[str, Any]]:
    """Validate the records of a history: one per epoch, numbered from 1, with the same figures."""
    if not isinstance(records, list):
        raise ValueError(f"history: a list is required, got {shown(records)}")
    for number, record in enumerate(records, 1):
        where = f"history, epoch {number}"
        if not isinstance(record, dict) or type(record.get("epoch")) is not int:
            raise ValueError(f"{where}: an object with its number is required, got {shown(record)}")
        if record["epoch"] != number:
            raise ValueError(f"{where}: it has the number {shown(record['epoch'])}")
        figures = {n: value for n, value in record.items() if _is_figure(n)}
        if figures.keys() != {n for n in records[0] if _is_figure(n)}:
            raise ValueError(f"{where}: its figures must be those of the first epoch")
        for name, value in figures.items():
            if type(value) is not float and (type(value) is not int or not is_finite(value)):
                raise ValueError(f"{where}: {shown(name)} must be a number, got {shown(value)}")
    found: list[dict[str, Any]] = records
    return found


def _is_figure(name: str) -> bool:
    return name.startswith(("train_", "validation_")) or name in MEASURED


def not_finite(tensors: Tensors) -> str | None:
    """Return the name of the first tensor that contains NaN or infinity; None if all are finite."""
    for name, tensor in tensors.items():
        # The minimum or maximum is then NaN or infinite; isfinite(tensor) would allocate memory.
        if tensor.size and not (np.isfinite(tensor.min()) and np.isfinite(tensor.max())):
            return name
    return None
