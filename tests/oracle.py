"""The reference: float64 NumPy in the slowest obvious form. Imports numpy only.

A network is a list of blocks; a block is h -> dropout(activation(h w^T + b)). Letters: n rows,
K fan-in, N fan-out; `dv` is the gradient of the loss with respect to v.
Klambauer et al. 2017, "Self-Normalizing Neural Networks".
"""

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
from oracle_optimizers import *  # noqa: F403  part of the reference

ALPHA = 1.6732632423543772848170429916717
LAMBDA = 1.0507009873554804934193349852946
ALPHA_PRIME = -1.7580993408473768599402175208123  # -lambda alpha


@dataclass
class Block:
    """w (N, K)   b (N,)   activation: one of ACTIVATIONS   dropout: none, alpha, plain"""

    w: np.ndarray
    b: np.ndarray
    activation: str = "none"
    dropout: str = "none"
    rate: float = 0.0


# Philox4x32-10: Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3".


def philox4x32_10(counter, key):
    """Return the four words for every counter.

    counter (..., 4), key (2,): integers below 2**32   returns (..., 4) uint32
    """
    low = np.uint64(0xFFFFFFFF)
    c0, c1, c2, c3 = np.moveaxis(np.asarray(counter).astype(np.uint64), -1, 0)
    k0, k1 = int(key[0]), int(key[1])
    for _ in range(10):
        p0 = np.uint64(0xD2511F53) * c0
        p1 = np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (
            (p1 >> np.uint64(32)) ^ c1 ^ np.uint64(k0),
            p1 & low,
            (p0 >> np.uint64(32)) ^ c3 ^ np.uint64(k1),
            p0 & low,
        )
        k0 = (k0 + 0x9E3779B9) % 2**32
        k1 = (k1 + 0xBB67AE85) % 2**32
    return np.stack([c0, c1, c2, c3], axis=-1).astype(np.uint32)


def threshold(rate):
    return min(round(rate * 65536), 65535)


def effective_rate(rate):
    """Return the drop probability rounded to 16 bits."""
    return threshold(rate) / 65536


def drop_mask(seed, step, site, n_samples, n_units, rate):
    """Return True where dropped, (n_samples, n_units).

    site: number of the dropout layer, step: updates so far. The eight samples of a block use the
    16-bit halves of its four words, low half first.
    """
    n_blocks = -(-n_samples // 8)
    counter = np.zeros((n_blocks, n_units, 4), np.uint64)
    counter[..., 0] = np.arange(n_blocks)[:, None]
    counter[..., 1] = np.arange(n_units)
    counter[..., 2] = site
    counter[..., 3] = step
    words = philox4x32_10(counter, (seed & 0xFFFFFFFF, seed >> 32))
    numbers = np.empty((n_blocks, 8, n_units), np.uint32)
    for i in range(4):
        numbers[:, 2 * i] = words[..., i] & 0xFFFF
        numbers[:, 2 * i + 1] = words[..., i] >> 16
    return (numbers < threshold(rate)).reshape(8 * n_blocks, n_units)[:n_samples]


def drop_masks(blocks, seed, step, n):
    """Return a mask for each block, None for those without dropout.

    Dropout layers are numbered 0, 1, 2, ... in order, including those of rate 0.
    """
    masks, site = [], 0
    for block in blocks:
        if block.dropout == "none":
            masks.append(None)
        else:
            masks.append(drop_mask(seed, step, site, n, len(block.b), block.rate))
            site += 1
    return masks


# Forward and backward


def selu(z, alpha=ALPHA, lam=LAMBDA):
    low = np.minimum(z, 0)
    y = lam * np.where(z > 0, z, alpha * np.expm1(low))
    return y, lam * np.where(z > 0, 1.0, alpha * np.exp(low))


def relu(z):
    return np.where(z > 0, z, 0.0), np.where(z > 0, 1.0, 0.0)


def tanh(z):
    return np.tanh(z), 1 / np.cosh(np.clip(z, -300, 300)) ** 2


def gelu(z):
    tail = np.vectorize(math.erfc, otypes=[float])(-z / np.sqrt(2)) / 2  # the normal CDF
    return z * tail, tail + z * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


def gelu_tanh(z):
    u, du = np.sqrt(2 / np.pi) * np.array([z + 0.044715 * z**3, 1 + 3 * 0.044715 * z**2])
    slope = (1 + np.tanh(u)) / 2 + z * du / np.cosh(np.clip(u, -300, 300)) ** 2 / 2
    return z * (1 + np.tanh(u)) / 2, slope


def mish(z):
    soft, gate = np.logaddexp(0, z), 1 / (1 + np.exp(-np.clip(z, -700, 700)))
    w = np.tanh(soft)
    return z * w, w + z * gate / np.cosh(np.minimum(soft, 300)) ** 2


# By their names in fastsnn.kernels.activations: y and dy/dz as functions of z.
ACTIVATIONS = {
    "none": lambda z: (z, np.ones_like(z)),
    "selu": selu,
    "relu": relu,
    "tanh": tanh,
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "mish": mish,
}
KINKED = ("selu", "relu")  # the slope jumps at z = 0


def activate(z, activation):
    """Return y and dy/dz."""
    return ACTIVATIONS[activation](z)


def alpha_affine(rate):
    """Return a and b that keep mean 0 and variance 1, section "New Dropout Technique"."""
    q = 1 - effective_rate(rate)
    a = (q + ALPHA_PRIME**2 * q * (1 - q)) ** -0.5
    return a, -a * (1 - q) * ALPHA_PRIME


def drop(y, block, mask):
    """Return h and dh/dy."""
    if mask is None or block.dropout == "none":
        return y, np.ones_like(y)
    if block.dropout == "plain":
        kept = 1 / (1 - effective_rate(block.rate))
        return np.where(mask, 0.0, y * kept), np.where(mask, 0.0, kept)
    a, b = alpha_affine(block.rate)
    return a * np.where(mask, ALPHA_PRIME, y) + b, np.where(mask, 0.0, a)


def forward(blocks, x, masks=None):
    """Return three lists: the input of each block, followed by the network's output;
    pre-activations; dh/dz.

    masks: one for each block (None: no dropout in it), or None for evaluation.
    """
    h, zs, slopes = [np.asarray(x, np.float64)], [], []
    for block, mask in zip(blocks, masks or [None] * len(blocks), strict=True):
        z = h[-1] @ block.w.T.astype(np.float64) + block.b
        y, dy = activate(z, block.activation)
        out, dh = drop(y, block, mask)
        h.append(out)
        zs.append(z)
        slopes.append(dh * dy)
    return h, zs, slopes


def backward(blocks, x, masks, d_out):
    """Return gradients of all parameters and their scales: two lists in the order of
    `parameters`.

    d_out (n, N): d loss / d output. A gradient is a sum over the rows. Its scale is its magnitude,
    or the root of the sum of the squares of the terms if that is larger: its size if the terms did
    not cancel. Rounding errors are compared with the scale.
    """
    h, _, slopes = forward(blocks, x, masks)
    gradients, scales, dh = [], [], d_out
    for k in reversed(range(len(blocks))):
        dz = dh * slopes[k]
        dw, db = dz.T @ h[k], dz.sum(0)
        gradients[:0] = dw, db
        scales[:0] = (
            np.maximum(np.abs(dw), np.sqrt((dz**2).T @ h[k] ** 2)),
            np.maximum(np.abs(db), np.sqrt((dz**2).sum(0))),
        )
        dh = dz @ blocks[k].w.astype(np.float64)
    return gradients, scales


# Losses: (loss, d loss / d z) for the outputs z. A sample weight of None is 1 for every row.


def softmax_cross_entropy(z, y, class_weight=None, sample_weight=None, parameter=0.0):
    """Return loss and gradient of sum_i w_i (-log softmax(z_i)[y_i]) / sum_i w_i.

    w_i = class_weight[y_i] sample_weight[i]. With label smoothing e (the parameter) the target of
    class c is e / N + (1 - e)[c = y_i], and its loss is multiplied by class_weight[c]; the mean
    divides by the same sum of w_i.
    """
    n = len(z)
    w = np.ones(n) if sample_weight is None else np.asarray(sample_weight, np.float64)
    if class_weight is not None:
        w = w * np.asarray(class_weight, np.float64)[y]
    shifted = z - z.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    c = np.ones(z.shape[1]) if class_weight is None else np.asarray(class_weight, np.float64)
    s = np.ones(n) if sample_weight is None else np.asarray(sample_weight, np.float64)
    target = np.full(z.shape, parameter / z.shape[1])
    target[np.arange(n), y] += 1 - parameter
    target *= c * s[:, None]
    loss = -(target * log_p).sum() / w.sum()
    dz = np.exp(log_p) * target.sum(1, keepdims=True) - target
    return loss, dz / w.sum()


def sigmoid_cross_entropy(z, t, class_weight=None, sample_weight=None):
    """Return loss and gradient of sum_ij w_i l_ij / sum_ij w_i over the labelled entries.

    NaN in t: not labelled. l = -c t log sigmoid(z) - (1 - t) log sigmoid(-z), c the class_weight of
    the task (PyTorch's pos_weight). Without labels the loss and its gradient are 0.
    """
    n = len(z)
    t = np.asarray(t, np.float64)
    w = np.ones(n) if sample_weight is None else np.asarray(sample_weight, np.float64)
    c = 1.0 if class_weight is None else np.asarray(class_weight, np.float64)
    labelled = ~np.isnan(t)
    w = np.where(labelled, w[:, None], 0.0)
    if not labelled.any():
        return 0.0, np.zeros_like(z)
    t = np.where(labelled, t, 0.0)
    loss = c * t * np.logaddexp(0, -z) + (1 - t) * np.logaddexp(0, z)
    p = 1 / (1 + np.exp(-z))
    dz = -c * t * (1 - p) + (1 - t) * p
    return (w * loss).sum() / w.sum(), w * dz / w.sum()


def mse(z, t, class_weight=None, sample_weight=None):
    """Return loss and gradient of sum_ij w_i (z_ij - t_ij)^2 / sum_ij w_i."""
    w = np.ones(len(z)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    w = np.broadcast_to(w[:, None], z.shape)
    d = z - t
    return (w * d**2).sum() / w.sum(), 2 * w * d / w.sum()


def huber(z, t, class_weight=None, sample_weight=None, parameter=1.0):
    """Return loss and gradient of sum_ij w_i l_ij / sum_ij w_i with d = z - t.

    l = d^2 / 2 for |d| <= delta (the parameter), else delta (|d| - delta / 2).
    """
    w = np.ones(len(z)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    w = np.broadcast_to(w[:, None], z.shape)
    d = z - t
    loss = np.where(np.abs(d) <= parameter, d**2 / 2, parameter * (np.abs(d) - parameter / 2))
    slope = np.where(np.abs(d) <= parameter, d, parameter * np.sign(d))
    return (w * loss).sum() / w.sum(), w * slope / w.sum()


def quantile(z, t, class_weight=None, sample_weight=None, parameter=0.5):
    """Return loss and gradient of sum_ij w_i max(q d_ij, (q - 1) d_ij) / sum_ij w_i.

    d = t - z; q is the parameter.
    """
    w = np.ones(len(z)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    w = np.broadcast_to(w[:, None], z.shape)
    d = t - z
    loss = np.maximum(parameter * d, (parameter - 1) * d)
    slope = -np.where(d > 0, parameter, np.where(d < 0, parameter - 1, 0))
    return (w * loss).sum() / w.sum(), w * slope / w.sum()


def loss_kinks(spec, z, t):
    """Return the distance of each output (n, N) to a jump of the loss's slope. Huber's has none."""
    return np.abs(z - t) if spec.startswith("quantile") else np.full(z.shape, np.inf)


LOSSES = {
    f.__name__: f for f in (softmax_cross_entropy, sigmoid_cross_entropy, mse, huber, quantile)
}


def loss_of(spec):
    """Return the function of a loss by its name, or by name and parameter: "huber:0.5"."""
    name, _, parameter = spec.partition(":")
    return partial(LOSSES[name], parameter=float(parameter)) if parameter else LOSSES[name]


def loss_and_gradients(blocks, x, y, loss, masks=None, class_weight=None, sample_weight=None):
    """Return loss, gradients, scales: see `backward`."""
    out = forward(blocks, x, masks)[0][-1]
    value, d_out = loss_of(loss)(out, y, class_weight, sample_weight)
    return value, *backward(blocks, x, masks, d_out)


def parameters(blocks):
    return [p for block in blocks for p in (block.w, block.b)]
