"""Updates of parameters from gradients that a thread holds in registers."""

import functools
from typing import NamedTuple

from llvmlite import ir

from ..emit import F32, Value, at, load, store
from ..updates import HYPER, INFINITY, STORE, UPDATES, guarded
from .code import device_code
from .job import OVERFLOW
from .vector import load_vector, store_vector


class Hyper(NamedTuple):
    """Scalars of an update, and the address of its overflow mark."""

    scalars: list[Value]
    overflow: ir.Value


def hyper_of(builder, hypers, hyper_at):
    first = at(builder, hypers, hyper_at)
    scalars = [load(builder, at(builder, first, i), 1) for i in range(HYPER)]
    return Hyper(scalars, at(builder, first, OVERFLOW))


def apply(builder, code, params, state, size, place, gradients, hyper, limit=INFINITY):
    """Updates the parameters from `place` on, a multiple of their number: 1, 2 or 4.

    state: arrays of `size` floats, one after another. limit: see `updates.guarded`.
    """
    width = len(gradients)
    places = [place + Value(builder, size) * s for s in range(UPDATES[code].arrays)]
    old = load_vector(builder, params, place.ir, width) if code != STORE else gradients
    old_state = [
        load_vector(builder, state, p.ir, width) if code != STORE else None for p in places
    ]
    new, new_state, overflow = [], [], None
    for j, gradient in enumerate(gradients):
        if code == STORE:
            new_state.append([gradient])
            continue
        states = [s[j] for s in old_state]
        p, s, bad = guarded(code, old[j], gradient, states, hyper.scalars, limit)
        new.append(p)
        new_state.append(s)
        overflow = bad if overflow is None else overflow | bad
    if code != STORE:
        store_vector(builder, new, params, place.ir)
        one = Value(builder, F32(1.0))
        builder.when(overflow.ir, lambda: store(builder, one, hyper.overflow))
    for i, p in enumerate(places):
        store_vector(builder, [s[i] for s in new_state], state, p.ir)


@functools.cache
def update_one(code, limit=INFINITY):
    """Device code: the update of one parameter."""

    @device_code
    def update(builder, params, state, size, place, gradient, hypers, hyper_at):
        gradients = [Value(builder, gradient)]
        hyper = hyper_of(builder, hypers, hyper_at)
        apply(builder, code, params, state, size, Value(builder, place), gradients, hyper, limit)

    return update
