"""Notes that `fastsnn diagnose` gives where no rule has found a problem, and digits that make its
sentences true.
"""

import json

import numpy as np
import pytest
from commands import good
from test_diagnose import network, rules, scaled

import fastsnn as fs
from fastsnn import data
from fastsnn.diagnose import rules as diagnose_rules
from fastsnn.diagnose import show as diagnose_show
from fastsnn.diagnose.measure import diagnose
from fastsnn.model import Model


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def test_a_variance_that_leaves_the_fixed_point(digits):
    """The variance of the last hidden layer is 7 instead of 1, without collapse or explosion."""
    net = network(fs.SELU())
    state = net.state_dict()
    state["14.weight"] *= 4
    net.load_state_dict(state)
    found = diagnose(net, digits.test.x, digits.test.y)
    assert 6 < found.layers[8].variance < 12
    [finding] = found.findings
    assert finding.rule == "variance leaves the fixed point" and finding.layers == (8,)
    assert f"{found.layers[8].variance:.3g} in layer 8 instead of 1" in finding.text
    assert finding.severity == "note" and found.fine and found.to_dict()["fine"]
    assert diagnose_show.words(found) == [
        "no problems found in 9 layers", f"note: {finding.rule}: {finding.text}",
    ]  # fmt: skip


def test_units_that_do_not_keep_mean_and_variance(digits):
    """Sums of squares of 1.39 are reported by no other rule."""
    net = scaled(network(fs.SELU(), layers=20), 1.18)
    found = diagnose(net, digits.test.x, digits.test.y)
    assert all(layer.variance < 6 for layer in found.layers[1:21])
    [finding] = found.findings
    assert finding.rule == "mean and variance are not kept"
    assert "fewer than 10 % over 20 layers (" in finding.text and "theorem 1" in finding.text
    assert "of layers" not in finding.text and finding.layers == tuple(range(1, 21))
    assert finding.severity == "note" and "common after training" in finding.text and found.fine


def test_a_well_trained_network_has_no_problem(digits):
    """After 60 epochs at a high learning rate, variances are far from 1, and it predicts well."""
    net = fs.mlp(64, 10, layers=8, width=64, dropout=0.02, seed=0)
    trainer = fs.Trainer(net, optimizer=fs.SGD(0.05), threads=1)
    trainer.fit(digits.train.x, digits.train.y, epochs=60, batch_size=32)
    assert trainer.evaluate(digits.test.x, digits.test.y)["accuracy"] > 0.95
    found = diagnose(net, digits.test.x, digits.test.y, threads=1)
    assert max(layer.variance for layer in found.layers[1:-1]) > 6
    assert found.fine and [f.severity for f in found.findings] == ["note"]


@pytest.mark.parametrize(
    "share, bound, text",
    [(0.2578, 0.25, "26 %"), (0.2504, 0.25, "25.04 %"), (0.25 + 1e-9, 0.25, "25.0000001 %"),
     (0.0996, 0.1, "9.96 %"), (0.04, 0.1, "4 %"), (1.0, 0.25, "100 %"), (0.0, 0.1, "0 %")],
)  # fmt: skip
def test_a_share_next_to_its_bound_has_the_digits_it_needs(share, bound, text):
    """A text like "25 % of the units ..., more than 25 %" would contradict itself."""
    assert diagnose_rules._beyond(share, bound) == text


def test_saturated_units_just_above_the_bound():
    x = np.random.default_rng(0).normal(size=(200, 64)).astype(np.float32)
    net = network(fs.SELU(), layers=1, width=399)
    state = net.state_dict()
    state["0.bias"][:100] = -9  # 25.06 %
    net.load_state_dict(state)
    assert "25.1 % of the units of layer 1 are" in rules(net, x)["saturated units"].text


@pytest.mark.parametrize(
    "task, figures, chance, text",
    [
        ("regression", {"r2": 0.07}, 0, "r2 is 0.07, below 0.25"),
        ("regression", {"r2": -3.0}, 0, "r2 is -3, below 0.25"),
        ("multitask", {"auc": 0.55}, 0, "auc is 0.55, below 0.6"),
        (
            "classification",
            {"accuracy": 0.9},
            0.9,
            "accuracy is 0.9; always predicting the largest",
        ),
        ("classification", {"accuracy": 0.189}, 0.103, "accuracy is 0.189; always predicting"),
        ("regression", {"r2": 0.3}, 0, None),
        ("regression", {"r2": float("nan")}, 0, None),
        ("multitask", {"auc": 0.7}, 0, None),
        ("classification", {"accuracy": 0.91}, 0.9, None),
        ("classification", {"accuracy": 1.0}, 1.0, None),
    ],
)
def test_figures_that_are_poor(task, figures, chance, text):
    found = diagnose_rules.of_figures(task, figures, chance)
    assert [text in finding.text for finding in found] == [True] * (text is not None)


def test_a_model_that_predicts_little_is_not_fine(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4)).astype(np.float32)
    np.savez(tmp_path / "d.npz", x=x, y=x[:, 0] * 2.5)
    loaded = data.load(tmp_path / "d.npz", task="regression")
    net = fs.mlp(4, 1, layers=4, width=64, seed=0)
    state = net.state_dict()
    state["8.weight"] *= -1e-3  # predicts nearly 0, the mean
    net.load_state_dict(state)
    model = Model.of(net, loaded)
    model.save(tmp_path / "m.safetensors")
    options = ("--model", tmp_path / "m.safetensors", "--data", tmp_path / "d.npz", "--threads", 1)
    text = good("diagnose", *options)
    assert "no problems found" not in text
    assert "predicts little: r2 is " in text and "below 0.25" in text
    assert not json.loads(good("diagnose", *options, "--json"))["fine"]


def constant(net):
    state = net.state_dict()
    last = [name for name in state if name.endswith("weight")][-1]
    state[last][:] = 0
    net.load_state_dict(state)
    return net


def test_constant_outputs_are_named():
    x = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    found = rules(constant(fs.mlp(8, 3, layers=2, width=32)), x)
    assert "the network ignores its inputs" in found["outputs are constant"].text
    assert "outputs are constant" in rules(constant(fs.Network([fs.Dense(2)], 8)), x)


@pytest.mark.parametrize("rows", [1, 20])
def test_rows_that_do_not_differ_accuse_no_unit(rows):
    x = np.random.default_rng(0).normal(size=(1, 8)).astype(np.float32).repeat(rows, axis=0)
    assert set(rules(fs.mlp(8, 3, layers=4, width=64), x)) == {"rows do not differ"}


def test_gradients_that_are_not_finite_are_a_finding():
    net = fs.mlp(8, 3, layers=2, width=16)
    net.load_state_dict({k: v * np.float32(1e25) for k, v in net.state_dict().items()})
    x = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    found = diagnose(net, x, np.zeros(50, np.int64))
    assert {"not finite", "gradients are not finite"} <= {f.rule for f in found.findings}
    assert found.layers[1].gradient is None and "finite" in found.without_gradients


def test_without_labels_the_words_say_that_predictions_were_not_judged():
    x = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    [line] = diagnose_show.words(diagnose(fs.mlp(8, 3, layers=2, width=64), x))
    assert line.startswith("no problems found") and "predictions were not evaluated" in line
