"""Integrals over one side of 0 for a Gaussian z ~ N(k, s); the moments of SELU are sums of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

SMALL = 0.01  # below this s, differences of the closed forms would lose more than two digits
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(48)
_FAR = 9.0  # standard deviations; the density is 1e-18 there
_SPACING = 0.5  # of the sum for erfcx; its error is exp(-(pi / _SPACING)^2) = 7e-18


class Half(NamedTuple):
    """Integrals for z ~ N(k, s), as one-dimensional arrays.

    positive = P(z > 0); negative = P(z <= 0); density = phi(k / sqrt(s)), phi the standard normal
    density; exp1 = E[exp(z); z <= 0]; exp2 = E[exp(2 z); z <= 0]
    """

    positive: np.ndarray
    negative: np.ndarray
    density: np.ndarray
    exp1: np.ndarray
    exp2: np.ndarray


def half(k: np.ndarray, s: np.ndarray) -> Half:
    """Return the five integrals for k (n,), abs(k) <= 1e100, and s (n,), 0 < s <= 1e200.

    E[exp(n z); z <= 0] = exp(n k + n^2 s / 2) erfc((k + n s) / sqrt(2 s)) / 2. Where the argument
    is positive, the product is exp(-k^2 / (2 s)) erfcx(argument) / 2: neither factor overflows, and
    neither underflows before the product does.
    """
    deviation = np.sqrt(s)
    r = k / deviation
    tail = 0.5 * erfc(np.abs(r) / math.sqrt(2))
    bell = np.exp(-0.5 * np.minimum(np.abs(r), 100) ** 2)  # 0 from 39 on; r * r may overflow
    exp1, exp2 = (0.5 * _exp_erfc(k, n, s, deviation, bell) for n in (1, 2))
    right = r > 0
    return Half(
        np.where(right, 1 - tail, tail), np.where(right, tail, 1 - tail),
        bell / math.sqrt(2 * math.pi), exp1, exp2,
    )  # fmt: skip


def _exp_erfc(
    k: np.ndarray, n: int, s: np.ndarray, deviation: np.ndarray, bell: np.ndarray
) -> np.ndarray:
    x = (k + n * s) / (math.sqrt(2) * deviation)
    out: np.ndarray = bell * erfcx(np.maximum(x, 0))
    left = x < 0  # then n k + n^2 s / 2 < n k / 2 < 0
    if left.any():
        out[left] = np.exp(n * k[left] + 0.5 * n * n * s[left]) * erfc(x[left])
    return out


def erfc(x: np.ndarray) -> np.ndarray:
    """Return the complementary error function of an array."""
    return np.fromiter(map(math.erfc, x.ravel().tolist()), np.float64, x.size).reshape(x.shape)


def erfcx(x: np.ndarray) -> np.ndarray:
    """Return exp(x^2) erfc(x) for x >= 0, to a few units in the last place.

    From x = 2, it is the trapezoidal sum of (x / pi) integral exp(-t^2) / (x^2 + t^2) dt with step
    h, whose error falls with exp(-(pi / h)^2); the residue of the pole is added for x < pi / h
    (Chiarella & Reichel 1968, "On the evaluation of integrals related to the error function").
    """
    out = np.empty_like(x)
    near = x < 2
    y = x[near]
    out[near] = np.exp(y * y) * erfc(y)
    if near.all():
        return out
    far = ~near
    y = np.minimum(x[far], 1e150)  # whose square is finite
    h, square = _SPACING, y * y
    total = 0.5 / square
    for n in range(1, 14):
        total += math.exp(-((n * h) ** 2)) / (square + (n * h) ** 2)
    out[far] = 2 * h / math.pi * y * total
    pole = np.minimum(y, math.pi / h)
    correction = 2 * np.exp(pole * pole - 2 * math.pi * pole / h)
    out[far] -= np.where(y < math.pi / h, correction, 0)
    return out


def nodes(k: np.ndarray, s: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield (z - k, z, weight) for the 96 nodes of Gauss-Legendre quadrature, 48 on each side of 0.

    z is normal with mean k and variance s, which may be 0.

    Exact to rounding for functions that are smooth on each side, for standard deviations up to 0.1
    or so. `half` is inaccurate for small s, where its terms nearly cancel.
    """
    deviation = np.sqrt(s)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        kink = np.where(s > 0, np.clip(-k / deviation, -_FAR, _FAR), np.copysign(_FAR, -k))
    # Rounding must not move a node to the other side.
    for low, high, on_its_side in ((-_FAR, kink, np.minimum), (kink, _FAR, np.maximum)):
        middle, reach = 0.5 * (low + high), 0.5 * (high - low)
        for node, weight in zip(_NODES, _WEIGHTS, strict=True):
            u = middle + reach * node
            step = deviation * u
            bell = np.exp(-0.5 * u * u) / math.sqrt(2 * math.pi)
            yield step, on_its_side(k + step, 0), weight * reach * bell
