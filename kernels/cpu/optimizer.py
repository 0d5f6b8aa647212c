"""Updates of a tile of parameters from its gradient, in vector code.

`overflow` (PANEL,) float32, one per thread, starts at 0. An update that would overflow float32 is
skipped and leaves a mark there.
"""

from llvmlite import ir

from .. import jit
from ..codes import ADAM, HYPER, MOMENTUM, NESTEROV, SGD, STORE
from ..emit import I32, I64, Value, at, lanes_of, load, of_lanes, splat, store
from ..scalar import INFINITY, LONGEST, UPDATES, guarded
from .code import fold, vector_code
from .shape import LANES, PANEL


def _tile_code(code, limit=INFINITY):
    update, n_state = UPDATES[code]

    @vector_code
    def tile_update(
        builder, params, state, state_stride, first, stride, gradient, rows, count, hyper, overflow
    ):  # fmt: skip
        whole = builder.sdiv(count, I64(LANES))
        done = builder.mul(whole, I64(LANES))
        rest = builder.sub(count, done)
        single = [load(builder, at(builder, hyper, i), 1) for i in range(HYPER)]
        scalars = {lanes: [splat(builder, s, lanes) for s in single] for lanes in (1, LANES)}

        def row(r, marks):
            here = builder.add(first, builder.mul(r, stride))
            there = builder.mul(r, I64(PANEL))

            def columns(lanes, start):
                def one(i, mark):
                    column = builder.add(start, builder.mul(i, I64(lanes)))
                    place = builder.add(here, column)
                    p = at(builder, params, place)
                    states = [
                        at(builder, state, builder.add(place, builder.mul(state_stride, I64(s))))
                        for s in range(n_state)
                    ]
                    g = load(builder, at(builder, gradient, builder.add(there, column)), lanes)
                    if code == STORE:
                        store(builder, g, states[0])
                        return mark
                    value = load(builder, p, lanes)
                    old = [load(builder, s, lanes) for s in states]
                    new, new_state, bad = guarded(update, value, g, old, scalars[lanes], limit)
                    for address, s in zip([p, *states], [new, *new_state], strict=True):
                        store(builder, s, address)
                    return [builder.or_(mark[0], builder.sext(bad.ir, mark[0].type))]

                return one

            (wide,) = fold(builder, whole, marks[:1], columns(LANES, I64(0)))
            (narrow,) = fold(builder, rest, marks[1:], columns(1, done))
            return [wide, narrow]

        none = [ir.Constant(of_lanes(I32, lanes), None) for lanes in (LANES, 1)]
        for mark in fold(builder, rows, none, row):  # in registers until the tile is done
            mark = Value(builder, mark)
            lanes = lanes_of(mark.type)
            store(builder, load(builder, overflow, lanes, I32) | mark, overflow, I32)

    return tile_update


def _update_of(limit=INFINITY):
    store_, sgd, momentum, nesterov, adam = (
        _tile_code(code, limit) for code in (STORE, SGD, MOMENTUM, NESTEROV, ADAM)
    )

    @jit.helper
    def update(kind, params, state, first, stride, gradient, rows, count, hyper, overflow):
        """Update params[first + r * stride + c] from gradient[r * PANEL + c] for r < rows,
        c < count.

        state: (number of state arrays, number of parameters)
        """
        step = state.shape[1]
        if kind == STORE:
            store_(params, state, step, first, stride, gradient, rows, count, hyper, overflow)
        elif kind == SGD:
            sgd(params, state, step, first, stride, gradient, rows, count, hyper, overflow)
        elif kind == MOMENTUM:
            momentum(params, state, step, first, stride, gradient, rows, count, hyper, overflow)
        elif kind == NESTEROV:
            nesterov(params, state, step, first, stride, gradient, rows, count, hyper, overflow)
        else:
            adam(params, state, step, first, stride, gradient, rows, count, hyper, overflow)

    return update


update_tile, update_direction_tile = _update_of(), _update_of(LONGEST)
