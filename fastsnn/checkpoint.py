"""Models and trainings as files, see `fastsnn.storage.modelfile` for the format."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastsnn.checks.scalars import shown
from fastsnn.data.standardize import Standardizer
from fastsnn.deprecated import warn
from fastsnn.model import Model
from fastsnn.network import Network
from fastsnn.storage import description as described
from fastsnn.storage import modelfile
from fastsnn.trainer import Trainer

Arrays = dict[str, np.ndarray]
Records = list[dict[str, Any]]


def save_model(path: str | os.PathLike[str], model: Model) -> None:
    """Deprecated: use `Model.save`."""
    warn("fastsnn.save_model", "fastsnn.Model.save")
    if not isinstance(model, Model):
        raise TypeError(
            f"save_model: a path and a Model are required, got {type(model).__name__}; a network "
            "alone is saved by its method save"
        )
    model.save(path)


def save_training(
    path: str | os.PathLike[str],
    model: Model,
    trainer: Trainer,
    history: Sequence[Mapping[str, Any]],
    config: Mapping[str, Any],
) -> None:
    """Write all that a resumed training needs. config: options of the run, ready for JSON."""
    layers, sizes, tensors, description = model._contents()
    state, numbers = trainer.state_dict()
    tensors |= {f"trainer.{name}": array for name, array in state.items()}
    description |= {"trainer": numbers, "history": history, "config": config}
    modelfile.write(path, layers, sizes, tensors, description)


def load(path: str | os.PathLike[str]) -> Network:
    """The network of a file. Raises ValueError for a file that is none of ours, damaged or of a
    newer format. path: a file, or the folder of a run.
    """
    file = file_of(path)
    return _network(modelfile.printable(file), *modelfile.read(file))


def load_model(path: str | os.PathLike[str]) -> Model:
    """The model of a file that training or `Model.save` wrote, or of the folder of a run. Raises
    ValueError, as `load`.
    """
    file = file_of(path)
    return _model(modelfile.printable(file), *modelfile.read(file))


def file_of(path: str | os.PathLike[str]) -> Path:
    """The file itself, or the model file in the folder of a run. Raises ValueError for a folder
    without it.
    """
    path = Path(path)
    if not os.path.isdir(path):  # Path.is_dir raises OSError for a name that is too long
        return path
    file = path / "model.safetensors"
    if not file.exists():
        raise ValueError(
            f"{modelfile.printable(file)}: there is no such file; give the folder of a run of "
            "`fastsnn train`, or a model file"
        )
    return file


def load_training(
    path: str | os.PathLike[str],
) -> tuple[Model, tuple[Arrays, dict[str, Any]], Records, dict[str, Any]]:
    """(model, trainer state (arrays, numbers), history, config) of a `last.safetensors`."""
    tensors, description = modelfile.read(path)
    name = modelfile.printable(path)
    if "trainer" not in description:
        raise ValueError(f"{name}: it holds no training to resume; take last.safetensors")
    model = _model(name, tensors, description)
    with modelfile.fitting(name):
        state = described.state(description, tensors, trained(model.network))
        history, config = described.history(description.get("history")), description.get("config")
        if not isinstance(config, dict):
            raise ValueError(f"config: an object with the options is required, got {shown(config)}")
    return model, state, history, config


def trained(network: Network) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors that an optimizer changes, by their names in `state_dict`."""
    return {
        name: shape
        for name, (_, shape) in network.layout.tensors.items()
        if ".running_" not in name
    }


def _network(path: str, tensors: Arrays, description: dict[str, Any]) -> Network:
    with modelfile.fitting(path):
        return Network._of(*described.network(description, tensors))


def _model(path: str, tensors: Arrays, description: dict[str, Any]) -> Model:
    if "task" not in description:
        raise ValueError(
            f"{path}: a model file is required; this one holds a network alone, without task and "
            "standardization: use network = fastsnn.load(path), and to make a model of it "
            "fastsnn.Model(network, task, inputs).save(path)"
        )
    network = _network(path, tensors, description)
    with modelfile.fitting(path):
        found = described.model(description, tensors, (network.input_size, network.output_size))
        for part in ("inputs", "targets"):
            if found[part] is not None:
                found[part] = Standardizer(*found[part])
        return Model(network, **found)
