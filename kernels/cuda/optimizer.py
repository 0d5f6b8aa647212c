"""Updates of parameters, from gradients that a thread holds in registers.

    params   global, float32 [size]
    state    global, float32 [arrays of the optimizer][size]
    hypers   global, float32: HYPER scalars from hyper_at on, then the columns of `job.py`

A thread loads and stores the parameters that it updates as vectors of 1, 2 or 4.
"""

import functools
from typing import NamedTuple

from llvmlite import ir

from ..emit import F32, Value, at, load, store
from ..updates import HYPER, INFINITY, STORE, UPDATES, guarded
from .code import device_code
from .job import OVERFLOW
from .vector import load_vector, store_vector


class Hyper(NamedTuple):
    """Scalars of an update, and the address of its overflow flag."""

    scalars: list[Value]
    overflow: ir.Value


def hyper_of(builder, hypers, hyper_at):
    first = at(builder, hypers, hyper_at)
    scalars = [load(builder, at(builder, first, i), 1) for i in range(HYPER)]
    return Hyper(scalars, at(builder, first, OVERFLOW))


def apply(builder, code, params, state, size, offset, gradients, hyper, limit=INFINITY):
    """Update the parameters from `offset` on, a multiple of the number of gradients: 1, 2 or 4.
    limit: see `updates.guarded`.
    """
    width = len(gradients)
    offsets = [offset + Value(builder, size) * s for s in range(UPDATES[code].arrays)]
    old = load_vector(builder, params, offset.ir, width) if code != STORE else gradients
    old_state = [
        load_vector(builder, state, p.ir, width) if code != STORE else None for p in offsets
    ]
    new, new_state, overflow = [], [], None
    for j, gradient in enumerate(gradients):
        if code == STORE:
            new_state.append([gradient])
            continue
        states = [s[j] for s in old_state]
        p, s, element_overflow = guarded(code, old[j], gradient, states, hyper.scalars, limit)
        new.append(p)
        new_state.append(s)
        overflow = element_overflow if overflow is None else overflow | element_overflow
    if code != STORE:
        store_vector(builder, new, params, offset.ir)
        one = Value(builder, F32(1.0))
        builder.when(overflow.ir, lambda: store(builder, one, hyper.overflow))
    for i, p in enumerate(offsets):
        store_vector(builder, [s[i] for s in new_state], state, p.ir)


@functools.cache
def update_one(code, limit=INFINITY):
    """Return device code that updates one parameter."""

    @device_code
    def update(builder, params, state, size, offset, gradient, hypers, hyper_at):
        gradients = [Value(builder, gradient)]
        hyper = hyper_of(builder, hypers, hyper_at)
        apply(builder, code, params, state, size, Value(builder, offset), gradients, hyper, limit)

    return update
