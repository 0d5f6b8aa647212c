"""Validation of the description in a model file, and of its tensors against it.

All functions raise ValueError or TypeError with the reason alone; `fastsnn.checkpoint` adds the
file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import isfinite

import numpy as np

from fastsnn.checks.scalars import integer, is_finite, shown
from fastsnn.data.dataset import TASKS
from fastsnn.data.standardize import Standardizer
from fastsnn.layers import from_description
from fastsnn.metrics import MAIN
from fastsnn.network import Network
from fastsnn.optimizers import from_options
from fastsnn.state import require_state

MEASURED = ("learning_rate", "seconds", "samples_per_second")
NAMES = ("class_names", "feature_names", "target_names")
STANDARDIZERS = ("inputs.mean", "inputs.scale", "targets.mean", "targets.scale")
STATE = "trainer."  # of the tensors' names
# The most layers per tensor: Residual, Dense, activation and dropout share a weight and a bias.
LAYERS_A_TENSOR = 2
Tensors = Mapping[str, np.ndarray]


def network(description: Mapping, tensors: Tensors) -> Network:
    """The network of a description. Nothing is allocated before the tensors match the layers."""
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
    return Network._of([from_description(entry) for entry in entries], size, own)


def model(description: Mapping, tensors: Tensors, net: Network) -> dict:
    """The other arguments of `fastsnn.Model`."""
    task = description["task"]
    if not isinstance(task, str) or task not in TASKS:
        raise ValueError(f"task: must be one of {', '.join(TASKS)}; got {shown(task)}")
    found = {"task": task, "inputs": standardizer("inputs", tensors, net.input_size)}
    found["targets"] = None
    if "targets.mean" in tensors or "targets.scale" in tensors:
        if task != "regression":
            raise ValueError(f"targets.mean: only a regression has one, the task is {task}")
        found["targets"] = standardizer("targets", tensors, net.output_size)
    outputs = net.output_size
    counts = {
        "class_names": outputs if task == "classification" else None,
        "feature_names": net.input_size,
        "target_names": 1 if task == "classification" else outputs,
    }
    return found | {n: names(n, description.get(n, ""), count) for n, count in counts.items()}


def names(which: str, values, count: int | None) -> tuple[str, ...] | None:
    """Check a list of `count` texts, or None; with count None it must be None. Class names must
    differ.
    """
    if values is None:
        return None
    if not isinstance(values, list | tuple) or not all(isinstance(v, str) for v in values):
        raise ValueError(f"{which}: a list of texts or null is required, got {shown(values)}")
    if count is None:
        raise ValueError(f"{which}: only a classification has them, got {shown(values)}")
    if len(values) != count:
        raise ValueError(f"{which}: {count:,} are required, got {len(values):,}")
    if which == "class_names" and len(set(values)) < count:
        twice = Counter(values).most_common(1)[0][0]
        raise ValueError(f"{which}: each must differ from the others, got {shown(twice)} twice")
    return tuple(values)


def standardizer(part: str, tensors: Tensors, size: int) -> Standardizer:
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
        found.append(np.array(values))  # not a part of the whole file's buffer
    if found[0].dtype != found[1].dtype:
        raise TypeError(f"{part}.scale: {found[0].dtype} is required, like {part}.mean")
    return Standardizer(*found)


def state(description: Mapping, tensors: Tensors, net: Network) -> tuple[dict, dict]:
    """(arrays, numbers) for `Trainer.load_state_dict`."""
    numbers = description["trainer"]
    if not isinstance(numbers, dict) or numbers.keys() != {"step_count", "first_loss"}:
        raise ValueError(f"trainer: step_count and first_loss are required, got {shown(numbers)}")
    arrays = {n.removeprefix(STATE): a for n, a in tensors.items() if n.startswith(STATE)}
    trained = {n: shape for n, (_, shape) in net.layout.tensors.items() if ".running_" not in n}
    n_state = 2 if any(n.endswith(".state1") for n in arrays) else min(len(arrays), 1)
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


def run_state(arrays: Tensors, optimizer: str, momentum: float, net: Network) -> None:
    """Check that the trainer's arrays are those of the optimizer in the options."""
    n_state = from_options(optimizer, learning_rate=0.0, momentum=momentum).n_state
    wanted = n_state * sum(".running_" not in name for name in net.layout.tensors)
    if len(arrays) != wanted:
        raise ValueError(
            f"trainer state: {optimizer} with momentum {momentum} has {wanted} arrays, got "
            f"{len(arrays)}"
        )


def history(records) -> list[dict]:
    """Check the records: one per epoch, numbered from 1, with the same figures in each."""
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
    return records


def _is_figure(name):
    return name.startswith(("train_", "validation_")) or name in MEASURED


def run_history(records: list[dict], task: str) -> None:
    """Check that the history of a run of `fastsnn train` has all figures that resuming needs."""
    needed = ["train_loss", *MEASURED]
    if records and any(name.startswith("validation_") for name in records[0]):
        needed += ["validation_loss", f"validation_{MAIN[task]}"]
    for name in needed:
        if records and name not in records[0]:
            raise ValueError(f"history: {name} is required in each epoch")
    for record in records:
        if not all(isfinite(record[name]) for name in ("train_loss", *MEASURED)):
            raise ValueError(f"history, epoch {record['epoch']}: its figures must be finite")


def not_finite(tensors: Tensors) -> str | None:
    """The name of a tensor with NaN or infinity in it, if there is one."""
    for name, tensor in tensors.items():
        # NaN and infinity reach the minimum or the maximum; a boolean array would cost memory.
        if tensor.size and not (np.isfinite(tensor.min()) and np.isfinite(tensor.max())):
            return name
    return None
