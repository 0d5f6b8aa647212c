"""Activation and dropout of one element, as kernels apply them to what they hold in registers."""

from numba import cuda

from .. import scalar
from ..activations import ACTIVATIONS
from ..emit import Value, at, load, store, where
from . import device
from .code import FLOATS, INT, device_code, kernel
from .shape import LINE, blocks_of


def activate(name, z, selu):
    """The activation of a Value. selu: its two constants."""
    return ACTIVATIONS[name].function(z, *selu)


def drop(y, condition, value, a, b):
    return where(condition, value, y) * a + b


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
