"""The options of a training run, with all their defaults, and their file config.toml."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import Any, get_type_hints

from fastsnn import check
from fastsnn.data.table import is_table
from fastsnn.optimizers import OPTIMIZERS
from fastsnn.schedules import SCHEDULES

# What is better than the general default: for a data set, and for an optimizer.
BY_DATA: dict[str, dict[str, Any]] = {
    "digits": {"epochs": 40, "batch_size": 32, "learning_rate": 0.01},
}
BY_OPTIMIZER: dict[str, dict[str, Any]] = {
    "adam": {"learning_rate": 1e-4},
    "adamw": {"learning_rate": 1e-4, "weight_decay": 0.01},
}

# Schedules whose rates do not depend on the length of the training: it may change on the way.
OPEN_ENDED = ("constant", "plateau")
CHANGEABLE = ("data", "epochs", "threads")


@dataclass(frozen=True)
class RunConfig:
    """All that decides what a run computes (and `threads`, which changes no bit of it).

    The defaults below are the general ones; `RunConfig.of` knows better ones for some data sets and
    optimizers. target, task, validation, standardize: see `fastsnn.data.load`. layers: hidden ones.
    patience: epochs without a better validation figure before the run stops; 0 never stops.
    threads: None takes all processors.
    """

    data: str = "digits"
    target: str | None = None
    task: str = "auto"
    layers: int = 32
    width: int = 256
    dropout: float = 0.01
    epochs: int = 22
    batch_size: int = 128
    optimizer: str = "sgd"
    learning_rate: float = 0.03
    momentum: float = 0.0
    weight_decay: float = 0.0
    schedule: str = "cosine"
    patience: int = 0
    validation: float = 0.1
    standardize: str = "auto"
    seed: int = 0
    threads: int | None = None
    backend: str = "cpu"

    def __post_init__(self):
        for name, kind in get_type_hints(type(self)).items():
            value = getattr(self, name)
            if kind is float and type(value) is int:
                object.__setattr__(self, name, float(value))
            elif isinstance(value, bool) or not isinstance(value, kind):
                raise TypeError(f"{name}: {_words(kind)} is required, got {value!r}")
        for name, known in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            if getattr(self, name) not in known:
                given = getattr(self, name)
                raise ValueError(f"{name}: must be one of {', '.join(known)}; got {given!r}")
        for name, least in (("epochs", 1), ("batch_size", 1), ("patience", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}: at least {least} is required, got {getattr(self, name)}")
        if self.momentum and self.optimizer != "sgd":
            raise ValueError(
                f"momentum: only sgd has one, got {self.momentum} with {self.optimizer}; "
                "leave it out"
            )
        check.seed(self.seed)

    @classmethod
    def of(cls, **given) -> RunConfig:
        """The options `given`; the others as is best known for the data and the optimizer."""
        by_data = BY_DATA.get(given.get("data", cls.data), {})
        by_optimizer = BY_OPTIMIZER.get(given.get("optimizer", cls.optimizer), {})
        return cls(**(by_data | by_optimizer | given))

    @classmethod
    def from_dict(cls, options: dict[str, Any]) -> RunConfig:
        unknown = options.keys() - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            raise ValueError(f"there is no option {sorted(unknown)[0]!r}; remove it")
        return cls(**options)

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
        if new.epochs != self.epochs and self.schedule not in OPEN_ENDED:
            raise ValueError(
                f"{where}: a {self.schedule} schedule is made for a number of epochs, here "
                f"{self.epochs}, got {new.epochs}; leave it out, or start another run (only "
                f"{' and '.join(OPEN_ENDED)} schedules can go on longer)"
            )
        if new.epochs < epochs_behind:
            raise ValueError(
                f"{where}: the run has {epochs_behind} epochs behind it, got {new.epochs}; "
                "ask for at least as many"
            )
        return new

    def to_dict(self) -> dict[str, Any]:
        """Without the options that are None, which TOML cannot write."""
        return {k: v for k, v in dataclasses.asdict(self).items() if v is not None}

    def to_toml(self) -> bytes:
        import tomli_w

        head = "# Options of this run, to read: a resumed run takes those in last.safetensors.\n"
        return (head + tomli_w.dumps(self.to_dict())).encode()


def default_text(name: str) -> str:
    """How a default reads in a help text: "14; digits: 60"."""
    value = getattr(RunConfig, name)
    special = {
        who: options[name]
        for who, options in (BY_DATA | BY_OPTIMIZER).items()
        if options.get(name, value) != value
    }
    return "; ".join([str(value), *(f"{who}: {better}" for who, better in special.items())])


def _words(kind) -> str:
    return {int: "a whole number", float: "a number", str: "a text"}.get(kind, str(kind))
