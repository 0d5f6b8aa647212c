"""Networks: initial weights, names, copies, and layers and sizes that are invalid."""

import copy
import pickle

import numpy as np
import pytest

import fastsnn as fs

NAN, INF = float("nan"), float("inf")


def test_names_and_shapes():
    net = fs.Network(
        [fs.Dense(5), fs.SELU(), fs.AlphaDropout(0.1), fs.Dense(4), fs.Dense(2)], input_size=3
    )
    shapes = {name: array.shape for name, array in net.state_dict().items()}
    assert shapes == {
        "0.weight": (5, 3), "0.bias": (5,), "3.weight": (4, 5), "3.bias": (4,),
        "4.weight": (2, 4), "4.bias": (2,),
    }  # fmt: skip
    assert net.n_parameters == 15 + 5 + 20 + 4 + 8 + 2 and net.output_size == 2
    assert "49" not in repr(net) and "54 parameters" in repr(net)


def test_mlp_counts_hidden_layers():
    net = fs.mlp(7, 3, layers=2, width=5, dropout=0.1, seed=9)
    hidden = [fs.Dense(5), fs.SELU(), fs.AlphaDropout(0.1)]
    assert list(net.layers) == [*hidden, *hidden, fs.Dense(3)]
    assert list(fs.mlp(7, 3, layers=1, width=5).layers) == [fs.Dense(5), fs.SELU(), fs.Dense(3)]
    same = fs.Network(net.layers, input_size=7, seed=9)
    assert np.array_equal(net.parameters, same.parameters)


def test_starting_weights_are_lecun_normal():
    """Mean 0 and variance 1 / fan_in, within 5 standard errors; biases 0."""
    net = fs.mlp(300, 10, layers=2, width=200, seed=4)
    for name, array in net.state_dict().items():
        if name.endswith("bias"):
            assert not array.any()
            continue
        z = array.astype(np.float64) * np.sqrt(array.shape[1])
        assert abs(z.mean()) < 5 / np.sqrt(z.size)
        assert abs(z.var() - 1) < 5 * np.sqrt(2 / z.size)


def test_the_documented_stream_of_starting_weights():
    net = fs.mlp(6, 3, layers=2, width=8, seed=5)
    for i, name in enumerate(("0.weight", "2.weight", "4.weight")):
        generator = np.random.Generator(np.random.Philox(key=5 + (i << 64)))
        weight = net.state_dict()[name]
        expected = generator.standard_normal(weight.shape, np.float32)
        assert np.array_equal(weight, expected * np.float32(weight.shape[1] ** -0.5)), name


def test_seeds():
    parameters = [fs.mlp(6, 3, layers=1, width=8, seed=s).parameters for s in (0, 1, 0, 2**64 - 1)]
    assert np.array_equal(parameters[0], parameters[2])
    assert not np.array_equal(parameters[0], parameters[1])
    assert not np.array_equal(parameters[0], parameters[3])
    numpy_seed = fs.mlp(6, 3, layers=1, width=8, seed=np.int64(1)).parameters
    assert np.array_equal(parameters[1], numpy_seed)


def test_state_dict_is_a_copy():
    net = fs.mlp(6, 3, layers=1, width=8)
    state = net.state_dict()
    before = net.parameters.copy()
    for array in state.values():
        array += 1
    assert np.array_equal(net.parameters, before)
    net.load_state_dict(state)
    state["0.bias"] += 5
    assert net.state_dict()["0.bias"].tolist() == [1] * 8


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))])
def test_copies(duplicate):
    net = fs.mlp(6, 3, layers=3, width=8, dropout=0.1, seed=3)
    x = np.random.default_rng(1).normal(size=(20, 6)).astype(np.float32)
    y = net.forward(x)
    other = duplicate(net)
    assert other.layers == net.layers and np.array_equal(other.forward(x), y)
    other.load_state_dict({k: np.zeros_like(v) for k, v in other.state_dict().items()})
    assert np.array_equal(net.forward(x), y) and not other.forward(x).any()


D, SELU, DROP = fs.Dense(4), fs.SELU(), fs.AlphaDropout(0.1)
LAST = "network: the last layer must be a Dense (its raw outputs go to the loss), got "
ORDERS = {
    "nothing": ([], ValueError, LAST + "nothing"),
    "activation last": ([D, SELU], ValueError, LAST + "SELU"),
    "dropout last": ([D, SELU, DROP], ValueError, LAST + "AlphaDropout"),
    "activation first": ([SELU, D], ValueError, "layer 0 (SELU): the first layer must be a Dense"),
    "dropout first": ([DROP, D], ValueError, "layer 0 (AlphaDropout): the first layer must be"),
    "two activations": (
        [D, D, SELU, fs.Tanh(), D],
        ValueError,
        "layer 3 (Tanh): an activation must follow its Dense directly",
    ),
    "dropout before": ([D, DROP, SELU, D], ValueError, "layer 2 (SELU): an activation must follow"),
    "two dropouts": (
        [D, SELU, DROP, DROP, D],
        ValueError,
        "layer 3 (AlphaDropout): at most one dropout per Dense",
    ),
    "a number": ([D, 3, D], TypeError, "layer 1 (int): a layer is one of Dense, SELU, ReLU, Tanh"),
    "a class": ([D, fs.SELU, D], TypeError, "layer 1 (type): a layer is one of"),
}


@pytest.mark.filterwarnings("ignore:layer 1 .AlphaDropout.* after none:UserWarning")
@pytest.mark.parametrize("name", ORDERS)
def test_orders_of_layers(name):
    layers, error, text = ORDERS[name]
    with pytest.raises(error) as caught:
        fs.Network(layers, input_size=3)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize("kind", [fs.AlphaDropout, fs.Dropout])
@pytest.mark.parametrize("rate", [1, 1.0, -0.1, 2, NAN, INF])
def test_rates_out_of_range(kind, rate):
    with pytest.raises(ValueError) as caught:
        kind(rate)
    assert f"{kind.__name__}: rate must be in [0, 1), got {rate}; it is the" in str(caught.value)


@pytest.mark.parametrize("rate", ["0.1", None, True])
def test_rates_that_are_no_numbers(rate):
    with pytest.raises(TypeError, match=r"AlphaDropout: rate must be a number in \[0, 1\), got "):
        fs.AlphaDropout(rate)


def network_of(input_size):
    return fs.Network([fs.Dense(2)], input_size)


SIZES = {
    "Dense: units": fs.Dense,
    "Network: input_size": network_of,
    "mlp: layers": lambda value: fs.mlp(3, 2, layers=value, width=4),
    "mlp: width": lambda value: fs.mlp(3, 2, layers=1, width=value),
    "mlp: output_size": lambda value: fs.mlp(3, value, layers=1, width=4),
    "Network: input_size ": lambda value: fs.mlp(value, 2, layers=1, width=4),
}


@pytest.mark.parametrize("where", SIZES)
def test_sizes(where):
    for value in (0, -1, -(10**9)):
        with pytest.raises(ValueError) as caught:
            SIZES[where](value)
        assert str(caught.value) == f"{where.strip()} must be at least 1, got {value}"
    for value in (1.0, "2", None, True):
        with pytest.raises(TypeError) as caught:
            SIZES[where](value)
        assert str(caught.value) == f"{where.strip()} must be an int, got {value!r}"


def test_widths_of_each_layer():
    net = fs.mlp(3, 2, width=[5, 4], dropout=0.1, seed=7)
    drop = fs.AlphaDropout(0.1)
    layers = [fs.Dense(5), fs.SELU(), drop, fs.Dense(4), fs.SELU(), drop, fs.Dense(2)]
    same = fs.Network(layers, 3, 7)
    assert net.layers == same.layers and (net.parameters == same.parameters).all()
    assert fs.mlp(3, 2, width=(4, 4)).layers == fs.mlp(3, 2, layers=2, width=4).layers
    for widths, text in (
        ([], "mlp: hidden layers must be at least 1"),
        ([4, 0], "mlp: width must"),
    ):
        with pytest.raises(ValueError, match=text):
            fs.mlp(3, 2, width=widths)


@pytest.mark.parametrize("seed", [-1, 2**64, 2**100])
def test_seeds_out_of_range(seed):
    for make in (
        lambda: fs.mlp(3, 2, layers=1, width=4, seed=seed),
        lambda: network_of(3).activations(np.zeros((1, 3), np.float32), seed=seed),
    ):
        with pytest.raises(ValueError) as caught:
            make()
        assert str(caught.value) == f"seed: an int in [0, 2**64) is required, got {seed}"


@pytest.mark.parametrize("seed", [0.0, "1", None, True])
def test_no_seeds(seed):
    with pytest.raises(TypeError, match=r"^seed: an int in \[0, 2\*\*64\) is required, got "):
        fs.mlp(3, 2, layers=1, width=4, seed=seed)


RATE, BETA, ANY = (0, 1e30), (0, 1), (0, INF)
ADAM = {"learning_rate": RATE, "weight_decay": ANY, "eps": ANY, "beta1": BETA, "beta2": BETA}
OPTIMIZERS = {
    fs.SGD: {"learning_rate": RATE, "weight_decay": ANY, "momentum": BETA},
    fs.Adam: ADAM,
    fs.AdamW: ADAM,
    fs.RMSprop: {"learning_rate": RATE, "weight_decay": ANY, "eps": ANY, "alpha": BETA,
                 "momentum": BETA},
    fs.NAdam: ADAM | {"momentum_decay": ANY},
    fs.Lion: {"learning_rate": RATE, "weight_decay": ANY, "beta1": BETA, "beta2": BETA},
}  # fmt: skip


@pytest.mark.parametrize("kind", OPTIMIZERS, ids=lambda kind: kind.__name__)
def test_options_of_optimizers(kind):
    for name, (low, high) in OPTIMIZERS[kind].items():
        for value in (-0.1, NAN, INF, *([1, 1.5] if high == 1 else [])):
            with pytest.raises(ValueError) as caught:
                kind(**{"learning_rate": 0.1, name: value})
            expected = f"{kind.__name__}: {name} must be in [{low}, {high:g}), got {value}"
            assert str(caught.value) == expected
        for value in ("0.1", None, True):
            with pytest.raises(TypeError, match=f"{kind.__name__}: {name} must be a number"):
                kind(**{"learning_rate": 0.1, name: value})
        assert getattr(kind(**{"learning_rate": 0.1, name: 0}), name) == 0


def test_nesterov_needs_momentum():
    with pytest.raises(ValueError, match="SGD: nesterov needs momentum > 0, got momentum=0"):
        fs.SGD(0.1, nesterov=True)


def test_pairs_that_do_not_fit_warn():
    with pytest.warns(UserWarning, match="plain Dropout after SELU breaks self-normalization"):
        fs.Network([D, SELU, fs.Dropout(0.1), D], input_size=3)
    with pytest.warns(
        UserWarning, match="AlphaDropout after relu does not preserve mean and variance"
    ):
        fs.Network([D, fs.ReLU(), DROP, D], input_size=3)
    fs.Network([D, SELU, fs.Dropout(0), D], input_size=3)  # drops nothing: no warning


def test_single_rows_follow_the_parameters():
    """They are predicted from a copy of the weights, which must never be outdated."""
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=(60, 7)).astype(np.float32), rng.integers(0, 3, 60)
    net = fs.mlp(7, 3, layers=2, width=70)
    trainer = fs.Trainer(net, optimizer=fs.SGD(0.1), threads=1)

    def assert_alike():
        whole = net.forward(x, threads=1)
        for count in (1, 2, 4, 5):
            for _ in range(3):  # the first time without a copy, then with one
                assert np.array_equal(net.forward(x[:count], threads=1), whole[:count])
        return whole

    before = assert_alike()
    stored = net.state_dict()
    trainer.step(x, y)
    after = assert_alike()
    assert not np.array_equal(before, after)
    net.load_state_dict(stored)
    assert np.array_equal(assert_alike(), before)
    best = fs.EarlyStopping("train_loss", patience=1)
    trainer.fit(x, y, epochs=3, batch_size=20, callbacks=[best])
    assert_alike()
    trainer.gradients(x, y)
    assert_alike()
