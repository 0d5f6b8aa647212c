"""fastsnn against PyTorch 2.13.0: the same networks, exchanging state dicts key by key.

PyTorch runs in float64, so that the difference is only fastsnn's rounding: bounds of tolerance.py.
Dropout is off in training (fastsnn has its own masks, tested in test_engine.py) and present in
evaluation mode, so that keys count its layers.
"""

import cases
import golden
import layer_modules
import numpy as np
import pytest
import tolerance

import fastsnn as fs

NO_TORCH = "PyTorch 2.13.0 is not installed (pip install torch==2.13.0)"
torch = pytest.importorskip("torch", reason=NO_TORCH)
# fastsnn warns of some pairs of activation and dropout; they are computed all the same.
pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:layer .*Dropout:UserWarning"),
]

STEPS = 10
HIDDEN = {
    **{name: ((name, "none", 0.0),) for name in cases.LAYERS},
    "mixed": (("selu", "none", 0.0), ("none", "none", 0.0), ("tanh", "none", 0.0)),
}
LOSSES = (
    ("softmax_cross_entropy", ()),
    ("softmax_cross_entropy", ("class",)),
    ("softmax_cross_entropy:0.1", ()),
    ("softmax_cross_entropy:0.3", ("class",)),
    ("sigmoid_cross_entropy", ("missing",)),
    ("sigmoid_cross_entropy", ("missing", "class")),
    ("mse", ()),
    ("huber", ()),
    ("huber:0.4", ()),
    ("quantile:0.8", ()),
)
OPTIMIZERS = (
    ("SGD", dict(learning_rate=0.05)),
    ("SGD", dict(learning_rate=0.05, weight_decay=0.1)),
    ("SGD", dict(learning_rate=0.01, momentum=0.9)),
    ("SGD", dict(learning_rate=0.01, momentum=0.9, nesterov=True)),
    ("SGD", dict(learning_rate=0.01, momentum=0.5, nesterov=True, weight_decay=0.1)),
    ("Adam", dict(learning_rate=1e-3)),
    ("Adam", dict(learning_rate=0.01, beta1=0.7, beta2=0.9, eps=1e-3)),
    ("Adam", dict(learning_rate=0.01, weight_decay=0.1)),
    ("AdamW", dict(learning_rate=0.01, weight_decay=0.5)),
    ("RMSprop", dict(learning_rate=1e-3)),
    ("NAdam", dict(learning_rate=2e-3)),
    ("NAdam", dict(learning_rate=0.01, beta1=0.7, beta2=0.9, eps=1e-3, momentum_decay=0.5)),
    ("NAdam", dict(learning_rate=1e-3, weight_decay=0.1, momentum_decay=0.0)),
    ("RMSprop", dict(learning_rate=0.01, alpha=0.7, eps=1e-3, weight_decay=0.1)),
    ("RMSprop", dict(learning_rate=1e-3, alpha=0.9, momentum=0.9)),
)


def a_case(name="torch", hidden=HIDDEN["selu"], loss="softmax_cross_entropy", options=(), **more):
    return cases.Case(name, 45, (9, 33, 17, 20, 5), hidden, loss, frozenset(options), **more)


def modules(case):
    """Return the torch.nn.Sequential of the same list of layers, in float64."""
    activation = layer_modules.activations(torch)
    dropout = {"alpha": torch.nn.AlphaDropout, "plain": torch.nn.Dropout}
    result = []
    for k, (K, N) in enumerate(zip(case.sizes[:-1], case.sizes[1:], strict=True)):
        name, drop, rate = case.of_hidden(k)
        result.append(torch.nn.Linear(K, N))
        if name != "none":
            result.append(activation[name]())
        if drop != "none":
            result.append(dropout[drop](rate))
    return torch.nn.Sequential(*result).double()


def to_torch(state):
    return {name: torch.from_numpy(np.array(p)).double() for name, p in state.items()}


def pair(case):
    """Return fastsnn's network with the case's parameters, and PyTorch's with the same."""
    layers, dense = cases.layers(fs, case)
    net = fs.Network(layers, input_size=case.sizes[0])
    state = {}
    for i, block in zip(dense, case.blocks(), strict=True):
        state[f"{i}.weight"] = block.w.astype(np.float32)
        state[f"{i}.bias"] = block.b.astype(np.float32)
    net.load_state_dict(state)
    model = modules(case)
    model.load_state_dict(to_torch(net.state_dict()))
    return net, model


def trainer_of(case, net):
    optimizer = getattr(fs, case.optimizer)(**dict(case.arguments))
    return fs.Trainer(net, loss=case.loss, optimizer=optimizer, class_weight=case.class_weight())


def loss_of(case):
    weight = case.class_weight()
    return golden.torch_loss(
        torch, case.loss, None if weight is None else torch.tensor(weight).double()
    )


def batch(case, step):
    x, y, _ = case.batch_of(case.blocks(), step, None)
    t = torch.from_numpy(y)
    return x, y, torch.from_numpy(x).double(), t.double() if t.is_floating_point() else t


def assert_within(actual, expected, limit, what):
    error = np.abs(actual - expected.detach().numpy()).max()
    assert actual.shape == tuple(expected.shape), what
    assert error <= limit, f"{what}: off by {error:.3g} where {limit:.3g} is allowed"


@pytest.mark.parametrize("dropout", ["none", "alpha", "plain"])
@pytest.mark.parametrize("activation", ["none", *cases.LAYERS])
def test_forward(activation, dropout):
    case = a_case(hidden=((activation, dropout, 0.3),))
    net, model = pair(case)
    x, _, x_torch, _ = batch(case, 0)
    expected = model.eval()(x_torch)
    limit = tolerance.forward(case.depth, case.fan) * expected.abs().max().item()
    assert_within(net.forward(x), expected, limit, "outputs")


@pytest.mark.parametrize("dropout", ["none", "alpha", "plain"])
def test_state_dict_of_torch_is_taken(dropout):
    """PyTorch's initial weights after a round trip: the same keys in order, the same bits."""
    case = a_case(hidden=(("selu", dropout, 0.3),))
    model = modules(case).float()
    state = {name: p.numpy() for name, p in model.state_dict().items()}
    net = fs.Network(cases.layers(fs, case)[0], input_size=case.sizes[0])
    net.load_state_dict(state)
    assert list(net.state_dict()) == list(state)
    for name, p in net.state_dict().items():
        assert p.dtype == np.float32 and np.array_equal(p, state[name]), name


@pytest.mark.parametrize("loss, options", LOSSES, ids=["-".join((l, *o)) for l, o in LOSSES])
@pytest.mark.parametrize("hidden", HIDDEN)
def test_gradients(hidden, loss, options):
    case = a_case(hidden=HIDDEN[hidden], loss=loss, options=options)
    net, model = pair(case)
    x, y, x_torch, y_torch = batch(case, 0)
    loss_of(case)(model(x_torch), y_torch).backward()
    actual = trainer_of(case, net).gradients(x, y)
    expected = {name: p.grad for name, p in model.named_parameters()}
    assert list(actual) == list(expected)
    bound = tolerance.gradient(case.depth, case.fan, case.batch)
    for name, g in expected.items():
        assert_within(actual[name], g, bound * g.abs().max().item(), name)


def steps(case):
    """Return ten losses of each, and both networks afterwards. Every step has the same batch."""
    net, model = pair(case)
    trainer, loss = trainer_of(case, net), loss_of(case)
    optimizer = golden.torch_optimizer(
        torch, model.parameters(), case.optimizer, dict(case.arguments)
    )
    x, y, x_torch, y_torch = batch(case, 0)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        value = loss(model(x_torch), y_torch)
        value.backward()
        optimizer.step()
        losses.append((trainer.step(x, y), value.item()))
    return losses, net, model


def ids(options):
    return "-".join(f"{name}={value}" for name, value in options.items())


@pytest.mark.parametrize(
    "optimizer, options", OPTIMIZERS, ids=[f"{name}-{ids(o)}" for name, o in OPTIMIZERS]
)
def test_ten_steps(optimizer, options):
    """tanh has no kink, so no unit can change sides while parameters move.

    The change of the parameters is compared by its root mean square: under Adam, single elements
    whose gradient is rounding noise may move either way, and there are few of them.
    """
    arguments = tuple(options.items())
    case = a_case(hidden=HIDDEN["tanh"], optimizer=optimizer, arguments=arguments)
    losses, net, model = steps(case)
    bound = 2 * tolerance.gradient(case.depth, case.fan, case.batch)  # twice: see tolerance.Drift
    for actual, expected in losses:
        assert abs(actual - expected) <= bound * max(1, expected)
    before = {}
    for k, block in enumerate(case.blocks()):
        before[f"{2 * k}.weight"], before[f"{2 * k}.bias"] = block.w, block.b
    after, state = model.state_dict(), net.state_dict()
    for name, p in before.items():
        change = after[name].numpy() - p
        rounding = STEPS * tolerance.UNIT_ROUNDOFF * np.abs(p).max()
        error = np.sqrt(np.mean((state[name] - after[name].numpy()) ** 2))
        size = np.abs(change).max()
        assert size > 1e-3 and error <= bound * size + rounding, name


@pytest.mark.parametrize("loss, options", LOSSES, ids=["-".join((l, *o)) for l, o in LOSSES])
def test_ten_steps_of_each_loss(loss, options):
    case = a_case(hidden=HIDDEN["tanh"], loss=loss, options=options)
    bound = 2 * tolerance.gradient(case.depth, case.fan, case.batch)
    for actual, expected in steps(case)[0]:
        assert abs(actual - expected) <= bound * max(1, expected)
