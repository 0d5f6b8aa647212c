"""Theorems 1 to 3 of Klambauer et al. 2017, checked on grids over their domains.

The paper's appendix proves them by bounds between the points of a grid. These functions evaluate
the points alone, corners and edges included. That is evidence, not a proof; it takes about a
second, also for other constants and domains.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike

from fastsnn.checks.scalars import number, shown
from fastsnn.theory.fixed_points import fixed_point
from fastsnn.theory.moments import ALPHA, LAMBDA, floats, jacobian, moment_map, spectral_norm

POINTS, MOST_POINTS = 1_000_000, 100_000_000  # about 100 bytes each
Interval = tuple[float, float]
Grid = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # the axes, see `_grid`


@dataclass(frozen=True)
class Domain:
    """Intervals of mean, variance, weight_sum and weight_square_sum, see `moment_map`.

    Parameters
    ----------
    mean, weight_sum, variance, weight_square_sum : tuple of 2 floats
        (low, high) with low <= high; both ends belong to the interval.

    Raises
    ------
    TypeError, ValueError
        If an argument is not such a pair.
    """

    mean: Interval
    weight_sum: Interval
    variance: Interval
    weight_square_sum: Interval

    def __post_init__(self) -> None:
        for name in (entry.name for entry in fields(self)):
            given = getattr(self, name)
            try:
                low, high = (number(end, f"Domain: {name}") for end in given)
            except (TypeError, ValueError) as error:
                raise type(error)(
                    f"Domain: {name} must be two finite numbers (low, high), got {shown(given)}"
                ) from None
            if low > high:
                raise ValueError(f"Domain: {name} must be (low, high), got {shown(given)}")

    def axes(self, n: int) -> list[np.ndarray]:
        """Return `n` equally spaced values of mean, variance, weight_sum, weight_square_sum, ends
        included: a list of four float64 arrays (n,) in this order.
        """
        intervals = (self.mean, self.variance, self.weight_sum, self.weight_square_sum)
        return [np.linspace(*interval, n) for interval in intervals]

    def contains(
        self, mean: ArrayLike, variance: ArrayLike, weight_sum: ArrayLike,
        weight_square_sum: ArrayLike,
    ) -> np.ndarray:  # fmt: skip
        """Return True where all four arguments, floats or arrays, are inside the domain.

        The result is a bool array of their broadcast shape. NaN is outside. Raises TypeError for
        anything but real numbers.
        """
        inside = [
            (array >= low) & (array <= high)
            for array, (low, high) in (
                (floats(mean, "mean"), self.mean),
                (floats(variance, "variance"), self.variance),
                (floats(weight_sum, "weight_sum"), self.weight_sum),
                (floats(weight_square_sum, "weight_square_sum"), self.weight_square_sum),
            )
        ]
        return inside[0] & inside[1] & inside[2] & inside[3]


THEOREM1 = Domain((-0.1, 0.1), (-0.1, 0.1), (0.8, 1.5), (0.95, 1.1))
THEOREM2 = Domain((-1.0, 1.0), (-0.1, 0.1), (3.0, 16.0), (0.8, 1.25))
# The interval of variances starts at 0.02 in the main text, at 0.05 in appendix A2.3.
THEOREM3 = (
    Domain((-0.1, 0.1), (-0.1, 0.1), (0.02, 0.16), (0.8, 1.25)),
    Domain((-0.1, 0.1), (-0.1, 0.1), (0.02, 0.24), (0.9, 1.25)),
)


@dataclass(frozen=True)
class Check:
    """Result of the check of a theorem on a grid.

    Attributes
    ----------
    points : int
        Points of the grid.
    holds : bool
        True if the theorem's statement holds at every point.
    margin : float
        Smallest distance to a violation; negative if there is one.
    where : tuple of 4 floats
        The point with this margin: mean, variance, weight_sum, weight_square_sum.
    means, variances : tuple of 2 floats
        Smallest and largest mean and variance in the image of the grid.
    """

    points: int
    holds: bool
    margin: float
    where: tuple[float, float, float, float]
    means: Interval
    variances: Interval


@dataclass(frozen=True)
class Check1(Check):
    """Result of `check_theorem1`: a `Check` with more attributes.

    Attributes
    ----------
    norm : float
        Largest spectral norm of the Jacobian on the grid.
    fixed_means, fixed_variances : tuple of 2 floats
        Intervals (low, high) of the fixed points over the weights; NaN if one was not found.
    variance_bounds : tuple of 2 floats
        (smallest second moment - largest squared mean, largest second moment - smallest squared
        mean). The paper's interval [0.80009, 1.48617] is computed this way; it is wider than
        `variances`.
    """

    norm: float
    fixed_means: Interval
    fixed_variances: Interval
    variance_bounds: Interval


def in_theorem1_domain(
    mean: ArrayLike, variance: ArrayLike, weight_sum: ArrayLike, weight_square_sum: ArrayLike
) -> np.ndarray:
    """Return True where a unit is in the domain of theorem 1.

    The domain: mean and weight_sum in [-0.1, 0.1], variance in [0.8, 1.5], weight_square_sum in
    [0.95, 1.1].

    Parameters
    ----------
    mean, variance, weight_sum, weight_square_sum : float or array, broadcast together

    Returns
    -------
    bool array of the common shape
        False for NaN.
    """
    return THEOREM1.contains(mean, variance, weight_sum, weight_square_sum)


def check_theorem1(
    points: int = POINTS, domain: Domain = THEOREM1, alpha: float = ALPHA, lambda_: float = LAMBDA
) -> Check1:
    """Check theorem 1 of Klambauer et al. (2017) numerically on a grid.

    The theorem: for all weight sums of the domain, the map of mean and variance has exactly one
    fixed point in the domain, and it is attracting. This follows from two facts, which are checked
    at each point. The domain's means and variances are mapped into the domain. The largest singular
    value of the Jacobian is below 1, so the map is a contraction (appendix A3). The paper states
    the image: means in [-0.03106, 0.06773], variances in [0.80009, 1.48617].

    Parameters
    ----------
    points : int in [16, 100_000_000]
        Approximate number of points in the grid; about 100 bytes of memory each.
    domain : Domain
        Default: `THEOREM1`.
    alpha, lambda_ : float
        Parameters of SELU, see `moment_map`.

    Returns
    -------
    Check1
        `margin` is the smallest distance of the image to the edges of the domain, or 1 - norm if
        that is smaller. `holds` is True if `margin` > 0 and all fixed points are in the domain. If
        a fixed point is not found, their intervals are NaN and `holds` is False.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.

    Examples
    --------
    >>> check = check_theorem1(points=10_000)
    >>> check.holds, round(check.norm, 4)
    (True, 0.8976)
    """
    grid, size = _grid(points, domain)
    m, v = moment_map(*grid, alpha, lambda_)
    norm = spectral_norm(jacobian(*grid, alpha, lambda_))
    inside = [m - domain.mean[0], domain.mean[1] - m, v - domain.variance[0],
              domain.variance[1] - v]  # fmt: skip
    margins = np.minimum.reduce([*inside, 1 - norm])
    second, squares = v + m * m, m * m
    bounds = (float(second.min() - squares.max()), float(second.max() - squares.min()))
    edge = max(2, math.isqrt(math.isqrt(size)))
    _, _, w, t = domain.axes(edge)
    try:
        means, variances = fixed_point(w[:, None], t, alpha, lambda_)
    except ValueError:
        means, variances = np.full((2, edge, edge), np.nan)
    found = domain.contains(means, variances, w[:, None], t).all()
    check = _check(size, margins, grid, m, v)
    more = {"norm": float(norm.max()), "fixed_means": _interval(means),
            "fixed_variances": _interval(variances), "variance_bounds": bounds}  # fmt: skip
    return Check1(**vars(check) | {"holds": check.holds and bool(found)} | more)


def check_theorem2(
    points: int = POINTS, domain: Domain = THEOREM2, alpha: float = ALPHA, lambda_: float = LAMBDA
) -> Check:
    """Check theorem 2 of Klambauer et al. (2017) numerically on a grid.

    The theorem: the output variance v~ of a unit is below the variance v of its inputs for v from
    3 to 16, means in [-1, 1], weight_sum in [-0.1, 0.1] and weight_square_sum in [0.8, 1.25]. Hence
    no fixed point has a variance in [3, 16].

    Parameters
    ----------
    points, domain, alpha, lambda_
        As for `check_theorem1`. The default domain is `THEOREM2`.

    Returns
    -------
    Check
        `margin` is the smallest v - v~; `holds` is True if it is positive.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.
    """
    grid, size = _grid(points, domain)
    m, v = moment_map(*grid, alpha, lambda_)
    return _check(size, grid[1] - v, grid, m, v)


def check_theorem3(
    points: int = POINTS, domains: tuple[Domain, ...] = THEOREM3,
    alpha: float = ALPHA, lambda_: float = LAMBDA,
) -> tuple[Check, ...]:  # fmt: skip
    """Check theorem 3 of Klambauer et al. (2017) numerically on a grid.

    The theorem: the output variance v~ of a unit is above the variance v of its inputs on both
    domains, for v from 0.02 to 0.16, and to 0.24 if weight_square_sum >= 0.9; means and weight_sum
    are in [-0.1, 0.1]. Hence every fixed point has a variance above 0.16 (above 0.24 if
    weight_square_sum >= 0.9).

    Parameters
    ----------
    points, alpha, lambda_
        As for `check_theorem1`, with `points` in each grid.
    domains : tuple of Domain
        Default: the two domains of the theorem, `THEOREM3`.

    Returns
    -------
    tuple of Check
        One for each domain. `margin` is the smallest v~ - v; `holds` is True if it is positive.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.
    """
    checks = []
    for domain in [domains] if isinstance(domains, Domain) else domains:
        grid, size = _grid(points, domain)
        m, v = moment_map(*grid, alpha, lambda_)
        checks.append(_check(size, v - grid[1], grid, m, v))
    return tuple(checks)


def _grid(points: float, domain: Domain) -> tuple[Grid, int]:
    """Return four axes of equal length, which broadcast to a grid, and the size of the grid."""
    points = number(points, "points")
    if not 16 <= points <= MOST_POINTS:
        wanted = "at least 16" if points < 16 else f"at most {MOST_POINTS:,}"
        raise ValueError(f"points: {wanted} are required, got {points:g}")
    if not isinstance(domain, Domain):
        raise TypeError(f"domain: a Domain is required, got {shown(domain)}")
    n = round(points**0.25)
    mean, variance, w, t = np.meshgrid(*domain.axes(n), indexing="ij", sparse=True)
    return (mean, variance, w, t), n**4


def _check(size: int, margins: np.ndarray, grid: Grid, m: np.ndarray, v: np.ndarray) -> Check:
    worst = np.unravel_index(np.argmin(margins), margins.shape)
    a, b, c, d = (float(axis.ravel()[i]) for axis, i in zip(grid, worst, strict=True))
    margin = float(margins[worst])
    return Check(size, margin > 0, margin, (a, b, c, d), _interval(m), _interval(v))


def _interval(values: np.ndarray) -> tuple[float, float]:
    return float(np.min(values)), float(np.max(values))
