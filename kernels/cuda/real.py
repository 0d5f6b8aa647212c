"""Float32 operations that kernels call, and reductions over the threads of a block.

    shared   float32, one element per thread

A reduction begins with a barrier, so `shared` may be reused. Every thread of the block must call
it, and every thread receives the result.
"""

import functools

from numba import cuda
from numba.cuda import types

from .. import scalar
from ..emit import F32, Value, absolute, sqrt, where
from .activation import as_values
from .code import device_value, helper
from .shape import BLOCK_SIZE, GROUP, LANES

FLOAT = types.float32


def _operation(function, kind="float32"):
    """Return device code for `function` of one or two Values."""
    if function.__code__.co_argcount == 1:

        @device_value(kind)
        def operation(builder, a):
            return function(*as_values(builder, a))
    else:

        @device_value(kind)
        def operation(builder, a, b):
            return function(*as_values(builder, a, b))

    return operation


def _library(name):
    """Return device code for a function of NVIDIA's libdevice."""

    @device_value("float32")
    def call(builder, a):
        return Value(builder, builder.library(name, a))

    return call


add = _operation(lambda a, b: a + b)
subtract = _operation(lambda a, b: a - b)
multiply = _operation(lambda a, b: a * b)
divide = _operation(lambda a, b: a / b)
square_root = _operation(lambda a: sqrt(a))
exp_nonpositive = _operation(lambda a: scalar.exp_nonpositive(a))
maximum = _operation(lambda a, b: where(a > b, a, where(a.is_nan(), a, b)))  # NaN if either is
log, log1p = _library("__nv_logf"), _library("__nv_log1pf")
is_finite = _operation(lambda a: absolute(a) < float("inf"), "boolean")
is_number = _operation(lambda a: a.is_number(), "boolean")
greater = _operation(lambda a, b: a > b, "boolean")


@device_value("float32")
def to_float(builder, n):
    """Convert an integer to float32."""
    return Value(builder, builder.sitofp(n, F32))


@helper
def block_sum(shared, value):
    """Return the sum over the BLOCK_SIZE threads of a block, by a tree of pairs."""
    thread = cuda.threadIdx.x
    cuda.syncthreads()
    shared[thread] = value
    cuda.syncthreads()
    stride = BLOCK_SIZE // 2
    while stride > 0:
        if thread < stride:
            shared[thread] = add(shared[thread], shared[thread + stride])
        cuda.syncthreads()
        stride = stride // 2
    return shared[0]


@functools.cache
def row_sums(lanes):
    """Return the helper for the sum over threads [lanes r, lanes (r + 1)) of each row r, in the
    order of the threads.
    """

    @helper
    def row_sum(shared, value):
        thread = cuda.threadIdx.x
        cuda.syncthreads()
        shared[thread] = value
        cuda.syncthreads()
        first = thread // lanes * lanes
        total = shared[first]
        for i in range(1, lanes):
            total = add(total, shared[first + i])
        return total

    return row_sum


row_sum = row_sums(LANES)


@helper
def unit_sum(shared, value):
    """Return the sum over the eight threads u, u + LANES, u + 2 LANES, ... of unit u, in this
    order.
    """
    thread = cuda.threadIdx.x
    cuda.syncthreads()
    shared[thread] = value
    cuda.syncthreads()
    first = thread % LANES
    total = shared[first]
    for i in range(1, GROUP):
        total = add(total, shared[first + i * LANES])
    return total
