"""Assertions of the checks; the text of the AssertionError describes the difference."""

from __future__ import annotations

import numpy as np


def require(condition, message):
    if not condition:
        raise AssertionError(message)


def same(one, two, what):
    """Require equal bits in two dictionaries of arrays."""
    require(one.keys() == two.keys(), f"{what}: other names")
    wrong = [name for name in one if not np.array_equal(one[name], two[name])]
    require(not wrong, f"{what}: other bits in {len(wrong)} of {len(one)}: {' '.join(wrong[:5])}")
