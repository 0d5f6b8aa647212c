"""Networks with normalizations, weight normalization, highway layers and residual blocks.

The engine is compared with layer_oracle.py on these cases. To add one: a line in the table. A layer
is (name in fastsnn.layers, its arguments); the last Dense is added. Ids are unique. All numbers are
drawn from the case's own seed.
"""

from dataclasses import dataclass

import layer_oracle
import numpy as np

import fastsnn.layers


def D(units, **more):
    return "Dense", dict(units=units, **more)


def WN(units):
    return D(units, weight_norm=True)


def S(mean=0.0, variance=1.0):
    return "SELU", dict(fixed_point=(mean, variance))


def A(rate):
    return "AlphaDropout", dict(rate=rate)


def P(rate):
    return "Dropout", dict(rate=rate)


def BN(**more):
    return "BatchNorm", more


def LN(**more):
    return "LayerNorm", more


def HW(**more):
    return "Highway", more


def RES(*layers):
    return "Residual", dict(layers=layers)


R, T = ("ReLU", {}), ("Tanh", {})
G, GT, M = ("GELU", {}), ("GELU", {"approximate": "tanh"}), ("Mish", {})
ACTIVATIONS = {"relu": R, "selu": S(), "tanh": T, "gelu": G, "gelu_tanh": GT, "mish": M}
SMALL = (("learning_rate", 0.01),)


@dataclass(frozen=True)
class Case:
    name: str
    hidden: tuple
    batch: int = 33
    inputs: int = 9
    outputs: int = 4
    loss: str = "softmax_cross_entropy"
    options: frozenset = frozenset()  # class, sample, missing, shifted
    optimizer: str = "SGD"
    arguments: tuple = SMALL
    method: tuple = ()  # arguments of fastsnn.methods.network that give this network
    steps: int = 4
    seed: int = 1
    mask_seed: int = (7 << 32) + 11

    @property
    def specs(self):
        return (*self.hidden, D(self.outputs))

    def layers(self):
        return [_described(spec) for spec in self.specs]

    def oracle_layers(self):
        """Return layers of float32 numbers in float64. Scales of normalizations are not 1,
        biases not 0.
        """
        return _Drawn(self.seed, self.inputs).layers(self.specs)

    def rows(self, rng, n):
        x = rng.normal(size=(n, self.inputs))
        return (x + 300 if "shifted" in self.options else x).astype(np.float32)

    def labels(self, rng):
        """Return y and sample weights."""
        shape = self.batch, self.outputs
        weight = None
        if "sample" in self.options:
            weight = rng.uniform(0.2, 3, self.batch).astype(np.float32)
        if self.loss == "softmax_cross_entropy":
            return rng.integers(self.outputs, size=self.batch), weight
        if self.loss == "mse":
            return rng.normal(size=shape).astype(np.float32), weight
        y = rng.integers(2, size=shape).astype(np.float32)
        if "missing" in self.options:
            y[rng.random(shape) < 0.4] = np.nan
        return y, weight

    def class_weight(self):
        if "class" not in self.options:
            return None
        return np.random.default_rng(self.seed).uniform(0.2, 3, self.outputs).astype(np.float32)


def _described(spec):
    name, arguments = spec
    if name == "Residual":
        return fastsnn.layers.Residual([_described(inner) for inner in arguments["layers"]])
    return getattr(fastsnn.layers, name)(**arguments)


class _Drawn:
    """The oracle's layers for a list, with tensors from a stream."""

    def __init__(self, seed, width):
        self.rng, self.width, self.before = np.random.default_rng(seed), width, "nothing"

    def layers(self, specs):
        return [self.layer(*spec) for spec in specs]

    def normal(self, *shape, scale=0.2, mean=0.0):
        return single(mean + scale * self.rng.normal(size=shape))

    def uniform(self, low, high):
        return single(self.rng.uniform(low, high, self.width))

    def weight(self, units):
        """Return weights with a variance between LeCun's and He's: outputs neither fade nor grow
        fast.
        """
        return self.normal(units, self.width, scale=np.sqrt(1.4 / self.width))

    def layer(self, kind, arguments):
        made = getattr(self, kind)(**arguments)
        self.before = (kind, arguments)
        return made

    def Dense(self, units, init=None, weight_norm=False):
        w, b = self.weight(units), self.normal(units)
        self.width, g = units, None
        if weight_norm:
            lengths = np.sqrt((w**2).sum(1))
            g = single((lengths * self.uniform(0.7, 1.4))[:, None])
        return layer_oracle.Dense(w, b, g)

    def SELU(self, fixed_point):
        return layer_oracle.Activation("selu", *layer_oracle.selu_constants(*fixed_point))

    def ReLU(self):
        return layer_oracle.Activation("relu")

    def Tanh(self):
        return layer_oracle.Activation("tanh")

    def GELU(self, approximate="none"):
        return layer_oracle.Activation("gelu" if approximate == "none" else "gelu_tanh")

    def Mish(self):
        return layer_oracle.Activation("mish")

    def AlphaDropout(self, rate):
        if self.before[0] != "SELU":
            return layer_oracle.Dropout("alpha", rate)
        mean, variance = self.before[1]["fixed_point"]
        alpha, lam = layer_oracle.selu_constants(mean, variance)
        return layer_oracle.Dropout("alpha", rate, mean, variance, -lam * alpha)

    def Dropout(self, rate):
        return layer_oracle.Dropout("plain", rate)

    def BatchNorm(self, **more):
        scale, bias = self.uniform(0.6, 1.4), self.normal(self.width)
        running = self.normal(self.width), self.uniform(0.5, 2)
        return layer_oracle.BatchNorm(scale, bias, *running, **more)

    def LayerNorm(self, **more):
        return layer_oracle.LayerNorm(self.uniform(0.6, 1.4), self.normal(self.width), **more)

    def Highway(self, init=None, gate_bias=-2.0):
        N = self.width
        w, b = self.weight(2 * N), self.normal(2 * N)
        b[N:] = self.normal(N, scale=0.5, mean=gate_bias)
        return layer_oracle.Highway(w, b)

    def Residual(self, layers):
        return layer_oracle.Residual(self.layers(layers))


def single(x):
    """Round to float32; return float64."""
    return x.astype(np.float32).astype(np.float64)


def _alone():
    """Return networks with each kind of layer before and after each activation."""
    for name, act in (("none", ()), *((name, (spec,)) for name, spec in ACTIVATIONS.items())):
        yield f"dense-{name}", (D(17), *act)
        yield f"weight_norm-{name}", (WN(17), *act, WN(11), *act)
        for norm, layer in (("batch_norm", BN()), ("layer_norm", LN())):
            yield f"{norm}-before-{name}", (D(17), layer, *act, D(15), layer, *act)
            yield f"{norm}-after-{name}", (D(17), *act, layer, D(15), *act, layer)
        yield f"residual-{name}", (D(17), RES(D(17)), *act)
        block = RES(D(9), BN(), R, D(17), BN())
        yield f"blocks-{name}", (D(17), *act, block, *act, block, *act)
    yield "batch_norm-options", (D(17), R, BN(eps=1e-2, momentum=0.5), D(9), BN(momentum=1.0))
    yield "layer_norm-options", (D(17), LN(eps=0.1), R, D(9), T, LN(eps=1.0))
    yield "highway", (D(16), R, HW())
    yield "highway-2", (D(17), HW(gate_bias=0.0), HW(gate_bias=1.0), HW(init="glorot_uniform"))
    yield "residual-of-norm", (D(17), RES(D(17), LN()), RES(D(17), BN()), S())
    yield "residual-wide", (D(5), RES(D(40), S(), D(33), T, D(5)), R)
    yield "residual-of-weight_norm", (D(17), R, RES(WN(20), R, WN(17)), R)
    yield "residual-before-norm", (D(17), R, RES(D(20), R, D(17)), BN(), R, RES(D(17)), LN())
    yield "residual-dropout", (D(17), RES(D(20), R, P(0.2), D(17)), R, P(0.1), RES(D(17)), P(0.1))
    yield "norm-inside", (D(17), R, RES(D(20), R, BN(), P(0.2), D(8), LN(), T, D(17)), T)
    everything = (
        WN(16), S(), A(0.1), HW(), P(0.2), RES(D(9), BN(), R, D(16), LN()), R,
        D(20), T, BN(), P(0.3), RES(WN(20)), S(), D(7), LN(), R,
    )  # fmt: skip
    yield "everything", everything


def _dropouts():
    for rate in (0.0, 0.05, 0.5):
        for name, drop in (("alpha", A(rate)), ("plain", P(rate))):
            yield f"{name}-{rate}-relu-batch_norm", (D(17), R, BN(), drop, D(9), R, BN(), drop)
            yield f"{name}-{rate}-layer_norm-selu", (D(17), LN(), S(), drop, D(9), LN(), S(), drop)
            yield f"{name}-{rate}-weight_norm", (WN(17), R, drop, WN(9), S(), drop)
            yield f"{name}-{rate}-highway", (D(16), R, drop, HW(), drop, HW(), drop)
            block = RES(D(8), BN(), R, D(16), BN())
            yield f"{name}-{rate}-residual", (D(16), R, drop, block, R, drop, block, S(), drop)


def _fixed_points():
    for point in ((0.0, 2.0), (-0.1, 2.0)):
        for rate in (0.0, 0.05, 0.5):
            name = f"{point[0]}-{point[1]}-{rate}"
            s, drop = S(*point), A(rate)
            yield f"selu-{name}", (D(17), s, drop, D(33), s, drop, D(9), S(), drop)
            yield f"selu-norms-{name}", (D(17), BN(), s, drop, D(9), LN(), s, drop, WN(9), s, drop)
            yield f"selu-residual-{name}", (D(17), s, drop, RES(D(17), s, drop, D(17)), s, drop)


def _shapes():
    sizes = (2, 1), (3, 7), (17, 16), (33, 100), (128, 33), (257, 16), (2, 257), (257, 1)
    for n, N in sizes:
        half = max(1, N // 2)
        for name, hidden in (
            ("batch_norm", (D(N), R, BN(), D(N), BN(), R)),
            ("layer_norm", (D(N), LN(), R, D(N), T, LN())),
            ("weight_norm", (WN(N), R, WN(N), S())),
            ("highway", (D(N), R, HW(), HW())),
            ("resnet", (D(N), R, RES(D(half), BN(), R, D(N), BN()), R)),
        ):
            yield f"{name}-{n}x{N}", hidden, n
    yield "wide-257x257", (D(257), T, BN(), WN(257), T, LN(), RES(D(100), T, D(257))), 257


def _methods():
    """Return the networks of the paper's comparison, layer by layer."""

    def sizes(shape):
        return (20, 20, 20) if shape == "rectangular" else (20, 12, 7)  # ratio (4 / 20)^(1 / 3)

    def repeated(hidden, shape):
        return tuple(layer for N in sizes(shape) for layer in hidden(N))

    he = dict(init="he_normal")
    for rate in (0.0, 0.1):
        alpha, plain = ((A(rate),), (P(rate),)) if rate else ((), ())
        for shape in ("rectangular", "conic"):
            for method, hidden in (
                ("snn", lambda N, d=alpha: (D(N), S(), *d)),
                ("msra", lambda N, d=plain: (D(N, **he), R, *d)),
                ("batchnorm", lambda N, d=plain: (D(N, **he), R, BN(), *d)),
                ("layernorm", lambda N, d=plain: (D(N, **he), LN(), R, *d)),
                ("weightnorm", lambda N, d=plain: (D(N, weight_norm=True, **he), R, *d)),
            ):
                yield method, shape, rate, repeated(hidden, shape)
        first = (D(20, **he), R, *plain)
        yield "highway", "rectangular", rate, (*first, *(HW(), *plain) * 2)
        block = RES(D(10, **he), BN(), R, D(20, **he), BN())
        yield "resnet", "rectangular", rate, (*first, *(block, R, *plain) * 3)


def _deep():
    for depth in (1, 4, 8, 16):
        # gradients, and their errors, grow from layer to layer with ReLU
        yield f"batch_norm-{depth}", (D(16), R if depth < 16 else T, BN()) * depth
        yield f"layer_norm-{depth}", (D(16), LN(), R) * depth
        yield f"weight_norm-{depth}", (WN(16), T) * depth
        yield f"highway-{depth}", (D(16), R, *(HW(),) * depth)
        block = RES(D(8), BN(), R, D(16), BN()), R
        yield f"residual-{depth}", (D(16), R, *block * depth)


MIXED = (
    WN(16), S(), A(0.1), HW(), RES(D(9), R, BN(), D(16)), R, P(0.1), D(20), T, BN(), D(7), LN(), R,
)  # fmt: skip


def _losses():
    for loss, outputs, *options in (
        ("softmax_cross_entropy", 5, "class", "sample"),
        ("sigmoid_cross_entropy", 1),
        ("sigmoid_cross_entropy", 12, "missing", "class", "sample"),
        ("mse", 1),
        ("mse", 17, "sample"),
    ):
        name = "-".join((loss, str(outputs), *options))
        yield Case(name, MIXED, outputs=outputs, loss=loss, options=frozenset(options))


def _optimizers():
    for optimizer, options in (
        ("SGD", dict(learning_rate=0.1)),
        ("SGD", dict(learning_rate=0.05, weight_decay=0.1)),
        ("SGD", dict(learning_rate=0.01, momentum=0.9)),
        ("SGD", dict(learning_rate=0.01, momentum=0.5, nesterov=True, weight_decay=0.1)),
        ("Adam", dict()),
        ("Adam", dict(learning_rate=0.01, weight_decay=0.1)),
        ("Adam", dict(learning_rate=0.01, beta1=0.7, beta2=0.9, eps=1e-3)),
        ("AdamW", dict(learning_rate=0.01, weight_decay=0.5)),
        ("RMSprop", dict(learning_rate=1e-3)),
        ("RMSprop", dict(learning_rate=0.01, alpha=0.7, eps=1e-3, weight_decay=0.1)),
        ("RMSprop", dict(learning_rate=1e-3, alpha=0.9, momentum=0.9)),
        ("NAdam", dict()),
        ("NAdam", dict(learning_rate=0.01, beta1=0.7, beta2=0.9, eps=1e-3, momentum_decay=0.5)),
        ("NAdam", dict(learning_rate=1e-3, weight_decay=0.1, momentum_decay=0.0)),
        ("Lion", dict(learning_rate=1e-3)),
        ("Lion", dict(learning_rate=1e-3, beta1=0.7, beta2=0.9, weight_decay=0.5)),
    ):
        name = "-".join([optimizer, *(f"{k}={v}" for k, v in options.items())])
        arguments = tuple(options.items())
        yield Case(name, MIXED, optimizer=optimizer, arguments=arguments, steps=10)


def _table():
    for group in (_alone, _dropouts, _fixed_points):
        for name, hidden in group():
            yield Case(name, hidden)
    for name, hidden, batch in _shapes():
        rate = 1e-3 if batch < 4 else 0.01  # two rows may be nearly equal
        yield Case(name, hidden, batch, arguments=(("learning_rate", rate),), steps=2)
    for method, shape, rate, hidden in _methods():
        name = "-".join((method, shape, str(rate)))
        yield Case(name, hidden, method=(method, shape, rate), steps=3)
    # a variance computed as a difference of means of squares would be wrong in the third digit here
    shifted, layers = frozenset({"shifted"}), (D(17), BN(), R, D(9), LN(), R)
    yield Case("far-from-0", layers, options=shifted, steps=2, arguments=(("learning_rate", 1e-6),))
    for name, hidden in _deep():
        yield Case(f"depth-{name}", hidden, arguments=(("learning_rate", 1e-3),), steps=2)
    yield from _losses()
    yield from _optimizers()


CASES = tuple(_table())
BY_NAME = {case.name: case for case in CASES}
assert len(BY_NAME) == len(CASES)
