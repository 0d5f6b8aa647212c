"""Source of trials that are known in advance: a grid, a list, or random samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from fastsnn.search.trial import Trial


class Listed:
    """Source of the option sets of a list, in order of decreasing cost.

    Expensive trials start first, so that no long trial is left for the end. Equal costs keep the
    order of the list.
    """

    about = {"sampler": "list"}

    def __init__(
        self, options: Sequence[dict[str, Any]], cost: Callable[[dict[str, Any]], float]
    ) -> None:
        self.options, self.cost = options, cost
        self.total = len(options)
        costs = [cost(one) for one in options]
        self._cost = sum(costs)
        self._order = iter(sorted(range(self.total), key=lambda n: -costs[n]))

    def recall(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Ignore the records of a resumed search: trials are identified by their options."""

    def next(self) -> tuple[int, dict[str, Any]] | None:
        """Return (number, options) of the next trial; None if none is left."""
        number = next(self._order, None)
        return None if number is None else (number, self.options[number])

    def tell(self, trial: Trial) -> None:
        """Do nothing: the order of trials does not depend on results."""

    def total_cost(self) -> float:
        """Return the cost of all trials."""
        return self._cost
