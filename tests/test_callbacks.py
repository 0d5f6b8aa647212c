"""Callbacks: order of calls, and early stopping."""

import numpy as np
import pytest

import fastsnn as fs
from fastsnn.callbacks import Callback
from fastsnn.selection import best_epoch


def problem(n=40, features=6):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(n, features)).astype(np.float32)
    return x, (x[:, 0] > 0).astype(np.int64) + (x[:, 1] > 0)


def trainer_of(optimizer=None):
    net = fs.mlp(6, 3, layers=2, width=8, seed=2)
    return fs.Trainer(net, optimizer=optimizer or fs.SGD(0.05), threads=1)


class Log:
    def __init__(self, events, stop_after=None):
        self.events, self.stop_after = events, stop_after

    def on_fit_start(self, trainer, epochs, batches):
        self.events.append(("start", epochs, batches))

    def on_batch_end(self, trainer, samples, loss):
        self.events.append(("batch", samples, loss))

    def on_epoch_end(self, trainer, history):
        self.events.append(("epoch", len(history)))
        return self.stop_after == len(history)

    def on_fit_end(self, trainer, history):
        self.events.append(("end", len(history)))


def test_callbacks_in_order():
    events = []

    class OnlyEpochs:
        def on_epoch_end(self, trainer, history):
            events.append("second")

    log = Log(events, stop_after=2)
    history = trainer_of().fit(
        *problem(), 5, batch_size=25, callbacks=[log, OnlyEpochs(), object()]
    )
    assert len(history) == 2
    kinds = [event if event == "second" else event[0] for event in events]
    epoch = ["batch", "batch", "epoch", "second"]
    assert kinds == ["start", *epoch, *epoch, "end"]
    assert events[0] == ("start", 5, 2) and events[-1] == ("end", 2)


class Ends(Callback):
    """Has one of the four methods; inherits three that do nothing."""

    def on_epoch_end(self, trainer, history):
        return len(history) == 2


@pytest.mark.parametrize(
    "derived, watched", [(Ends(), False), (fs.EarlyStopping(), False), (Log([]), True)]
)
def test_methods_inherited_from_callback_cost_nothing(derived, watched, monkeypatch):
    """Only an overridden `on_batch_end` limits a training to one step per native call."""
    trainer, queried = trainer_of(), set()
    several = trainer._engine.steps_per_call

    def steps_per_call(samples, is_watched):
        queried.add(is_watched)
        return several(samples, is_watched)

    monkeypatch.setattr(trainer._engine, "steps_per_call", steps_per_call)
    x, y = problem()
    trainer.fit(x, y, 3, 10, validation_data=(x, y), callbacks=[derived])
    assert queried == {watched}


def test_a_callback_may_derive_from_callback():
    assert len(trainer_of().fit(*problem(), 5, callbacks=[Callback(), Ends()])) == 2


class Script:
    """Writes figures into the history as if they had been measured, and marks the parameters."""

    def __init__(self, values, name="validation_loss"):
        self.values, self.name = values, name

    def on_epoch_end(self, trainer, history):
        history[-1][self.name] = self.values[len(history) - 1]
        first = next(iter(arrays := trainer.network.state_dict()))
        arrays[first].flat[0] = len(history)
        trainer.network.load_state_dict(arrays)


@pytest.mark.parametrize(
    "values, patience, stops_after, best",
    [
        ([3, 2, 1, 2, 3, 4], 2, 5, 3),
        ([1, 2, 3, 4, 5, 6], 1, 2, 1),
        ([1, 1, 1, 1, 1, 1], 3, 4, 1),  # equal is no improvement; the first of equals is kept
        ([6, 5, 4, 3, 2, 1], 1, 6, 6),
        ([3, 2, 3, 1, 3, 3], 2, 6, 4),
        ([2, 1, 3, 3, 3, 3], None, 6, 2),
        ([float("nan"), 2, 1, 3, 3, 3], 2, 5, 3),  # an epoch without a figure is not the best
    ],
)
def test_early_stopping(values, patience, stops_after, best):
    trainer = trainer_of()
    stopping = fs.EarlyStopping("validation_loss", patience)
    history = trainer.fit(*problem(), epochs=6, callbacks=[Script(values), stopping])
    assert len(history) == stops_after and trainer.network.parameters[0] == best
    assert best_epoch(history, "validation_loss") == best - 1
    assert stopping.best_epoch == best == history[best - 1]["epoch"]


def test_the_best_epoch_belongs_to_the_last_fit():
    stopping = fs.EarlyStopping("validation_loss")
    assert stopping.best_epoch is None
    trainer, script = trainer_of(), Script([3, 1, 2, 0.5])
    history = trainer.fit(*problem(), epochs=3, callbacks=[script, stopping])
    assert stopping.best_epoch == 2
    trainer.fit(*problem(), epochs=4, callbacks=[script, stopping], history=history)
    assert stopping.best_epoch == 4 == history[-1]["epoch"]
    stopping.on_fit_start(trainer, 1, 1)
    assert stopping.best_epoch is None


def test_early_stopping_of_a_figure_to_maximize():
    trainer = trainer_of()
    script = Script([0.1, 0.5, 0.4, 0.3], "validation_accuracy")
    stopping = fs.EarlyStopping("validation_accuracy", patience=2)
    assert len(trainer.fit(*problem(), epochs=4, callbacks=[script, stopping])) == 4
    assert trainer.network.parameters[0] == 2


def test_early_stopping_without_restoring():
    trainer = trainer_of()
    stopping = fs.EarlyStopping("validation_loss", patience=1, restore_best=False)
    trainer.fit(*problem(), epochs=4, callbacks=[Script([1, 2, 3, 4]), stopping])
    assert trainer.network.parameters[0] == 2


def test_early_stopping_restores_all_of_the_best_weights():
    """The weights are from a real training, on data that it cannot generalize from."""
    rng = np.random.default_rng(3)
    x, xv = rng.normal(size=(2, 60, 6)).astype(np.float32)
    y, yv = rng.integers(3, size=(2, 60))
    trainer = trainer_of(optimizer=fs.Adam(0.02))
    stopping = fs.EarlyStopping(patience=5)
    history = trainer.fit(
        x, y, epochs=200, batch_size=10, validation_data=(xv, yv), callbacks=[stopping]
    )
    best = best_epoch(history, "validation_loss")
    assert best < len(history) - 1 == best + 5
    assert trainer.evaluate(xv, yv)["loss"] == history[best]["validation_loss"]


def test_early_stopping_names_the_missing_figure():
    with pytest.raises(ValueError, match="monitor: one of train_loss is required, got 'validat"):
        trainer_of().fit(*problem(), epochs=2, callbacks=[fs.EarlyStopping()])
    with pytest.raises(ValueError, match="EarlyStopping: patience must be at least 1, got 0"):
        fs.EarlyStopping(patience=0)
