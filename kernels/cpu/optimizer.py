"""Updates of a tile of parameters from its gradient, in vector code."""

from fastsnn.kernels import jit
from fastsnn.kernels.codes import ADAM, HYPER, MOMENTUM, NESTEROV, SGD, STORE
from fastsnn.kernels.cpu.code import loop, vector_code
from fastsnn.kernels.cpu.shape import LANES, PANEL
from fastsnn.kernels.emit import I64, at, load, splat, store
from fastsnn.kernels.scalar import UPDATES


def _tile_code(update, n_state):
    @vector_code
    def tile_update(
        builder, params, state, state_stride, first, stride, gradient, rows, count, hyper
    ):  # fmt: skip
        whole = builder.sdiv(count, I64(LANES))
        done = builder.mul(whole, I64(LANES))
        single = [load(builder, at(builder, hyper, i), 1) for i in range(HYPER)]
        scalars = {lanes: [splat(builder, s, lanes) for s in single] for lanes in (1, LANES)}

        def row(r):
            here = builder.add(first, builder.mul(r, stride))
            there = builder.mul(r, I64(PANEL))

            def columns(lanes, start):
                def one(i):
                    column = builder.add(start, builder.mul(i, I64(lanes)))
                    place = builder.add(here, column)
                    p = at(builder, params, place)
                    states = [
                        at(builder, state, builder.add(place, builder.mul(state_stride, I64(s))))
                        for s in range(n_state)
                    ]
                    g = load(builder, at(builder, gradient, builder.add(there, column)), lanes)
                    value = load(builder, p, lanes)
                    old = [load(builder, s, lanes) for s in states]
                    new, new_state = update(value, g, old, scalars[lanes])
                    if new is not value:
                        store(builder, new, p)
                    for address, s in zip(states, new_state, strict=True):
                        store(builder, s, address)

                return one

            loop(builder, whole, columns(LANES, I64(0)))
            loop(builder, builder.sub(count, done), columns(1, done))

        loop(builder, rows, row)

    return tile_update


_store_tile, _sgd_tile, _momentum_tile, _nesterov_tile, _adam_tile = (
    _tile_code(*UPDATES[code]) for code in (STORE, SGD, MOMENTUM, NESTEROV, ADAM)
)


@jit.helper
def update_tile(kind, params, state, first, stride, gradient, rows, count, hyper):
    """Update params[first + r * stride + c] from gradient[r * PANEL + c] for r < rows, c < count.

    state: (number of state arrays, number of parameters)
    """
    step = state.shape[1]
    if kind == STORE:
        _store_tile(params, state, step, first, stride, gradient, rows, count, hyper)
    elif kind == SGD:
        _sgd_tile(params, state, step, first, stride, gradient, rows, count, hyper)
    elif kind == MOMENTUM:
        _momentum_tile(params, state, step, first, stride, gradient, rows, count, hyper)
    elif kind == NESTEROV:
        _nesterov_tile(params, state, step, first, stride, gradient, rows, count, hyper)
    else:
        _adam_tile(params, state, step, first, stride, gradient, rows, count, hyper)
