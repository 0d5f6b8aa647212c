"""Search spaces: all combinations of option values, or random samples of them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log, prod
from typing import Any

import numpy as np

from fastsnn.checks.scalars import plain, shown
from fastsnn.search.trial import is_number, key_of

Space = Mapping[str, "Sequence[Any] | Range"]
MOST = 1e300  # maximum absolute value of the bounds of a Range, so that their difference is finite
MOST_TRIALS = 1_000_000  # limited because the list of trials is built before the first one starts
MOST_SIZE = 1e50  # maximum of one factor of `cost`
TRIES = 100  # maximum number of samples until one differs from all previous ones


@dataclass(frozen=True)
class Range:
    """Range of numbers to sample an option from.

    If both bounds are ints, samples are ints in [low, high]; otherwise they are floats in
    [low, high].

    Parameters
    ----------
    low, high : int or float
        Bounds, low < high, with absolute values of at most 1e300.
    log : bool
        Sample uniformly on a logarithmic scale; requires low > 0. By default, on a linear scale.

    Raises
    ------
    TypeError
        A bound is not a number, or `log` not a bool.
    ValueError
        The bounds are not in increasing order, too large, or not positive although `log` is True.

    Examples
    --------
    >>> round(Range(0.001, 0.1, log=True).at(0.5), 6)
    0.01
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        low, high, log = plain(self.low), plain(self.high), plain(self.log)
        given = f"got {shown(low)} to {shown(high)}"
        if any(isinstance(v, bool) or not isinstance(v, int | float) for v in (low, high)):
            raise TypeError(f"range: numbers are required, {given}")
        if not isinstance(log, bool):
            raise TypeError(f"range: log must be True or False, got {shown(log)}")
        if not low < high or (log and low <= 0):
            wanted = "0 < low < high" if log else "low < high"
            raise ValueError(f"range: {wanted} is required, {given}")
        if not max(-low, high) <= MOST:
            raise ValueError(f"range: bounds within {MOST:g} are required, {given}")
        for name, value in (("low", low), ("high", high), ("log", log)):
            object.__setattr__(self, name, value)

    @property
    def whole(self) -> bool:
        """True if both bounds are ints, so that samples are ints."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def at(self, u: float) -> float | int:
        """Return the number at the fraction u in [0, 1) of the range.

        On a linear scale, every int in [low, high] has the same probability.
        """
        low, high = self.low, self.high + self.whole
        value = exp(log(low) + u * (log(high) - log(low))) if self.log else low + u * (high - low)
        return min(int(value), self.high) if self.whole else min(max(value, low), high)


def checked(space: Space) -> dict[str, list[Any] | Range]:
    """Return the space with each option's values as a list or `Range`.

    Raises TypeError or ValueError for anything else.
    """
    found: dict[str, list[Any] | Range] = {}
    for name, values in space.items():
        if not isinstance(name, str):
            raise TypeError(f"space: names are required, got {shown(name)}")
        if not isinstance(values, Range):
            wanted = f"{name}: a list of at least one value is required, got {shown(values)}"
            if not isinstance(values, list | tuple | range | np.ndarray):
                raise TypeError(wanted)
            if not len(values):
                raise ValueError(wanted)
            values = list(values)
        found[name] = values
    return found


def grid(space: Space) -> list[dict[str, Any]]:
    """Return all combinations of the values of each option.

    Parameters
    ----------
    space : dict
        Name of each option -> list of its values. A `Range` is not accepted.

    Returns
    -------
    list of dict
        At most 1,000,000 option sets; the last option varies fastest.

    Raises
    ------
    TypeError
        A name is not a string, or the values of an option are not a list.
    ValueError
        An option has no values or a `Range`, or there are too many combinations.

    Examples
    --------
    >>> grid({"layers": [2, 4], "width": [64]})
    [{'layers': 2, 'width': 64}, {'layers': 4, 'width': 64}]
    """
    lists: dict[str, list[Any]] = {}
    for name, values in checked(space).items():
        if isinstance(values, Range):
            raise ValueError(
                f"{name}: a grid needs values, got {values}; list the values, or sample trials"
            )
        lists[name] = values
    count = prod(map(len, lists.values()))
    if count > MOST_TRIALS:
        raise ValueError(
            f"space: at most {MOST_TRIALS:,} combinations are supported, got {shown(count)}; "
            "sample trials, or give fewer values"
        )
    return [dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values())]


def drawn(space: Space, trials: int, seed: int) -> list[dict[str, Any]]:
    """Return up to `trials` distinct random option sets.

    The n-th set is a function of the seed and the previous sets. If the space has fewer
    combinations, they are returned in random order.
    """
    space = checked(space)
    found: dict[str, dict[str, Any]] = {}
    for number in range(trials):
        generator = np.random.Generator(np.random.Philox(key=seed + ((number + 1) << 64)))
        for _ in range(TRIES):
            options = {}
            for name, values in space.items():
                u = generator.random()
                if isinstance(values, Range):
                    options[name] = values.at(u)
                else:
                    options[name] = values[int(u * len(values))]
            if found.setdefault(key_of(options), options) is options:
                break
    return list(found.values())


def unique(options: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a copy of a list of option sets. Raises ValueError if empty or with duplicates."""
    seen: dict[str, int] = {}
    for number, one in enumerate(options):
        if not isinstance(one, Mapping):
            raise TypeError(
                f"space: trial {number}: a dict of options is required, got {shown(one)}"
            )
        first = seen.setdefault(key_of(one), number)
        if first != number:
            raise ValueError(
                f"space: trial {number} repeats the options of trial {first}: {shown(one)}"
            )
    if not seen:
        raise ValueError("space: at least one set of options is required, got none")
    return [dict(one) for one in options]


def cost(options: Mapping[str, Any]) -> float:
    """Return an estimate of the cost of a training run: layers * width**2 * epochs.

    The estimate is proportional to the multiply-adds. Options that are missing count as 1.
    """
    layers, width, epochs = (_size(options.get(n)) for n in ("layers", "width", "epochs"))
    return layers * width * width * epochs


def _size(value: Any) -> float:
    """Return a factor of the cost: 1 if it is not a number, bounded so that no sum overflows."""
    return min(abs(float(value)), MOST_SIZE) if is_number(value) and value else 1.0
