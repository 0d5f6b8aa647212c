"""Model files: safetensors with a JSON description. Never pickle; replaced atomically.

Tensors are named as in `state_dict`; "inputs.mean", "inputs.scale", "targets.mean", "targets.scale"
are the standardization; "trainer.*" is what a resumed training needs. The metadata entry "fastsnn"
is JSON, with a checksum in it, for safetensors itself has none.
"""

import json
import os
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from safetensors.numpy import save as to_bytes

from fastsnn.checks.scalars import shown
from fastsnn.layers import describe
from fastsnn.model import Model
from fastsnn.network import Network
from fastsnn.storage import description as described
from fastsnn.storage import files, tensorfile
from fastsnn.storage.description import NAMES
from fastsnn.version import __version__

FORMAT, KEY = 1, "fastsnn"


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
    return _network(_name(path), *_read(path))


def load_model(path: str | os.PathLike) -> Model:
    """The model of a file that training or `save_model` wrote, or of the folder of a run. Raises
    ValueError, as `load`.
    """
    path = file_of(path)
    return _model(_name(path), *_read(path))


def file_of(path: str | os.PathLike) -> Path:
    """The file itself, or the model file in the folder of a run. Raises ValueError for a folder
    without it.
    """
    path = Path(path)
    if not os.path.isdir(path):  # Path.is_dir raises OSError for a name that is too long
        return path
    file = path / "model.safetensors"
    if not file.exists():
        raise ValueError(
            f"{_name(file)}: there is no such file; give the folder of a run of `fastsnn train`, "
            "or a model file"
        )
    return file


def load_training(path: str | os.PathLike):
    """(model, trainer state (arrays, numbers), history, config) of a `last.safetensors`."""
    tensors, description = _read(path)
    path = _name(path)
    if "trainer" not in description:
        raise ValueError(f"{path}: it holds no training to resume; take last.safetensors")
    model = _model(path, tensors, description)
    with _fitting(path):
        state = described.state(description, tensors, model.network)
        history, config = described.history(description.get("history")), description.get("config")
        if not isinstance(config, dict):
            raise ValueError(f"config: an object with the options is required, got {shown(config)}")
    return model, state, history, config


def load_run(path: str | os.PathLike):
    """`load_training` of a run of `fastsnn train`: its config is a settled `RunConfig`."""
    from fastsnn.runs.config import RunConfig  # which `import fastsnn` does not need

    model, state, history, options = load_training(path)
    with _fitting(_name(path)):
        config = RunConfig.from_dict(options)
        config.require_settled()
        described.run_state(state[0], config.optimizer, config.momentum, model.network)
        described.run_history(history, model.task)
    return model, state, history, config


@contextmanager
def _fitting(path):
    """Turn errors about contradictory content into one ValueError that names the file."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: its description and its tensors do not fit together ({error}); take an "
            "earlier copy or train again"
        ) from error


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
    _require_readable(path, description, arrays, network)
    # One entry: safetensors writes several in any order, and equal models shall be equal files.
    description["crc32"] = _checksum(description, arrays)
    text = json.dumps(description)
    if 2 * len(text) > tensorfile.MOST_HEADER:  # quotes get a backslash in the header
        raise ValueError(
            f"{path}: nothing was written: names and history have {len(text):,} letters, a file "
            f"holds at most {tensorfile.MOST_HEADER // 2:,}; train fewer epochs"
        )
    files.replace(path, to_bytes(arrays, metadata={KEY: text}))


def _require_readable(path, description, arrays, network):
    """Raise an error for anything that `_read` or its callers would refuse, so that the previous
    file is kept.
    """
    name = described.not_finite(arrays)
    if name is not None:
        raise FloatingPointError(
            f"{path}: finite numbers are required, {name} has NaN or infinity; nothing was "
            "written, and the previous file, if any, is kept; train with a smaller learning rate"
        )
    try:
        if "task" in description:
            described.model(description, arrays, network)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{path}: nothing was written: {error}") from error


def _checksum(description, tensors):
    """Of the description, and of the tensors with their names, types and shapes."""
    crc = zlib.crc32(json.dumps(description).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        crc = zlib.crc32(f"{name} {tensor.dtype} {tensor.shape}".encode(), crc)
        crc = zlib.crc32(tensor, crc)
    return f"{crc:08x}"


def _name(path):
    """The path as one printable line, for messages."""
    name = os.fsdecode(path)
    return name if name.isprintable() else shown(name)


def _read(file):
    path = _name(file)
    if not os.path.isfile(file):
        raise ValueError(
            f"{path}: there is no such file; `fastsnn train --out DIR` writes model files"
        )
    try:
        text, tensors = tensorfile.read(file, KEY)
    except OSError as error:
        raise RuntimeError(f"{path}: it could not be read ({error.strerror or error})") from error
    except ValueError as error:
        raise ValueError(
            f"{path}: a safetensors file is required, and this one is damaged or something "
            f"else ({error}); take an earlier copy or train again"
        ) from error
    if text is None:
        raise ValueError(
            f"{path}: a model file of fastsnn is required; this one was written by another program"
        )
    damaged = f"{path}: it is damaged ({{}}); take an earlier copy or train again"
    try:
        description = tensorfile.parse(text)
        if not isinstance(description, dict) or type(description.get("format")) is not int:
            raise ValueError("its description has no format")
        crc = description.pop("crc32", None)
        checksum = _checksum(description, tensors)
    except (ValueError, RecursionError) as error:
        raise ValueError(damaged.format(shown(str(error)).strip("'"))) from error
    if description["format"] != FORMAT:
        raise ValueError(
            f"{path}: format {FORMAT} is required, got {shown(description['format'])}; it was "
            f"written by fastsnn {str(description.get('version'))[:20]}: use that version"
        )
    if crc != checksum:
        raise ValueError(damaged.format("its checksum is wrong"))
    return tensors, description


def _network(path, tensors, description):
    with _fitting(path):
        return described.network(description, tensors)


def _model(path, tensors, description):
    if "task" not in description:
        raise ValueError(
            f"{path}: a model file is required; this one holds a network alone, without task and "
            "standardization: use network = fastsnn.load(path), and to make a model of it "
            "fastsnn.save_model(path, fastsnn.Model(network, task, inputs))"
        )
    network = _network(path, tensors, description)
    with _fitting(path):
        return Model(network, **described.model(description, tensors, network))
