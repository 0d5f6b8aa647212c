"""Proofs of the oracle, the reference of the engine: finite differences, closed forms, known
answers.

Nothing of fastsnn is imported. If PyTorch is installed, the oracle is compared with it in float64.
"""

import math
from pathlib import Path

import golden
import layer_modules
import numpy as np
import oracle
import pytest

NO_TORCH = "PyTorch 2.13.0 is not installed (pip install torch==2.13.0)"
ACTIVATIONS = tuple(oracle.ACTIVATIONS)
DROPOUTS = (("none", 0.0), ("alpha", 0.3), ("plain", 0.3))
KINK_MARGIN = 1e-3  # finite differences move pre-activations by less than 1e-4


def network(activation, dropout, rate, rng, sizes=(4, 5, 6, 3)):
    """Return blocks in float64 with a linear output."""
    blocks = [
        oracle.Block(
            rng.normal(size=(N, K)) / np.sqrt(K), rng.normal(size=N), activation, dropout, rate
        )
        for K, N in zip(sizes[:-1], sizes[1:], strict=True)
    ]
    blocks[-1].activation = blocks[-1].dropout = "none"
    return blocks


def loss_arguments(name, rng, n=9, n_out=3):
    """Return (loss, labels, class weights, sample weights) of a named variant of a loss."""
    loss, *options = name.split("+")
    y = {
        "softmax_cross_entropy": rng.integers(n_out, size=n),
        "sigmoid_cross_entropy": rng.integers(2, size=(n, n_out)).astype(float),
    }.get(loss.partition(":")[0], rng.normal(size=(n, n_out)))
    if "missing" in options:
        y[rng.random(y.shape) < 0.3] = np.nan
    class_weight = rng.uniform(0.2, 3, n_out) if "class" in options else None
    sample_weight = rng.uniform(0.2, 3, n) if "sample" in options else None
    return loss, y, class_weight, sample_weight


LOSS_VARIANTS = (
    "softmax_cross_entropy",
    "softmax_cross_entropy+class",
    "softmax_cross_entropy+sample",
    "softmax_cross_entropy+class+sample",
    "softmax_cross_entropy:0.1",
    "softmax_cross_entropy:0.3+class+sample",
    "sigmoid_cross_entropy",
    "sigmoid_cross_entropy+missing",
    "sigmoid_cross_entropy+missing+class+sample",
    "mse",
    "mse+sample",
    "huber",
    "huber:0.4+sample",
    "quantile",
    "quantile:0.8+sample",
)


@pytest.mark.parametrize("variant", LOSS_VARIANTS)
@pytest.mark.parametrize("dropout, rate", DROPOUTS, ids=[d for d, _ in DROPOUTS])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_are_finite_differences(activation, dropout, rate, variant):
    """Central differences: truncation about h^2 = 1e-12, rounding about 1e-16 / h = 1e-10."""
    h = 1e-6
    rng = np.random.default_rng(5)
    blocks = network(activation, dropout, rate, rng)
    loss, y, class_weight, sample_weight = loss_arguments(variant, rng)
    masks = oracle.drop_masks(blocks, 77, 3, len(y))
    x = rng.normal(size=(len(y), 4))
    while True:
        outputs, zs, _ = oracle.forward(blocks, x, masks)
        kinks = [*(np.abs(z) for z in zs), oracle.loss_kinks(loss, outputs[-1], y)]
        if min(distance.min() for distance in kinks) >= KINK_MARGIN:
            break
        x = rng.normal(size=x.shape)

    def value():
        out = oracle.forward(blocks, x, masks)[0][-1]
        return oracle.loss_of(loss)(out, y, class_weight, sample_weight)[0]

    _, gradients, _ = oracle.loss_and_gradients(
        blocks, x, y, loss, masks, class_weight, sample_weight
    )
    for p, g in zip(oracle.parameters(blocks), gradients, strict=True):
        difference = np.empty_like(g)
        for i in np.ndindex(p.shape):
            kept = p[i]
            p[i] = kept + h
            above = value()
            p[i] = kept - h
            below = value()
            p[i] = kept
            difference[i] = (above - below) / (2 * h)
        np.testing.assert_allclose(g, difference, rtol=0, atol=1e-6 * np.abs(difference).max())
        assert np.abs(difference).max() > 1e-4  # else there would have been nothing to compare


def test_selu_constants_are_the_closed_forms():
    """Klambauer et al. 2017, the fixed point (0, 1) in the appendix."""
    c, e = math.erfc(1 / math.sqrt(2)), math.e
    alpha = -math.sqrt(2 / math.pi) / (c * math.exp(0.5) - 1)
    inside = (
        2 * math.erfc(math.sqrt(2)) * e**2
        + math.pi * c**2 * e
        - 2 * (2 + math.pi) * c * math.sqrt(e)
        + math.pi
        + 2
    )
    lam = (1 - c * math.sqrt(e)) * math.sqrt(2 * math.pi) / math.sqrt(inside)
    assert alpha == pytest.approx(oracle.ALPHA, rel=1e-14)
    assert lam == pytest.approx(oracle.LAMBDA, rel=1e-14)
    assert oracle.ALPHA_PRIME == pytest.approx(-oracle.LAMBDA * oracle.ALPHA, rel=1e-15)


def test_selu_keeps_mean_and_variance():
    """Moments of selu(z) by the midpoint rule with step 1e-5, the kink between two midpoints."""
    z = (np.arange(-1_000_000, 1_000_000) + 0.5) * 1e-5
    y, _ = oracle.activate(z, "selu")
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * 1e-5
    assert (y * density).sum() == pytest.approx(0, abs=1e-9)
    assert (y * y * density).sum() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(
    "rate, a, b",
    [
        (0.05, 0.9548444760, 0.0839355722),
        (0.10, 0.9212845161, 0.1619709701),
        (0.20, 0.8789035834, 0.3090399621),
        (0.50, 0.8864048947, 0.7791939305),
    ],
)
def test_affine_map_of_alpha_dropout(rate, a, b):
    """The tabulated values are those of the exact rate; 16 bits change the rate by at most
    2^-17.
    """
    np.testing.assert_allclose(oracle.alpha_affine(rate), (a, b), rtol=0, atol=1.5e-5)
    p = oracle.effective_rate(rate)
    q, drop_value = 1 - p, oracle.ALPHA_PRIME
    a, b = oracle.alpha_affine(rate)
    mean = a * p * drop_value + b
    second = q * (a**2 + b**2) + p * (a * drop_value + b) ** 2  # of an input of mean 0, variance 1
    assert mean == pytest.approx(0, abs=1e-15)
    assert second == pytest.approx(1, rel=1e-14)


def test_the_slope_follows_from_the_output():
    """selu'(z) = y + lambda alpha for z <= 0, so the dropped value has slope 0."""
    z = np.linspace(-30, -0.01, 1000)
    y, slope = oracle.activate(z, "selu")
    np.testing.assert_allclose(slope, y - oracle.ALPHA_PRIME, rtol=0, atol=1e-15)


def test_philox_known_answers():
    lines = (Path(__file__).parent / "kat_philox4x32.txt").read_text().splitlines()
    answers = [line.split() for line in lines if not line.startswith("#")]
    assert [line[:2] for line in answers] == [["philox4x32", "10"]] * 3
    for line in answers:
        words = [int(word, 16) for word in line[2:]]
        assert oracle.philox4x32_10(words[:4], words[4:6]).tolist() == words[6:]


def test_drop_mask_layout():
    """One element is computed by hand from the documented layout."""
    seed, step, site, sample, unit, rate = (5 << 32) + 9, 7, 2, 21, 13, 0.4
    words = oracle.philox4x32_10([sample // 8, unit, site, step], [9, 5])
    halves = [int(half) for word in words for half in (word & 0xFFFF, word >> 16)]
    mask = oracle.drop_mask(seed, step, site, 24, 20, rate)
    for s in range(16, 24):
        assert mask[s, unit] == (halves[s % 8] < 26214)  # round(0.4 * 65536)
    assert not oracle.drop_mask(seed, step, site, 24, 20, 0.0).any()
    assert [oracle.threshold(rate) for rate in (0.5, 1e-6, 1 - 1e-9)] == [32768, 0, 65535]


def test_dropout_sites_are_numbered_in_order():
    rng = np.random.default_rng(0)
    blocks = network("selu", "plain", 0.5, rng, (4, 5, 5, 5, 2))
    blocks[0].dropout, blocks[1].rate = "none", 0.0
    masks = oracle.drop_masks(blocks, 3, 4, 11)
    assert masks[0] is None and masks[3] is None and not masks[1].any()
    assert np.array_equal(masks[2], oracle.drop_mask(3, 4, 1, 11, 5, 0.5))


def test_optimizers_by_hand():
    """Two updates of one parameter, p = 1, gradients 0.5 and -0.25, worked out by hand."""

    def run(optimizer):
        p = [np.array([1.0])]
        for g in (0.5, -0.25):
            optimizer.update(p, [np.array([g])])
        return p[0][0]

    assert run(oracle.SGD(0.1)) == pytest.approx(1 - 0.05 + 0.025)
    # g = 0.7; p = 0.93; g = -0.25 + 0.186 = -0.064
    assert run(oracle.SGD(0.1, weight_decay=0.2)) == pytest.approx(0.9364)
    # m = 0.5; p = 0.95; m = 0.45 - 0.25 = 0.2
    assert run(oracle.SGD(0.1, momentum=0.9)) == pytest.approx(0.93)
    # first: 0.5 + 0.45; then m = 0.2: -0.25 + 0.18
    assert run(oracle.SGD(0.1, momentum=0.9, nesterov=True)) == pytest.approx(0.912)
    # m = 0.05, v = 0.00025: 1 in step 1; m = 0.02, v = 0.00031225: m / 0.19, v / 0.001999 in step 2
    second = 0.1 * (0.02 / 0.19) / math.sqrt(0.00031225 / 0.001999)
    assert run(oracle.Adam(0.1, eps=0.0)) == pytest.approx(0.9 - second)
    # multiplied by 1 - 0.1 * 0.5 before each update
    decayed = (0.95 - 0.1) * 0.95 - second
    assert run(oracle.AdamW(0.1, eps=0.0, weight_decay=0.5)) == pytest.approx(decayed)
    # g = 1.5, then with p = 0.9: -0.25 + 0.9 = 0.65; m = 0.15, 0.2; v = 0.00225, 0.00267025
    second = 0.1 * (0.2 / 0.19) / math.sqrt(0.00267025 / 0.001999)
    assert run(oracle.Adam(0.1, eps=0.0, weight_decay=1.0)) == pytest.approx(0.9 - second)
    # v = 0.0025, then 0.002475 + 0.000625 = 0.0031; the quotients: 10, -0.25 / sqrt(0.0031)
    first, second = 10, -0.25 / math.sqrt(0.0031)
    expected = 1 - 0.1 * (first + second)
    assert run(oracle.RMSprop(0.1, eps=0.0)) == pytest.approx(expected)
    # the first quotient again, times 0.9
    expected -= 0.1 * 0.9 * first
    assert run(oracle.RMSprop(0.1, eps=0.0, momentum=0.9)) == pytest.approx(expected)
    # g = 1.5, v = 0.0225, p = 0; then p has no decay: v = 0.022275 + 0.000625
    expected = 1 - 0.1 * 10 + 0.1 * 0.25 / math.sqrt(0.0229)
    assert run(oracle.RMSprop(0.1, eps=0.0, weight_decay=1.0)) == pytest.approx(expected)
    # mu = 0.25, 0.375, 0.4375 (0.96 to the power of 16.98 is a half); v_hat = g^2 in step 1
    nadam = oracle.NAdam(0.1, beta1=0.5, eps=0.0, momentum_decay=math.log(0.5) / math.log(0.96))
    mu = [0.5 * (1 - 0.5 * 0.5**t) for t in (1, 2, 3)]
    first = (1 - mu[0]) / (1 - mu[0]) + mu[1] * 0.5 / (1 - mu[0] * mu[1])
    # m = 0.25, then 0.125 - 0.125 = 0
    second = (1 - mu[1]) / (1 - mu[0] * mu[1]) * -0.25 / math.sqrt(0.00031225 / 0.001999)
    assert run(nadam) == pytest.approx(1 - 0.1 * (first + second))
    # c = 0.05: p decreases; m = 0.005; c = 0.0045 - 0.025: p increases
    assert run(oracle.Lion(0.1)) == pytest.approx(1.0)
    # c = 0.25; m = 0.25; c = 0.125 - 0.125 = 0 has no sign
    assert run(oracle.Lion(0.1, beta1=0.5, beta2=0.5)) == pytest.approx(0.9)
    # p decreases by a tenth before each update
    assert run(oracle.Lion(0.1, weight_decay=1.0)) == pytest.approx((0.9 - 0.1) * 0.9 + 0.1)
    # eps is added to the root after its bias correction
    assert run(oracle.SGD(0.1)) != run(oracle.Adam(0.1, eps=0.5))
    p = [np.array([1.0])]
    oracle.Adam(0.1, eps=0.5).update(p, [np.array([0.5])])
    assert p[0][0] == pytest.approx(1 - 0.1 * 0.5 / (0.5 + 0.5))


@pytest.mark.parametrize("name", golden.RUNS)
def test_golden_losses(name):
    """Ten float64 steps give PyTorch's losses; both round differently, about 1e-15 a step."""
    loss, weighted, optimizer, arguments = golden.RUNS[name]
    blocks = [
        oracle.Block(w.astype(np.float64), b.astype(np.float64), "selu")
        for w, b in golden.fixed_parameters()
    ]
    blocks[-1].activation = "none"
    step = getattr(oracle, optimizer)(**arguments)
    losses = []
    for _ in range(golden.STEPS):
        value, gradients, _ = oracle.loss_and_gradients(
            blocks,
            golden.fixed_inputs(),
            golden.fixed_labels(loss),
            loss,
            class_weight=golden.CLASS_WEIGHT if weighted else None,
        )
        losses.append(value)
        step.update(oracle.parameters(blocks), gradients)
    np.testing.assert_allclose(losses, golden.LOSSES[name], rtol=1e-12)


@pytest.mark.torch
@pytest.mark.parametrize("variant", LOSS_VARIANTS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_loss_and_gradients_are_those_of_torch(activation, variant):
    torch = pytest.importorskip("torch", reason=NO_TORCH)
    rng = np.random.default_rng(6)
    blocks = network(activation, "none", 0.0, rng)
    loss, y, class_weight, sample_weight = loss_arguments(variant, rng)
    x = rng.normal(size=(len(y), 4))
    act = layer_modules.activations(torch) | {"none": torch.nn.Identity}
    leaves = [torch.tensor(p, requires_grad=True) for p in oracle.parameters(blocks)]
    z = torch.from_numpy(x)
    for k, block in enumerate(blocks):
        z = act[block.activation]()(torch.nn.functional.linear(z, *leaves[2 * k : 2 * k + 2]))
    t = torch.from_numpy(y)
    w = torch.ones(len(y)).double() if sample_weight is None else torch.tensor(sample_weight)
    c = None if class_weight is None else torch.tensor(class_weight)
    if loss.startswith("softmax_cross_entropy"):
        entries = torch.nn.functional.cross_entropy(
            z, t, c, reduction="none", label_smoothing=float(loss.partition(":")[2] or 0)
        )
        weights = w if c is None else w * c[t]
        value = (w * entries).sum() / weights.sum()
    elif loss == "sigmoid_cross_entropy":
        labelled = ~torch.isnan(t)
        entries = torch.nn.functional.binary_cross_entropy_with_logits(
            z, torch.nan_to_num(t), pos_weight=c, reduction="none"
        )
        value = (w[:, None] * entries)[labelled].sum() / (w[:, None] * labelled).sum()
    else:
        entries = golden.torch_loss(torch, loss, None, reduction="none")(z, t)
        value = (w[:, None] * entries).sum() / (w.sum() * y.shape[1])
    value.backward()
    expected, gradients, _ = oracle.loss_and_gradients(
        blocks, x, y, loss, None, class_weight, sample_weight
    )
    assert expected == pytest.approx(value.item(), rel=1e-13)
    for g, leaf in zip(gradients, leaves, strict=True):
        limit = 1e-13 * np.abs(g).max()
        np.testing.assert_allclose(g, leaf.grad.numpy(), rtol=0, atol=limit)


def test_nothing_labelled_is_nothing_lost():
    loss, dz = oracle.sigmoid_cross_entropy(np.ones((3, 2)), np.full((3, 2), np.nan))
    assert loss == 0 and not dz.any()
