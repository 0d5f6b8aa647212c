"""Error bounds of float32 against layer_oracle.py, from runs of the oracle with random errors.

The oracle runs again, and every operation gets a random error of the size of its rounding in
float32.

tolerance.py propagates errors by formula, which holds while every block multiplies them by about 1.
A normalization does not: it divides by sqrt(variance + eps), so an error of x grows by the ratio of
x to its deviation. That ratio is large if a unit hardly varies over the batch, or if the batch has
two rows. The backward pass subtracts a mean and a projection; with two rows only eps / variance of
the gradient remains. Weight normalization projects, too; a bias before a batch normalization has
gradient 0 with all its roundings, and Adam turns this noise into whole steps. No formula is close
to all of these. So only local errors are given by formula; the oracle itself propagates them
through layers, projections, losses and updates.

u = 2^-24. Local errors are standard deviations; `terms` and `size` are the arguments of the
oracle's `rounded`:

    sum of K terms      u sqrt(K / 6) (root of the sum of their squares, or |sum| if larger): see
                        tolerance.py; partial sums of size s sqrt(k), each rounded to u / sqrt(3).
                        With terms of one sign partial sums are k |sum| / K, together
                        u sqrt(K) |sum| / 3, which is less than u sqrt(K / 6) |sum|.
    mean, variance      the same, over n rows or N units, divided by them
    all others          2 u of the largest operand: roundings of a few operations, 2 ulp of
                        exponentials, 2 u absolute of slopes computed from outputs

RUNS such runs give a sample of the errors of each tensor. The largest error, times SAFETY as in
tolerance.py, is the bound for the whole tensor. There is no bound per element: RUNS samples of one
number say little. The same runs determine the margin around kinks.
"""

import functools
from dataclasses import dataclass, field

import layer_cases
import layer_oracle
import numpy as np
import oracle
from tolerance import SAFETY, UNIT_ROUNDOFF

RUNS = 4
FEW = 4  # under the root: 2 u


class Roundings:
    """Adds an error to a value; `terms`: length of its sum, `size`: magnitude of the largest
    part.
    """

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def __call__(self, value, terms=0, size=None):
        size = np.abs(value) if size is None else np.maximum(np.abs(value), size())
        errors = self.rng.standard_normal(np.shape(value))
        return value + UNIT_ROUNDOFF * np.sqrt(terms / 6 + FEW) * size * errors


class Training:
    """A network of the case in training: exact, or with roundings."""

    def __init__(self, case, rounded):
        self.case, self.rounded = case, rounded
        self.layers = case.oracle_layers()
        self.optimizer = getattr(oracle, case.optimizer)(**dict(case.arguments))
        self.step_count = 0

    def pass_of(self, x, y, weight):
        weights = self.case.class_weight(), weight
        return layer_oracle.train(
            self.layers, x, y, self.case.loss, self.case.mask_seed, self.step_count, weights,
            self.rounded,
        )  # fmt: skip

    def update(self, gradients, run):
        parameters = layer_oracle.parameters(self.layers)
        before = {name: p.copy() for name, p in parameters.items()}
        self.optimizer.update(list(parameters.values()), [gradients[name] for name in parameters])
        for name, p in parameters.items():
            moved = np.abs(p - before[name])
            p[...] = self.rounded(p, size=lambda p=p, moved=moved: np.abs(p) / 2 + moved)
        layer_oracle.move_statistics(run)
        self.step_count += 1

    def tensors(self):
        return {name: p.copy() for name, p in layer_oracle.tensors(self.layers).items()}

    def evaluate(self, x):
        return layer_oracle.evaluate(self.layers, x, self.rounded)


@dataclass
class Reference:
    """The oracle's results for a case; a pair is (expected, bound of the error)."""

    batches: list = field(default_factory=list)  # (x, y, sample weights) of each step
    start: dict = field(default_factory=dict)  # state dict
    outputs: tuple = ()
    trace: dict = field(default_factory=dict)  # outputs of layers in evaluation, by name
    training_trace: dict = field(default_factory=dict)  # the same in the first step
    gradients: dict = field(default_factory=dict)  # of the first step
    losses: list = field(default_factory=list)
    end: dict = field(default_factory=dict)  # state dict
    last_outputs: tuple = ()


def limit_of(expected, others):
    """Return SAFETY times the largest error of the runs."""
    return SAFETY * max(np.abs(other - expected).max() for other in others)


def pair(expected, others):
    return expected, limit_of(expected, others)


def pairs(expected, others):
    return {name: pair(v, [other[name] for other in others]) for name, v in expected.items()}


@functools.cache
def reference(name):
    """Return the training steps of the case of this name, exact and RUNS times with roundings."""
    case = layer_cases.BY_NAME[name]
    one, *others = everyone = [
        Training(case, layer_oracle.exact),
        *(Training(case, Roundings((case.seed, k))) for k in range(RUNS)),
    ]
    result = Reference(start=one.tensors())
    for step in range(case.steps):
        result.batches.append(x_y_weight := _batch(case, step, everyone))
        passes = [training.pass_of(*x_y_weight) for training in everyone]
        (value, gradients, out, run), *rest = passes
        if step == 0:
            _before(result, everyone, x_y_weight[0])
            result.gradients = pairs(gradients, [p[1] for p in rest])
            result.training_trace = pairs(dict(run.trace), [dict(p[3].trace) for p in rest])
        limit = limit_of(value, [p[0] for p in rest])
        # the roundings of the loss itself, see tolerance.loss
        own = (SAFETY + np.sqrt(len(out) / 6)) * UNIT_ROUNDOFF
        result.losses.append((value, limit + own * max(1.0, np.abs(out).max(), value)))
        for training, (_, gradients, _, run) in zip(everyone, passes, strict=True):
            training.update(gradients, run)
    x = result.batches[0][0]
    result.end = pairs(one.tensors(), [o.tensors() for o in others])
    result.last_outputs = pair(one.evaluate(x)[0], [o.evaluate(x)[0] for o in others])
    return result


def _before(result, everyone, x):
    """Evaluate the network before training."""
    (out, run), *rest = [training.evaluate(x) for training in everyone]
    result.outputs = pair(out, [o for o, _ in rest])
    result.trace = pairs(dict(run.trace), [dict(other.trace) for _, other in rest])


def _batch(case, step, everyone):
    """Return a batch; rows too close to a kink are drawn again.

    float32 may be on the other side of the kink, where the slope differs.
    """
    rng = np.random.default_rng((case.seed, step))
    y, weight = case.labels(rng)
    x = case.rows(rng, case.batch)
    margins = None
    for _ in range(200):
        one = everyone[0].pass_of(x, y, weight)[3]
        if margins is None:
            others = [training.pass_of(x, y, weight)[3] for training in everyone[1:]]
            margins = [
                2 * SAFETY * np.max([np.abs(o.kinks[k] - z).max(0) for o in others], axis=0)
                for k, z in enumerate(one.kinks)
            ]
        near = np.zeros(len(x), bool)
        for z, margin in zip(one.kinks, margins, strict=True):
            near |= (np.abs(z) < margin).any(1)
        if not near.any():
            return x, y, weight
        x[near] = case.rows(rng, near.sum())
    raise AssertionError(f"{case.name}: no rows away from the kinks; take another seed")
