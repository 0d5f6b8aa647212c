"""Budgets: the parts of the paper's hyperparameter grids that are tried, for each experiment.

`PAPER` holds the paper's grids (appendix, tables of hyperparameters); a budget lists its
differences. The deviations from the paper are printed with each result, see `left_out`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from fastsnn.methods import EQUAL_WIDTHS, METHODS
from fastsnn.paper.published import NAMES
from fastsnn.runs.console import count

BUDGETS = ("tiny", "small", "full")
SHAPES = ("rectangular", "conic")


@dataclass(frozen=True)
class Grid:
    """A hyperparameter grid, and the settings of its training runs.

    Parameters
    ----------
    width, layers, learning_rate, shape, weight_decay : values for all methods.
    blocks, bottleneck : numbers of residual blocks and their inner widths, as fractions of `width`.
    dropout : values by method; (0,) for methods that are not listed.
    epochs : number of epochs of each training run.
    rows_per_epoch : maximum number of training rows per epoch; the next epoch continues with the
        following rows of the shuffled order. None: all rows.
    batch : mini-batch size; smaller if an epoch would have fewer than 8 steps.
    validation_rows : maximum number of rows on which an epoch is evaluated. None: all.
    select_folds : folds whose validation rows select the configuration for all folds. None: each
        fold selects its own.
    seeds : number of training runs of the selected configuration.
    """

    width: tuple[int, ...]
    layers: tuple[int, ...]
    learning_rate: tuple[float, ...]
    shape: tuple[str, ...] = SHAPES
    weight_decay: tuple[float, ...] = (0.0,)
    blocks: tuple[int, ...] = (2, 3, 4, 8, 16)
    bottleneck: tuple[float, ...] = (0.25, 0.5)
    dropout: dict[str, tuple[float, ...]] = field(default_factory=dict)
    epochs: int = 100
    rows_per_epoch: int | None = None
    batch: int = 128
    validation_rows: int | None = None
    select_folds: tuple[int, ...] | None = None
    seeds: int = 1

    def space(self, method: str) -> dict[str, tuple[Any, ...]]:
        """Return the search space of one method, for `fastsnn.search.grid`."""
        equal = method in EQUAL_WIDTHS
        space: dict[str, tuple[Any, ...]] = {
            "layers": self.blocks if method == "resnet" else self.layers,
            "width": self.width,
            "learning_rate": self.learning_rate,
            "dropout": self.dropout.get(method, (0.0,)),
            "shape": ("rectangular",) if equal else self.shape,
        }
        if method == "resnet":
            space["bottleneck"] = self.bottleneck
        if self.weight_decay != (0.0,):
            space["weight_decay"] = self.weight_decay
        return space


PAPER = {
    "uci": Grid(
        width=(256, 512, 1024), layers=(2, 3, 4, 8, 16, 32), learning_rate=(0.01, 0.1, 1.0),
        dropout={"snn": (0.0, 0.05), "msra": (0.0, 0.5), "highway": (0.0, 0.5)},
    ),
    "htru2": Grid(
        width=(256, 512, 1024), layers=(2, 4, 8, 16, 32), learning_rate=(0.01, 0.1, 1.0),
        dropout={"snn": (0.0, 0.05), "msra": (0.0, 0.5), "highway": (0.0, 0.5)},
    ),
    "tox21": Grid(
        width=(1024, 2048), layers=(2, 3, 4, 6, 8, 16, 32), learning_rate=(0.01, 0.05, 0.1),
        weight_decay=(1e-3, 1e-4, 1e-5), blocks=(2, 3, 4, 6, 8, 16),
        dropout={
            "snn": (0.05, 0.10), "msra": (0.0, 0.5), "weightnorm": (0.0, 0.5),
            "layernorm": (0.0, 0.5), "highway": (0.0, 0.5),
        },
        seeds=5,
    ),
}  # fmt: skip

SNN_ALONE: dict[str, tuple[float, ...]] = {"snn": (0.0, 0.05)}
BY_NAME = {
    "uci": {
        "tiny": replace(
            PAPER["uci"], width=(64,), layers=(2,), blocks=(2,), learning_rate=(0.1,),
            shape=("rectangular",), bottleneck=(0.5,), dropout={"snn": (0.05,)},
            epochs=20, rows_per_epoch=512, batch=32, validation_rows=500, select_folds=(1,),
        ),
        "small": replace(
            PAPER["uci"], width=(256,), layers=(2, 8), blocks=(2, 4), learning_rate=(0.01, 0.1),
            shape=("rectangular",), bottleneck=(0.5,), dropout=SNN_ALONE,
            rows_per_epoch=768, batch=32, validation_rows=768, select_folds=(1,),
        ),
        "full": PAPER["uci"],
    },
    "htru2": {
        "tiny": replace(
            PAPER["htru2"], width=(64,), layers=(2,), blocks=(2,), learning_rate=(0.1,),
            shape=("rectangular",), bottleneck=(0.5,), dropout={"snn": (0.05,)},
            epochs=10, rows_per_epoch=1024,
        ),
        "small": replace(
            PAPER["htru2"], width=(256,), layers=(2, 8), blocks=(2, 4), learning_rate=(0.01, 0.1),
            shape=("rectangular",), bottleneck=(0.5,), dropout=SNN_ALONE,
            rows_per_epoch=2048, batch=64,
        ),
        "full": PAPER["htru2"],
    },
    "tox21": {
        "tiny": replace(
            PAPER["tox21"], width=(64,), layers=(2, 4, 8), blocks=(2, 4), learning_rate=(0.05,),
            weight_decay=(1e-4,), shape=("rectangular",), bottleneck=(0.5,),
            dropout={"snn": (0.05,)}, epochs=10, rows_per_epoch=2048, seeds=1,
        ),
        "small": replace(
            PAPER["tox21"], width=(256,), learning_rate=(0.01, 0.1), weight_decay=(1e-3,),
            shape=("rectangular",), bottleneck=(0.5,), rows_per_epoch=4096, batch=64, seeds=3,
        ),
        "full": PAPER["tox21"],
    },
}  # fmt: skip

# Figure 1: (numbers of hidden layers, epochs). Tutorial: epochs.
FIG1 = {"tiny": ((8,), 2), "small": ((8, 16, 32), 30), "full": ((8, 16, 32), 2000)}
TUTORIAL = {"tiny": 1, "small": 20, "full": 20}


def left_out(name: str, grid: Grid, methods: tuple[str, ...] = METHODS) -> list[str]:
    """Return the deviations of a grid from the paper's experiment, one line each."""
    paper, lines = PAPER[name], []
    for what, words in (
        ("width", "width"), ("layers", "hidden layers"), ("blocks", "residual blocks"),
        ("learning_rate", "learning rate"), ("shape", "shape"),
        ("weight_decay", "L2 weight decay"), ("bottleneck", "bottleneck of residual blocks"),
    ):  # fmt: skip
        ours, theirs = getattr(grid, what), getattr(paper, what)
        if what in ("blocks", "bottleneck") and "resnet" not in methods:
            continue
        if ours != theirs:
            lines.append(f"{words} {_listed(ours)} instead of {_listed(theirs)}")
    for method in methods:
        ours, theirs = (g.dropout.get(method, (0.0,)) for g in (grid, paper))
        if ours != theirs:
            lines.append(f"{NAMES[method]} dropout {_listed(ours)} instead of {_listed(theirs)}")
    if grid.epochs != paper.epochs:
        lines.append(instead("epoch", grid.epochs, paper.epochs))
    if grid.rows_per_epoch:
        lines.append(
            f"at most {grid.rows_per_epoch:,} training rows per epoch; the next epoch continues "
            "with the following rows"
        )
    if grid.validation_rows:
        lines.append(f"validation on at most {grid.validation_rows:,} rows")
    if grid.select_folds:
        folds = "fold" if len(grid.select_folds) == 1 else "folds"
        lines.append(
            f"hyperparameters selected on the validation rows of {folds} "
            f"{_listed(grid.select_folds, 'and')}, for all folds"
        )
    if grid.seeds < paper.seeds:
        lines.append(instead("repeat", grid.seeds, paper.seeds))
    if "highway" in methods and "conic" in paper.shape:
        lines.append("no conic Highway networks: Highway layers must have equal widths")
    if "resnet" in methods:
        lines.append('rectangular residual blocks only, none in "diavolo" form')
    return lines


def instead(noun: str, ours: int, theirs: int) -> str:
    """Return a deviation in words, such as "30 epochs instead of 2,000"."""
    return f"{count(ours, noun)} instead of {theirs:,}"


def note(grid: Grid) -> str:
    """Return a note on the batch size, which the paper does not report."""
    return (
        f"the paper does not state its mini-batch size; here it is {grid.batch}, or less if an "
        "epoch would have fewer than 8 steps"
    )


def _listed(values: Iterable[object], word: str = "or") -> str:
    """Return values in words, such as "2, 4 or 8"."""
    texts = [f"{value:g}" if isinstance(value, float) else str(value) for value in values]
    return f" {word} ".join(filter(None, [", ".join(texts[:-1]), texts[-1]]))
