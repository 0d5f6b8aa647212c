"""The engine against the oracle: outputs, hidden layers, losses, gradients, and ten updates.

The table is in cases.py, the bounds in tolerance.py. Labels, masks and kinks: see cases.py.
"""

import cases
import numpy as np
import oracle
import pytest
import tolerance

import fastsnn as fs

# fastsnn warns of some pairs of activation and dropout; they are computed all the same.
pytestmark = pytest.mark.filterwarnings("ignore:layer .*Dropout:UserWarning")

SEED = (7 << 32) + 11  # of the masks; more than 32 bits
STEPS = 10

each_case = pytest.mark.parametrize("case", cases.CASES, ids=[case.name for case in cases.CASES])


def state_of(parameters, dense):
    """Return the state dict of Dense layers at these indices of the list."""
    names = [f"{i}.{what}" for i in dense for what in ("weight", "bias")]
    return {n: np.asarray(p, np.float32) for n, p in zip(names, parameters, strict=True)}


def trainer_of(case, blocks, **arguments):
    """Return a trainer on the case's network, and parameter names in the oracle's order."""
    layers, dense = cases.layers(fs, case)
    net = fs.Network(layers, input_size=case.sizes[0])
    state = state_of(oracle.parameters(blocks), dense)
    assert list(net.state_dict()) == list(state)
    net.load_state_dict(state)
    optimizer = getattr(fs, case.optimizer)(**dict(case.arguments))
    trainer = fs.Trainer(
        net,
        loss=case.loss,
        optimizer=optimizer,
        seed=SEED,
        class_weight=case.class_weight(),
        **arguments,
    )
    return trainer, net, list(state)


def assert_within(actual, expected, limit, what):
    assert actual.dtype == np.float32 and actual.shape == expected.shape, what
    error = np.abs(actual - expected)
    assert (error <= limit).all(), (
        f"{what}: off by {np.max(error):.3g} where {np.max(limit):.3g} is allowed"
    )


@each_case
def test_forward(case):
    """Evaluation mode: no dropout."""
    blocks = case.blocks()
    _, net, _ = trainer_of(case, blocks)
    masks = oracle.drop_masks(blocks, SEED, 0, case.batch)
    x, _, _ = case.batch_of(blocks, 0, masks)
    expected = oracle.forward(blocks, x)[0][-1]
    limit = tolerance.forward(case.depth, case.fan) * np.abs(expected).max()
    assert_within(net.forward(x), expected, limit, "outputs")


@each_case
def test_hidden_layers(case):
    """The input of every block agrees, with dropout, at a step that is not the first one."""
    blocks, step = case.blocks(), 5
    _, net, _ = trainer_of(case, blocks)
    masks = oracle.drop_masks(blocks, SEED, step, case.batch)
    x, _, _ = case.batch_of(blocks, step, masks)
    expected = oracle.forward(blocks, x, masks)[0][1:-1]
    actual = net.activations(x, training=True, seed=SEED, step=step)
    assert len(actual) == len(expected)
    for k, (h, reference) in enumerate(zip(actual, expected, strict=True)):
        limit = tolerance.forward(k + 1, case.fan) * np.abs(reference).max()
        assert_within(h, reference, limit, f"hidden layer {k}")


@each_case
def test_gradients(case):
    blocks = case.blocks()
    trainer, _, names = trainer_of(case, blocks)
    masks = oracle.drop_masks(blocks, SEED, 0, case.batch)
    x, y, weight = case.batch_of(blocks, 0, masks)
    _, expected, scales = oracle.loss_and_gradients(
        blocks, x, y, case.loss, masks, case.class_weight(), weight
    )
    actual = trainer.gradients(x, y, sample_weight=weight)
    assert list(actual) == names
    bound = tolerance.gradient(case.depth, case.fan, case.batch)
    for name, g, scale in zip(names, expected, scales, strict=True):
        assert_within(actual[name], g, bound * scale.max(), name)


@each_case
def test_ten_steps(case):
    """Losses before each update, and the parameters at the end, agree with the oracle's."""
    blocks = case.blocks()
    trainer, net, names = trainer_of(case, blocks)
    optimizer = getattr(oracle, case.optimizer)(**dict(case.arguments))
    parameters = oracle.parameters(blocks)
    drift = tolerance.Drift(parameters)
    bound = tolerance.gradient(case.depth, case.fan, case.batch)
    for step in range(STEPS):
        assert trainer.step_count == step
        masks = oracle.drop_masks(blocks, SEED, step, case.batch)
        x, y, weight = case.batch_of(blocks, step, masks)
        out = oracle.forward(blocks, x, masks)[0][-1]
        value, d_out = oracle.loss_of(case.loss)(out, y, case.class_weight(), weight)
        gradients, scales = oracle.backward(blocks, x, masks, d_out)
        limit = tolerance.loss(case.depth, case.fan, out, d_out, value) + drift.of_loss(gradients)
        actual = trainer.step(x, y, sample_weight=weight)
        assert isinstance(actual, float)
        assert abs(actual - value) <= limit, f"loss of step {step}: {actual} is not {value}"
        optimizer.update(parameters, gradients)
        drift.add(optimizer, parameters, [bound * scale.max() for scale in scales])
    state = net.state_dict()
    for name, p, limit in zip(names, parameters, drift.bounds, strict=True):
        assert_within(state[name], p, limit, name)


def copied(net):
    return {name: p.copy() for name, p in net.state_dict().items()}


def by_name(name):
    return next(case for case in cases.CASES if case.name == name)


def test_gradients_change_nothing():
    """Steps have the same bits with and without calls of `gradients` between them."""
    case = by_name("mixed")
    blocks = case.blocks()
    x, y, _ = case.batch_of(blocks, 0, None)
    states = []
    for ask in (False, True):
        trainer, net, _ = trainer_of(case, blocks)
        for step in range(3):
            if ask:
                before = copied(net)
                first, again = trainer.gradients(x, y), trainer.gradients(x, y)
                assert trainer.step_count == step
                for name, p in net.state_dict().items():
                    assert np.array_equal(p, before[name])
                    assert np.array_equal(first[name], again[name])
            trainer.step(x, y)
        states.append(net.state_dict())
    for name, p in states[0].items():
        assert np.array_equal(p, states[1][name]), name


def test_a_step_uses_its_gradients():
    """With plain SGD, the change of the parameters divided by the learning rate is the gradient."""
    case = by_name("SGD-learning_rate=0.1")
    blocks = case.blocks()
    trainer, net, names = trainer_of(case, blocks)
    x, y, _ = case.batch_of(blocks, 0, None)
    gradients = trainer.gradients(x, y)
    before = {name: p.astype(np.float64) for name, p in net.state_dict().items()}
    trainer.step(x, y)
    for name, p in net.state_dict().items():
        expected = before[name] - 0.1 * gradients[name].astype(np.float64)
        # the product and the difference are rounded once each
        limit = tolerance.UNIT_ROUNDOFF * (np.abs(expected) + 0.2 * np.abs(gradients[name]))
        assert_within(p, expected, limit, name)
    assert sorted(before) == sorted(names)


@pytest.mark.parametrize("name", ["shape-1x1-2", "shape-257x15-33-4", "depth-40-alpha", "mixed"])
def test_thread_counts_give_the_same_bits(name):
    case = by_name(name)
    blocks = case.blocks()
    x, y, _ = case.batch_of(blocks, 0, None)
    results = []
    for threads in (1, 2):
        trainer, net, _ = trainer_of(case, blocks, threads=threads)
        losses = [trainer.step(x, y) for _ in range(3)]
        results.append((losses, net.state_dict(), net.forward(x, threads=threads)))
    (losses_1, state_1, out_1), (losses_2, state_2, out_2) = results
    assert losses_1 == losses_2 and np.array_equal(out_1, out_2)
    for parameter, p in state_1.items():
        assert np.array_equal(p, state_2[parameter]), parameter


def test_nothing_labelled_moves_nothing():
    case = by_name("sigmoid_cross_entropy-3-unlabelled")
    blocks = case.blocks()
    trainer, net, _ = trainer_of(case, blocks)
    before = copied(net)
    x, y, _ = case.batch_of(blocks, 0, None)
    assert trainer.step(x, y) == 0
    for name, p in net.state_dict().items():
        assert np.array_equal(p, before[name])
