"""Updates of parameters from gradients that a thread holds in registers."""

import functools

from fastsnn.kernels.codes import ADAM, HYPER, MOMENTUM, NESTEROV, SGD, STORE
from fastsnn.kernels.cuda.code import device_code
from fastsnn.kernels.cuda.vector import load_vector, store_vector
from fastsnn.kernels.emit import Value, at, load
from fastsnn.kernels.scalar import UPDATES

NAMES = {STORE: "store", SGD: "sgd", MOMENTUM: "momentum", NESTEROV: "nesterov", ADAM: "adam"}


def hyper_of(builder, hypers, hyper_at):
    """The scalars of an update."""
    first = at(builder, hypers, hyper_at)
    return [load(builder, at(builder, first, i), 1) for i in range(HYPER)]


def apply(builder, code, params, state, size, place, gradients, hyper):
    """Updates the parameters from `place` on, a multiple of their number: 1, 2 or 4.

    state: arrays of `size` floats, one after another.
    """
    function, arrays = UPDATES[code]
    width = len(gradients)
    places = [place + Value(builder, size) * s for s in range(arrays)]
    old = load_vector(builder, params, place.ir, width) if code != STORE else gradients
    old_state = [
        load_vector(builder, state, p.ir, width) if code != STORE else None for p in places
    ]
    new, new_state = [], []
    for j, gradient in enumerate(gradients):
        states = [s and s[j] for s in old_state]
        p, s = function(old[j], gradient, states, hyper)
        new.append(p)
        new_state.append(s)
    if code != STORE:
        store_vector(builder, new, params, place.ir)
    for i, p in enumerate(places):
        store_vector(builder, [s[i] for s in new_state], state, p.ir)


@functools.cache
def update_one(code):
    """Device code: the update of one parameter."""

    @device_code
    def update(builder, params, state, size, place, gradient, hypers, hyper_at):
        gradients = [Value(builder, gradient)]
        hyper = hyper_of(builder, hypers, hyper_at)
        apply(builder, code, params, state, size, Value(builder, place), gradients, hyper)

    return update
