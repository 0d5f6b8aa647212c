"""Attributes that are set on a trainer, and arrays that change during training: checked, or
refused.
"""

import copy
import warnings

import numpy as np
import pytest

import fastsnn as fs

RANDOM = np.random.default_rng(0)
ROWS = 5000
X = RANDOM.normal(size=(ROWS, 4)).astype(np.float32)
Y = RANDOM.integers(0, 3, ROWS)
T = RANDOM.normal(size=(ROWS, 3)).astype(np.float32)


def trainer(loss="softmax_cross_entropy", **given):
    return fs.Trainer(fs.mlp(4, 3, layers=2, width=16), loss, threads=1, **given)


class After:
    """A callback that calls a function after each epoch."""

    def __init__(self, action):
        self.action = action

    def on_epoch_end(self, trainer, history):
        self.action(trainer)


def test_a_new_rate():
    one, two = trainer(), trainer()
    one.step(X[:16], Y[:16]), two.step(X[:16], Y[:16])
    one.optimizer = fs.SGD(0.5)
    assert one.step(X[:16], Y[:16]) == two.step(X[:16], Y[:16])
    assert not np.array_equal(one.network.parameters, two.network.parameters)


@pytest.mark.parametrize("new", [fs.Adam(), fs.SGD(0.1, momentum=0.9)])
def test_an_optimizer_with_other_state_is_refused_also_during_a_fit(new):
    def change(one):
        one.optimizer = new

    one = trainer()
    with pytest.raises(ValueError, match="make another Trainer"):
        one.fit(X[:64], Y[:64], epochs=2, callbacks=[After(change)])
    assert one.optimizer == fs.SGD(0.01)


@pytest.mark.parametrize("name, value", [
    ("optimizer", None), ("class_weight", np.ones(1)), ("class_weight", [1, 2, -3]),
    ("class_weight", [1, 2, np.nan]), ("class_weight", "even"), ("seed", -1), ("seed", "a"),
    ("step_count", 1.5), ("step_count", -1), ("network", fs.mlp(9, 5, layers=1, width=8)),
    ("loss", "mse"), ("threads", 2), ("backend", "cuda"), ("precision", "bf16"),
])  # fmt: skip
def test_invalid_values_are_refused(name, value):
    one = trainer()
    before = getattr(one, name)
    with pytest.raises((AttributeError, TypeError, ValueError), match=name):
        setattr(one, name, value)
    assert getattr(one, name) is before
    one.step(X[:16], Y[:16])


def test_class_weights_that_are_set_are_used_and_stay():
    weights = np.array([1.0, 2.0, 3.0])
    one, two = trainer(), trainer(class_weight=weights)
    one.class_weight = weights
    weights[:] = np.nan
    with pytest.raises(ValueError, match="read-only"):
        one.class_weight[0] = np.nan
    assert one.step(X[:16], Y[:16]) == two.step(X[:16], Y[:16])
    assert np.array_equal(one.network.parameters, two.network.parameters)


@pytest.mark.parametrize("changed", ["x", "y", "weight"])
def test_shapes_that_change_during_a_fit(changed):
    x, y, weight = X.copy(), T.copy(), np.ones(ROWS, np.float32)
    array = {"x": x, "y": y, "weight": weight}[changed]

    def flat(_):
        with warnings.catch_warnings():  # newer versions of numpy discourage it
            warnings.simplefilter("ignore", DeprecationWarning)
            array.shape = 1, array.size

    got = trainer("mse").fit(x, y, 3, sample_weight=weight, callbacks=[After(flat)])
    expected = trainer("mse").fit(X, T, 3, sample_weight=np.ones(ROWS, np.float32))
    assert [r["train_loss"] for r in got] == [r["train_loss"] for r in expected]


@pytest.mark.parametrize("value", [np.nan, -1.0])
def test_sample_weights_that_change_during_a_fit_are_those_that_were_checked(value):
    weight = np.ones(ROWS, np.float32)

    def change(_):
        weight[:] = value

    got = trainer().fit(X, Y, 3, sample_weight=weight, callbacks=[After(change)])
    expected = trainer().fit(X, Y, 3, sample_weight=np.ones(ROWS, np.float32))
    assert [r["train_loss"] for r in got] == [r["train_loss"] for r in expected]


class OwnTrainer(fs.Trainer):
    def __init__(self, network):
        super().__init__(network, threads=1)


class OwnNetwork(fs.Network):
    def __init__(self):
        super().__init__([fs.Dense(3)], 4)


def test_copies_of_subclasses_with_other_arguments():
    one = OwnTrainer(OwnNetwork())
    one.step(X[:16], Y[:16])
    two = copy.deepcopy(one)
    assert type(two) is OwnTrainer and type(two.network) is OwnNetwork
    assert one.step(X[:16], Y[:16]) == two.step(X[:16], Y[:16])


def test_a_masked_state_is_refused():
    one = trainer(optimizer=fs.Adam())
    arrays, numbers = one.state_dict()
    name = next(iter(arrays))
    with pytest.raises(TypeError, match="masked"):
        one.load_state_dict(arrays | {name: np.ma.masked_all_like(arrays[name])}, numbers)
