"""A training run as a library function: its folder, its best epoch, its end."""

import json
import tomllib

import numpy as np
import pytest
from safetensors.numpy import load_file

import fastsnn as fs
from fastsnn import checkpoint, data
from fastsnn.runs import inference
from fastsnn.runs.config import RunConfig
from fastsnn.runs.folder import RunFolder
from fastsnn.runs.run import resume, run

SMALL = {"layers": 3, "width": 16, "epochs": 5, "batch_size": 64, "learning_rate": 0.05}


def small(**options):
    return RunConfig(**(SMALL | {"threads": 1} | options))


class DivergesAfter:
    def __init__(self, epochs):
        self.epochs = epochs

    def on_batch_end(self, trainer, samples, loss):
        if trainer.step_count > self.epochs * -(-1294 // 64):
            raise FloatingPointError("training diverged in step 7")


def test_folder_and_figures(tmp_path):
    result = run(small(), tmp_path / "r")
    folder = RunFolder(result["model"].removesuffix("/model.safetensors"))
    assert (
        tomllib.loads(folder.config.read_text())
        == small().settled(1294, "classification").to_dict()
    )
    lines = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4, 5]

    chosen = max(lines, key=lambda r: (r["validation_accuracy"], -r["validation_loss"]))
    assert result["best_epoch"] == chosen["epoch"]
    for name in ("train_loss", "validation_loss", "validation_accuracy"):
        assert result[name] == chosen[name]

    digits = data.load("digits")
    model = fs.load_model(folder.model)
    assert model.judge(digits.validation)["accuracy"] == result["validation_accuracy"]
    assert model.judge(digits.test)["loss"] == result["test_loss"]
    raw = data.read_named("digits").test
    assert model.evaluate(raw.x, raw.y)["loss"] == result["test_loss"]


def test_bits_do_not_depend_on_threads(tmp_path):
    one, two = (run(small(threads=n), tmp_path / str(n)) for n in (1, 2))
    assert (tmp_path / "1/model.safetensors").read_bytes() == (
        tmp_path / "2/model.safetensors"
    ).read_bytes()
    timed = {"seconds", "compile_seconds", "samples_per_second", "threads", "model"}
    assert {k: v for k, v in one.items() if k not in timed} == {
        k: v for k, v in two.items() if k not in timed
    }


def test_without_validation_data_the_last_epoch_is_kept(tmp_path):
    result = run(small(validation=0.0, epochs=2, schedule="plateau"), tmp_path)
    assert result["best_epoch"] == 2 and "validation_loss" not in result
    best, last = (load_file(tmp_path / f"{name}.safetensors") for name in ("model", "last"))
    assert all(np.array_equal(best[name], last[name]) for name in best)


def test_patience(tmp_path):
    """With learning rate 0 nothing improves after the first epoch."""
    result = run(small(learning_rate=0.0, patience=2, epochs=50), tmp_path)
    assert result["epochs"] == 3 and result["best_epoch"] == 1
    assert resume(tmp_path)["epochs"] == 3


def test_regression_is_judged_in_the_units_of_the_data(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2)).astype(np.float32)
    y = x * [1000, 10] + 7
    np.savez(tmp_path / "d.npz", x=x, y=y)
    result = run(small(data=str(tmp_path / "d.npz"), epochs=20), tmp_path / "r")
    loaded = data.load(tmp_path / "d.npz")
    model = fs.load_model(result["model"])
    error = model.predict(
        model.inputs.inverse_transform(loaded.validation.x)
    ) - loaded.targets.inverse_transform(loaded.validation.y)
    assert result["validation_rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-3)


def test_a_target_with_an_offset_is_judged_by_the_values_of_the_file(tmp_path):
    """Times differ by 22 s: in float32 they would be one value, and the error nearly 0."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2))
    y = 1.7e9 + rng.normal(0, 22, 200)
    table = np.column_stack([x, y])
    np.savetxt(tmp_path / "t.csv", table, fmt="%.9f", delimiter=",", header="a,b,t", comments="")
    result = run(small(data=str(tmp_path / "t.csv"), epochs=2), tmp_path / "r")
    held = data.load(tmp_path / "t.csv").validation.raw_y
    assert {value for (value,) in held} <= set(y) and len(held) == 20
    assert 10 < result["validation_rmse"] < 60 and held.std() > 10
    model, figures = fs.load_model(tmp_path / "r"), {}
    figures = inference.evaluate(model, str(tmp_path / "t.csv"))
    error = np.array([
        float(line) for line in inference.to_csv(
            model, inference.predict(model, str(tmp_path / "t.csv"))
        ).splitlines()[1:]
    ]) - y  # fmt: skip
    assert figures["rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-6)
    assert figures["r2"] == pytest.approx(1 - (error**2).sum() / y.var() / 200, rel=1e-6)


def test_diverged_training_keeps_the_best_model(tmp_path):
    with pytest.raises(
        FloatingPointError, match=r"the best model, of epoch 2, is stored in .*model.safetensors"
    ):
        run(small(), tmp_path, callbacks=[DivergesAfter(2)])
    assert fs.load_model(tmp_path / "model.safetensors").task == "classification"
    assert len(checkpoint.load_training(tmp_path / "last.safetensors")[2]) == 2


def test_diverged_in_the_first_epoch_leaves_nothing(tmp_path):
    with pytest.raises(FloatingPointError, match="step .* 10 times smaller.* no model was stored"):
        run(small(learning_rate=1e9), tmp_path / "r")
    assert not (tmp_path / "r").exists()
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "notes.txt").write_text("mine")
    with pytest.raises(FloatingPointError):
        run(small(learning_rate=1e9), tmp_path / "r")
    assert [path.name for path in (tmp_path / "r").iterdir()] == ["notes.txt"]


def test_a_disk_that_fills_up_in_the_first_epoch(tmp_path, monkeypatch):
    """Files written before remain, and the run can be resumed."""

    def full(*_):
        raise RuntimeError("no space")

    monkeypatch.setattr(RunFolder, "write_metrics", full)
    with pytest.raises(RuntimeError, match="no space"):
        run(small(), tmp_path)
    assert fs.load_model(tmp_path / "model.safetensors").task == "classification"
    monkeypatch.undo()
    assert resume(tmp_path)["epochs"] == 5


def test_no_run_is_overwritten(tmp_path):
    run(small(epochs=1), tmp_path)
    before = (tmp_path / "model.safetensors").read_bytes()
    with pytest.raises(ValueError, match="--resume"):
        run(small(epochs=1, seed=1), tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == before


def test_one_process_a_folder(tmp_path):
    folder = RunFolder(tmp_path)
    with folder.locked(), pytest.raises(RuntimeError, match="another process"):
        run(small(), tmp_path)


@pytest.mark.parametrize(
    "rows, epochs, batch_size, rate",
    [(54000, 22, 128, 0.04), (5000, 22, 128, 0.04), (4999, 40, 32, 0.01), (1294, 40, 32, 0.01),
     (400, 128, 32, 0.01), (20, 400, 32, 0.01)],
)  # fmt: skip
def test_defaults_by_the_number_of_rows(rows, epochs, batch_size, rate):
    plain = RunConfig().settled(rows, "classification")
    assert (plain.epochs, plain.batch_size, plain.learning_rate) == (epochs, batch_size, rate)
    assert plain.weight_decay == 0.0
    adamw = RunConfig(optimizer="adamw", layers=64).settled(rows, "classification")
    assert (adamw.learning_rate, adamw.weight_decay) == (1e-4, 0.01)
    given = RunConfig(
        layers=32, epochs=3, batch_size=7, learning_rate=1, weight_decay=0.5, dropout=0
    )
    assert given.settled(rows, "classification") == given and given.learning_rate == 1.0


@pytest.mark.parametrize(
    "layers, dropout, rate",
    [(1, 0.05, 0.04), (10, 0.05, 0.04), (32, 0.015625, 0.04), (128, 0.00390625, 0.02)],
)
def test_defaults_by_depth(layers, dropout, rate):
    settled = RunConfig(layers=layers).settled(54000, "multitask")
    assert (settled.dropout, settled.learning_rate) == (dropout, rate)


@pytest.mark.parametrize("rows, epochs", [(54000, 22), (5000, 22), (4999, 40), (270, 190)])
def test_defaults_of_regression(rows, epochs):
    """4 layers without dropout: 32 lose to a linear fit. Explicitly given layers are kept."""
    settled = RunConfig().settled(rows, "regression")
    rate, batch_size = (0.01, 128) if rows >= 5000 else (0.005, 32)
    assert (settled.layers, settled.dropout, settled.learning_rate) == (4, 0.0, rate)
    assert (settled.batch_size, settled.epochs) == (batch_size, epochs)
    assert settled.weight_decay == 10 / rows
    deep = RunConfig(layers=32).settled(rows, "regression")
    assert (deep.layers, deep.dropout, deep.learning_rate) == (32, 0.0, pytest.approx(rate / 4))
    assert RunConfig(layers=2).settled(rows, "regression").learning_rate == rate
    given = RunConfig(layers=3, dropout=0.1, learning_rate=0.5).settled(rows, "regression")
    assert (given.layers, given.dropout, given.learning_rate) == (3, 0.1, 0.5)
    adam = RunConfig(optimizer="adam").settled(rows, "regression")
    assert (adam.layers, adam.learning_rate, adam.weight_decay) == (4, 1e-4, 0.0)
    assert RunConfig(optimizer="adamw").settled(rows, "regression").weight_decay == 0.01
    assert RunConfig().settled(20, "regression").weight_decay == 0.1
    for task in ("classification", "multitask"):
        assert RunConfig().settled(rows, task).layers == 32


@pytest.mark.parametrize(
    "options, error, words",
    [
        ({"epochs": 0}, ValueError, "epochs: at least 1"),
        ({"epochs": 1.5}, TypeError, "epochs: a whole number"),
        ({"batch_size": True}, TypeError, "batch_size"),
        ({"patience": -1}, ValueError, "patience"),
        ({"optimizer": "sdg"}, ValueError, "one of sgd, adam, adamw"),
        ({"schedule": "cos"}, ValueError, "one of constant"),
        ({"optimizer": "adam", "momentum": 0.9}, ValueError, "only sgd"),
        (
            {"precision": "tf32"},
            ValueError,
            "tf32 is available with backend cuda only, got backend cpu",
        ),
        ({"seed": -1}, ValueError, "seed"),
    ],
)
def test_options_are_checked(options, error, words):
    with pytest.raises(error, match=words):
        RunConfig(**options)
