"""One side of `fastsnn compare`, in a separate process: `python -m fastsnn.bench.compare_twin`.

The request on stdin is {"what": "parity" | "time", "system": "fastsnn" | "torch" | "torch-compile",
"folder", "case", "optimizer", "learning_rate", "steps", "threads", "seconds", "seed"}. Both sides
read starting weights and batches from FOLDER/inputs.npz. "parity" writes arrays to
FOLDER/SYSTEM.npz; "time" answers with the seconds of each step and the peak memory of the process
in MiB.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..kernels.cpu.dropout import drop_mask
from . import child, timing
from .case import CLASSES, Case

DRAWS = 16  # masks over which mean and variance after dropout are averaged
TIMED_RATE = 1e-6  # the same work, but thousands of steps on one batch change almost nothing
ALPHA_PRIME = 1.7580993408473766  # PyTorch's value, without the sign
Arrays = dict[str, np.ndarray]


def main():
    request = child.request()
    case, folder = Case.parse(request["case"]), Path(request["folder"])
    with np.load(folder / "inputs.npz", allow_pickle=False) as file:
        inputs = {name: file[name] for name in file.files}
    x, y = inputs.pop("x"), inputs.pop("y")
    system = request["system"]
    if request["what"] == "time":
        make = _timed_fastsnn if system == "fastsnn" else _timed_torch
        call = make(case, inputs, x[0], y[0], request)
        taken = timing.times(call, request["seconds"])
        return child.answer({"times": taken, "peak_memory_mib": child.peak_memory_mib()})
    if system == "fastsnn":
        found = fastsnn_parity(case, inputs, x, y, request)
    else:
        found = torch_parity(case, inputs, x, y, request)
    np.savez(folder / f"{system}.npz", **found)
    return child.answer({})


def moments(hidden: list[np.ndarray]) -> np.ndarray:
    """Return mean and variance over the rows and units of each layer, (2, layers)."""
    return np.array([[h.mean(dtype=np.float64), h.var(dtype=np.float64)] for h in hidden]).T


def _trainer(case, weights, request, learning_rate):
    import fastsnn as fs

    net = fs.mlp(case.inputs, CLASSES, case.layers, case.width, case.rate)
    net.load_state_dict(weights)
    rule = {"sgd": fs.SGD, "adam": fs.Adam}[request["optimizer"]](learning_rate)
    return fs.Trainer(net, optimizer=rule, threads=request["threads"], seed=request["seed"])


def fastsnn_parity(case: Case, weights: Arrays, x, y, request: dict[str, Any]) -> Arrays:
    """Return the arrays of a few steps of fastsnn, by name.

    "activation.{layer}" (batch, units), with layers counted from 1, and "gradient.{parameter}" are
    from the first step; "outputs" (batch, classes) are without dropout; "moments" (2, layers);
    "losses" (steps,).

    weights: names of a state_dict   x (batches, batch, inputs)   y (batches, batch)
    """
    trainer = _trainer(case, weights, request, request["learning_rate"])
    net, seed = trainer.network, request["seed"]
    drawn = [net.activations(x[0], training=True, seed=seed, step=step) for step in range(DRAWS)]
    found = {f"activation.{k}": h for k, h in enumerate(drawn[0], 1)}
    found["moments"] = np.mean([moments(hidden) for hidden in drawn], 0)
    found["outputs"] = net.forward(x[0], threads=request["threads"])
    gradients = trainer.gradients(x[0], y[0])
    found |= {f"gradient.{name}": g for name, g in gradients.items()}
    batches = [step % len(x) for step in range(request["steps"])]
    found["losses"] = np.array([trainer.step(x[i], y[i]) for i in batches])
    return found


def torch_parity(case: Case, weights: Arrays, x, y, request: dict[str, Any]) -> Arrays:
    """Return the arrays of `fastsnn_parity` from PyTorch with the same masks.

    Float64 arrays have the same names, float32 arrays the prefix "float32.". "moments" are from
    torch.nn.AlphaDropout with PyTorch's own generator. "side.{layer}" (batch, units) is the sign of
    the input of SELU, 0 where dropped.
    """
    import torch

    torch.set_num_threads(request["threads"])
    found = _torch_run(torch, case, weights, x, y, request, torch.float64)
    single = _torch_run(torch, case, weights, x, y, request, torch.float32)
    found |= {f"float32.{name}": array for name, array in single.items()}
    torch.manual_seed(request["seed"])
    own = _sequential(torch, case, weights, lambda site: torch.nn.AlphaDropout(case.rate))
    with torch.no_grad():
        inputs = torch.from_numpy(x[0])
        drawn = [moments([h.numpy() for h, _ in _blocks(own, inputs)]) for _ in range(DRAWS)]
    found["moments"] = np.mean(drawn, 0)
    return found


def _torch_run(torch, case, weights, x, y, request, dtype):
    dropouts = []

    def dropout(site):
        dropouts.append(masked_alpha_dropout(torch, case.rate, request["seed"], site))
        return dropouts[-1]

    model = _sequential(torch, case, weights, dropout).to(dtype)
    inputs, labels = torch.from_numpy(x).to(dtype), torch.from_numpy(y)
    loss_of, update = torch.nn.CrossEntropyLoss(), _optimizer(torch, model, request)
    with torch.no_grad():
        blocks = _blocks(model, inputs[0])
        outputs = model.eval()(inputs[0])
    found, losses = {"outputs": outputs.numpy()}, []
    for k, (h, z) in enumerate(blocks, 1):
        kept = h.numpy() != h.numpy().min() if case.rate else True  # others are larger
        found[f"activation.{k}"] = h.numpy()
        found[f"side.{k}"] = np.sign(z.numpy()).astype(np.int8) * kept
    model.train()
    for step in range(request["steps"]):
        for layer in dropouts:
            layer.step = step
        update.zero_grad()
        loss = loss_of(model(inputs[step % len(x)]), labels[step % len(x)])
        loss.backward()
        if step == 0:
            for name, p in model.named_parameters():
                found[f"gradient.{name}"] = p.grad.numpy().copy()
        update.step()
        losses.append(loss.item())
    return found | {"losses": np.array(losses)}


def affine(rate: float) -> tuple[float, float]:
    """Return (a, b) of alpha-dropout, which maps a kept y to a y + b, by PyTorch's formula."""
    p = min(round(rate * 65536), 65535) / 65536  # the rate of 16-bit numbers below a threshold
    a = ((ALPHA_PRIME**2 * p + 1) * (1 - p)) ** -0.5
    return a, ALPHA_PRIME * a * p


def masked_alpha_dropout(torch, rate: float, seed: int, site: int):
    """Return a torch.nn.AlphaDropout that uses fastsnn's masks of update number `step`."""
    a, b = affine(rate)

    class MaskedAlphaDropout(torch.nn.Module):
        step = 0

        def forward(self, y):
            if not self.training:
                return y
            kept = torch.from_numpy(~drop_mask(seed, self.step, site, 0, *y.shape, rate)).to(y)
            return y * (kept * a) + ((kept - 1) * (ALPHA_PRIME * a) + b)

    return MaskedAlphaDropout()


def _sequential(torch, case: Case, weights: Arrays, dropout: Callable[[int], Any]):
    """Return a torch.nn.Sequential of the modules of `fastsnn.mlp`, in training mode."""
    modules = [torch.nn.Linear(case.sizes[0], case.sizes[1]), torch.nn.SELU()]
    for site, (fan_in, units) in enumerate(zip(case.sizes[1:-1], case.sizes[2:], strict=True)):
        modules += [dropout(site)] if case.rate else []
        modules += [torch.nn.Linear(fan_in, units), torch.nn.SELU()]
    model = torch.nn.Sequential(*modules[:-1])  # raw outputs
    model.load_state_dict({name: torch.from_numpy(w) for name, w in weights.items()})
    return model.train()


def _blocks(model, h):
    """Return (output after dropout, input of SELU) of each hidden layer."""
    found, z = [], None
    for module in model:
        if type(module).__name__ == "Linear":
            if z is not None:
                found.append((h, z))
            h = z = module(h)
        else:
            h = module(h)
    return found


def _optimizer(torch, model, request, **more):
    if request["optimizer"] == "sgd":
        return torch.optim.SGD(model.parameters(), lr=request["learning_rate"])
    return torch.optim.Adam(model.parameters(), lr=request["learning_rate"], **more)


def _timed_fastsnn(case, weights, x, y, request):
    trainer = _trainer(case, weights, request, TIMED_RATE)
    return lambda: trainer.step(x, y)


def _timed_torch(case, weights, x, y, request):
    import torch

    torch.set_num_threads(request["threads"])
    model = _sequential(torch, case, weights, lambda site: torch.nn.AlphaDropout(case.rate))
    run = torch.compile(model) if request["system"] == "torch-compile" else model
    # fused: the fastest implementation of Adam in PyTorch
    update = _optimizer(torch, model, request | {"learning_rate": TIMED_RATE}, fused=True)
    loss_of, inputs, labels = torch.nn.CrossEntropyLoss(), torch.from_numpy(x), torch.from_numpy(y)

    def call():
        update.zero_grad(set_to_none=True)
        loss = loss_of(run(inputs), labels)
        loss.backward()
        update.step()
        return loss.item()  # fastsnn's step also returns the loss

    return call


if __name__ == "__main__":
    main()
