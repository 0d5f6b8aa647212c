"""Read data sets by name, as listed in `catalogue`."""

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
_SINGLE = {name: entry for name, entry in ENTRIES.items() if not entry.is_family}
DATASETS: dict[str, Callable[..., Table]] = {name: entry.read for name, entry in _SINGLE.items()}
"""Name -> loader of every named data set except the UCI tasks, which are named "uci/NAME"."""


def is_named(name: str) -> bool:
    """Return True if `name` names a data set: a key of `DATASETS` or "uci/NAME", not a file.

    It is not checked that the UCI task exists.
    """
    return name in DATASETS or (name.startswith(UCI) and not is_table(name))


def task_of(name: str) -> str:
    """Return the task of a named data set."""
    return _SINGLE[name].task if name in _SINGLE else ENTRIES[f"{UCI}NAME"].task


def is_image(name: str) -> bool:
    """Return True if the features are pixels, standardized with a single mean and scale."""
    return name in _SINGLE and _SINGLE[name].image


def read_named(name: str, progress: Progress | None = None) -> Table:
    """Return the parts of a named data set, not standardized; fold 1 if it has folds.

    Files that are not on this machine are downloaded.

    Parameters
    ----------
    name : str
        A key of `DATASETS`, or "uci/NAME".
    progress : callable, optional
        Called during a download as ``progress(file_name, received, total)``: bytes received, and
        total bytes or None if unknown.

    Returns
    -------
    Table
        x is uint8, float32 or float64 (n, features), as in the files.

    Raises
    ------
    ValueError
        The name is unknown, or a file is damaged.
    FileNotFoundError
        The data set is not on this machine and has no download.
    RuntimeError
        A download failed on every mirror, or an optional dependency is not installed.
    """
    if name in DATASETS:
        return DATASETS[name](progress)
    return load_folds(name, progress).table()


def load_folds(name: str, progress: Progress | None = None) -> Folds:
    """Load a data set with predefined training, validation and test rows.

    Parameters
    ----------
    name : str
        "htru2" (10 folds), "tox21" (6 folds) or "uci/NAME" (4 folds), such as "uci/iris"; see
        `uci.names`.
    progress : callable, optional
        Called during a download as ``progress(file_name, received, total)``: bytes received, and
        total bytes or None if unknown.

    Returns
    -------
    Folds
        All rows, not standardized, and their folds; `Folds.parts` returns a fold ready to train on.

    Raises
    ------
    ValueError
        The name is unknown or has no folds, or a file is damaged.
    RuntimeError
        A download failed on every mirror, or an optional dependency is not installed.
    """
    folded = {known: entry.folds for known, entry in _SINGLE.items() if entry.folds is not None}
    if name in folded:
        return folded[name](progress=progress)
    if not name.startswith(UCI):
        raise ValueError(f"data: folds exist for {', '.join(folded)} and {UCI}NAME, got {name!r}")
    return uci.load(name, progress)


def unknown(name: str) -> ValueError:
    """Return the error for a string that is neither a data set's name nor a readable file type."""
    near = difflib.get_close_matches(name, [*DATASETS, *(UCI + n for n in SHAPES)], n=3)
    hint = f" (similar names: {', '.join(near)})" if near else ""
    return ValueError(
        f"data: must be one of {', '.join(DATASETS)}, {UCI}NAME, or a file ending in "
        f"{ENDINGS}, got {name!r}{hint}"
    )
