"""The CUDA backend in the simulator, with the tests and the tables of the CPU's engine. Run by
test_cuda.py in a process of its own, with NUMBA_ENABLE_CUDASIM=1; with FASTSNN_ALL_CASES=1 on all
cases, which takes an hour.
"""

import copy
import functools
import os
import pickle
import sys

import cases
import layer_cases
import numpy as np
import oracle
import pytest
import test_engine
import test_layers

import fastsnn as fs
from fastsnn.data.byterows import ByteRows
from fastsnn.data.standardize import Standardizer
from fastsnn.kernels.cpu import activation as cpu_activation
from fastsnn.kernels.cuda import activation, dropout, host, shape, tile, weights
from fastsnn.kernels.cuda.code import device_code
from fastsnn.kernels.emit import I64, at, load, store

pytestmark = pytest.mark.filterwarnings("ignore:layer .*Dropout:UserWarning")
sys.setswitchinterval(1e-5)  # the simulator's threads wait for one another
CudaTrainer = functools.partial(fs.Trainer, backend="cuda")

ENGINE = (
    "shape-1x1-2", "shape-3x2-3-5-3", "shape-17x17-65-31-5", "depth-3-alpha", "relu-plain-0.5",
    "tanh-alpha-0.05", "softmax_cross_entropy-5-class-sample-zeros",
    "sigmoid_cross_entropy-12-missing-empty_task-class", "sigmoid_cross_entropy-3-unlabelled",
    "mse-3-sample-zeros", "SGD-learning_rate=0.01-momentum=0.5-nesterov=True-weight_decay=0.1",
)  # fmt: skip
LAYERS = ("everything",)


@pytest.fixture
def on_gpu(monkeypatch):
    """Trainers on the simulated GPU, and few steps."""
    monkeypatch.setattr(fs, "Trainer", CudaTrainer)
    monkeypatch.setattr(test_engine, "STEPS", 2)


def named(table, names):
    everything = os.environ.get("FASTSNN_ALL_CASES")
    return [pytest.param(c, id=c.name) for c in table if everything or c.name in names]


@pytest.mark.parametrize("case", named(cases.CASES, ENGINE))
def test_of_the_engine(case, on_gpu):
    for check in (
        test_engine.test_forward,
        test_engine.test_hidden_layers,
        test_engine.test_gradients,
        test_engine.test_ten_steps,
    ):
        check(case)


@pytest.mark.parametrize("case", named(layer_cases.CASES, LAYERS))
def test_of_the_layers(case, on_gpu):
    for check in (test_layers.test_evaluation, test_layers.test_gradients, test_layers.test_steps):
        check(case)


def test_the_chosen_cases_exist():
    for table, names in ((cases.CASES, ENGINE), (layer_cases.CASES, LAYERS)):
        assert set(names) <= {case.name for case in table}


# What the same order of sums and the same roundings must give: equal bits.


def network(inputs=7, outputs=4, seed=3, dropout=0.1, width=13):
    layers = [
        fs.Dense(width), fs.SELU(), fs.AlphaDropout(dropout),
        fs.Dense(9), fs.BatchNorm(), fs.Tanh(), fs.Dropout(dropout),
        fs.Residual([fs.Dense(10), fs.ReLU(), fs.Dense(9)]), fs.ReLU(),
        fs.Highway(), fs.Dense(outputs),
    ]  # fmt: skip
    return fs.Network(layers, input_size=inputs, seed=seed)


def data(n=21, inputs=7, outputs=4):
    rng = np.random.default_rng(n)
    return rng.normal(size=(n, inputs)).astype(np.float32), rng.integers(outputs, size=n)


def equal(one, two):
    assert one.keys() == two.keys()
    for name in one:
        assert np.array_equal(one[name], two[name]), name
    return True


def pair(**arguments):
    """Two trainers on equal networks, on the CPU and on the GPU."""
    nets = network(), network()
    return [
        make(net, seed=(9 << 32) + 5, **arguments)
        for net, make in zip(nets, (fs.Trainer, CudaTrainer), strict=True)
    ]


@pytest.mark.parametrize("optimizer", [fs.SGD(0.1, momentum=0.9), fs.AdamW(0.01)])
def test_bits_are_the_cpu_s(optimizer):
    cpu, gpu = pair(optimizer=optimizer)
    x, y = data()
    equal(cpu.gradients(x, y), gpu.gradients(x, y))
    for _ in range(2):
        assert abs(cpu.step(x, y) - gpu.step(x, y)) < 1e-6
    equal(cpu.network.state_dict(), gpu.network.state_dict())
    equal(cpu.state_dict()[0], gpu.state_dict()[0])
    assert np.array_equal(cpu.network.forward(x), gpu.network.forward(x))
    for training in (False, True):
        hidden = (t.network.activations(x, training, seed=5, step=3) for t in (cpu, gpu))
        assert all(np.array_equal(a, b) for a, b in zip(*hidden, strict=True))


@pytest.mark.parametrize("on_device", shape.ON_DEVICE, ids=lambda t: t.name)
def test_bits_are_the_cpu_s_with_the_tiles_of_a_gpu(on_device, monkeypatch):
    """More than one tile of the smallest in each direction, one of the others."""
    monkeypatch.setattr(shape, "TILES", (on_device,))
    nets = [fs.mlp(10, 36, layers=1, width=40, dropout=0.1, seed=2) for _ in range(2)]
    cpu, gpu = (
        make(net, seed=1) for net, make in zip(nets, (fs.Trainer, CudaTrainer), strict=True)
    )
    x, y = data(35, 10, 36)
    equal(cpu.gradients(x, y), gpu.gradients(x, y))


def test_two_runs_are_equal():
    x, y = data()
    states = []
    for _ in range(2):
        trainer = CudaTrainer(network(), optimizer=fs.Adam(), seed=5)
        trainer.fit(x, y, epochs=1, batch_size=8)
        states.append(trainer.network.state_dict())
    equal(*states)


def test_the_batch_is_split_where_tiles_are_few(monkeypatch):
    """In parts of 16 samples: other bits, the same gradient, the same again."""
    x, y = data(50)
    whole = CudaTrainer(fs.mlp(7, 4, layers=1, width=6)).gradients(x, y)
    monkeypatch.setattr(weights, "PART", 16)
    split = CudaTrainer(fs.mlp(7, 4, layers=1, width=6)).gradients(x, y)
    again = CudaTrainer(fs.mlp(7, 4, layers=1, width=6)).gradients(x, y)
    equal(split, again)
    for name, g in whole.items():
        np.testing.assert_allclose(split[name], g, rtol=0, atol=1e-6 * np.abs(g).max())
    assert any(not np.array_equal(split[name], whole[name]) for name in whole)


# The generator and the functions of one element.


def test_masks_are_the_oracle_s():
    for seed, step, site, rate in ((0, 0, 0, 0.5), (2**64 - 1, 2**32 - 1, 999, 0.05)):
        mask = dropout.drop_mask(seed, step, site, 0, 21, 7, rate)
        assert np.array_equal(mask, oracle.drop_mask(seed, step, site, 21, 7, rate))
    later = dropout.drop_mask(7, 3, 1, 16, 5, 7, 0.3)
    assert np.array_equal(later, oracle.drop_mask(7, 3, 1, 21, 7, 0.3)[16:])


def test_the_generator():
    counters = np.random.default_rng(0).integers(2**32, size=(40, 4), dtype=np.uint32)
    counters[0], counters[1] = 0, 2**32 - 1
    for seed in (0, 2**64 - 1, 0x0123456789ABCDEF):
        out = np.zeros_like(counters)
        dropout.philox_blocks(out, counters, seed)
        assert np.array_equal(out, oracle.philox4x32_10(counters, (seed & 0xFFFFFFFF, seed >> 32)))


def test_exponentials_are_the_cpu_s():
    rng = np.random.default_rng(1)
    x = np.concatenate([-rng.exponential(20, 300), [0, -0.0, -1e-30, -87.5, -103.9, -1e38]])
    x = x.astype(np.float32)
    x = np.append(x, np.float32([-np.inf, np.nan]))
    for name in ("exponential", "exponential_minus_one"):
        results = np.empty_like(x), np.empty_like(x)
        for module, out in zip((cpu_activation, activation), results, strict=True):
            getattr(module, name)(out, x)
        assert np.array_equal(*(r.view(np.uint32)[:-1] for r in results))
        assert np.isnan(results[1][-1])


# Training.


def byte_rows(n=21):
    pixels = np.random.default_rng(2).integers(256, size=(n, 7), dtype=np.uint8)
    return ByteRows(pixels, Standardizer(np.full(7, 120, np.float32), np.full(7, 70, np.float32)))


@pytest.mark.parametrize("make", [lambda: data()[0], byte_rows], ids=["floats", "bytes"])
def test_fit(make):
    """Batches of 8, 8 and 5 from a data set on the device, and what callbacks hear."""

    class Watch:
        def __init__(self):
            self.heard = []

        def on_batch_end(self, trainer, samples, loss):
            self.heard.append((samples, round(loss, 5)))

    x, y = make(), data()[1]
    results = []
    for trainer in pair(optimizer=fs.Adam(0.01)):
        watch = Watch()
        history = trainer.fit(
            x, y, epochs=2, batch_size=8, validation_data=data(9), callbacks=[watch],
            schedule=fs.Cosine(),
        )  # fmt: skip
        results.append((trainer, history, watch.heard))
    (cpu, one, heard), (gpu, two, also) = results
    equal(cpu.network.state_dict(), gpu.network.state_dict())
    assert len(also) == 6 and [s for s, _ in also] == [8, 8, 5] * 2
    np.testing.assert_allclose([l for _, l in also], [l for _, l in heard], atol=2e-5)
    for a, b in zip(one, two, strict=True):
        assert a["validation_loss"] == b["validation_loss"]
        assert abs(a["train_loss"] - b["train_loss"]) < 1e-6
    assert cpu.step_count == gpu.step_count == 6


def test_nothing_new_for_the_second_step():
    """No array, no launch that was not there."""
    x, y = data()
    trainer = CudaTrainer(network())
    trainer.step(x, y)
    engine = trainer._engine
    launches, acts = dict(engine.launches), engine.acts
    trainer.step(x[::-1].copy(), y)
    assert engine.launches == launches and engine.acts is acts


def test_divergence_is_where_the_cpu_s_is():
    """Many steps at once: nothing is updated behind the one that is too much."""
    x, y = data(40)
    x[25] = 1e4
    found = []
    for make in (fs.Trainer, CudaTrainer):
        trainer = make(fs.mlp(7, 4, layers=2, width=6), optimizer=fs.SGD(3.0), seed=1)
        with pytest.raises(FloatingPointError) as error:
            trainer.fit(x, y, epochs=30, batch_size=8)
        found.append((str(error.value).split(":")[0], trainer.step_count, trainer.network))
    assert found[0][:2] == found[1][:2]
    equal(found[0][2].state_dict(), found[1][2].state_dict())


def test_a_loss_that_is_not_finite_updates_nothing():
    x, y = data()
    trainer = CudaTrainer(network(), optimizer=fs.Adam())
    before = trainer.network.state_dict()
    before["0.weight"][:] = 3e38
    trainer.network.load_state_dict(before)
    with pytest.raises(FloatingPointError, match="diverged in step 0"):
        trainer.step(x, y)
    equal(trainer.network.state_dict(), before)
    assert not any(state.any() for state in trainer.state_dict()[0].values())


# One network on both sides.


def test_files_go_both_ways(tmp_path):
    x, y = data()
    trainer = CudaTrainer(network(), optimizer=fs.Adam())
    trainer.step(x, y)
    trainer.network.save(tmp_path / "gpu.safetensors")
    loaded = fs.load(tmp_path / "gpu.safetensors")
    assert loaded.device == "cpu" and trainer.network.device == "cuda"
    equal(loaded.state_dict(), trainer.network.state_dict())
    assert np.array_equal(loaded.forward(x), trainer.network.forward(x))
    loaded.save(tmp_path / "cpu.safetensors")
    assert (tmp_path / "cpu.safetensors").read_bytes() == (
        tmp_path / "gpu.safetensors"
    ).read_bytes()


@pytest.mark.parametrize("first, then", [("cpu", "cuda"), ("cuda", "cpu")])
def test_a_training_goes_on_elsewhere(first, then):
    x, y = data()
    straight = fs.Trainer(network(), optimizer=fs.Adam(), seed=4)
    for _ in range(4):
        straight.step(x, y)
    one = fs.Trainer(network(), optimizer=fs.Adam(), seed=4, backend=first)
    one.step(x, y), one.step(x, y)
    two = fs.Trainer(network(), optimizer=fs.Adam(), seed=4, backend=then)
    two.network.load_state_dict(one.network.state_dict())
    two.load_state_dict(*one.state_dict())
    two.step(x, y), two.step(x, y)
    equal(two.network.state_dict(), straight.network.state_dict())
    equal(two.state_dict()[0], straight.state_dict()[0])


def test_a_network_moves():
    x, _ = data()
    net, other = network(), network(seed=8)
    expected = net.forward(x)
    assert net.to_device() is net and net.device == "cuda"
    assert np.array_equal(net.forward(x), expected)
    assert np.array_equal(pickle.loads(pickle.dumps(net)).forward(x), expected)
    assert copy.deepcopy(net).device == "cpu"
    net.load_state_dict(other.state_dict())
    assert np.array_equal(net.forward(x), other.forward(x))
    assert net.to_host().device == "cpu"
    assert np.array_equal(net.forward(x), other.forward(x))


def test_both_trainers_see_one_network():
    """Steps on the CPU and on the GPU in turn are those of one side."""
    x, y = data()
    alone, shared = network(), network()
    trainer = fs.Trainer(alone, optimizer=fs.SGD(0.1))
    gpu = CudaTrainer(shared, optimizer=fs.SGD(0.1))
    cpu = fs.Trainer(shared, optimizer=fs.SGD(0.1))
    for step, one in enumerate((gpu, cpu, gpu)):
        one.step_count = trainer.step_count = step
        one.step(x, y)
        trainer.step(x, y)
    equal(alone.state_dict(), shared.state_dict())


# How a block works together.


def banks_of(places, width):
    """How often the most used bank is asked, beyond what the vectors' size makes necessary."""
    distinct = sorted(set(places))
    asked = np.zeros(32, int)
    for place in distinct:
        asked[(place + np.arange(width)) % 32] += 1
    return asked.max(), -(-len(distinct) * width // 32)


@pytest.mark.parametrize("on_device", shape.ON_DEVICE, ids=lambda t: t.name)
def test_no_two_threads_want_one_bank(on_device):
    """Of shared memory: when operands are written, turned or not, and when they are read. A warp
    moves 128 bytes at a time: vectors of 4 by 8 threads.
    """
    t = on_device
    for turned in (False, True):
        _, _, keep, floats = tile._loaders(t, t.rows, turned)
        landed = np.full((t.threads, floats), -1)
        for thread in range(t.threads):
            shared = np.full(t.buffer, -1, np.float32)
            keep(shared, 0, np.arange(floats, dtype=np.float32), thread)
            (places,) = np.nonzero(shared >= 0)
            landed[thread, shared[places].astype(int)] = places
        assert (landed >= 0).all() and len(np.unique(landed)) == landed.size
        width = 1 if turned else shape.QUAD
        group = 32 // width
        for first in range(0, t.threads, group):
            for j in range(0, floats, width):
                most, least = banks_of(landed[first : first + group, j], width)
                assert most == least
    row_of, column_of = tile.place_in(t)
    for of, width in ((row_of, shape.QUAD), (column_of, t.width)):
        places = [of(thread) for thread in range(t.threads)]
        for first in range(0, t.threads, 32 // width):
            most, least = banks_of(places[first : first + 32 // width], width)
            assert most == least


def test_an_address_outside_is_an_error():
    @device_code
    def copy_one(builder, out, out_at, x, x_at):
        store(builder, load(builder, at(builder, x, x_at), 1), at(builder, out, out_at))

    @device_code
    def copy_two(builder, out, x, x_at):
        values = tile.load_vector(builder, x, builder.add(x_at, I64(0)), 2)
        tile.store_vector(builder, values, out, I64(0))

    x, out = np.arange(4, dtype=np.float32), np.zeros(4, np.float32)
    copy_one(out, 3, x, 3)
    copy_two(out, x, 2)
    assert out.tolist() == [2, 3, 0, 3]
    for wrong in ((4, 0), (0, 4), (-1, 0), (0, -1)):
        with pytest.raises(IndexError, match="copy_one"):
            copy_one(out, wrong[0], x, wrong[1])
    for unaligned in (1, 3):
        with pytest.raises(IndexError, match="copy_two"):
            copy_two(out, x, unaligned)
    assert host._outside.value == 0
