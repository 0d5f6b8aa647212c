"""Figures of evaluation: the area under the ROC curve against its definition and scikit-learn,
and the figures of each task worked out by hand.
"""

import math
import re
from pathlib import Path

import numpy as np
import oracle
import pytest

import fastsnn as fs
from fastsnn import metrics
from fastsnn.losses import loss_of
from fastsnn.metrics import roc_auc

CLASS_METRICS = ["auc", "average_precision", "balanced_accuracy", "f1", "log_loss"]


def pairs_auc(score, label):
    """Return the share of pairs (positive, negative) in order, ties counted half: the
    definition.
    """
    difference = score[label == 1][:, None].astype(np.float64) - score[label == 0][None, :]
    return ((difference > 0) + 0.5 * (difference == 0)).mean()


SCORES = {
    "distinct": lambda rng, n: rng.normal(size=n),
    "float32": lambda rng, n: rng.normal(size=n).astype(np.float32),
    "many ties": lambda rng, n: rng.integers(5, size=n).astype(np.float64),
    "two values": lambda rng, n: rng.integers(2, size=n).astype(np.float64),
    "one value": lambda rng, n: np.zeros(n),
    "zeros of both signs": lambda rng, n: np.where(rng.random(n) > 0.5, 0.0, -0.0),
    "infinities": lambda rng, n: rng.choice([-np.inf, -1.0, 0.0, 1.0, np.inf], size=n),
}


def samples(kind, n):
    rng = np.random.default_rng(n)
    label = rng.integers(2, size=n).astype(np.float32)
    label[:2] = 0, 1
    return SCORES[kind](rng, n), label


@pytest.mark.parametrize("n", [2, 3, 10, 200])
@pytest.mark.parametrize("kind", [kind for kind in SCORES if kind != "infinities"])
def test_roc_auc_is_its_definition(kind, n):
    score, label = samples(kind, n)
    assert roc_auc(score, label) == pytest.approx(pairs_auc(score, label), abs=1e-12)


@pytest.mark.parametrize("n", [2, 3, 10, 200, 3000])
@pytest.mark.parametrize("kind", [kind for kind in SCORES if kind != "infinities"])
def test_roc_auc_is_scikit_learn_s(kind, n):
    other = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn")
    score, label = samples(kind, n)
    assert roc_auc(score, label) == pytest.approx(other.roc_auc_score(label, score), abs=1e-12)


def test_roc_auc_of_infinite_scores():
    """Infinities are ordered like numbers; their ranks give the same result."""
    score, label = samples("infinities", 100)
    ranks = np.searchsorted([-np.inf, -1.0, 0.0, 1.0, np.inf], score).astype(np.float64)
    assert roc_auc(score, label) == pytest.approx(pairs_auc(ranks, label), abs=1e-12)


def test_roc_auc_at_its_ends():
    label = np.array([0, 0, 1, 1], np.float32)
    assert roc_auc(np.array([1.0, 2, 3, 4]), label) == 1
    assert roc_auc(np.array([4.0, 3, 2, 1]), label) == 0
    assert roc_auc(np.zeros(4), label) == 0.5
    for one_kind in (np.zeros(4, np.float32), np.ones(4, np.float32)):
        assert math.isnan(roc_auc(np.arange(4.0), one_kind))


def test_classification():
    z = np.array([[2, 1, 0], [0, 3, 1], [1, 0, 5], [4, 0, 0]], np.float32)
    y = np.array([0, 1, 1, 2])
    figures = metrics.evaluate("classification", z, y)
    assert list(figures) == ["loss", "accuracy", *CLASS_METRICS]
    assert figures["accuracy"] == 0.5
    shares = np.exp(z.astype(np.float64)) / np.exp(z.astype(np.float64)).sum(1, keepdims=True)
    assert figures["loss"] == pytest.approx(-np.log(shares[np.arange(4), y]).mean(), rel=1e-12)


def test_multitask_leaves_missing_labels_out():
    nan = np.nan
    z = np.array([[1, 0, 3], [2, 1, 1], [3, 2, 2], [4, 3, 0]], np.float32)
    y = np.array([[0, 1, 1], [1, nan, 1], [0, 0, nan], [1, nan, 1]], np.float32)
    figures = metrics.evaluate("multitask", z, y)
    assert list(figures) == ["loss", "auc", "accuracy", *CLASS_METRICS[1:]]
    assert figures["auc"] == pytest.approx((0.75 + 0) / 2)  # the last task has one kind of label
    known = ~np.isnan(y)
    z, y = z.astype(np.float64)[known], y[known]
    loss = -np.log(np.where(y == 1, 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(z)))).mean()
    assert figures["loss"] == pytest.approx(loss, rel=1e-12)


def test_multitask_with_nothing_to_measure():
    figures = metrics.evaluate("multitask", np.ones((2, 1), np.float32), np.ones((2, 1)))
    assert math.isnan(figures["auc"]) and math.isfinite(figures["loss"])
    unlabelled = metrics.evaluate("multitask", np.ones((2, 1), np.float32), np.full((2, 1), np.nan))
    assert math.isnan(unlabelled["auc"]) and unlabelled["loss"] == 0


def test_regression():
    z = np.array([[1, 10], [2, 20], [3, 30]], np.float32)
    y = np.array([[1, 12], [2, 18], [6, 30]], np.float32)
    figures = metrics.evaluate("regression", z, y)
    assert list(figures) == ["loss", "rmse", "r2", "mae", "pinball"]
    assert figures["loss"] == pytest.approx((0 + 0 + 9 + 4 + 4 + 0) / 6)
    assert figures["rmse"] == pytest.approx(math.sqrt(17 / 6))
    assert figures["r2"] == pytest.approx(1 - 17 / ((4 + 1 + 9) + (64 + 4 + 100)))
    scaled = metrics.evaluate("regression", z, y, scale=np.array([10, 0.5], np.float32))
    assert scaled["loss"] == figures["loss"]
    assert scaled["rmse"] == pytest.approx(math.sqrt((100 * 9 + 0.25 * 8) / 6))
    assert scaled["r2"] == pytest.approx(1 - (900 + 2) / (100 * 14 + 0.25 * 168))


def test_regression_of_a_constant():
    y = np.full((3, 1), 2, np.float32)
    figures = metrics.evaluate("regression", y + 1, y)
    assert figures["rmse"] == 1 and math.isnan(figures["r2"])


@pytest.mark.parametrize("task", ["multitask", "regression"])
def test_one_output_takes_a_plain_list_of_targets(task):
    rng = np.random.default_rng(1)
    z = rng.normal(size=(20, 1)).astype(np.float32)
    y = (rng.random(20) > 0.5).astype(np.float32)
    assert metrics.evaluate(task, z, y) == metrics.evaluate(task, z, y[:, None])


@pytest.mark.parametrize("loss", oracle.LOSSES)
def test_mean_loss_is_the_loss_that_is_trained(loss):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(50, 6)).astype(np.float32)
    y = rng.normal(size=(50, 3)).astype(np.float32)
    if loss == "softmax_cross_entropy":
        y = rng.integers(3, size=50)
    elif loss == "sigmoid_cross_entropy":
        y = rng.choice(np.float32([0, 1, np.nan]), size=(50, 3))
    net = fs.mlp(6, 3, layers=2, width=8)
    value = loss_of(loss).value(net.forward(x), y)
    assert value == pytest.approx(fs.Trainer(net, loss=loss, threads=1).step(x, y), rel=1e-6)
    z = net.forward(x).astype(np.float64)  # after the step
    assert loss_of(loss).value(net.forward(x), y) == pytest.approx(oracle.loss_of(loss)(z, y)[0])


@pytest.mark.parametrize("z", [1e4, -1e4, 80.0, -80.0])
def test_losses_of_large_outputs_stay_finite(z):
    outputs = np.array([[z, 0]], np.float32)
    assert loss_of("softmax_cross_entropy").value(outputs, np.array([1])) == pytest.approx(
        max(z, 0)
    )
    labels = np.array([[0, np.nan]], np.float32)
    assert loss_of("sigmoid_cross_entropy").value(outputs, labels) == pytest.approx(max(z, 0))


def test_the_guide_has_a_row_for_each_metric():
    page = (Path(__file__).parents[1] / "docs" / "howto" / "metrics.md").read_text()
    for task in metrics.MAIN:
        section = page.split(f"**{task.capitalize()}.**")[1].split("\n## ")[0].split("\n**")[0]
        rows = re.findall(r"^\| `(\w+)` \| (larger|smaller) \|", section, re.M)
        expected = [m for m in metrics.METRICS if m.task == task]
        words = {True: "larger", False: "smaller"}
        assert rows == [(m.name, words[m.larger_is_better]) for m in expected]
