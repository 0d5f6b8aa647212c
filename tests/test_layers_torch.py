"""Normalizations, weight normalization, highway layers and residual blocks against PyTorch
2.13.0.

State dicts are exchanged with the same modules of PyTorch. It runs in float64, so that the
difference is only fastsnn's rounding: the bounds are those of layer_tolerance.py, for the same
cases. Dropout in training uses PyTorch's own generator, so it is omitted here.
"""

from dataclasses import replace

import golden
import layer_cases
import layer_modules
import layer_tolerance
import numpy as np
import pytest
from layer_cases import BN, LN, RES, WN, Case, D, R, T

import fastsnn as fs

torch = pytest.importorskip("torch", reason=layer_modules.NO_TORCH)
pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:layer .*Dropout:UserWarning"),
]


def drops(specs):
    return any(a.get("rate", 0) or drops(a.get("layers", ())) for _, a in specs)


PLAIN = [c for c in layer_cases.CASES if not drops(c.specs) and not c.options and c.batch < 200]
MIXED = (WN(16), T, layer_cases.HW(), RES(D(9), R, BN(), D(16)), R, D(20), T, BN(), D(7), LN(), R)
OPTIMIZERS = (
    ("SGD", dict(learning_rate=0.05)),
    ("SGD", dict(learning_rate=0.01, momentum=0.9, nesterov=True, weight_decay=0.1)),
    ("Adam", dict(learning_rate=1e-3)),
    ("Adam", dict(learning_rate=0.01, weight_decay=0.1)),
    ("AdamW", dict(learning_rate=0.01, weight_decay=0.5)),
    ("RMSprop", dict(learning_rate=1e-3)),
    ("NAdam", dict(learning_rate=1e-3, weight_decay=0.1)),
    ("RMSprop", dict(learning_rate=1e-3, momentum=0.9, weight_decay=0.1)),
)
NETWORKS = {
    "mixed": MIXED,
    "batch_norm": (D(17), R, BN(momentum=0.3), D(15), T, BN(eps=1e-3)),
    "layer_norm": (D(17), LN(), R, D(15), T, LN(eps=1e-3)),
    "weight_norm": (WN(17), R, WN(15), T),
    "highway": (D(17), R, layer_cases.HW(), layer_cases.HW(gate_bias=0.0)),
    "blocks": (D(16), R, RES(D(8), T, BN(), D(16), T, LN(), D(16)), R),
}
RUNS = [
    Case(f"torch-{name}-{k}", hidden, optimizer=kind, arguments=tuple(options.items()), steps=10)
    for name, hidden in NETWORKS.items()
    for k, (kind, options) in enumerate(OPTIMIZERS)
]
RUNS += [
    Case("torch-sigmoid", MIXED, loss="sigmoid_cross_entropy", options=frozenset({"missing"})),
    Case("torch-mse", MIXED, loss="mse"),
    Case("torch-class", MIXED, options=frozenset({"class"})),
]
layer_cases.BY_NAME.update({case.name: case for case in RUNS})


def ids(case):
    return case.name


def pair(case, **more):
    """Return fastsnn's network with the case's tensors, and PyTorch's with the same."""
    expected = layer_tolerance.reference(case.name)
    net = fs.Network(case.layers(), case.inputs)
    net.load_state_dict(expected.start)
    return net, layer_modules.modules(torch, case, net.state_dict(), **more), expected


def trainer_of(case, net):
    optimizer = getattr(fs, case.optimizer)(**dict(case.arguments))
    return fs.Trainer(net, case.loss, optimizer, class_weight=case.class_weight())


def loss_of(case):
    weight = case.class_weight()
    return golden.torch_loss(
        torch, case.loss, None if weight is None else torch.from_numpy(weight).double()
    )


def tensors(x, y):
    t = torch.from_numpy(y)
    return torch.from_numpy(x).double(), t.double() if t.is_floating_point() else t


def assert_within(actual, expected, limit, what):
    assert actual.dtype == np.float32 and actual.shape == expected.shape, what
    error = np.abs(actual - expected).max()
    assert error <= limit, f"{what}: off by {error:.3g} where {limit:.3g} is allowed"


@pytest.mark.parametrize("case", layer_cases.CASES[::2], ids=ids)
def test_evaluation(case):
    """Dropout does nothing here; running statistics are not 0 and 1."""
    net, model, expected = pair(case)
    x = expected.batches[0][0]
    out = model.eval()(torch.from_numpy(x).double()).detach().numpy()
    assert_within(net.forward(x), out, expected.outputs[1], "outputs")


@pytest.mark.parametrize("case", PLAIN[::2], ids=ids)
def test_gradients(case):
    net, model, expected = pair(case)
    x, y, _ = expected.batches[0]
    x_torch, y_torch = tensors(x, y)
    loss_of(case)(model.train()(x_torch), y_torch).backward()
    actual = trainer_of(case, net).gradients(x, y)
    theirs = layer_modules.gradients(model)
    assert actual.keys() == theirs.keys()
    for name, g in theirs.items():
        assert_within(actual[name], g, expected.gradients[name][1], name)


@pytest.mark.parametrize("case", RUNS, ids=ids)
def test_ten_steps(case):
    """Losses agree, and in the end parameters, running statistics and evaluation do."""
    net, model, expected = pair(case)
    trainer, loss = trainer_of(case, net), loss_of(case)
    optimizer = golden.torch_optimizer(
        torch, model.parameters(), case.optimizer, dict(case.arguments)
    )
    for (x, y, _), (_, limit) in zip(expected.batches, expected.losses, strict=True):
        x_torch, y_torch = tensors(x, y)
        optimizer.zero_grad()
        value = loss(model.train()(x_torch), y_torch)
        value.backward()
        optimizer.step()
        assert abs(trainer.step(x, y) - value.item()) <= limit
    state, theirs = net.state_dict(), layer_modules.state_dict(model)
    assert state.keys() == theirs.keys()
    moved = 0
    for name, p in theirs.items():
        assert_within(state[name], p, expected.end[name][1], name)
        moved += np.abs(p - expected.start[name]).max() > 100 * expected.end[name][1]
    assert moved > len(theirs) / 2  # else the comparison would be of initial tensors
    x = expected.batches[0][0]
    out = model.eval()(torch.from_numpy(x).double()).detach().numpy()
    assert_within(net.forward(x), out, expected.last_outputs[1], "outputs after training")


@pytest.mark.parametrize("old_names", [False, True])
@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_state_dict_of_torch_is_taken(old_names):
    """PyTorch's initial tensors in float32 have the same bits after a round trip.

    The older weight_norm has fastsnn's names.
    """
    case = replace(RUNS[0], name="mixed")
    made, _ = layer_modules.sequence(torch, case.specs, case.inputs, old_names)
    model = torch.nn.Sequential(*made)
    state = layer_modules.state_dict(model)
    net = fs.Network(case.layers(), case.inputs)
    net.load_state_dict(state)
    ours = net.state_dict()
    assert ours.keys() == state.keys()
    for name, p in ours.items():
        assert p.dtype == state[name].dtype == np.float32 and np.array_equal(p, state[name]), name
    if old_names:
        assert {"0.weight_g", "0.weight_v"} <= model.state_dict().keys()
    theirs = layer_modules.modules(torch, case, ours, old_names)
    x = np.random.default_rng(3).normal(size=(33, case.inputs)).astype(np.float32)
    out = theirs.eval()(torch.from_numpy(x).double()).detach().numpy()
    limit = 4 * layer_tolerance.reference(RUNS[0].name).outputs[1]  # tensors of another size
    np.testing.assert_allclose(net.forward(x), out, rtol=0, atol=limit)
