"""Hyperparameter search: train many configurations concurrently, and select one as in the paper.

>>> def trial(options, report):
...     return {"score": -((options["x"] - 2) ** 2)}
>>> found = search(trial, {"x": [0, 1, 2, 3]}, protocol=ModelSelection(metric="r2"))
>>> found.best.options, found.best.score
({'x': 2}, 0)
"""

import typing as _typing

from fastsnn.deprecated import renamed as _renamed
from fastsnn.search.loop import Found, search
from fastsnn.search.protocol import NAMES_0_1 as _NAMES_0_1
from fastsnn.search.protocol import BestEpoch, ModelSelection
from fastsnn.search.space import Range, grid
from fastsnn.search.trial import Trial

__all__ = ["BestEpoch", "Found", "ModelSelection", "Range", "Trial", "grid", "search"]

if not _typing.TYPE_CHECKING:  # type checkers report the old names
    __getattr__ = _renamed(__name__, _NAMES_0_1)
