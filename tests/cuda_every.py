"""Every kernel of the CUDA backend in the simulator: each activation before each dropout, before
and after a normalization; each update with the batch whole and split. Run by test_cuda.py, with
NUMBA_ENABLE_CUDASIM=1, which fails if `cuda_seen.py` reports kernels that no test has launched.
"""

import numpy as np
import oracle
import pytest
from cuda_precision import ACTIVATIONS, DROPOUTS
from cuda_simulated import equal
from cuda_turns import turns
from each_optimizer import EACH
from test_updates import refused

import fastsnn as fs
from fastsnn.engine import schedule
from fastsnn.engine.backends import PRECISIONS
from fastsnn.kernels.cuda import weights

pytestmark = pytest.mark.filterwarnings("ignore:layer .*Dropout:UserWarning")


@pytest.fixture(autouse=True)
def in_turns(monkeypatch):
    """Use the wide schedule: networks of these sizes would take the narrow one."""
    monkeypatch.setattr(schedule, "narrow_block", lambda *_: None)
    with turns():
        yield


def data(n=11):
    rng = np.random.default_rng(n)
    return rng.normal(size=(n, 4)).astype(np.float32), rng.integers(3, size=n)


def trainers(layers, *backends, optimizer=None, precision="float32"):
    for backend in backends:
        more = {"precision": precision} if backend == "cuda" else {}
        net = fs.Network(layers, 4, seed=1)
        yield fs.Trainer(net, optimizer=optimizer, seed=3, backend=backend, **more)


@pytest.mark.parametrize("dropout", DROPOUTS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_after_a_dense_and_around_a_normalization(activation, dropout):
    """Gradients have the CPU's bits."""
    end = [*ACTIVATIONS[activation], *DROPOUTS[dropout]]
    layers = [
        fs.Dense(5), *end, fs.Dense(5), *ACTIVATIONS[activation], fs.BatchNorm(), fs.Dense(5),
        fs.BatchNorm(), *end, fs.Residual([fs.Dense(5), fs.BatchNorm()]), fs.Dense(3),
    ]  # fmt: skip
    x, y = data()
    cpu, gpu = trainers(layers, "cpu", "cuda")
    equal(cpu.gradients(x, y), gpu.gradients(x, y))


@pytest.mark.parametrize("name", EACH)
def test_updates_of_normalizations_and_directions(name):
    """Batch normalization has the CPU's bits; lengths and directions agree within float32."""
    kind, options = EACH[name]
    x, y = data()
    for layers, exact in (
        ([fs.Dense(5), fs.BatchNorm(), fs.SELU(), fs.Dense(3)], True),
        ([fs.Dense(5, weight_norm=True), fs.SELU(), fs.Dense(3)], False),
    ):
        states = []
        for one in trainers(layers, "cpu", "cuda", optimizer=getattr(fs, kind)(**options)):
            before = one.network.state_dict()
            for _ in range(2):
                one.step(x, y)
            states.append(one.network.state_dict())
            assert all(not np.array_equal(before[k], states[-1][k]) for k in before)
        if exact:
            equal(*states)
        for key in states[0]:
            np.testing.assert_allclose(*(s[key] for s in states), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("part", [256, 8], ids=["whole", "split"])
@pytest.mark.parametrize("name", EACH)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_updates(precision, name, part, monkeypatch):
    """Three steps agree with the oracle's optimizer on the GPU's gradients, within the rounding of
    an update.
    """
    monkeypatch.setattr(weights, "MIN_SPLIT", part)
    kind, options = EACH[name]
    x, y = data(24)
    layers = [fs.Dense(5), fs.SELU(), fs.Dense(3)]
    optimizer = getattr(fs, kind)(**options)
    (gpu,) = trainers(layers, "cuda", optimizer=optimizer, precision=precision)
    judge = getattr(oracle, kind)(**options)
    for _ in range(3):
        gradients = gpu.gradients(x, y)
        expected = [v.astype(np.float64) for v in gpu.network.state_dict().values()]
        before = [v.copy() for v in expected]
        gpu.step(x, y)
        found = list(gpu.network.state_dict().values())
        judge.update(expected, [gradients[k].astype(np.float64) for k in gpu.network.state_dict()])
        for a, b, old in zip(found, expected, before, strict=True):
            moved = np.abs(b - old).max()
            np.testing.assert_allclose(a, b, rtol=2e-7, atol=1e-5 * moved)
            assert moved > 0


def test_an_unknown_update_is_refused():
    refused(backend="cuda")
