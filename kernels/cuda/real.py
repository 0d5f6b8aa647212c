"""Operations on real numbers that kernels call one by one, and sums over the threads of a block."""

import functools

from numba import cuda
from numba.cuda import types

from .. import scalar
from ..emit import F32, Value, absolute, sqrt, where
from .activation import values
from .code import device_value, helper
from .shape import GROUP, LANES, LINE

FLOAT = types.float32


def _operation(function, kind="float32"):
    """`function` of Values as a call inside kernels."""
    if function.__code__.co_argcount == 1:

        @device_value(kind)
        def operation(builder, a):
            return function(*values(builder, a))
    else:

        @device_value(kind)
        def operation(builder, a, b):
            return function(*values(builder, a, b))

    return operation


def _library(name):
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
larger = _operation(lambda a, b: where(a > b, a, where(a.is_nan(), a, b)))  # NaN, if one is
log, log1p = _library("__nv_logf"), _library("__nv_log1pf")
is_finite = _operation(lambda a: absolute(a) < float("inf"), "boolean")
is_number = _operation(lambda a: a.is_number(), "boolean")
above = _operation(lambda a, b: a > b, "boolean")


@device_value("float32")
def real(builder, n):
    """An integer as a real number."""
    return Value(builder, builder.sitofp(n, F32))


@helper
def block_sum(shared, value):
    """The sum over all LINE threads of a block, in a fixed order. shared: LINE floats."""
    thread = cuda.threadIdx.x
    cuda.syncthreads()
    shared[thread] = value
    cuda.syncthreads()
    step = LINE // 2
    while step > 0:
        if thread < step:
            shared[thread] = add(shared[thread], shared[thread + step])
        cuda.syncthreads()
        step = step // 2
    return shared[0]


@functools.cache
def row_sums(lanes):
    """The same over the `lanes` threads of each row: threads [lanes r, lanes (r + 1))."""

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
    """The same over the eight threads of each of LANES units: u, u + LANES, u + 2 LANES, ..."""
    thread = cuda.threadIdx.x
    cuda.syncthreads()
    shared[thread] = value
    cuda.syncthreads()
    first = thread % LANES
    total = shared[first]
    for i in range(1, GROUP):
        total = add(total, shared[first + i * LANES])
    return total
