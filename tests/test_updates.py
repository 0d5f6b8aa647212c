"""The table of updates: the properties that optimizers and engines derive from it, and unknown
codes.
"""

import pickle

import numpy as np
import pytest
from each_optimizer import OPTIMIZERS

import fastsnn as fs
from fastsnn import optimizers
from fastsnn.engine import state
from fastsnn.kernels import updates
from fastsnn.optimizers import Optimizer

each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)


class Unknown(fs.SGD):
    """An optimizer whose update has no row."""

    code = len(updates.UPDATES)

    @property
    def _update(self):
        return self.code


def refused(backend="cpu", **more):
    """Require that codes below and above the table are refused: no kernel runs, nothing changes."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 4)).astype(np.float32), np.arange(12) % 3
    net = fs.Network([fs.Dense(5, weight_norm=True), fs.BatchNorm(), fs.Dense(3)], 4, seed=1)
    trainer = fs.Trainer(net, backend=backend, **more)
    trainer.step(x, y)
    before = net.buffer.snapshot()
    for code in (-1, len(updates.UPDATES), 99):
        trainer.optimizer = Unknown(0.1)
        type(trainer.optimizer).code = code
        with pytest.raises(ValueError, match=rf"^update: a code in \[0, \d+\) .* got {code}; take"):
            trainer.step(x, y)
        assert np.array_equal(net.buffer.snapshot(), before) and trainer.step_count == 1


@pytest.mark.parametrize("threads", [1, 2])
def test_a_code_of_no_update_is_refused(threads):
    refused(threads=threads)


def test_names_are_those_of_rows():
    assert len(updates.CODES) == len(updates.UPDATES)
    assert updates.UPDATES[updates.STORE].name == "store"
    rules = {optimizer._rule for optimizer in OPTIMIZERS.values()}
    assert rules | {"store"} == updates.CODES.keys()  # each belongs to an optimizer
    assert {type(o) for o in OPTIMIZERS.values()} == set(optimizers.OPTIMIZERS.values())


@each_optimizer
def test_an_optimizer_computes_the_scalars_of_its_row(optimizer):
    row = updates.UPDATES[optimizer._update]
    for step in (0, 7, 10**9):
        scalars = optimizer._hyper(0.01, step)
        assert len(scalars) == row.scalars <= updates.HYPER
        assert np.isfinite(np.float32(scalars)).all()
    assert optimizer._n_state == row.arrays


@each_optimizer
def test_only_means_of_squares_must_not_be_negative(optimizer):
    net = fs.mlp(3, 3, layers=1, width=4)
    trainer = fs.Trainer(net, optimizer=optimizer, threads=1)
    arrays, numbers = trainer.state_dict()
    for i in range(optimizer._n_state):
        name = f"0.weight.state{i}"
        given = arrays | {name: np.full_like(arrays[name], -1)}
        if i < updates.UPDATES[optimizer._update].signed:
            trainer.load_state_dict(given, numbers)
            continue
        with pytest.raises(ValueError, match=f"{name}: numbers >= 0 are required, as means of"):
            trainer.load_state_dict(given, numbers)


def test_state_of_an_optimizer_that_is_not_known():
    """A model file without the options of a run does not name its optimizer. Its state is
    checked by the rules that all optimizers with as many arrays share.
    """
    numbers, one = {"step_count": 1, "first_loss": None}, np.float32([-1])
    state.require_state({"w.state0": one}, numbers)
    state.require_state({"w.state0": one, "w.state1": -one}, numbers)
    with pytest.raises(ValueError, match="w.state1: numbers >= 0 are required"):
        state.require_state({"w.state0": one, "w.state1": one}, numbers)


@pytest.mark.parametrize("momentum_decay", [0.0, 1e-12, 4e-3, 0.5, 30.0, 1e38])
@pytest.mark.parametrize("beta1", [0.0, 0.5, 0.9, 0.999, 1 - 2**-53])
def test_product_of_nadam(beta1, momentum_decay):
    """The closed form equals the product, factor by factor."""
    product = 1.0
    for t in range(1, 2001):
        product *= beta1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))
        found = optimizers._product_of_mu(beta1, momentum_decay, t)
        assert abs(found - product) <= 1e-12 * product + 1e-17
    optimizer = fs.NAdam(beta1=beta1, momentum_decay=momentum_decay)
    for step in (10**6, 10**9, 2**62):
        assert np.isfinite(np.float32(optimizer._hyper(1.0, step))).all()


@each_optimizer
def test_training_continues_from_a_state_or_a_pickle_with_the_same_bits(optimizer):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 4)).astype(np.float32), np.arange(20) % 3
    layers = [fs.Dense(7, weight_norm=True), fs.BatchNorm(), fs.SELU(), fs.Dense(3)]
    first = fs.Trainer(fs.Network(layers, 4, seed=1), optimizer=optimizer, threads=1, seed=2)
    for _ in range(3):
        first.step(x, y)
    copy = pickle.loads(pickle.dumps(first))
    assert copy.optimizer == optimizer
    net = fs.Network(layers, 4)
    net.load_state_dict(first.network.state_dict())
    loaded = fs.Trainer(net, optimizer=optimizer, threads=2, seed=2)
    loaded.load_state_dict(*first.state_dict())
    optimizers._product_of_mu.cache_clear()
    for trainer in (first, copy, loaded):
        for _ in range(3):
            trainer.step(x, y)
    for other in (copy, loaded):
        assert np.array_equal(first.network.parameters, other.network.parameters)
        for name, array in first.state_dict()[0].items():
            assert np.array_equal(array, other.state_dict()[0][name]), name


def test_the_base_class_is_no_optimizer():
    with pytest.raises(TypeError, match="optimizer must be SGD, .*; give an instance"):
        fs.Trainer(fs.mlp(3, 3, layers=1, width=4), optimizer=Optimizer())


def test_an_optimizer_is_replaced_by_one_with_the_same_state():
    trainer = fs.Trainer(fs.mlp(3, 3, layers=1, width=4), optimizer=fs.Adam(), threads=1)
    trainer.optimizer = fs.NAdam()
    with pytest.raises(ValueError, match=r"have 2 arrays of state .* got RMSprop\(.* with 1; make"):
        trainer.optimizer = fs.RMSprop()
    trainer = fs.Trainer(trainer.network, optimizer=fs.SGD(0.1, momentum=0.9), threads=1)
    with pytest.raises(ValueError, match=r"have 0 means of squares .* RMSprop\(.* with 1; make"):
        trainer.optimizer = fs.RMSprop()
