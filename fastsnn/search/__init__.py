"""Searches: many trainings, several concurrently, of which the paper's protocol chooses one.

>>> def trial(options, report):
...     return {"score": -((options["x"] - 2) ** 2)}
>>> found = search(trial, {"x": [0, 1, 2, 3]}, protocol=Protocol(metric="r2"))
>>> found.best.options, found.best.score
({'x': 2}, 0)
"""

from fastsnn.search.loop import Found, search
from fastsnn.search.protocol import Protocol, Selection
from fastsnn.search.space import Range, grid
from fastsnn.search.trial import Trial

__all__ = ["Found", "Protocol", "Range", "Selection", "Trial", "grid", "search"]
