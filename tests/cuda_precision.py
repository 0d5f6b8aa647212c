"""Networks in tf32 and bf16 in the simulator: every product of a step agrees with float64 on
rounded operands. Run by test_cuda.py, with NUMBA_ENABLE_CUDASIM=1.
"""

import cases
import cuda_simulated
import numpy as np
import oracle
import pytest
import tolerance
from cuda_tensor import BITS, TILES, every_mode, rounded
from cuda_turns import turns

import fastsnn as fs
from fastsnn.engine import schedule
from fastsnn.engine.backends import PRECISIONS
from fastsnn.kernels.cuda import device as driver
from fastsnn.kernels.cuda import shape, weights
from fastsnn.kernels.program import DZ_AT, FAN_IN, FAN_OUT, H_AT, H_STRIDE, X_AT, X_STRIDE

RATE = 0.1
ACTIVATIONS = {"none": [], **{name: [layer] for name, layer in cases.LAYERS.items()}}
DROPOUTS = {"none": [], "alpha": [fs.AlphaDropout(RATE)], "plain": [fs.Dropout(RATE)]}


@pytest.fixture(autouse=True)
def in_turns(monkeypatch):
    """Use the wide schedule: networks of these sizes would take the narrow one, in float32."""
    monkeypatch.setattr(schedule, "narrow_block", lambda *_: None)
    with turns():
        yield


def data(n=35, inputs=10, outputs=5):
    rng = np.random.default_rng(n)
    return rng.normal(size=(n, inputs)).astype(np.float32), rng.integers(outputs, size=n)


def trainer(mode, width=20, seed=2, **more):
    net = fs.mlp(10, 5, layers=2, width=width, dropout=0.1, seed=seed)
    return fs.Trainer(net, backend="cuda", precision=mode, seed=1, **more)


def equal(one, two):
    assert one.keys() == two.keys()
    return all(np.array_equal(one[name], two[name]) for name in one)


def on_device(engine, samples):
    """Return x, h and dz of each layer from the device, float64."""
    acts, table = driver.read(engine.acts), engine.plan.table

    def array(start, stride, units):
        flat = acts[start : start + samples * stride].reshape(samples, stride)
        return flat[:, :units].astype(np.float64)

    return [
        (
            array(row[X_AT], row[X_STRIDE], row[FAN_IN]),
            array(row[H_AT], row[H_STRIDE], row[FAN_OUT]),
            array(row[DZ_AT], row[H_STRIDE], row[FAN_OUT]),
        )
        for row in table
    ]


def near(found, expected, terms, size):
    """Assert that the error is within float32's, for sums of `terms` terms whose magnitudes sum to
    `size`, and for the epilogue.
    """
    assert (np.abs(found - expected) <= tolerance.forward(1, terms) * size).all()


SHAPES = [(35, 20, "selu", "alpha"), (5, 3, "selu", "alpha"), (17, 33, "selu", "alpha")]
OTHERS = [(9, 6, a, d) for a in ACTIVATIONS for d in DROPOUTS if (a, d) != ("selu", "alpha")]


@pytest.mark.filterwarnings("ignore:layer .*Dropout:UserWarning")
@pytest.mark.parametrize("n, width, activation, dropout", SHAPES + OTHERS)
@every_mode
def test_layer_by_layer(mode, n, width, activation, dropout):
    """Each product of a step, from the results of the previous one on the device, agrees with
    float64 on rounded operands, and is within 2 u + u^2 of the product of the exact operands.
    """
    x, y = data(n)
    end = [*ACTIVATIONS[activation], *DROPOUTS[dropout]]
    hidden = [layer for _ in range(2) for layer in (fs.Dense(width), *end)]
    net = fs.Network([*hidden, fs.Dense(5)], 10, seed=2)
    one = fs.Trainer(net, backend="cuda", precision=mode, seed=1)
    gradients, state = one.gradients(x, y), one.network.state_dict()
    names = [key.removesuffix(".weight") for key in state if key.endswith(".weight")]
    layers = on_device(one._engine, n)
    u, moved = 2.0 ** -BITS[mode], []

    def product(a, b, more=0.0):
        """Return a b^T + more with rounded operands, and the sums of magnitudes."""
        rounded_a, rounded_b = rounded(a, mode), rounded(b, mode)
        exact, size = a @ b.T + more, np.abs(rounded_a) @ np.abs(rounded_b).T
        result = rounded_a @ rounded_b.T + more
        assert (np.abs(result - exact) <= (2 * u + u * u) * np.abs(a) @ np.abs(b).T).all()
        moved.append(np.abs(result - exact).max() / size.max())
        return result, size + np.abs(more)

    for i, (below, h, dz) in enumerate(layers):
        w, b = (state[f"{names[i]}.{kind}"].astype(np.float64) for kind in ("weight", "bias"))
        z, size = product(below, w, b)
        if i == len(layers) - 1:
            near(h, z, len(w[0]), size)
        else:
            block = oracle.Block(w, b, activation, dropout, RATE)
            mask = oracle.drop_mask(1, 0, i, n, len(w), RATE)
            made, slope = oracle.activate(z, activation)
            made, kept = oracle.drop(made, block, mask)
            near(h, made, len(w[0]), 2 * (size + 1))  # 2: the largest slope
            above, dz_above = state[f"{names[i + 1]}.weight"].astype(np.float64), layers[i + 1][2]
            dh, size = product(dz_above, above.T)
            # The side of the kink is the same; 0 is exact, where ReLUs have left nothing.
            assert ((np.abs(z) > 1e-5) | (z == 0)).all()
            near(dz, dh * slope * kept, len(above), 2 * size)
        dw, size = product(dz.T, below.T)
        near(gradients[f"{names[i]}.weight"], dw, n, size)
        near(
            gradients[f"{names[i]}.bias"], rounded(dz, mode).sum(axis=0), n, np.abs(dz).sum(axis=0)
        )
    assert min(moved) > 20 * tolerance.forward(1, n + width)  # float32 would fail


@pytest.mark.filterwarnings("ignore:layer .*Dropout:UserWarning")
def test_every_kind_of_node():
    """Gradients are within a few unit roundoffs of float32's, for a seed with which no unit crosses
    a kink.
    """
    x, y = cuda_simulated.data(50)
    found = {}
    for mode in PRECISIONS:
        first = fs.Dense(13, weight_norm=True), fs.LayerNorm(), fs.ReLU()
        net = fs.Network([*first, *cuda_simulated.network().layers], 7, seed=0)
        gradients = fs.Trainer(net, backend="cuda", precision=mode, seed=5).gradients(x, y)
        found[mode] = np.concatenate([g.reshape(-1) for g in gradients.values()])
    for mode, bits in BITS.items():
        wrong = np.linalg.norm(found[mode] - found["float32"])
        assert 0.2 < wrong / np.linalg.norm(found["float32"]) * 2**bits < 4


def test_masks_are_those_of_float32():
    x, y = data()
    dropped = []
    for mode in PRECISIONS:
        one = trainer(mode)
        one.gradients(x, y)
        hidden = [h for _, h, _ in on_device(one._engine, len(x))[:-1]]
        least = min(h.min() for h in hidden)
        dropped.append([h == least for h in hidden])
        assert 0.05 < np.mean(dropped[-1]) < 0.15
    assert np.array_equal(dropped[0], dropped[1]) and np.array_equal(dropped[0], dropped[2])


@every_mode
def test_training(mode):
    """The loss decreases as in float32, and two runs have equal bits."""
    x, y = data(48)
    runs = []
    for precision in (mode, mode, "float32"):
        one = trainer(precision, optimizer=fs.Adam(0.01))
        history = one.fit(x, y, epochs=3, batch_size=16)
        runs.append((one.network.state_dict(), [record["train_loss"] for record in history]))
    assert equal(runs[0][0], runs[1][0]) and runs[0][1] == runs[1][1]
    assert not equal(runs[0][0], runs[2][0])
    assert runs[0][1][-1] < 0.9 * runs[0][1][0]
    np.testing.assert_allclose(runs[0][1], runs[2][1], rtol=0.05)


@every_mode
def test_predictions_are_float32(mode):
    x, y = data()
    one, plain = trainer(mode), trainer("float32")
    assert np.array_equal(one.network.forward(x), plain.network.forward(x))
    one.step(x, y)
    assert np.array_equal(one.network.forward(x), one.network.to_host().forward(x))


@pytest.mark.parametrize("t", [TILES[0], *TILES[-2:]], ids=lambda t: t.name)
def test_bits_do_not_depend_on_the_tile(t, monkeypatch):
    """They do not depend on the order of the threads either."""
    x, y = data()
    small = trainer(t.precision, 40).gradients(x, y)
    monkeypatch.setitem(shape.TILES, t.precision, (t,))
    with turns(backwards=True):
        assert equal(trainer(t.precision, 40).gradients(x, y), small)


@every_mode
def test_the_batch_is_split(mode, monkeypatch):
    x, y = data(50)
    whole = trainer(mode).gradients(x, y)
    monkeypatch.setattr(weights, "MIN_SPLIT", 16)
    split, again = trainer(mode).gradients(x, y), trainer(mode).gradients(x, y)
    assert equal(split, again) and not equal(split, whole)
    for name, g in whole.items():
        np.testing.assert_allclose(split[name], g, rtol=0, atol=1e-6 * np.abs(g).max())
