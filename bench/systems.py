"""One step and one prediction, in fastsnn and in each peer; peers are imported on use."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable

from .case import CLASSES, Case

SGD_RATE, ADAM_RATE = 1e-3, 1e-4
# Names on PyPI.
PACKAGES = {
    "torch": "torch==2.13.0", "torch-compile": "torch==2.13.0", "jax": "jax",
    "onnxruntime": "onnxruntime onnx torch==2.13.0",
}  # fmt: skip
MODULES = {
    "torch": ("torch",), "torch-compile": ("torch",), "jax": ("jax",),
    "onnxruntime": ("torch", "onnxruntime", "onnx"),
}  # fmt: skip
OF_STEP = ("torch", "torch-compile", "jax")
OF_PREDICTION = ("torch", "onnxruntime")


def step(system: str, case: Case, optimizer: str, threads: int) -> Callable[[], object]:
    """Return a call that runs one training step."""
    make = {
        "fastsnn": _step_fastsnn, "torch": _step_torch, "torch-compile": _step_torch_compile,
        "jax": _step_jax,
    }[system]  # fmt: skip
    return make(case, optimizer, threads)


def prediction(system: str, case: Case, threads: int) -> Callable[[], object]:
    """Return a call that predicts one batch."""
    make = {"fastsnn": _predict_fastsnn, "torch": _predict_torch, "onnxruntime": _predict_onnx}
    return make[system](case, threads)


def network(case: Case):
    import fastsnn as fs

    return fs.mlp(case.inputs, CLASSES, case.layers, case.width, case.rate)


def _step_fastsnn(case, optimizer, threads):
    import fastsnn as fs

    chosen = fs.SGD(SGD_RATE) if optimizer == "sgd" else fs.Adam(ADAM_RATE)
    trainer = fs.Trainer(network(case), optimizer=chosen, threads=threads)
    x, y = case.data()
    return lambda: trainer.step(x, y)


def _predict_fastsnn(case, threads):
    net = network(case)
    x, _ = case.data()
    return lambda: net.forward(x, threads=threads)


def torch_network(case: Case, threads: int):
    """Return a torch.nn.Sequential of the same modules, with LeCun-normal weights."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    modules = []
    for fan_in, units in zip(case.sizes, case.sizes[1:], strict=False):
        dense = torch.nn.Linear(fan_in, units)
        torch.nn.init.normal_(dense.weight, 0, fan_in**-0.5)
        torch.nn.init.zeros_(dense.bias)
        modules += [dense, torch.nn.SELU()]
        if case.rate:
            modules.append(torch.nn.AlphaDropout(case.rate))
    return torch.nn.Sequential(*modules[: -2 if case.rate else -1])  # raw outputs


def _step_torch(case, optimizer, threads, compiled=False):
    import torch

    net = torch_network(case, threads)
    x, y = (torch.from_numpy(a) for a in case.data())
    if optimizer == "sgd":
        update = torch.optim.SGD(net.parameters(), lr=SGD_RATE)
    else:
        update = torch.optim.Adam(net.parameters(), lr=ADAM_RATE, fused=True)
    run, loss = torch.compile(net) if compiled else net, torch.nn.CrossEntropyLoss()

    def call():
        update.zero_grad(set_to_none=True)
        loss(run(x), y).backward()
        update.step()

    return call


def _step_torch_compile(case, optimizer, threads):
    return _step_torch(case, optimizer, threads, compiled=True)


def _predict_torch(case, threads):
    import torch

    net = torch_network(case, threads).eval()
    x = torch.from_numpy(case.data()[0])

    def call():
        with torch.inference_mode():
            return net(x)

    return call


def _predict_onnx(case, threads):
    import onnxruntime
    import torch

    net = torch_network(case, threads).eval()
    x, _ = case.data()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "net.onnx")
        torch.onnx.export(net, (torch.from_numpy(x),), path, dynamo=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(path, options)
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: x})


def _step_jax(case, optimizer, threads):
    many = "true" if threads > 1 else "false"  # read when jax is imported
    os.environ["XLA_FLAGS"] = (
        f"--xla_cpu_multi_thread_eigen={many} intra_op_parallelism_threads={threads}"
    )
    import jax
    import jax.numpy as jnp

    from ..kernels.philox import alpha_dropout_affine
    from ..kernels.scalar import ALPHA_PRIME

    keys = jax.random.split(jax.random.key(0), len(case.weights))
    params = [
        (jax.random.normal(k, (a, b)) * a**-0.5, jnp.zeros(b))
        for k, a, b in zip(keys, case.sizes, case.sizes[1:], strict=False)
    ]
    affine_a, affine_b = alpha_dropout_affine(case.rate)

    def loss(params, x, y, key):
        h = x
        for i, (w, b) in enumerate(params[:-1]):
            h = jax.nn.selu(h @ w + b)
            if case.rate:
                kept = jax.random.bernoulli(jax.random.fold_in(key, i), 1 - case.rate, h.shape)
                h = affine_a * jnp.where(kept, h, ALPHA_PRIME) + affine_b
        outputs = h @ params[-1][0] + params[-1][1]
        return -jnp.mean(jax.nn.log_softmax(outputs)[jnp.arange(case.batch), y])

    def sgd(params, state, gradients):
        return jax.tree.map(lambda p, g: p - SGD_RATE * g, params, gradients), state

    def adam(params, state, gradients):
        m, v, t = state
        t = t + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, gradients)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, gradients)

        def new(p, m, v):
            return p - ADAM_RATE * (m / (1 - 0.9**t)) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8)

        return jax.tree.map(new, params, m, v), (m, v, t)

    zeros = jax.tree.map(jnp.zeros_like, params)
    state = () if optimizer == "sgd" else (zeros, jax.tree.map(jnp.copy, zeros), jnp.float32(0))
    update = sgd if optimizer == "sgd" else adam
    run = jax.jit(
        lambda p, s, x, y, k: update(p, s, jax.grad(loss)(p, x, y, k)), donate_argnums=(0, 1)
    )
    x, y = map(jnp.asarray, case.data())
    held, key = [params, state, 0], jax.random.key(1)

    def call():
        held[2] += 1
        held[0], held[1] = run(held[0], held[1], x, y, jax.random.fold_in(key, held[2]))
        jax.block_until_ready(held[0])

    return call
