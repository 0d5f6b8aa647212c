"""Parameters have one owner: every reader sees the last write."""

import threading

import numpy as np
import pytest

import fastsnn as fs
from fastsnn import methods
from fastsnn.engine import cpu as backend
from fastsnn.search.protocol import BestEpoch, ModelSelection


def features(rows=8, width=6):
    return np.random.default_rng(0).normal(size=(rows, width)).astype(np.float32)


def weight_normalized():
    return methods.network("weightnorm", 6, 3, 2, 16, 0.0, "rectangular", 0.5, 0)


NETWORKS = pytest.mark.parametrize(
    "make", [lambda: fs.mlp(6, 3, layers=2, width=16), weight_normalized], ids=["mlp", "weightnorm"]
)


@NETWORKS
def test_public_arrays_are_read_only(make):
    net = make()
    for view in (net.parameters, net.parameters[:3]):
        with pytest.raises(ValueError, match="read-only"):
            view[:] = 0
    with pytest.raises(AttributeError):
        net.parameters = np.zeros(3)


@NETWORKS
@pytest.mark.parametrize("rows", [1, 8])
def test_a_snapshot_is_restored_for_every_kind_of_prediction(make, rows):
    net, x = make(), features(rows)
    first = [net.forward(x, threads=1) for _ in range(3)][-1]
    kept = net.buffer.snapshot()
    net.load_state_dict({name: 2 * tensor for name, tensor in net.state_dict().items()})
    assert not np.array_equal(net.forward(x, threads=1), first)
    net.buffer.restore(kept)
    for _ in range(3):
        assert np.array_equal(net.forward(x, threads=1), first)
    assert np.array_equal(net.buffer.snapshot(), kept)


def test_restoring_callbacks_leave_no_stale_prediction():
    x, y = features(40), np.arange(40) % 3
    for callback in (
        fs.EarlyStopping("validation_loss", patience=1),
        BestEpoch(ModelSelection(epochs=6, window=1, metric="loss")),
    ):
        net = weight_normalized()
        trainer = fs.Trainer(net, optimizer=fs.SGD(0.5), threads=1)
        trainer.fit(x, y, epochs=6, batch_size=8, validation_data=(x, y), callbacks=[callback])
        fresh = fs.Network(net.layers, 6)
        fresh.load_state_dict(net.state_dict())
        for rows in (1, 40):
            assert np.array_equal(net.forward(x[:rows]), fresh.forward(x[:rows]))


def test_a_load_while_weights_are_derived(monkeypatch):
    """The derived weights then belong to the old parameters, and are computed again."""
    net, x = weight_normalized(), features()
    two = {name: tensor * 0.5 for name, tensor in net.state_dict().items()}
    real = backend.directions.derive_weights

    def meanwhile(*arguments):
        real(*arguments)
        monkeypatch.setattr(backend.directions, "derive_weights", real)
        net.load_state_dict(two)

    monkeypatch.setattr(backend.directions, "derive_weights", meanwhile)
    net.forward(x)
    fresh = fs.Network(net.layers, 6)
    fresh.load_state_dict(two)
    assert np.array_equal(net.forward(x), fresh.forward(x))


def test_loads_and_predictions_from_several_threads_end_with_the_last():
    net, x = weight_normalized(), features()
    states = [{k: v * f for k, v in net.state_dict().items()} for f in (1.0, 0.5)]

    def load(count):
        for i in range(count):
            net.load_state_dict(states[i % 2])

    def predict():
        for _ in range(50):
            net.forward(x, threads=1)

    net.forward(x, threads=1)  # kernels are loaded
    running = [threading.Thread(target=load, args=(51,)), threading.Thread(target=predict)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    fresh = fs.Network(net.layers, 6)
    fresh.load_state_dict(states[0])
    assert np.array_equal(net.forward(x), fresh.forward(x))


BAD = {
    "complex": (lambda a: a.astype(complex), "must be real numbers, got complex128"),
    "text": (lambda a: a.astype(str), "must be real numbers"),
    "masked": (lambda a: np.ma.masked_array(a, a > 0), "must be a plain array, got a masked one"),
    "too large": (lambda a: a.astype(float) + 1e300, "must be finite"),
    "broadcasts": (lambda a: a[:1], "has shape"),
}


@pytest.mark.parametrize("name", BAD)
def test_tensors_that_are_not_usable(name):
    change, text = BAD[name]
    net = fs.mlp(6, 3, layers=1, width=8)
    before = net.buffer.snapshot()
    with pytest.raises(ValueError, match=text):
        net.load_state_dict(net.state_dict() | {"2.weight": change(net.state_dict()["2.weight"])})
    assert np.array_equal(net.buffer.snapshot(), before)


@pytest.mark.parametrize("length", [0.0, 1e-25, 1e25])
def test_directions_without_a_length(length):
    net = weight_normalized()
    state = net.state_dict()
    name = next(name for name in state if name.endswith("weight_v"))
    state[name][2] = length
    with pytest.raises(ValueError, match=f"{name} must have no row of zeros"):
        net.load_state_dict(state)


@NETWORKS
def test_nobody_outside_can_make_the_parameters_writeable(make):
    net = make()
    for shown in (net.parameters, net.buffer.host, *net.buffer.tensors.values()):
        with pytest.raises(ValueError, match="WRITEABLE"):
            shown.flags.writeable = True
        base = shown
        while isinstance(base, np.ndarray):
            assert not base.flags.writeable
            base = base.base
        assert memoryview(base).readonly


@NETWORKS
@pytest.mark.parametrize("wrong", [
    lambda s: s * np.float32(np.nan), lambda s: s + 1j, lambda s: s.astype(np.float64),
    lambda s: s.astype("U20"), lambda s: s.tolist(), lambda s: s[:-1], lambda s: None,
])  # fmt: skip
def test_invalid_snapshots_are_refused(make, wrong):
    net = make()
    kept = net.buffer.snapshot()
    with pytest.raises((TypeError, ValueError), match="restore|finite"):
        net.buffer.restore(wrong(kept))
    assert np.array_equal(net.buffer.snapshot(), kept)


def test_updates_are_counted_and_derived_tensors_are_up_to_date_after_them():
    buffer, derived = weight_normalized().buffer, []
    version = buffer.version
    made = buffer.update(3, derived.append, lambda flat, losses: (losses, False), [1.0, 2.0])
    assert made == ([1.0, 2.0], False) and buffer.version == version + 2
    buffer.current(derived.append)
    assert len(derived) == 1  # by `update`, whose engine has kept them current


def test_an_interrupted_update_counts_as_all_its_steps():
    buffer, derived = weight_normalized().buffer, []
    version = buffer.version

    def interrupted(flat):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        buffer.update(3, derived.append, interrupted)
    assert buffer.version == version + 3
    buffer.current(derived.append)
    assert len(derived) == 2


def test_a_load_during_an_update_makes_derived_tensors_stale():
    net, derived = weight_normalized(), []

    def loaded(flat):
        net.load_state_dict(net.state_dict())
        return [1.0], False

    net.buffer.update(1, derived.append, loaded)
    net.buffer.current(derived.append)
    assert len(derived) == 2
