"""Activation and dropout of one element, and their gradient, as kernels apply them to what they
hold in registers.
"""

from numba import cuda

from .. import codes, scalar
from ..emit import Value, at, load, store, where
from . import device
from .code import FLOATS, INT, device_code, kernel
from .shape import LINE, blocks_of

NAMES = {code: name for name, code in codes.ACTIVATIONS.items()}
# How dropout enters a backward pass: not at all, through its affine map, or with its mask.
PLAIN, AFFINE, MASKED = range(3)


def modes(activation):
    """The ways back through dropout that this activation can need: see `codes.needs_mask`."""
    needed = {codes.needs_mask(activation, dropout) for dropout in ("alpha", "plain")}
    return (PLAIN, *sorted(MASKED if mask else AFFINE for mask in needed))


def activate(name, z, selu):
    """The activation of a Value. selu: its two constants."""
    return scalar.ACTIVATIONS[name][0](z, *selu)


def drop(y, condition, value, a, b):
    return where(condition, value, y) * a + b


def gradient(name, mode, dh, h, selu, a, b, condition=None):
    """dz from the gradient dh of the output h; a, b: the affine map of dropout."""
    slope = scalar.ACTIVATIONS[name][1]
    if mode == PLAIN:
        return dh * slope(h, *selu)
    y = (h - b) * (1 / a)
    dz = dh * a * slope(y, *selu)
    return where(condition, 0, dz) if mode == MASKED else dz


def _mapped(name, function):
    @device_code
    def one(builder, out, x, place):
        store(builder, function(load(builder, at(builder, x, place), 1)), at(builder, out, place))

    @kernel(name, LINE, FLOATS, FLOATS, INT)
    def mapped(out, x, count):
        i = cuda.grid(1)
        if i < count:
            one(out, x, i)

    return mapped


_exponential = _mapped("exponential", scalar.exp_nonpositive)
_exponential_minus_one = _mapped("exponential_minus_one", scalar.expm1_nonpositive)


def _on_device(kernel, out, x):
    made = device.zeros(x.size)
    kernel(blocks_of(x.size, LINE), made, device.to_device(x), x.size)
    device.read(made, out)


def exponential(out, x):
    _on_device(_exponential, out, x)


def exponential_minus_one(out, x):
    _on_device(_exponential_minus_one, out, x)


def values(builder, *operands):
    return [Value(builder, operand) for operand in operands]
