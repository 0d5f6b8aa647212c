"""Networks and rows for the checks on a GPU."""

from __future__ import annotations

import numpy as np

import fastsnn as fs

SEED = (9 << 32) + 5  # of masks
RATE = 0.05


def trainer(network, backend, mode="float32", **more):
    if backend == "cuda" and mode != "float32":
        more["precision"] = mode
    return fs.Trainer(network, backend=backend, **{"seed": SEED, **more})


def everything(tiny):
    """Return a network with every kind of node."""
    a, b, c, d = (3, 4, 5, 3) if tiny else (29, 37, 19, 21)
    layers = [
        fs.Dense(a, weight_norm=True), fs.LayerNorm(), fs.ReLU(), fs.Dense(b), fs.SELU(),
        fs.AlphaDropout(0.1), fs.Dense(c), fs.BatchNorm(), fs.Tanh(), fs.Dropout(0.1),
        fs.Residual([fs.Dense(d), fs.ReLU(), fs.Dense(c)]), fs.ReLU(), fs.Highway(),
        fs.Dense(OUTPUTS),
    ]  # fmt: skip
    return fs.Network(layers, INPUTS, seed=3)


INPUTS, OUTPUTS, DEPTH = 23, 5, 6  # of that network
KINKED = 29, 37, 21, 19, 19  # units of its ReLUs, its SELU, and the input of the highway layer
NO_GRADIENT = "6.bias"  # before a batch normalization: its gradient is rounding noise


# layers, width, batch, inputs, outputs: every tile; sizes that are no multiple of any; few rows.
SHAPES = ((4, 64, 128, 784, 10), (4, 512, 1024, 96, 10), (2, 1024, 8192, 64, 10),
          (3, 97, 131, 33, 7), (2, 40, 3, 9, 5), (32, 64, 256, 64, 10))  # fmt: skip
TINY = ((2, 9, 11, 5, 3),)


def plain(shape):
    layers, width, _, inputs, outputs = shape
    return fs.mlp(inputs, outputs, layers, width, dropout=RATE, seed=2)


def rows(n, inputs, outputs, loss="softmax_cross_entropy"):
    rng = np.random.default_rng(n)
    x = rng.standard_normal((n, inputs), dtype=np.float32)
    if loss == "softmax_cross_entropy":
        return x, rng.integers(outputs, size=n)
    if loss == "mse":
        return x, rng.standard_normal((n, outputs), dtype=np.float32)
    y = rng.integers(2, size=(n, outputs)).astype(np.float32)
    y[rng.random(y.shape) < 0.3] = np.nan
    return x, y
