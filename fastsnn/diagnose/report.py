"""Measurements of one layer, the input of the rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Spread(NamedTuple):
    """Mean, low and high value of a quantity over the units of a layer."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class LayerReport:
    """Measurements of a layer. Fractions are in [0, 1]; None if a layer does not have a quantity.

    Attributes
    ----------
    layer : int
        Position; 0 is the input, the last one is the output.
    name : str
        Prefix of the layer's tensors.
    what : str
        Description in words.
    units : int
        Number of units.
    activation : str
        Name of the activation.
    mean, variance : float
        Moments over all units and rows.
    unit_means, unit_variances : Spread
        Moments of each unit over the rows: mean, 5 % and 95 % quantiles over the units.
    dead : float
        Fraction of units with the same output for every row.
    saturated : float or None
        Fraction of units in a flat part of their activation in 95 % of the rows.
    weight_sum, weight_square_sum : Spread or None
        Sums over a unit's weights and their squares: mean, minimum and maximum over the units.
    theorem1 : float or None
        Fraction of units in the domain of theorem 1 (SELU with fixed point (0, 1) on a dense
        layer).
    kept : float or None
        Fraction of units whose output mean and variance, by the moment map, are in the intervals of
        theorem 1.
    gradient : float or None
        Norm of the gradient of the weights, with all rows as one batch.
    signal : float or None
        Norm of d loss / d z for single rows, root mean square over the rows.
    """

    layer: int
    name: str
    what: str
    units: int
    activation: str
    mean: float
    variance: float
    unit_means: Spread
    unit_variances: Spread
    dead: float
    saturated: float | None = None
    weight_sum: Spread | None = None
    weight_square_sum: Spread | None = None
    theorem1: float | None = None
    kept: float | None = None
    gradient: float | None = None
    signal: float | None = None
