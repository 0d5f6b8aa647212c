"""Only finite numbers are stored: an update that would overflow float32 is skipped, and counts
as divergence although the loss is finite.
"""

import numpy as np
import pytest
from each_optimizer import OPTIMIZERS

import fastsnn as fs
from fastsnn import methods
from fastsnn.engine.epoch import shuffled

each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
THREADS = pytest.mark.parametrize("threads", [1, 2])


def problem(rows=64):
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, 6)).astype(np.float32), np.arange(rows) % 3


def assert_finite(trainer):
    stored = trainer.network.state_dict() | trainer.state_dict()[0]
    assert [name for name, array in stored.items() if not np.isfinite(array).all()] == []
    fresh = fs.Network(trainer.network.layers, trainer.network.input_size)
    fresh.load_state_dict(trainer.network.state_dict())
    trainer.load_state_dict(*trainer.state_dict())


@THREADS
@each_optimizer
def test_sample_weights_whose_sum_has_no_reciprocal(optimizer, threads):
    x, y = problem()
    trainer = fs.Trainer(fs.mlp(6, 3, layers=2, width=8), optimizer=optimizer, threads=threads)
    before = trainer.network.buffer.snapshot()
    with pytest.raises(FloatingPointError, match="with sample weights down to 1.4") as caught:
        trainer.step(x, y, np.full(64, 1e-45))
    assert "its update would overflow float32" in str(caught.value) and trainer.step_count == 0
    assert_finite(trainer)
    assert np.array_equal(trainer.network.buffer.snapshot(), before)  # every gradient was NaN
    with pytest.raises(FloatingPointError, match="sample weights"):
        trainer.fit(x, y, epochs=1, batch_size=16, sample_weight=np.full(64, 1e-45))
    with pytest.raises(FloatingPointError, match="a finite gradient is required"):
        trainer.gradients(x, y, np.full(64, 1e-45))


@THREADS
@each_optimizer
def test_inputs_whose_gradients_leave_float32(optimizer, threads):
    """Targets far from the outputs: dz of 1e10 times inputs of 1e30 overflows float32."""
    x, _ = problem()
    x = np.full_like(x, 1e30)
    net = fs.Network([fs.Dense(4), fs.Tanh(), fs.Dense(1)], input_size=6)
    net.load_state_dict({k: 1e-30 * v for k, v in net.state_dict().items()})
    trainer = fs.Trainer(net, loss="mse", optimizer=optimizer, threads=threads)
    state = net.state_dict() | {"2.weight": np.full((1, 4), 1e4, np.float32)}
    net.load_state_dict(state)
    with pytest.raises(FloatingPointError, match=r"with inputs up to 1e\+30; standardize them"):
        trainer.step(x, np.full((64, 1), 1e10, np.float32))
    assert_finite(trainer)
    assert np.array_equal(net.state_dict()["0.weight"], state["0.weight"])


@THREADS
def test_running_statistics(threads):
    for large in (1e20, 1e38):
        x, y = problem()
        x[5, 2] = large
        net = methods.network("batchnorm", 6, 3, 2, 8, 0.0, "rectangular", 0.5, 0)
        trainer = fs.Trainer(net, threads=threads)
        with pytest.raises(FloatingPointError, match="with inputs up to 1e\\+"):
            trainer.fit(x, y, epochs=2, batch_size=16)
        assert_finite(trainer)
        assert np.isfinite(net.forward(x[:3] * 0)).all()


@THREADS
@pytest.mark.parametrize("optimizer", [fs.SGD(1e29), fs.Adam(1e29), fs.SGD(1e29, momentum=0.5)])
@pytest.mark.parametrize("method", ["weightnorm", "snn", "batchnorm"])
def test_learning_rates_of_any_size(method, optimizer, threads):
    x, y = problem()
    net = methods.network(method, 6, 3, 2, 8, 0.0, "rectangular", 0.5, 0)
    trainer = fs.Trainer(net, optimizer=optimizer, threads=threads)
    with pytest.raises(FloatingPointError, match=r"with learning rate 1e\+29; try a rate 10 times"):
        trainer.fit(x, y, epochs=20, batch_size=16)
    assert_finite(trainer)


def test_the_step_after_is_as_if_nothing_had_been():
    x, y = problem()
    trainers = [fs.Trainer(fs.mlp(6, 3, layers=2, width=8), threads=1) for _ in range(2)]
    with pytest.raises(FloatingPointError):
        trainers[0].step(x, y, np.full(64, 1e-45))
    assert trainers[0].step(x, y) == trainers[1].step(x, y)
    assert np.array_equal(*(t.network.parameters for t in trainers))


def test_several_steps_in_one_call_end_with_the_one_that_overflows():
    """Rows of weight 1e-45 fill the third batch of the first epoch: the two batches before it
    are applied.
    """
    x, y = problem(80)
    order = shuffled(80, 0, 0)
    weight = np.ones(80)
    weight[order[32:48]] = 1e-45
    trainer, other = (fs.Trainer(fs.mlp(6, 3, layers=2, width=8), threads=1) for _ in range(2))
    with pytest.raises(FloatingPointError, match="diverged in step 2: the loss is"):
        trainer.fit(x, y, epochs=1, batch_size=16, sample_weight=weight)
    assert trainer.step_count == 2
    for rows in (order[:16], order[16:32]):
        other.step(x[rows], y[rows])
    assert np.array_equal(trainer.network.parameters, other.network.parameters)
    assert_finite(trainer)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("optimizer, x, y", [
    (fs.SGD(0.01), 1e18, 1), (fs.SGD(0.01), 1e20, 1), (fs.SGD(0.01), 1, 1e19),
    (fs.SGD(0.1, weight_decay=10), 1, 1), (fs.AdamW(0.1, weight_decay=9.999), 1, 1),
], ids=repr)  # fmt: skip
def test_directions_that_training_leaves_can_be_loaded_and_used(optimizer, x, y, threads):
    random = np.random.default_rng(0)
    rows = np.sign(random.normal(size=(32, 4))).astype(np.float32)
    targets = np.sign(random.normal(size=(32, 3))).astype(np.float32) * np.float32(y)
    net = fs.Network(
        [fs.Dense(16, weight_norm=True), fs.ReLU(), fs.Dense(3, weight_norm=True)], 4, seed=0
    )
    net.load_state_dict(net.state_dict() | {"0.bias": np.full(16, -1e3 if y == 1 else 0)})
    trainer = fs.Trainer(net, "mse", optimizer, threads=threads)
    for _ in range(30):
        try:
            trainer.step(rows * np.float32(x), targets)
        except FloatingPointError:
            break
    loaded = fs.Network(net.layers, 4)
    loaded.load_state_dict(net.state_dict())
    assert np.array_equal(loaded.forward(rows, 1), net.forward(rows, 1), equal_nan=True)
    weights = net.layout.derived
    flat = net.parameters
    assert all(np.isfinite(flat[at : at + np.prod(shape)]).all() for at, shape in weights.values())
