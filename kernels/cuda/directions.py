"""Weight normalization: w[n] = g[n] v[n] / |v[n]| (Salimans & Kingma 2016); a block a unit.

Sums over the inputs run over the threads of the block, then over these in pairs.
"""

from numba import cuda

from ..program import FAN_IN, FAN_OUT, G_AT, V_AT, W_AT
from ..scalar import LONGEST, SHORTEST
from ..updates import STORE, UPDATES
from .code import FLOATS, INT, INTS, helper, kernel
from .job import BACKWARD, HYPERS, OVERFLOW, STOP, STOPPED
from .optimizer import update_one
from .real import (
    FLOAT,
    above,
    add,
    block_sum,
    divide,
    is_finite,
    multiply,
    square_root,
    subtract,
)
from .shape import LINE
from .table import ints

ZERO, ONE = FLOAT(0), FLOAT(1)
LEAST, MOST = FLOAT(SHORTEST**2), FLOAT(LONGEST**2)


@helper
def _dot(shared, a, a_at, b, b_at, count):
    total = ZERO
    for k in range(cuda.threadIdx.x, count, LINE):
        total = add(total, multiply(a[a_at + k], b[b_at + k]))
    return block_sum(shared, total)


@helper
def _derive(shared, params, w_at, v_at, g_at, count):
    """The weights of a unit from their length and direction."""
    square = _dot(shared, params, v_at, params, v_at, count)
    factor = divide(params[g_at], square_root(square))
    for k in range(cuda.threadIdx.x, count, LINE):
        params[w_at + k] = multiply(params[v_at + k], factor)


@helper
def _is_good(shared, params, v_at, g_at, count):
    """True if weights can be derived for a unit, and its direction be stored."""
    square = _dot(shared, params, v_at, params, v_at, count)
    factor = divide(params[g_at], square_root(square))
    return above(square, LEAST) and above(MOST, square) and is_finite(factor)


@kernel("derive_weights", LINE, FLOATS, *[INT] * 4)
def _derive_weights(params, w_at, v_at, g_at, count):
    shared = cuda.shared.array(LINE, FLOAT)
    n = cuda.blockIdx.x
    _derive(shared, params, w_at + n * count, v_at + n * count, g_at + n, count)


def derive_weights(launch, table, params):
    """All weights that are products of a length and a direction."""
    for row in table:
        if row[V_AT] >= 0:
            launch(_derive_weights, int(row[FAN_OUT]), params, *ints(row, W_AT, V_AT, G_AT, FAN_IN))


def _update_kernel(code):
    update, update_direction = update_one(code), update_one(code, LONGEST)
    keeping = code == STORE

    name = f"direction_update_{UPDATES[code].name}"

    @kernel(name, LINE, FLOATS, FLOATS, INTS, FLOATS, *[INT] * 5)
    def direction(params, state, slots, hypers, w_at, v_at, g_at, count, size):
        """dg = dw . v / |v|,   dv = g / |v| (dw - (dw . v / |v|^2) v)

        Where no weights follow from the new ones, length and direction keep their values.
        """
        if slots[STOPPED] == STOP:
            return
        shared = cuda.shared.array(LINE, FLOAT)
        n = cuda.blockIdx.x
        w, v, g = w_at + n * count, v_at + n * count, g_at + n
        square = _dot(shared, params, v, params, v, count)
        product = _dot(shared, state, w, params, v, count)
        length = square_root(square)
        old = params[g]
        factor, share = divide(old, length), divide(product, square)
        hyper = slots[BACKWARD] * HYPERS
        cuda.syncthreads()
        for k in range(cuda.threadIdx.x, count, LINE):
            dv = subtract(state[w + k], multiply(params[v + k], share))
            if not keeping:  # the old direction waits where the new weights will be
                params[w + k] = params[v + k]
            update_direction(params, state, size, v + k, multiply(dv, factor), hypers, hyper)
        if cuda.threadIdx.x == 0:
            update(params, state, size, g, divide(product, length), hypers, hyper)
        cuda.syncthreads()
        if not keeping:
            if not _is_good(shared, params, v, g, count):
                for k in range(cuda.threadIdx.x, count, LINE):
                    params[v + k] = params[w + k]
                cuda.syncthreads()
                if cuda.threadIdx.x == 0:
                    params[g] = old
                cuda.syncthreads()
                hypers[hyper + OVERFLOW] = ONE
            _derive(shared, params, w, v, g, count)

    return direction


KERNELS = [_update_kernel(code) for code in range(len(UPDATES))]


def update_direction(launch, row, params, state, slots, hypers, update, size):
    """From the gradient of the weights, in the first array of the state, those of length and
    direction; their update; and the new weights.
    """
    launch(
        KERNELS[update], int(row[FAN_OUT]), params, state, slots, hypers,
        *ints(row, W_AT, V_AT, G_AT, FAN_IN), size,
    )  # fmt: skip
