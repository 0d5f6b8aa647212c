"""Fuzz target: model files, by `fastsnn.load` and `fastsnn.load_model`.

The checksum detects a flipped byte, so `mutate` changes the contents of the file and makes the
checksum and the header correct again.
"""

import json
import pathlib
import random
import struct
import tempfile
import warnings
import zlib

import numpy as np

import fastsnn as fs
from fastsnn.data.standardize import Standardizer
from fastsnn.storage import modelfile

SUFFIX = ".safetensors"
KEY = modelfile.KEY


def models() -> list[fs.Model]:
    """Return small models of all tasks and kinds of layers."""
    rng = np.random.default_rng(0)
    inputs = Standardizer.fit(rng.normal(size=(9, 3)))
    snn = [fs.Dense(4), fs.SELU((0.0, 2.0)), fs.AlphaDropout(0.1), fs.Dense(2)]
    block = [fs.Dense(3), fs.BatchNorm(), fs.ReLU(), fs.Dense(4)]
    deep = [
        fs.Dense(4, weight_norm=True), fs.LayerNorm(), fs.Tanh(), fs.Highway(), fs.Residual(block),
        fs.ReLU(), fs.Dropout(0.1), fs.Dense(2),
    ]  # fmt: skip
    names = ("a", "b", "c"), ("s", "t")
    return [
        fs.Model(fs.Network(snn, 3), "classification", inputs, None, ("no", "yes"), names[0]),
        fs.Model(fs.Network(deep, 3), "multitask", inputs, None, None, None, names[1]),
        fs.Model(
            fs.Network(snn, 3), "regression", inputs, Standardizer.fit(rng.normal(size=(9, 2)))
        ),
    ]


def _ensemble() -> fs.Model:
    members = tuple(model.network for model in (models()[0], models()[0]))
    return fs.Model(members[0], "classification", models()[0].inputs, members=members)


def written(write) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, f"seed{SUFFIX}")
        write(path)
        return path.read_bytes()


SEEDS = [written(lambda path, m=m: m.save(path)) for m in models()]
SEEDS.append(written(models()[0].network.save))
SEEDS.append(written(_ensemble().save))


def use(net: fs.Network) -> np.ndarray:
    out = net.forward(np.zeros((1, net.input_size), np.float32), threads=1)
    assert out.shape == (1, net.output_size)
    return out


def read(path: pathlib.Path) -> None:
    """Accept a ValueError, TypeError, OSError or RuntimeError of one line, or a usable model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # for plain dropout after SELU; a scale of 1e-45 overflows
        use(fs.load(path))
        try:
            model = fs.load_model(path)
        except ValueError as error:
            if "network alone" in str(error):
                return
            raise
        model.predict(np.zeros((1, model.network.input_size), np.float32), threads=1)


def parts(data: bytes) -> tuple[dict, dict, bytes]:
    """Return (description, entries of the tensors by name, their bytes) of a valid file."""
    length = struct.unpack("<Q", data[:8])[0]
    entries = json.loads(data[8 : 8 + length])
    return json.loads(entries.pop("__metadata__")[KEY]), entries, data[8 + length :]


def joined(description, entries: dict, tensors: bytes) -> bytes:
    """Return a file of these, with a correct checksum."""
    if isinstance(description, dict):
        description.pop("crc32", None)
        crc = zlib.crc32(json.dumps(description).encode())
        for name in sorted(entries):
            crc = _with_tensor(crc, name, entries[name], tensors)
        description["crc32"] = f"{crc:08x}"
    header = json.dumps({"__metadata__": {KEY: json.dumps(description)}, **entries}).encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + tensors


def _with_tensor(crc, name, entry, tensors):
    try:
        dtype = {"F32": "float32", "F64": "float64"}[entry["dtype"]]
        begin, end = entry["data_offsets"]
        crc = zlib.crc32(f"{name} {dtype} {tuple(entry['shape'])}".encode(), crc)
        return zlib.crc32(tensors[begin:end], crc)
    except (KeyError, TypeError, ValueError):  # refused before the checksum is checked
        return crc


NASTY = [
    None, True, False, 0, 1, -1, 2, 3, 10**6, 2**31, 2**53, 2**63, 10**20, 10**400, 0.0, -0.0, 0.5,
    1e-300, 1e30, 1e300, float("nan"), float("inf"), "", "a", "Dense", "nan", "x" * 5000, [], {},
    [1], [[]], [0, 1e300], [0, 1], {"type": "Dense"}, {"type": "Residual", "layers": []},
    {"type": "SELU", "fixed_point": [0.0, 1e300]}, "regression", "classification", "multitask",
]  # fmt: skip


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Apply one to three changes to the description, the entries or the numbers of the tensors."""
    description, entries, tensors = parts(data)
    tensors = bytearray(tensors)
    for _ in range(rng.randint(1, 3)):
        kind = rng.random()
        if kind < 0.6:
            description = changed(description, rng)
        elif kind < 0.75:
            entries = changed(entries, rng)
        else:
            _change_numbers(entries, tensors, rng)
    if not isinstance(entries, dict):
        entries = {"entries": entries}
    return joined(description, entries, bytes(tensors))


def _change_numbers(entries, tensors, rng):
    """Put NaN, infinity, zeros or negative numbers into a tensor, or fold its shape."""
    if not isinstance(entries, dict) or not entries:
        return
    entry = entries[rng.choice(sorted(entries, key=str))]
    try:
        begin, end = entry["data_offsets"]
        dtype = {"F32": "<f4", "F64": "<f8"}[entry["dtype"]]
        if rng.random() < 0.2:
            entry["shape"] = rng.choice([[*entry["shape"], 1], entry["shape"][::-1], [1]])
            return
        values = np.frombuffer(tensors[begin:end], dtype).copy()
        values[rng.randrange(len(values))] = rng.choice([np.nan, np.inf, 0, -1, 1e-45, 3e38])
        tensors[begin:end] = values.tobytes()
    except (KeyError, TypeError, ValueError, IndexError):
        return  # changed already


def changed(value, rng: random.Random):
    """Return a JSON value with one change at a random place."""
    if not isinstance(value, dict | list) or not value or rng.random() < 0.1:
        return rng.choice(NASTY)
    key = (
        rng.choice(sorted(value, key=str)) if isinstance(value, dict) else rng.randrange(len(value))
    )
    value = value.copy()
    kind = rng.random()
    if kind < 0.7:
        value[key] = changed(value[key], rng)
    elif kind < 0.8:
        del value[key]
    elif isinstance(value, list):
        value.insert(key, value[rng.randrange(len(value))])
    else:
        value[rng.choice(["units", "type", "extra", "shape", str(key)])] = rng.choice(NASTY)
    return value
