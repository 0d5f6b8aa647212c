"""Initial tensors of networks with the newer layers, and lists of layers that are invalid."""

import numpy as np
import pytest
import tolerance

import fastsnn as fs
from fastsnn import methods
from fastsnn.layers import LAYERS, BatchNorm, Dense, Highway, LayerNorm, Residual

NAN = float("nan")
D, SELU, RELU, DROP = Dense(4), fs.SELU(), fs.ReLU(), fs.Dropout(0.1)
BN, LN, HW, RES = BatchNorm(), LayerNorm(), Highway(), Residual([Dense(4)])


def start(layers, input_size=4, seed=0):
    return fs.Network(layers, input_size, seed).state_dict()


# Initial tensors


def assert_moments(w, variance, kurtosis):
    """Require mean 0 and this variance, within 5 standard errors."""
    z = w.astype(np.float64) / np.sqrt(variance)
    assert abs(z.mean()) < 5 / np.sqrt(z.size)
    assert abs((z**2).mean() - 1) < 5 * np.sqrt((kurtosis - 1) / z.size)


INITS = {  # variance for (fan_in, units), kurtosis
    "lecun_normal": (lambda K, N: 1 / K, 3),
    "he_normal": (lambda K, N: 2 / K, 3),
    "glorot_uniform": (lambda K, N: 2 / (K + N), 9 / 5),
}


@pytest.mark.parametrize("weight_norm", [False, True])
@pytest.mark.parametrize("init", INITS)
def test_moments_of_starting_weights(init, weight_norm):
    state = start([Dense(200, init, weight_norm), RELU, Dense(300, init, weight_norm), D], 300)
    variance, kurtosis = INITS[init]
    for name, K, N in (("0", 300, 200), ("2", 200, 300)):
        w = state[f"{name}.weight_v" if weight_norm else f"{name}.weight"]
        assert w.shape == (N, K)
        assert_moments(w, variance(K, N), kurtosis)
        if init == "glorot_uniform":
            limit = np.sqrt(6 / (K + N))
            assert np.abs(w).max() <= limit * (1 + 1e-6) and np.abs(w).max() > 0.999 * limit
        assert not state[f"{name}.bias"].any()


@pytest.mark.parametrize("init", INITS)
def test_moments_of_starting_highways(init):
    state = start([Dense(150), Highway(init, gate_bias=-1.5), D], 4)
    variance, kurtosis = INITS[init]
    assert state["1.weight"].shape == (300, 150)
    for half in np.split(state["1.weight"], 2):
        assert_moments(half, variance(150, 150), kurtosis)
    assert state["1.bias"].tolist() == [0.0] * 150 + [-1.5] * 150


def test_defaults():
    assert Dense(3).init == "lecun_normal" and not Dense(3).weight_norm
    assert (Highway().init, Highway().gate_bias) == ("he_normal", -2.0)
    assert (BatchNorm().eps, BatchNorm().momentum, LayerNorm().eps) == (1e-5, 0.1, 1e-5)
    assert fs.SELU().fixed_point == (0.0, 1.0) and fs.SELU([0, 2]) == fs.SELU((0.0, 2.0))


def test_normalizations_start_as_the_identity():
    state = start([D, BN, RELU, D, LN, D])
    for name, value in (
        ("1.weight", 1), ("1.bias", 0), ("1.running_mean", 0), ("1.running_var", 1),
        ("4.weight", 1), ("4.bias", 0),
    ):  # fmt: skip
        assert state[name].tolist() == [value] * 4, name


def test_weight_normalization_starts_as_without():
    layers = [Dense(50, "he_normal"), RELU, Residual([Dense(50)]), RELU, Dense(6)]
    normed = [
        Dense(50, "he_normal", True), RELU, Residual([Dense(50, weight_norm=True)]), RELU,
        Dense(6, weight_norm=True),
    ]  # fmt: skip
    plain, net = fs.Network(layers, 30, seed=2), fs.Network(normed, 30, seed=2)
    ours, theirs = net.state_dict(), plain.state_dict()
    for name in ("0.weight", "2.0.weight", "4.weight"):
        assert np.array_equal(ours[f"{name}_v"], theirs[name])
        lengths = np.sqrt((theirs[name].astype(np.float64) ** 2).sum(1, keepdims=True))
        np.testing.assert_allclose(ours[f"{name}_g"], lengths, rtol=2**-24)
    x = np.random.default_rng(1).normal(size=(40, 30)).astype(np.float32)
    expected = plain.forward(x)
    # two roundings of each weight in addition to those of the products: less than another product
    limit = tolerance.forward(2 * 3, 50) * np.abs(expected).max()
    np.testing.assert_allclose(net.forward(x), expected, rtol=0, atol=limit)


def test_the_documented_stream_of_starting_weights():
    """Weights are counted from layer to layer, including those of highways and of inner layers."""
    layers = [
        Dense(6, weight_norm=True), BN, Highway("he_normal"), Residual([D, LN, Dense(6)]),
        Dense(3, "glorot_uniform"),
    ]  # fmt: skip
    state = start(layers, 5, seed=7)
    names = ("0.weight_v", "2.weight", "3.0.weight", "3.2.weight", "4.weight")
    for i, name in enumerate(names):
        generator = np.random.Generator(np.random.Philox(key=7 + (i << 64)))
        w = state[name]
        K = w.shape[1]
        if name == "4.weight":
            uniform = generator.random(w.shape, np.float32).astype(np.float64)
            expected = (2 * uniform - 1) * np.sqrt(6 / (K + len(w)))
        else:
            normal = generator.standard_normal(w.shape, np.float32).astype(np.float64)
            expected = normal * np.sqrt((2 if name == "2.weight" else 1) / K)
        np.testing.assert_allclose(w, expected, rtol=4 * 2**-24, atol=2**-24, err_msg=name)


# The widths of the methods


def test_conic_widths():
    """1024 (2 / 1024)^(i / 4): 1024, 215.3, 45.3, 9.5."""
    assert methods.widths("conic", 4, 1024, 2) == [1024, 215, 45, 10]
    assert methods.widths("conic", 3, 20, 4) == [20, 12, 7]
    assert methods.widths("conic", 1, 20, 4) == [20]
    assert methods.widths("conic", 2, 8, 8) == [8, 8]
    assert methods.widths("conic", 2, 4, 9) == [4, 6]
    assert methods.widths("rectangular", 3, 20, 4) == [20] * 3
    net = methods.network("snn", 5, 2, layers=4, width=1024, shape="conic")
    assert [node.fan_out for node in net.nodes] == [1024, 215, 45, 10, 2]


def test_bottlenecks():
    for bottleneck, inside in ((0.25, 5), (0.5, 10), (1, 20), (0.001, 1)):
        net = methods.network("resnet", 5, 2, layers=2, width=20, bottleneck=bottleneck)
        assert [layer.layers[0].units for layer in net.layers[2:5:2]] == [inside] * 2
    deep = methods.network("resnet", 5, 2, layers=3, width=8)
    assert sum(isinstance(layer, Residual) for layer in deep.layers) == 3
    deep = methods.network("highway", 5, 2, layers=3, width=8)
    assert sum(isinstance(layer, Highway) for layer in deep.layers) == 2


BAD_METHODS = {
    "method": (
        ("relu", 5, 2),
        {},
        ValueError,
        "method: must be one of snn, msra, batchnorm, layernorm, weightnorm, highway, resnet; "
        "got 'relu'",
    ),
    "shape": (
        ("snn", 5, 2),
        dict(shape="round"),
        ValueError,
        "shape: must be one of rectangular, conic; got 'round'",
    ),
    "conic highway": (
        ("highway", 5, 2),
        dict(shape="conic"),
        ValueError,
        "highway: its layers must be equally wide, got the shape conic; take rectangular",
    ),
    "conic resnet": (
        ("resnet", 5, 2),
        dict(shape="conic"),
        ValueError,
        "resnet: its layers must be equally wide, got the shape conic; take rectangular",
    ),
    "layers": (("snn", 5, 2), dict(layers=0), ValueError, "snn: layers must be at least 1, got 0"),
    "width": (("snn", 5, 2), dict(width=-1), ValueError, "snn: width must be at least 1, got -1"),
    "outputs": (("snn", 5, 0), {}, ValueError, "snn: output_size must be at least 1, got 0"),
    "no int": (("msra", 5, 2), dict(width=2.0), TypeError, "msra: width must be an int, got 2.0"),
    "a bool": (("msra", 5, True), {}, TypeError, "msra: output_size must be an int, got True"),
    "inputs": (("msra", 0, 2), {}, ValueError, "Network: input_size must be at least 1, got 0"),
}


@pytest.mark.parametrize("name", BAD_METHODS)
def test_methods_that_are_none(name):
    arguments, more, error, text = BAD_METHODS[name]
    with pytest.raises(error) as caught:
        methods.network(*arguments, **more)
    assert str(caught.value) == text


@pytest.mark.parametrize("bottleneck", [0, -0.5, 1.5, NAN])
def test_bottlenecks_out_of_range(bottleneck):
    with pytest.raises(ValueError) as caught:
        methods.network("resnet", 5, 2, bottleneck=bottleneck)
    assert str(caught.value) == f"resnet: bottleneck must be in (0, 1], got {bottleneck}"


# Layers with invalid arguments


@pytest.mark.parametrize("make", [lambda init: Dense(3, init), Highway])
@pytest.mark.parametrize("init", ["normal", None, 3])
def test_unknown_inits(make, init):
    with pytest.raises(ValueError) as caught:
        make(init)
    expected = f"init must be one of lecun_normal, he_normal, glorot_uniform; got {init!r}"
    assert str(caught.value) in (f"Dense: {expected}", f"Highway: {expected}")


@pytest.mark.parametrize(
    "make, name",
    [(BatchNorm, "eps"), (BatchNorm, "momentum"), (LayerNorm, "eps")],
)
def test_options_of_normalizations(make, name):
    for value in (0, -0.1, 1.5, NAN):
        with pytest.raises(ValueError) as caught:
            make(**{name: value})
        assert str(caught.value) == f"{make.__name__}: {name} must be in (0, 1], got {value}"
    for value in ("0.1", None, True):
        with pytest.raises(TypeError) as caught:
            make(**{name: value})
        assert str(caught.value) == f"{make.__name__}: {name} must be a number, got {value!r}"
    assert getattr(make(**{name: 1}), name) == 1


@pytest.mark.parametrize("value", [1, None, "yes"])
def test_weight_norm_is_a_bool(value):
    with pytest.raises(TypeError) as caught:
        Dense(3, weight_norm=value)
    assert str(caught.value) == f"Dense: weight_norm must be True or False, got {value!r}"


@pytest.mark.parametrize("value", ["-2", None, True])
def test_gate_biases_that_are_no_numbers(value):
    with pytest.raises(TypeError) as caught:
        Highway(gate_bias=value)
    assert str(caught.value) == f"Highway: gate_bias must be a number, got {value!r}"


@pytest.mark.parametrize("value", [1.0, (0,), (0, 1, 2), ("a", 1), None])
def test_fixed_points_that_are_no_pairs(value):
    with pytest.raises(TypeError) as caught:
        fs.SELU(value)
    expected = f"SELU: fixed_point must be a pair (mean, variance), got {value!r}"
    assert str(caught.value) == expected


@pytest.mark.parametrize("value", [(0, 0), (0, -1), (5, 1), (-5, 1), (NAN, 1)])
def test_fixed_points_that_cannot_be_reached(value):
    with pytest.raises(ValueError):
        fs.SELU(value)


# Orders

LAST = "network: the last layer must be a Dense (its raw outputs go to the loss), got "
FIRST = "the first layer must be a Dense; put one before it"
FOLLOW = "an activation must follow its Dense directly, or its normalization"
ONE_NORM = "at most one normalization per Dense, before its dropout; remove this one"
ENDS = "the last layer inside must be a Dense or a normalization"
BEGINS = "the first layer inside must be a Dense"
KNOWN = f"a layer is one of {', '.join(LAYERS)}; got "
ORDERS = {
    "norm last": ([D, BN], LAST + "BatchNorm"),
    "highway last": ([D, HW], LAST + "Highway"),
    "residual last": ([D, RES], LAST + "Residual"),
    "norm first": ([BN, D], "layer 0 (BatchNorm): " + FIRST),
    "layer norm first": ([LN, D], "layer 0 (LayerNorm): " + FIRST),
    "highway first": ([HW, D], "layer 0 (Highway): " + FIRST),
    "residual first": ([RES, D], "layer 0 (Residual): " + FIRST),
    "activations around a norm": ([D, SELU, BN, RELU, D], "layer 3 (ReLU): " + FOLLOW),
    "activation after dropout": ([D, BN, DROP, RELU, D], "layer 3 (ReLU): " + FOLLOW),
    "activation after highway": ([D, HW, RELU, D], "layer 2 (ReLU): " + FOLLOW),
    "two norms": ([D, BN, LN, D], "layer 2 (LayerNorm): " + ONE_NORM),
    "norms around an activation": ([D, BN, RELU, BN, D], "layer 3 (BatchNorm): " + ONE_NORM),
    "norm after dropout": ([D, RELU, DROP, LN, D], "layer 3 (LayerNorm): " + ONE_NORM),
    "norm after highway": ([D, HW, BN, D], "layer 2 (BatchNorm): " + ONE_NORM),
    "norm after the norm inside": (
        [D, Residual([D, LN]), BN, D],
        "layer 2 (BatchNorm): " + ONE_NORM,
    ),
    "two dropouts": (
        [D, RELU, BN, DROP, DROP, D],
        "layer 4 (Dropout): at most one dropout per Dense; remove one of the two",
    ),
    "two dropouts after highway": (
        [D, HW, DROP, DROP, D],
        "layer 3 (Dropout): at most one dropout per Dense; remove one of the two",
    ),
    "empty": ([D, Residual([]), D], "layer 1 (Residual): " + BEGINS),
    "begins with an activation": ([D, Residual([RELU, D]), D], "layer 1 (Residual): " + BEGINS),
    "begins with a norm": ([D, Residual([BN, D]), D], "layer 1 (Residual): " + BEGINS),
    "ends with an activation": ([D, Residual([D, RELU]), D], "layer 1 (Residual): " + ENDS),
    "ends with dropout": ([D, Residual([D, RELU, DROP]), D], "layer 1 (Residual): " + ENDS),
    "residual inside": (
        [D, Residual([D, RES, D]), D],
        "layer 1 (Residual): no Residual inside",
    ),
    "highway inside": ([D, Residual([D, HW, D]), D], "layer 1 (Residual): no Highway inside"),
    "activation before the last norm": (
        [D, Residual([D, RELU, BN]), D],
        "layer 1 (Residual): the output that is added must not have an activation",
    ),
    "another width": (
        [D, RELU, Residual([Dense(5)]), D],
        "layer 2 (Residual): it must have as many outputs as inputs, got 5 and 4",
    ),
    "two norms inside": ([D, Residual([D, BN, LN]), D], "layer 1.2 (LayerNorm): " + ONE_NORM),
}


@pytest.mark.parametrize("name", ORDERS)
def test_orders_of_layers(name):
    layers, text = ORDERS[name]
    with pytest.raises(ValueError) as caught:
        fs.Network(layers, input_size=3)
    assert str(caught.value) == text


def test_objects_that_are_not_layers():
    for layers, text in (
        ([D, 3, D], f"layer 1 (int): {KNOWN}3"),
        ([D, Residual([D, 3, D]), D], f"layer 1.1 (int): {KNOWN}3"),
        ([D, BatchNorm, D], f"layer 1 (type): {KNOWN}{BatchNorm!r}"),
    ):
        with pytest.raises(TypeError) as caught:
            fs.Network(layers, input_size=3)
        assert str(caught.value) == text


def test_pairs_that_do_not_fit_warn():
    alpha = fs.AlphaDropout(0.1)
    with pytest.warns(UserWarning, match="layer 3 .Dropout.: plain Dropout after SELU breaks"):
        fs.Network([D, SELU, BN, DROP, D], 3)
    with pytest.warns(UserWarning, match="layer 2 .AlphaDropout.: AlphaDropout after none"):
        fs.Network([D, HW, alpha, D], 3)
    with pytest.warns(UserWarning, match="layer 3 .AlphaDropout.: AlphaDropout after relu"):
        fs.Network([D, RES, RELU, alpha, D], 3)
    for layers in ([D, RES, SELU, alpha, D], [D, BN, SELU, alpha, D], [D, RELU, BN, DROP, D]):
        fs.Network(layers, 3)


def test_invalid_starting_values():
    with pytest.raises(ValueError, match="Highway: gate_bias must be finite, got nan"):
        Highway(gate_bias=float("nan"))
    with pytest.raises(TypeError, match="Residual: a list of layers is required, got 5"):
        Residual(5)
    with pytest.raises(
        ValueError, match="SELU: fixed_point: selu_constants: no SELU has the fixed point"
    ):
        fs.SELU(fixed_point=(5.0, 1.0))
    net = fs.Network([Dense(3, weight_norm=True), BN, D], 2)
    for name, match in (("1.running_var", "not be negative"), ("0.weight_v", "no row of zeros")):
        state = net.state_dict()
        state[name][0] = -1.0 if name == "1.running_var" else 0.0
        with pytest.raises(ValueError, match=f"state_dict: {name} must.* {match}"):
            net.load_state_dict(state)
