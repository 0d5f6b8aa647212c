"""Fixed points of the moment map, and SELU parameters for a given fixed point."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastsnn.checks.scalars import is_finite, number, plain, shown
from fastsnn.deprecated import renamed
from fastsnn.theory import gaussian
from fastsnn.theory.moments import (
    ALPHA,
    LAMBDA,
    floats,
    jacobian,
    moment_map,
    selu_parameters,
    spectral_radius,
)

ITERATIONS, NEWTON_STEPS = 200, 20
LEAST_SOLVED, MOST_SOLVED = 1e-100, 1e100  # no power in `selu_constants` overflows float64
LEAST, MOST = 1e-12, 1e12  # variances on the way: outside, it has collapsed or exploded
NEAR, PRECISION = 1e-4, 1e-13  # steps that hand over to Newton's method, and that end it


def fixed_point(
    weight_sum: ArrayLike = 0.0,
    weight_square_sum: ArrayLike = 1.0,
    alpha: float = ALPHA,
    lambda_: float = LAMBDA,
    start: tuple[float, float] = (0.0, 1.0),
) -> tuple[Any, Any]:  # floats, or arrays, as given
    """Return the attracting fixed point of `moment_map` that iteration from `start` leads to.

    Klambauer et al. 2017, definition 1 and theorem 1. The map is iterated; then Newton's method
    solves (mean, variance) = moment_map(mean, variance).

    Parameters
    ----------
    weight_sum, weight_square_sum : float or array, broadcast together
        Sums of a unit's weights and of their squares, see `moment_map`.
    alpha, lambda_ : float
        Parameters of SELU, see `moment_map`.
    start : tuple of 2 floats
        Mean and variance > 0.

    Returns
    -------
    mean, variance : float, or float64 array of the common shape
        With errors of about 1e-13.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range. ValueError, too, if the variance
        collapses to 0 or grows without bound, or if the fixed point found is not attracting (its
        Jacobian has an absolute eigenvalue of 1 or more).

    Examples
    --------
    >>> m, v = fixed_point(0.05, 1.1)
    >>> round(m, 5), round(v, 5)
    (0.05143, 1.40447)
    """
    w, t = np.broadcast_arrays(
        floats(weight_sum, "weight_sum"), floats(weight_square_sum, "weight_square_sum")
    )
    alpha, lambda_ = selu_parameters(alpha, lambda_)
    m, v = (np.full(w.shape, value) for value in _pair(start))
    if not (v > 0).all():
        raise ValueError(f"fixed_point: start needs a variance > 0, got {start}")
    for _ in range(ITERATIONS):
        before = m, v
        m, v = _next(m, v, w, t, alpha, lambda_)
        if _step(m - before[0], v - before[1], v).max() < NEAR:
            break
    for _ in range(NEWTON_STEPS):
        to_m, to_v = _next(m, v, w, t, alpha, lambda_)
        d_m, d_v = to_m - m, to_v - v
        if _step(d_m, d_v, v).max() < PRECISION:
            break
        j = np.eye(2) - jacobian(m, v, w, t, alpha, lambda_)
        a, b, c, d = j[..., 0, 0], j[..., 0, 1], j[..., 1, 0], j[..., 1, 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            m = m + (d * d_m - b * d_v) / (a * d - b * c)
            v = v + (a * d_v - c * d_m) / (a * d - b * c)
        _require_between(v, w, t)
    radius = spectral_radius(jacobian(m, v, w, t, alpha, lambda_))
    bad = ~((radius < 1) & (_step(d_m, d_v, v) < 1e3 * PRECISION))
    if bad.any():
        i = np.argmax(bad)
        raise ValueError(
            "fixed_point: none that attracts was found for weight_sum "
            f"{w.flat[i]} and weight_square_sum {t.flat[i]}: near mean {m.flat[i]:.4g} and "
            f"variance {v.flat[i]:.4g} the largest eigenvalue is {radius.flat[i]:.4g}; "
            "give another start, or weights nearer to sum 0 and sum of squares 1"
        )
    return (m, v) if w.shape else (float(m), float(v))


def _pair(start: Any) -> tuple[float, float]:
    try:
        mean, variance = start
    except (TypeError, ValueError):
        raise TypeError(
            f"fixed_point: start must be a pair (mean, variance), got {shown(start)}"
        ) from None
    names = "fixed_point: start: mean", "fixed_point: start: variance"
    return number(mean, names[0]), number(variance, names[1])


def _step(d_m: np.ndarray, d_v: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return the larger relative change: of m in standard deviations, of v in variances."""
    step: np.ndarray = np.maximum(np.abs(d_m) / np.sqrt(v), np.abs(d_v) / v)
    return step


def _next(
    m: np.ndarray, v: np.ndarray, w: np.ndarray, t: np.ndarray, alpha: float, lambda_: float
) -> tuple[np.ndarray, np.ndarray]:
    m, v = (np.asarray(a) for a in moment_map(m, v, w, t, alpha, lambda_))
    _require_between(v, w, t)
    return m, v


def _require_between(v: np.ndarray, w: np.ndarray, t: np.ndarray) -> None:
    bad = ~((v > LEAST) & (v < MOST))
    if bad.any():
        i = np.argmax(bad)
        way = "collapses" if v.flat[i] <= LEAST else "grows without bound"
        raise ValueError(
            f"fixed_point: none: the variance {way} for weight_sum {w.flat[i]} and "
            f"weight_square_sum {t.flat[i]}; take weights nearer to sum 0 and sum of squares 1"
        )


def selu_constants(
    mean: float, variance: float, weight_sum: float = 0.0, weight_square_sum: float = 1.0
) -> tuple[float, float]:
    """Return alpha and lambda of the SELU for which (mean, variance) is a fixed point.

    Klambauer et al. 2017, appendix A5. With k = mean * weight_sum, s = variance * weight_square_sum
    and expectations over z ~ N(k, s), restricted to one side of 0::

        A = E[z; z > 0]        B = E[1 - exp(z); z <= 0]
        S = E[z^2; z > 0]      C = E[(1 - exp(z))^2; z <= 0]

    (mean, variance) is a fixed point of `moment_map` if::

        lambda A - lambda alpha B = mean                                     (a line)
        lambda^2 S + (lambda alpha)^2 C = variance + mean^2                  (an ellipse)

    On the quarter of the ellipse with lambda > 0 and alpha > 0, the left side of the first equation
    rises from -B sqrt((variance + mean^2) / C) to A sqrt((variance + mean^2) / S). So there is one
    solution for a mean between these bounds, and none otherwise.

    Parameters
    ----------
    mean : float
        For the default weights, above -sqrt(variance) B / sqrt(C - B^2) and below
        sqrt(variance / (pi - 1)) = 0.683 sqrt(variance). The lower bound is -0.683 sqrt(variance)
        for small variances and tends to -sqrt(variance) for large ones.
    variance : float in [1e-100, 1e100]
    weight_sum : float in [-1e100, 1e100]
        Sum of a unit's weights. Default: 0, its expectation for LeCun-normal weights.
    weight_square_sum : float in [1e-100, 1e100]
        Sum of their squares. Default: 1, its expectation for LeCun-normal weights.

    Returns
    -------
    alpha, lambda_ : float

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range, or if no SELU reaches the mean.

    Notes
    -----
    The authors' published solver assumes that z has this mean and variance, which is
    ``weight_sum=1``; its example (-0.1, 2) needs that. With random weights, whose sum is 0 on
    average, a network with those parameters converges to (0.016, 2.223) instead. For mean 0 both
    solutions are the same.

    For weight_sum = 0 all these fixed points attract. The eigenvalues of the Jacobian are 0 and
    weight_square_sum dv~/ds (v~, the variance of the output, and s: see `moment_map`) =
    Cov(f, z f') / variance for f = selu. With h = z f' - f, which is 0
    for z > 0 and lambda alpha (1 - (1 - z) exp(z)) else, the second one is
    1 + Cov(f, h) / variance. f rises and h falls with z, hence Cov(f, h) < 0. For z <= 0,
    0 <= h <= -f; and the means of f over the two sides of 0, which are equally probable, have
    opposite signs. So Var(h) <= E[f^2; z <= 0] < 4 Var(f), and Cov(f, h) > -2 variance. The
    eigenvalue lies between -1 and 1.

    Examples
    --------
    >>> alpha, lambda_ = selu_constants(0.0, 2.0)
    >>> round(alpha, 8), round(lambda_, 8)
    (1.97125575, 1.06070908)
    """
    mean, variance = _solvable(mean, "mean"), _solvable(variance, "variance", True)
    weight_sum = _solvable(weight_sum, "weight_sum")
    weight_square_sum = _solvable(weight_square_sum, "weight_square_sum", True)
    a, b, sa, sb = _sides(mean * weight_sum, variance * weight_square_sum)
    square = variance + mean * mean
    if a * a == 0 or b * b == 0:
        raise ValueError(
            f"selu_constants: mean {mean} and weight_sum {weight_sum} leave pre-activations of one "
            "sign, for which SELU has one parameter and not two; take a mean nearer to 0"
        )
    low, high = -b * math.sqrt(square / sb), a * math.sqrt(square / sa)
    if not low < mean < high:
        raise ValueError(
            f"selu_constants: no SELU has the fixed point mean {mean} and variance {variance}: with"
            f" this second moment its mean lies between {low:.6g} and {high:.6g}; take a mean "
            "nearer to 0, or a larger variance"
        )
    # p = lambda, q = lambda alpha: q = (p a - mean) / b in the ellipse is a quadratic for p
    ratio = sb / b**2
    half, rest = a * mean * ratio, mean * mean * ratio - square
    leading = sa + a * a * ratio
    root = math.sqrt(half * half - leading * rest)
    p = (half + root) / leading if half > 0 else -rest / (root - half)
    return (p * a - mean) / (b * p), p


def _solvable(value: object, name: str, positive: bool = False) -> float:
    """Return `value` as a float. Raises TypeError or ValueError out of the range in which no power
    in `selu_constants` overflows or underflows.
    """
    value = plain(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"selu_constants: {name} must be a number, got {shown(value)}")
    if not is_finite(value) or (positive and value <= 0):
        wanted = "positive and finite" if positive else "finite"
        raise ValueError(f"selu_constants: {name} must be {wanted}, got {shown(value)}")
    low = LEAST_SOLVED if positive else -MOST_SOLVED
    if not low <= value <= MOST_SOLVED:
        raise ValueError(
            f"selu_constants: {name} must be in [{low:g}, {MOST_SOLVED:g}], got {value}"
        )
    return float(value)


def _sides(mean: float, variance: float) -> list[float]:
    """Return A, B, S and C of `selu_constants` for z ~ N(mean, variance)."""
    k, s = np.array([mean]), np.array([variance])
    if s[0] < gaussian.SMALL:
        total = np.zeros(4)
        for _, z, weight in gaussian.nodes(k, s):
            right, left = max(z[0], 0.0), -math.expm1(min(z[0], 0.0))
            total += weight * np.array([right, left, right * right, left * left])
        return [float(value) for value in total]
    h = gaussian.half(k, s)
    width = np.sqrt(s) * h.density
    values = (
        k * h.positive + width,
        h.negative - h.exp1,
        (k * k + s) * h.positive + k * width,
        h.negative - 2 * h.exp1 + h.exp2,
    )
    return [float(value[0]) for value in values]


if not TYPE_CHECKING:
    __getattr__ = renamed(__name__, {"solve": "fastsnn.theory.selu_constants"})
