"""Data sets by name: which there are, and what reads them."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from fastsnn.data import htru2, tox21, uci
from fastsnn.data.cifar10 import load_cifar10, load_exact
from fastsnn.data.digits import load_digits
from fastsnn.data.download import Progress
from fastsnn.data.folds import Folds
from fastsnn.data.mnist import load_mnist
from fastsnn.data.optdigits import load_optdigits
from fastsnn.data.table import ENDINGS, Table, is_table

UCI = "uci/"
FOLDED: dict[str, Callable[..., Folds]] = {"htru2": htru2.load, "tox21": tox21.load}
DATASETS: dict[str, Callable[..., Table]] = {
    "digits": load_digits,
    "optdigits": load_optdigits,
    "mnist": load_mnist,
    "cifar10": load_cifar10,
    "cifar10-exact": load_exact,
    "htru2": lambda progress=None: htru2.load(progress).table(),
    "tox21": lambda progress=None: tox21.load(progress=progress).table(),
}
# Their inputs are standardized by one mean and one deviation for all pixels.
IMAGES = ("digits", "optdigits", "mnist", "cifar10", "cifar10-exact")


def is_named(name: str) -> bool:
    """Whether `name` is one of DATASETS or "uci/NAME", and not a file."""
    return name in DATASETS or (name.startswith(UCI) and not is_table(name))


def task_of(name: str) -> str:
    """The task of a data set with a name."""
    return "multitask" if name == "tox21" else "classification"


def read_named(name: str, progress: Progress | None = None) -> Table:
    """The parts of a data set, not yet standardized; of those with folds, the parts of fold 1."""
    if name in DATASETS:
        return DATASETS[name](progress)
    return load_folds(name, progress).table()


def load_folds(name: str, progress: Progress | None = None) -> Folds:
    """A data set with given test and validation rows: "htru2", "tox21", or "uci/NAME"."""
    if name in FOLDED:
        return FOLDED[name](progress=progress)
    if not name.startswith(UCI):
        raise ValueError(
            f"data: folds are given for {', '.join(FOLDED)} and {UCI}NAME, got {name!r}"
        )
    return uci.load(name, progress)


def unknown(name: str) -> ValueError:
    """The error for what is neither a name nor a file that can be read."""
    near = difflib.get_close_matches(name, [*DATASETS, *(UCI + n for n in uci.SHAPES)], n=3)
    hint = f" (near names: {', '.join(near)})" if near else ""
    return ValueError(
        f"data: must be one of {', '.join(DATASETS)}, {UCI}NAME, or a file ending in "
        f"{ENDINGS}, got {name!r}{hint}"
    )
