"""Weight normalization: w[n] = g[n] v[n] / |v[n]| (Salimans & Kingma 2016).

    K, N     fan-in, fan-out; w, v (N, K), g (N,) in params
    launch   grid N, BLOCK_SIZE threads
    block    one unit n; `shared` float32 [BLOCK_SIZE], for reductions
    thread   every BLOCK_SIZE-th input

Sums over the inputs run per thread, then as a tree over the threads: an order that depends on K
alone.
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
    add,
    block_sum,
    divide,
    greater,
    is_finite,
    multiply,
    square_root,
    subtract,
)
from .shape import BLOCK_SIZE
from .table import ints

ZERO, ONE = FLOAT(0), FLOAT(1)
LEAST, MOST = FLOAT(SHORTEST**2), FLOAT(LONGEST**2)


@helper
def _dot(shared, a, a_at, b, b_at, count):
    """Return sum_k a[k] b[k], in all threads of a block."""
    total = ZERO
    for k in range(cuda.threadIdx.x, count, BLOCK_SIZE):
        total = add(total, multiply(a[a_at + k], b[b_at + k]))
    return block_sum(shared, total)


@helper
def _derive(shared, params, w_at, v_at, g_at, count):
    """Compute the weights of a unit from length and direction."""
    square = _dot(shared, params, v_at, params, v_at, count)
    factor = divide(params[g_at], square_root(square))
    for k in range(cuda.threadIdx.x, count, BLOCK_SIZE):
        params[w_at + k] = multiply(params[v_at + k], factor)


@helper
def _is_valid(shared, params, v_at, g_at, count):
    """Return True if the weights of a unit are finite and its direction may be stored."""
    square = _dot(shared, params, v_at, params, v_at, count)
    factor = divide(params[g_at], square_root(square))
    return greater(square, LEAST) and greater(MOST, square) and is_finite(factor)


@kernel("derive_weights", BLOCK_SIZE, FLOATS, *[INT] * 4)
def _derive_weights(params, w_at, v_at, g_at, count):
    shared = cuda.shared.array(BLOCK_SIZE, FLOAT)
    n = cuda.blockIdx.x
    _derive(shared, params, w_at + n * count, v_at + n * count, g_at + n, count)


def derive_weights(launch, table, params):
    """Launch the computation of all weights with length and direction."""
    for row in table:
        if row[V_AT] >= 0:
            launch(_derive_weights, int(row[FAN_OUT]), params, *ints(row, W_AT, V_AT, G_AT, FAN_IN))


def _update_kernel(code):
    update, update_direction = update_one(code), update_one(code, LONGEST)
    storing = code == STORE

    name = f"direction_update_{UPDATES[code].name}"

    @kernel(name, BLOCK_SIZE, FLOATS, FLOATS, INTS, FLOATS, *[INT] * 5)
    def direction(params, state, slots, hypers, w_at, v_at, g_at, count, size):
        """dg = dw . v / |v|,   dv = g / |v| (dw - (dw . v / |v|^2) v)

        If the new length and direction give no valid weights, the old ones are restored.
        """
        if slots[STOPPED] == STOP:
            return
        shared = cuda.shared.array(BLOCK_SIZE, FLOAT)
        n = cuda.blockIdx.x
        w, v, g = w_at + n * count, v_at + n * count, g_at + n
        square = _dot(shared, params, v, params, v, count)
        product = _dot(shared, state, w, params, v, count)
        length = square_root(square)
        old_length = params[g]
        factor, projection = divide(old_length, length), divide(product, square)
        hyper = slots[BACKWARD] * HYPERS
        cuda.syncthreads()
        for k in range(cuda.threadIdx.x, count, BLOCK_SIZE):
            dv = subtract(state[w + k], multiply(params[v + k], projection))
            if not storing:  # saves the old direction in w, until the new weights are computed
                params[w + k] = params[v + k]
            update_direction(params, state, size, v + k, multiply(dv, factor), hypers, hyper)
        if cuda.threadIdx.x == 0:
            update(params, state, size, g, divide(product, length), hypers, hyper)
        cuda.syncthreads()
        if not storing:
            if not _is_valid(shared, params, v, g, count):
                for k in range(cuda.threadIdx.x, count, BLOCK_SIZE):
                    params[v + k] = params[w + k]
                cuda.syncthreads()
                if cuda.threadIdx.x == 0:
                    params[g] = old_length
                cuda.syncthreads()
                hypers[hyper + OVERFLOW] = ONE
            _derive(shared, params, w, v, g, count)

    return direction


KERNELS = [_update_kernel(code) for code in range(len(UPDATES))]


def update_direction(launch, row, params, state, slots, hypers, update, size):
    """Launch the gradients of length and direction, from those of the weights in the first array
    of the state; their update; the new weights.
    """
    launch(
        KERNELS[update], int(row[FAN_OUT]), params, state, slots, hypers,
        *ints(row, W_AT, V_AT, G_AT, FAN_IN), size,
    )  # fmt: skip
