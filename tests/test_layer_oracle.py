"""Proofs of layer_oracle.py, the reference of the engine: finite differences, results by hand,
and, with PyTorch, its modules in float64.
"""

import golden
import layer_modules
import layer_oracle
import numpy as np
import oracle
import pytest
from layer_cases import BN, HW, LN, RES, WN, A, Case, D, P, R, S, T

KINK_MARGIN = 1e-3  # finite differences move pre-activations by less than 1e-4
NETWORKS = {
    "batch_norm": (D(5), BN(), R, D(4), T, BN()),
    "batch_norm-eps": (D(5), S(), BN(eps=0.5)),
    "layer_norm": (D(5), LN(), S(), D(4), T, LN(eps=0.1)),
    "weight_norm": (WN(5), R, WN(4), T),
    "highway": (D(5), R, HW(gate_bias=0.5), HW()),
    "residual": (D(5), RES(D(4), R, D(5)), R, RES(D(5)), RES(D(3), T, D(5), LN())),
    "blocks": (D(5), R, RES(D(3), BN(), R, D(5), BN()), R),
    "dropouts": (D(5), R, BN(), P(0.3), HW(), P(0.2), RES(WN(4), S(), A(0.3), D(5)), S(), A(0.2)),
    "fixed-points": (D(5), S(0.0, 2.0), A(0.3), D(4), S(-0.1, 2.0), A(0.3)),
    "mixed": (WN(4), S(), A(0.1), HW(), RES(D(3), R, BN(), D(4)), R, D(3), T, BN(), D(5), LN(), R),
}
LOSSES = (
    ("softmax_cross_entropy", "class", "sample"),
    ("sigmoid_cross_entropy", "missing"),
    ("mse",),
)


def case_of(name, loss="mse", *options, batch=7):
    hidden, options = NETWORKS[name], frozenset(options)
    return Case(name, hidden, batch, inputs=4, outputs=3, loss=loss, options=options)


def batch_of(case, layers):
    rng = np.random.default_rng(5)
    y, weight = case.labels(rng)
    while True:
        x = rng.normal(size=(case.batch, case.inputs))
        kinks = layer_oracle.train(layers, x, y, case.loss, step=3)[3].kinks
        if all(np.abs(z).min() > KINK_MARGIN for z in kinks):
            return x, y, weight


@pytest.mark.parametrize("loss", LOSSES, ids="-".join)
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_finite_differences(name, loss):
    """Central differences: truncation about h^2 = 1e-12, rounding about 1e-16 / h = 1e-10."""
    h = 1e-6
    case = case_of(name, *loss)
    layers = case.oracle_layers()
    x, y, weight = batch_of(case, layers)

    def passed():
        weights = case.class_weight(), weight
        return layer_oracle.train(layers, x, y, case.loss, 77, 3, weights)

    gradients = passed()[1]
    parameters = layer_oracle.parameters(layers)
    assert gradients.keys() == parameters.keys()
    sizes = []
    for tensor, p in parameters.items():
        difference = np.empty_like(p)
        for i in np.ndindex(p.shape):
            kept = p[i]
            p[i] = kept + h
            above = passed()[0]
            p[i] = kept - h
            difference[i] = (above - passed()[0]) / (2 * h)
            p[i] = kept
        sizes.append(np.abs(difference).max())
        limit = 1e-6 * sizes[-1] + 1e-9
        np.testing.assert_allclose(gradients[tensor], difference, 0, limit, err_msg=tensor)
    # a bias before a batch normalization changes nothing; all others were compared
    silent = sum(b == BN() and a[0] == "Dense" for a, b in neighbours(case.specs))
    assert sum(size < 1e-5 for size in sizes) == silent


def neighbours(specs):
    yield from zip(specs[:-1], specs[1:], strict=True)
    for name, arguments in specs:
        if name == "Residual":
            yield from neighbours(arguments["layers"])


def test_selu_constants_keep_mean_and_variance():
    """Published constants for (0, 1) and (0, 2); and moments by the midpoint rule with step
    1e-5.
    """
    assert layer_oracle.selu_constants(0, 1) == pytest.approx((oracle.ALPHA, oracle.LAMBDA), 1e-13)
    assert layer_oracle.selu_constants(0, 2) == pytest.approx((1.97125575, 1.06070908), 1e-8)
    z = (np.arange(-1_000_000, 1_000_000) + 0.5) * 1e-5
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * 1e-5
    for mean, variance in ((0, 1), (0, 2), (-0.1, 2), (0.3, 0.7)):
        layer = layer_oracle.Activation("selu", *layer_oracle.selu_constants(mean, variance))
        y, _ = layer_oracle.activation(layer, np.sqrt(variance) * z, layer_oracle.Run(), "")
        assert (y * density).sum() == pytest.approx(mean, abs=1e-9)
        assert (y * y * density).sum() - mean**2 == pytest.approx(variance, abs=1e-9)


@pytest.mark.parametrize("point", [(0.0, 1.0), (0.0, 2.0), (-0.1, 2.0)])
def test_affine_map_keeps_mean_and_variance(point):
    (m, v), p = point, oracle.effective_rate(0.3)
    alpha, lam = layer_oracle.selu_constants(m, v)
    layer = layer_oracle.Dropout("alpha", 0.3, m, v, -lam * alpha)
    a, b = layer_oracle.affine(layer)
    dropped = a * layer.value + b
    mean = p * dropped + (1 - p) * (a * m + b)
    second = p * dropped**2 + (1 - p) * ((a * m + b) ** 2 + a**2 * v)
    assert mean == pytest.approx(m, abs=1e-15)
    assert second - mean**2 == pytest.approx(v, rel=1e-14)
    if point == (0, 1):
        assert (a, b) == pytest.approx(oracle.alpha_affine(0.3), rel=1e-14)


def run_of(layer, x, training=True):
    run = layer_oracle.Run(training)
    return layer_oracle.through([layer], np.array(x, float), run)[0], run


def test_batch_norm_by_hand():
    """Rows 1, 3, 8: mean 4, variance 26 / 3, unbiased 13."""
    layer = layer_oracle.BatchNorm(*np.array([[2.0], [0.5], [10.0], [4.0]]), eps=1.0, momentum=0.2)
    y, run = run_of(layer, [[1], [3], [8]])
    s = np.sqrt(29 / 3)
    np.testing.assert_allclose(y[:, 0], [0.5 - 6 / s, 0.5 - 2 / s, 0.5 + 8 / s], rtol=1e-15)
    assert layer.running_mean[0] == 10 and layer.running_var[0] == 4  # a pass changes nothing
    layer_oracle.move_statistics(run)
    assert layer.running_mean[0] == pytest.approx(0.8 * 10 + 0.2 * 4, rel=1e-15)
    assert layer.running_var[0] == pytest.approx(0.8 * 4 + 0.2 * 13, rel=1e-15)
    y, run = run_of(layer, [[1]], training=False)
    assert y[0, 0] == pytest.approx(0.5 + 2 * (1 - 8.8) / np.sqrt(5.8 + 1), rel=1e-15)
    assert not run.statistics


def test_layer_norm_by_hand():
    layer = layer_oracle.LayerNorm(np.array([1.0, 2, 3]), np.array([0.0, 0, 1]), eps=1.0)
    y, _ = run_of(layer, [[1, 3, 8], [5, 5, 5]])
    s = np.sqrt(29 / 3)
    np.testing.assert_allclose(y, [[-3 / s, -2 / s, 1 + 12 / s], [0, 0, 1]], rtol=1e-15)


def test_weight_norm_by_hand():
    """Rows (3, 4) of length 5, and (0, 2): with these g, the first is halved."""
    w, g = np.array([[3.0, 4.0], [0.0, 2.0]]), np.array([[2.5], [2.0]])
    y, _ = run_of(layer_oracle.Dense(w, np.array([0.0, 1.0]), g), [[1, 1]])
    np.testing.assert_allclose(y, [[3.5, 3.0]], rtol=1e-15)


def test_highway_and_residual_by_hand():
    """relu(w x + b) = 7 and 0; gates 3/4 and 1/4."""
    w = np.array([[1.0, 2.0], [-1, -1], [0, 0], [0, 0]])
    layer = layer_oracle.Highway(w, np.array([0, 0, np.log(3), -np.log(3)]))
    y, _ = run_of(layer, [[3, 2]])
    np.testing.assert_allclose(y, [[0.75 * 7 + 0.25 * 3, 0.75 * 2]], rtol=1e-15)
    layer = layer_oracle.Residual([layer_oracle.Dense(w[:2], np.array([1.0, 0.0]))])
    y, run = run_of(layer, [[3, 2]])
    np.testing.assert_allclose(y, [[3 + 8, 2 - 5]], rtol=1e-15)
    assert [name for name, _ in run.trace] == ["0.0", "0"]


def test_names():
    names = list(layer_oracle.tensors(case_of("dropouts").oracle_layers()))
    assert names == [
        "0.weight", "0.bias", "2.weight", "2.bias", "2.running_mean", "2.running_var",
        "4.weight", "4.bias", "6.0.weight_g", "6.0.weight_v", "6.0.bias", "6.3.weight", "6.3.bias",
        "9.weight", "9.bias",
    ]  # fmt: skip


def test_dropout_sites_are_numbered_through_residuals():
    case = Case("sites", (D(6), R, P(0.0), RES(D(5), R, P(0.5), D(6)), R, P(0.5)), 11, outputs=2)
    layers, seed = case.oracle_layers(), 9
    x = np.random.default_rng(0).normal(size=(11, 9))
    y = np.zeros(11, int)
    trace = dict(layer_oracle.train(layers, x, y, case.loss, seed, 4)[3].trace)
    for site, name, units in ((1, "3.2", 5), (2, "5", 6)):
        mask = oracle.drop_mask(seed, 4, site, 11, units, 0.5)
        before = trace["3.1" if name == "3.2" else "4"]
        np.testing.assert_array_equal(trace[name], np.where(mask, 0, 2 * before))


@pytest.mark.torch
@pytest.mark.parametrize("loss", LOSSES[1:], ids="-".join)
@pytest.mark.parametrize("name", [n for n in NETWORKS if n not in ("dropouts", "mixed")])
def test_torch_computes_the_same(name, loss):
    """Outputs of evaluation, loss, gradients and running statistics agree to 1e-12."""
    torch = pytest.importorskip("torch", reason=layer_modules.NO_TORCH)
    case = case_of(name, *loss)
    layers = case.oracle_layers()
    for layer in layers:
        if isinstance(layer, layer_oracle.Dropout):
            layer.rate = 0.0
    model = layer_modules.modules(torch, case, layer_oracle.tensors(layers))
    for module in model:
        if "Dropout" in type(module).__name__:
            module.p = 0.0
    x, y, _ = batch_of(case, layers)

    def assert_close(actual, expected, what):
        limit = 1e-12 * max(np.abs(expected).max(), 1e-3)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=limit, err_msg=what)

    out = model.eval()(torch.from_numpy(x))
    assert_close(layer_oracle.evaluate(layers, x)[0], out.detach().numpy(), "outputs")
    value = golden.torch_loss(torch, case.loss, None)(
        model.train()(torch.from_numpy(x)), torch.from_numpy(y).double()
    )
    value.backward()
    expected, gradients, _, run = layer_oracle.train(layers, x, y, case.loss)
    assert expected == pytest.approx(value.item(), rel=1e-12)
    theirs = layer_modules.gradients(model)
    assert theirs.keys() == gradients.keys()
    for tensor, g in theirs.items():
        assert_close(gradients[tensor], g, tensor)
    layer_oracle.move_statistics(run)
    for tensor, p in layer_modules.state_dict(model).items():
        assert_close(layer_oracle.tensors(layers)[tensor], p, tensor)
