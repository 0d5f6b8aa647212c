"""Theorems 1 to 3 of Klambauer et al. 2017, checked on grids over their domains.

The appendix proves them with bounds between the points of a grid; here the grid alone is looked at,
corners and edges included. That is evidence and no proof, but for other constants or other domains
it is found in a second.
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
    """Intervals (low, high) of the inputs' mean and variance and of the sums over a unit's weights.

    Raises TypeError or ValueError unless each is a pair of finite numbers with low <= high.
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
        intervals = (self.mean, self.variance, self.weight_sum, self.weight_square_sum)
        return [np.linspace(*interval, n) for interval in intervals]

    def contains(
        self, mean: ArrayLike, variance: ArrayLike, weight_sum: ArrayLike,
        weight_square_sum: ArrayLike,
    ) -> np.ndarray:  # fmt: skip
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
# The main text begins the variances at 0.02, appendix A2.3 at 0.05: the wider one is taken.
THEOREM3 = (
    Domain((-0.1, 0.1), (-0.1, 0.1), (0.02, 0.16), (0.8, 1.25)),
    Domain((-0.1, 0.1), (-0.1, 0.1), (0.02, 0.24), (0.9, 1.25)),
)


@dataclass(frozen=True)
class Check:
    """Result of a check of a theorem on a grid.

    points: of the grid. holds: the theorem's statement at every one of them. margin: the least
    distance to a violation, negative where there is one; where: the (mean, variance, weight_sum,
    weight_square_sum) of it. means, variances: the least and the largest of the image.
    """

    points: int
    holds: bool
    margin: float
    where: tuple[float, float, float, float]
    means: Interval
    variances: Interval


@dataclass(frozen=True)
class Check1(Check):
    """Theorem 1: also the largest spectral norm of the Jacobian, the intervals of the fixed points
    over the weights, and the paper's bounds of the variances.

    variance_bounds are made of the least and the largest second moment, less the largest and the
    least squared mean: this is how the paper comes to [0.80009, 1.48617], somewhat wider than the
    image itself.
    """

    norm: float
    fixed_means: Interval
    fixed_variances: Interval
    variance_bounds: Interval


def in_theorem1_domain(
    mean: ArrayLike, variance: ArrayLike, weight_sum: ArrayLike, weight_square_sum: ArrayLike
) -> np.ndarray:
    """True if a unit is in the domain of theorem 1, a boolean array of the common shape: mean and
    weight_sum in [-0.1, 0.1], variance in [0.8, 1.5], weight_square_sum in [0.95, 1.1]. NaN is not.
    """
    return THEOREM1.contains(mean, variance, weight_sum, weight_square_sum)


def check_theorem1(
    points: int = POINTS, domain: Domain = THEOREM1, alpha: float = ALPHA, lambda_: float = LAMBDA
) -> Check1:
    """Theorem 1: one fixed point for all weights of the domain, and it attracts.

    That follows from two facts, which are looked at: the domain's means and variances are mapped
    into themselves, and the largest singular value of the Jacobian is below 1, so the map is a
    contraction (appendix A3). margin is the least of the distances to the edges and of 1 - that
    value; where no fixed point is found, the intervals of fixed points are NaN and holds is false.
    The paper says: means in [-0.03106, 0.06773], variances in [0.80009, 1.48617].

    points : approximate number of points in the grid, at least 16.
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
    """Theorem 2: large variances decrease, v~ < v, so fixed points have variances below 3.

    margin is the least v - v~. points: approximate number in the grid, at least 16.
    """
    grid, size = _grid(points, domain)
    m, v = moment_map(*grid, alpha, lambda_)
    return _check(size, grid[1] - v, grid, m, v)


def check_theorem3(
    points: int = POINTS, domains: tuple[Domain, ...] = THEOREM3,
    alpha: float = ALPHA, lambda_: float = LAMBDA,
) -> tuple[Check, ...]:  # fmt: skip
    """Theorem 3: small variances increase, v~ > v, so fixed points have variances above 0.16, or
    above 0.24 where weight_square_sum is at least 0.9. A check for each of the two domains.

    margin is the least v~ - v. points: approximate number in each grid, at least 16.
    """
    checks = []
    for domain in [domains] if isinstance(domains, Domain) else domains:
        grid, size = _grid(points, domain)
        m, v = moment_map(*grid, alpha, lambda_)
        checks.append(_check(size, v - grid[1], grid, m, v))
    return tuple(checks)


def _grid(points: float, domain: Domain) -> tuple[Grid, int]:
    """Axes that broadcast to a grid of four dimensions with equal numbers of points, and its
    size.
    """
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
