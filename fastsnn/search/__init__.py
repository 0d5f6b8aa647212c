"""Hyperparameter search: run many trainings concurrently, and select one by the paper's protocol.

>>> def trial(options, report):
...     return {"score": -((options["x"] - 2) ** 2)}
>>> found = search(trial, {"x": [0, 1, 2, 3]}, protocol=ModelSelection(metric="r2"))
>>> found.best.options, found.best.score
({'x': 2}, 0)
"""

from typing import TYPE_CHECKING

from fastsnn.deprecated import renamed
from fastsnn.search.loop import Found, search
from fastsnn.search.protocol import NAMES_0_1, BestEpoch, ModelSelection
from fastsnn.search.space import Range, grid
from fastsnn.search.trial import Trial

__all__ = ["BestEpoch", "Found", "ModelSelection", "Range", "Trial", "grid", "search"]

if not TYPE_CHECKING:
    __getattr__ = renamed(__name__, NAMES_0_1)
