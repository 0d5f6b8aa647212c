"""The generator and its masks: published answers, ten million numbers, layout, statistics.

Bounds of statistics are 5 standard errors, and seeds are fixed: a correct generator always passes.
"""

from pathlib import Path

import numpy as np
import oracle
import pytest

import fastsnn as fs
from fastsnn.kernels.cpu.dropout import drop_mask, philox_blocks

# fastsnn warns of some pairs of activation and dropout; they are computed all the same.
pytestmark = pytest.mark.filterwarnings("ignore:layer .*Dropout:UserWarning")

SEED = 0x0123456789ABCDEF


def blocks_of(counters, seed):
    out = np.full(counters.shape, 0xDEADBEEF, np.uint32)
    philox_blocks(out, counters, seed)
    return out


def test_known_answers():
    lines = (Path(__file__).parent / "kat_philox4x32.txt").read_text().splitlines()
    answers = [line.split()[2:] for line in lines if line.startswith("philox4x32 10 ")]
    assert len(answers) == 3
    for answer in answers:
        words = np.array([int(word, 16) for word in answer], np.uint32)
        seed = int(words[4]) | int(words[5]) << 32
        assert np.array_equal(blocks_of(words[None, :4].copy(), seed)[0], words[6:])


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1, SEED])
def test_ten_million_numbers(seed):
    """8 seeds x 312 500 counters x 4 words, all bits of the counters in use."""
    rng = np.random.default_rng(seed)
    counters = rng.integers(2**32, size=(312_500, 4), dtype=np.uint32)
    counters[:1000] = np.arange(4000).reshape(1000, 4)
    counters[1000:1100] = 0xFFFFFFFF - np.arange(400).reshape(100, 4)
    expected = oracle.philox4x32_10(counters, (seed & 0xFFFFFFFF, seed >> 32))
    assert np.array_equal(blocks_of(counters, seed), expected)


def test_no_counters():
    assert blocks_of(np.empty((0, 4), np.uint32), SEED).shape == (0, 4)


@pytest.mark.parametrize("rate", [0.0, 1e-5, 0.001, 0.05, 0.5, 0.9, 0.99999])
@pytest.mark.parametrize(
    "n_samples, n_units",
    [(1, 1), (7, 3), (8, 1), (9, 5), (16, 16), (17, 33), (100, 257), (1000, 2)],
)
def test_masks_are_the_oracle_s(n_samples, n_units, rate):
    for seed, step, site in ((0, 0, 0), (SEED, 12345, 63), (2**64 - 1, 2**32 - 1, 999)):
        mask = drop_mask(seed, step, site, 0, n_samples, n_units, rate)
        assert mask.dtype == bool
        assert np.array_equal(mask, oracle.drop_mask(seed, step, site, n_samples, n_units, rate))


def test_masks_do_not_depend_on_slices():
    whole = drop_mask(SEED, 3, 1, 0, 203, 41, 0.3)
    for first in (8, 16, 24, 64, 96, 200):
        for n in {min(n, 203 - first) for n in (1, 8, 13, 203)}:
            part = drop_mask(SEED, 3, 1, first, n, 41, 0.3)
            assert np.array_equal(part, whole[first : first + n])
    for n_units in (1, 2, 3, 17, 40):
        assert np.array_equal(drop_mask(SEED, 3, 1, 0, 203, n_units, 0.3), whole[:, :n_units])


@pytest.mark.parametrize("layer", ["AlphaDropout", "Dropout"])
@pytest.mark.parametrize("batch", [5, 16, 130, 1000])
def test_masks_do_not_depend_on_threads(batch, layer):
    """Gradients at an early and a later step have the same bits."""
    rng = np.random.default_rng(batch)
    x = rng.normal(size=(batch, 20)).astype(np.float32)
    y = rng.integers(3, size=batch)
    results = []
    for threads in (1, 2):
        dropout = getattr(fs, layer)(0.3)
        layers = [fs.Dense(50), fs.SELU(), dropout, fs.Dense(30), fs.SELU(), dropout, fs.Dense(3)]
        net = fs.Network(layers, input_size=20, seed=4)
        optimizer = fs.SGD(learning_rate=0.01)
        trainer = fs.Trainer(net, optimizer=optimizer, threads=threads, seed=SEED)
        first = trainer.gradients(x, y)
        trainer.step(x, y)
        results.append((first, trainer.gradients(x, y)))
    for one, two in zip(*results, strict=True):
        for name in one:
            assert np.array_equal(one[name], two[name]), name
    assert not np.array_equal(results[0][0]["0.weight"], results[0][1]["0.weight"])


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.05, 0.1, 0.5, 0.9])
def test_drop_rate(rate):
    """2^20 elements, and each of the 16 positions of a panel by itself: 2^16."""
    p = oracle.effective_rate(rate)
    assert abs(p - rate) <= 2**-17
    mask = drop_mask(SEED, 0, 0, 0, 4096, 256, rate)
    assert abs(mask.mean() - p) < 5 * np.sqrt(p * (1 - p) / mask.size)
    for place in range(16):
        part = mask[place::16]
        assert abs(part.mean() - p) < 5 * np.sqrt(p * (1 - p) / part.size), place


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.1, 0.5])
def test_alpha_dropout_keeps_mean_and_variance(rate):
    """An identity matrix followed by alpha-dropout, in the engine, on 10^6 numbers from N(0, 1).

    Standard errors for n numbers of variance 1: 1 / sqrt(n) of the mean, sqrt((m4 - 1) / n) of the
    variance, m4 the fourth moment. Without b the mean would be off by at least 14 of them.
    """
    n, width = 4000, 250
    net = fs.Network([fs.Dense(width), fs.AlphaDropout(rate), fs.Dense(1)], input_size=width)
    state = {name: np.zeros_like(p) for name, p in net.state_dict().items()}
    state["0.weight"] = np.eye(width, dtype=np.float32)
    net.load_state_dict(state)
    x = np.random.default_rng(8).normal(size=(n, width)).astype(np.float32)
    (h,) = net.activations(x, training=True, seed=SEED, step=2)
    a, b = oracle.alpha_affine(rate)
    dropped = drop_mask(SEED, 2, 0, 0, n, width, rate)
    np.testing.assert_allclose(h[dropped], a * oracle.ALPHA_PRIME + b, rtol=0, atol=1e-6)
    np.testing.assert_allclose(h[~dropped], a * x[~dropped] + b, rtol=0, atol=1e-6)
    h = h.astype(np.float64)
    fourth = (h**4).mean()
    assert abs(h.mean()) < 5 / np.sqrt(h.size)
    assert abs(h.var() - 1) < 5 * np.sqrt((fourth - 1) / h.size)


def correlation(one, two):
    return np.corrcoef(one.ravel(), two.ravel())[0, 1]


@pytest.mark.parametrize("rate", [0.05, 0.5])
def test_masks_are_not_correlated(rate):
    """Neighbours along each coordinate are compared; the standard error of n pairs is 1 /
    sqrt(n).
    """

    def mask(seed=SEED, step=7, site=2):
        return drop_mask(seed, step, site, 0, 4096, 256, rate).astype(float)

    m = mask()
    pairs = {
        "step": (m, mask(step=8)),
        "site": (m, mask(site=3)),
        "seed": (m, mask(seed=SEED + 1)),
        "upper half of the seed": (m, mask(seed=SEED + 2**32)),
        "step and site exchanged": (m, mask(step=2, site=7)),
        "sample": (m[:-1], m[1:]),
        "sample of the next block": (m[:-8], m[8:]),
        "sample of the next panel": (m[:-16], m[16:]),
        "unit": (m[:, :-1], m[:, 1:]),
        "second unit": (m[:, :-2], m[:, 2:]),
    }
    for name, (one, two) in pairs.items():
        assert abs(correlation(one, two)) < 5 / np.sqrt(one.size), name
