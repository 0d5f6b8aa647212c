"""The theory of self-normalizing networks as a tool (Klambauer et al. 2017): how mean and variance
go through a layer, where they come to rest, SELUs for other fixed points, theorems 1 to 3 checked.

>>> m, v = moment_map(0.05, 1.4)  # of a unit's inputs -> of its outputs
>>> round(m, 4), round(v, 4)
(0.036, 1.3)
"""

from fastsnn.theory.fixed_points import fixed_point, solve
from fastsnn.theory.moments import (
    ALPHA,
    LAMBDA,
    jacobian,
    moment_map,
    spectral_norm,
    spectral_radius,
)
from fastsnn.theory.theorems import (
    THEOREM1,
    THEOREM2,
    THEOREM3,
    Check,
    Check1,
    Domain,
    check_theorem1,
    check_theorem2,
    check_theorem3,
    in_theorem1_domain,
)

__all__ = [
    "ALPHA", "LAMBDA", "THEOREM1", "THEOREM2", "THEOREM3", "Check", "Check1", "Domain",
    "check_theorem1", "check_theorem2", "check_theorem3", "fixed_point", "in_theorem1_domain",
    "jacobian", "moment_map", "solve", "spectral_norm", "spectral_radius",
]  # fmt: skip
