"""Theory of self-normalizing networks (Klambauer et al. 2017): the map of mean and variance through
a layer, its Jacobian and fixed points, SELU parameters for other fixed points, and numerical checks
of theorems 1 to 3. Everything is computed in float64.

Notation: a unit with weights w_i has `weight_sum` = sum_i w_i (the paper's omega) and
`weight_square_sum` = sum_i w_i^2 (tau). `mean` and `variance` (mu and nu) are those of its inputs.

>>> m, v = moment_map(0.05, 1.4)  # of a unit's inputs -> of its outputs
>>> round(m, 4), round(v, 4)
(0.036, 1.3)
"""

import typing as _typing

from fastsnn.deprecated import renamed as _renamed
from fastsnn.theory.fixed_points import fixed_point, selu_constants
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
    "jacobian", "moment_map", "selu_constants", "spectral_norm", "spectral_radius",
]  # fmt: skip

if not _typing.TYPE_CHECKING:  # type checkers report the old names
    __getattr__ = _renamed(__name__, {"solve": "fastsnn.theory.selu_constants"})
