"""Model files: contents survive a round trip to the bit, damaged files are refused, and the
previous file survives a failed write.
"""

import errno
import json
import os
import struct

import numpy as np
import pytest
from safetensors.numpy import load as from_bytes
from safetensors.numpy import save as to_bytes

import fastsnn as fs
from fastsnn import checkpoint
from fastsnn.data.standardize import Standardizer
from fastsnn.storage import files, modelfile
from fastsnn.storage.description import NAMES

TASKS = {
    "classification": ("softmax_cross_entropy", lambda rng: rng.integers(3, size=30)),
    "multitask": (
        "sigmoid_cross_entropy",
        lambda rng: rng.choice(np.float32([0, 1, np.nan]), size=(30, 3)),
    ),
    "regression": ("mse", lambda rng: rng.normal(size=(30, 3)).astype(np.float32)),
}
LAYERS = [
    fs.Dense(7), fs.SELU(), fs.AlphaDropout(0.05), fs.Dense(6), fs.ReLU(), fs.Dropout(0.1),
    fs.Dense(5), fs.Tanh(), fs.Dense(3),
]  # fmt: skip


def new_model(task="classification"):
    rng = np.random.default_rng(1)
    raw = (rng.normal(size=(30, 4)) * 7 + 3).astype(np.float32)
    net = fs.Network(LAYERS, input_size=4, seed=5)
    model = fs.Model(
        net,
        task,
        Standardizer.fit(raw),
        Standardizer.fit(rng.normal(size=(30, 3)) * 9) if task == "regression" else None,
        ("no", "Größe 2", "\N{SNOWMAN}") if task == "classification" else None,
        ("a", "b", "c, d", "e") if task != "multitask" else None,
        ("t0", "t1", "t2") if task != "classification" else None,
    )
    return model, raw


def trained(task, optimizer=None):
    model, raw = new_model(task)
    loss, labels = TASKS[task]
    trainer = fs.Trainer(model.network, loss, optimizer or fs.Adam(0.01), threads=1, seed=3)
    x, y = model.inputs.transform(raw), labels(np.random.default_rng(2))
    history = trainer.fit(x, y, epochs=2, batch_size=8)
    return model, raw, trainer, history, (x, y)


def same(one, two):
    assert one.keys() == two.keys()
    for name, a in one.items():
        b = two[name]
        assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes(), name


def test_a_network_survives_a_round_trip(tmp_path):
    net = trained("classification")[0].network
    net.save(tmp_path / "n.safetensors")
    found = fs.load(tmp_path / "n.safetensors")
    same(found.state_dict(), net.state_dict())
    assert found.layers == net.layers and found.input_size == net.input_size
    x = np.random.default_rng(3).normal(size=(50, 4)).astype(np.float32)
    same({"": found.forward(x)}, {"": net.forward(x)})


def statistics(part):
    return {"mean": part.mean, "scale": part.scale, "log": np.array(part.log)}


@pytest.mark.parametrize("task", TASKS)
def test_a_model_survives_a_round_trip(tmp_path, task):
    model, raw, *_ = trained(task)
    path = tmp_path / "m.safetensors"
    model.save(path)
    found = fs.load_model(str(path))
    same(found.network.state_dict(), model.network.state_dict())
    same(statistics(found.inputs), statistics(model.inputs))
    assert (found.targets is None) == (task != "regression")
    if found.targets is not None:
        same(statistics(found.targets), statistics(model.targets))
    assert found.task == task
    for name in NAMES:
        assert getattr(found, name) == getattr(model, name)
    same({"": found.predict(raw)}, {"": model.predict(raw)})
    same(fs.load(path).state_dict(), model.network.state_dict())  # its network alone


@pytest.mark.parametrize("optimizer", [fs.SGD(0.01), fs.SGD(0.01, momentum=0.9), fs.AdamW(0.01)])
def test_a_training_survives_a_round_trip(tmp_path, optimizer):
    model, _, trainer, history, (x, y) = trained("multitask", optimizer)
    path = tmp_path / "last.safetensors"
    config = {"seed": 2**64 - 1, "rate": 0.1, "name": "ä", "threads": None}
    checkpoint.save_training(path, model, trainer, history, config)
    found, state, records, options = checkpoint.load_training(path)
    assert records == history and options == config
    again = fs.Trainer(found.network, trainer.loss, optimizer, threads=1, seed=3)
    again.load_state_dict(*state)
    for _ in range(3):
        assert again.step(x, y) == trainer.step(x, y)
    same(found.network.state_dict(), model.network.state_dict())
    same(again.state_dict()[0], trainer.state_dict()[0])
    assert again.state_dict()[1] == trainer.state_dict()[1]
    checkpoint.load_model(path)  # it holds a model as well


def test_a_file_is_the_same_whenever_it_is_written(tmp_path):
    model, _ = new_model()
    model.save(tmp_path / "m")
    first = (tmp_path / "m").read_bytes()
    for _ in range(20):  # an unordered collection would be written in another order
        model.save(tmp_path / "m")
        assert (tmp_path / "m").read_bytes() == first


def test_other_programs_read_the_tensors(tmp_path):
    model, _ = new_model()
    model.save(tmp_path / "m")
    tensors = from_bytes((tmp_path / "m").read_bytes())
    same({n: tensors[n] for n in model.network.state_dict()}, model.network.state_dict())
    assert tensors.keys() - model.network.state_dict().keys() == {"inputs.mean", "inputs.scale"}


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "m.safetensors"
    new_model()[0].save(path)
    return path


READERS = {"load": fs.load, "load_model": fs.load_model, "training": checkpoint.load_training}


def refused(path, *parts, reader=fs.load_model):
    """Require a ValueError with a text of one line that names the file and contains all parts."""
    with pytest.raises(ValueError) as caught:
        reader(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ") and "\n" not in text
    for part in parts:
        assert part in text


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_truncated(written, reader):
    whole = written.read_bytes()
    for size in (0, 1, 7, 8, 9, 100, len(whole) // 2, len(whole) - 4, len(whole) - 1):
        written.write_bytes(whole[:size])
        refused(written, "safetensors", "damaged", "use an earlier copy", reader=reader)
    written.write_bytes(whole + b"\0")
    refused(written, "damaged", reader=reader)


def test_one_byte_changed(written):
    """The byte may be anywhere: sizes, names, description, padding, a number of a tensor."""
    whole = bytearray(written.read_bytes())
    head = 8 + struct.unpack("<Q", whole[:8])[0]
    places = {*range(8), *range(8, head, 5), head, *range(head, len(whole), 7), len(whole) - 1}
    for place in sorted(places):
        for change in (1, 0x80):
            damaged = whole.copy()
            damaged[place] ^= change
            written.write_bytes(damaged)
            refused(written)
    written.write_bytes(whole)
    fs.load_model(written)


def test_no_model_file(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("a plain text file, longer than eight bytes")
    refused(text, "a safetensors file is required")
    refused(tmp_path / "absent", "no such file", "fastsnn train")
    with pytest.raises(ValueError, match="model.safetensors: there is no such file"):
        fs.load(tmp_path)
    foreign = tmp_path / "foreign.safetensors"
    foreign.write_bytes(to_bytes({"0.weight": np.zeros((2, 2), np.float32)}))
    refused(foreign, "a model file of fastsnn is required", "another program")
    foreign.write_bytes(to_bytes({"a": np.zeros(2)}, metadata={"format": "pt"}))
    refused(foreign, "a model file of fastsnn is required", "another program")
    foreign.write_bytes(to_bytes({"a": np.zeros(2)}, metadata={"fastsnn": "{"}))
    refused(foreign, "damaged")


def rewritten(path, change):
    """Write the file with another description and other tensors, and a correct checksum."""
    tensors, description = modelfile.read(path)
    change(tensors, description)
    description["crc32"] = modelfile.checksum(description, tensors)
    path.write_bytes(to_bytes(tensors, metadata={"fastsnn": json.dumps(description)}))


def test_a_newer_format(written):
    rewritten(written, lambda _, d: d.update(format=modelfile.FORMAT + 1, version="9.9.9"))
    refused(written, f"format 1 or {modelfile.FORMAT} is required", f"got {modelfile.FORMAT + 1}",
            "fastsnn 9.9.9: use that version")  # fmt: skip


def without(name):
    return lambda tensors, _: tensors.pop(name)


CHANGES = {
    "no weight": (without("3.weight"), ["are inconsistent", "3.weight"]),
    "no mean": (without("inputs.mean"), ["inputs.mean", "missing"]),
    "another shape": (
        lambda t, _: t.update({"0.weight": np.zeros((7, 5), np.float32)}),
        ["0.weight has shape (7, 5)", "(7, 4)"],
    ),
    "not finite": (
        lambda t, _: t["6.bias"].__setitem__(0, np.nan),
        ["6.bias must be finite"],
    ),
    "other layers": (
        lambda _, d: d["layers"].pop(),
        ["are inconsistent", "the last layer must be a Dense"],
    ),
    "unknown layer": (
        lambda _, d: d["layers"].insert(1, {"type": "Conv"}),
        ["are inconsistent", "Conv"],
    ),
    "unknown option": (
        lambda _, d: d["layers"][0].update(groups=2),
        ["are inconsistent", "groups"],
    ),
    "a rate of 2": (
        lambda _, d: d["layers"][2].update(rate=2),
        ["are inconsistent", "rate must be in [0, 1)"],
    ),
    "no size": (lambda _, d: d.pop("input_size"), ["are inconsistent", "input_size"]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_does_not_fit_together(written, change):
    edit, parts = CHANGES[change]
    rewritten(written, edit)
    refused(written, *parts)


def test_the_wrong_one_of_three_files(tmp_path):
    model, _ = new_model()
    model.network.save(tmp_path / "n")
    refused(tmp_path / "n", "holds a network alone", "fastsnn.load")
    model.save(tmp_path / "m")
    refused(tmp_path / "m", "no training to resume", reader=checkpoint.load_training)


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_writing_keeps_the_file(written, monkeypatch, step):
    before = written.read_bytes()
    model, _ = new_model()
    net = model.network
    net.load_state_dict({name: 0 * tensor for name, tensor in net.state_dict().items()})

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, step, full)
    with pytest.raises(RuntimeError) as caught:
        model.save(written)
    monkeypatch.undo()
    assert str(caught.value).startswith(f"{written}: could not be written (No space left")
    assert "previous file" in str(caught.value) and "free some space" in str(caught.value)
    assert written.read_bytes() == before and os.listdir(written.parent) == [written.name]
    model.save(written)
    assert not fs.load_model(written).network.parameters.any()
    assert os.listdir(written.parent) == [written.name]


def test_paths_that_cannot_be_written(tmp_path):
    net = new_model()[0].network
    with pytest.raises(RuntimeError, match=r"No such file or directory.*another folder"):
        net.save(tmp_path / "absent" / "n.safetensors")
    (tmp_path / "taken").mkdir()
    with pytest.raises(RuntimeError, match="could not be written"):
        net.save(tmp_path / "taken")
    assert os.listdir(tmp_path) == ["taken"] and not os.listdir(tmp_path / "taken")


def test_files_have_the_usual_permissions(tmp_path):
    before = os.umask(0o027)
    try:
        new_model()[0].network.save(tmp_path / "n")
    finally:
        os.umask(before)
    assert (tmp_path / "n").stat().st_mode & 0o777 == 0o640
