"""The property that names the project: through 32 and 64 untrained SELU layers, activations keep
a mean near 0 and a variance near 1, with and without alpha-dropout.

The intervals are those of Klambauer et al. 2017, theorem 1: mean in [-0.1, 0.1], variance in [0.8,
1.5]. The theorem is about infinitely wide layers; here a layer's mean over all rows and units
varies with the drawn weights by about 0.02 and its variance by a few hundredths.
"""

import numpy as np
import pytest

import fastsnn as fs

N_ROWS, WIDTH = 2048, 256


def moments(n_layers, rate, training, seed, fixed_point=(0.0, 1.0)):
    """Return mean and variance of every hidden layer, over rows and units, in float64."""
    layers = []
    for _ in range(n_layers):
        layers += [fs.Dense(WIDTH), fs.SELU(fixed_point)]
        if rate:
            layers.append(fs.AlphaDropout(rate))
    net = fs.Network([*layers, fs.Dense(10)], input_size=WIDTH, seed=seed)
    mean, variance = fixed_point
    x = np.random.default_rng(seed).normal(mean, variance**0.5, size=(N_ROWS, WIDTH))
    x = x.astype(np.float32)
    hidden = net.activations(x, training=training, seed=seed, step=0)
    assert len(hidden) == n_layers
    assert all(h.shape == (N_ROWS, WIDTH) and h.dtype == np.float32 for h in hidden)
    hidden = (h.astype(np.float64) for h in hidden)
    return np.array([(h.mean(), h.var()) for h in hidden]).T


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("rate", [0.0, 0.05, 0.1])
@pytest.mark.parametrize("n_layers", [32, 64])
def test_mean_and_variance_stay(n_layers, rate, training, seed):
    mean, variance = moments(n_layers, rate, training, seed)
    assert np.abs(mean).max() <= 0.1, f"layer {np.abs(mean).argmax()}"
    assert variance.min() >= 0.8, f"layer {variance.argmin()}"
    assert variance.max() <= 1.5, f"layer {variance.argmax()}"


@pytest.mark.parametrize("rate", [0.0, 0.05])
@pytest.mark.parametrize("fixed_point", [(0.0, 2.0), (-0.1, 2.0), (0.0, 0.5)])
def test_other_fixed_points_stay(fixed_point, rate):
    """The intervals are scaled by the fixed point's deviation and variance."""
    mean, variance = moments(32, rate, rate > 0, 0, fixed_point)
    assert np.abs(mean - fixed_point[0]).max() <= 0.1 * fixed_point[1] ** 0.5
    assert variance.min() >= 0.8 * fixed_point[1]
    assert variance.max() <= 1.5 * fixed_point[1]


def test_training_differs_from_evaluation():
    """Otherwise the cases above would prove nothing about dropout."""
    with_dropout, without = (moments(4, 0.1, training, 0) for training in (True, False))
    assert not np.array_equal(with_dropout, without)


def test_relu_does_not_normalize_itself():
    """Without SELU the signal fades, and the same measurement shows it."""
    layers = [layer for _ in range(32) for layer in (fs.Dense(WIDTH), fs.ReLU())]
    net = fs.Network([*layers, fs.Dense(10)], input_size=WIDTH, seed=0)
    state = net.state_dict()
    rng = np.random.default_rng(0)
    for name, p in state.items():
        if name.endswith("weight"):
            state[name] = (rng.normal(size=p.shape) / np.sqrt(p.shape[1])).astype(np.float32)
    net.load_state_dict(state)
    x = np.random.default_rng(1).normal(size=(N_ROWS, WIDTH)).astype(np.float32)
    assert net.activations(x)[-1].var() < 0.01
