"""Model files: safetensors with a JSON description. Never pickle; replaced atomically.

Tensors are named as in `state_dict`; "inputs.mean", "inputs.scale", "targets.mean", "targets.scale"
are the standardization; "trainer.*" is what a resumed training needs. The metadata entry "fastsnn"
is JSON, with a checksum in it, for safetensors itself has none.
"""

import json
import os
import zlib
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from fastsnn import files
from fastsnn.data.standardize import Standardizer
from fastsnn.layers import describe, from_description
from fastsnn.model import Model
from fastsnn.network import Network
from fastsnn.version import __version__

FORMAT = 1
NAMES = ("class_names", "feature_names", "target_names")


def save_network(path: str | os.PathLike, network: Network) -> None:
    """Write the layers and the parameters."""
    _write(path, network, {}, {})


def save_model(path: str | os.PathLike, model: Model) -> None:
    """Write a model, network, standardization, task and names, to a safetensors file, replaced
    atomically; `load_model` reads it, as does the command line.
    """
    if not isinstance(model, Model):
        raise TypeError(
            f"save_model: a path and a Model are required, got {type(model).__name__}; a network "
            "alone is saved by its method save"
        )
    _write(path, model.network, *_parts(model))


def save_training(path, model: Model, trainer, history: list[dict], config: dict) -> None:
    """Write all that a resumed training needs."""
    arrays, description = _parts(model)
    state, numbers = trainer.state_dict()
    arrays |= {f"trainer.{name}": array for name, array in state.items()}
    description |= {"trainer": numbers, "history": history, "config": config}
    _write(path, model.network, arrays, description)


def load(path: str | os.PathLike) -> Network:
    """The network of a file. Raises ValueError for a file that is none of ours, damaged or of a
    newer format. path: a file, or the folder of a run.
    """
    path = file_of(path)
    return _network(path, *_read(path))


def load_model(path: str | os.PathLike) -> Model:
    """The model of a file that training or `save_model` wrote, or of the folder of a run. Raises
    ValueError, as `load`.
    """
    path = file_of(path)
    return _model(path, *_read(path))


def file_of(path: str | os.PathLike) -> Path:
    """The file itself, or the model file in the folder of a run. Raises ValueError for a folder
    without it.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    file = path / "model.safetensors"
    if not file.exists():
        raise ValueError(
            f"{path}: there is no such file as model.safetensors in this folder; give the folder "
            "of a run of `fastsnn train`, or a file"
        )
    return file


def load_training(path: str | os.PathLike):
    """(model, trainer state (arrays, numbers), history, config) of a `last.safetensors`."""
    tensors, description = _read(path)
    if "trainer" not in description:
        raise ValueError(f"{path}: it holds no training to resume; take last.safetensors")
    state = {
        name.removeprefix("trainer."): a
        for name, a in tensors.items()
        if name.startswith("trainer.")
    }
    model = _model(path, tensors, description)
    return model, (state, description["trainer"]), description["history"], description["config"]


def _parts(model):
    arrays = {"inputs.mean": model.inputs.mean, "inputs.scale": model.inputs.scale}
    if model.targets is not None:
        arrays |= {"targets.mean": model.targets.mean, "targets.scale": model.targets.scale}
    return arrays, {"task": model.task} | {name: getattr(model, name) for name in NAMES}


def _write(path, network, arrays, description):
    description = {
        "format": FORMAT,
        "version": __version__,
        "input_size": network.input_size,
        "layers": [describe(layer) for layer in network.layers],
    } | description
    arrays = network.state_dict() | {name: np.ascontiguousarray(a) for name, a in arrays.items()}
    # One entry: safetensors writes several in any order, and equal models shall be equal files.
    description["crc32"] = _checksum(description, arrays)
    files.replace(path, to_bytes(arrays, metadata={"fastsnn": json.dumps(description)}))


def _checksum(description, tensors):
    """Of the description, and of the tensors with their names, types and shapes."""
    crc = zlib.crc32(json.dumps(description).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        crc = zlib.crc32(f"{name} {tensor.dtype} {tensor.shape}".encode(), crc)
        crc = zlib.crc32(tensor, crc)
    return f"{crc:08x}"


def _read(path):
    if not os.path.isfile(path):
        raise ValueError(
            f"{path}: there is no such file; `fastsnn train --out DIR` writes model files"
        )
    try:
        with safe_open(path, framework="numpy") as handle:
            text = (handle.metadata() or {}).get("fastsnn")
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path}: a safetensors file is required, and this one is damaged or something "
            f"else ({error}); take an earlier copy or train again"
        ) from error
    if text is None:
        raise ValueError(
            f"{path}: a model file of fastsnn is required; this one was written by another program"
        )
    damaged = f"{path}: it is damaged (its checksum is wrong); take an earlier copy or train again"
    try:
        description = json.loads(text)
    except ValueError as error:
        raise ValueError(damaged) from error
    if description.get("format") != FORMAT:
        raise ValueError(
            f"{path}: format {FORMAT} is required, got {description.get('format')}; "
            f"it was written by fastsnn {description.get('version')}: use that version"
        )
    if description.pop("crc32", None) != _checksum(description, tensors):
        raise ValueError(damaged)
    return tensors, description


def _network(path, tensors, description):
    try:
        layers = [from_description(entry) for entry in description["layers"]]
        network = Network(layers, description["input_size"])
        names = network.layout.tensors
        network.load_state_dict({name: tensors[name] for name in names if name in tensors})
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: its description and its tensors do not fit together ({error})"
        ) from error
    return network


def _model(path, tensors, description):
    if "task" not in description:
        raise ValueError(
            f"{path}: a model file is required; this one holds a network alone, without task and "
            "standardization: use network = fastsnn.load(path), and to make a model of it "
            "fastsnn.save_model(path, fastsnn.Model(network, task, inputs))"
        )
    network = _network(path, tensors, description)
    try:
        inputs = Standardizer(tensors["inputs.mean"], tensors["inputs.scale"])
        targets = None
        if "targets.mean" in tensors:
            targets = Standardizer(tensors["targets.mean"], tensors["targets.scale"])
    except KeyError as error:
        raise ValueError(f"{path}: the tensor {error} is missing; take another copy") from error
    names = {n: None if description[n] is None else tuple(description[n]) for n in NAMES}
    return Model(network, description["task"], inputs, targets, **names)
