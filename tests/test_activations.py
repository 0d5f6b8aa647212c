"""Activations whose slope is computed from the pre-activation, on float32 numbers of all sizes:
y and dy/dz within bounds, NaN and the infinities; and the table of activations.
"""

import functools

import cases
import numba
import numpy as np
import oracle
import pytest

import fastsnn as fs
from fastsnn.diagnose.measure import diagnose
from fastsnn.engine import graph, plan
from fastsnn.engine.layout import parameter_layout
from fastsnn.kernels import activations, jit
from fastsnn.kernels.cpu.activation import _map_code
from fastsnn.kernels.cpu.shape import LANES

INPUTS = [name for name in activations.ACTIVATIONS if activations.keeps_input(name)]
FAR = np.float32(40).view(np.uint32)  # beyond, functions are 0 or z, and slopes 0 or 1
U = 2.0**-24
# Bounds: y within RELATIVE |y| + LEAST, dy/dz within ABSOLUTE. An operation has an error of at most
# U, an exponential 4 U (2 ulp), a polynomial with positive terms 4 U.
RELATIVE = {
    "gelu": 17 * U,  # exponential and its correction 5, polynomials 8, coefficients 1, the rest 3
    "gelu_tanh": 9 * U,  # exponential 4, sum, quotient, two products; 1 for the constants
    "mish": 10 * U,  # n / d decreases with e no faster than e: exponential 4, n 2, d 2, the rest 2
}
LEAST = {
    "gelu": 2.0**-144,  # |z| <= 15 times the rounding of a denormal number
    "gelu_tanh": 2 * U,  # three roundings of u, and |z| |u| exp(-|u|) <= 0.5
    "mish": 2.0**-142,  # |z| <= 104 times the rounding of a denormal number
}
ABSOLUTE = {"gelu": 5 * U, "gelu_tanh": 6 * U, "mish": 6 * U}


@functools.cache
def compiled(name):
    """Return (y, dy/dz) of an array whose length is a multiple of LANES."""
    row = activations.ACTIVATIONS[name]
    y_code, slope_code = (_map_code(lambda z, f=f: f(z), LANES) for f in (row.function, row.slope))

    @numba.njit(**jit.FLAGS)
    def both(y, slope, z):
        y_code(y, z, 0, z.size // LANES)
        slope_code(slope, z, 0, z.size // LANES)

    def of(z):
        padded = np.zeros(-(-len(z) // LANES) * LANES, np.float32)
        padded[: len(z)] = z
        y, slope = np.full((2, len(padded)), np.nan, np.float32)
        both(y, slope, padded)
        return y[: len(z)], slope[: len(z)]

    return of


def numbers(every=5003):
    """Return float32 numbers of both signs up to FAR, evenly spaced in their bits; the step is
    odd.
    """
    positive = np.arange(0, FAR, every, dtype=np.uint32)
    return np.concatenate([positive, positive | np.uint32(1 << 31)]).view(np.float32)


@pytest.mark.parametrize("name", INPUTS)
def test_bounds(name):
    z = np.concatenate([numbers(), np.linspace(-16, 16, 200_001, dtype=np.float32)])
    y, slope = compiled(name)(z)
    exact_y, exact_slope = oracle.activate(z.astype(np.float64), name)
    excess = np.abs(y - exact_y) - LEAST[name] - RELATIVE[name] * np.abs(exact_y)
    i = excess.argmax()  # a NaN counts as the largest
    assert excess[i] <= 0, f"y({z[i]!r}) = {y[i]!r}, and not {exact_y[i]!r}"
    error = np.abs(slope - exact_slope)
    i = error.argmax()
    assert error[i] <= ABSOLUTE[name], f"slope({z[i]!r}) = {slope[i]!r}, and not {exact_slope[i]!r}"
    assert error[i] > U / 4  # else nothing was compared


@pytest.mark.parametrize("name", INPUTS)
def test_ends(name):
    """NaN stays NaN; both infinities and the largest numbers give the limits."""
    largest = np.finfo(np.float32).max
    z = np.float32([np.nan, np.inf, -np.inf, largest, -largest, 0.0, -0.0, 1e-45, -1e-45])
    y, slope = compiled(name)(z)
    assert np.isnan([y[0], slope[0]]).all()
    assert y[1:7].tolist() == [np.inf, 0, largest, 0, 0, 0]
    assert (np.abs(y[7:]) <= 1e-45).all()
    assert slope[1:5].tolist() == [1, 0, 1, 0]
    assert np.isfinite(slope[5:]).all() and (slope[5:] == slope[5]).all()


@pytest.mark.parametrize("name", INPUTS)
def test_slope_is_a_difference_quotient(name):
    """The oracle's slopes, which judge those above, agree with finite differences in float64."""
    z, h = np.linspace(-20, 20, 4001), 1e-5
    above, below = (oracle.activate(z + d, name)[0] for d in (h, -h))
    np.testing.assert_allclose(oracle.activate(z, name)[1], (above - below) / (2 * h), 0, 1e-9)


def test_masks_are_recomputed_if_the_slope_at_a_dropped_value_is_not_0():
    needed = {
        (name, dropout): activations.needs_mask(name, dropout)
        for name in activations.ACTIVATIONS
        for dropout in ("alpha", "plain")
    }
    without = {key for key, needs in needed.items() if not needs}
    assert without == {("selu", "alpha"), ("relu", "alpha"), ("relu", "plain")}


def test_an_unknown_activation_is_refused_when_the_plan_is_made():
    nodes = graph.Node("0", 3, 4, activation="swish"), graph.Node("2", 4, 2)
    layout = parameter_layout(nodes)
    for make in (plan.plan, plan.device_plan):
        with pytest.raises(ValueError, match="must be one of none, selu, .*; got 'swish'"):
            make(nodes, layout, 1, training=True)


def test_only_training_keeps_pre_activations():
    """They are kept only for activations whose slope needs them."""
    kinds = list(activations.ACTIVATIONS)
    nodes = [graph.Node(str(i), 8, 8, activation=kind) for i, kind in enumerate([*kinds, "none"])]
    layout = parameter_layout(nodes)
    for make in (plan.plan, plan.device_plan):
        for training in (True, False):
            table = make(nodes, layout, 1, training=training).table
            kept = table[:, plan.program.SLOPE_AT] != table[:, plan.program.H_AT]
            expected = [training and kind in INPUTS for kind in [*kinds, "none"]]
            assert kept.tolist() == expected


def network(hidden):
    layers = [
        fs.Dense(9), hidden, fs.Dense(11), fs.BatchNorm(), hidden, fs.Dropout(0.2),
        fs.Residual([fs.Dense(7), hidden, fs.Dense(11)]), hidden, fs.Dense(3),
    ]  # fmt: skip
    return fs.Network(layers, 5, seed=1)


KEPT = [cases.LAYERS[name] for name in INPUTS]


@pytest.mark.parametrize("hidden", KEPT, ids=str)
def test_a_saved_network_predicts_the_same_bits(hidden, tmp_path):
    x = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    net = network(hidden)
    net.save(tmp_path / "net.safetensors")
    again = fs.load(tmp_path / "net.safetensors")
    assert again.layers == net.layers
    assert np.array_equal(again.forward(x), net.forward(x))
    for row in range(2):  # single rows use another kernel
        assert np.array_equal(net.forward(x[row : row + 1])[0], net.forward(x)[row])


@pytest.mark.parametrize("hidden", KEPT, ids=str)
def test_threads_and_batches_change_no_bit(hidden):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(150, 5)).astype(np.float32), rng.integers(3, size=150)
    states = []
    for threads in (1, 2, 5):
        trainer = fs.Trainer(network(hidden), seed=3, threads=threads)
        for rows in (slice(0, 150), slice(0, 33), slice(33, 35)):
            trainer.step(x[rows], y[rows])
        states.append(trainer.network.state_dict())
    for other in states[1:]:
        assert all(np.array_equal(other[name], array) for name, array in states[0].items())


@pytest.mark.parametrize("hidden", KEPT, ids=str)
def test_diagnosis(hidden):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 5)), rng.integers(3, size=60)
    layers = [layer for _ in range(3) for layer in (fs.Dense(16), hidden, fs.AlphaDropout(0.1))]
    with pytest.warns(UserWarning, match="AlphaDropout after"):
        net = fs.Network([*layers, fs.Dense(3)], 5)
    found = diagnose(net, x.astype(np.float32), y)
    assert all(np.isfinite(layer.variance) for layer in found.layers)
    assert all(layer.saturated is None for layer in found.layers)
    (finding,) = [f for f in found.findings if "dropout" in f.rule]
    assert f"after {hidden._kernel()} in" in finding.text
