"""Data sets by name; which there are, and what reads them, is in `catalogue`."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from fastsnn.data import uci
from fastsnn.data.catalogue import ENTRIES
from fastsnn.data.download import Progress
from fastsnn.data.folds import Folds
from fastsnn.data.table import ENDINGS, Table, is_table
from fastsnn.data.ucinames import SHAPES

UCI = "uci/"
_SINGLE = {name: entry for name, entry in ENTRIES.items() if not entry.several}
DATASETS: dict[str, Callable[..., Table]] = {name: entry.read for name, entry in _SINGLE.items()}


def is_named(name: str) -> bool:
    """True if `name` is one of DATASETS or "uci/NAME", and not a file."""
    return name in DATASETS or (name.startswith(UCI) and not is_table(name))


def task_of(name: str) -> str:
    """The task of a data set with a name."""
    return _SINGLE[name].task if name in _SINGLE else ENTRIES[f"{UCI}NAME"].task


def is_image(name: str) -> bool:
    """True if the inputs are pixels, which one mean and one deviation standardize."""
    return name in _SINGLE and _SINGLE[name].image


def read_named(name: str, progress: Progress | None = None) -> Table:
    """The parts of a data set, not yet standardized; of those with folds, the parts of fold 1."""
    if name in DATASETS:
        return DATASETS[name](progress)
    return load_folds(name, progress).table()


def load_folds(name: str, progress: Progress | None = None) -> Folds:
    """A data set with given test and validation rows: "htru2", "tox21", or "uci/NAME"."""
    folded = {known: entry.folds for known, entry in _SINGLE.items() if entry.folds is not None}
    if name in folded:
        return folded[name](progress=progress)
    if not name.startswith(UCI):
        raise ValueError(
            f"data: folds are given for {', '.join(folded)} and {UCI}NAME, got {name!r}"
        )
    return uci.load(name, progress)


def unknown(name: str) -> ValueError:
    """The error for what is neither a name nor a file that can be read."""
    near = difflib.get_close_matches(name, [*DATASETS, *(UCI + n for n in SHAPES)], n=3)
    hint = f" (near names: {', '.join(near)})" if near else ""
    return ValueError(
        f"data: must be one of {', '.join(DATASETS)}, {UCI}NAME, or a file ending in "
        f"{ENDINGS}, got {name!r}{hint}"
    )
