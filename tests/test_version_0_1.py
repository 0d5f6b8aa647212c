"""Files of version 0.1: models predict the same bits, runs resume to the same bits."""

import dataclasses
import json
import zlib

import numpy as np
import pytest
import version_0_1
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import fastsnn as fs
from fastsnn import checkpoint
from fastsnn.data import Split, Standardizer, Table
from fastsnn.data.assemble import assemble
from fastsnn.data.split import split
from fastsnn.runs import inference, run
from fastsnn.runs.config import RunConfig

each_task = pytest.mark.parametrize("task", version_0_1.TASKS)
TIMES = ("seconds", "samples_per_second")


def described(path):
    with safe_open(path, "numpy") as file:
        return json.loads(file.metadata()["fastsnn"])


def at(path, new, data):
    """Write a copy of a training state, with the path of its data replaced."""
    description, tensors = described(path), load_file(path)
    del description["crc32"]
    description["config"]["data"] = str(data)
    crc = zlib.crc32(json.dumps(description).encode())
    for name in sorted(tensors):
        crc = zlib.crc32(f"{name} {tensors[name].dtype} {tensors[name].shape}".encode(), crc)
        crc = zlib.crc32(tensors[name], crc)
    description["crc32"] = f"{crc:08x}"
    save_file(tensors, new, metadata={"fastsnn": json.dumps(description)})


@each_task
def test_predictions_keep_their_bits(task):
    path = version_0_1.FOLDER / f"{task}.safetensors"
    assert described(path)["version"] == "0.1.0"
    model, x = fs.load_model(path), version_0_1.features()
    assert model.inputs.mean.dtype == model.inputs.scale.dtype == np.float32
    expected = np.load(version_0_1.FOLDER / f"{task}.npy")
    for given in (x, x.astype(np.float32), x.tolist()):
        predicted = model.predict(given)
        assert predicted.dtype == np.float32 and np.array_equal(predicted, expected)
    text = inference.to_csv(model, expected).splitlines()[1].split(",")
    assert text[-1] == str(expected[0, -1])


def test_all_kinds_of_layers_keep_their_bits():
    model = fs.load_model(version_0_1.FOLDER / "layers.safetensors")
    assert model.task == "regression" and model.feature_names == ("a", "b", "ü")
    found = model.predict(np.float32([[1, 2, 3], [-4, 5, 6.5]]), threads=1)
    assert found.tolist() == [
        [-0.3966841697692871, -2.5064749717712402],
        [-0.0805736780166626, -2.1334638595581055],
    ]


@pytest.mark.parametrize("task", [*version_0_1.TASKS, "layers"])
def test_saved_again_it_is_the_same(task, tmp_path):
    path = version_0_1.FOLDER / f"{task}.safetensors"
    fs.load_model(path).save(tmp_path / "again")
    old, new = load_file(path), load_file(tmp_path / "again")
    assert old.keys() == new.keys()
    for name in old:
        assert old[name].dtype == new[name].dtype and np.array_equal(old[name], new[name])


each_run = pytest.mark.parametrize("name", version_0_1.RUNS)


def continues_with_the_same_bits(name, task, tmp_path):
    """Require that a resumed run ends with the tensors, history and learning rates of version
    0.1.

    It starts from NAME-last.safetensors and is compared with NAME-end.safetensors. Returns the
    history.
    """
    data = version_0_1.write_data(tmp_path, task)
    folder = tmp_path / "run"
    folder.mkdir()
    at(version_0_1.FOLDER / f"{name}-last.safetensors", folder / "last.safetensors", data)
    (folder / "model.safetensors").write_bytes((folder / "last.safetensors").read_bytes())
    end = version_0_1.FOLDER / f"{name}-end.safetensors"
    epochs = described(end)["config"]["epochs"]
    assert run.resume(folder)["epochs"] == epochs
    old, new = load_file(end), load_file(folder / "last.safetensors")
    assert old.keys() == new.keys()
    for tensor in old:
        assert np.array_equal(old[tensor], new[tensor]), tensor
    old, new = described(end)["history"], checkpoint.load_training(folder / "last.safetensors")[2]
    assert len(old) == len(new) == epochs
    for a, b in zip(old, new, strict=True):
        assert a.keys() == b.keys()
        for key in a.keys() - TIMES:
            # Losses use the logarithm of the system on which they were computed.
            exact = a[key] if "loss" not in key else pytest.approx(a[key], rel=1e-6)
            assert b[key] == exact, key
    return new


@each_task
def test_a_run_continues_with_the_same_bits(task, tmp_path):
    """Its standardization stays in float32, and its figures are those of version 0.1."""
    continues_with_the_same_bits(task, task, tmp_path)


@each_run
def test_a_run_of_each_method_continues_with_the_same_bits(name, tmp_path):
    task, options = version_0_1.RUNS[name]
    history = continues_with_the_same_bits(name, task, tmp_path)
    rates = [record["learning_rate"] for record in history]
    assert (min(rates) < max(rates)) == (options["schedule"] != "constant")


@each_run
def test_a_model_of_each_method_predicts_the_same_bits(name):
    model = fs.load_model(version_0_1.FOLDER / f"{name}-end.safetensors")
    with np.load(version_0_1.FOLDER / "runs.npz") as file:
        expected = file[name]
    for threads in (1, 2):
        predicted = model.predict(version_0_1.features(), threads=threads)
        assert predicted.dtype == expected.dtype and np.array_equal(predicted, expected)


def test_the_runs_cover_the_options_of_version_0_1():
    runs = version_0_1.RUNS
    options = [options for _, options in runs.values()]
    assert set(runs) == {
        "snn", "msra", "batchnorm", "layernorm", "weightnorm", "highway", "resnet",
    }  # fmt: skip
    assert {o["optimizer"] for o in options} == {"sgd", "adam", "adamw"}
    assert {bool(o.get("momentum")) for o in options if o["optimizer"] == "sgd"} == {True, False}
    assert {o["schedule"] for o in options} == {"constant", "cosine", "step", "plateau"}
    for name, (_, given) in runs.items():
        config = described(version_0_1.FOLDER / f"{name}-last.safetensors")["config"]
        assert config["method"] == name and given.items() <= config.items()


def test_rows_of_a_class_of_one_row_are_held_back_as_in_version_0_1():
    """They are not stratified: a run that started this way continues with the same rows."""
    x, y = version_0_1.features(), np.repeat([0, 1, 2], [40, 19, 1])
    table = Table("classification", Split(x, y), None, None, ("p", "q", "r"), None, None)
    _, plain = split(60, 0.2, 3)
    _, by_class = split(60, 0.2, 3, y)
    assert not np.array_equal(plain, by_class)
    for dtype, held in ((np.float32, plain), (np.float64, by_class)):
        dataset = assemble("t", table, 0.2, 3, "feature", dtype=dtype)
        assert np.array_equal(dataset.validation.x, dataset.inputs.transform(x, rows=held))
    images = dataclasses.replace(table, train=Split(x.astype(np.uint8), y))
    dataset = assemble("t", images, 0.2, 3, "feature", dtype=np.float32)
    assert np.array_equal(dataset.validation.y, y[by_class])


@pytest.mark.parametrize("header", [True, False])
def test_a_run_keeps_its_reading_of_line_1(header, tmp_path):
    """Version 0.1 had other rules, and no option for it."""
    rows = "".join(f"{i % 7},{i % 3},{i % 5},{'pq'[i % 2]}\n" for i in range(40))
    data = tmp_path / "t.csv"
    data.write_text("0,1,2,3\n" + rows)
    config = RunConfig(
        str(data), header=header, validation=0, layers=1, width=4, epochs=1, schedule="constant",
        threads=1,
    )  # fmt: skip
    run.run(config, tmp_path / "run")
    last = tmp_path / "run" / "last.safetensors"
    model, state, history, options = checkpoint.load_training(last)
    del options["header"]
    trainer = fs.Trainer(model.network, threads=1)
    trainer.load_state_dict(*state)
    checkpoint.save_training(last, model, trainer, history, options)
    assert run.resume(tmp_path / "run", epochs=2)["epochs"] == 2


@pytest.mark.parametrize("offset, lost", [(1.7e9, True), (2e4, False), (-3e6, True)])
def test_a_run_that_lost_digits_is_known(offset, lost):
    """It continues with the bits of version 0.1, and a line reports that digits are lost."""
    targets = Standardizer(np.full(1, offset, np.float32), np.full(1, 22, np.float32))
    network = fs.mlp(3, 1, layers=1, width=4)
    assert run._loses(fs.Model(network, "regression", targets=targets)) == lost
    exact = Standardizer(targets.mean.astype(float), targets.scale.astype(float))
    assert not run._loses(fs.Model(network, "regression", targets=exact))
