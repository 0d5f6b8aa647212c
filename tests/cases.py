"""The networks, losses and optimizers for which the engine is compared with the oracle.

To add one: a line in `_table`. Ids are unique. All numbers are drawn from the case's own seed.
"""

from dataclasses import dataclass

import numpy as np
import oracle
import tolerance

import fastsnn as fs

NUMBERS = "mse", "huber", "quantile"  # losses whose targets are any numbers

# Keys: names in fastsnn.kernels.activations.
LAYERS = {
    "selu": fs.SELU(), "relu": fs.ReLU(), "tanh": fs.Tanh(), "gelu": fs.GELU(),
    "gelu_tanh": fs.GELU("tanh"), "mish": fs.Mish(),
}  # fmt: skip
# Factor on the variance of LeCun's weights, so that signals do not fade.
GAINS = {"relu": 2, "gelu": 2, "gelu_tanh": 2, "mish": 2}


@dataclass(frozen=True)
class Case:
    name: str
    batch: int
    sizes: tuple  # inputs, hidden ..., outputs
    hidden: tuple = (("selu", "none", 0.0),)  # (activation, dropout, rate), repeated over the depth
    loss: str = "softmax_cross_entropy"
    options: frozenset = frozenset()  # class, sample, zeros, missing, unlabelled, empty_task, one
    optimizer: str = "SGD"
    arguments: tuple = (("learning_rate", 0.01),)
    seed: int = 1

    @property
    def depth(self):
        return len(self.sizes) - 1

    @property
    def fan(self):
        return max(self.sizes)

    def of_hidden(self, k):
        """Return (activation, dropout, rate) of block k."""
        return self.hidden[k % len(self.hidden)] if k < self.depth - 1 else ("none", "none", 0.0)

    def blocks(self):
        """Return blocks of float32 numbers in float64. Biases are not 0: after a dead layer, 0
        is a kink.
        """
        rng = np.random.default_rng(self.seed)
        blocks = []
        for k, (K, N) in enumerate(zip(self.sizes[:-1], self.sizes[1:], strict=True)):
            activation, dropout, rate = self.of_hidden(k)
            gain = GAINS.get(activation, 1)
            w = rng.normal(size=(N, K)) * np.sqrt(gain / K)
            b = rng.normal(size=N) * 0.1
            blocks.append(oracle.Block(single(w), single(b), activation, dropout, rate))
        return blocks

    def batch_of(self, blocks, step, masks):
        """Return x, y and sample weights for a step; rows too close to a kink are drawn again."""
        rng = np.random.default_rng((self.seed, step))
        y = self.labels(rng)
        weight = None
        if "sample" in self.options:
            weight = rng.uniform(0.2, 3, self.batch).astype(np.float32)
            if "zeros" in self.options:
                weight[1::3] = 0
        x = rng.normal(size=(self.batch, self.sizes[0])).astype(np.float32)
        for _ in range(100):
            near = self.near_a_kink(blocks, x, y, masks)
            if not near.any():
                return x, y, weight
            x[near] = rng.normal(size=(near.sum(), self.sizes[0]))
        raise AssertionError(f"{self.name}: no rows away from the kinks; take another seed")

    def near_a_kink(self, blocks, x, y, masks):
        near = np.zeros(len(x), bool)
        for m in (masks, None):  # training and evaluation
            h, z, _ = oracle.forward(blocks, x, m)
            for k, block in enumerate(blocks):
                if block.activation in oracle.KINKED:
                    size = np.sqrt(h[k] ** 2 @ (block.w**2).T + block.b**2)  # without cancellation
                    margin = tolerance.kink_margin(self.depth, self.fan, size)
                    near |= (np.abs(z[k]) < margin).any(1)
            size = np.sqrt(h[-2] ** 2 @ (blocks[-1].w ** 2).T + blocks[-1].b ** 2)
            margin = tolerance.kink_margin(self.depth, self.fan, size)
            near |= (oracle.loss_kinks(self.loss, h[-1], y) < margin).any(1)
        return near

    def labels(self, rng):
        n, n_out = self.batch, self.sizes[-1]
        if self.loss.startswith("softmax_cross_entropy"):
            if "one" in self.options:
                return np.full(n, n_out - 1)
            return rng.integers(n_out - ("missing" in self.options), size=n)
        if self.loss.startswith(NUMBERS):
            return rng.normal(size=(n, n_out)).astype(np.float32)
        y = rng.integers(2, size=(n, n_out)).astype(np.float32)
        if "missing" in self.options:
            y[rng.random(y.shape) < 0.4] = np.nan
        if "empty_task" in self.options:
            y[:, 0] = np.nan
        if "unlabelled" in self.options:
            y[:] = np.nan
        return y

    def class_weight(self):
        if "class" not in self.options:
            return None
        rng = np.random.default_rng((self.seed, 999))
        return rng.uniform(0.2, 3, self.sizes[-1]).astype(np.float32)


def single(x):
    """Round to float32; return float64."""
    return x.astype(np.float32).astype(np.float64)


def layers(fs, case):
    """Return the network as a list of fastsnn's layers, and the index of each Dense in it."""
    dropout = {"alpha": fs.AlphaDropout, "plain": fs.Dropout}
    result, dense = [], []
    for k, units in enumerate(case.sizes[1:]):
        name, drop, rate = case.of_hidden(k)
        dense.append(len(result))
        result.append(fs.Dense(units))
        if name != "none":
            result.append(LAYERS[name])
        if drop != "none":
            result.append(dropout[drop](rate))
    return result, dense


def _shapes():
    for batch, sizes in (
        (1, (1, 2)),
        (16, (10, 3)),
        (1, (1, 1, 2)),
        (1, (3, 5, 7, 2)),
        (2, (1, 2, 3)),
        (3, (2, 3, 5, 3)),
        (5, (7, 15, 16, 17, 4)),
        (7, (16, 16, 10)),
        (8, (8, 6, 12, 2)),
        (15, (31, 33, 3)),
        (16, (16, 16, 16, 16)),
        (17, (17, 65, 31, 5)),
        (31, (100, 7, 100, 2)),
        (32, (64, 64, 64, 10)),
        (33, (5, 257, 3)),
        (47, (9, 1, 9, 2)),
        (65, (33, 100, 17, 1000)),
        (100, (257, 100, 10)),
        (128, (13, 128, 128, 7)),
        (257, (15, 33, 4)),
        (20, (1030, 20, 4)),
        (10, (4, 1025, 6, 2)),
    ):
        yield Case(f"shape-{batch}x{'-'.join(map(str, sizes))}", batch, sizes)


def _depths():
    for depth in (1, 2, 3, 8, 16, 40):
        sizes = (10, *([31, 17, 33] * 13)[: depth - 1], 3)
        arguments = (("learning_rate", 0.01 / depth),)  # the curvature grows with the depth
        yield Case(f"depth-{depth}", 33, sizes, arguments=arguments)
        if depth > 1:
            hidden = (("selu", "alpha", 0.05),)
            yield Case(f"depth-{depth}-alpha", 21, sizes, hidden, arguments=arguments)
    for activation in list(LAYERS)[1:]:
        sizes = (10, *[65] * 19, 3)
        yield Case(f"depth-20-{activation}", 33, sizes, ((activation, "none", 0.0),))


def _dropouts():
    for activation in ("none", *LAYERS):
        sizes = (9, 33, 17, 31, 3)
        yield Case(f"{activation}", 37, sizes, ((activation, "none", 0.0),))
        for dropout in ("alpha", "plain"):
            for rate in (0.0, 0.001, 0.05, 0.5, 0.9):
                name = f"{activation}-{dropout}-{rate}"
                yield Case(name, 37, sizes, ((activation, dropout, rate),))
    mixed = (("selu", "alpha", 0.1), ("tanh", "none", 0.0), ("relu", "plain", 0.5))
    yield Case("mixed", 37, (9, 33, 17, 31, 16, 15, 3), mixed)
    mixed = (("selu", "alpha", 0.0), ("none", "alpha", 0.2), ("selu", "plain", 0.3))
    yield Case("mixed-sites", 19, (9, 33, 17, 31, 16, 15, 3), mixed)


def _losses():
    for loss, n_out, *options in (
        ("softmax_cross_entropy", 2),
        ("softmax_cross_entropy", 5, "class"),
        ("softmax_cross_entropy", 5, "sample"),
        ("softmax_cross_entropy", 5, "class", "sample", "zeros"),
        ("softmax_cross_entropy", 4, "missing"),
        ("softmax_cross_entropy", 4, "one"),
        ("softmax_cross_entropy", 1000, "class"),
        ("softmax_cross_entropy:0.1", 5),
        ("softmax_cross_entropy:0.3", 5, "class", "sample", "zeros"),
        ("sigmoid_cross_entropy", 1),
        ("sigmoid_cross_entropy", 12),
        ("sigmoid_cross_entropy", 12, "missing"),
        ("sigmoid_cross_entropy", 12, "missing", "empty_task", "class"),
        ("sigmoid_cross_entropy", 17, "missing", "sample", "zeros"),
        ("sigmoid_cross_entropy", 3, "class", "sample"),
        ("sigmoid_cross_entropy", 3, "unlabelled"),
        ("mse", 1),
        ("mse", 17),
        ("mse", 3, "sample", "zeros"),
        ("huber", 1),
        ("huber:0.4", 17),
        ("huber:0.7", 3, "sample", "zeros"),
        ("quantile", 1),
        ("quantile:0.9", 17),
        ("quantile:0.2", 3, "sample", "zeros"),
    ):
        name = "-".join((loss, str(n_out), *options))
        hidden = (("selu", "alpha", 0.1),)
        yield Case(name, 37, (9, 33, 17, n_out), hidden, loss, frozenset(options))


def _optimizers():
    for optimizer, options in (
        ("SGD", dict(learning_rate=0.1)),
        ("SGD", dict(learning_rate=0.05, weight_decay=0.1)),
        ("SGD", dict(learning_rate=0.01, momentum=0.9)),
        ("SGD", dict(learning_rate=0.01, momentum=0.9, nesterov=True)),
        ("SGD", dict(learning_rate=0.01, momentum=0.5, nesterov=True, weight_decay=0.1)),
        ("Adam", dict()),
        ("Adam", dict(learning_rate=0.01, eps=1e-3)),
        ("Adam", dict(learning_rate=0.01, beta1=0.7, beta2=0.9)),
        ("Adam", dict(learning_rate=0.01, weight_decay=0.1)),
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
        hidden = (("selu", "alpha", 0.1),)
        arguments = tuple(options.items())
        yield Case(name, 50, (9, 33, 17, 3), hidden, optimizer=optimizer, arguments=arguments)


CASES = (*_shapes(), *_depths(), *_dropouts(), *_losses(), *_optimizers())
assert len({case.name for case in CASES}) == len(CASES)
