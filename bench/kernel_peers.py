"""The work of fastsnn's kernels in a peer: `python -m fastsnn.bench.kernel_peers`.

The request {"system", "widths", "batch", "rate", "elements", "seconds"} on stdin is answered by the
median seconds of each kernel that the peer has, as "NAME|SHAPE" of `kernels.py`. One thread,
float32.
"""

from __future__ import annotations

import io
import os
import statistics

import numpy as np

from ..kernels.scalar import ALPHA, LAMBDA, LAMBDA_ALPHA
from . import child, timing

KNOWN = ("torch", "torch-compile", "jax", "onnxruntime")


def _arrays(width, batch):
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.standard_normal(shape, dtype=np.float32)

    layers = [(normal(n, width) * width**-0.5, normal(n)) for n in (width, width, 10)]
    return layers, normal(batch, width), [normal(batch, len(b)) for _, b in layers]


def _torch(request, compiled):
    import torch
    from torch.nn import functional

    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    batch, rate = request["batch"], request["rate"]
    made = torch.compile if compiled else lambda function: function
    selu = functional.selu

    def forward(x, w, b):
        return selu(functional.linear(x, w, b))

    def dropping(x, w, b):
        return functional.alpha_dropout(forward(x, w, b), rate, training=True)

    def input_gradient(dz, w, h):
        return dz @ w * torch.where(h > 0, LAMBDA, h + LAMBDA_ALPHA)

    def gradients(dz, x):
        return dz.T @ x, dz.sum(0)

    calls = {}
    forward, dropping, input_gradient, gradients = map(
        made, (forward, dropping, input_gradient, gradients)
    )
    for width in request["widths"]:
        layers, x, dzs = _arrays(width, batch)
        layers = [tuple(map(torch.from_numpy, layer)) for layer in layers]
        x, dzs = torch.from_numpy(x), [torch.from_numpy(dz) for dz in dzs]
        w, b = layers[0]
        shape = f"{batch} x {width} x {width}"
        calls |= {
            f"dense + SELU forward|{shape}": lambda x=x, w=w, b=b: forward(x, w, b),
            f"dense + SELU + alpha-dropout forward|{shape}": lambda x=x, w=w, b=b: dropping(
                x, w, b
            ),
            f"dense + SELU input gradient|{shape}": lambda x=x, w=w, dz=dzs[0]: input_gradient(
                dz, w, x
            ),
            f"weight gradient alone|{shape}": lambda x=x, dzs=dzs: [gradients(dz, x) for dz in dzs],
        }
        for name, optimizer in (("SGD", torch.optim.SGD), ("Adam", torch.optim.Adam)):
            parameters = [torch.nn.Parameter(p.clone()) for layer in layers for p in layer]
            rule = optimizer(parameters, lr=1e-6, fused=True)

            def update(parameters=parameters, rule=rule, x=x, dzs=dzs):
                found = [g for dz in dzs for g in gradients(dz, x)]
                for parameter, gradient in zip(parameters, found, strict=True):
                    parameter.grad = gradient
                rule.step()

            calls[f"weight gradient + {name}|{shape}"] = update
        row = x[:1]

        def predict(row=row, layers=layers):
            h = row
            for w, b in layers[:-1]:
                h = selu(functional.linear(h, w, b))
            return functional.linear(h, *layers[-1])

        calls[f"prediction of one row|{width}, {width}, {width}, 10"] = made(predict)
    x = -torch.rand(request["elements"])
    exp, expm1 = made(lambda v: torch.exp(v)), made(lambda v: torch.expm1(v))
    calls |= {f"exp|{len(x)}": lambda: exp(x), f"exp - 1|{len(x)}": lambda: expm1(x)}
    return calls


def _jax(request):
    import jax
    import jax.numpy as jnp

    batch, rate = request["batch"], request["rate"]
    drop, q = -LAMBDA_ALPHA, 1 - rate
    a = (q + drop * drop * q * rate) ** -0.5

    def selu(z):
        return LAMBDA * jnp.where(z > 0, z, ALPHA * jnp.expm1(jnp.minimum(z, 0)))

    @jax.jit
    def forward(x, w, b):
        return selu(x @ w.T + b)

    @jax.jit
    def dropping(x, w, b, key):
        kept = jax.random.bernoulli(key, q, (batch, len(b)))
        return a * jnp.where(kept, selu(x @ w.T + b), drop) - a * rate * drop

    @jax.jit
    def input_gradient(dz, w, h):
        return dz @ w * jnp.where(h > 0, LAMBDA, h + LAMBDA_ALPHA)

    @jax.jit
    def gradients(dzs, x):
        return [(dz.T @ x, dz.sum(0)) for dz in dzs]

    @jax.jit
    def sgd(layers, dzs, x):
        return jax.tree.map(lambda p, g: p - 1e-6 * g, layers, [*gradients(dzs, x)])

    @jax.jit
    def predict(row, layers):
        for w, b in layers[:-1]:
            row = selu(row @ w.T + b)
        return row @ layers[-1][0].T + layers[-1][1]

    def done(call):
        return lambda: jax.block_until_ready(call())

    calls, key = {}, jax.random.key(0)
    for width in request["widths"]:
        layers, x, dzs = _arrays(width, batch)
        layers = [tuple(map(jnp.asarray, layer)) for layer in layers]
        x, dzs = jnp.asarray(x), [jnp.asarray(dz) for dz in dzs]
        (w, b), shape = layers[0], f"{batch} x {width} x {width}"
        calls |= {
            f"dense + SELU forward|{shape}": done(lambda x=x, w=w, b=b: forward(x, w, b)),
            f"dense + SELU + alpha-dropout forward|{shape}": done(
                lambda x=x, w=w, b=b: dropping(x, w, b, key)
            ),
            f"dense + SELU input gradient|{shape}": done(
                lambda x=x, w=w, dz=dzs[0]: input_gradient(dz, w, x)
            ),
            f"weight gradient alone|{shape}": done(lambda x=x, dzs=dzs: gradients(dzs, x)),
            f"weight gradient + SGD|{shape}": done(
                lambda x=x, dzs=dzs, layers=layers: sgd(layers, dzs, x)
            ),
            f"prediction of one row|{width}, {width}, {width}, 10": done(
                lambda row=x[:1], layers=layers: predict(row, layers)
            ),
        }
    x = jnp.asarray(-np.random.default_rng(0).random(request["elements"], np.float32))
    exp, expm1 = jax.jit(jnp.exp), jax.jit(jnp.expm1)
    n = request["elements"]
    calls |= {f"exp|{n}": done(lambda: exp(x)), f"exp - 1|{n}": done(lambda: expm1(x))}
    return calls


def _onnxruntime(request):
    import onnxruntime
    import torch

    def session(modules, x):
        content = io.BytesIO()
        net = torch.nn.Sequential(*modules).eval()
        torch.onnx.export(net, (torch.from_numpy(x),), content, dynamo=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        made = onnxruntime.InferenceSession(content.getvalue(), options)
        name = made.get_inputs()[0].name
        return lambda: made.run(None, {name: x})

    calls = {}
    for width in request["widths"]:
        _, x, _ = _arrays(width, request["batch"])
        hidden = [torch.nn.Linear(width, width), torch.nn.SELU()]
        shape = f"{request['batch']} x {width} x {width}"
        calls[f"dense + SELU forward|{shape}"] = session(hidden, x)
        whole = [*hidden, torch.nn.Linear(width, width), torch.nn.SELU()]
        whole.append(torch.nn.Linear(width, 10))
        calls[f"prediction of one row|{width}, {width}, {width}, 10"] = session(whole, x[:1])
    return calls


def main():
    request = child.request()
    if hasattr(os, "sched_setaffinity"):  # JAX has no option for its number of threads
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    system = request["system"]
    make = {"jax": _jax, "onnxruntime": _onnxruntime}.get(system)
    calls = make(request) if make else _torch(request, compiled=system == "torch-compile")
    seconds = request["seconds"]
    child.answer({k: statistics.median(timing.times(call, seconds)) for k, call in calls.items()})


if __name__ == "__main__":
    main()
