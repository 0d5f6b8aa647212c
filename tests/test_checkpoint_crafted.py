"""Crafted model files with correct checksums: each is refused in one line before it is used, at
a cost bounded by the size of the file.
"""

import json
import os
import struct
import threading
import tracemalloc

import numpy as np
import pytest
from fuzz import target_model
from fuzz.target_model import joined, parts

import fastsnn as fs
from fastsnn import checkpoint
from fastsnn.network import Network
from fastsnn.storage import files

DENSE = {"type": "Dense", "units": 2, "init": "lecun_normal", "weight_norm": False}
NAMES = {"classification": 0, "multitask": 1, "regression": 2}


def said(path, data, reader=fs.load_model):
    """Return the one-line message with which a file of these bytes is refused."""
    path.write_bytes(data)
    with pytest.raises(ValueError) as caught:
        reader(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ") and "\n" not in text and len(text) < len(str(path)) + 400
    return text


def described(of="classification", **changes):
    description, entries, tensors = parts(target_model.SEEDS[NAMES[of]])
    return joined(description | changes, entries, tensors)


DESCRIPTIONS = {
    "unknown task": ({"task": "clustering"}, "task: must be one of classification, multitask"),
    "task of another type": ({"task": ["regression"]}, "task: must be one of"),
    "one class": ({"class_names": ["no"]}, "class_names: 2 are required, got 1"),
    "three classes": ({"class_names": ["a", "b", "c"]}, "class_names: 2 are required, got 3"),
    "the same class twice": ({"class_names": ["no", "no"]}, "got 'no' twice"),
    "classes by number": ({"class_names": [0, 1]}, "class_names: a list of strings or null"),
    "a word for a list": ({"class_names": "no"}, "class_names: a list of strings or null"),
    "no column": ({"feature_names": ["a"]}, "feature_names: 3 are required, got 1"),
    "two targets": ({"target_names": ["a", "b"]}, "target_names: 1 are required, got 2"),
    "layers are an object": ({"layers": {"0": DENSE}}, "layers: a list is required"),
    "a layer is a text": ({"layers": ["Dense"]}, "layer: an object with a type is required"),
    "a layer of no type": ({"layers": [{"units": 2}]}, "layer: type must be one of Dense, SELU"),
    "a type of another type": ({"layers": [{"type": []}]}, "layer: type must be one of"),
    "no units": ({"layers": [{"type": "Dense"}]}, "Dense: units is required"),
    "units as text": ({"layers": [DENSE | {"units": "2"}]}, "Dense: units must be an int"),
    "units beyond 64 bits": ({"layers": [DENSE | {"units": 10**400}]}, "Dense: units must be at"),
    "Residual in Residual": (
        {"layers": [{"type": "Residual", "layers": [{"type": "Residual", "layers": []}]}]},
        "Residual: layers must be a list without another Residual",
    ),
    "size as text": ({"input_size": "3"}, "input_size must be an int, got '3'"),
    "size as bool": ({"input_size": True}, "input_size must be an int, got True"),
    "size below 1": ({"input_size": 0}, "input_size must be at least 1, got 0"),
    "size beyond 64 bits": ({"input_size": 10**400}, "0.weight has shape (4, 3)"),
}


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_invalid_descriptions(name, tmp_path):
    changes, text = DESCRIPTIONS[name]
    assert text in said(tmp_path / "m", described(**changes))


def test_classes_are_for_classification_alone(tmp_path):
    text = "class_names: only a classification has them"
    assert text in said(tmp_path / "m", described("multitask", class_names=["a", "b"]))
    assert "target_names: 2 are required, got 1" in said(
        tmp_path / "m", described("multitask", target_names=["a"])
    )


def rescaled(name, task="regression", shape=None, value=None, dtype=None):
    """Return a file whose tensor `name` has another shape or type, or another first value."""
    description, entries, tensors = parts(target_model.SEEDS[NAMES[task]])
    arrays = {}
    for other, entry in entries.items():
        (begin, end), kind = entry["data_offsets"], {"F32": "<f4", "F64": "<f8"}[entry["dtype"]]
        arrays[other] = np.frombuffer(tensors[begin:end], kind).reshape(entry["shape"]).copy()
    if shape is not None:
        arrays[name] = np.ones(shape, np.float32)
    if dtype is not None:
        arrays[name] = arrays[name].astype(dtype)
    if value is not None:
        arrays[name].flat[0] = value
    entries, content = {}, b""
    for other, array in arrays.items():
        kind = {4: "F32", 8: "F64"}[array.itemsize]
        place = [len(content), len(content) + array.nbytes]
        entries[other] = {"dtype": kind, "shape": list(array.shape), "data_offsets": place}
        content += array.tobytes()
    return joined(description, entries, content)


STANDARDIZERS = {
    "NaN": ("inputs.scale", {"value": np.nan}, "inputs.scale: finite numbers are required"),
    "infinity": ("inputs.mean", {"value": np.inf}, "inputs.mean: finite numbers are required"),
    "zero": ("inputs.scale", {"value": 0}, "inputs.scale: numbers > 0 are required, got 0.0"),
    "negative": ("targets.scale", {"value": -2}, "targets.scale: numbers > 0 are required, got -2"),
    "one for all": ("inputs.scale", {"shape": (1,)}, "shape (3,) is required, got (1,)"),
    "a row": ("inputs.mean", {"shape": (1, 3)}, "shape (3,) is required, got (1, 3)"),
    "a number": ("targets.mean", {"shape": ()}, "shape (2,) is required, got ()"),
    "too many": ("targets.scale", {"shape": (3,)}, "shape (2,) is required, got (3,)"),
    "half of them float64": ("inputs.mean", {"dtype": np.float32}, "inputs.scale: float32 is"),
    "a weight in float64": ("0.weight", {"dtype": np.float64}, "0.weight must be float32"),
    "a weight that broadcasts": ("0.weight", {"shape": (1, 3)}, "0.weight has shape (1, 3)"),
    "an unknown tensor": ("extra", {"shape": (2,)}, "the network has no 'extra'"),
}


@pytest.mark.parametrize("name", STANDARDIZERS)
def test_invalid_numbers(name, tmp_path):
    tensor, change, text = STANDARDIZERS[name]
    assert text in said(tmp_path / "m", rescaled(tensor, **change))


def test_targets_are_for_regression_alone(tmp_path):
    description, entries, tensors = parts(target_model.SEEDS[2])
    data = joined(description | {"task": "multitask"}, entries, tensors)
    assert "targets.mean: only a regression has one" in said(tmp_path / "m", data)


def test_float64_standardizers_are_kept(tmp_path):
    """Version 0.1 wrote float32; both kinds survive a round trip to the bit."""
    for dtype in (np.float32, np.float64):
        model = target_model.models()[0]
        inputs = type(model.inputs)(np.full(3, 0.1, dtype), np.full(3, 1.7e9, dtype))
        fs.Model(model.network, model.task, inputs).save(tmp_path / "m")
        found = fs.load_model(tmp_path / "m").inputs
        assert found.mean.dtype == found.scale.dtype == dtype
        assert (found.mean == inputs.mean).all() and (found.scale == inputs.scale).all()


def written(header: dict | str, tensors=b""):
    text = header if isinstance(header, str) else json.dumps(header)
    return struct.pack("<Q", len(text)) + text.encode() + tensors


OURS = {"__metadata__": {"fastsnn": "{}"}}
ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
HEADERS = {
    "a list": (written("[]"), "damaged or of another type (its header is not a JSON object)"),
    "deep": (written("[" * 100_000), "its JSON is nested too deeply"),
    "a name twice": (written('{"a": 1, "a": 2}'), "a duplicate name"),
    "a long number": (written(f'{{"a": {"1" * 5000}}}'), "Exceeds the limit"),
    "no UTF-8": (struct.pack("<Q", 1) + b"\xff", "not UTF-8"),
    "longer than the file": (struct.pack("<Q", 2**63), "a header of 9223372036854775808 bytes"),
    "metadata of another type": (written({"__metadata__": [1]}), "written by another program"),
    "bfloat16": (written({"a": ONE | {"dtype": "BF16"}}, b"1234"), "written by another program"),
    "float8": (
        written(OURS | {"a": ONE | {"dtype": "F8_E4M3"}}, b"1234"),
        "tensor 'a' has the dtype 'F8_E4M3', not F32 or F64",
    ),
    "an entry without a shape": (written(OURS | {"a": {"dtype": "F32"}}), "tensor 'a' needs dtype"),
    "a negative shape": (written(OURS | {"a": ONE | {"shape": [-1]}}), "has the shape [-1]"),
    "a shape of bools": (written(OURS | {"a": ONE | {"shape": [True]}}), "has the shape [True]"),
    "a large shape": (written(OURS | {"a": ONE | {"shape": [2**40] * 3}}), "and other offsets"),
    "nine dimensions": (written(OURS | {"a": ONE | {"shape": [1] * 9}}), "has the shape [1, 1"),
    "bytes that are missing": (written(OURS | {"a": ONE}, b"123"), "need 4 bytes, it has 3"),
    "bytes too many": (written(OURS | {"a": ONE}, b"12345"), "need 4 bytes, it has 5"),
    "tensors that overlap": (written(OURS | {"a": ONE, "b": ONE}, b"1234"), "do not follow"),
    "no format": (written(OURS), "damaged (its description has no format)"),
    "description is a list": (
        written({"__metadata__": {"fastsnn": "[]"}}), "damaged (its description has no format)",
    ),
    "deep description": (
        written({"__metadata__": {"fastsnn": "[" * 100_000}}), "its JSON is nested too deeply",
    ),
    "a format that is no number": (
        written({"__metadata__": {"fastsnn": '{"format": "1"}'}}), "damaged",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADERS)
def test_invalid_headers(name, tmp_path):
    data, text = HEADERS[name]
    for reader in (fs.load, fs.load_model, checkpoint.load_training):
        assert text in said(tmp_path / "m", data, reader)


def test_a_small_file_costs_little(tmp_path):
    """The description has layers of 6 GB, for which the file has no tensor."""
    wide = [DENSE | {"units": 30_000}, {"type": "SELU", "fixed_point": [0.0, 1.0]}, DENSE]
    data = [
        described(layers=wide, input_size=50_000),
        described(layers=[DENSE] * 10_000),
        described(layers=[DENSE, {"type": "Residual", "layers": [{"type": "ReLU"}] * 10_000}]),
    ]
    for content in data:
        tracemalloc.start()
        said(tmp_path / "m", content, fs.load)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2_000_000 + 40 * len(content)


def test_no_weights_are_drawn_for_a_file(tmp_path, monkeypatch):
    net = target_model.models()[1].network
    net.save(tmp_path / "n")
    monkeypatch.setattr("fastsnn.engine.initialize.initialize", None)
    found = fs.load(tmp_path / "n")
    assert all((found.state_dict()[n] == a).all() for n, a in net.state_dict().items())
    monkeypatch.undo()
    with pytest.raises(TypeError):
        Network(net.layers, net.input_size, seed=None)


def test_a_file_that_is_cut_while_it_is_read(tmp_path, monkeypatch):
    """If the file were mapped, this would end the process."""
    path = tmp_path / "m"
    fs.mlp(100, 2, layers=1, width=100).save(path)  # larger than the buffer of an open file
    real = np.empty

    def cut(*arguments):
        os.truncate(path, 100)
        return real(*arguments)

    monkeypatch.setattr("fastsnn.storage.tensorfile.np.empty", cut)
    with pytest.raises(ValueError, match="it became shorter while it was read"):
        fs.load(path)


def test_nothing_is_written_that_would_be_refused(tmp_path):
    path = tmp_path / "m"
    model = target_model.models()[0]
    model.save(path)
    before = path.read_bytes()
    parts = model.network, "classification", model.inputs
    with pytest.raises(ValueError, match="nothing was written: class_names: .* got 'a' twice"):
        fs.Model(*parts, None, ("a", "a")).save(path)
    state = model.network.state_dict()
    for name in ("0.weight", "3.bias"):
        view = model.network.buffer._tensors[name]  # as a faulty engine would
        for value in (np.nan, np.inf, -np.inf):
            view.flat[-1] = value
            with pytest.raises(FloatingPointError, match=f"{name} has NaN or infinity; nothing"):
                model.save(path)
            with pytest.raises(FloatingPointError, match="the previous file, if any, is kept"):
                model.network.save(path)
        view[:] = state[name]
    assert path.read_bytes() == before


def test_the_umask_is_left_alone(tmp_path):
    """A file that another thread creates in the meantime keeps its permissions."""
    stop, seen = threading.Event(), set()

    def others():
        while not stop.is_set():
            descriptor = os.open(tmp_path / "other", os.O_CREAT | os.O_WRONLY, 0o666)
            seen.add(os.fstat(descriptor).st_mode & 0o777)
            os.close(descriptor)
            os.unlink(tmp_path / "other")

    before = os.umask(0o077)
    thread = threading.Thread(target=others)
    try:
        thread.start()
        for _ in range(200):
            files.replace(tmp_path / "f", b"x")
        stop.set()
        thread.join()
        assert seen == {0o600} and (tmp_path / "f").stat().st_mode & 0o777 == 0o600
    finally:
        stop.set()
        os.umask(before)


def test_a_long_name(tmp_path):
    path = tmp_path / ("n" * 250)
    files.replace(path, b"x")
    assert path.read_bytes() == b"x" and len(os.listdir(tmp_path)) == 1
