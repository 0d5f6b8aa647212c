"""Activation and dropout of one element, applied by kernels to values in registers; and two kernels
for tests of the exponential, one thread per element.
"""

from numba import cuda

from .. import scalar
from ..activations import ACTIVATIONS
from ..emit import Value, at, load, store, where
from . import device
from .code import FLOATS, INT, device_code, kernel
from .shape import BLOCK_SIZE, ceil_div


def activate(name, z, selu):
    """Return the activation `name` of a Value. selu: (lambda, lambda alpha)."""
    return ACTIVATIONS[name].function(z, *selu)


def drop(y, condition, value, a, b):
    """Return the affine map of dropout of y, or of `value` if the unit is dropped."""
    return where(condition, value, y) * a + b


def _map_kernel(name, function):
    """Return the kernel of out[i] = function(x[i])."""

    @device_code
    def map_element(builder, out, x, offset):
        store(builder, function(load(builder, at(builder, x, offset), 1)), at(builder, out, offset))

    @kernel(name, BLOCK_SIZE, FLOATS, FLOATS, INT)
    def mapped(out, x, count):
        i = cuda.grid(1)
        if i < count:
            map_element(out, x, i)

    return mapped


_exponential = _map_kernel("exponential", scalar.exp_nonpositive)
_exponential_minus_one = _map_kernel("exponential_minus_one", scalar.expm1_nonpositive)


def _on_device(kernel, out, x):
    out_device = device.zeros(x.size)
    kernel(ceil_div(x.size, BLOCK_SIZE), out_device, device.to_device(x), x.size)
    device.read(out_device, out)


def exponential(out, x):
    _on_device(_exponential, out, x)


def exponential_minus_one(out, x):
    _on_device(_exponential_minus_one, out, x)


def as_values(builder, *operands):
    """Return LLVM values as Values."""
    return [Value(builder, operand) for operand in operands]
