"""The narrow schedule in the simulator: all layers in one launch. Results agree with the oracle,
and have the bits of the wide schedule and of the CPU. Run by test_cuda.py, with
NUMBA_ENABLE_CUDASIM=1.
"""

import contextlib
import functools

import cases
import numpy as np
import pytest
import test_engine
from cuda_blocks import bank_accesses
from cuda_turns import turns

import fastsnn as fs
from fastsnn.engine import schedule as choice
from fastsnn.engine.plan import device_plan
from fastsnn.kernels.cuda import narrow, narrow_product, passes

pytestmark = pytest.mark.filterwarnings("ignore:layer .*Dropout:UserWarning")
CudaTrainer = functools.partial(fs.Trainer, backend="cuda")

ENGINE = (
    "shape-1x1-1-2", "shape-7x16-16-10", "shape-47x9-1-9-2", "shape-20x1030-20-4", "depth-8-alpha",
    "depth-2", "relu-plain-0.5", "tanh-alpha-0.05", "none-plain-0.5", "mixed-sites",
    "gelu-alpha-0.05", "gelu_tanh-plain-0.5", "mish-plain-0.05",
    "softmax_cross_entropy-5-class-sample-zeros",
    "sigmoid_cross_entropy-12-missing-empty_task-class", "sigmoid_cross_entropy-3-unlabelled",
    "mse-3-sample-zeros", "huber:0.7-3-sample-zeros",
    "quantile:0.2-3-sample-zeros", "softmax_cross_entropy:0.3-5-class-sample-zeros",
)  # fmt: skip


@contextlib.contextmanager
def schedule(narrow_too, backwards=False):
    """Context manager: use the narrow schedule wherever it is possible, or nowhere."""
    before = choice.narrow_block

    def chosen(table, samples, training, blocks):
        return choice.fitting_block(table, blocks) if narrow_too else None

    choice.narrow_block = chosen
    try:
        with turns(backwards):
            yield
    finally:
        choice.narrow_block = before


def is_narrow(trainer):
    """Return True if each step was one launch for all layers, then those for the weights."""
    names = [run.names for _, run in trainer._engine.launches.values()]
    found = {any("narrow" in name for name in of_step) for of_step in names}
    assert len(found) == 1
    if found == {True}:
        assert all("gather" not in name and "dense" not in name for n in names for name in n)
    return found == {True}


@pytest.mark.parametrize("case", [c for c in cases.CASES if c.name in ENGINE], ids=lambda c: c.name)
def test_of_the_engine(case, monkeypatch):
    made = []

    def trainer(*given, **more):
        made.append(CudaTrainer(*given, **more))
        return made[-1]

    monkeypatch.setattr(fs, "Trainer", trainer)
    monkeypatch.setattr(test_engine, "STEPS", 2)
    with schedule(True):
        for check in (
            test_engine.test_forward,
            test_engine.test_hidden_layers,
            test_engine.test_gradients,
            test_engine.test_ten_steps,
        ):
            check(case)
    assert is_narrow(made[-1])


def test_the_chosen_cases_exist():
    assert set(ENGINE) <= {case.name for case in cases.CASES}


# The bits of the wide schedule and of the CPU.


def dense(*widths, dropout=0.1, **options):
    layers = []
    for width in widths[:-1]:
        layers += [fs.Dense(width, **options), fs.SELU(), fs.AlphaDropout(dropout)]
    return [*layers, fs.Dense(widths[-1], **options)]


def mixed(outputs):
    """Skip connections over one layer and over two, one after the other."""
    return [
        fs.Dense(9), fs.Tanh(), fs.Dropout(0.2),
        fs.Residual([fs.Dense(9)]), fs.ReLU(), fs.Dropout(0.3),
        fs.Residual([fs.Dense(13), fs.SELU(), fs.AlphaDropout(0.1), fs.Dense(9)]), fs.SELU(),
        fs.Residual([fs.Dense(9)]), fs.Tanh(), fs.Dense(outputs),
    ]  # fmt: skip


# Layers, rows, inputs, loss, options: missing labels, weights of samples and of classes.
NETWORKS = {
    "one-layer": (dense(3), 1, 2, "softmax_cross_entropy", ""),
    "one-row": (dense(8, 8), 1, 8, "softmax_cross_entropy", ""),
    "smallest-block": (dense(7, 8, 8), 7, 9, "mse", "sample"),
    "next-block": (dense(9, 16, 15, 5), 9, 63, "softmax_cross_entropy", "class"),
    "largest-block": (dense(64, 17, 33), 9, 65, "mse", ""),
    "many-inputs": (dense(12, 4), 8, 150, "softmax_cross_entropy", ""),
    "weight-norm": (
        dense(10, 6, 4, weight_norm=True),
        17,
        5,
        "softmax_cross_entropy",
        "sample class",
    ),
    "skips": (mixed(5), 9, 7, "mse", ""),
    "huber": (dense(7, 9), 11, 6, "huber:0.5", ""),
    "huber-weighted": (dense(7, 3), 9, 6, "huber", "sample"),
    "quantile": (dense(6, 11), 10, 6, "quantile:0.9", ""),
    "quantile-weighted": (dense(7, 3), 9, 6, "quantile", "sample"),
    "smoothing": (dense(9, 11), 10, 6, "softmax_cross_entropy:0.2", ""),
    "smoothing-classes": (dense(9, 11), 10, 6, "softmax_cross_entropy:0.2", "sample class"),
    "missing": (dense(15, 20), 10, 6, "sigmoid_cross_entropy", "missing sample class"),
}


def batch(n, inputs, outputs, loss, options):
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, inputs)).astype(np.float32)
    y = rng.integers(outputs, size=n)
    if loss.startswith(cases.NUMBERS):
        y = rng.normal(size=(n, outputs)).astype(np.float32)
    elif loss == "sigmoid_cross_entropy":
        y = rng.integers(2, size=(n, outputs)).astype(np.float32)
        if "missing" in options:
            y[rng.random(y.shape) < 0.4] = np.nan
    weight = rng.uniform(0.2, 3, n).astype(np.float32) if "sample" in options else None
    classes = rng.uniform(0.2, 3, outputs).astype(np.float32) if "class" in options else None
    return x, y, weight, classes


def results(make, layers, n, inputs, loss, options, steps=2):
    """Train, and return all that a user can observe, and the trainer."""
    net = fs.Network(layers, input_size=inputs, seed=3)
    x, y, weight, classes = batch(n, inputs, net.output_size, loss, options)
    trainer = make(
        net, loss=loss, optimizer=fs.Adam(0.01), seed=(9 << 32) + 5, class_weight=classes
    )
    seen = trainer.gradients(x, y, sample_weight=weight)
    seen["loss"] = [trainer.step(x, y, sample_weight=weight) for _ in range(steps)]
    seen |= {f"new {name}": p for name, p in net.state_dict().items()}
    seen["outputs"] = net.forward(x)
    for training in (False, True):
        hidden = net.activations(x, training, seed=5, step=3)
        seen |= {f"{training} {i}": h for i, h in enumerate(hidden)}
    return seen, trainer


def different(one, two):
    assert one.keys() == two.keys()
    return [name for name in one if not np.array_equal(one[name], two[name])]


@pytest.mark.parametrize("name", NETWORKS)
def test_bits_are_the_wide_schedule_s_and_the_cpu_s(name):
    """Results are equal for both orders of the threads of a block: no barrier is missing."""
    given = NETWORKS[name]
    cpu, _ = results(fs.Trainer, *given)
    with schedule(False):
        wide, trainer = results(CudaTrainer, *given)
    assert not is_narrow(trainer)
    for backwards in (False, True):
        with schedule(True, backwards):
            found, trainer = results(CudaTrainer, *given)
        assert is_narrow(trainer) and different(found, wide) == []
    if given[4]:
        return  # a GPU sums the weights in another order
    assert set(different(found, cpu)) <= {"loss"}
    np.testing.assert_allclose(found["loss"], cpu["loss"], rtol=1e-6)


@pytest.mark.parametrize("block", passes.ON_DEVICE, ids=lambda b: str(b.columns))
def test_bits_are_the_cpu_s_with_the_blocks_of_a_gpu(block, monkeypatch):
    monkeypatch.setattr(passes, "BLOCKS", (block,))
    monkeypatch.setattr(narrow, "MAX_UNITS", 256)
    width = block.columns - 3
    given = dense(width, block.depth + 1), 9, 2 * block.depth + 3, "softmax_cross_entropy", ""
    cpu, _ = results(fs.Trainer, *given, steps=0)
    with schedule(True, backwards=True):
        found, _ = results(CudaTrainer, *given, steps=0)
    assert different(found, cpu) == []


def test_fit():
    """`fit` runs batches of 8, 8 and 5 from a data set on the device."""
    x, y, _, _ = batch(21, 7, 4, "softmax_cross_entropy", "")
    states = []
    for make in (fs.Trainer, CudaTrainer):
        with schedule(True):
            trainer = make(fs.Network(dense(13, 9, 4), 7, seed=3), optimizer=fs.Adam(0.01), seed=4)
            trainer.fit(x, y, epochs=2, batch_size=8)
        states.append(trainer.network.state_dict())
    assert different(*states) == []


def test_a_loss_that_is_not_finite_updates_nothing():
    x, y, _, _ = batch(9, 7, 4, "softmax_cross_entropy", "")
    trainer = CudaTrainer(fs.Network(dense(6, 4), 7, seed=3), optimizer=fs.Adam())
    before = trainer.network.state_dict()
    before["0.weight"][:] = 3e38
    trainer.network.load_state_dict(before)
    with schedule(True), pytest.raises(FloatingPointError, match="diverged in step 0"):
        trainer.step(x, y)
    assert is_narrow(trainer) and different(trainer.network.state_dict(), before) == []


def test_rows_are_independent():
    """They are also independent of a row in the same block whose outputs are not finite."""
    net = fs.Network([fs.Dense(11), fs.Dense(9), fs.Dense(3)], 5, seed=3).to_device()
    x = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
    with schedule(True):
        expected = net.forward(x)
        x[2] = 3e38
        found = net.forward(x)
    assert not np.isfinite(found[2]).any()
    assert np.array_equal(np.delete(found, 2, 0), np.delete(expected, 2, 0))


@pytest.mark.parametrize("block", passes.ON_DEVICE, ids=lambda b: str(b.columns))
def test_no_bank_conflicts(block):
    """Weights are stored to shared memory without bank conflicts, in both directions; each float
    has one address.
    """
    _, store_weights = narrow_product.weights_code(block)
    descriptors = np.zeros(passes.DESCRIPTOR, np.int64)
    for forward in (True, False):
        descriptors[passes.BIAS] = 0 if forward else -1
        destinations = np.full((block.threads, block.prefetch), -1)
        for thread in range(block.threads):
            shared = np.full(block.buffer, -1, np.float32)
            store_weights(
                shared, 0, np.arange(block.prefetch, dtype=np.float32), descriptors, 0, thread
            )
            (offsets,) = np.nonzero(shared >= 0)
            destinations[thread, shared[offsets].astype(int)] = offsets
        assert (destinations >= 0).all() and len(np.unique(destinations)) == destinations.size
        width = 1 if forward else 4
        for first in range(0, block.threads, 32 // width):
            for j in range(0, block.prefetch, width):
                found, possible = bank_accesses(destinations[first : first + 32 // width, j], width)
                assert found == possible


# Which networks take it.


def table(layers, inputs, samples, training=True):
    net = fs.Network(layers, input_size=inputs)
    return device_plan(net.nodes, net.layout, samples, training)


def test_networks_that_do_not_fit_use_the_wide_schedule():
    assert choice.fitting_block(table(dense(64, 64), 500, 8).table, passes.BLOCKS)
    for layers in (
        dense(64, 65),
        [fs.Dense(8), fs.BatchNorm(), fs.SELU(), fs.Dense(2)],
        [fs.Dense(8), fs.LayerNorm(), fs.SELU(), fs.Dense(2)],
        [fs.Dense(8), fs.SELU(), fs.Highway(), fs.Dense(2)],
    ):
        assert not choice.fitting_block(table(layers, 5, 8).table, passes.BLOCKS)
        with schedule(True):
            _, trainer = results(CudaTrainer, layers, 3, 5, "mse", "")
        assert not is_narrow(trainer)


@pytest.mark.parametrize(
    "layers, width, samples, expected",
    [
        (32, 64, 128, True), (32, 64, 1024, True), (32, 64, 100_000, False), (32, 256, 128, True),
        (32, 256, 4096, False), (16, 1024, 4096, False), (2, 257, 8, False), (1, 256, 1, True),
    ],
)  # fmt: skip
def test_the_estimate_chooses_the_schedule(layers, width, samples, expected):
    """The estimate is for the blocks of a GPU; it has not been measured on hardware."""
    program = table(dense(*[width] * layers, 10), width, samples).table
    assert bool(choice.narrow_block(program, samples, True, passes.ON_DEVICE)) is expected


def test_only_outputs_are_stored_if_buffers_alternate():
    """Another block may be at another layer, with the same buffer."""
    plan = table(dense(16, 12, 5, 3), 20, 9, training=False)
    made = passes.descriptors_of(plan.table, plan.constants, training=False, backward=False)
    assert (made[:3, passes.OUT] < 0).all() and made[3, passes.OUT] == plan.outputs(3)[0]
    net = fs.Network(dense(16, 12, 5, 3), 20, seed=1).to_device()
    x = np.random.default_rng(0).normal(size=(9, 20)).astype(np.float32)
    with schedule(True):
        net.forward(x)
    start, stride, units = plan.outputs(3)
    acts = net._predictor.engine._own.passes.acts.copy_to_host()
    rows = acts[start : start + 9 * stride].reshape(9, stride)
    assert rows[:, :units].all()
    rows[:, :units] = 0
    assert not acts.any()
