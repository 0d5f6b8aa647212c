"""Losses as descriptions: texts, tasks and targets; each of them trains. Values and gradients
are tested in test_engine.py, test_torch.py and test_metrics.py.
"""

import copy
import pickle

import numpy as np
import oracle
import pytest

import fastsnn as fs
from fastsnn import losses, metrics
from fastsnn.data.dataset import TASKS
from fastsnn.kernels import losses as kernels

ALL = [kind() for kind in losses.LOSSES.values()]
PARAMETERS = [
    fs.Huber(0.5),
    fs.Quantile(0.9),
    fs.SoftmaxCrossEntropy(0.2),
]  # losses with a parameter that is not the default
each_loss = pytest.mark.parametrize("loss", [*ALL, *PARAMETERS], ids=lambda loss: loss.spec)


def data(loss, n=23, outputs=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5)).astype(np.float32)
    if loss.takes_classes:
        return x, rng.integers(outputs, size=n)
    if loss.allows_missing:
        y = rng.integers(2, size=(n, outputs)).astype(np.float32)
        y[0, 1] = y[3] = np.nan
        return x, y
    return x, rng.normal(size=(n, outputs)).astype(np.float32)


def trainer_of(loss, **arguments):
    net = fs.mlp(5, 3, layers=2, width=9, dropout=0.1, seed=2)
    return fs.Trainer(net, loss, **({"optimizer": fs.Adam(0.01), "seed": 4} | arguments))


def bits(trainer):
    return {name: p.tobytes() for name, p in trainer.network.state_dict().items()}


def test_every_loss_of_the_kernels_is_described():
    assert set(kernels.LOSSES) == set(losses.LOSSES) == set(oracle.LOSSES)
    assert [kind()._code for kind in losses.LOSSES.values()] == list(range(len(ALL)))
    assert {type(loss).__name__ for loss in ALL} == set(losses.__all__) <= set(fs.__all__)


@each_loss
def test_its_text_is_read_again(loss):
    assert losses.loss_of(loss.spec) == loss and losses.loss_of(loss) is loss
    assert trainer_of(loss.spec, threads=1)._loss == loss


@pytest.mark.parametrize(
    "text, message",
    [
        ("hinge", "loss must be one of softmax_cross_entropy, .*; got 'hinge'"),
        (None, "loss must be one of .*; got None"),
        ("huber:", "loss: huber:DELTA with a number is required, got 'huber:'"),
        ("huber:0", r"Huber: delta must be in \[1.17549e-38, 3.40282e\+38\], got 0.0"),
        ("huber:nan", "Huber: delta must be in .*, got nan"),
        ("quantile:1", r"Quantile: q must be in \(0, 1\), got 1.0"),
        ("softmax_cross_entropy:1", r"label_smoothing must be in \[0, 1\), got 1.0"),
        ("quantile:1e-50", r"Quantile: q, rounded to float32, must be in \(0, 1\), got 0.0"),
        ("quantile:0.9999999999", r"q, rounded to float32, must be in \(0, 1\), got 1.0"),
        ("softmax_cross_entropy:0.9999999999", r"rounded to float32, .* \[0, 1\), got 1.0"),
        ("mse:1", "loss: mse has no parameter, got 'mse:1'; write mse"),
    ],
)
def test_texts_that_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        losses.loss_of(text)


class Hinge(losses.Loss):
    name = "hinge"
    task = "regression"


@pytest.mark.parametrize("kind", [losses.Loss, Hinge])
def test_a_loss_that_kernels_do_not_have_is_refused(kind):
    with pytest.raises(ValueError, match=rf"Trainer: loss must be one of .*; got {kind.__name__}"):
        trainer_of(kind())


def test_a_class_is_no_loss():
    with pytest.raises(ValueError, match="got <class .*Huber'>; give an instance, such as"):
        trainer_of(fs.Huber)


def test_every_task_suggests_a_loss_that_fits_it():
    assert set(losses.SUGGESTED) == set(TASKS) == set(metrics.MAIN)
    assert all(losses.suggested(task).task == task for task in TASKS)
    assert {loss.task for loss in ALL} <= set(TASKS)
    with pytest.raises(ValueError, match="task: must be one of classification, .*; got 'ranking'"):
        losses.suggested("ranking")


@each_loss
def test_training_object_or_text_threads_copies_and_pickles_give_the_same_bits(loss):
    x, y = data(loss)
    weight = np.random.default_rng(1).uniform(0.2, 3, len(x))
    found = []
    for given, threads in ((loss, 1), (loss, 2), (loss.spec, 1)):
        trainer = trainer_of(given, threads=threads)
        before = trainer.step(x, y, sample_weight=weight)
        again = [trainer, copy.deepcopy(trainer), pickle.loads(pickle.dumps(trainer))]
        assert all(t.loss == given for t in again)
        for t in again:
            after = t.step(x, y, sample_weight=weight)
            found.append((before, after, bits(t), t.evaluate(x, y)))
    assert all(one == found[0] for one in found)


@each_loss
def test_fit_makes_the_loss_smaller_and_reports_the_figures_of_the_task(loss):
    x, y = data(loss, n=41)
    trainer = trainer_of(loss, threads=1)
    history = trainer.fit(x, y, epochs=8, batch_size=16, validation_data=(x, y))
    assert history[-1]["validation_loss"] < history[0]["validation_loss"]
    assert trainer.evaluate(x, y)["loss"] == loss.value(trainer.network.forward(x), y)
    assert f"validation_{metrics.MAIN[loss.task]}" in history[0]


@each_loss
def test_a_step_of_a_network_is_the_mean_that_the_description_computes(loss):
    x, y = data(loss)
    trainer = fs.Trainer(fs.mlp(5, 3, layers=2, width=9, seed=2), loss, threads=1)
    expected = loss.value(trainer.network.forward(x), y)
    assert trainer.step(x, y) == pytest.approx(expected, rel=1e-6)


def test_the_quantile_of_constants_is_found_and_stays():
    """With a bias alone: 0 of 10 targets is below the minimum for q = 0.05, 9 for 0.95; there
    the gradient of each equal output is 0.
    """
    y = np.arange(10, dtype=np.float32)[:, None]
    x = np.zeros((10, 1), np.float32)
    for q, expected in ((0.05, 0), (0.45, 4), (0.95, 9)):
        net = fs.Network([fs.Dense(1)], 1)
        net.load_state_dict({"0.weight": np.zeros((1, 1)), "0.bias": np.array([expected])})
        trainer = fs.Trainer(net, fs.Quantile(q), threads=1)
        below = expected * (1 - q) - (9 - expected) * q  # of the others; its own term is 0
        assert trainer.gradients(x, y)["0.bias"][0] == pytest.approx(below / 10, abs=1e-7)
        assert trainer.gradients(x[:1], y[[expected]])["0.bias"][0] == 0


@each_loss
def test_class_weights_are_for_losses_of_classes(loss):
    if loss.takes_classes or loss.allows_missing:
        trainer_of(loss, class_weight=[1, 2, 3])
        return
    with pytest.raises(
        ValueError, match=f"class_weight is not supported for {loss.name}; use sample_weight"
    ):
        trainer_of(loss, class_weight=[1, 2, 3])


@pytest.mark.parametrize("code", [-1, len(ALL), 99])
def test_a_code_without_a_kernel_is_refused(code):
    class Unknown(fs.MSE):
        pass

    Unknown._code = code
    trainer = trainer_of(Unknown(), threads=1)
    before = bits(trainer)
    for call in (trainer.step, trainer.gradients):
        with pytest.raises(ValueError, match=rf"loss: a code in \[0, {len(ALL)}\) is required"):
            call(*data(trainer._loss))
    assert bits(trainer) == before
