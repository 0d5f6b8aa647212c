"""Options of a training run, one row each, and their file config.toml.

To add an option, add its row to `RunConfig` and read the field where it is needed. The checks
below, the options of `fastsnn train` and `fastsnn search`, and the rules of a resumed run follow
from the row.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, get_type_hints

from fastsnn import metrics
from fastsnn.checks import inputs as check
from fastsnn.checks.scalars import shown
from fastsnn.data.dataset import TASKS
from fastsnn.data.rawtable import Encoding, split_names
from fastsnn.data.standardize import PER
from fastsnn.data.table import is_table
from fastsnn.engine import threads as processors
from fastsnn.engine.backends import BACKENDS, PRECISIONS
from fastsnn.layers import MOST_LAYERS, MOST_UNITS, AlphaDropout
from fastsnn.losses import LOSSES, PARAMETERS, Loss, loss_of, suggested
from fastsnn.methods import METHODS, SHAPES
from fastsnn.optimizers import OPTIMIZERS, Optimizer
from fastsnn.runs.defaults import BY_RULE, SEARCH_EPOCHS, SEARCH_VALIDATION, defaults
from fastsnn.runs.row import Row, option, rows_of, typed
from fastsnn.schedules import SCHEDULES, Schedule
from fastsnn.tables.learn import MOST_CATEGORIES, SCALING

# Schedules whose rates do not depend on the number of epochs, so that a resumed run may change it.
OPEN_ENDED = tuple(name for name, kind in SCHEDULES.items() if kind.open_ended)


def _and(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _described(schedules: dict[str, type[Schedule]]) -> str:
    return "; ".join(f"{k}{f' ({v.summary})' * bool(v.summary)}" for k, v in schedules.items())


def _optimizers(which: Callable[[type[Optimizer]], bool]) -> list[str]:
    return [name for name, kind in OPTIMIZERS.items() if which(kind)]


def _takes(name: str) -> list[str]:
    """Return the optimizers that have a field of this name."""
    return _optimizers(lambda kind: name in _fields(kind))


def _fields(kind: type) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}


def names_option(help: str, default_text: str = "by their values") -> Any:
    """Return the field of an option that takes names of columns of a table."""
    return option(
        None, f"{help}: names, or without a header indices from 0, joined by commas (a name with a "
        "comma in quotes).", section="Data",
        metavar="COLUMN,...", default_text=default_text, search="shared",
        check=lambda text: split_names(text, "names of columns"),
    )  # fmt: skip


def _decoupled(kind: type[Optimizer]) -> bool:
    return kind.decoupled


_L2 = [name for name in _takes("weight_decay") if not _decoupled(OPTIMIZERS[name])]


@dataclass(frozen=True)
class RunConfig:
    """Options that determine the result of a run, and `threads`, which does not change it.

    The fields are the options of `fastsnn train`, with the same ranges. None for layers, dropout,
    epochs, batch_size, learning_rate or weight_decay selects a default by task, depth, number of
    rows and optimizer, see `settled`. The options in the section "Data": see `fastsnn.data.load`.

    Raises
    ------
    ValueError, TypeError
        A value is out of range or of the wrong type.
    """

    data: str = option(
        "digits", "Name of a data set (see `fastsnn data list`), downloaded if it is not on this "
        "machine, or a file: .csv, .tsv, .txt or "
        ".data, optionally with .gz or .zst, .parquet, .json, .jsonl, or .npz with the arrays x "
        "and y (or x_train, y_train, and the same with _validation and _test).", section="Data",
        metavar="NAME|FILE", search="shared", changeable=True,
    )  # fmt: skip
    target: str | None = option(
        None, "Target column(s) of a file other than .npz: name, index from 0, or a "
        "comma-separated list.", section="Data",
        metavar="COLUMN", default_text="the last column", search="shared",
    )  # fmt: skip
    header: bool | None = option(
        None, "Read line 1 of a CSV file as column names, or as data.", section="Data",
        search="shared",
        default_text="detected: text is a header, numbers are data, a mix is an error",
    )  # fmt: skip
    task: str = option(
        "auto", "Learning task: classes, several yes/no labels per row (multitask), or numbers; "
        "auto infers it from the target column(s).", section="Data",
        choices=("auto", *TASKS), search="shared",
    )  # fmt: skip
    validation: float = option(
        0.1, "Fraction of the training rows held out to select the best epoch; 0 holds out none "
        "and keeps the last epoch. Not used if the data have validation rows of their own.",
        section="Data", low=0, high=1, brackets="[)", search="shared", searched=SEARCH_VALIDATION,
        search_help="Fraction of the training rows held out to select the best epoch and to rank "
        "the trials; above 0, unless the data have validation rows of their own, which are then "
        "used.",
    )  # fmt: skip
    standardize: str = option(
        "auto", "Standardize the inputs to mean 0 and variance 1, per feature or over all "
        "features; auto: all for images (digits, mnist, cifar10 "
        "and uint8 arrays in .npz), else feature.", section="Data",
        choices=("auto", *PER),
    )  # fmt: skip
    categorical: str | None = names_option("Feature columns of text or codes, encoded one-hot")
    numeric: str | None = names_option("Feature columns of numbers")
    date: str | None = names_option("Feature columns of dates or times")
    drop: str | None = names_option("Columns to leave out", "none")
    max_categories: int = option(
        MOST_CATEGORIES, "Maximum features of a categorical column, including the one that less "
        "frequent categories share, but not the one of missing values.",
        section="Data", low=2, most=MOST_UNITS,
    )  # fmt: skip
    min_frequency: int | None = option(
        None, "Categories with fewer training rows share one feature.", section="Data", low=1,
        most=MOST_UNITS, default_text="1 % of the training rows, at most 10",
    )  # fmt: skip
    scaling: str = option(
        "standard", "Scaling of numeric columns of a table before --standardize. standard: "
        "none; robust: by median and quartiles, with smooth clipping of outliers.",
        section="Data", choices=SCALING,
    )  # fmt: skip
    log_target: bool = option(
        False, "Train a regression on the logarithms of its targets, all above 0. Predictions and "
        "metrics are in the units of the data.", section="Data", search="shared",
        default_text="off",
    )  # fmt: skip
    method: str = option(
        "snn", "Type of network: snn (SELU, alpha-dropout), or a baseline of the paper with ReLU: "
        "msra (He initialization), batchnorm, layernorm, weightnorm (normalizations), highway or "
        "resnet.", section="Network", choices=tuple(METHODS),
    )  # fmt: skip
    layers: int | None = option(
        None, "Number of hidden layers (resnet: residual blocks), excluding the output layer.",
        section="Network", low=1, most=MOST_LAYERS, default_text=BY_RULE["layers"], settled=True,
    )  # fmt: skip
    width: int = option(
        256, "Number of units per hidden layer.", section="Network", low=1, most=MOST_UNITS
    )
    shape: str = option(
        "rectangular", "Widths of the hidden layers: all equal (rectangular), or decreasing "
        "geometrically to the number of outputs (conic; not for highway and resnet).",
        section="Network", choices=tuple(SHAPES),
    )  # fmt: skip
    bottleneck: float = option(
        0.5, "Units inside a residual block as a fraction of --width; resnet only.",
        section="Network", low=0, high=1, brackets="(]",
    )  # fmt: skip
    dropout: float | None = option(
        None, "Dropout probability of the hidden layers.", section="Network",
        low=0, high=1, brackets="[)", check=AlphaDropout, default_text=BY_RULE["dropout"],
        settled=True,
    )  # fmt: skip
    loss: str | None = option(
        None, f"Loss function: {', '.join(LOSSES)}. {PARAMETERS}", metavar="NAME[:X]",
        check=loss_of, default_text="by task: softmax_cross_entropy (classification), "
        "sigmoid_cross_entropy (multitask), mse (regression)",
    )  # fmt: skip
    optimizer: str = option("sgd", "Optimizer.", choices=tuple(OPTIMIZERS))
    learning_rate: float | None = option(
        None, "Peak learning rate of the schedule.", low=0, optimizer=True,
        default_text=BY_RULE["learning_rate"], settled=True,
    )  # fmt: skip
    schedule: str = option(
        "cosine", f"Learning-rate schedule: {_described(SCHEDULES)}. All except "
        f"{_and(OPEN_ENDED)} depend on --epochs.", choices=tuple(SCHEDULES),
    )  # fmt: skip
    momentum: float = option(
        0.0, f"Momentum of {_and(OPTIMIZERS[name].__name__ for name in _takes('momentum'))}; "
        "above 0 it is an error with other optimizers.",
        low=0, high=1, brackets="[)", optimizer=True,
    )  # fmt: skip
    weight_decay: float | None = option(
        None, f"Weight decay: L2 penalty for {_and(_L2)}, decoupled for "
        f"{_and(_optimizers(_decoupled))}.",
        low=0, optimizer=True, default_text=BY_RULE["weight_decay"], settled=True,
    )  # fmt: skip
    batch_size: int | None = option(
        None, "Mini-batch size.", low=1, most=MOST_UNITS, default_text=BY_RULE["batch_size"],
        settled=True,
    )  # fmt: skip
    epochs: int | None = option(
        None, "Number of epochs.", low=1, most=10**9, default_text=BY_RULE["epochs"],
        settled=True, searched=SEARCH_EPOCHS, changeable=True,
    )  # fmt: skip
    metric: str | None = option(
        None, f"Validation metric that selects the best epoch: {metrics.WORDS}.",
        metavar="NAME", check=metrics.require, search="shared",
        search_help="Validation metric that selects the best epoch and ranks the trials: "
        f"{metrics.WORDS}.", default_text="by task: accuracy (classification), auc (multitask), "
        "rmse (regression); loss for a regression loss other than mse",
    )  # fmt: skip
    patience: int = option(
        0, "Early stopping: number of epochs without an improvement of the validation metric "
        "after which training stops; 0 disables it.", low=0, most=MOST_UNITS, search="absent",
    )  # fmt: skip
    seed: int = option(
        0, "Random seed of initial weights, dropout, shuffling and the validation split.",
        section="Execution", low=0, high=2**64 - 1, check=check.seed,
    )  # fmt: skip
    threads: int | None = option(
        None, "Number of CPU threads; results are bit-identical for any number.",
        section="Execution", low=1, check=processors.resolve, default_text="all processors",
        search="absent", changeable=True,
    )  # fmt: skip
    backend: str = option(
        "cpu", "Device: the CPU, or an NVIDIA GPU (cuda).", section="Execution",
        choices=tuple(BACKENDS), search="absent",
    )  # fmt: skip
    precision: str = option(
        "float32", "Arithmetic of matrix products with --backend cuda; tf32 and bf16 use tensor "
        "cores.", section="Execution", choices=tuple(PRECISIONS), search="absent",
    )  # fmt: skip

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(type(self)).items():
            object.__setattr__(self, name, typed(name, kind, getattr(self, name)))
        for name, row in ROWS.items():
            if getattr(self, name) is not None:
                row.require(name, getattr(self, name))
        if self.loss is not None:  # one text for equal losses: a resumed run compares it
            object.__setattr__(self, "loss", loss_of(self.loss).spec)
        self.made_optimizer()
        if self.precision != "float32" and self.backend != "cuda":
            raise ValueError(
                f"precision: {self.precision} is available with backend cuda only, got backend "
                f"{self.backend}; leave it out"
            )

    def made_optimizer(self) -> Optimizer:
        """Return the optimizer, constructed from the options that are fields of its class.

        An option that is None counts as 0 if it is settled later; otherwise the optimizer's own
        default applies. Raises ValueError for a number out of range, and for an option that the
        optimizer does not have.
        """
        kind = OPTIMIZERS[self.optimizer]
        given: dict[str, Any] = {
            name: getattr(self, name) or 0.0
            for name, row in ROWS.items()
            if row.optimizer and (row.settled or getattr(self, name) is not None)
        }
        for name in sorted(given.keys() - _fields(kind)):
            value = given.pop(name)
            if value and value != getattr(type(self), name):  # its default
                having = _takes(name)
                raise ValueError(
                    f"{name}: only {_and(having)} {'has' if len(having) == 1 else 'have'} one, got "
                    f"{value} with {self.optimizer}; leave it out"
                )
        return kind(**given)

    def loading(self) -> dict[str, Any]:
        """Return the arguments of `fastsnn.data.load` after the first that are options of a run."""
        names = (
            "target", "task", "validation", "seed", "standardize", "header", "log_target",
            *Encoding.__dataclass_fields__,
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}

    def made_loss(self, task: str) -> Loss:
        """Return the loss; by default the one for the task. Raises ValueError for a loss of another
        task.
        """
        loss = suggested(task) if self.loss is None else loss_of(self.loss)
        if loss.task != task:
            raise ValueError(
                f"loss: one for a {task} is required, got {self.loss}, which is for a {loss.task}; "
                "leave it out, or give another --task"
            )
        return loss

    def require_metric(self, task: str) -> None:
        """Raise ValueError if the task does not have the metric."""
        if self.metric is not None:
            metrics.require(self.metric, task)

    def settled(self, rows: int, task: str, independent: float | None = None) -> RunConfig:
        """Return a copy in which every option that is None and depends on the data has a value.

        Parameters
        ----------
        rows : number of training rows.
        task : "classification", "multitask" or "regression".
        independent : number of independent features, see `fastsnn.runs.independent`; None: many.
        """
        known = defaults(
            rows, task, independent, method=self.method, layers=self.layers, width=self.width,
            optimizer=self.optimizer,
        )  # fmt: skip
        missing = {k: value for k, value in known.items() if getattr(self, k) is None}
        return dataclasses.replace(self, **missing)

    @classmethod
    def from_dict(cls, options: dict[str, Any]) -> RunConfig:
        """Return the configuration of a `to_dict`. Raises ValueError or TypeError otherwise."""
        if not isinstance(options, dict):
            raise TypeError(
                f"options: a dict of names and values is required, got {shown(options)}"
            )
        unknown = options.keys() - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            first = min(unknown, key=str)
            raise ValueError(f"there is no option {shown(first)}; remove it")
        return cls(**options)

    def require_settled(self) -> None:
        """Raise ValueError if an option that `settled` fills in is None."""
        for name, row in ROWS.items():
            if row.settled and getattr(self, name) is None:
                raise ValueError(f"{name}: a value is required, got None")

    def absolute(self) -> RunConfig:
        """Return a copy with an absolute data path, so that a run can be resumed from anywhere."""
        if not is_table(self.data):
            return self
        return dataclasses.replace(self, data=os.path.abspath(self.data))

    def changed(self, options: dict[str, Any], finished_epochs: int, where: str) -> RunConfig:
        """Return the configuration of a resumed run, with new values of `options`.

        Rows that are `changeable` may differ: threads, data (the same rows at another path), and
        epochs with a schedule of `OPEN_ENDED`.

        Parameters
        ----------
        options : given options by name.
        finished_epochs : number of finished epochs.
        where : start of error messages.

        Raises
        ------
        ValueError
            Any other option differs.
        """
        new = dataclasses.replace(self, **options).absolute()
        for name in options:
            given, stored = getattr(new, name), getattr(self, name)
            if given != stored and not ROWS[name].changeable:
                raise ValueError(
                    f"{where}: the run was started with {name} {stored}, got {given}; "
                    "leave it out to continue, or start another run"
                )
        files = is_table(self.data), is_table(new.data)
        if new.data != self.data and files != (True, True):
            raise ValueError(
                f"{where}: the run was started with data {shown(self.data)}, got "
                f"{shown(new.data)}; leave it out to continue, or start another run"
            )
        if new.epochs != self.epochs and self.schedule not in OPEN_ENDED:
            raise ValueError(
                f"{where}: a {self.schedule} schedule is made for a number of epochs, here "
                f"{self.epochs}, got {new.epochs}; leave it out, or start another run (only "
                f"{' and '.join(OPEN_ENDED)} schedules can go on longer)"
            )
        if new.epochs is not None and new.epochs < finished_epochs:
            raise ValueError(
                f"{where}: epochs: at least the {finished_epochs} that the run has finished are "
                f"required, got {new.epochs}"
            )
        return new

    def to_dict(self) -> dict[str, Any]:
        """Return the options by name, without those that are None, which TOML cannot express."""
        return {k: v for k, v in dataclasses.asdict(self).items() if v is not None}

    def to_toml(self) -> bytes:
        """Return the content of config.toml."""
        import tomli_w

        head = "# Options of this run. A resumed run reads them from last.safetensors instead.\n"
        return (head + tomli_w.dumps(self.to_dict())).encode()


ROWS: dict[str, Row] = rows_of(RunConfig)
