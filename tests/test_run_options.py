"""Runs with each loss, optimizer and schedule of the registries, through the command's own path."""

import json

import numpy as np
import pytest

import fastsnn as fs
from fastsnn import metrics
from fastsnn.losses import LOSSES, SUGGESTED, loss_of, suggested
from fastsnn.optimizers import OPTIMIZERS
from fastsnn.runs.config import RunConfig
from fastsnn.runs.run import resume, run
from fastsnn.schedules import SCHEDULES
from fastsnn.selection import best_of_run

SMALL = {"layers": 2, "width": 8, "epochs": 2, "batch_size": 16, "threads": 1}


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Return a table for each task."""
    folder, rng = tmp_path_factory.mktemp("tables"), np.random.default_rng(0)
    x = rng.normal(size=(80, 3))
    targets = {
        "classification": (x[:, 0] > 0).astype(np.int64),
        "multitask": (x[:, :2] > 0).astype(np.float32),
        "regression": x @ rng.normal(size=(3, 1)),
    }
    paths = {}
    for task, y in targets.items():
        paths[task] = folder / f"{task}.npz"
        np.savez(paths[task], x=x, y=y)
    return paths


def config(path, task, **options):
    return RunConfig(**SMALL, data=str(path), task=task, learning_rate=1e-3, **options)


PARAMETERS = "huber:0.25", "quantile:0.9", "softmax_cross_entropy:0.1"


@pytest.mark.parametrize("loss", [*LOSSES, *PARAMETERS])
def test_a_run_has_the_loss_of_its_options(loss, tables, tmp_path):
    made = loss_of(loss)
    options = config(tables[made.task], made.task, loss=loss)
    result = run(options, tmp_path / "r")
    model = fs.load_model(tmp_path / "r")
    table = np.load(tables[made.task])
    plain = model.evaluate(table["x"], table["y"])["loss"]  # of the loss that the task suggests
    x = model.inputs.transform(table["x"])
    y = table["y"] if model.targets is None else model.targets.transform(table["y"])
    own = made.value(model.network.forward(x), y)
    assert (made == suggested(made.task)) == (own == pytest.approx(plain, rel=1e-6))
    assert np.isfinite(result["validation_loss"])
    with pytest.raises(ValueError, match="the run was started with loss"):
        resume(tmp_path / "r", loss="mse" if loss != "mse" else "huber")
    again = resume(tmp_path / "r", loss=loss)
    assert again["validation_loss"] == result["validation_loss"]


@pytest.mark.parametrize(
    "loss, figure", [("mse", "rmse"), ("quantile:0.9", "loss"), ("huber", "loss")]
)
def test_a_regression_is_judged_by_the_loss_that_it_is_given(loss, figure, tmp_path):
    """The rmse of a network that learns a quantile may be best before it has learned anything."""
    assert metrics.main_of(loss_of(loss)) == figure
    histories = [
        {"validation_loss": 2.0, "validation_rmse": 1.0},
        {"validation_loss": 1.0, "validation_rmse": 2.0},
    ]
    assert best_of_run(histories, "regression", loss_of(loss)) == (figure == "loss")
    rng = np.random.default_rng(3)
    x = rng.normal(size=(300, 3))
    np.savez(tmp_path / "t.npz", x=x, y=x[:, :1] + rng.exponential(size=(300, 1)))
    said = []
    options = SMALL | {"epochs": 8}
    result = run(
        RunConfig(**options, data=str(tmp_path / "t.npz"), learning_rate=0.03, loss=loss),
        tmp_path / "r", said.append,
    )  # fmt: skip
    lines = (tmp_path / "r" / "metrics.jsonl").read_text().splitlines()
    curve = [json.loads(line)[f"validation_{figure}"] for line in lines]
    assert result["best_epoch"] == 1 + np.argmin(curve)
    assert figure == "rmse" or not any("linear fit" in line for line in said)


def test_a_label_smoothing_changes_no_judge():
    for task, loss in SUGGESTED.items():
        assert metrics.main_of(loss) == metrics.MAIN[task]
    assert metrics.main_of(loss_of("softmax_cross_entropy:0.1")) == "accuracy"


def test_equal_losses_have_one_text():
    def loss(text):
        return RunConfig(loss=text).loss

    assert loss("huber:0.30") == loss("huber:3e-1") == "huber:0.3"
    assert loss("quantile:.5") == loss("quantile") == "quantile" and loss(None) is None


def test_a_loss_of_another_task_is_refused(tables, tmp_path):
    wanted = "loss: one for a classification is required, got huber, which is for a regression"
    with pytest.raises(ValueError, match=wanted):
        run(config(tables["classification"], "classification", loss="huber"), tmp_path / "r")
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    "options",
    [*({"optimizer": name} for name in OPTIMIZERS), *({"schedule": name} for name in SCHEDULES)],
    ids=lambda options: "-".join(options.values()),
)
def test_a_resumed_run_has_the_same_bits(options, tables, tmp_path):
    class Stop:
        def on_epoch_end(self, trainer, history):
            if len(history) == 1:
                raise KeyboardInterrupt

    whole = config(tables["classification"], "classification", **options)
    run(whole, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(whole, tmp_path / "parts", callbacks=[Stop()])
    resume(tmp_path / "parts")
    first, second = (fs.load_model(tmp_path / name).network for name in ("whole", "parts"))
    assert np.array_equal(first.parameters, second.parameters)
