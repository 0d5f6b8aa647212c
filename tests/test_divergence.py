"""The error of a diverged training names the true cause."""

import numpy as np
import pytest

import fastsnn as fs
from fastsnn.optimizers import HIGHEST_RATE

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(64, 4)).astype(np.float32)
Y = RANDOM.integers(0, 3, 64)
T = RANDOM.normal(size=(64, 3)).astype(np.float32)
ONES = np.ones(64, np.float32)
HALF_TINY = np.where(np.arange(64) % 2, 1, 1e-35).astype(np.float32)


class Factor:
    def __init__(self, value):
        self.value = value

    def factor(self, step, n_steps, history):
        return self.value


def fit(y, loss, optimizer, factor=1.0, x=X, weight=None, class_weight=None):
    net = fs.mlp(4, 3, layers=2, width=16)
    trainer = fs.Trainer(net, loss, optimizer, threads=1, class_weight=class_weight)
    trainer.fit(x, y, 20, 16, sample_weight=weight, schedule=Factor(factor))


@pytest.mark.parametrize("cause, given", [
    ("targets up to 1e\\+10", dict(y=T / np.abs(T) * np.float32(1e10), loss="mse")),
    ("targets up to 1e\\+25", dict(y=T / np.abs(T) * np.float32(1e25), loss="mse")),
    ("targets up to 1e\\+25", dict(
        y=T / np.abs(T) * np.float32(1e25), loss=fs.Huber(1e25), optimizer=fs.SGD(1.0))),
    ("sample weights up to 3e\\+38", dict(
        y=T, loss=fs.Quantile(0.9), weight=ONES * np.float32(3e38))),
    ("class weights down to 1.401e-45", dict(y=Y, class_weight=[1e-45] * 3)),
    ("class weights up to 1e\\+30", dict(
        y=(T > 0).astype(np.float32), loss="sigmoid_cross_entropy", class_weight=[1e30] * 3)),
    ("sample weights up to 3e\\+38", dict(y=T, loss="mse", weight=ONES * np.float32(3e38))),
    ("sample weights down to 1.401e-45", dict(y=Y, weight=ONES * np.float32(1e-45))),
    ("learning rate 1e\\+20;", dict(y=Y, weight=HALF_TINY, optimizer=fs.SGD(1e20))),
    ("learning rate 1e\\+20;", dict(y=Y, class_weight=[1, 1, 1e-35], optimizer=fs.SGD(1e20))),
    ("learning rate 0.01 times weight decay 1e\\+38",
     dict(y=Y, optimizer=fs.SGD(0.01, weight_decay=1e38))),
    ("learning rate 9e\\+29", dict(y=Y, optimizer=fs.Adam(9e29, beta1=1 - 1e-16))),
    ("learning rate 9e\\+29", dict(y=Y, optimizer=fs.AdamW(9e29, weight_decay=3e38))),
    ("learning rate 1e\\+30", dict(y=Y, factor=1e300)),
    *(("eps 0, so that a gradient of 0 is divided by 0; use eps above 1e-37",
       dict(y=Y, optimizer=kind(eps=0), weight=ONES * np.float32(0)))
      for kind in (fs.Adam, fs.AdamW, fs.RMSprop, fs.NAdam)),
    ("inputs up to 1e\\+20", dict(y=Y, x=X / np.abs(X) * np.float32(1e20))),
])  # fmt: skip
def test_the_cause(cause, given):
    given = {"loss": "softmax_cross_entropy", "optimizer": fs.SGD(0.01)} | given
    with pytest.raises(FloatingPointError, match=f"with {cause}"):
        fit(**given)


@pytest.mark.parametrize("factor", [np.nan, np.inf, -1, 10**400, "a", None, 1j])
def test_a_schedule_whose_factor_is_no_number(factor):
    with pytest.raises((TypeError, ValueError), match="fit: schedule: a factor must be"):
        fit(Y, "softmax_cross_entropy", fs.SGD(0.01), factor)


def test_numpy_numbers_are_factors():
    fit(Y, "softmax_cross_entropy", fs.SGD(0.01), np.float32(0.5))
    assert HIGHEST_RATE < np.finfo(np.float32).max
