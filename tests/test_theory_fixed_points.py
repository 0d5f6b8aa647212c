"""Fixed points, SELUs made for them, theorems 1 to 3, and networks that converge to them."""

import math
from dataclasses import replace

import gaussian_oracle
import numpy as np
import pytest

from fastsnn import theory
from fastsnn.theory import ALPHA, LAMBDA, THEOREM1, THEOREM2, THEOREM3, theorems

# Fixed points


def test_the_fixed_point_of_normalized_weights_is_standard():
    mean, variance = theory.fixed_point(start=(0.8, 5.0))
    assert abs(mean) < 1e-13 and abs(variance - 1) < 1e-13


@pytest.mark.parametrize("w, t", [(0.1, 1.1), (-0.1, 0.95), (0.05, 1.0), (0.0, 1.8), (-0.3, 0.6)])
def test_iteration_leads_to_it(w, t):
    """Numerical integrals, iterated to convergence: deviations shrink to at most 0.93 in a step."""
    m, v = 0.0, 1.0
    for _ in range(400):
        m, v = gaussian_oracle.moments(m * w, v * t, ALPHA, LAMBDA)
    found = theory.fixed_point(w, t)
    assert found == (pytest.approx(m, rel=1e-9, abs=1e-12), pytest.approx(v, rel=1e-9))


def test_fixed_points_of_arrays():
    w, t = np.array([[-0.1], [0.1]]), np.array([0.95, 1.0, 1.1])
    mean, variance = theory.fixed_point(w, t)
    assert mean.shape == variance.shape == (2, 3)
    assert (mean[1, 2], variance[1, 2]) == pytest.approx(theory.fixed_point(0.1, 1.1), rel=1e-12)


@pytest.mark.parametrize(
    "arguments, text",
    [
        ((0.0, 4.0), "variance grows without bound for weight_sum 0.0 and weight_square_sum 4.0"),
        ((0.0, [1.0, 0.3]), "variance collapses for weight_sum 0.0 and weight_square_sum 0.3"),
        ((0.0, 1.0, 0.5, 0.5), "variance collapses"),
        ((3.0, 1.0), "none that attracts was found for weight_sum 3.0"),
        ((0.0, 1.0, ALPHA, LAMBDA, (0.0, 0.0)), "start needs a variance > 0"),
    ],
)
def test_no_fixed_point(arguments, text):
    with pytest.raises(ValueError, match=text):
        theory.fixed_point(*arguments)


# SELUs made for a fixed point


def test_solutions_are_the_published_ones():
    assert theory.selu_constants(0.0, 1.0) == pytest.approx((ALPHA, LAMBDA), rel=1e-15)
    assert theory.selu_constants(0.0, 2.0) == pytest.approx((1.97125575, 1.06070908), abs=5e-9)
    found = theory.selu_constants(-0.1, 2.0, weight_sum=1.0)
    assert found == pytest.approx((1.9769021954242014, 1.073851239616046), rel=1e-14)


def test_the_published_example_needs_weights_of_sum_1_and_repels():
    """This is why `selu_constants` assumes weights of sum 0 by default."""
    alpha, lambda_ = theory.selu_constants(-0.1, 2.0, weight_sum=1.0)
    assert theory.spectral_radius(theory.jacobian(-0.1, 2.0, 1, 1, alpha, lambda_)) > 1.1
    at_rest = theory.fixed_point(alpha=alpha, lambda_=lambda_)
    assert at_rest == pytest.approx((0.0159, 2.2235), abs=5e-5)
    alpha, lambda_ = theory.selu_constants(-0.1, 2.0)
    assert theory.fixed_point(alpha=alpha, lambda_=lambda_) == pytest.approx((-0.1, 2.0), rel=1e-12)


SPREADS = [-0.99, -0.6, -0.2, -1e-6, 0.0, 1e-6, 0.2, 0.5, 0.68]  # mean / deviation
VARIANCES = [1e-10, 1e-3, 0.0099, 0.0101, 0.3, 1.0, 4.0, 100.0, 1e6]


@pytest.mark.parametrize("variance", VARIANCES)
def test_solutions_give_back_their_fixed_point_and_attract(variance):
    """Numerical integration; eigenvalues 0 and dv~/ds in (-1, 1), as the docstring proves."""
    solved = 0
    for spread in SPREADS:
        mean = spread * variance**0.5
        low, high = reach(variance)
        if not low < mean < high:
            continue
        solved += 1
        alpha, lambda_ = theory.selu_constants(mean, variance)
        assert alpha > 0 and lambda_ > 0
        found = gaussian_oracle.moments(0.0, variance, alpha, lambda_)
        assert abs(found[0] - mean) < 1e-11 * variance**0.5
        assert abs(found[1] - variance) < 1e-11 * variance
        eigenvalues = np.linalg.eigvals(theory.jacobian(mean, variance, 0, 1, alpha, lambda_))
        assert np.abs(eigenvalues).max() < 1
    assert solved >= 7


def reach(variance):
    """Return the interval of means that the docstring of `selu_constants` states, numerically."""
    z, _, weights = gaussian_oracle.nodes(0.0, variance)
    one_less = -np.expm1(np.minimum(z, 0))
    b, c = (weights * one_less).sum(), (weights * one_less**2).sum()
    return -math.sqrt(variance / (c - b * b)) * b, math.sqrt(variance / (math.pi - 1))


@pytest.mark.parametrize("variance", VARIANCES)
def test_the_reach_is_exact(variance):
    low, high = reach(variance)
    assert -1 <= low / variance**0.5 <= -0.683 and abs(high / variance**0.5 - 0.683) < 1e-3
    for edge in (low, high):
        theory.selu_constants(edge * (1 - 1e-6), variance)
        with pytest.raises(ValueError, match="no SELU has the fixed point"):
            theory.selu_constants(edge * (1 + 1e-6), variance)


@pytest.mark.parametrize(
    "arguments, text",
    [
        ((0.0, 0.0), "selu_constants: variance must be positive and finite, got 0.0"),
        ((0.0, -1.0), "selu_constants: variance must be positive"),
        ((0.0, math.inf), "selu_constants: variance must be positive and finite, got inf"),
        ((math.nan, 1.0), "selu_constants: mean must be finite, got nan"),
        ((0.7, 1.0), "mean 0.7 and variance 1.0: .* lies between .* take a mean nearer to 0"),
        ((-2.0, 1.0), "no SELU has the fixed point mean -2.0 and variance 1.0"),
        ((5.0, 1.0, -1.0), "no SELU has the fixed point mean 5.0 and variance 1.0"),
        ((100.0, 1.0, 1.0), "mean 100.0 and weight_sum 1.0 leave pre-activations of one sign"),
        ((-100.0, 1.0, 1.0), "leave pre-activations of one sign"),
    ],
)
def test_unreachable_fixed_points_are_refused(arguments, text):
    with pytest.raises(ValueError, match=text):
        theory.selu_constants(*arguments)


# The theorems. Their digits are the paper's, some cut and some rounded: hence 1e-5.


def test_theorem_1():
    check = theory.check_theorem1(points=160_000)
    assert check.holds and check.points == 160_000 and check.margin > 0
    assert check.means == pytest.approx((-0.03106, 0.06773), abs=1e-5)
    assert check.variance_bounds == pytest.approx((0.80009, 1.48617), abs=1e-5)
    low, high = check.variances
    assert 0.80009 < low and high < 1.48617
    assert check.means[0] < check.fixed_means[0] < 0 < check.fixed_means[1] < check.means[1]
    assert low < check.fixed_variances[0] < 1 < check.fixed_variances[1] < high
    assert 0.7877 < check.norm < 0.9


def test_theorem_1_by_brute_force_at_its_corners():
    corners = [
        gaussian_oracle.moments(k, s, ALPHA, LAMBDA)
        for k in (-0.01, 0.01) for s in (0.8 * 0.95, 1.5 * 1.1)
    ]  # fmt: skip
    check = theory.check_theorem1(points=16)
    means, variances = zip(*corners, strict=True)
    assert check.means == pytest.approx((min(means), max(means)), rel=1e-12)
    assert check.variances == pytest.approx((min(variances), max(variances)), rel=1e-12)


def test_theorem_2():
    check = theory.check_theorem2(points=160_000)
    assert check.holds
    assert check.margin == pytest.approx(0.1197, abs=1e-4)  # at a corner, which is in any grid
    assert check.where == (-1.0, 3.0, -0.1, 1.25)
    worst = gaussian_oracle.moments(0.1, 3 * 1.25, ALPHA, LAMBDA)
    assert check.margin == pytest.approx(3 - worst[1], rel=1e-12)


def test_theorem_3_in_both_domains():
    """It holds from 0.02, as in the main text, and so also from 0.05, as in the appendix."""
    for start in (0.02, 0.05):
        domains = tuple(replace(d, variance=(start, d.variance[1])) for d in THEOREM3)
        assert start > 0.02 or domains == THEOREM3
        checks = theory.check_theorem3(160_000, domains)
        assert len(checks) == 2 and all(check.holds and check.margin > 0 for check in checks)
        for check, domain, bound in zip(checks, domains, (0.16, 0.24), strict=True):
            assert domain.variance[1] == bound  # so every fixed point is above
            _, v, w, t = check.where
            worst = gaussian_oracle.moments(check.where[0] * w, v * t, ALPHA, LAMBDA)
            assert check.margin == pytest.approx(worst[1] - v, rel=1e-11)


N = 10_000


@pytest.mark.parametrize(
    "check",
    [
        lambda: theory.check_theorem1(N, replace(THEOREM1, weight_square_sum=(0.8, 1.25))),
        lambda: theory.check_theorem1(N, replace(THEOREM1, mean=(-0.5, 0.5), weight_sum=(-1, 1))),
        lambda: theory.check_theorem1(N, replace(THEOREM1, weight_square_sum=(0.2, 4.0))),
        lambda: theory.check_theorem1(N, alpha=1.0),
        lambda: theory.check_theorem1(N, lambda_=1.0),
        lambda: theory.check_theorem1(N, *[THEOREM1], *theory.selu_constants(0.0, 2.0)),
        lambda: theory.check_theorem2(N, replace(THEOREM2, variance=(2.0, 16.0))),
        lambda: theory.check_theorem2(N, replace(THEOREM2, weight_square_sum=(0.8, 1.5))),
        lambda: theory.check_theorem2(N, lambda_=1.3),
        lambda: theory.check_theorem3(N, (replace(THEOREM3[0], variance=(0.02, 0.5)),))[0],
        lambda: theory.check_theorem3(N, (replace(THEOREM3[1], weight_square_sum=(0.4, 1.25)),))[0],
        lambda: theory.check_theorem3(N, alpha=1.0)[0],
    ],
)
def test_wider_domains_and_other_constants_fail(check):
    found = check()
    assert not found.holds and found.margin < 0


def test_points_are_at_least_the_corners():
    with pytest.raises(ValueError, match="points: at least 16 are required, got 15"):
        theory.check_theorem2(15)


def test_units_in_the_domain_of_theorem_1():
    inside = theory.in_theorem1_domain(0.0, np.array([1.0, 0.79, 1.5, np.nan]), 0.1, 1.0)
    assert inside.tolist() == [True, False, True, False]
    for name, values in vars(THEOREM1).items():
        middle = {n: np.mean(interval) for n, interval in vars(THEOREM1).items()}
        low, high = values
        points = np.array([low - 1e-9, low, high, high + 1e-9])
        assert theory.in_theorem1_domain(**middle | {name: points}).tolist() == [0, 1, 1, 0]
    assert theorems.THEOREM1 is THEOREM1


# Networks


WIDTH, ROWS, NETWORKS, LAYERS = 96, 96, 12, 32


def last_layers(alpha, lambda_, start):
    """Return mean and variance over units and rows of the last of 32 layers, for 12 networks.

    Weights are Gaussian, then shifted and scaled for weight_sum 0 and weight_square_sum 1.
    """
    rng = np.random.default_rng(3)
    x = start[0] + start[1] ** 0.5 * rng.normal(size=(NETWORKS, WIDTH, ROWS))
    for _ in range(LAYERS):
        w = rng.normal(size=(NETWORKS, WIDTH, WIDTH))
        w -= w.mean(-1, keepdims=True)
        w /= np.sqrt((w * w).sum(-1, keepdims=True))
        x = gaussian_oracle.selu(w @ x, alpha, lambda_)
    return x.mean((1, 2)), x.var((1, 2))


@pytest.mark.parametrize("point", [(0.0, 1.0), (0.0, 2.0), (-0.1, 2.0)])
def test_32_layers_of_random_weights_stay_at_the_fixed_point(point):
    """The bounds are 5 standard errors, from the spread of the independent networks, and the
    bias of a finite width.

    The bias: in a row, the variance q over the n units scatters with Var(q) = V / (n (1 - j^2)), V
    = Var((f - m)^2), j = dv~/ds the factor of a deviation from layer to layer. A curved map changes
    the mean of q by v''/2 Var(q) in each layer, in all 1 / (1 - j) times that, and the mean of f by
    m' times this and m''/2 Var(q). 10 % is added for omitted terms.
    """
    mean, variance = point
    alpha, lambda_ = theory.selu_constants(mean, variance)
    h = 1e-3 * variance
    first, one, last = (
        theory.jacobian(mean, variance + d, 0, 1, alpha, lambda_)[:, 1] for d in (-h, 0, h)
    )
    (m1, v1), (m2, v2) = one, (last - first) / (2 * h)
    spread = gaussian_oracle.variance_of_squares(0, variance, alpha, lambda_)
    spread /= WIDTH * (1 - v1**2)
    bias_v = 0.5 * abs(v2) * spread / (1 - v1)
    bias_m = abs(m1) * bias_v + 0.5 * abs(m2) * spread
    found = last_layers(alpha, lambda_, point)
    for values, target, bias in zip(found, point, (bias_m, bias_v), strict=True):
        error = values.std(ddof=1) / NETWORKS**0.5
        bound = 5 * error + 1.1 * bias
        assert abs(values.mean() - target) < bound, (values.mean(), error, bias)
        assert bound < 0.15 * variance  # else it would prove nothing


def test_a_selu_made_for_another_fixed_point_does_not_stay():
    """With the paper's constants, the same networks move from variance 2 to variance 1."""
    _, variances = last_layers(ALPHA, LAMBDA, (0.0, 2.0))
    assert abs(variances.mean() - 1) < 0.15
