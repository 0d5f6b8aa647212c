"""Activation and dropout on rows of a panel, and their gradient, in vector code."""

from llvmlite import ir

from .. import jit, scalar
from ..codes import RELU, SELU, TANH
from ..emit import I32, I64, Value, at, load, splat, store, where
from ..program import (
    ACTIVATION,
    AFFINE_A,
    AFFINE_B,
    DROP_VALUE,
    DROPPING,
    REMASK,
    SELU_LAMBDA,
    SELU_LAMBDA_ALPHA,
)
from .code import loop, vector_code
from .shape import LANES, PANEL, VECTORS


def _dropped(builder, bits, row, j):
    """Which lanes of vector j of this row are dropped: one bit a sample, sample 0 lowest."""
    word = splat(builder, load(builder, at(builder, bits, row, I32), 1, I32), LANES)
    lane = [1 << (j * LANES + i) for i in range(LANES)]
    return (word & Value(builder, ir.Constant(ir.VectorType(I32, LANES), lane))).differs(0)


def _rows(builder, rows, body):
    """`body(row, offset, j)` for every vector of `rows` rows."""

    def row(i):
        for j in range(VECTORS):
            body(i, builder.add(builder.mul(i, I64(PANEL)), I64(j * LANES)), j)

    loop(builder, rows, row)


def _forward_code(name):
    activation = scalar.ACTIVATIONS[name][0]

    @vector_code
    def plain(builder, h, h_at, rows, lambda_, lambda_alpha):
        selu = [splat(builder, v, LANES) for v in (lambda_, lambda_alpha)]

        def one(i, place, j):
            address = at(builder, h, builder.add(h_at, place))
            store(builder, activation(load(builder, address, LANES), *selu), address)

        _rows(builder, rows, one)

    @vector_code
    def dropping(
        builder, h, h_at, rows, lambda_, lambda_alpha, bits, bits_at, drop_value, affine_a, affine_b
    ):  # fmt: skip
        value, a, b = (splat(builder, v, LANES) for v in (drop_value, affine_a, affine_b))
        selu = [splat(builder, v, LANES) for v in (lambda_, lambda_alpha)]
        words = at(builder, bits, bits_at, I32)

        def one(i, place, j):
            address = at(builder, h, builder.add(h_at, place))
            y = activation(load(builder, address, LANES), *selu)
            store(builder, where(_dropped(builder, words, i, j), value, y) * a + b, address)

        _rows(builder, rows, one)

    return plain, dropping


def _backward_code(name):
    slope = scalar.ACTIVATIONS[name][1]

    @vector_code
    def plain(builder, h, h_at, rows, lambda_, lambda_alpha, tile, tile_at):
        selu = [splat(builder, v, LANES) for v in (lambda_, lambda_alpha)]

        def one(i, place, j):
            address = at(builder, h, builder.add(h_at, place))
            dh = load(builder, at(builder, tile, builder.add(tile_at, place)), LANES)
            store(builder, dh * slope(load(builder, address, LANES), *selu), address)

        _rows(builder, rows, one)

    def dropping_code(remask):
        @vector_code
        def dropping(
            builder, h, h_at, rows, lambda_, lambda_alpha, tile, tile_at, bits, bits_at, affine_a,
            affine_b,
        ):  # fmt: skip
            selu = [splat(builder, v, LANES) for v in (lambda_, lambda_alpha)]
            a, b = (splat(builder, v, LANES) for v in (affine_a, affine_b))
            inverse = 1 / a
            words = at(builder, bits, bits_at, I32)

            def one(i, place, j):
                address = at(builder, h, builder.add(h_at, place))
                y = (load(builder, address, LANES) - b) * inverse
                dz = (
                    load(builder, at(builder, tile, builder.add(tile_at, place)), LANES)
                    * a
                    * slope(y, *selu)
                )
                if remask:
                    dz = where(_dropped(builder, words, i, j), 0, dz)
                store(builder, dz, address)

            _rows(builder, rows, one)

        return dropping

    return plain, dropping_code(False), dropping_code(True)


_selu, _selu_dropping = _forward_code("selu")
_relu, _relu_dropping = _forward_code("relu")
_tanh, _tanh_dropping = _forward_code("tanh")
_, _none_dropping = _forward_code("none")
_selu_back, _selu_back_alpha, _selu_back_mask = _backward_code("selu")
_relu_back, _relu_back_dropping, _ = _backward_code("relu")
_tanh_back, _, _tanh_back_mask = _backward_code("tanh")
_none_back, _, _none_back_mask = _backward_code("none")


@jit.helper
def activate(h, h_at, rows, row, constants):
    """h = activation(h) for `rows` units of the node in `row`."""
    l, la = constants[SELU_LAMBDA], constants[SELU_LAMBDA_ALPHA]
    if row[ACTIVATION] == SELU:
        _selu(h, h_at, rows, l, la)
    elif row[ACTIVATION] == RELU:
        _relu(h, h_at, rows, l, la)
    elif row[ACTIVATION] == TANH:
        _tanh(h, h_at, rows, l, la)


@jit.helper
def activate_and_drop(h, h_at, rows, row, constants, bits, bits_at):
    l, la = constants[SELU_LAMBDA], constants[SELU_LAMBDA_ALPHA]
    value, a, b = constants[DROP_VALUE], constants[AFFINE_A], constants[AFFINE_B]
    if row[ACTIVATION] == SELU:
        _selu_dropping(h, h_at, rows, l, la, bits, bits_at, value, a, b)
    elif row[ACTIVATION] == RELU:
        _relu_dropping(h, h_at, rows, l, la, bits, bits_at, value, a, b)
    elif row[ACTIVATION] == TANH:
        _tanh_dropping(h, h_at, rows, l, la, bits, bits_at, value, a, b)
    else:
        _none_dropping(h, h_at, rows, l, la, bits, bits_at, value, a, b)


@jit.helper
def activation_backward(h, h_at, rows, tile, tile_at, row, constants, bits, bits_at):
    """h = tile * dh/dz, from the output that h holds: h becomes dz in place, through dropout where
    the node has one. Only with REMASK are the bits read: see `needs_mask`.
    """
    l, la = constants[SELU_LAMBDA], constants[SELU_LAMBDA_ALPHA]
    a, b = constants[AFFINE_A], constants[AFFINE_B]
    if not row[DROPPING]:
        if row[ACTIVATION] == SELU:
            _selu_back(h, h_at, rows, l, la, tile, tile_at)
        elif row[ACTIVATION] == RELU:
            _relu_back(h, h_at, rows, l, la, tile, tile_at)
        elif row[ACTIVATION] == TANH:
            _tanh_back(h, h_at, rows, l, la, tile, tile_at)
        else:
            _none_back(h, h_at, rows, l, la, tile, tile_at)
    elif row[ACTIVATION] == SELU:
        if row[REMASK]:
            _selu_back_mask(h, h_at, rows, l, la, tile, tile_at, bits, bits_at, a, b)
        else:
            _selu_back_alpha(h, h_at, rows, l, la, tile, tile_at, bits, bits_at, a, b)
    elif row[ACTIVATION] == RELU:
        _relu_back_dropping(h, h_at, rows, l, la, tile, tile_at, bits, bits_at, a, b)
    elif row[ACTIVATION] == TANH:
        _tanh_back_mask(h, h_at, rows, l, la, tile, tile_at, bits, bits_at, a, b)
    else:
        _none_back_mask(h, h_at, rows, l, la, tile, tile_at, bits, bits_at, a, b)


def _map_code(function, lanes):
    """out[i] = function(x[i]) for `count` groups of `lanes` elements from element `first` on; out
    may be x.
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


@jit.entry("void", jit.FLOATS, jit.FLOATS)
def exponential(out, x):
    n = x.size // LANES
    exp_vectors(out, x, 0, n)
    _exp_single(out, x, n * LANES, x.size - n * LANES)


@jit.entry("void", jit.FLOATS, jit.FLOATS)
def exponential_minus_one(out, x):
    n = x.size // LANES
    _expm1_vectors(out, x, 0, n)
    _expm1_single(out, x, n * LANES, x.size - n * LANES)
