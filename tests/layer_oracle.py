"""The reference for normalizations, weight normalization, highway layers and residual blocks.

float64 NumPy in the slowest obvious form. Imports numpy, and masks and losses of oracle.py.

A network is the user's list of layers. Each kind of layer is one function: it maps its input to its
output and to a backward function, which maps the gradient of the loss with respect to the output to
those with respect to the input and to the layer's tensors, by the names of a state dict.

Letters: n rows, K fan-in, N fan-out; `dv` is the gradient of the loss with respect to v.
`rounded(value, terms, size)` is called wherever float32 rounds. `exact` returns the value
unchanged; layer_tolerance.py has the version that adds an error.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import oracle


@dataclass
class Dense:
    """w (N, K)   b (N,)   g (N, 1): if given, the weights are g w / |w|, row by row"""

    w: np.ndarray
    b: np.ndarray
    g: np.ndarray | None = None


@dataclass
class Activation:
    kind: str  # of oracle.ACTIVATIONS
    alpha: float = oracle.ALPHA
    lam: float = oracle.LAMBDA


@dataclass
class Dropout:
    """kind alpha: a dropped element becomes `value`; mean and variance of the activations are
    kept.
    """

    kind: str  # alpha, plain
    rate: float
    mean: float = 0.0
    variance: float = 1.0
    value: float = oracle.ALPHA_PRIME


@dataclass
class BatchNorm:
    """weight, bias, running_mean, running_var (N,)"""

    weight: np.ndarray
    bias: np.ndarray
    running_mean: np.ndarray
    running_var: np.ndarray
    eps: float = 1e-5
    momentum: float = 0.1


@dataclass
class LayerNorm:
    """weight, bias (N,)"""

    weight: np.ndarray
    bias: np.ndarray
    eps: float = 1e-5


@dataclass
class Highway:
    """w (2N, N), b (2N,): rows of the ReLU, followed by rows of the gate"""

    w: np.ndarray
    b: np.ndarray


@dataclass
class Residual:
    layers: list


def tensors(layers, prefix=""):
    """Return the state dict: the arrays themselves by name."""
    found = {}
    for i, layer in enumerate(layers):
        at = f"{prefix}{i}."
        if isinstance(layer, Residual):
            found |= tensors(layer.layers, at)
        elif isinstance(layer, Dense) and layer.g is not None:
            found |= {at + "weight_g": layer.g, at + "weight_v": layer.w, at + "bias": layer.b}
        elif isinstance(layer, Dense | Highway):
            found |= {at + "weight": layer.w, at + "bias": layer.b}
        elif isinstance(layer, BatchNorm | LayerNorm):
            found |= {at + "weight": layer.weight, at + "bias": layer.bias}
        if isinstance(layer, BatchNorm):
            found[at + "running_mean"] = layer.running_mean
            found[at + "running_var"] = layer.running_var
    return found


def parameters(layers):
    """Return the tensors that have gradients."""
    return {name: p for name, p in tensors(layers).items() if ".running_" not in name}


def selu_constants(mean, variance):
    """Return alpha and lambda for which z ~ N(0, variance) gives selu(z) this mean and variance.

    Klambauer et al. 2017, appendix, other fixed points, for weights with sum 0 and sum of squares
    1.

    With p, p2 the first two moments of max(z, 0), e, e2 those of min(exp(z) - 1, 0):
        mean = lambda (p + alpha e)      variance + mean^2 = lambda^2 (p2 + alpha^2 e2)
    The quotient of the first and the root of the second decreases with alpha: bisection.
    """
    s = math.sqrt(variance)
    below = [math.erfc(k * s / math.sqrt(2)) / 2 for k in (1, 2)]  # of N(0, 1), below -k s
    p, p2 = s / math.sqrt(2 * math.pi), variance / 2
    e = math.exp(variance / 2) * below[0] - 0.5
    e2 = math.exp(2 * variance) * below[1] - 2 * math.exp(variance / 2) * below[0] + 0.5
    whole = math.sqrt(variance + mean**2)
    low, high = 0.0, 100.0
    for _ in range(100):
        alpha = (low + high) / 2
        if (p + alpha * e) / math.sqrt(p2 + alpha**2 * e2) > mean / whole:
            low = alpha
        else:
            high = alpha
    return alpha, whole / math.sqrt(p2 + alpha**2 * e2)


def affine(layer):
    """Return a and b of a dropout layer, section "New Dropout Technique" and its appendix."""
    q, m, v = 1 - oracle.effective_rate(layer.rate), layer.mean, layer.variance
    if layer.kind == "plain":
        return 1 / q, 0.0
    a = math.sqrt(v / (q * ((1 - q) * (layer.value - m) ** 2 + v)))
    return a, m - a * (q * m + (1 - q) * layer.value)


def exact(value, terms=0, size=None):
    return value


@dataclass
class Run:
    """One pass and its records: outputs by layer, inputs of functions with kinks, statistics."""

    training: bool = False
    seed: int = 0
    step: int = 0
    rounded: object = exact
    sites: int = 0
    trace: list = field(default_factory=list)  # (name, output)
    kinks: list = field(default_factory=list)  # pre-activations of SELU, ReLU, Highway
    statistics: list = field(default_factory=list)  # (layer, mean, unbiased variance)


def root(squares):
    return np.sqrt(squares)


def product(h, w, b, r):
    """Compute z = h w^T + b; return it with its backward function."""
    z = r(h @ w.T + b, w.shape[1], lambda: root(h**2 @ (w**2).T + b**2))

    def back(dz):
        dw = r(dz.T @ h, len(h), lambda: root((dz**2).T @ h**2))
        db = r(dz.sum(0), len(h), lambda: root((dz**2).sum(0)))
        return r(dz @ w, len(w), lambda: root(dz**2 @ w**2)), dw, db

    return z, back


def dense(layer, h, run, name):
    r, w, g = run.rounded, layer.w, layer.g
    if g is not None:
        length = r(root((w**2).sum(1, keepdims=True)), w.shape[1])
        unit = r(w / length)
        z, product_back = product(h, r(g * unit), layer.b, r)
    else:
        z, product_back = product(h, w, layer.b, r)

    def back(dz):
        dh, dw, db = product_back(dz)
        if g is None:
            return dh, {"weight": dw, "bias": db}
        terms = dw * unit
        along = r(terms.sum(1, keepdims=True), len(w.T), lambda: root((terms**2).sum(1))[:, None])
        dv = r(
            g / length * (dw - unit * along),
            size=lambda: np.abs(g / length) * (np.abs(dw) + np.abs(unit * along)),
        )
        return dh, {"weight_g": along, "weight_v": dv, "bias": db}

    return z, back


def activation(layer, z, run, name):
    r = run.rounded
    if layer.kind in oracle.KINKED:
        run.kinks.append(z)
    more = (layer.alpha, layer.lam) if layer.kind == "selu" else ()
    y, slope = oracle.ACTIVATIONS[layer.kind](z, *more)
    y = r(y)
    if layer.kind != "relu":  # a difference of numbers of size 1
        slope = r(slope, size=lambda: 2.0)
    return y, lambda dy: (r(dy * slope), {})


def dropout(layer, y, run, name):
    site, run.sites = run.sites, run.sites + 1
    if not run.training or not oracle.threshold(layer.rate):
        return y, lambda dh: (dh, {})
    mask = oracle.drop_mask(run.seed, run.step, site, *y.shape, layer.rate)
    a, b = affine(layer)
    r, value = run.rounded, layer.value if layer.kind == "alpha" else 0.0
    h = r(a * np.where(mask, value, y) + b, size=lambda: np.abs(a * y) + abs(b))
    # a dropped value has slope 0 to about 1e-7 if the slope is computed from outputs
    return h, lambda dh: (r(dh * np.where(mask, 0.0, a), size=lambda: 2 * np.abs(a * dh)), {})


def normalize(layer, x, axis, r):
    """Compute y = weight (x - mean) / sqrt(variance + eps) + bias; mean and variance over the
    axis.
    """
    n = x.shape[axis]

    def mean_of(v):
        return r(v.mean(axis, keepdims=True), n, lambda: root((v**2).sum(axis, keepdims=True)) / n)

    mean = mean_of(x)
    d = r(x - mean)
    variance = mean_of(d**2)
    s = r(root(variance + layer.eps))
    unit = r(d / s)
    y = r(unit * layer.weight + layer.bias, size=lambda: np.abs(unit * layer.weight))

    def back(dy):
        dweight = r((dy * unit).sum(0), len(x), lambda: root(((dy * unit) ** 2).sum(0)))
        dbias = r(dy.sum(0), len(x), lambda: root((dy**2).sum(0)))
        du = r(dy * layer.weight)
        m, along = mean_of(du), mean_of(du * unit)
        dx = r(
            (du - m - unit * along) / s,
            size=lambda: (np.abs(du) + np.abs(m) + np.abs(unit * along)) / s,
        )
        return dx, {"weight": dweight, "bias": dbias}

    return y, back, mean, variance


def batch_norm(layer, x, run, name):
    if run.training:
        n = len(x)
        y, back, mean, variance = normalize(layer, x, 0, run.rounded)
        run.statistics.append((layer, mean[0], variance[0] * n / (n - 1)))
        return y, back
    a = layer.weight / root(layer.running_var + layer.eps)
    y = a * (x - layer.running_mean) + layer.bias
    whole = np.abs(a * x) + np.abs(a * layer.running_mean) + np.abs(layer.bias)
    return run.rounded(y, size=lambda: whole), None


def layer_norm(layer, x, run, name):
    return normalize(layer, x, 1, run.rounded)[:2]


def highway(layer, x, run, name):
    """Compute y = t relu(z) + (1 - t) x."""
    r, N = run.rounded, len(layer.w) // 2
    both, product_back = product(x, layer.w, layer.b, r)
    z = both[:, :N]
    run.kinks.append(z)
    t = r(1 / (1 + np.exp(-both[:, N:])))
    carried = r(1 - t, size=lambda: 1.0)
    relu, slope = np.where(z > 0, z, 0.0), np.where(z > 0, 1.0, 0.0)
    y = r(t * relu + carried * x, size=lambda: np.abs(t * relu) + np.abs(carried * x))

    def back(dy):
        dt = r(dy * (relu - x), size=lambda: np.abs(dy) * (relu + np.abs(x)))
        dx, dw, db = product_back(np.hstack([r(dy * t) * slope, r(dt * t * carried)]))
        through = dy * carried
        dx = r(dx + through, size=lambda: np.abs(dx) + np.abs(through))
        return dx, {"weight": dw, "bias": db}

    return y, back


def residual(layer, x, run, name):
    """Compute y = x + F(x)."""
    r = run.rounded
    added, inner_back = through(layer.layers, x, run, name + ".")

    def back(dy):
        dx, gradients = inner_back(dy)
        return r(dx + dy, size=lambda: np.abs(dx) + np.abs(dy)), gradients

    return r(x + added, size=lambda: np.abs(x) + np.abs(added)), back


FUNCTIONS = {
    Dense: dense, Activation: activation, Dropout: dropout, BatchNorm: batch_norm,
    LayerNorm: layer_norm, Highway: highway, Residual: residual,
}  # fmt: skip


def through(layers, h, run, prefix=""):
    """Run all layers in order; return the output and the backward function to input and tensors."""
    backs = []
    for i, layer in enumerate(layers):
        h, back = FUNCTIONS[type(layer)](layer, h, run, f"{prefix}{i}")
        run.trace.append((f"{prefix}{i}", h))
        backs.append(back)

    def back_through(dh):
        gradients = {}
        for i, back in reversed(list(enumerate(backs))):
            dh, own = back(dh)
            gradients |= {f"{i}.{name}": g for name, g in own.items()}
        return dh, gradients

    return h, back_through


def evaluate(layers, x, rounded=exact):
    """Return outputs with running statistics and without dropout, and the run."""
    run = Run(rounded=rounded)
    return through(layers, np.asarray(x, np.float64), run)[0], run


def train(layers, x, y, loss, seed=0, step=0, weights=(None, None), rounded=exact):
    """Return loss, gradients by name, outputs, run; nothing is changed. `weights`: classes,
    samples.
    """
    run = Run(True, seed, step, rounded)
    out, back = through(layers, np.asarray(x, np.float64), run)
    value, d_out = oracle.loss_of(loss)(out, y, *weights)
    # a probability minus 1 has the error of the probability
    d_out = rounded(d_out, size=lambda: np.abs(d_out).max())
    return value, back(d_out)[1], out, run


def move_statistics(run):
    """Update after a step: running = (1 - momentum) running + momentum (statistics of the
    batch).
    """
    for layer, mean, variance in run.statistics:
        for running, new in ((layer.running_mean, mean), (layer.running_var, variance)):
            moved = (1 - layer.momentum) * running + layer.momentum * new
            running[...] = run.rounded(moved)
