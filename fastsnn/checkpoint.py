"""Files of networks, models and trainings; `fastsnn.storage.modelfile` documents the format."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastsnn.checks.scalars import shown
from fastsnn.data.standardize import Standardizer
from fastsnn.deprecated import warn
from fastsnn.layers import Layer
from fastsnn.model import Model
from fastsnn.network import Network
from fastsnn.storage import description as described
from fastsnn.storage import modelfile
from fastsnn.trainer import Trainer

Arrays = dict[str, np.ndarray]
Records = list[dict[str, Any]]
State = tuple[Arrays, dict[str, Any]]  # of `Trainer.state_dict`


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
    """Write the state from which a training is resumed. config: options of the run, ready for JSON.

    Raises FloatingPointError for NaN and infinity, before anything is written.
    """
    layers, sizes, tensors, description = _training(model, trainer.state_dict())
    description |= {"history": history, "config": config}
    modelfile.write(path, layers, sizes, tensors, description)


def to_bytes(model: Model, state: State | None = None) -> bytes:
    """Return the content of a model file.

    Parameters
    ----------
    model : Model
    state : tuple, optional
        Result of `Trainer.state_dict`, which is stored as well. Default: none.

    Returns
    -------
    bytes
        For `from_bytes`.

    Raises
    ------
    FloatingPointError
        If a parameter or the state has NaN or infinity.
    """
    return modelfile.content(
        "model", *(model._contents() if state is None else _training(model, state))
    )


def from_bytes(content: bytes) -> tuple[Model, State | None]:
    """Return the model and the trainer's state from the content of a model file.

    Parameters
    ----------
    content : bytes
        Result of `to_bytes`.

    Returns
    -------
    model : Model
    state : tuple or None
        Arguments of `Trainer.load_state_dict`; None if no state was stored.

    Raises
    ------
    ValueError
        If the content is damaged.
    """
    tensors, description = modelfile.parse("model", content)
    model = _model("model", tensors, description)
    if "trainer" not in description:
        return model, None
    with modelfile.fitting("model"):
        return model, described.state(description, tensors, trained(model.network))


def _training(
    model: Model, state: State
) -> tuple[Sequence[Layer], tuple[int, int], Arrays, dict[str, Any]]:
    """Return the arguments of `modelfile.write` for a model and the state of its trainer."""
    layers, sizes, tensors, description = model._contents()
    arrays, numbers = state
    tensors |= {f"trainer.{name}": array for name, array in arrays.items()}
    return layers, sizes, tensors, description | {"trainer": numbers}


def load(path: str | os.PathLike[str]) -> Network:
    """Return the network of a file.

    Parameters
    ----------
    path : str or path
        A file written by `Network.save` or `Model.save`, or the folder of a run of `fastsnn train`.

    Returns
    -------
    Network

    Raises
    ------
    ValueError
        If there is no such file, or fastsnn did not write it, or it is damaged, or its format is
        newer than this version. Its description is checked against its size before memory is
        allocated.
    RuntimeError
        If the file cannot be read.
    """
    file = file_of(path)
    return _network(modelfile.printable(file), *modelfile.read(file))


def load_model(path: str | os.PathLike[str]) -> Model:
    """Return the model of a file.

    Parameters
    ----------
    path : str or path
        A file written by `Model.save` or `fastsnn train`, or the folder of a run, whose
        `model.safetensors` holds the best epoch.

    Returns
    -------
    Model

    Raises
    ------
    ValueError
        If there is no such file, or fastsnn did not write it, or it is damaged, or its format is
        newer than this version; or if it holds a network alone, written by `Network.save`.
    RuntimeError
        If the file cannot be read.

    Examples
    --------
    ::

        model = fs.load_model("runs/digits-1")
        probabilities = model.predict(features)
    """
    file = file_of(path)
    return _model(modelfile.printable(file), *modelfile.read(file))


def file_of(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file itself, or of the model file in the folder of a run. Raises
    ValueError for a folder without one.
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
    """Return (model, (arrays, numbers), history, config) of a `last.safetensors`, where arrays and
    numbers are the arguments of `Trainer.load_state_dict`. Raises ValueError, as `load`.
    """
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
    """Return the shapes of the tensors that an optimizer updates, by name."""
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
