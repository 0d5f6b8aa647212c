"""fastsnn.theory: published digits, numerical integration, central differences, the theorems."""

import doctest
import itertools
import math
from decimal import Decimal, localcontext

import gaussian_oracle
import numpy as np
import oracle
import pytest

from fastsnn import theory
from fastsnn.kernels import scalar
from fastsnn.theory import ALPHA, LAMBDA, fixed_points, gaussian, moments, theorems

SELUS = {  # (mean, variance): alpha, lambda; the first three published, two extremes
    (0.0, 1.0): (ALPHA, LAMBDA),
    (0.0, 2.0): (1.97125575, 1.06070908),
    (-0.1, 2.0): (1.9769021954242014, 1.073851239616046),
    "flat": (0.05, 1.3),
    "steep": (9.0, 0.7),
}


@pytest.mark.parametrize("module", [theory, moments, fixed_points, theorems, gaussian], ids=str)
def test_examples_of_the_docstrings(module):
    assert doctest.testmod(module).failed == 0


def erfc_of(square, digits=60):
    """Return erfc(sqrt(square)) as a Decimal: the series of erf, whose terms are all positive."""
    x = Decimal(square)
    term = total = Decimal(2) * x.sqrt() / pi().sqrt() * (-x).exp()
    n = 0
    while term > Decimal(10) ** -digits:
        n += 1
        term = term * 2 * x / (2 * n + 1)
        total += term
    return 1 - total


def pi():
    """Return pi by Machin's formula, 16 arctan(1/5) - 4 arctan(1/239)."""

    def arctan(n):
        terms = ((-1) ** i / (Decimal(2 * i + 1) * Decimal(n) ** (2 * i + 1)) for i in range(60))
        return sum(terms)

    return 16 * arctan(5) - 4 * arctan(239)


def test_constants_are_the_closed_forms_to_the_last_bit():
    with localcontext() as context:
        context.prec = 70
        c, d, e = erfc_of("0.5"), erfc_of(2), Decimal(1).exp()
        root = e.sqrt()
        alpha = (2 / pi()).sqrt() / (1 - root * c)
        inside = 2 * d * e**2 + pi() * c**2 * e - 2 * (2 + pi()) * c * root + pi() + 2
        lambda_ = (1 - root * c) * (2 * pi()).sqrt() / inside.sqrt()
        assert str(alpha).startswith("1.673263242354377284817042991671")
        assert str(lambda_).startswith("1.050700987355480493419334985294")
        assert (float(alpha), float(lambda_)) == (ALPHA, LAMBDA)


def test_the_kernels_and_the_oracle_use_the_same_constants():
    assert (scalar.ALPHA, scalar.LAMBDA) == (ALPHA, LAMBDA) == (oracle.ALPHA, oracle.LAMBDA)


SIZES = (0, 1e-7, 0.01, 0.3, 1, 3, 10, 30, 1000)
MEANS = [sign * size for size in SIZES for sign in (1, -1) if size or sign > 0]
VARIANCES = (1e-14, 1e-6, 1e-3, 0.00999, 0.01001, 0.02, 0.3, 1, 3, 20, 400, 1e4, 1e7)


@pytest.mark.parametrize("alpha, lambda_", SELUS.values(), ids=map(str, SELUS))
@pytest.mark.parametrize("s", VARIANCES)
def test_moments_are_the_integrals(s, alpha, lambda_):
    """The errors are those that `moment_map` states; the integrals are accurate to 1e-13."""
    for k in MEANS:
        mean, variance = theory.moment_map(k, s, 1, 1, alpha, lambda_)
        wanted = gaussian_oracle.moments(k, s, alpha, lambda_)
        assert abs(mean - wanted[0]) <= 1e-14 * max(1, abs(mean)) + 1e-13 * abs(wanted[0]), k
        r = k / s**0.5
        bound = 1e-12 * wanted[1] if r > -5 else max(1e-10 * wanted[1], 1e-20 * (r < -10))
        assert abs(variance - wanted[1]) <= bound, k


def test_weights_act_through_mean_and_variance_of_z():
    for m, v, w, t in itertools.product((-2.0, 0.4), (0.5, 7.0), (-0.3, 1.7), (0.6, 1.2)):
        found = theory.moment_map(m, v, w, t)
        assert np.allclose(found, gaussian_oracle.moments(m * w, v * t, ALPHA, LAMBDA), rtol=1e-12)


# The paper's eq. (4) and (5) evaluated with 400 digits: k, s, mean, variance.
HIGH_PRECISION = [
    (0.0, 1e-12, -2.82210672769674e-7, 2.01779759854448e-12),
    (-1e-07, 1e-12, -4.2406049538643e-7, 2.09738611153935e-12),
    (0.5, 1e-08, 0.52535049367774, 1.10397256482978e-8),
    (-30.0, 1.0, -1.75809934084711, 1.26417380540834e-25),
    (0.01, 1.65, 0.0677251016898786, 1.48157495827116),
    (-0.01, 0.76, -0.0310605017922177, 0.803711757679113),
    (3.0, 20.0, 3.52088146391476, 16.8035921774434),
    (1000.0, 1.0, 1050.70098735548, 1.10397256482978),
    (0.0, 1000000.0, 418.290699624667, 377020.716629401),
]


@pytest.mark.parametrize("k, s, mean, variance", HIGH_PRECISION)
def test_moments_are_the_papers_formula_in_high_precision(k, s, mean, variance):
    found = theory.moment_map(k, s, 1.0, 1.0)
    assert found == (pytest.approx(mean, rel=1e-12), pytest.approx(variance, rel=1e-12))


@pytest.mark.parametrize("k", [0, 1, -1, 1e-300, -1e-300, 700, -700, 1e6, -1e6, 1e100, -1e100])
@pytest.mark.parametrize("s", [0, 1e-300, 1e-9, 1, 1e5, 1e200])
def test_nothing_overflows(k, s):
    """NumPy's warnings are errors in this suite."""
    mean, variance = theory.moment_map(k, s, 1, 1)
    assert math.isfinite(mean) and math.isfinite(variance) and variance >= 0
    assert mean >= -LAMBDA * ALPHA * (1 + 1e-15)
    if s == 0:
        assert variance == 0
        assert mean == pytest.approx(float(gaussian_oracle.selu(k, ALPHA, LAMBDA)), rel=1e-15)
    else:
        assert np.isfinite(theory.jacobian(k, s, 1, 1)).all()


def test_scalars_give_floats_and_arrays_are_broadcast():
    assert all(type(value) is float for value in theory.moment_map(0.1, np.float32(1)))
    m, v = np.linspace(-1, 1, 5)[:, None], np.array([0.0, 1e-3, 0.5, 2.0])
    mean, variance = theory.moment_map(m, v, 0.3, 1.1)
    assert mean.shape == variance.shape == (5, 4)
    assert theory.jacobian(m, v[1:], 0.3, 1.1).shape == (5, 3, 2, 2)
    for i, j in np.ndindex(5, 4):
        one = theory.moment_map(m[i, 0], v[j], 0.3, 1.1)
        assert one == pytest.approx((mean[i, j], variance[i, j]), rel=1e-14, abs=1e-16)


@pytest.mark.parametrize(
    "arguments, text",
    [
        ((0, -1), "variance: numbers >= 0 are required, got -1"),
        ((0, math.nan), "variance: numbers >= 0"),
        ((0, 1, 0, -2), "weight_square_sum: numbers >= 0 are required, got -2"),
        ((math.nan, 1, 1), "within 1e"),
        ((1e99, 1, 100), "within 1e"),
        ((0, math.inf), "up to 1e"),
        ((0, 1, 0, 1, -1), "alpha >= 0 and lambda_ > 0 are required, got alpha -1"),
        ((0, 1, 0, 1, 1, math.inf), "lambda_ inf"),
    ],
)
@pytest.mark.parametrize("function", [theory.moment_map, theory.jacobian])
def test_arguments_out_of_range_are_refused(function, arguments, text):
    with pytest.raises(ValueError, match=text.replace("+", r"\+")):
        function(*arguments)


def test_a_jacobian_needs_a_variance():
    with pytest.raises(ValueError, match="> 0 is required"):
        theory.jacobian(1, 0)
    with pytest.raises(ValueError, match=r"shape \(..., 2, 2\)"):
        theory.spectral_norm([1, 2])


def test_jacobian_at_the_fixed_point_is_the_papers():
    """[[0, 0.088834], [0, 0.782648]], cut after six digits, and 0.7877."""
    found = theory.jacobian(0, 1)
    assert np.abs(found - [[0, 0.088834], [0, 0.782648]]).max() < 1e-6
    assert theory.spectral_norm(found) == pytest.approx(0.7877, abs=5e-5)


@pytest.mark.parametrize("alpha, lambda_", SELUS.values(), ids=map(str, SELUS))
def test_jacobian_is_the_central_difference(alpha, lambda_):
    """The integrals are numerical. With h = 1e-4 of the deviation or the variance the cubic term
    leaves about 1e-9, and their rounding 1e-14 / h = 1e-10.
    """

    def of(m, v):
        return np.array(gaussian_oracle.moments(0.7 * m, 1.2 * v, alpha, lambda_))

    for m, v in itertools.product((-20, -1, -0.02, 0, 0.3, 5), (1e-3, 0.02, 0.8, 3, 50)):
        h, g = 1e-4 * v**0.5, 1e-4 * v
        by_m, by_v = (
            (of(m + h, v) - of(m - h, v)) / (2 * h),
            (of(m, v + g) - of(m, v - g)) / (2 * g),
        )
        found = theory.jacobian(m, v, 0.7, 1.2, alpha, lambda_)
        scale = np.maximum(1, np.abs(found)) * max(1, abs(m))
        assert (np.abs(found - np.stack([by_m, by_v], -1)) < 2e-8 * scale).all(), (m, v)


def test_norm_and_radius_are_those_of_linear_algebra():
    matrices = np.random.default_rng(0).normal(size=(500, 2, 2))
    norms = np.linalg.svd(matrices, compute_uv=False).max(-1)
    assert np.allclose(theory.spectral_norm(matrices), norms, rtol=1e-13)
    radii = np.abs(np.linalg.eigvals(matrices)).max(-1)
    assert np.allclose(theory.spectral_radius(matrices), radii, rtol=1e-9)
