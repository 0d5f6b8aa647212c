"""Gradients on a GPU, compared with the CPU's and with those of rounded products."""

from __future__ import annotations

import math

import numpy as np

from . import emulate, networks
from .expect import require

SOFTMAX = "softmax_cross_entropy"
LOSSES = SOFTMAX, "sigmoid_cross_entropy", "mse"

# Relative errors in the norm of a tensor. Float32: the order of some sums differs.
FLOAT32 = 1e-5
# Against float64 with the same roundings of operands: a float32 number close to the midpoint of two
# neighbours may round to the other one, and later layers amplify the difference. Arithmetic in
# float32 on the CPU reaches 3e-3 in the worst tensor of these networks, and 1e-1 with 32 layers.
ROUNDED, DEEPEST = 0.01, 4
# Against the CPU, for networks that are not emulated: the path to a gradient has 2 depth + 1
# products with errors of about u. Independent errors add as their squares; measured errors of
# smooth networks like these are 0.7 of that. The rest allows for normalizations with small
# divisors.
SAFETY = 4


def loose(mode: str, depth: int, kinked: tuple[int, ...], samples: int) -> float:
    """Return the largest relative error that is allowed.

    kinked: number of units of each node whose slope jumps at 0, as ReLU's does.

    If z of unit variance has an error with standard deviation d, its sign flips with probability
    E|error| / sqrt(2 pi) = d / pi. Its share of the gradient, half of which ReLU passes, then
    appears or vanishes as a whole, which adds 2 d / pi to the squared relative error per node. So
    errors are proportional to the root of u here, not to u. Few elements flip: the bound allows 3
    times the standard deviation of their number.
    """
    way = emulate.ROUNDOFF[mode] * (2 * depth + 1) ** 0.5
    share = way / math.pi
    scatter = 1 + 3 / (share * samples * sum(kinked)) ** 0.5 if kinked else 0
    return ((SAFETY * way) ** 2 + 2 * len(kinked) * share * scatter) ** 0.5


def relative(given, wanted, least=0.0) -> float:
    """Return the largest relative error of a tensor. Tensors with a root mean square below `least`
    are ignored.
    """
    worst = 0.0
    for name, g in wanted.items():
        norm = max(float(np.linalg.norm(g)), least * g.size**0.5)
        worst = max(worst, float(np.linalg.norm(given[name] - g)) / norm)
    return worst


def root_mean_square(arrays) -> float:
    return float(np.mean(np.concatenate([a.ravel() for a in arrays.values()]) ** 2) ** 0.5)


def both(make, mode, x, y, **more):
    """Return the gradients on the CPU and on the GPU, and the names of the GPU kernels."""
    weight = np.linspace(0.5, 1.5, len(x), dtype=np.float32) if more else None
    cpu = networks.trainer(make(), "cpu", **more).gradients(x, y, weight)
    gpu = networks.trainer(make(), "cuda", mode, **more)
    found = gpu.gradients(x, y, weight)
    return cpu, found, [name for _, run in gpu._engine.launches.values() for name in run.names]


def gradients(tiny, mode):
    """Float32 gradients are within FLOAT32 of the CPU's.

    In other modes, gradients of SNNs are within ROUNDED of the emulated ones, and closer to them
    than to exact ones.
    """
    figures = {"worst": 0.0, "tensors": 0, "with_equal_bits": 0}

    def judge(what, error, limit):
        require(error <= limit, f"{what}: relative error {error:.2g}, above {limit:.2g}")
        figures["worst"] = max(figures["worst"], error)

    for shape in networks.TINY if tiny else networks.SHAPES:
        depth, _, n, inputs, outputs = shape
        if mode != "float32" and depth > DEEPEST:
            continue
        x, y = networks.rows(n, inputs, outputs)
        cpu, gpu, names = both(lambda shape=shape: networks.plain(shape), mode, x, y)
        figures["tensors"] += len(cpu)
        figures["with_equal_bits"] += sum(np.array_equal(cpu[name], gpu[name]) for name in cpu)
        if mode == "float32":
            judge(f"{shape}", relative(gpu, cpu), FLOAT32)
            continue
        wide = any("dense_forward" in name for name in names)
        wanted = emulate.gradients(
            networks.plain(shape), networks.RATE, x, y, mode, networks.SEED, wide
        )
        error, exact = relative(gpu, wanted), relative(gpu, cpu)
        judge(f"{shape} from rounded products", error, ROUNDED)
        require(
            error < exact / 2,
            f"{shape}: {error:.2g} from rounded products, {exact:.2g} from exact ones",
        )
        figures["from_exact"] = max(figures.get("from_exact", 0.0), exact)
    if mode == "float32" or not tiny:
        others(tiny, mode, judge)
    return figures


def others(tiny, mode, judge):
    """Check a network with every kind of node, with each loss and with sample weights.

    Tiny networks are not used with rounded products: a normalization over three units may divide by
    almost 0.
    """
    x, _ = networks.rows(11 if tiny else 200, networks.INPUTS, networks.OUTPUTS)
    for loss in LOSSES:
        _, y = networks.rows(len(x), networks.INPUTS, networks.OUTPUTS, loss)
        cpu, gpu, _ = both(lambda: networks.everything(tiny), mode, x, y, loss=loss)
        cpu.pop(networks.NO_GRADIENT)
        if mode == "float32":
            judge(loss, relative(gpu, cpu), FLOAT32)
        else:  # gradients of directions are remainders of projections: errors before these
            limit = loose(mode, networks.DEPTH, networks.KINKED, len(x))
            judge(loss, relative(gpu, cpu, root_mean_square(cpu)), limit)
