"""Figure 1 and the tutorial on MNIST: the settings, to the step; resuming; printed texts."""

import json
import sys
import time

import numpy as np
import paper_data
import pytest
from commands import call, good, result_of

import fastsnn.data
from fastsnn.bench import tables
from fastsnn.layers import BatchNorm, Dense, ReLU
from fastsnn.paper import fig1, published
from fastsnn.paper import tutorial_mnist as tutorial

SMALL = ("--layers", "2,3", "--epochs", 2)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(fastsnn.data, "read_named", lambda name: paper_data.images(name))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def images(place):
    return fig1.Images("mnist")


def needs(*libraries):
    for name in libraries:
        pytest.importorskip(name, reason=f"{name} is not installed")


def softmax(z):
    e = np.exp(z.astype(np.float64) - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_the_data_are_the_papers(images):
    """Five of six rows are for training; StandardScaler gives each feature mean 0 and deviation
    1 on the training rows alone, and a feature without deviation becomes 0.
    """
    assert len(images.y) == 500 and len(images.held_y) == 100
    x, held = (part.take(slice(None)) for part in (images.x, images.held_x))
    raw, raw_held = (part.bytes[part.rows].astype(float) for part in (images.x, images.held_x))
    deviation = raw.std(axis=0)
    constant = deviation == 0
    assert constant.tolist() == [i == 7 for i in range(25)]
    for ours, theirs in ((x, raw), (held, raw_held)):
        expected = (theirs - raw.mean(axis=0)) / np.where(constant, 1, deviation)
        # float32 of values up to 6: a rounding is 2e-7 of them, and a value has several.
        np.testing.assert_allclose(ours, expected, atol=3e-6)
    assert not x[:, 7].any()


def test_cifar10_is_split_by_batches(monkeypatch):
    table = paper_data.images(n=50_000)
    monkeypatch.setattr(fastsnn.data, "read_named", lambda name: table)
    images = fig1.Images("cifar10")
    assert images.x.rows.tolist() == list(range(40_000))
    assert images.held_x.rows.tolist() == list(range(40_000, 50_000))


def test_the_networks_are_the_papers():
    """Networks are as wide as the input; batch normalization after the ReLU, with TensorFlow's
    constants; He's and LeCun's initialization, an output layer by Glorot's rule, biases 0.
    """
    n, classes = 400, 10
    snn, norm = (fig1.network(method, 2, n, classes, 0) for method in fig1.METHODS)
    kinds = [type(layer).__name__ for layer in norm.layers]
    assert kinds == ["Dense", "ReLU", "BatchNorm"] * 2 + ["Dense"]
    assert [type(layer).__name__ for layer in snn.layers] == ["Dense", "SELU"] * 2 + ["Dense"]
    assert norm.layers[2] == BatchNorm(eps=1e-3, momentum=0.01)
    assert [layer.units for layer in snn.layers if isinstance(layer, Dense)] == [n, n, classes]
    for net, variance in ((snn, 1 / n), (norm, 2 / n)):
        state = net.state_dict()
        for name, tensor in state.items():
            if name.endswith("0.weight"):
                # n^2 numbers: the relative deviation of a variance is sqrt(2 / n^2); five of them.
                assert abs(tensor.var() / variance - 1) < 5 * np.sqrt(2) / n
            if name.endswith("bias"):
                assert not tensor.any()
        last = state[f"{len(net.layers) - 1}.weight"]
        bound = np.sqrt(6 / (n + classes))
        assert 0.98 * bound < np.abs(last).max() <= bound * (1 + 1e-6)
        assert abs(last.var() / (bound**2 / 3) - 1) < 0.1  # uniform


def test_a_step_is_that_of_the_summed_loss(images, place):
    """Learning rate 1e-5 times the gradient of the sum over 128 rows: for the output bias that
    is the sum of (p - y), computed here from the outputs before the step.
    """
    curve = fig1.Curve(images, "snn", 2, 0, place, 1)
    before = curve.model.network.state_dict()
    curve.batches = 1
    curve.epoch(lambda: None)
    after = curve.model.network.state_dict()
    first = fig1.shuffled(len(images.y), 0, 0)[:128]
    net = fig1.network("snn", 2, 25, 4, 0)
    net.load_state_dict(before)
    p, y = softmax(net.forward(images.x.take(first))), images.y[first]
    gradient = (p - np.eye(4)[y]).sum(axis=0)
    # Outputs in float32 have errors of 1e-6 or less, their sum over 128 rows 1e-4.
    np.testing.assert_allclose(after["4.bias"], -1e-5 * gradient, atol=1e-5 * 1e-4)
    loss = -np.log(p[np.arange(128), y]).mean()
    assert abs(curve.history[0]["loss"] - loss) < 1e-5 * loss


def test_the_last_batch_is_left_out(images, place):
    curve = fig1.Curve(images, "snn", 1, 0, place, 1)
    calls = []
    curve.epoch(lambda: calls.append(1))
    assert len(calls) == curve.trainer.step_count == 500 // 128 == 3


@pytest.mark.parametrize("method", fig1.METHODS)
def test_the_whole_sets_loss_changes_nothing(images, place, method):
    curve = fig1.Curve(images, method, 2, 0, place, 1)
    curve.epoch(lambda: None)
    before = curve.model.network.state_dict()
    found = curve.whole_set_loss()
    after = curve.model.network.state_dict()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    if method == "snn":  # without dropout, training and evaluation mode are the same
        z, y = curve.model.network.forward(images.x)[: 3 * 128], images.y[: 3 * 128]
        loss = -np.log(softmax(z)[np.arange(len(y)), y]).mean()
        assert abs(found - loss) < 1e-5 * loss
    else:  # by the statistics of its batches
        assert np.isfinite(found) and found < curve.history[0]["loss"]


def test_fig1(place):
    needs("matplotlib")
    text = good("reproduce", "fig1-mnist", *SMALL, "--seeds", 2)
    found = json.loads((place / "paper-results" / "fig1-mnist.json").read_text())
    assert len(found["curves"]) == 2 * 2 * 2
    for row in found["curves"]:
        assert row["epochs"] == len(row["losses"]) == 2 and row["loss"] == row["losses"][-1]
        assert 0.5 < min(row["losses"]) <= max(row["losses"]) < 5  # log(4) is 1.4
        assert 0 <= row["validation_accuracy"] <= 1 and row["whole_set_loss"] > 0
    assert len(found["statements"]) == 3 and found["statements"][0] in text
    assert "2 epochs instead of 2,000" in found["left_out"]
    assert "no networks with 8, 16, 32 hidden layers" in found["left_out"]
    assert (place / "paper-results" / "fig1-mnist.png").stat().st_size > 10_000
    assert "training-mode" in text and "![fig1-mnist]" in tables.paper(
        "fig1-mnist", place / "paper-results"
    )


def test_fig1_is_continued(place):
    """Two epochs followed by two more equal four, to the bit; another call needs --resume."""
    needs("matplotlib")
    words = ("reproduce", "fig1-mnist", "--layers", "2")
    whole = result_of(*words, "--epochs", 4, "--work", "at-once")
    result_of(*words, "--epochs", 2)
    refused = call(*words, "--epochs", 4)
    assert refused.exit_code == 1 and "continue them with --resume" in refused.stderr
    parts = result_of(*words, "--epochs", 4, "--resume")
    for one, other in zip(whole["curves"], parts["curves"], strict=True):
        for name in ("losses", "whole_set_loss", "validation_accuracy"):
            assert one[name] == other[name]
    again = result_of(*words, "--epochs", 4, "--resume")
    assert again["training_seconds"] == parts["training_seconds"]  # nothing was left to do


def test_the_number_of_concurrent_trainings_changes_nothing(place, monkeypatch):
    needs("matplotlib")
    found = []
    for n in (1, 3):
        monkeypatch.setattr("fastsnn.engine.threads.available", lambda n=n: n)
        found.append(result_of("reproduce", "fig1-mnist", *SMALL, "--work", f"{n}-at-once"))
    one, three = ([row["losses"] for row in result["curves"]] for result in found)
    assert one == three and found[0]["at_once"] != found[1]["at_once"]


def test_ctrl_c_ends_all_trainings_immediately(images, place):
    """No concurrently trained network continues to the end of its epoch."""

    class Interrupted:
        begin = training = epoch = staticmethod(lambda *_: None)

        def batch(self, curve):
            if curve.layers == 3:
                raise KeyboardInterrupt
            time.sleep(0.2)

    with pytest.raises(KeyboardInterrupt):
        fig1.run(images, ("snn",), (1, 2, 3), (0,), 2, place, Interrupted(), print, 2)
    assert not list(place.glob("*.safetensors"))


def test_fig1_refuses_foreign_results(images, place):
    fig1.Curve(images, "snn", 2, 0, place, 1).epoch(lambda: None)
    other = fig1.Images("mnist", seed=1)
    with pytest.raises(ValueError, match="another network or data set"):
        fig1.Curve(other, "snn", 2, 0, place, 1)


def curve(method, layers, losses):
    return {"method": method, "layers": layers, "losses": losses}


def test_statements_are_of_the_data():
    rows = [
        curve("snn", 8, [1.0, 0.5, 0.3]), curve("batchnorm", 8, [0.9, 0.6]),
        curve("snn", 16, [1.2, 0.6, 0.2]),
    ]  # fmt: skip
    below, ahead = fig1.statements(rows)
    assert "8 layers, epoch 2: SNN loss 0.5, below" in below and "in 1 of 2 epochs" in below
    assert (
        "loss 0.2 with 16 layers, 0.3 with 8 layers" in ahead and "ahead from epoch 3 on" in ahead
    )
    below, ahead = fig1.statements(
        [curve("snn", 8, [0.9, 0.7]), curve("batchnorm", 8, [1.0, 0.6]), curve("snn", 16, [1, 1])]
    )
    assert "NOT below" in below and "in 1 of 2 epochs" in below and "NOT ahead" in ahead


def test_statements_take_means_over_seeds():
    rows = [curve("snn", 8, [0.2]), curve("snn", 8, [0.6]), curve("batchnorm", 8, [0.5])]
    assert "SNN loss 0.4, below" in fig1.statements(rows)[0]


def test_the_tutorials_data(monkeypatch):
    """The rows are the notebook's: numpy's default_rng(42) draws a sixth of them for validation."""
    monkeypatch.setattr(fastsnn.data, "read_named", lambda name: paper_data.images())
    images, table = tutorial.Images(), paper_data.images()
    held = np.random.default_rng(seed=42).choice(np.arange(600), size=100, replace=False)
    assert images.held[0].rows.tolist() == held.tolist()
    assert sorted([*images.train[0].rows, *held]) == list(range(600))
    x = images.test[0].take(slice(0, 5))
    np.testing.assert_allclose(x, (table.test.x[:5] / 255 - 0.1307) / 0.3081, atol=2e-6)


def test_the_tutorials_networks():
    selu, relu = (tutorial.network(kind, 784, 10, 0) for kind in tutorial.NETWORKS)
    assert [layer.units for layer in selu.layers if isinstance(layer, Dense)] == [512, 256, 10]
    assert [getattr(layer, "rate", None) for layer in selu.layers][2::3] == [0.05, 0.05]
    assert isinstance(relu.layers[1], ReLU)
    for name, tensor in relu.state_dict().items():
        fan_in = {"0": 784, "3": 512, "6": 256}[name[0]]
        bound = fan_in**-0.5
        assert 0.7 * bound < np.abs(tensor).max() <= bound
        if name.endswith("weight"):
            # Uniform: variance bound^2 / 3, known from n numbers to sqrt(4 / 5 / n) of it.
            assert abs(tensor.var() / (bound**2 / 3) - 1) < 5 * np.sqrt(0.8 / tensor.size)
    assert not any(t.any() for n, t in selu.state_dict().items() if n.endswith("bias"))


def test_tutorial(place):
    words = ("reproduce", "tutorial-mnist", "--epochs", 3, "--seeds", 2)
    first = result_of(*words)
    assert [row["network"] for row in first["networks"]] == ["selu", "relu"]
    for run in first["runs"]:
        accuracies = [record["validation_accuracy"] for record in run["history"]]
        assert run["best_epoch"] == 1 + int(np.argmax(accuracies)) and len(accuracies) == 3
    assert first["networks"][0]["test_accuracy"] > 0.5  # four clouds two deviations apart
    assert first["networks"][0]["paper"] == published.TUTORIAL["selu"]["test_accuracy"] == 0.9204
    again = result_of(*words, "--resume")
    assert again["runs"] == first["runs"]  # including their seconds: no training was repeated
    text = good(*words, "--resume")
    assert "92.04 %" in text and "3 epochs instead of 20" in text
    assert "90.76 %" in tables.paper("tutorial-mnist", place / "paper-results")


@pytest.mark.parametrize(
    "words, trainings",
    [
        (("fig1-mnist", *SMALL, "--seeds", 2), 2 * 2 * 2),
        (("fig1-mnist", *SMALL, "--methods", "snn,layernorm,msra"), 3 * 2),
        (("tutorial-mnist", "--epochs", 2, "--seeds", 3), 2 * 3),
    ],
)
def test_a_dry_run_trains_nothing(place, words, trainings, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # a dry run draws nothing
    before = set(place.rglob("*"))
    found = result_of("reproduce", *words, "--dry-run")
    assert found["trainings"] == trainings and found["predicted_seconds"] >= 0
    assert set(place.rglob("*")) == before
    text = good("reproduce", *words, "--dry-run")
    assert text.startswith(f"training runs: {trainings}\n") and "estimated time: 0:0" in text


def test_every_experiment_has_a_dry_run():
    for name in ("fig1-mnist", "fig1-cifar10", "uci", "htru2", "tox21", "tutorial-mnist"):
        assert "--dry-run" in good("reproduce", name, "--help"), name
