"""Map of mean and variance through a layer of SELU units (Klambauer et al. 2017, eq. (3) to (5)).

A unit with weights w_i computes z = sum_i w_i x_i. Its inputs have mean m and variance v. With
weight_sum = sum_i w_i (the paper's omega) and weight_square_sum = sum_i w_i^2 (tau), and many
inputs, z is close to a Gaussian with mean k = m weight_sum and variance s = v weight_square_sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastsnn.checks.scalars import plain, shown
from fastsnn.theory import gaussian

# The fixed point (mean 0, variance 1). Closed forms, appendix A2, with c = erfc(1 / sqrt(2)):
# alpha = sqrt(2 / pi) / (1 - sqrt(e) c)
# lambda = (1 - sqrt(e) c) sqrt(2 pi) / sqrt(
#     2 erfc(sqrt(2)) e^2 + pi c^2 e - 2 (2 + pi) c sqrt(e) + pi + 2)
ALPHA = 1.67326324235437728481704299167
LAMBDA = 1.05070098735548049341933498529
MOST_MEAN, MOST_VARIANCE = 1e100, 1e200  # of z
MOST_PARAMETER = 1e50  # alpha, lambda: their squares times a second moment are finite


def moment_map(
    mean: ArrayLike,
    variance: ArrayLike,
    weight_sum: ArrayLike = 0.0,
    weight_square_sum: ArrayLike = 1.0,
    alpha: float = ALPHA,
    lambda_: float = LAMBDA,
) -> tuple[Any, Any]:  # floats, or arrays, as given
    """Return the mean and variance of a SELU unit's output, given those of its inputs.

    These are the moments of selu(z), z ~ N(k, s) with k = mean * weight_sum and
    s = variance * weight_square_sum (Klambauer et al. 2017, eq. (4) and (5)), in closed form. With
    Phi and phi the standard normal distribution function and density at r = k / sqrt(s), and
    E[n] the truncated expectation E(exp(n z) 1{z <= 0})::

        m~ = lambda (k Phi + sqrt(s) phi + alpha (E[1] - (1 - Phi)))
        v~ = lambda^2 ((k^2 + s) Phi + k sqrt(s) phi + alpha^2 (E[2] - 2 E[1] + 1 - Phi)) - m~^2

    abs(k) <= 1e100 and s <= 1e200 are required. s = 0 gives (selu(k), 0).

    Parameters
    ----------
    mean, variance : float or array
        Mean and variance >= 0 of the unit's inputs. These and the weight sums are broadcast
        together.
    weight_sum, weight_square_sum : float or array
        Sum of the unit's weights, and sum >= 0 of their squares. The defaults 0 and 1 are the
        expectations for LeCun-normal weights.
    alpha : float in [0, 1e50]
    lambda_ : float in (0, 1e50]
        Parameters of SELU. Defaults: those of the fixed point (0, 1).

    Returns
    -------
    mean, variance : float, or float64 array of the common shape
        The error of the mean is below 1e-14 max(1, abs(m~)). The relative error of the variance is
        below 1e-12 for r > -5 and below 1e-10 for r >= -10; elsewhere its absolute error is below
        1e-20.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.

    Notes
    -----
    No intermediate result overflows for arguments in range. To avoid cancellation, the second
    moment is taken about lambda k (k > 0) or -lambda alpha (k <= 0) instead of 0. For s < 0.01,
    both moments are computed by Gauss-Legendre quadrature with 96 nodes.

    Examples
    --------
    >>> m, v = moment_map(0.0, 1.0)
    >>> abs(m) < 1e-15, round(v, 14)
    (True, 1.0)
    """
    k, s, shape = _pre_activation(mean, variance, weight_sum, weight_square_sum)
    alpha, lambda_ = selu_parameters(alpha, lambda_)
    m, v = np.empty_like(k), np.empty_like(k)
    small = s < gaussian.SMALL
    for rows, of in ((small, _by_nodes), (~small, _closed)):
        if rows.any():
            m[rows], v[rows] = of(k[rows], s[rows], alpha)
    m, v = lambda_ * m, lambda_**2 * np.maximum(v, 0)
    return (m.reshape(shape), v.reshape(shape)) if shape else (float(m[0]), float(v[0]))


def _closed(k: np.ndarray, s: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Return (mean, variance) for lambda = 1, from the closed forms."""
    h, deviation = gaussian.half(k, s), np.sqrt(s)
    width = deviation * h.density
    # selu(z) - k for k > 0: only the side z <= 0 differs from a straight line
    c = alpha + k
    one = width + alpha * h.exp1 - c * h.negative
    two = s * h.positive - k * width + c * (c * h.negative - 2 * alpha * h.exp1)
    two += alpha**2 * h.exp2
    # selu(z) + alpha for k <= 0: every term is positive
    above = k * h.positive + width  # E[z; z > 0]
    other = above + alpha * (h.positive + h.exp1)
    squares = (k * k + s) * h.positive + k * width
    squares += alpha * (2 * above + alpha * (h.positive + h.exp2))
    right = k > 0
    one, two = np.where(right, one, other), np.where(right, two, squares)
    return np.where(right, k, -alpha) + one, two - one * one


def _by_nodes(k: np.ndarray, s: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Return (mean, variance) for lambda = 1 by quadrature around selu(k), without differences of
    nearly equal terms.
    """
    center = np.where(k > 0, k, alpha * np.expm1(np.minimum(k, 0)))
    slope = alpha * np.exp(np.minimum(k, 0))
    one, two = np.zeros_like(k), np.zeros_like(k)
    for step, z, weight in gaussian.nodes(k, s):
        left = np.minimum(z, 0)
        across = np.where(z > 0, z, alpha * np.expm1(left)) - center
        along = np.where(k > 0, step, slope * np.expm1(step))
        d = np.where((z > 0) == (k > 0), along, across)
        one += weight * d
        two += weight * d * d
    return center + one, two - one * one


def jacobian(
    mean: ArrayLike,
    variance: ArrayLike,
    weight_sum: ArrayLike = 0.0,
    weight_square_sum: ArrayLike = 1.0,
    alpha: float = ALPHA,
    lambda_: float = LAMBDA,
) -> np.ndarray:
    """Return the Jacobian of `moment_map` with respect to mean and variance.

    Klambauer et al. 2017, appendix A3.4.1. The expectation E[f(z)] over z ~ N(k, s) has the
    derivatives E[f'] by k and E[f''] / 2 by s. In the notation of `moment_map`::

        dm~/dk = lambda (Phi + alpha E[1])
        dm~/ds = lambda (alpha E[1] + (1 - alpha) phi / sqrt(s)) / 2
        dv~/dk = 2 lambda^2 (k Phi + sqrt(s) phi + alpha^2 (E[2] - E[1])) - 2 m~ dm~/dk
        dv~/ds = lambda^2 (Phi + alpha^2 (2 E[2] - E[1])) - 2 m~ dm~/ds

    The derivatives by mean and variance are those by k and s, times weight_sum and
    weight_square_sum.

    Parameters
    ----------
    mean, variance, weight_sum, weight_square_sum, alpha, lambda_
        As for `moment_map`, but with variance * weight_square_sum > 0: because of the kink of SELU,
        dm~/ds has no limit for s -> 0.

    Returns
    -------
    (..., 2, 2) float64 array
        ``[[dm~/dmean, dm~/dvariance], [dv~/dmean, dv~/dvariance]]``, with errors below
        1e-13 max(1, abs(k)).

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.

    Examples
    --------
    >>> jacobian(0.0, 1.0).round(4) + 0.0
    array([[0.    , 0.0888],
           [0.    , 0.7826]])
    """
    k, s, shape = _pre_activation(mean, variance, weight_sum, weight_square_sum)
    alpha, lambda_ = selu_parameters(alpha, lambda_)
    if not (s > 0).all():
        raise ValueError(
            "jacobian: variance * weight_square_sum > 0 is required, got 0; SELU has a kink"
        )
    h, deviation = gaussian.half(k, s), np.sqrt(s)
    above = k * h.positive + deviation * h.density
    m = lambda_ * (above + alpha * (h.exp1 - h.negative))
    small = s < gaussian.SMALL
    if small.any():  # there m_s is large and multiplies the error of m
        m[small] = moment_map(k[small], s[small], 1.0, 1.0, alpha, lambda_)[0]
    m_k = lambda_ * (h.positive + alpha * h.exp1)
    m_s = 0.5 * lambda_ * (alpha * h.exp1 + (1 - alpha) * h.density / deviation)
    v_k = 2 * lambda_**2 * (above + alpha**2 * (h.exp2 - h.exp1)) - 2 * m * m_k
    v_s = lambda_**2 * (h.positive + alpha**2 * (2 * h.exp2 - h.exp1)) - 2 * m * m_s
    by_k, by_s = np.stack([m_k, v_k], -1), np.stack([m_s, v_s], -1)
    by_k *= np.broadcast_to(weight_sum, shape).reshape(-1, 1)
    by_s *= np.broadcast_to(weight_square_sum, shape).reshape(-1, 1)
    return np.stack([by_k, by_s], -1).reshape(*shape, 2, 2)


def spectral_norm(matrix: ArrayLike) -> np.ndarray:
    """Return the largest singular value of matrices (..., 2, 2).

    For a `jacobian`, it is the largest factor by which the map stretches a small change of mean and
    variance; below 1 the map is a contraction. Returns a float64 array (...). Raises TypeError or
    ValueError for anything but real numbers of this shape.
    """
    a, b, c, d = _entries(matrix)
    norm: np.ndarray = 0.5 * (np.hypot(a + d, b - c) + np.hypot(a - d, b + c))
    return norm


def spectral_radius(matrix: ArrayLike) -> np.ndarray:
    """Return the largest absolute eigenvalue of matrices (..., 2, 2).

    For a `jacobian` at a fixed point, it is below 1 if the fixed point is attracting. Returns a
    float64 array (...). Raises TypeError or ValueError for anything but real numbers of this shape.
    """
    a, b, c, d = _entries(matrix)
    with np.errstate(over="ignore", invalid="ignore"):  # entries above 1e150
        half_trace, determinant = 0.5 * (a + d), a * d - b * c
        inside = (0.5 * (a - d)) ** 2 + b * c
        real = np.abs(half_trace) + np.sqrt(np.maximum(inside, 0))
        radius = np.where(inside >= 0, real, np.sqrt(np.maximum(determinant, 0)))
    return np.where(np.isnan(radius) & np.isfinite(a + b + c + d), np.inf, radius)


def _entries(matrix: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    a = floats(matrix, "matrix")
    if a.shape[-2:] != (2, 2):
        raise ValueError(f"matrix: shape (..., 2, 2) is required, got {a.shape}")
    return a[..., 0, 0], a[..., 0, 1], a[..., 1, 0], a[..., 1, 1]


def _pre_activation(
    mean: ArrayLike, variance: ArrayLike, weight_sum: ArrayLike, weight_square_sum: ArrayLike
) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """Return k (n,), s (n,) and the common shape; raises TypeError or ValueError out of range."""
    names = ("mean", "variance", "weight_sum", "weight_square_sum")
    values = (mean, variance, weight_sum, weight_square_sum)
    given = [floats(*pair) for pair in zip(values, names, strict=True)]
    for name, array in zip(("variance", "weight_square_sum"), given[1::2], strict=True):
        if not (array >= 0).all():
            raise ValueError(f"{name}: numbers >= 0 are required, got {np.min(array)}")
    with np.errstate(over="ignore", invalid="ignore"):
        k, s = np.broadcast_arrays(given[0] * given[2], given[1] * given[3])
    if not ((np.abs(k) <= MOST_MEAN).all() and (s <= MOST_VARIANCE).all()):
        raise ValueError(
            f"mean * weight_sum within {MOST_MEAN:.0e} and variance * weight_square_sum up to "
            f"{MOST_VARIANCE:.0e} are required, got {np.max(np.abs(k))} and {np.max(s)}"
        )
    return k.ravel(), s.ravel(), k.shape


def selu_parameters(alpha: float, lambda_: float) -> tuple[float, float]:
    """Return `alpha` and `lambda_` as floats.

    Raises TypeError or ValueError if one is out of the range that `moment_map` gives.
    """
    alpha, lambda_ = plain(alpha), plain(lambda_)
    for name, value in (("alpha", alpha), ("lambda_", lambda_)):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"{name} must be a number, got {shown(value)}")
    if not (0 <= alpha <= MOST_PARAMETER and 0 < lambda_ <= MOST_PARAMETER):
        raise ValueError(
            f"finite alpha >= 0 and lambda_ > 0 are required, got alpha {shown(alpha)} and lambda_ "
            f"{shown(lambda_)}"
        )
    return float(alpha), float(lambda_)


def floats(values: ArrayLike, where: str) -> np.ndarray:
    """Return a float64 array. Raises TypeError or ValueError for anything but real numbers.

    `where` is the start of the error message.
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind in "fiub":
            return array.astype(np.float64, copy=False)
        if array.dtype.kind == "O" and all(
            isinstance(value, int | float) for value in array.ravel().tolist()
        ):
            return array.astype(np.float64)  # ints of more than 64 bits
    except OverflowError:
        raise ValueError(f"{where}: numbers of float64 are required, got {shown(values)}") from None
    except ValueError:
        pass  # lists of several lengths
    raise TypeError(f"{where}: numbers are required, got {shown(values)}")
