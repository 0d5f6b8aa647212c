"""The choice of an epoch and of a configuration, against the slowest obvious form."""

from math import inf, isnan, nan

import numpy as np
import pytest

import fastsnn as fs
from fastsnn.search import BestEpoch, ModelSelection, Trial

RNG = np.random.default_rng(7)


def by_hand(curve, window, maximize):
    """Return (epoch from 1, value): all windows, their means in float64, the first best one."""
    window = min(window, len(curve))
    means = {}
    for epoch in range(window, len(curve) + 1):
        means[epoch] = sum(sorted(curve[epoch - window : epoch])) / window
    best = max(means.values()) if maximize else min(means.values())
    return min(epoch for epoch, mean in means.items() if mean == best), best


@pytest.mark.parametrize("window", [1, 2, 10, 37, 100])
@pytest.mark.parametrize("maximize", [True, False])
def test_the_best_epoch_of_any_curve(window, maximize):
    protocol = ModelSelection(window=window, metric="x", maximize=maximize)
    for n in (1, 2, 9, 10, 11, 36, 37, 100):
        # Integers: their sums are exact, so equal means have equal bits in any order.
        curve = RNG.integers(0, 5, n).tolist()
        assert protocol.best_epoch(curve) == by_hand(curve, window, maximize)


@pytest.mark.parametrize("n, first", [(25, 10), (10, 10), (4, 4), (1, 1)])
def test_only_full_windows_count(n, first):
    curve = RNG.normal(size=n)
    smooth = ModelSelection(window=10).smooth(curve)
    assert smooth.shape == (n,) and np.isnan(smooth[: first - 1]).all()
    for epoch in range(first, n + 1):
        # The mean of at most 10 numbers, each rounding half a unit in the last place: 1e-14.
        assert smooth[epoch - 1] == pytest.approx(curve[epoch - first : epoch].mean(), rel=1e-12)


def test_equal_windows_are_equal_to_the_bit():
    """0.1 + 0.2 + 0.3 depends on the order if every sum is rounded: the later epoch with the
    same figures would win.
    """
    assert (0.1 + 0.2) + 0.3 != 0.3 + 0.2 + 0.1
    curve = [0.3, 0.2, 0.1, 0.2, 0.3, 0.1, 0.2]
    smooth = ModelSelection(window=3).smooth(curve)
    assert smooth[2] == smooth[4] == smooth[5] == smooth[6]
    assert ModelSelection(window=3).best_epoch([0.3, 0.2, 0.1, 0.3, 0.2]) == (3, smooth[2])


def test_figures_that_are_no_numbers():
    protocol = ModelSelection(window=2)
    epoch, value = protocol.best_epoch([nan, 0.2, 0.4, inf, 0.9, 0.1])
    assert (epoch, value) == (6, 0.5)
    epoch, value = protocol.best_epoch([nan, 0.5, nan])
    assert epoch == 3 and isnan(value)
    with pytest.raises(ValueError, match="at least one epoch is required, got none"):
        protocol.best_epoch([])


def test_defaults_are_those_of_the_paper():
    protocol = ModelSelection()
    assert (protocol.epochs, protocol.window, protocol.validation) == (100, 10, 0.15)
    assert ModelSelection(metric="auc").maximize and not ModelSelection(metric="loss").maximize


@pytest.mark.parametrize(
    "options, words",
    [({"window": 0}, "window must be an int >= 1, got 0"),
     ({"epochs": 1.5}, "epochs must be an int >= 1, got 1.5"),
     ({"validation": 1.0}, "validation must be in"),
     ({"metric": "speed"}, "metric must be one of accuracy, auc.*got 'speed'")],
)  # fmt: skip
def test_bad_protocols(options, words):
    with pytest.raises(ValueError, match=words):
        ModelSelection(**options)


def trial(number, score, error=None, **options):
    return Trial(number, options, {} if error else {"score": score}, error)


TIED = [
    trial(0, 0.9, layers=2, learning_rate=0.1, dropout=0.05),
    trial(1, 0.9, layers=8, learning_rate=0.1, dropout=0.05),
    trial(2, 0.9, layers=8, learning_rate=0.01, dropout=0.0),
    trial(3, 0.9, layers=8, learning_rate=0.01, dropout=0.05),
    trial(4, 0.9, layers=8, learning_rate=0.01, dropout=0.05, width=9),
    trial(5, 0.8, layers=32, learning_rate=0.001, dropout=0.5),
    trial(6, None, layers=64, learning_rate=0.001, dropout=0.5),
    trial(7, 0, "diverged in step 3", layers=128, learning_rate=0.001, dropout=0.5),
]


def test_ties_go_to_depth_then_to_low_rates_then_to_dropout():
    ranked = ModelSelection().ranked(RNG.permutation(np.array(TIED, object)).tolist())
    assert [t.number for t in ranked] == [3, 4, 2, 1, 0, 5, 7, 6]
    assert ModelSelection().select(TIED).number == 3
    assert ModelSelection(metric="loss").select(TIED).number == 5


def test_nothing_to_select():
    with pytest.raises(FloatingPointError, match="all 2 diverged.*diverged in step 3.*lower"):
        ModelSelection().select(TIED[-2:])
    with pytest.raises(ValueError, match="at least one trial is required"):
        ModelSelection().select([])


class Noted:
    """Writes a made-up figure into the record, and stores the parameters of every epoch; stops
    at the end of the curve.
    """

    def __init__(self, curve):
        self.curve, self.parameters = curve, []

    def on_epoch_end(self, trainer, history):
        history[-1]["validation_accuracy"] = self.curve[len(history) - 1]
        self.parameters.append(trainer.network.parameters.copy())
        return len(history) == len(self.curve)


def trained(curve, protocol, epochs):
    x = RNG.normal(size=(40, 3)).astype(np.float32)
    y = RNG.integers(0, 2, 40)
    net = fs.mlp(3, 2, layers=2, width=8, seed=1)
    noted, chosen = Noted(curve), BestEpoch(protocol)
    trainer = fs.Trainer(net, threads=1, optimizer=fs.SGD(0.1))
    trainer.fit(x, y, epochs, 20, callbacks=[noted, chosen])
    return net, noted, chosen


@pytest.mark.parametrize("epochs, window", [(12, 3), (12, 1), (4, 10), (10, 10)])
@pytest.mark.parametrize("maximize", [True, False])
def test_the_network_of_the_best_epoch_is_put_back(epochs, window, maximize):
    protocol = ModelSelection(window=window, metric="accuracy", maximize=maximize)
    curve = RNG.integers(0, 4, epochs).tolist()
    net, noted, chosen = trained(curve, protocol, epochs)
    epoch, value = by_hand(curve, window, maximize)
    assert chosen.figures() == {"score": value, "epoch": epoch}
    assert np.array_equal(net.parameters, noted.parameters[epoch - 1])
    assert not np.array_equal(noted.parameters[0], noted.parameters[1])


def test_a_training_without_a_full_window_keeps_its_last_network():
    net, noted, chosen = trained([nan] * 6, ModelSelection(window=3), 6)
    assert chosen.epoch == 6 and isnan(chosen.value)
    assert np.array_equal(net.parameters, noted.parameters[-1])
    net, noted, chosen = trained(
        [0.75, 0.25], ModelSelection(window=3), 6
    )  # stopped after 2 of them
    assert chosen.figures() == {"score": 0.5, "epoch": 2}
    assert np.array_equal(net.parameters, noted.parameters[1])


def test_a_figure_that_is_not_measured():
    with pytest.raises(ValueError, match="validation_auc is required in the history, got valida"):
        trained([0.5], ModelSelection(metric="auc"), 1)
