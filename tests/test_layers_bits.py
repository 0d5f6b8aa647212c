"""Networks with normalizations, highway and residual layers have the properties of all networks.

Equal bits in batches of any size, and after files and interruptions; no compilation, no allocation;
a failed call changes nothing.
"""

import copy
import pickle
import tracemalloc

import layer_cases
import numpy as np
import pytest
from layer_cases import BN, HW, LN, RES, WN, A, Case, D, P, R, S, T
from numba.core.event import install_recorder

import fastsnn as fs
from fastsnn import methods
from fastsnn.engine import cpu as backend
from fastsnn.kernels.cpu.regions import PREDICT_PANELS
from fastsnn.kernels.cpu.shape import PANEL

pytestmark = pytest.mark.filterwarnings("ignore:layer .*Dropout:UserWarning")

NETWORKS = {
    "everything": layer_cases.BY_NAME["everything"].hidden,
    "normed": (D(33), R, BN(), P(0.1), D(20), LN(), S(), A(0.1), D(33), BN(), T),
    "skips": (D(20), R, HW(), P(0.1), RES(D(9), BN(), R, P(0.2), D(20), BN()), R, HW(), HW()),
    "weight_norm": (WN(70), S(), A(0.1), WN(9), R, WN(40)),
}
each_network = pytest.mark.parametrize("name", NETWORKS)
ROWS, FEATURES, CLASSES = 5 * PANEL + 3, 9, 4


def case_of(name):
    return Case(name, NETWORKS[name])


def network(name, seed=3):
    return fs.Network(case_of(name).layers(), FEATURES, seed)


def problem(rows=ROWS, seed=4):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, FEATURES)).astype(np.float32), rng.integers(CLASSES, size=rows)


def trained(name, optimizer=None, **arguments):
    """Return a trainer after some steps: running statistics have changed."""
    optimizer = optimizer or fs.SGD(0.01, momentum=0.9)
    trainer = fs.Trainer(network(name), optimizer=optimizer, seed=11, **arguments)
    x, y = problem()
    for _ in range(3):
        trainer.step(x, y)
    return trainer


def bits(arrays):
    return {name: array.view(np.uint32).tolist() for name, array in arrays.items()}


def all_bits(trainer):
    return bits(trainer.network.state_dict()), bits(trainer.state_dict()[0])


@each_network
def test_a_prediction_does_not_depend_on_the_other_rows(name):
    """Batches of up to 5 rows, repeatedly, and of more rows than a thread takes in one slice."""
    net = trained(name).network
    x, _ = problem(2 * PREDICT_PANELS * PANEL + PANEL + 5)
    whole = net.forward(x, threads=1)
    assert np.isfinite(whole).all()
    for threads in (1, 2, 16):
        assert np.array_equal(net.forward(x, threads=threads), whole)
        for count in (1, 2, 3, 4, 5, PANEL + 1):
            for first in (0, 7, len(x) - count):
                for _ in range(3):
                    part = net.forward(x[first : first + count], threads=threads)
                    assert np.array_equal(part, whole[first : first + count])


def test_single_rows_follow_the_statistics():
    """A step changes them, `gradients` does not, and predictions use them immediately."""
    trainer = trained("normed", fs.SGD(0.0))  # only running statistics change
    net, (x, y) = trainer.network, problem()
    before = net.forward(x[:1])
    trainer.gradients(x, y)
    assert np.array_equal(net.forward(x[:1]), before)
    trainer.step(x, y)
    after = net.forward(x[:1])
    assert not np.array_equal(after, before)
    assert np.array_equal(net.forward(x)[:1], after)


@each_network
@pytest.mark.parametrize("batch_size", [2, PANEL + 1, ROWS])
def test_threads_change_no_bit_of_a_training(name, batch_size):
    x, y = problem(20 if batch_size == 2 else ROWS)
    weight = np.random.default_rng(5).random(len(x)).astype(np.float32)
    results = []
    for threads in (1, 2, 3, 16):
        trainer = fs.Trainer(network(name), optimizer=fs.Adam(1e-3), threads=threads)
        history = trainer.fit(x, y, 2, batch_size, sample_weight=weight)
        results.append((all_bits(trainer), [record["train_loss"] for record in history]))
    assert all(other == results[0] for other in results[1:])


@each_network
@pytest.mark.parametrize("optimizer", [fs.SGD(0.002, momentum=0.9), fs.Adam(1e-3)])
def test_a_resumed_training_ends_with_the_same_bits(name, optimizer):
    x, y = problem()
    whole = fs.Trainer(network(name), optimizer=optimizer, threads=1)
    whole.fit(x, y, epochs=3, batch_size=40)

    class Stop:
        def on_epoch_end(self, trainer, history):
            return len(history) == 1

    first = fs.Trainer(network(name), optimizer=optimizer, threads=1)
    records = first.fit(x, y, epochs=3, batch_size=40, callbacks=[Stop()])
    second = fs.Trainer(network(name, seed=8), optimizer=optimizer, threads=2)
    second.network.load_state_dict(first.network.state_dict())
    arrays, numbers = first.state_dict()
    assert arrays and not any("running" in tensor for tensor in arrays)
    second.load_state_dict(arrays, numbers)
    second.fit(x, y, epochs=3, batch_size=40, history=records)
    assert all_bits(second) == all_bits(whole)


@each_network
def test_files_keep_layers_and_bits(name, tmp_path):
    net = trained(name).network
    net.save(tmp_path / "m.safetensors")
    other = fs.load(tmp_path / "m.safetensors")
    assert other.layers == net.layers and other.input_size == net.input_size
    assert bits(other.state_dict()) == bits(net.state_dict())
    x, _ = problem()
    assert np.array_equal(other.forward(x), net.forward(x))
    other.save(tmp_path / "again.safetensors")
    assert (tmp_path / "m.safetensors").read_bytes() == (
        tmp_path / "again.safetensors"
    ).read_bytes()


@each_network
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))])
def test_copies(name, duplicate):
    net, (x, y) = trained(name).network, problem()
    before = net.forward(x)
    other = duplicate(net)
    assert other.layers == net.layers and np.array_equal(other.forward(x), before)
    fs.Trainer(other, optimizer=fs.SGD(0.1)).step(x, y)
    assert np.array_equal(net.forward(x), before)
    assert not np.array_equal(other.forward(x), before)


@each_network
def test_state_dicts_are_exchanged(name):
    """Another network accepts all tensors, including derived weights, and copies them."""
    net, other = trained(name).network, network(name, seed=9)
    x, _ = problem()
    first = other.forward(x)
    other.load_state_dict(net.state_dict())
    assert not np.array_equal(other.forward(x), first)
    assert np.array_equal(other.forward(x), net.forward(x))
    state = net.state_dict()
    for array in state.values():
        array += 1
    assert np.array_equal(other.forward(x), net.forward(x))
    state.pop(next(iter(state)))
    before = bits(other.state_dict())
    with pytest.raises(ValueError, match="the network needs '0.weight"):
        other.load_state_dict(state)
    assert bits(other.state_dict()) == before


def test_a_loss_that_is_not_finite_changes_nothing():
    net = network("everything")
    state = net.state_dict()
    state[f"{len(net.layers) - 1}.bias"][:] = 1e30
    net.load_state_dict(state)
    trainer = fs.Trainer(net, "mse", fs.Adam())
    x, _ = problem()
    y = np.zeros((ROWS, CLASSES), np.float32)
    before = all_bits(trainer)
    with pytest.raises(FloatingPointError, match="training diverged in step 0: the loss is inf"):
        trainer.step(x, y)
    with pytest.raises(FloatingPointError, match="gradients: a finite loss is required, it is inf"):
        trainer.gradients(x, y)
    assert all_bits(trainer) == before and trainer.step_count == 0


def test_batch_normalization_needs_two_rows():
    x, y = problem(9)
    trainer = fs.Trainer(network("normed"))
    before = bits(trainer.network.state_dict())
    text = "batch normalization: at least 2 rows are required in a batch, got 1"
    for call in (
        lambda: trainer.step(x[:1], y[:1]),
        lambda: trainer.gradients(x[:1], y[:1]),
        lambda: trainer.fit(x, y, epochs=1, batch_size=1),
        lambda: trainer.fit(x[:1], y[:1], epochs=1),
    ):
        with pytest.raises(ValueError, match=text):
            call()
    assert bits(trainer.network.state_dict()) == before and trainer.step_count == 0
    assert trainer.network.forward(x[:1]).shape == (1, CLASSES)


@pytest.mark.parametrize("name, sizes", [("normed", [4, 4]), ("weight_norm", [4, 4, 1])])
def test_a_last_batch_of_one_row(name, sizes):
    seen, starts = [], []

    class Watch:
        def on_fit_start(self, trainer, epochs, batches):
            starts.append(batches)

        def on_batch_end(self, trainer, samples, loss):
            seen.append((samples, loss))

    x, y = problem(9)
    trainer = fs.Trainer(network(name))
    history = trainer.fit(x, y, epochs=2, batch_size=4, callbacks=[Watch()])
    assert [samples for samples, _ in seen] == sizes * 2 and starts == [len(sizes)]
    assert trainer.step_count == 2 * len(sizes)
    mean = sum(n * loss for n, loss in seen[: len(sizes)]) / sum(sizes)
    assert history[0]["train_loss"] == pytest.approx(mean, rel=1e-12)


@pytest.mark.parametrize("threads", [1, 2])
def test_nothing_compiles_for_other_layers(threads):
    """Everything is compiled once a plain network has been trained."""
    backend.load_kernels(threads)
    x, y = problem()
    plain = fs.Trainer(fs.mlp(FEATURES, CLASSES, layers=2, width=16), threads=threads)
    plain.step(x, y)
    plain.network.forward(x, threads=threads)
    plain.network.activations(x)
    with install_recorder("numba:compile") as recorder:
        nets = [network(name) for name in NETWORKS]
        nets += [methods.network(m, FEATURES, CLASSES, 2, 8, dropout=0.1) for m in methods.METHODS]
        for net in nets:
            for optimizer in (fs.SGD(0.01), fs.AdamW()):
                trainer = fs.Trainer(net, optimizer=optimizer, threads=threads)
                trainer.step(x, y)
                trainer.step(x[:20], y[:20])
                trainer.gradients(x, y)
            trainer.evaluate(x, y)
            net.forward(x[:1], threads=threads)
            net.activations(x, training=True)
    assert not recorder.buffer


@pytest.mark.parametrize("threads", [1, 2])
@each_network
def test_a_step_makes_no_array(name, threads):
    """This holds after the first step; the smallest array of the batch is larger than the limit."""
    x, y = problem(600)
    trainer = fs.Trainer(network(name), optimizer=fs.Adam(), threads=threads)
    peaks = []
    for _ in range(2):
        tracemalloc.start()
        trainer.step(x, y)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[0] > 20_000  # the measurement includes the buffers of the first step
    assert peaks[1] < 7500  # x has 21 600 bytes
