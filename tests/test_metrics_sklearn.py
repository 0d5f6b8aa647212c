"""Each metric equals scikit-learn's: with weights, ties, missing labels, absent classes."""

import numpy as np
import pytest

from fastsnn import metrics

skl = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn: pip install '.[dev]'")

ALMOST = {"rel": 1e-10, "abs": 1e-13}
weighted = pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weights"])


def weights_of(rng, n, weighted):
    """Positive weights and some of 0, whose rows must not count."""
    return np.where(rng.random(n) < 0.2, 0.0, rng.exponential(size=n)) if weighted else None


def rows_of(w, *arrays):
    return arrays if w is None else [a[w > 0] for a in (*arrays, w)]


def softmax(z):
    p = np.exp(z.astype(np.float64) - z.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def close(found, expected):
    assert found.keys() == expected.keys()
    for name in expected:
        assert found[name] == pytest.approx(expected[name], **ALMOST), name


def of_classes(y, p, w, n_classes):
    """scikit-learn's values for probabilities p (n, classes)."""
    # The ranks of probabilities that are equal but for the last bits are those of ties.
    ranked = p.round(10)
    said, classes, more = p.argmax(axis=1), np.arange(n_classes), {"sample_weight": w}
    loss = skl.log_loss(y, p, labels=classes, **more)
    scores = (ranked[:, 1],) if n_classes == 2 else (ranked,)
    several = {} if n_classes == 2 else {"multi_class": "ovr"}
    return {
        "loss": loss, "log_loss": loss,
        "accuracy": skl.accuracy_score(y, said, **more),
        "balanced_accuracy": skl.balanced_accuracy_score(y, said, **more),
        "f1": skl.f1_score(y, said, average="macro", **more),
        "auc": skl.roc_auc_score(y, *scores, **several, **more),
        "average_precision": skl.average_precision_score(y, *scores, **more),
    }  # fmt: skip


@weighted
@pytest.mark.parametrize("n_classes", [2, 3, 7])
@pytest.mark.parametrize("scores", ["normal", "ties", "wide"])
def test_classification(n_classes, scores, weighted):
    rng = np.random.default_rng(n_classes)
    n = 300
    y = rng.integers(n_classes, size=n)
    y[:n_classes] = np.arange(n_classes)
    z = rng.normal(size=(n, n_classes)) + 1.5 * (np.arange(n_classes) == y[:, None])
    z = {"normal": z, "ties": z.round(), "wide": 4 * z}[scores].astype(np.float32)
    w = weights_of(rng, n, weighted)
    if weighted:
        w[:n_classes] = 1
    found = metrics.evaluate("classification", z, y, sample_weight=w)
    used = rows_of(w, y, softmax(z))
    close(found, of_classes(*used[:2], used[2] if weighted else None, n_classes))


@weighted
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_absent_classes(weighted):
    """Class 3 has no rows but predictions, class 4 neither."""
    rng = np.random.default_rng(0)
    y, z = rng.integers(3, size=200), rng.normal(size=(200, 5)).astype(np.float32)
    z[:, 4] = -9
    w = weights_of(rng, 200, weighted)
    found = metrics.evaluate("classification", z, y, sample_weight=w)
    y, p, *more = rows_of(w, y, softmax(z))
    more = {"sample_weight": more[0] if weighted else None}
    said = p.argmax(axis=1)
    assert set(said) == {0, 1, 2, 3}
    each = {"auc": skl.roc_auc_score, "average_precision": skl.average_precision_score}
    expected = {
        name: np.mean([score(y == c, p[:, c], **more) for c in range(3)])
        for name, score in each.items()
    }
    expected["accuracy"] = skl.accuracy_score(y, said, **more)
    expected["balanced_accuracy"] = skl.balanced_accuracy_score(y, said, **more)
    expected["f1"] = skl.f1_score(y, said, average="macro", **more)
    expected["loss"] = expected["log_loss"] = skl.log_loss(y, p, labels=range(5), **more)
    close(found, expected)


@pytest.mark.parametrize("one", [0, 1])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_one_class_only(one, n_classes):
    z = np.random.default_rng(1).normal(size=(20, n_classes)).astype(np.float32)
    y = np.full(20, one)
    found = metrics.evaluate("classification", z, y)
    right = (z.argmax(axis=1) == one).mean()
    assert found["accuracy"] == found["balanced_accuracy"] == right
    assert found["f1"] == skl.f1_score(y, z.argmax(axis=1), average="macro")
    assert np.isfinite(found["log_loss"]) and np.isnan(found["auc"])
    present = n_classes > 2 or one == 1
    assert found["average_precision"] == 1 if present else np.isnan(found["average_precision"])
    reasons = metrics.undefined("classification", found)
    assert reasons.keys() == {"auc"} | (set() if present else {"average_precision"})
    assert reasons["auc"] == "the rows are of one class"


@weighted
@pytest.mark.parametrize("scores", ["normal", "ties"])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_multitask(scores, missing, weighted):
    rng = np.random.default_rng(2)
    n, tasks = 200, 5
    y = (rng.random((n, tasks)) < [0.5, 0.2, 0.9, 0.5, 0.05]).astype(np.float32)
    z = rng.normal(size=(n, tasks)) + y - 0.5
    z = {"normal": z, "ties": z.round()}[scores].astype(np.float32)
    y[rng.random(y.shape) < missing] = np.nan
    w = weights_of(rng, n, weighted)
    found = metrics.evaluate("multitask", z, y, sample_weight=w)
    y, z, *more = rows_of(w, y, z.astype(np.float64))
    expected = {name: [] for name in metrics.names_of("multitask")}
    for label, score in zip(y.T, z.T, strict=True):
        known = ~np.isnan(label)
        label, p = label[known], 1 / (1 + np.exp(-score[known]))
        pair = {"sample_weight": more[0][known] if weighted else None}
        expected["accuracy"].append(skl.accuracy_score(label, p > 0.5, **pair))
        expected["balanced_accuracy"].append(skl.balanced_accuracy_score(label, p > 0.5, **pair))
        expected["f1"].append(skl.f1_score(label, p > 0.5, **pair))
        expected["log_loss"].append(skl.log_loss(label, p, **pair))
        expected["auc"].append(skl.roc_auc_score(label, p, **pair))
        expected["average_precision"].append(skl.average_precision_score(label, p, **pair))
    assert found.pop("loss") > 0
    close(found, {name: np.mean(values) for name, values in expected.items()})
    if not missing:  # scikit-learn's own means over the labels
        more = {"sample_weight": more[0] if weighted else None, "average": "macro"}
        assert found["f1"] == pytest.approx(skl.f1_score(y, z > 0, **more), **ALMOST)
        assert found["auc"] == pytest.approx(skl.roc_auc_score(y, z, **more), **ALMOST)
        precision = skl.average_precision_score(y, z, **more)
        assert found["average_precision"] == pytest.approx(precision, **ALMOST)


def test_tasks_that_define_no_value_are_left_out():
    nan = np.nan
    z = np.array([[1, 1, -1, 1], [-1, 2, -2, 1], [2, 3, -3, 1]], np.float32)
    y = np.array([[1, 1, 0, nan], [0, 1, 0, nan], [1, nan, 0, nan]], np.float32)
    found = metrics.evaluate("multitask", z, y)
    assert found["auc"] == 1  # of the first task
    assert found["average_precision"] == 1 and found["f1"] == 1  # of the first two
    assert found["accuracy"] == found["balanced_accuracy"] == 1  # of three
    positives = skl.f1_score(y[:2, :3], z[:2, :3] > 0, average="macro", zero_division=nan)
    assert found["f1"] == positives
    nothing = metrics.evaluate("multitask", z, np.full(y.shape, nan))
    assert nothing.pop("loss") == 0 and np.isnan(list(nothing.values())).all()
    assert metrics.undefined("multitask", nothing)["f1"].startswith("no task has a positive label")
    assert metrics.undefined("multitask", nothing).keys() == set(metrics.names_of("multitask"))


@weighted
@pytest.mark.parametrize("targets", [1, 3])
@pytest.mark.parametrize("units", [False, True])
def test_regression(targets, units, weighted):
    rng = np.random.default_rng(3)
    y = (5 + rng.normal(size=(100, targets)) * np.arange(1, 1 + targets)).astype(np.float32)
    z = (y + rng.normal(size=y.shape)).astype(np.float32)
    w = weights_of(rng, 100, weighted)
    truth, predicted = y.astype(np.float64), z.astype(np.float64)
    pair = None
    if units:
        truth, predicted = 1e3 * truth + 1e6, 1e3 * predicted + 1e6
        pair = predicted, truth
    names = ["rmse", "mae", "r2", "pinball", "pinball:0.9", "pinball:.25"]
    found = metrics.evaluate("regression", z, y, units=pair, names=names, sample_weight=w)
    truth, predicted, *more = rows_of(w, truth, predicted)
    y, z, *_ = rows_of(w, y, z)
    more = {"sample_weight": more[0] if weighted else None}

    def pinball(alpha):
        return skl.mean_pinball_loss(truth, predicted, alpha=alpha, **more)

    expected = {
        "loss": skl.mean_squared_error(y.astype(np.float64), z.astype(np.float64), **more),
        "rmse": skl.mean_squared_error(truth, predicted, **more) ** 0.5,
        "mae": skl.mean_absolute_error(truth, predicted, **more),
        "r2": skl.r2_score(truth, predicted, multioutput="variance_weighted", **more),
        "pinball": pinball(0.5), "pinball:0.9": pinball(0.9), "pinball:.25": pinball(0.25),
    }  # fmt: skip
    close(found, expected)


@pytest.mark.parametrize("n", [1, 2])
def test_few_rows(n):
    y = np.zeros((n, 1), np.float32)
    found = metrics.evaluate("regression", y + 1, y)
    assert found["rmse"] == found["mae"] == 1 and found["pinball"] == 0.5
    assert np.isnan(found["r2"])
    assert metrics.undefined("regression", found) == {"r2": "the targets are constant"}


@pytest.mark.parametrize("task", metrics.MAIN)
def test_no_rows(task):
    y = np.zeros(0, np.int64) if task == "classification" else np.zeros((0, 2), np.float32)
    found = metrics.evaluate(task, np.zeros((0, 2), np.float32), y)
    assert np.isnan(list(found.values())).all()
    assert list(found) == ["loss", *metrics.names_of(task)]
