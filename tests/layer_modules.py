"""The networks of layer_cases.py as modules of PyTorch, in float64; torch is imported on use.

State dicts have fastsnn's names, except for weight_norm's parametrization and the batch counter
that BatchNorm1d keeps and does not use.
"""

import numpy as np
from layer_oracle import selu_constants

NO_TORCH = "PyTorch 2.13.0 is not installed (pip install torch==2.13.0)"
WEIGHT_NORM = {
    "parametrizations.weight.original0": "weight_g",
    "parametrizations.weight.original1": "weight_v",
}


def activations(torch):
    """Return their modules, by fastsnn's names in kernels/activations.py."""
    nn = torch.nn
    return {
        "selu": nn.SELU, "relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU,
        "gelu_tanh": lambda: nn.GELU("tanh"), "mish": nn.Mish,
    }  # fmt: skip


def classes(torch):
    class Highway(torch.nn.Module):
        def __init__(self, width):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(2 * width, width))
            self.bias = torch.nn.Parameter(torch.zeros(2 * width))

        def forward(self, x):
            z, gate = torch.nn.functional.linear(x, self.weight, self.bias).chunk(2, 1)
            t = torch.sigmoid(gate)
            return t * torch.relu(z) + (1 - t) * x

    class Residual(torch.nn.Sequential):
        def forward(self, x):
            return x + super().forward(x)

    class SELU(torch.nn.Module):
        def __init__(self, alpha, lam):
            super().__init__()
            self.alpha, self.lam = alpha, lam

        def forward(self, z):
            return self.lam * torch.nn.functional.elu(z, self.alpha)

    return Highway, Residual, SELU


def sequence(torch, specs, width, old_names=False):
    """Return (modules, output width)."""
    nn, made = torch.nn, []
    Highway, Residual, SELU = classes(torch)
    for name, arguments in specs:
        if name == "Dense":
            module = nn.Linear(width, arguments["units"])
            width = arguments["units"]
            if arguments.get("weight_norm"):
                style = nn.utils if old_names else nn.utils.parametrizations
                module = style.weight_norm(module)
        elif name == "SELU":
            point = arguments["fixed_point"]
            module = nn.SELU() if point == (0, 1) else SELU(*selu_constants(*point))
        elif name == "BatchNorm":
            module = nn.BatchNorm1d(width, **arguments)
        elif name == "LayerNorm":
            module = nn.LayerNorm(width, **arguments)
        elif name == "Highway":
            module = Highway(width)
        elif name == "Residual":
            module = Residual(*sequence(torch, arguments["layers"], width, old_names)[0])
        elif name in ("AlphaDropout", "Dropout"):
            module = getattr(nn, name)(arguments["rate"])
        else:
            module = getattr(nn, name)(**arguments)
        made.append(module)
    return made, width


def modules(torch, case, state, old_names=False):
    """Return a torch.nn.Sequential of the case with these tensors."""
    model = torch.nn.Sequential(*sequence(torch, case.specs, case.inputs, old_names)[0]).double()
    load(torch, model, state)
    return model


def ours(name):
    for theirs, here in WEIGHT_NORM.items():
        name = name.replace(theirs, here)
    return name


def load(torch, model, state):
    """Load all tensors of a state dict of fastsnn; require that none is left over."""
    wanted = {name for name in model.state_dict() if not name.endswith("num_batches_tracked")}
    assert {ours(name) for name in wanted} == state.keys()
    tensors = {name: torch.from_numpy(np.array(state[ours(name)])).double() for name in wanted}
    result = model.load_state_dict(tensors, strict=False)
    assert not result.unexpected_keys
    assert all(name.endswith("num_batches_tracked") for name in result.missing_keys)


def state_dict(model):
    """Return arrays under fastsnn's names."""
    return {
        ours(name): p.detach().numpy().copy()
        for name, p in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def gradients(model):
    return {ours(name): p.grad.numpy().copy() for name, p in model.named_parameters()}
