"""Apply the optimizer's update to a tile of parameters, in vector code.

    params     all parameters, flat; the tile starts at `first`, its rows are `stride` floats apart
    state      (state arrays, parameters): the same offsets as in params
    gradient   (rows, PANEL): the gradient of the tile, `count` valid columns
    hyper      scalars of the update, see `kernels/updates.py`
    overflow   (PANEL,) float32 per thread, starts at 0. An update that would overflow float32 is
               skipped and sets bits there; a set element is a NaN

The calling thread owns the tile.
"""

from llvmlite import ir

from .. import jit
from ..emit import I32, I64, Value, at, lanes_of, load, of_lanes, splat, store
from ..scalar import LONGEST
from ..updates import INFINITY, STORE, UPDATES, guarded
from .code import fold, switch, vector_code
from .shape import LANES, PANEL


def _loops(
    builder, code, params, state, state_stride, first, stride, gradient, rows, count, hyper,
    overflow, limit,
):  # fmt: skip
    """Emit the loops of one update. limit: see `updates.guarded`."""
    update = UPDATES[code]
    whole = builder.sdiv(count, I64(LANES))
    done = builder.mul(whole, I64(LANES))
    rest = builder.sub(count, done)
    single = [load(builder, at(builder, hyper, i), 1) for i in range(update.scalars)]
    scalars = {lanes: [splat(builder, s, lanes) for s in single] for lanes in (1, LANES)}
    limits = {lanes: splat(builder, limit, lanes) for lanes in (1, LANES)}

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
                    for s in range(update.arrays)
                ]
                g = load(builder, at(builder, gradient, builder.add(there, column)), lanes)
                if code == STORE:
                    store(builder, g, states[0])
                    return mark
                value = load(builder, p, lanes)
                old = [load(builder, s, lanes) for s in states]
                new, new_state, bad = guarded(code, value, g, old, scalars[lanes], limits[lanes])
                for address, s in zip([p, *states], [new, *new_state], strict=True):
                    store(builder, s, address)
                return [builder.or_(mark[0], builder.sext(bad.ir, mark[0].type))]

            return one

        (wide,) = fold(builder, whole, marks[:1], columns(LANES, I64(0)), short=True)
        (narrow,) = fold(builder, rest, marks[1:], columns(1, done), short=True)
        return [wide, narrow]

    none = [ir.Constant(of_lanes(I32, lanes), None) for lanes in (LANES, 1)]
    for mark in fold(builder, rows, none, row, short=True):  # marks stay in registers per tile
        mark = Value(builder, mark)
        lanes = lanes_of(mark.type)
        store(builder, load(builder, overflow, lanes, I32) | mark, overflow, I32)


@vector_code(once="update_tile")
def _update(
    builder, kind, params, state, state_stride, first, stride, gradient, rows, count, hyper,
    overflow, limit,
):  # fmt: skip
    def case(code):
        return lambda: _loops(
            builder, code, params, state, state_stride, first, stride, gradient, rows, count, hyper,
            overflow, limit,
        )  # fmt: skip

    # The engine has rejected all other codes, see `updates.require`.
    switch(builder, kind, {code: case(code) for code in range(len(UPDATES))})


@jit.helper
def update_tile(kind, params, state, first, stride, gradient, rows, count, hyper, overflow):
    """Update params[first + r * stride + c] with gradient[r * PANEL + c], r < rows, c < count.

    kind: code of the update, its index in `updates.UPDATES`.
    """
    step = state.shape[1]
    _update(
        kind, params, state, step, first, stride, gradient, rows, count, hyper, overflow, INFINITY
    )


@jit.helper
def update_direction_tile(
    kind, params, state, first, stride, gradient, rows, count, hyper, overflow
):
    """`update_tile` for the directions of weight normalization. The limit is LONGEST, so that their
    squares stay finite.
    """
    step = state.shape[1]
    _update(
        kind, params, state, step, first, stride, gradient, rows, count, hyper, overflow, LONGEST
    )
