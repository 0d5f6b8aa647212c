"""Reference of the kernels in float64 NumPy; shares no code with them."""

from __future__ import annotations

import numpy as np

ALPHA, LAMBDA = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def selu(z):
    return LAMBDA * np.where(z > 0, z, ALPHA * np.expm1(np.minimum(z, 0)))


def selu_slope(z):
    return LAMBDA * np.where(z > 0, 1.0, ALPHA * np.exp(np.minimum(z, 0)))


def alpha_dropout(y, dropped):
    """Return alpha-dropout, Klambauer et al. 2017; the rate is that of 16-bit numbers below a
    threshold.
    """
    value, rate = -LAMBDA * ALPHA, round(dropped["rate"] * 65536) / 65536
    q = 1 - rate
    a = (q + value**2 * q * rate) ** -0.5
    return a * np.where(dropped["mask"], value, y) - a * rate * value


def philox_mask(seed, step, site, samples, units, rate):
    """Return a mask (samples, units): 16-bit numbers of Philox4x32-10 below the threshold; Salmon
    et al. 2011.
    """
    low = np.uint64(0xFFFFFFFF)
    shape = -(-samples // 8), units
    block, unit = np.meshgrid(*map(np.arange, shape), indexing="ij")
    c = [block, unit, np.full(shape, site), np.full(shape, step)]
    c = [x.astype(np.uint64) for x in c]
    k = [np.uint64(seed & 0xFFFFFFFF), np.uint64(seed >> 32)]
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ k[0], p1 & low, (p0 >> np.uint64(32)) ^ c[3] ^ k[1],
             p0 & low]  # fmt: skip
        k = [(k[0] + np.uint64(0x9E3779B9)) & low, (k[1] + np.uint64(0xBB67AE85)) & low]
    halves = [h for word in c for h in (word & np.uint64(0xFFFF), word >> np.uint64(16))]
    numbers = np.stack(halves, 1).reshape(-1, units)[:samples]
    return numbers < round(rate * 65536)


def losses(kind, z, y):
    """Return (mean loss, its gradient) for raw outputs z; y: classes, or targets (n, outputs)."""
    if kind == "mse":
        return ((z - y) ** 2).mean(), 2 * (z - y) / z.size
    if kind == "sigmoid_cross_entropy":
        p = 1 / (1 + np.exp(-z))
        return (np.logaddexp(0, z) - y * z).mean(), (p - y) / z.size
    e = np.exp(z - z.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    hot = np.eye(z.shape[1])[y]
    return -np.log((p * hot).sum(1)).mean(), (p - hot) / len(z)


def error(found, wanted) -> float:
    """Return the largest difference relative to the largest magnitude."""
    return float(np.abs(found - wanted).max() / max(np.abs(wanted).max(), 1e-300))
