"""The figures of one layer, which the rules judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Spread(NamedTuple):
    """Over the units of a layer."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class LayerReport:
    """A step of the network; 0 is the input, the last one the output.

    name: of its tensors. what: in words. mean, variance: over all units and rows. unit_means,
    unit_variances: over the rows, their mean and 5 and 95 % quantiles over the units. dead: share
    of units with the same output for every row. saturated: share of those that are in a flat part
    of their activation in 95 % of the rows. weight_sum, weight_square_sum: over a unit's weights;
    mean, least and largest. theorem1: share of units in the domain of theorem 1, kept: share of
    those that the moment map sends to its means and variances (SELU with fixed point (0, 1) on a
    dense layer). gradient: norm of the weights' gradient over the rows as one batch. signal: root
    mean square over rows, one by one, of the norm of d loss / d z. What a step does not have is
    None.
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
