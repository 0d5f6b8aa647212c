"""Updates of a span of parameters from its gradient, in vector code."""

from fastsnn.kernels import jit, scalar
from fastsnn.kernels.cpu.code import loop, vector_code
from fastsnn.kernels.cpu.shape import LANES
from fastsnn.kernels.emit import I64, at, load, splat, store

STORE, SGD, MOMENTUM, NESTEROV, ADAM = range(5)  # STORE: the gradient itself goes to the state
HYPER = 8  # scalars of an update; see `sgd_hyper` and `adam_hyper` in fastsnn/optimizers.py


def _store(p, g, state, hyper):
    return p, [g]


def _sgd(p, g, state, hyper):
    return scalar.sgd_update(p, g, *hyper[:2]), []


def _momentum(p, g, state, hyper):
    p, m = scalar.momentum_update(p, g, state[0], *hyper[:3], nesterov=False)
    return p, [m]


def _nesterov(p, g, state, hyper):
    p, m = scalar.momentum_update(p, g, state[0], *hyper[:3], nesterov=True)
    return p, [m]


def _adam(p, g, state, hyper):
    p, m, v = scalar.adam_update(p, g, *state, *hyper[:7])
    return p, [m, v]


def _span_code(update, n_state):
    @vector_code
    def span(builder, params, state, state_stride, first, gradient, gradient_at, count, hyper):
        whole = builder.sdiv(count, I64(LANES))
        done = builder.mul(whole, I64(LANES))
        for lanes, rounds, start in (
            (LANES, whole, I64(0)),
            (1, builder.sub(count, done), done),
        ):
            scalars = [
                splat(builder, load(builder, at(builder, hyper, i), 1), lanes) for i in range(HYPER)
            ]

            def one(i, lanes=lanes, start=start, scalars=scalars):
                place = builder.add(start, builder.mul(i, I64(lanes)))
                here = builder.add(first, place)
                p = at(builder, params, here)
                states = [
                    at(builder, state, builder.add(here, builder.mul(state_stride, I64(s))))
                    for s in range(n_state)
                ]
                g = load(builder, at(builder, gradient, builder.add(gradient_at, place)), lanes)
                old = [load(builder, s, lanes) for s in states]
                value = load(builder, p, lanes)
                new, new_state = update(value, g, old, scalars)
                if new is not value:
                    store(builder, new, p)
                for address, s in zip(states, new_state, strict=True):
                    store(builder, s, address)

            loop(builder, rounds, one)

    return span


_store_span = _span_code(_store, 1)
_sgd_span = _span_code(_sgd, 0)
_momentum_span = _span_code(_momentum, 1)
_nesterov_span = _span_code(_nesterov, 1)
_adam_span = _span_code(_adam, 2)


@jit.helper
def update_span(kind, params, state, first, gradient, gradient_at, count, hyper):
    """Update params[first : first + count] from gradient[gradient_at ...]; state: (n, number of parameters)."""
    flat, stride = state.reshape(state.size), state.shape[1]
    if kind == STORE:
        _store_span(params, flat, stride, first, gradient, gradient_at, count, hyper)
    elif kind == SGD:
        _sgd_span(params, flat, stride, first, gradient, gradient_at, count, hyper)
    elif kind == MOMENTUM:
        _momentum_span(params, flat, stride, first, gradient, gradient_at, count, hyper)
    elif kind == NESTEROV:
        _nesterov_span(params, flat, stride, first, gradient, gradient_at, count, hyper)
    else:
        _adam_span(params, flat, stride, first, gradient, gradient_at, count, hyper)
