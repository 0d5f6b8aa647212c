"""Updates that would overflow float32, on the GPU backend; run by test_cuda.py."""

import numpy as np
import pytest
from each_optimizer import OPTIMIZERS

import fastsnn as fs
from fastsnn import methods
from fastsnn.engine.epoch import shuffled

each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)


def problem(rows=12):
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, 3)).astype(np.float32), np.arange(rows) % 3


def state(trainer):
    stored = trainer.network.state_dict() | trainer.state_dict()[0]
    assert [name for name, array in stored.items() if not np.isfinite(array).all()] == []
    return stored


@each_optimizer
def test_sample_weights_whose_sum_has_no_reciprocal(optimizer):
    """Earlier steps are applied, and the parameters keep the same bits as on the CPU."""
    x, y = problem()
    weight = np.ones(12)
    weight[shuffled(12, 0, 0)[8:]] = 1e-45
    stored = []
    for backend in ("cpu", "cuda"):
        net = fs.mlp(3, 3, layers=1, width=4)
        trainer = fs.Trainer(net, optimizer=optimizer, threads=1, backend=backend)
        with pytest.raises(FloatingPointError, match="in step 2: .* sample weights down to"):
            trainer.fit(x, y, epochs=2, batch_size=4, sample_weight=weight)
        assert trainer.step_count == 2
        stored.append(state(trainer))
    for name, array in stored[0].items():
        assert np.array_equal(array, stored[1][name]), name


def test_running_statistics():
    x, y = problem()
    x[3, 2] = 1e20
    net = methods.network("batchnorm", 3, 3, 1, 4, 0.0, "rectangular", 0.5, 0)
    trainer = fs.Trainer(net, backend="cuda")
    with pytest.raises(FloatingPointError, match="with inputs up to 1e\\+20"):
        trainer.step(x, y)
    state(trainer)


def test_directions_of_normalized_weights():
    x, y = problem()
    net = methods.network("weightnorm", 3, 3, 1, 4, 0.0, "rectangular", 0.5, 0)
    trainer = fs.Trainer(net, optimizer=fs.SGD(1e29), backend="cuda")
    with pytest.raises(FloatingPointError, match="diverged in step 0"):
        trainer.step(x, y)
    state(trainer)
    fresh = fs.Network(net.layers, 3)
    fresh.load_state_dict(net.state_dict())


def test_the_best_weights_are_put_back_on_the_device():
    """A write to the host's buffer reaches the device."""
    x, y = problem()
    net = fs.mlp(3, 3, layers=1, width=4)
    trainer = fs.Trainer(net, optimizer=fs.SGD(2.0), backend="cuda")
    kept = net.buffer.snapshot()
    before = net.forward(x)
    trainer.step(x, y)
    assert not np.array_equal(net.forward(x), before)
    net.buffer.restore(kept)
    assert np.array_equal(net.forward(x), before)
    trainer.fit(
        x, y, epochs=3, batch_size=4, validation_data=(x, y),
        callbacks=[fs.EarlyStopping("validation_loss", patience=1)],
    )  # fmt: skip
    after = net.forward(x)
    assert np.array_equal(net.to_host().forward(x, threads=1), after)
