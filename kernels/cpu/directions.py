"""Weight normalization: w[n] = g[n] v[n] / |v[n]| (Salimans & Kingma 2016), one unit at a time.

    K, N       inputs and outputs of the layer; n: unit
    g, v, w    in params: length (N,) at G_AT, direction (N, K) at V_AT, weight (N, K) at W_AT
    dw         (N, K) in state[0] at W_AT, written by region 2; updates never use that range
    tile       PANEL floats of scratch for gradients; scratch: PANEL floats for sums

A thread owns whole units. Sums over the inputs use eight partial sums, independent of LANES.
"""

import math

import numpy as np
from llvmlite import ir

from .. import jit
from ..emit import F32, I64, Value, at, load, splat, store, where
from ..program import FAN_IN, FAN_OUT, G_AT, V_AT, W_AT
from ..scalar import LONGEST, SHORTEST
from ..updates import STORE
from .code import fold, loop, vector_code
from .optimizer import update_direction_tile, update_tile
from .shape import LANES, PANEL
from .tile import EIGHT


@vector_code
def _product_sum(builder, out, out_at, a, a_at, b, b_at, count):
    """out = sum_k a[k] b[k]. Up to EIGHT - 1 floats after the last are read and ignored."""
    left, right = at(builder, a, a_at), at(builder, b, b_at)
    order = Value(builder, ir.Constant(ir.VectorType(I64, EIGHT), list(range(EIGHT))))

    def group(i, total):
        first = builder.mul(i, I64(EIGHT))
        product = load(builder, at(builder, left, first), EIGHT) * load(
            builder, at(builder, right, first), EIGHT
        )
        valid = splat(builder, builder.sub(count, first), EIGHT) > order
        return [(Value(builder, total[0]) + where(valid, product, 0)).ir]

    zero = ir.Constant(ir.VectorType(F32, EIGHT), [0.0] * EIGHT)
    groups = builder.sdiv(builder.add(count, I64(EIGHT - 1)), I64(EIGHT))
    (total,) = fold(builder, groups, [zero], group)
    lanes = [
        Value(builder, builder.extract_element(total, ir.IntType(32)(i))) for i in range(EIGHT)
    ]
    result = lanes[0]
    for lane in lanes[1:]:
        result = result + lane
    store(builder, result, at(builder, out, out_at))


def _combine_code(function):
    """Return vector code for out[k] = function(x[k], y[k], a, b) over `count` elements."""

    @vector_code
    def combine(builder, out, out_at, x, x_at, y, y_at, a, b, count):
        places = [
            at(builder, array, start) for array, start in ((out, out_at), (x, x_at), (y, y_at))
        ]
        whole = builder.sdiv(count, I64(LANES))
        done = builder.mul(whole, I64(LANES))

        def elements(lanes, start):
            numbers = [splat(builder, number, lanes) for number in (a, b)]

            def one(i):
                k = builder.add(start, builder.mul(i, I64(lanes)))
                target, *sources = (at(builder, place, k) for place in places)
                values = (load(builder, source, lanes) for source in sources)
                store(builder, function(*values, *numbers), target)

            return one

        loop(builder, whole, elements(LANES, I64(0)))
        loop(builder, builder.sub(count, done), elements(1, done))

    return combine


_scale = _combine_code(lambda x, y, a, b: x * a)
_orthogonal = _combine_code(lambda x, y, a, b: (x - y * b) * a)


@jit.helper
def derive_weight(row, params, scratch, n):
    """Compute the weights of unit n from their length and direction."""
    v_at, w_at = row[V_AT] + n * row[FAN_IN], row[W_AT] + n * row[FAN_IN]
    _product_sum(scratch, 0, params, v_at, params, v_at, row[FAN_IN])
    factor = params[row[G_AT] + n] / math.sqrt(scratch[0])
    _scale(params, w_at, params, v_at, params, v_at, factor, factor, row[FAN_IN])


@jit.helper
def _is_good(row, params, scratch, n):
    """Return True if the squared length of the direction of unit n is within bounds and its weights
    are finite.
    """
    v_at = row[V_AT] + n * row[FAN_IN]
    _product_sum(scratch, 0, params, v_at, params, v_at, row[FAN_IN])
    square = scratch[0]
    return SHORTEST * SHORTEST < square < LONGEST * LONGEST and math.isfinite(
        params[row[G_AT] + n] / math.sqrt(square)
    )


@jit.helper
def update_direction(row, params, state, tile, scratch, hyper, update, n, overflow):
    """Compute the gradients of length and direction of unit n from dw, apply the update, and derive
    the new weights.

    dg = dw . v / |v|,   dv = g / |v| (dw - (dw . v / |v|^2) v)

    If the new length and direction give no valid weights (`_is_good`), both keep their old values
    and `overflow` is marked.
    """
    fan_in = row[FAN_IN]
    v_at, w_at, g_at = row[V_AT] + n * fan_in, row[W_AT] + n * fan_in, row[G_AT] + n
    gradient = state[0]
    _product_sum(scratch, 0, params, v_at, params, v_at, fan_in)
    _product_sum(scratch, 1, gradient, w_at, params, v_at, fan_in)
    square, product = scratch[0], scratch[1]
    length = math.sqrt(square)
    old, one = params[g_at], np.float32(1)
    factor, projection = old / length, product / square
    if update != STORE:  # save the old direction in the weights, which are derived again below
        _scale(params, w_at, params, v_at, params, v_at, one, one, fan_in)
    for k in range(0, fan_in, PANEL):
        count = min(PANEL, fan_in - k)
        _orthogonal(tile, 0, gradient, w_at + k, params, v_at + k, factor, projection, count)
        update_direction_tile(update, params, state, v_at + k, 0, tile, 1, count, hyper, overflow)
    tile[0] = product / length
    update_tile(update, params, state, g_at, 0, tile, 1, 1, hyper, overflow)
    if update == STORE:
        return
    if not _is_good(row, params, scratch, n):
        _scale(params, v_at, params, w_at, params, w_at, one, one, fan_in)
        params[g_at] = old
        overflow[0] = np.nan
    derive_weight(row, params, scratch, n)


@jit.entry(jit.VOID, jit.TABLE, jit.FLOATS, jit.FLOATS)
def derive_weights(table, params, scratch):
    """Compute the weights of all layers with weight normalization."""
    for r in range(table.shape[0]):
        row = table[r]
        if row[V_AT] >= 0:
            for n in range(row[FAN_OUT]):
                derive_weight(row, params, scratch, n)
