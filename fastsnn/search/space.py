"""Search spaces: all combinations of options, or options drawn at random."""

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
MOST = 1e300  # largest absolute value of the ends of a Range: their difference is finite
MOST_TRIALS = 1_000_000  # the list of all trials is built before the first one begins
MOST_SIZE = 1e50  # of one factor of `cost`
TRIES = 100  # draws of one option set that was not drawn before


@dataclass(frozen=True)
class Range:
    """All numbers in [low, high], whole ones where both ends are ints; with `log`, each factor is
    as likely as another.
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
            raise ValueError(f"range: ends within {MOST:g} are required, {given}")
        for name, value in (("low", low), ("high", high), ("log", log)):
            object.__setattr__(self, name, value)

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    def at(self, u: float) -> float | int:
        """The number at u in [0, 1) of the way; every whole one has the same share."""
        low, high = self.low, self.high + self.whole
        value = exp(log(low) + u * (log(high) - log(low))) if self.log else low + u * (high - low)
        return min(int(value), self.high) if self.whole else min(max(value, low), high)


def checked(space: Space) -> dict[str, list[Any] | Range]:
    """The space with values as lists, or Ranges. Raises TypeError or ValueError for anything
    else.
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
    """All combinations; the last option changes fastest."""
    lists: dict[str, list[Any]] = {}
    for name, values in checked(space).items():
        if isinstance(values, Range):
            raise ValueError(
                f"{name}: a grid needs values, got {values}; list them, or draw trials"
            )
        lists[name] = values
    count = prod(map(len, lists.values()))
    if count > MOST_TRIALS:
        raise ValueError(
            f"space: at most {MOST_TRIALS:,} combinations are supported, got {shown(count)}; "
            "draw trials, or give fewer values"
        )
    return [dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values())]


def drawn(space: Space, trials: int, seed: int) -> list[dict[str, Any]]:
    """`trials` different sets of options; the n-th is a function of the seed and the sets before.

    A space of values alone may have fewer: then all of them, in a random order.
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
    """A list of option sets of the caller's own; ValueError where it is empty or repeats one."""
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
    """Multiply-adds of a training, up to a factor: layers x width^2 x epochs, as far as given."""
    layers, width, epochs = (_size(options.get(n)) for n in ("layers", "width", "epochs"))
    return layers * width * width * epochs


def _size(value: Any) -> float:
    """A factor of the cost: 1 for anything but a number, and bounded so that no sum overflows."""
    return min(abs(float(value)), MOST_SIZE) if is_number(value) and value else 1.0
