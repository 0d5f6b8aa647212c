"""Normalizations, weight normalization, highway layers and residual blocks.

The engine is compared with layer_oracle.py, on the table of layer_cases.py, within the bounds of
layer_tolerance.py.
"""

import cases
import layer_cases
import layer_oracle
import layer_tolerance
import numpy as np
import oracle
import pytest
from layer_cases import CASES

import fastsnn as fs
from fastsnn import methods
from fastsnn.kernels import activations
from fastsnn.layers import Activation, Dropping

# fastsnn warns of some pairs of activation and dropout; they are computed all the same.
pytestmark = pytest.mark.filterwarnings("ignore:layer .*Dropout:UserWarning")

each_case = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


def trainer_of(case, **arguments):
    """Return a trainer on the case's network with the oracle's tensors, and the oracle's
    results.
    """
    expected = layer_tolerance.reference(case.name)
    net = fs.Network(case.layers(), input_size=case.inputs)
    assert net.state_dict().keys() == expected.start.keys()
    net.load_state_dict(expected.start)
    optimizer = getattr(fs, case.optimizer)(**dict(case.arguments))
    trainer = fs.Trainer(
        net, case.loss, optimizer, seed=case.mask_seed, class_weight=case.class_weight(),
        **arguments,
    )  # fmt: skip
    return trainer, expected


def assert_within(actual, pair, what):
    expected, limit = pair
    assert actual.dtype == np.float32 and actual.shape == expected.shape, what
    error = np.abs(actual - expected).max()
    assert error <= limit, f"{what}: off by {error:.3g} where {limit:.3g} is allowed"


def assert_all_within(actual, expected):
    assert actual.keys() == expected.keys()
    for name, pair in expected.items():
        assert_within(actual[name], pair, name)


def bits(state):
    return {name: array.view(np.uint32).tolist() for name, array in state.items()}


def ends(nodes, trace):
    """Yield the last layer fused into each hidden node.

    None for the product of a highway layer, which is not the output of a layer.
    """
    names = list(trace)
    for node, following in zip(nodes[:-1], nodes[1:], strict=True):
        if following.name == node.name:
            yield None
        else:
            inside = [n for n in names if n == following.name or n.startswith(following.name + ".")]
            yield names[names.index(inside[0]) - 1]


@each_case
def test_evaluation(case):
    """Outputs, hidden nodes and the loss agree with running statistics, before any training;
    hidden nodes also with batch statistics and dropout.
    """
    trainer, expected = trainer_of(case)
    net = trainer.network
    x, y, _ = expected.batches[0]
    assert_within(net.forward(x), expected.outputs, "outputs")
    training = net.activations(x, training=True, seed=case.mask_seed, step=0)
    for hidden, trace in (
        (net.activations(x), expected.trace),
        (training, expected.training_trace),
    ):
        assert len(hidden) == len(net.nodes) - 1
        for h, name in zip(hidden, ends(net.nodes, trace), strict=True):
            if name:
                assert_within(h, trace[name], f"after layer {name}")
    value = oracle.loss_of(case.loss)(expected.outputs[0], y)[0]
    # each output changes the mean by at most twice its error, and mse by more
    size = max(1, np.abs(expected.outputs[0]).max(), value)
    assert abs(trainer.evaluate(x, y)["loss"] - value) <= 4 * size * expected.outputs[1] + 1e-6


@each_case
def test_gradients(case):
    trainer, expected = trainer_of(case)
    before = bits(trainer.network.state_dict())
    x, y, weight = expected.batches[0]
    assert_all_within(trainer.gradients(x, y, sample_weight=weight), expected.gradients)
    assert bits(trainer.network.state_dict()) == before


@each_case
def test_steps(case):
    """Losses before each update agree; in the end parameters, running statistics and evaluation
    do.
    """
    trainer, expected = trainer_of(case)
    for step, (x, y, weight) in enumerate(expected.batches):
        loss = trainer.step(x, y, sample_weight=weight)
        value, limit = expected.losses[step]
        assert abs(loss - value) <= limit, f"loss of step {step}: {loss} is not {value}"
    assert_all_within(trainer.network.state_dict(), expected.end)
    x = expected.batches[0][0]
    assert_within(trainer.network.forward(x), expected.last_outputs, "outputs after training")


@pytest.mark.parametrize("case", [*CASES[::3], CASES[-1]], ids=lambda case: case.name)
def test_threads_change_no_bit(case):
    results = []
    for threads in (1, 2, 3, 16):
        trainer, expected = trainer_of(case, threads=threads)
        x, y, weight = expected.batches[0]
        gradients = bits(trainer.gradients(x, y, sample_weight=weight))
        losses = [trainer.step(x, y, sample_weight=weight) for _ in range(2)]
        out = trainer.network.forward(x, threads=threads)
        results.append((gradients, losses, bits(trainer.network.state_dict()), out.tolist()))
    for other in results[1:]:
        assert other == results[0]


@pytest.mark.parametrize("case", [c for c in CASES if c.method], ids=lambda case: case.name)
def test_the_methods_of_the_paper(case):
    method, shape, rate = case.method
    net = methods.network(
        method, case.inputs, case.outputs, 3, width=20, dropout=rate, shape=shape, seed=5
    )
    assert list(net.layers) == case.layers()
    assert bits(net.state_dict()) == bits(
        fs.Network(case.layers(), case.inputs, seed=5).state_dict()
    )


def test_the_bounds_mean_something():
    """No bound is a thousandth of the values that it is applied to.

    Exceptions: batches of two or three rows, which a batch normalization may find nearly equal, and
    inputs far from 0.
    """
    for case in CASES:
        if case.batch < 4 or "shifted" in case.options:
            continue
        expected = layer_tolerance.reference(case.name)
        largest = max(np.abs(g).max() for g, _ in expected.gradients.values())
        for name, (_, limit) in expected.gradients.items():
            assert limit < 1e-3 * largest, f"{case.name}: gradient of {name}"
        for name, (p, limit) in expected.end.items():
            assert limit < 1e-3 * np.abs(p).max(), f"{case.name}: {name}"
        assert expected.last_outputs[1] < 1e-3, case.name


def test_the_oracle_has_every_layer():
    kinds = {type(layer).__name__ for case in CASES for layer in case.layers()}
    assert kinds == set(fs.layers.LAYERS)
    of_one_function = Activation, Dropping  # each
    several = [sum(issubclass(c, k) for c in fs.layers.LAYERS.values()) for k in of_one_function]
    assert len(layer_oracle.FUNCTIONS) == len(kinds) - sum(several) + len(several)
    rows = set(activations.ACTIVATIONS)
    assert rows == set(oracle.ACTIVATIONS) == {"none", *cases.LAYERS}
    assert rows == {"none", *layer_cases.ACTIVATIONS}
