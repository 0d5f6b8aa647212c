"""Activation and dropout on consecutive units of one panel, forward and backward, in vector code.

    S         samples of one panel (PANEL = VECTORS * LANES); s: sample of the panel
    n         unit; `rows`: number of consecutive units that a call processes
    h         panels [panel][unit][S]; h_at: offset of the first of the `rows` units in one panel.
              Forward: pre-activation z in, output h out. Backward: output h in, dz out.
    tile      (rows, S): dh, the gradient with respect to h
    bits      dropout masks, one uint32 per unit, bit s set: sample s drops the unit
    row       the node's row of the program; constants: its float32 constants

The calling thread owns the units that it passes. Each activation has its own loop for each
combination with dropout; a switch on the ACTIVATION column of `row` selects it.
"""

from llvmlite import ir

from .. import jit, scalar
from ..activations import ACTIVATIONS, CODES, MASKED, backward_modes, gradient, keeps_input
from ..emit import I32, I64, Value, at, load, splat, store, where
from ..program import (
    ACTIVATION,
    AFFINE_A,
    AFFINE_B,
    DROP_VALUE,
    DROPPING,
    H_AT,
    REMASK,
    SELU_LAMBDA,
    SELU_LAMBDA_ALPHA,
    SLOPE_AT,
)
from .code import loop, switch, vector_code
from .shape import LANES, VECTORS


def _dropped(builder, bits, vector):
    """Return the mask of dropped lanes of one vector. `vector`: index in [0, rows * VECTORS)."""
    row, j = builder.udiv(vector, I64(VECTORS)), builder.urem(vector, I64(VECTORS))
    word = load(builder, at(builder, bits, row, I32), 1, I32)
    first = Value(builder, builder.trunc(builder.mul(j, I64(LANES)), I32))
    lanes = splat(builder, word.shift_right(first), LANES)
    one = Value(builder, ir.Constant(ir.VectorType(I32, LANES), [1 << i for i in range(LANES)]))
    return (lanes & one).differs(0)


def _for_each_vector(builder, rows, body):
    """Emit `body(vector, offset)` for every vector of `rows` units; offset in floats."""

    def vector(i):
        body(i, builder.mul(i, I64(LANES)))

    loop(builder, builder.mul(rows, I64(VECTORS)), vector, short=True)


def _column(builder, row, column):
    return load(builder, at(builder, row, column, I64), 1, I64)


def _constants(builder, constants, *columns):
    values = (load(builder, at(builder, constants, column), 1) for column in columns)
    return [splat(builder, value, LANES) for value in values]


def _slope_at(builder, h_at, row):
    """Return the offset of the values that the slope is computed from. The distance between
    SLOPE_AT and H_AT is the same in every panel.
    """
    shift = _column(builder, row, SLOPE_AT) - _column(builder, row, H_AT)
    return builder.add(h_at, shift.ir)


@vector_code(once="activation_forward")
def _forward(builder, h, h_at, rows, row, constants, bits, bits_at, dropping):
    selu = _constants(builder, constants, SELU_LAMBDA, SELU_LAMBDA_ALPHA)
    value, a, b = _constants(builder, constants, DROP_VALUE, AFFINE_A, AFFINE_B)
    words = at(builder, bits, bits_at, I32)
    slope_at = _slope_at(builder, h_at, row)

    def case(name, drops):
        def one(i, place):
            address = at(builder, h, builder.add(h_at, place))
            z = load(builder, address, LANES)
            if keeps_input(name):  # before y: without a buffer of its own, SLOPE_AT is H_AT
                store(builder, z, at(builder, h, builder.add(slope_at, place)))
            y = ACTIVATIONS[name].function(z, *selu)
            if drops:
                y = where(_dropped(builder, words, i), value, y) * a + b
            store(builder, y, address)

        return lambda: _for_each_vector(builder, rows, one)

    cases = {
        2 * code + drops: case(name, drops)
        for name, code in CODES.items()
        for drops in (0, 1)
        if name != "none" or drops
    }
    key = _column(builder, row, ACTIVATION) * 2 + Value(builder, dropping)
    switch(builder, key.ir, cases)


@vector_code(once="activation_backward")
def _backward(builder, h, h_at, rows, tile, tile_at, row, constants, bits, bits_at):
    selu = _constants(builder, constants, SELU_LAMBDA, SELU_LAMBDA_ALPHA)
    a, b = _constants(builder, constants, AFFINE_A, AFFINE_B)
    words = at(builder, bits, bits_at, I32)
    slope_at = _slope_at(builder, h_at, row)

    def case(name, mode):
        def one(i, place):
            kept = load(builder, at(builder, h, builder.add(slope_at, place)), LANES)
            dh = load(builder, at(builder, tile, builder.add(tile_at, place)), LANES)
            dropped = _dropped(builder, words, i) if mode == MASKED else None
            dz = gradient(name, mode, dh, kept, selu, a, b, dropped)
            store(builder, dz, at(builder, h, builder.add(h_at, place)))

        return lambda: _for_each_vector(builder, rows, one)

    cases = {
        3 * code + mode: case(name, mode)
        for name, code in CODES.items()
        for mode in backward_modes(name)
    }
    mode = _column(builder, row, DROPPING) * (_column(builder, row, REMASK) + 1)
    switch(builder, (_column(builder, row, ACTIVATION) * 3 + mode).ir, cases)


@jit.helper
def activate(h, h_at, rows, row, constants, bits, bits_at, dropping):
    """h = dropout(activation(h)) for `rows` units of the node in `row`. `bits` is read only if
    `dropping`.
    """
    _forward(h, h_at, rows, row, constants, bits, bits_at, dropping)


@jit.helper
def activation_backward(h, h_at, rows, tile, tile_at, row, constants, bits, bits_at):
    """dz = tile * dh/dz, through dropout if the node has it; dz overwrites the output h. The slope
    is computed from the values at SLOPE_AT. `bits` is read only with REMASK, see `needs_mask`.
    """
    _backward(h, h_at, rows, tile, tile_at, row, constants, bits, bits_at)


def _map_code(function, lanes):
    """Return vector code for out[i] = function(x[i]), for `count` groups of `lanes` elements
    starting at element `first`; out may be x.
    """

    @vector_code
    def mapped(builder, out, x, first, count):
        def one(i):
            place = builder.add(first, builder.mul(i, I64(lanes)))
            value = load(builder, at(builder, x, place), lanes)
            store(builder, function(value), at(builder, out, place))

        loop(builder, count, one)

    return mapped


exp_vectors = _map_code(scalar.exp_nonpositive, LANES)
_exp_single = _map_code(scalar.exp_nonpositive, 1)
_expm1_vectors = _map_code(scalar.expm1_nonpositive, LANES)
_expm1_single = _map_code(scalar.expm1_nonpositive, 1)


@jit.entry(jit.VOID, jit.FLOATS, jit.FLOATS)
def exponential(out, x):
    n = x.size // LANES
    exp_vectors(out, x, 0, n)
    _exp_single(out, x, n * LANES, x.size - n * LANES)


@jit.entry(jit.VOID, jit.FLOATS, jit.FLOATS)
def exponential_minus_one(out, x):
    n = x.size // LANES
    _expm1_vectors(out, x, 0, n)
    _expm1_single(out, x, n * LANES, x.size - n * LANES)
