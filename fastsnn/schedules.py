"""Learning-rate schedules: a factor on the optimizer's rate as a function of where the training
stands.

Nothing is kept between steps, so a resumed training goes on with the same rates.
"""

from dataclasses import dataclass
from math import cos, isnan, pi

from fastsnn.metrics import LARGER_IS_BETTER


def _require(where, holds, required, given):
    if not holds:
        raise ValueError(f"{where}: {required} is required, got {given}")


@dataclass(frozen=True)
class Constant:
    """Factor 1."""

    def factor(self, step, n_steps, history):
        return 1.0


@dataclass(frozen=True)
class Step:
    """Times `gamma` after every `every` of the training's length: every=1/3 gives three plateaus.

    every in (0, 1], gamma in (0, 1]
    """

    every: float = 1 / 3
    gamma: float = 0.1

    def __post_init__(self):
        _require("Step", 0 < self.every <= 1, "every in (0, 1]", self.every)
        _require("Step", 0 < self.gamma <= 1, "gamma in (0, 1]", self.gamma)

    def factor(self, step, n_steps, history):
        passed = step / n_steps / self.every
        return self.gamma ** int(passed + 1e-9)  # 3 / 10 / 0.1 is a little less than 3


@dataclass(frozen=True)
class Cosine:
    """Linear from 0 over the first `warmup` of the training, then half a cosine down to `floor`
    (both in [0, 1)).
    """

    warmup: float = 0.02
    floor: float = 0.0

    def __post_init__(self):
        _require("Cosine", 0 <= self.warmup < 1, "warmup in [0, 1)", self.warmup)
        _require("Cosine", 0 <= self.floor < 1, "floor in [0, 1)", self.floor)

    def factor(self, step, n_steps, history):
        ramp = self.warmup * n_steps
        if step < ramp:
            return (step + 1) / (ramp + 1)
        rest = max(n_steps - ramp, 1)
        return self.floor + (1 - self.floor) * 0.5 * (1 + cos(pi * (step - ramp) / rest))


@dataclass(frozen=True)
class Plateau:
    """Times `gamma` whenever `monitor` has not improved for `patience` epochs.

    monitor: a figure of the epochs' records, such as "validation_loss"; gamma in (0, 1); patience
    >= 1
    """

    monitor: str = "validation_loss"
    patience: int = 5
    gamma: float = 0.5

    def __post_init__(self):
        _require("Plateau", self.patience >= 1, "patience >= 1", self.patience)
        _require("Plateau", 0 < self.gamma < 1, "gamma in (0, 1)", self.gamma)

    def factor(self, step, n_steps, history):
        factor, best, waited = 1.0, None, 0
        for record in history:
            if self.monitor not in record:
                raise ValueError(
                    f"Plateau: an epoch has {sorted(record)}, not {self.monitor!r}; "
                    "give validation data"
                )
            value = record[self.monitor]
            if best is None or improves(self.monitor, value, best):
                best, waited = value, 0
            else:
                waited += 1
            if waited == self.patience:
                factor, waited = factor * self.gamma, 0
        return factor


def improves(monitor: str, value: float, best: float) -> bool:
    """Whether a figure such as "validation_accuracy" is better than the best so far; any number is
    better than NaN (nothing could be measured).
    """
    if isnan(best):
        return not isnan(value)
    larger = LARGER_IS_BETTER[monitor.rsplit("_", 1)[-1]]
    return value > best if larger else value < best


SCHEDULES = {"constant": Constant, "step": Step, "cosine": Cosine, "plateau": Plateau}
