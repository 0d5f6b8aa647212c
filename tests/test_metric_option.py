"""A metric selects the best epoch: in `Trainer.fit`, runs, searches and on the command line."""

import json

import numpy as np
import pytest
from commands import call, result_of

import fastsnn as fs
from fastsnn import metrics
from fastsnn.runs.config import RunConfig
from fastsnn.runs.run import resume, run
from fastsnn.search import BestEpoch, ModelSelection

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4)).astype(np.float32)
Y = (X[:, 0] + RNG.normal(size=120) > 1).astype(np.int64)  # 0 is the frequent class
SMALL = {"layers": 2, "width": 8, "epochs": 6, "threads": 1, "validation": 0.3}


def fit(*callbacks, **options):
    trainer = fs.Trainer(fs.mlp(4, 2, layers=2, width=8, seed=0), optimizer=fs.SGD(0.05), threads=1)
    held = X[:60], Y[:60]
    options = {"validation_data": held, "epochs": 8, "batch_size": 20} | options
    return trainer, trainer.fit(X[60:], Y[60:], callbacks=callbacks, **options), held


def bits(trainer):
    return {name: value.tobytes() for name, value in trainer.network.state_dict().items()}


@pytest.mark.parametrize("name", [*metrics.names_of("classification"), "loss"])
def test_early_stopping_by_each_metric(name):
    monitor = f"validation_{name}"
    trainer, history, held = fit(fs.EarlyStopping(monitor, patience=None))
    larger = metrics.LARGER_IS_BETTER[name]
    curve = [record[monitor] for record in history]
    best = max(curve) if larger else min(curve)
    assert trainer.evaluate(*held)[name] == best
    usual = {"validation_loss", "validation_accuracy"}
    assert {key for key in history[0] if key.startswith("valid")} == usual | {monitor}


def test_a_monitored_metric_changes_no_bit_of_a_training():
    plain, monitored = fit()[0], fit(fs.EarlyStopping("validation_f1", None, restore_best=False))[0]
    assert bits(plain) == bits(monitored)


@pytest.mark.parametrize(
    "watching",
    [
        {"schedule": fs.schedules.ReduceOnPlateau("validation_balanced_accuracy")},
        {"callbacks": [BestEpoch(ModelSelection(window=2, metric="balanced_accuracy"))]},
    ],
)
def test_a_plateau_and_a_selection_monitor_it(watching):
    callbacks = watching.pop("callbacks", [])
    _, history, _ = fit(*callbacks, **watching)
    assert all("validation_balanced_accuracy" in record for record in history)


def test_a_metric_of_another_task_or_parameter_is_named():
    with pytest.raises(ValueError, match="monitor: one of .*got 'validation_rmse'; .* of the task"):
        fit(fs.EarlyStopping("validation_rmse"))
    with pytest.raises(ValueError, match=r"metric: pinball:Q with a number in \(0, 1\) is requ"):
        metrics.each_epoch("regression", [fs.EarlyStopping("validation_pinball:2")])
    with pytest.raises(ValueError, match="metric: must be one of loss, accuracy, .*got 'f1:0.5'"):
        metrics.metric_of("f1:0.5", "classification")
    with pytest.raises(ValueError, match="metric: must be one of accuracy, auc, .* got 'speed'"):
        RunConfig(metric="speed")


def test_a_training_goes_on_with_another_metric():
    """Epochs before it was monitored have no value, so they are not the best."""
    trainer, history, held = fit(epochs=2)
    stop = fs.EarlyStopping("validation_f1", patience=None)
    trainer.fit(
        X[60:], Y[60:], epochs=5, batch_size=20, validation_data=held, callbacks=[stop],
        history=history,
    )  # fmt: skip
    best = max(record["validation_f1"] for record in history[2:])
    assert trainer.evaluate(*held)["f1"] == best


def test_weights_of_rows():
    trainer, _, (x, y) = fit(epochs=1)
    w = np.where(y == 1, 2.0, 0.0)
    found = trainer.evaluate(x, y, sample_weight=w)
    assert found["accuracy"] == trainer.evaluate(x[y == 1], y[y == 1])["accuracy"]
    assert found["loss"] == pytest.approx(trainer.evaluate(x[y == 1], y[y == 1])["loss"])
    model = fs.Model(trainer.network, "classification")
    assert model.evaluate(x, y, sample_weight=w)["f1"] == found["f1"]
    for bad, words in (
        (w[1:], "shape"), (-w, "finite numbers >= 0"), (0 * w, "a weight above 0 is required"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"sample_weight: .*{words}"):
            model.evaluate(x, y, sample_weight=bad)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "t.csv"
    np.savetxt(path, np.column_stack([X, Y]), "%g", ",", header="a,b,c,d,y", comments="")
    return str(path)


def lines_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("metric", ["log_loss", "f1", "accuracy", "loss"])
def test_a_run(metric, table, tmp_path):
    config = RunConfig(**SMALL, data=table, metric=metric)
    result = run(config, tmp_path / "r")
    key = f"validation_{metric}"
    records = lines_of(tmp_path / "r")
    best = (max if metrics.LARGER_IS_BETTER[metric] else min)(record[key] for record in records)
    assert result[key] == best == records[result["best_epoch"] - 1][key]
    again = resume(tmp_path / "r", metric=metric)
    assert again["best_epoch"] == result["best_epoch"] and again[key] == best
    assert resume(tmp_path / "r")[key] == best
    with pytest.raises(ValueError, match="the run was started with metric .*got auc"):
        resume(tmp_path / "r", metric="auc")
    if metric in ("accuracy", "loss"):
        usual = run(RunConfig(**SMALL, data=table), tmp_path / "usual")
        assert result.keys() == usual.keys() and usual["validation_accuracy"] == max(
            record["validation_accuracy"] for record in records
        )
        assert "metric" not in (tmp_path / "usual" / "config.toml").read_text()


def test_an_interrupted_run_goes_on(table, tmp_path):
    class Kill:
        def on_epoch_end(self, trainer, history):
            if len(history) == 3:
                raise KeyboardInterrupt

    config = RunConfig(**SMALL, data=table, metric="balanced_accuracy", patience=4)
    whole = run(config, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(config, tmp_path / "r", callbacks=[Kill()])
    rest = resume(tmp_path / "r")
    for name in ("best_epoch", "validation_balanced_accuracy", "epochs"):
        assert rest[name] == whole[name]


def test_what_a_run_cannot_select_by(table, tmp_path):
    for options, words in (
        ({"metric": "rmse"}, "metric: must be one of loss, accuracy, .* for classification, got"),
        ({"metric": "f1", "validation": 0.0}, "metric: selecting the best epoch requires valid"),
    ):
        with pytest.raises(ValueError, match=words):
            run(RunConfig(**SMALL | options, data=table), tmp_path / "r")
        assert not (tmp_path / "r").exists()


def test_a_metric_that_is_undefined(tmp_path):
    np.savez(tmp_path / "t.npz", x=X, y=np.zeros((120, 1)))
    said = []
    config = RunConfig(**SMALL, data=str(tmp_path / "t.npz"), task="multitask")
    result = run(config, tmp_path / "r", said.append)
    assert np.isnan(result["validation_auc"])
    records = lines_of(tmp_path / "r")
    assert result["validation_loss"] == min(record["validation_loss"] for record in records)
    [line] = [line for line in said if "not defined" in line]
    assert line == (
        "warning: auc is not defined for the validation rows (no task has both labels); the best "
        "epoch was selected by the validation loss"
    )


def test_the_command_line(table, tmp_path):
    out = tmp_path / "r"
    words = ("--layers", 2, "--width", 8, "--epochs", 4)
    trained = result_of("train", "--data", table, *words, "--metric", "f1", "--out", out)
    model, evaluate = fs.load_model(out), ("evaluate", "--model", out, "--data", table)
    found = result_of(*evaluate)
    assert list(found)[4:] == ["loss", *metrics.names_of("classification")]
    figures = model.evaluate(X, Y.astype(str))
    assert found["f1"] == pytest.approx(figures["f1"]) and trained["validation_f1"] > 0
    two = result_of(*evaluate, "--metric", "f1", "--metric", "auc")
    assert list(two)[4:] == ["loss", "f1", "auc"]
    shown = call(*evaluate).stdout
    assert "balanced accuracy" in shown and "log loss" in shown
    failed = call(*evaluate, "--metric", "mae")
    assert failed.exit_code == 1 and "metric: must be one of loss, accuracy, auc" in failed.stderr
    one_class = tmp_path / "one.csv"
    one_class.write_text("a,b,c,d,y\n1,2,3,4,0\n2,3,4,5,0\n")
    found = result_of("evaluate", "--model", out, "--data", one_class)
    assert found["auc"] is None and found["average_precision"] is None
    assert "auc: the rows are of one class; average_precision: no row is" in found["undefined"]


def test_a_quantile_of_its_own(tmp_path):
    np.savez(tmp_path / "t.npz", x=X, y=X[:, :1] * 100)
    config = RunConfig(
        **SMALL, data=str(tmp_path / "t.npz"), loss="quantile:0.9", metric="pinball:0.9"
    )
    result = run(config, tmp_path / "r")
    best = min(record["validation_pinball:0.9"] for record in lines_of(tmp_path / "r"))
    assert result["validation_pinball:0.9"] == best
    found = result_of(
        "evaluate", "--model", tmp_path / "r", "--data", tmp_path / "t.npz", "--metric",
        "pinball:0.9",
    )  # fmt: skip
    assert found["pinball:0.9"] > 1  # in the units of the targets


def test_a_search(table, tmp_path):
    words = ("search", "--data", table, "--epochs", 4, "--width", 8, "--grid", "layers=1,2")
    found = result_of(*words, "--metric", "balanced_accuracy")
    assert found["metric"] == "balanced_accuracy"
    assert found["command"].endswith("--metric balanced_accuracy")
    best = found["best"]["figures"]
    assert 0 < best["score"] <= 1 and "validation_balanced_accuracy" in best
    assert "--metric" not in result_of(*words)["command"]
    assert not ModelSelection(metric="log_loss").maximize
    assert not ModelSelection(metric="pinball:0.9").maximize


def test_an_epoch_evaluates_only_what_is_monitored(monkeypatch):
    """Metrics that sort all rows take as long as a small epoch."""
    called = []

    def spied(metric):
        def function(*arguments):
            called.append(metric.name)
            return metric.function(*arguments)

        return function

    rows = {key: metrics.replace(m, function=spied(m)) for key, m in metrics._ROWS.items()}
    monkeypatch.setattr(metrics, "_ROWS", rows)
    fit(epochs=1)
    assert called == ["accuracy"]
    fit(fs.EarlyStopping("validation_auc"), epochs=1)
    assert called == ["accuracy", "accuracy", "auc"]
