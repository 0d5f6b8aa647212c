"""The CUDA backend in the simulator, with the tests and cases of the CPU's engine. Run by
test_cuda.py in a separate process, with NUMBA_ENABLE_CUDASIM=1. FASTSNN_ALL_CASES=1 runs all cases,
which takes 20 minutes.
"""

import copy
import functools
import os
import pickle

import cases
import commands
import layer_cases
import numpy as np
import pytest
import test_engine
import test_layers
from cuda_turns import turns

import fastsnn as fs
from fastsnn.data.standardize import Standardizer
from fastsnn.engine import cuda_predict, schedule
from fastsnn.engine.byterows import ByteRows
from fastsnn.engine.device import kernels
from fastsnn.kernels.cuda import shape, weights

pytestmark = pytest.mark.filterwarnings("ignore:layer .*Dropout:UserWarning")
CudaTrainer = functools.partial(fs.Trainer, backend="cuda")

ENGINE = (
    "shape-1x1-2", "shape-3x2-3-5-3", "shape-17x17-65-31-5", "depth-3-alpha", "relu-plain-0.5",
    "tanh-alpha-0.05", "none-plain-0.5", "mixed-sites",
    "gelu", "gelu-plain-0.5", "mish-alpha-0.5",
    "softmax_cross_entropy-5-class-sample-zeros",
    "sigmoid_cross_entropy-12-missing-empty_task-class", "sigmoid_cross_entropy-3-unlabelled",
    "mse-3-sample-zeros", "SGD-learning_rate=0.01-momentum=0.5-nesterov=True-weight_decay=0.1",
)  # fmt: skip
LAYERS = (
    "everything", "layer_norm-before-tanh", "weight_norm-selu", "selu-norms-0.0-2.0-0.05",
    "residual-dropout", "far-from-0", "batch_norm-3x7",
    "batch_norm-after-gelu", "blocks-gelu_tanh", "residual-mish",
    "sigmoid_cross_entropy-12-missing-class-sample",
)  # fmt: skip


@pytest.fixture(autouse=True)
def in_turns():
    """Serialize simulated threads. It is also faster than concurrent threads."""
    with turns():
        yield


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """Use the wide schedule; cuda_narrow.py tests the narrow one."""
    monkeypatch.setattr(schedule, "narrow_block", lambda *_: None)


@pytest.fixture
def on_gpu(monkeypatch):
    """Run trainers on the simulated GPU, with few steps."""
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


# Equal bits, from the same order of sums and the same roundings.


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
    """Return two trainers on equal networks, on the CPU and on the GPU."""
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
    """Each direction has several of the smallest tile and one of the others; threads run from
    the last to the first.
    """
    monkeypatch.setitem(shape.TILES, "float32", (on_device,))
    nets = [fs.mlp(10, 36, layers=1, width=40, dropout=0.1, seed=2) for _ in range(2)]
    cpu, gpu = (
        make(net, seed=1) for net, make in zip(nets, (fs.Trainer, CudaTrainer), strict=True)
    )
    x, y = data(35, 10, 36)
    with turns(backwards=True):
        equal(cpu.gradients(x, y), gpu.gradients(x, y))


def test_no_barrier_is_missing():
    """A network with every kind of node has the same bits when the threads of a block run from the
    last to the first.
    """
    x, y = data(50)
    results = []
    for backwards in (False, True):
        with turns(backwards):
            layers = [
                fs.Dense(13, weight_norm=True), fs.LayerNorm(), fs.ReLU(), *network().layers
            ]  # fmt: skip
            trainer = CudaTrainer(fs.Network(layers, 7, seed=3), optimizer=fs.Adam(), seed=5)
            weight = np.linspace(0.5, 1, 50, dtype=np.float32)
            losses = [trainer.step(x, y, sample_weight=weight) for _ in range(2)]
            results.append((losses, trainer.network.state_dict(), trainer.network.forward(x)))
    assert results[0][0] == results[1][0] and np.array_equal(results[0][2], results[1][2])
    equal(results[0][1], results[1][1])


def test_two_runs_are_equal():
    x, y = data()
    states = []
    for _ in range(2):
        trainer = CudaTrainer(network(), optimizer=fs.Adam(), seed=5)
        trainer.fit(x, y, epochs=1, batch_size=8)
        states.append(trainer.network.state_dict())
    equal(*states)


def test_the_batch_is_split_if_tiles_are_few(monkeypatch):
    """Splits of 16 samples give other bits, the same gradient within rounding, and are
    reproducible.
    """
    x, y = data(50)
    whole = CudaTrainer(fs.mlp(7, 4, layers=1, width=6)).gradients(x, y)
    monkeypatch.setattr(weights, "MIN_SPLIT", 16)
    split = CudaTrainer(fs.mlp(7, 4, layers=1, width=6)).gradients(x, y)
    again = CudaTrainer(fs.mlp(7, 4, layers=1, width=6)).gradients(x, y)
    equal(split, again)
    for name, g in whole.items():
        np.testing.assert_allclose(split[name], g, rtol=0, atol=1e-6 * np.abs(g).max())
    assert any(not np.array_equal(split[name], whole[name]) for name in whole)


# Training.


def byte_rows(n=21):
    pixels = np.random.default_rng(2).integers(256, size=(n, 7), dtype=np.uint8)
    return ByteRows(pixels, Standardizer(np.full(7, 120, np.float32), np.full(7, 70, np.float32)))


@pytest.mark.parametrize("make", [lambda: data()[0], byte_rows], ids=["floats", "bytes"])
def test_fit(make):
    """Train with batches of 8, 8 and 5 from a data set on the device, and with callbacks."""

    class Watch:
        def __init__(self):
            self.calls = []

        def on_batch_end(self, trainer, samples, loss):
            self.calls.append((samples, round(loss, 5)))

    x, y = make(), data()[1]
    results = []
    for trainer in pair(optimizer=fs.Adam(0.01)):
        watch = Watch()
        history = trainer.fit(
            x, y, epochs=2, batch_size=8, validation_data=data(9), callbacks=[watch],
            schedule=fs.schedules.CosineDecay(),
        )  # fmt: skip
        results.append((trainer, history, watch.calls))
    (cpu, one, calls), (gpu, two, gpu_calls) = results
    equal(cpu.network.state_dict(), gpu.network.state_dict())
    assert len(gpu_calls) == 6 and [s for s, _ in gpu_calls] == [8, 8, 5] * 2
    np.testing.assert_allclose([l for _, l in gpu_calls], [l for _, l in calls], atol=2e-5)
    for a, b in zip(one, two, strict=True):
        assert a["validation_loss"] == b["validation_loss"]
        assert abs(a["train_loss"] - b["train_loss"]) < 1e-6
    assert cpu.step_count == gpu.step_count == 6


def test_validation_data_are_copied_to_the_device_once(monkeypatch):
    """They are copied as floats or as bytes, in several chunks."""
    monkeypatch.setattr(cuda_predict, "CHUNK", 8)
    x, y = data()
    written, write = [], kernels().device.write
    monkeypatch.setattr(
        kernels().device, "write", lambda a, i, b: (written.append(b.size), write(a, i, b))
    )
    for held in (data(19)[0], byte_rows(19)):
        cpu, gpu = pair()
        for trainer in (cpu, gpu):
            trainer.history = trainer.fit(x, y, 2, 21, validation_data=(held, data(19)[1]))
        for one, two in zip(cpu.history, gpu.history, strict=True):
            assert one["validation_loss"] == two["validation_loss"]
        whole, piece = len(held) * 7, 8 * 7
        assert written.count(whole) == (type(held) is ByteRows) and piece not in written
        placed = gpu.network._placed(held)
        assert np.array_equal(gpu.network.forward(placed), gpu.network.forward(held))
        assert np.array_equal(gpu.network.forward(x), cpu.network.forward(x))  # from its first row
        assert np.array_equal(gpu.network.to_host().forward(placed), cpu.network.forward(held))
        assert cpu.network._placed(held) is held
        written.clear()


def test_the_second_step_reuses_arrays_and_launches():
    x, y = data()
    trainer = CudaTrainer(network())
    trainer.step(x, y)
    engine = trainer._engine
    launches, acts = dict(engine.launches), engine.acts
    trainer.step(x[::-1].copy(), y)
    assert engine.launches == launches and engine.acts is acts


def test_divergence_is_at_the_cpu_s_step():
    """Many steps are queued: nothing is updated after the one that diverges."""
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


def test_an_unknown_loss_is_refused():
    class Unknown(fs.MSE):
        _code = 99

    x, y = data()[0], np.zeros((21, 4), np.float32)
    trainer = CudaTrainer(network(), Unknown())
    before = trainer.network.state_dict()
    for call in (trainer.step, trainer.gradients):
        with pytest.raises(ValueError, match=r"loss: a code in \[0, \d\) is required, got 99"):
            call(x, y)
    equal(trainer.network.state_dict(), before)


def test_a_loss_that_is_not_finite_updates_nothing():
    x, y = data()
    trainer = CudaTrainer(network(), optimizer=fs.Adam())
    before = trainer.network.state_dict()
    before["0.weight"][:] = 3e38
    trainer.network.load_state_dict(before)
    with pytest.raises(FloatingPointError, match="diverged in step 0"):
        trainer.step(x, y)
    with pytest.raises(FloatingPointError, match="gradients: a finite loss is required"):
        trainer.gradients(x, y)
    equal(trainer.network.state_dict(), before)
    assert not any(state.any() for state in trainer.state_dict()[0].values())


# One network on host and device.


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


def test_commands_on_a_saved_model(tmp_path, monkeypatch):
    """Predictions in float32 have the CPU's bits, so the figures are the same."""
    monkeypatch.chdir(tmp_path)
    header = [*"abcd", "kind"]
    rng = np.random.default_rng(0)
    rows = [[*rng.normal(size=4).round(3), "xyz"[i % 3]] for i in range(40)]
    table = commands.write_table(tmp_path / "t.csv", header, rows)
    commands.good("train", "--data", table, *commands.SMALL, "--out", "run")
    cuda_used = []
    monkeypatch.setattr(
        cuda_predict.PredictionEngine, "run",
        lambda *a, f=cuda_predict.PredictionEngine.run: (cuda_used.append(a), f(*a))[1],
    )  # fmt: skip
    for words in (("predict",), ("evaluate", "--json")):
        given = *words, "--model", "run", "--data", table
        on_cpu = commands.good(*given)
        assert not cuda_used
        assert commands.good(*given, "--backend", "cuda") == on_cpu and cuda_used
        cuda_used.clear()


@pytest.mark.parametrize("first, then", [("cpu", "cuda"), ("cuda", "cpu")])
def test_a_training_continues_on_the_other_backend(first, then):
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
    """Alternating steps on the CPU and on the GPU equal steps on one of them."""
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
