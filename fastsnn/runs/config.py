"""The options of a training run, with all their defaults, and their file config.toml."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import Any, get_type_hints

from fastsnn.checks import inputs as check
from fastsnn.checks.scalars import is_finite, plain, shown
from fastsnn.data.dataset import TASKS
from fastsnn.data.standardize import PER
from fastsnn.data.table import is_table
from fastsnn.engine import threads as processors
from fastsnn.engine.cpu import BACKENDS, PRECISIONS
from fastsnn.layers import MOST_LAYERS, MOST_UNITS, AlphaDropout
from fastsnn.methods import METHODS, SHAPES
from fastsnn.optimizers import OPTIMIZERS, SGD, AdamW
from fastsnn.schedules import SCHEDULES

# Fewer training rows than this are few: they want smaller batches and more epochs.
FEW_ROWS = 5000
BATCH_SIZE, BATCH_SIZE_FEW = 128, 32
EPOCHS, EPOCHS_FEW, EPOCHS_MOST = 22, 40, 400
STEPS_FEW = 1600  # number of steps, if that makes EPOCHS_FEW to EPOCHS_MOST epochs
# Learning rates of networks of up to LAYERS hidden layers; that of sgd falls with the root of the
# depth beyond.
LEARNING_RATE = {"sgd": 0.04, "adam": 1e-4, "adamw": 1e-4}
LEARNING_RATE_FEW = LEARNING_RATE | {"sgd": 0.01}
LAYERS = 32
# Regression. SELU's slope is above 1 near 0, so each layer makes the function of the initial
# weights rougher: 32 layers cannot learn even a linear function from few rows; 4 layers can.
LAYERS_REGRESSION = 4
# The gradient of a squared error has no bound and grows with depth. These are half of the rates at
# which sgd diverges on rows 40 deviations out; such rows weigh more in smaller batches.
RATE_REGRESSION, RATE_REGRESSION_FEW, RATE_POWER = 0.01, 0.005, 2 / 3
# Weight decay of sgd for regression: this divided by the rows, like the weight of a prior.
DECAY_REGRESSION, DECAY_MOST = 10, 0.1
# Each layer adds the noise of its dropout, so rate x layers is bounded. Regression tolerates none:
# noise that hardly changes which class is largest is an error of a predicted number.
DROPOUT_OF_ALL, DROPOUT_MOST = 0.5, 0.05
# Few independent features make all rows move an output the same way, and so does a wide layer:
# above this times the features, up to FEATURES_FEW, x WIDTH / width, sgd diverges or nearly does.
RATE_OF_FEATURE, FEATURES_FEW, WIDTH = 0.001, 10, 256
# How the defaults that depend on other options and on the data read in a help text.
BY_RULE = {
    "layers": f"{LAYERS}; regression: {LAYERS_REGRESSION}",
    "dropout": f"{DROPOUT_OF_ALL} / layers, at most {DROPOUT_MOST}; 0 for regression and for other "
    "methods than snn",
    "epochs": f"{EPOCHS}; below {FEW_ROWS:,} rows {EPOCHS_FEW} to {EPOCHS_MOST}",
    "batch_size": f"{BATCH_SIZE}; below {FEW_ROWS:,} rows {BATCH_SIZE_FEW}",
    "learning_rate": f"{LEARNING_RATE['sgd']}, below {FEW_ROWS:,} rows "
    f"{LEARNING_RATE_FEW['sgd']}, less above {LAYERS} layers; regression: {RATE_REGRESSION}, "
    f"below {FEW_ROWS:,} rows {RATE_REGRESSION_FEW}, less above {LAYERS_REGRESSION} layers or "
    f"{WIDTH} units, and below {FEATURES_FEW} independent features; "
    f"adam, adamw: {LEARNING_RATE['adam']}",
    "weight_decay": f"0; regression: {DECAY_REGRESSION} / rows, at most {DECAY_MOST}; adam: 0; "
    f"adamw: {AdamW.weight_decay}",
}

SETTLED = tuple(BY_RULE)
# Smallest and largest value; larger ones would exhaust the memory before they are refused.
SIZES = {
    "layers": (1, MOST_LAYERS), "width": (1, MOST_UNITS), "epochs": (1, 10**9),
    "batch_size": (1, MOST_UNITS), "patience": (0, MOST_UNITS),
}  # fmt: skip

# Schedules whose rates do not depend on the length of the training: it may change on the way.
OPEN_ENDED = tuple(name for name, kind in SCHEDULES.items() if kind.open_ended)
CHANGEABLE = ("data", "epochs", "threads")


@dataclass(frozen=True)
class RunConfig:
    """All that decides what a run computes (and `threads`, which changes no bit of it).

    layers (hidden ones), dropout, epochs, batch_size, learning_rate, weight_decay: None takes what
    is best known for the task, the depth, the number of rows and the optimizer, see `settled`.
    target, header, task, validation, standardize: see `fastsnn.data.load`. patience: epochs without
    a better validation figure before the run stops; 0 never stops. threads: None takes all
    processors.
    """

    data: str = "digits"
    target: str | None = None
    header: bool | None = None
    task: str = "auto"
    method: str = "snn"
    layers: int | None = None
    width: int = 256
    shape: str = "rectangular"
    bottleneck: float = 0.5
    dropout: float | None = None
    epochs: int | None = None
    batch_size: int | None = None
    optimizer: str = "sgd"
    learning_rate: float | None = None
    momentum: float = 0.0
    weight_decay: float | None = None
    schedule: str = "cosine"
    patience: int = 0
    validation: float = 0.1
    standardize: str = "auto"
    seed: int = 0
    threads: int | None = None
    backend: str = "cpu"
    precision: str = "float32"

    def __post_init__(self):
        for name, kind in get_type_hints(type(self)).items():
            value = plain(getattr(self, name))
            if kind in (float, float | None) and type(value) is int and is_finite(value):
                value = float(value)
            is_bool = isinstance(value, bool) and kind != bool | None
            if is_bool or not isinstance(value, kind):
                raise TypeError(f"{name}: {_words(kind)} is required, got {shown(value)}")
            if isinstance(value, str) and not _is_unicode(value):  # a file name can hold any bytes
                raise ValueError(
                    f"{name}: text that UTF-8 can hold is required, got {shown(value)}; rename it"
                )
            object.__setattr__(self, name, value)
        for name, known in (
            ("method", METHODS), ("shape", SHAPES), ("optimizer", OPTIMIZERS),
            ("schedule", SCHEDULES), ("task", ("auto", *TASKS)), ("standardize", ("auto", *PER)),
            ("backend", BACKENDS), ("precision", PRECISIONS),
        ):  # fmt: skip
            if getattr(self, name) not in known:
                given = shown(getattr(self, name))
                raise ValueError(f"{name}: must be one of {', '.join(known)}; got {given}")
        for name, (least, most) in SIZES.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name}: at least {least} is required, got {shown(value)}")
            if value is not None and value > most:
                raise ValueError(f"{name}: at most {most:,} is supported, got {shown(value)}")
        if self.threads is not None:
            processors.resolve(self.threads)
        self._require_fractions()
        if self.momentum and self.optimizer != "sgd":
            raise ValueError(
                f"momentum: only sgd has one, got {self.momentum} with {self.optimizer}; "
                "leave it out"
            )
        if self.precision != "float32" and self.backend != "cuda":
            raise ValueError(
                f"precision: only the backend cuda knows {self.precision}, got backend "
                f"{self.backend}; leave it out"
            )
        check.seed(self.seed)

    def _require_fractions(self):
        """Check the ranges of numbers with the classes that use them: a search must fail early."""
        if not 0 <= self.validation < 1:
            raise ValueError(f"validation: must be in [0, 1), got {self.validation}")
        if not 0 < self.bottleneck <= 1:
            raise ValueError(f"bottleneck: must be in (0, 1], got {self.bottleneck}")
        AlphaDropout(self.dropout or 0.0)
        rate, decay = self.learning_rate or 0.0, self.weight_decay or 0.0
        OPTIMIZERS[self.optimizer](learning_rate=rate, weight_decay=decay)
        SGD(rate, momentum=self.momentum)

    def settled(self, rows: int, task: str, independent: float | None = None) -> RunConfig:
        """A copy that has a value for every option that is None, by the task and the rows.

        independent: number of independent features, see `fastsnn.runs.independent`; None: many.
        """
        few, regression = rows < FEW_ROWS, task == "regression"
        layers = self.layers or (LAYERS_REGRESSION if regression else LAYERS)
        steps = -(-STEPS_FEW * BATCH_SIZE_FEW // max(rows, 1))
        rate = (LEARNING_RATE_FEW if few else LEARNING_RATE)[self.optimizer]
        if self.optimizer == "sgd":
            rate *= min(1.0, LAYERS / layers) ** 0.5
            if regression:
                features = min(independent or FEATURES_FEW, FEATURES_FEW)
                most = RATE_OF_FEATURE * features * min(1.0, WIDTH / self.width)
                rate = min(RATE_REGRESSION_FEW if few else RATE_REGRESSION, most)
                rate *= min(1.0, LAYERS_REGRESSION / layers) ** RATE_POWER
        decay = OPTIMIZERS[self.optimizer].weight_decay
        if regression and self.optimizer == "sgd":
            decay = min(DECAY_REGRESSION / max(rows, 1), DECAY_MOST)
        drops = self.method == "snn" and not regression
        known = {
            "layers": layers,
            "dropout": min(DROPOUT_OF_ALL / layers, DROPOUT_MOST) if drops else 0.0,
            "epochs": min(max(steps, EPOCHS_FEW), EPOCHS_MOST) if few else EPOCHS,
            "batch_size": BATCH_SIZE_FEW if few else BATCH_SIZE,
            "learning_rate": rate,
            "weight_decay": decay,
        }
        missing = {k: value for k, value in known.items() if getattr(self, k) is None}
        return dataclasses.replace(self, **missing)

    @classmethod
    def from_dict(cls, options: dict[str, Any]) -> RunConfig:
        """The inverse of `to_dict`. Raises ValueError or TypeError for anything else."""
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
        for name in SETTLED:
            if getattr(self, name) is None:
                raise ValueError(f"{name}: a value is required, got None")

    def absolute(self) -> RunConfig:
        """With the whole path of a data file, so that a run can be resumed from anywhere."""
        if not is_table(self.data):
            return self
        return dataclasses.replace(self, data=os.path.abspath(self.data))

    def changed(self, options: dict[str, Any], epochs_behind: int, where: str) -> RunConfig:
        """For a resumed run. New values are allowed for threads, for data (the same in another
        place), and for epochs with a schedule of `OPEN_ENDED`; else ValueError.
        """
        new = dataclasses.replace(self, **options).absolute()
        for name in options:
            given, stored = getattr(new, name), getattr(self, name)
            if given != stored and name not in CHANGEABLE:
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
        if new.epochs < epochs_behind:
            raise ValueError(
                f"{where}: epochs: at least the {epochs_behind} that the run has finished are "
                f"required, got {new.epochs}"
            )
        return new

    def to_dict(self) -> dict[str, Any]:
        """Without the options that are None, which TOML cannot write."""
        return {k: v for k, v in dataclasses.asdict(self).items() if v is not None}

    def to_toml(self) -> bytes:
        import tomli_w

        head = "# Options of this run, to read: a resumed run takes those in last.safetensors.\n"
        return (head + tomli_w.dumps(self.to_dict())).encode()


def _is_unicode(text) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _words(kind) -> str:
    words = {int: "a whole number", float: "a number", str: "a text", bool: "True or False"}
    parts = [words[k] for k in getattr(kind, "__args__", (kind,)) if k in words]
    return " or ".join(parts)
