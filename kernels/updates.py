"""Optimizer updates of one element, written once for both backends, and their table.

    p         parameter; g: its gradient
    state     the optimizer's state of this parameter, such as m (mean of g) and v (mean of g^2)
    scalars   values that are the same for all elements, such as learning rate and bias corrections;
              computed in float64 by `fastsnn/optimizers.py`, then rounded to float32

An update is a function `(p, g, *state, *scalars) -> (new p, *new state)` of float32 `Value`s, see
`emit.py`. The formulas are PyTorch's. To add one: write its function and its row here, and a class
in `fastsnn/optimizers.py`.
"""

from collections.abc import Callable
from typing import NamedTuple

from .emit import absolute, fma, sqrt, where

INFINITY = float("inf")


def store(p, g, stored):
    """Store the gradient in the state; p is not written."""
    return p, g


def sgd(p, g, learning_rate, weight_decay):
    """p - learning_rate (g + weight_decay p)"""
    return (fma(-learning_rate, fma(weight_decay, p, g), p),)


def momentum(p, g, m, learning_rate, weight_decay, momentum):
    """m = momentum m + g;  p - learning_rate m"""
    g = fma(weight_decay, p, g)
    m = fma(momentum, m, g)
    return fma(-learning_rate, m, p), m


def nesterov(p, g, m, learning_rate, weight_decay, momentum):
    """m = momentum m + g;  p - learning_rate (g + momentum m)"""
    g = fma(weight_decay, p, g)
    m = fma(momentum, m, g)
    return fma(-learning_rate, fma(momentum, m, g), p), m


def adam(p, g, m, v, step_size, l2, decay, rest1, beta2, rest2, root_correction2, eps):
    """Adam (Kingma & Ba 2015) and AdamW (Loshchilov & Hutter 2019).

    step_size = learning_rate / (1 - beta1**t); root_correction2 = sqrt(1 - beta2**t); l2: weight
    decay added to the gradient (Adam); decay = 1 - learning_rate * weight_decay, a factor of the
    parameter (AdamW), else 1. rest1 = 1 - beta1 and rest2 = 1 - beta2 are separate scalars, each
    rounded once: 1 - beta2 computed from a float32 beta2 would have a relative error of 1e-5.
    """
    g = fma(l2, p, g)
    m = fma(rest1, g - m, m)
    v = fma(v, beta2, rest2 * (g * g))
    return fma(-step_size, m / (sqrt(v) / root_correction2 + eps), p * decay), m, v


def rmsprop(p, g, v, learning_rate, weight_decay, alpha, rest, eps):
    """v = alpha v + (1 - alpha) g^2;  p - learning_rate g / (sqrt(v) + eps).   Hinton 2012

    rest = 1 - alpha is a separate scalar, rounded once.
    """
    g = fma(weight_decay, p, g)
    v = fma(v, alpha, rest * (g * g))
    return fma(-learning_rate, g / (sqrt(v) + eps), p), v


def rmsprop_momentum(p, g, m, v, learning_rate, weight_decay, alpha, rest, eps, momentum):
    """`rmsprop` with momentum: m = momentum m + g / (sqrt(v) + eps);  p - learning_rate m"""
    g = fma(weight_decay, p, g)
    v = fma(v, alpha, rest * (g * g))
    m = fma(momentum, m, g / (sqrt(v) + eps))
    return fma(-learning_rate, m, p), m, v


def lion(p, g, m, learning_rate, decay, beta1, rest1, beta2, rest2):
    """p decay - learning_rate sign(beta1 m + (1 - beta1) g);  m = beta2 m + (1 - beta2) g

    Chen et al. 2023, algorithm 2. decay = 1 - learning_rate * weight_decay; rest1 = 1 - beta1 and
    rest2 = 1 - beta2 are separate scalars, each rounded once. sign(0) = 0, sign(NaN) = NaN.
    """
    c = fma(m, beta1, rest1 * g)
    sign = where(c > 0, 1, where(c < 0, -1, c * 0))
    return fma(-learning_rate, sign, p * decay), fma(m, beta2, rest2 * g)


def nadam(p, g, m, v, g_factor, m_factor, weight_decay, rest1, beta2, rest2, root_correction2, eps):
    """NAdam (Dozat 2016): p - (g_factor g + m_factor m) / (sqrt(v) / root_correction2 + eps)

    m, v, rest1 and rest2 as in `adam`. g_factor = learning_rate (1 - mu_t) / (1 - mu_1 ... mu_t);
    m_factor = learning_rate mu_t+1 / (1 - mu_1 ... mu_t+1).
    """
    g = fma(weight_decay, p, g)
    m = fma(rest1, g - m, m)
    v = fma(v, beta2, rest2 * (g * g))
    return p - fma(g_factor, g, m_factor * m) / (sqrt(v) / root_correction2 + eps), m, v


class Update(NamedTuple):
    """A row of the table. The state has `signed` arrays of any finite numbers, then `squares`
    arrays of means of squares, which are not negative.
    """

    name: str
    signed: int
    squares: int
    function: Callable

    @property
    def arrays(self) -> int:
        """Number of state arrays, each of the size of the parameters."""
        return self.signed + self.squares

    @property
    def scalars(self) -> int:
        """Number of scalars that the function takes."""
        return self.function.__code__.co_argcount - 2 - self.arrays


# The code of an update is its index in this table.
UPDATES = (
    Update("store", 1, 0, store),
    Update("sgd", 0, 0, sgd),
    Update("momentum", 1, 0, momentum),
    Update("nesterov", 1, 0, nesterov),
    Update("adam", 1, 1, adam),
    Update("rmsprop", 0, 1, rmsprop),
    Update("rmsprop_momentum", 1, 1, rmsprop_momentum),
    Update("lion", 1, 0, lion),
    Update("nadam", 1, 1, nadam),
)
CODES = {update.name: code for code, update in enumerate(UPDATES)}
STORE = CODES["store"]
HYPER = max(update.scalars for update in UPDATES)  # scalars per step: columns of `hypers`


def require(code: int) -> None:
    """Raise ValueError for a code outside the table. Engines call it before any kernel runs."""
    if not 0 <= code < len(UPDATES):
        raise ValueError(
            f"update: a code in [0, {len(UPDATES)}) is required, got {code}; "
            "take it from kernels/updates.py"
        )


def guarded(code, p, g, state, scalars, limit=INFINITY):
    """Return (new parameter, new state, overflow) of the update `code`. If the new parameter would
    be NaN or have an absolute value >= `limit`, or if its state would not be finite, both keep
    their values and `overflow` is true.
    """
    update = UPDATES[code]
    new, *new_state = update.function(p, g, *state, *scalars[: update.scalars])
    good = absolute(new) < limit
    for s in new_state:
        good = good & (absolute(s) < INFINITY)
    kept = [where(good, s, old) for s, old in zip(new_state, state, strict=True)]
    return where(good, new, p), kept, good ^ 1
