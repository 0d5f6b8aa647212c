"""Batch normalization (over the batch, per unit) and layer normalization (over the units, per
sample) on panels: statistics, forward, backward, parameter update.

    M, N       samples of the batch, units; s: sample, n: unit
    S          samples of one panel (PANEL); p: panel
    x, h, dz   panels [p][unit][S] in acts at X_AT and H_AT; dz overwrites h in the backward pass
    normal     normalized input (x - mean) / deviation, panels at NORMAL_AT
    w, b       scale and shift (N,) in params at W_AT and B_AT; g = dz w
    statistics at STATISTICS_AT in acts: batch normalization: mean (N,), then variance (N,);
               layer normalization: 1 / deviation, (M,) panel after panel
    running    mean and variance (N,) in params at RUNNING_AT and VARIANCE_AT, batch normalization
    tile       (ROWS, S): gradient with respect to x, before the activation below
    scratch    (2, S): partial results of the thread

In training, a thread of batch normalization owns units [first, last) of all panels; a thread of
layer normalization owns whole panels. Sums over the batch use eight partial sums, sums over the
units run in order; both are independent of the width of a panel. Lanes beyond the last sample are
masked.
"""

import math

import numpy as np
from llvmlite import ir

from .. import jit
from ..emit import F32, I64, Value, at, fma, load, splat, sqrt, store, where
from ..program import (
    B_AT,
    BATCH_NORM,
    EPS,
    FAN_OUT,
    H_AT,
    H_STRIDE,
    MOMENTUM,
    NORMAL_AT,
    OP,
    RUNNING_AT,
    STATISTICS_AT,
    VARIANCE_AT,
    W_AT,
    X_AT,
    X_STRIDE,
)
from ..updates import STORE
from .activation import activation_backward
from .code import fold, loop, vector_code
from .optimizer import update_tile
from .shape import LANES, PANEL, ROWS, VECTORS
from .tile import EIGHT


def _broadcast(builder, array, place):
    return splat(builder, load(builder, at(builder, array, place), 1), LANES)


def _valid_lanes(builder, first, samples, lanes):
    """Return the mask of valid lanes: lane i holds sample first + i, valid if < samples."""
    left = splat(builder, builder.sub(samples, first), lanes)
    return left > Value(builder, ir.Constant(ir.VectorType(I64, lanes), list(range(lanes))))


def _sum_over_batch(builder, out, samples, stride, pointers, term):
    """out[0] = sum over all samples of term(a[s], ...), a: the arrays at `pointers`."""
    panels = builder.sdiv(builder.add(samples, I64(PANEL - 1)), I64(PANEL))

    def panel(p, total):
        shift, first = builder.mul(p, stride), builder.mul(p, I64(PANEL))
        for s in range(0, PANEL, EIGHT):
            places = [at(builder, at(builder, pointer, shift), s) for pointer in pointers]
            value = term(*(load(builder, place, EIGHT) for place in places))
            valid = _valid_lanes(builder, builder.add(first, I64(s)), samples, EIGHT)
            total = [(Value(builder, total[0]) + where(valid, value, 0)).ir]
        return total

    zero = ir.Constant(ir.VectorType(F32, EIGHT), [0.0] * EIGHT)
    (total,) = fold(builder, panels, [zero], panel)
    lanes = [builder.extract_element(total, ir.IntType(32)(i)) for i in range(EIGHT)]
    result = Value(builder, lanes[0])
    for lane in lanes[1:]:
        result = result + Value(builder, lane)
    store(builder, result, out)


@vector_code
def batch_sum(builder, out, out_at, a, a_at, stride, samples):
    """out = sum_s a[s]"""
    pointers = [at(builder, a, a_at)]
    _sum_over_batch(builder, at(builder, out, out_at), samples, stride, pointers, lambda x: x)


@vector_code
def batch_square_sum(builder, out, out_at, a, a_at, stride, samples, center):
    """out = sum_s (a[s] - center)^2"""
    middle = splat(builder, center, EIGHT)

    def square(x):
        return (x - middle) * (x - middle)

    pointers = [at(builder, a, a_at)]
    _sum_over_batch(builder, at(builder, out, out_at), samples, stride, pointers, square)


@vector_code
def batch_product_sum(builder, out, out_at, a, a_at, b, b_at, stride, samples):
    """out = sum_s a[s] b[s]"""
    pointers = [at(builder, a, a_at), at(builder, b, b_at)]
    _sum_over_batch(
        builder, at(builder, out, out_at), samples, stride, pointers, lambda x, y: x * y
    )  # fmt: skip


def _for_each_vector(builder, count, body):
    """Emit `body(i, offset, j)` for vector j of unit i, for `count` units of a panel."""

    def row(i):
        for j in range(VECTORS):
            body(i, builder.add(builder.mul(i, I64(PANEL)), I64(j * LANES)), j)

    loop(builder, count, row)


def _normalize_code(keep, of_units):
    """Return vector code for y = w (x - mean) / deviation + b over `count` units of a panel.

    keep: also store the normalized input. of_units: `mean` and `scale` hold mean and variance of
    each unit; otherwise mean and 1 / deviation of each sample.
    """

    @vector_code
    def normalize(
        builder, h, h_at, normal_at, x_at, mean, mean_at, scale, scale_at, w, w_at, b_at, count, eps
    ):  # fmt: skip
        means, scales = at(builder, mean, mean_at), at(builder, scale, scale_at)
        weights, biases = at(builder, w, w_at), at(builder, w, b_at)
        small = splat(builder, eps, LANES)

        def one(i, offset, j):
            x = load(builder, at(builder, h, builder.add(x_at, offset)), LANES)
            if of_units:
                m = _broadcast(builder, means, i)
                r = 1 / sqrt(_broadcast(builder, scales, i) + small)
            else:
                m = load(builder, at(builder, means, j * LANES), LANES)
                r = load(builder, at(builder, scales, j * LANES), LANES)
            normal = (x - m) * r
            if keep:
                store(builder, normal, at(builder, h, builder.add(normal_at, offset)))
            y = fma(normal, _broadcast(builder, weights, i), _broadcast(builder, biases, i))
            store(builder, y, at(builder, h, builder.add(h_at, offset)))

        _for_each_vector(builder, count, one)

    return normalize


_normalize_units, _normalize_and_keep_units = (_normalize_code(k, True) for k in (False, True))
_normalize_samples, _normalize_and_keep_samples = (_normalize_code(k, False) for k in (False, True))


def _sum_over_units(builder, count, n, terms):
    """Sum `terms(i, offset, j)`, a list of n Values, over `count` units i. Return a list of n sums
    for each vector j of samples.
    """
    zero = ir.Constant(ir.VectorType(F32, LANES), [0.0] * LANES)

    def unit(i, sums):
        new = []
        for j in range(VECTORS):
            offset = builder.add(builder.mul(i, I64(PANEL)), I64(j * LANES))
            old = sums[j * n : (j + 1) * n]
            new += [
                (Value(builder, s) + t).ir for s, t in zip(old, terms(i, offset, j), strict=True)
            ]
        return new

    sums = fold(builder, count, [zero] * (n * VECTORS), unit)
    return [[Value(builder, s) for s in sums[j * n : (j + 1) * n]] for j in range(VECTORS)]


@vector_code
def layer_moments(builder, mean, mean_at, scale, scale_at, x, x_at, count, eps):
    """Compute mean[s] and scale[s] = (variance[s] + eps)^-1/2 over `count` units of a panel."""
    units = splat(builder, builder.sitofp(count, F32), LANES)

    def value(offset):
        return load(builder, at(builder, x, builder.add(x_at, offset)), LANES)

    means = [s / units for (s,) in _sum_over_units(builder, count, 1, lambda i, o, j: [value(o)])]

    def square(i, offset, j):
        d = value(offset) - means[j]
        return [d * d]

    for j, (s,) in enumerate(_sum_over_units(builder, count, 1, square)):
        r = 1 / sqrt(s / units + splat(builder, eps, LANES))
        store(builder, means[j], at(builder, at(builder, mean, mean_at), j * LANES))
        store(builder, r, at(builder, at(builder, scale, scale_at), j * LANES))


@vector_code
def layer_gradient_sums(builder, out, out_at, h, dz_at, normal_at, w, w_at, count):
    """out[0, s] = sum_n g[n, s] / count;  out[1, s] = sum_n g normal / count;  g = dz w."""
    weights, target = at(builder, w, w_at), at(builder, out, out_at)
    units = splat(builder, builder.sitofp(count, F32), LANES)

    def terms(i, offset, j):
        dz = load(builder, at(builder, h, builder.add(dz_at, offset)), LANES)
        g = dz * _broadcast(builder, weights, i)
        return [g, g * load(builder, at(builder, h, builder.add(normal_at, offset)), LANES)]

    for j, (total, product) in enumerate(_sum_over_units(builder, count, 2, terms)):
        store(builder, total / units, at(builder, target, j * LANES))
        store(builder, product / units, at(builder, target, PANEL + j * LANES))


@vector_code
def layer_input_gradient(
    builder, tile, h, dz_at, normal_at, w, w_at, sums, sums_at, scale_at, count
):  # fmt: skip
    """tile[n, s] = scale[s] (g - sums[0, s] - normal sums[1, s]) for `count` units; g = dz w."""
    weights, means = at(builder, w, w_at), at(builder, sums, sums_at)
    scales = at(builder, h, scale_at)

    def one(i, offset, j):
        dz = load(builder, at(builder, h, builder.add(dz_at, offset)), LANES)
        normal = load(builder, at(builder, h, builder.add(normal_at, offset)), LANES)
        total, product, r = (
            load(builder, at(builder, place, shift + j * LANES), LANES)
            for place, shift in ((means, 0), (means, PANEL), (scales, 0))
        )
        g = dz * _broadcast(builder, weights, i)
        store(builder, (g - total - normal * product) * r, at(builder, tile, offset))

    _for_each_vector(builder, count, one)


@vector_code
def batch_input_gradient(
    builder, tile, h, dz_at, normal_at, w, w_at, variance_at, sums, sums_at, count, samples, total,
    eps,
):  # fmt: skip
    """tile[n, s] = w / deviation (dz - sum dz / total - normal sum(dz normal) / total)

    For `count` units of one panel; 0 for s >= samples. sums: (count, 2), sum dz and sum(dz normal)
    of each unit; total: samples of the batch.
    """
    weights, variances = at(builder, w, w_at), at(builder, h, variance_at)
    batch = splat(builder, builder.sitofp(total, F32), LANES)
    small = splat(builder, eps, LANES)

    def one(i, offset, j):
        dz = load(builder, at(builder, h, builder.add(dz_at, offset)), LANES)
        normal = load(builder, at(builder, h, builder.add(normal_at, offset)), LANES)
        pair = at(builder, at(builder, sums, sums_at), builder.mul(i, I64(2)))
        mean, product = (_broadcast(builder, pair, k) / batch for k in range(2))
        factor = _broadcast(builder, weights, i) / sqrt(_broadcast(builder, variances, i) + small)
        dx = (dz - mean - normal * product) * factor
        valid = _valid_lanes(builder, I64(j * LANES), samples, LANES)
        store(builder, where(valid, dx, 0), at(builder, tile, offset))

    _for_each_vector(builder, count, one)


@jit.helper
def batch_statistics(row, acts, first, last, samples):
    """Compute mean and variance of units [first, last) over the batch, at STATISTICS_AT."""
    for n in range(first, last):
        x_at, mean_at = row[X_AT] + n * PANEL, row[STATISTICS_AT] + n
        batch_sum(acts, mean_at, acts, x_at, row[X_STRIDE], samples)
        acts[mean_at] /= np.float32(samples)
        variance_at = mean_at + row[FAN_OUT]
        batch_square_sum(acts, variance_at, acts, x_at, row[X_STRIDE], samples, acts[mean_at])
        acts[variance_at] /= np.float32(samples)


@jit.helper
def normalization_forward(
    row, constants, params, acts, scratch, first_panel, last_panel, first, last, samples, training
):
    """Compute the pre-activations of units [first, last). Batch normalization in training needs all
    panels in one call, layer normalization all units. scratch: (2, S).
    """
    eps = constants[EPS]
    if row[OP] == BATCH_NORM and training:
        batch_statistics(row, acts, first, last, samples)
    for p in range(first_panel, last_panel):
        panel_at = first * PANEL
        h_at = row[H_AT] + p * row[H_STRIDE] + panel_at
        x_at = row[X_AT] + p * row[X_STRIDE] + panel_at
        normal_at = row[NORMAL_AT] + p * row[H_STRIDE] + panel_at
        w_at, b_at, count = row[W_AT] + first, row[B_AT] + first, last - first
        if row[OP] == BATCH_NORM:
            if training:
                mean_at = row[STATISTICS_AT] + first
                _normalize_and_keep_units(
                    acts, h_at, normal_at, x_at, acts, mean_at, acts, mean_at + row[FAN_OUT],
                    params, w_at, b_at, count, eps,
                )  # fmt: skip
            else:
                _normalize_units(
                    acts, h_at, normal_at, x_at, params, row[RUNNING_AT] + first, params,
                    row[VARIANCE_AT] + first, params, w_at, b_at, count, eps,
                )  # fmt: skip
        elif training:
            scale_at = row[STATISTICS_AT] + p * PANEL
            layer_moments(scratch, 0, acts, scale_at, acts, x_at, count, eps)
            _normalize_and_keep_samples(
                acts, h_at, normal_at, x_at, scratch, 0, acts, scale_at, params, w_at, b_at, count,
                eps,
            )  # fmt: skip
        else:
            layer_moments(scratch, 0, scratch, PANEL, acts, x_at, count, eps)
            _normalize_samples(
                acts, h_at, normal_at, x_at, scratch, 0, scratch, PANEL, params, w_at, b_at, count,
                eps,
            )  # fmt: skip


@jit.helper
def normalization_backward(
    row, below, constants, constants_below, params, acts, bits, tile, scratch, first_panel,
    last_panel, first, last, samples,
):  # fmt: skip
    """Replace the output of the node in `below` by its dz, for units [first, last). Batch
    normalization needs all panels in one call, layer normalization all units. scratch: (2, S).
    """
    if row[OP] == BATCH_NORM:
        for n in range(first, last, ROWS):
            count = min(ROWS, last - n)
            for i in range(count):
                dz_at, normal_at = row[H_AT] + (n + i) * PANEL, row[NORMAL_AT] + (n + i) * PANEL
                batch_sum(scratch, 2 * i, acts, dz_at, row[H_STRIDE], samples)
                batch_product_sum(
                    scratch, 2 * i + 1, acts, dz_at, acts, normal_at, row[H_STRIDE], samples
                )
            for p in range(first_panel, last_panel):
                shift = p * row[H_STRIDE] + n * PANEL
                batch_input_gradient(
                    tile, acts, row[H_AT] + shift, row[NORMAL_AT] + shift, params, row[W_AT] + n,
                    row[STATISTICS_AT] + row[FAN_OUT] + n, scratch, 0, count, samples - p * PANEL,
                    samples, constants[EPS],
                )  # fmt: skip
                h_at = row[X_AT] + p * row[X_STRIDE] + n * PANEL
                activation_backward(acts, h_at, count, tile, 0, below, constants_below, bits, 0)
        return
    for p in range(first_panel, last_panel):
        dz_at, normal_at = row[H_AT] + p * row[H_STRIDE], row[NORMAL_AT] + p * row[H_STRIDE]
        layer_gradient_sums(scratch, 0, acts, dz_at, normal_at, params, row[W_AT], last - first)
        for n in range(first, last, ROWS):
            count = min(ROWS, last - n)
            layer_input_gradient(
                tile, acts, dz_at + n * PANEL, normal_at + n * PANEL, params, row[W_AT] + n,
                scratch, 0, row[STATISTICS_AT] + p * PANEL, count,
            )  # fmt: skip
            h_at = row[X_AT] + p * row[X_STRIDE] + n * PANEL
            activation_backward(acts, h_at, count, tile, 0, below, constants_below, bits, 0)


@jit.helper
def normalization_update(
    row, constants, params, state, acts, tile, first, count, hyper, update, samples, overflow
):
    """Compute the gradients of w and b of `count` units, apply the update, and update the running
    statistics. overflow: see `optimizer.py`.
    """
    for i in range(count):
        shift = (first + i) * PANEL
        batch_product_sum(
            tile, i, acts, row[H_AT] + shift, acts, row[NORMAL_AT] + shift, row[H_STRIDE], samples
        )
        batch_sum(tile, PANEL + i, acts, row[H_AT] + shift, row[H_STRIDE], samples)
    update_tile(update, params, state, row[W_AT] + first, 0, tile, 1, count, hyper, overflow)
    update_tile(
        update, params, state, row[B_AT] + first, 0, tile[PANEL:], 1, count, hyper, overflow
    )
    if row[OP] != BATCH_NORM or update == STORE:
        return
    momentum = constants[MOMENTUM]
    for i in range(count):
        n = first + i
        mean, variance = acts[row[STATISTICS_AT] + n], acts[row[STATISTICS_AT] + row[FAN_OUT] + n]
        unbiased = variance * (np.float32(samples) / np.float32(samples - 1))
        mean_at, variance_at = row[RUNNING_AT] + n, row[VARIANCE_AT] + n
        mean = params[mean_at] + momentum * (mean - params[mean_at])
        variance = params[variance_at] + momentum * (unbiased - params[variance_at])
        if math.isfinite(mean) and math.isfinite(variance):
            params[mean_at], params[variance_at] = mean, variance
        else:
            overflow[0] = np.nan
