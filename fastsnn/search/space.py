"""What is tried: all combinations, or options drawn at random."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Any

import numpy as np

from fastsnn.search.trial import key_of

Space = Mapping[str, "Sequence[Any] | Range"]
TRIES = 100  # draws of one option set that was not drawn before


@dataclass(frozen=True)
class Range:
    """All numbers in [low, high], whole ones where both ends are ints; with `log`, each factor is
    as likely as another.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self):
        if any(
            isinstance(v, bool) or not isinstance(v, int | float) for v in (self.low, self.high)
        ):
            raise TypeError(f"range: numbers are required, got {self.low!r} to {self.high!r}")
        if not self.low < self.high or (self.log and self.low <= 0):
            wanted = "0 < low < high" if self.log else "low < high"
            raise ValueError(f"range: {wanted} is required, got {self.low} to {self.high}")

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    def at(self, u: float) -> float | int:
        """The number at u in [0, 1) of the way; every whole one has the same share."""
        low, high = self.low, self.high + self.whole
        value = exp(log(low) + u * (log(high) - log(low))) if self.log else low + u * (high - low)
        return min(int(value), self.high) if self.whole else min(max(value, low), high)


def grid(space: Space) -> list[dict[str, Any]]:
    """All combinations; the last option changes fastest."""
    for name, values in space.items():
        if isinstance(values, Range):
            raise ValueError(
                f"{name}: a grid needs values, got {values}; list them, or draw trials"
            )
        if isinstance(values, str) or not len(values):
            raise ValueError(f"{name}: a list of at least one value is required, got {values!r}")
    return [dict(zip(space, values, strict=True)) for values in itertools.product(*space.values())]


def drawn(space: Space, trials: int, seed: int) -> list[dict[str, Any]]:
    """`trials` different sets of options; the n-th is a function of the seed and the sets before.

    A space of values alone may have fewer: then all of them, in a random order.
    """
    found: dict[str, dict[str, Any]] = {}
    for number in range(trials):
        generator = np.random.Generator(np.random.Philox(key=seed + ((number + 1) << 64)))
        for _ in range(TRIES):
            options = {}
            for name, values in space.items():
                u = generator.random()
                inside = isinstance(values, Range)
                options[name] = values.at(u) if inside else values[int(u * len(values))]
            if found.setdefault(key_of(options), options) is options:
                break
    return list(found.values())


def unique(options: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A list of option sets of the caller's own; ValueError where it is empty or repeats one."""
    seen: dict[str, int] = {}
    for number, one in enumerate(options):
        first = seen.setdefault(key_of(one), number)
        if first != number:
            raise ValueError(f"space: trial {number} repeats the options of trial {first}: {one}")
    if not seen:
        raise ValueError("space: at least one set of options is required, got none")
    return [dict(one) for one in options]


def cost(options: Mapping[str, Any]) -> float:
    """Multiply-adds of a training, up to a factor: layers x width^2 x epochs, as far as given."""
    width = options.get("width") or 1
    return float((options.get("layers") or 1) * width * width * (options.get("epochs") or 1))
