"""Files of networks, models and training runs; `fastsnn.storage.modelfile` documents the format."""

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
    layers, sizes, tensors, description = _training(model, [trainer.state_dict()])
    description |= {"history": history, "config": config}
    modelfile.write(path, layers, sizes, tensors, description)


def to_bytes(model: Model, states: Sequence[State] = ()) -> bytes:
    """Return the content of a model file.

    Parameters
    ----------
    model : Model
    states : sequence of tuple, optional
        Results of `Trainer.state_dict`, one for each member, which are stored as well. Default:
        none.

    Returns
    -------
    bytes
        For `from_bytes`.

    Raises
    ------
    FloatingPointError
        If a parameter or the state has NaN or infinity.
    """
    return modelfile.content("model", *(_training(model, states) if states else model._contents()))


def from_bytes(content: bytes) -> tuple[Model, list[State]]:
    """Return the model and the states of its trainers from the content of a model file.

    Parameters
    ----------
    content : bytes
        Result of `to_bytes`.

    Returns
    -------
    model : Model
    states : list of tuple
        Arguments of `Trainer.load_state_dict` for each member; empty if no state was stored.

    Raises
    ------
    ValueError
        If the content is damaged.
    """
    tensors, description = modelfile.parse("model", content)
    model = _model("model", tensors, description)
    if "trainer" not in description:
        return model, []
    with modelfile.fitting("model"):
        return model, described.states(description, tensors, trained(model.network))


def _training(
    model: Model, states: Sequence[State]
) -> tuple[Sequence[Layer], tuple[int, int], Arrays, dict[str, Any]]:
    """Return the arguments of `modelfile.write` for a model and the states of its trainers."""
    layers, sizes, tensors, description = model._contents()
    for k, (arrays, _) in enumerate(states):
        prefix = f"{described.MEMBER}{k}.{described.STATE}" if k else described.STATE
        tensors |= {f"{prefix}{name}": array for name, array in arrays.items()}
    numbers = [own for _, own in states]
    description["trainer"] = numbers if len(numbers) > 1 else numbers[0]
    return layers, sizes, tensors, description


def load(path: str | os.PathLike[str]) -> Network:
    """Return the network of a file.

    Parameters
    ----------
    path : str or path
        A file written by `Network.save` or `Model.save`, or the folder of a run of `fastsnn train`.

    Returns
    -------
    Network
        The first one of a file with several members.

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
    return _networks(modelfile.printable(file), *modelfile.read(file))[0]


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
        if len(model.members) > 1:
            raise ValueError(f"members: 1 is required to resume, got {len(model.members)}")
        (state,) = described.states(description, tensors, trained(model.network))
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


def _networks(path: str, tensors: Arrays, description: dict[str, Any]) -> list[Network]:
    with modelfile.fitting(path):
        members = described.members(description, tensors)
        return [Network._of(*described.network(description, own)) for own in members]


def _model(path: str, tensors: Arrays, description: dict[str, Any]) -> Model:
    if "task" not in description:
        raise ValueError(
            f"{path}: a model file is required; this one holds a network alone, without task and "
            "standardization: use network = fastsnn.load(path), and to make a model of it "
            "fastsnn.Model(network, task, inputs).save(path)"
        )
    members = _networks(path, tensors, description)
    network = members[0]
    with modelfile.fitting(path):
        found = described.model(description, tensors, (network.input_size, network.output_size))
        for part in ("inputs", "targets"):
            if found[part] is not None:
                found[part] = Standardizer(*found[part])
        return Model(network, **found, members=tuple(members))
