"""Learning-rate schedules: a factor on the optimizer's rate as a function of where the training
stands.

Nothing is kept between steps, so a resumed training goes on with the same rates.
"""

from dataclasses import dataclass
from math import cos, pi
from typing import ClassVar

from fastsnn.checks.scalars import integer, number, plain, shown
from fastsnn.selection import improves, larger_is_better

__all__ = ["Constant", "Cosine", "Plateau", "Step"]

MOST_DROPS = 10**9  # of `Step`: gamma to this power is 0 or 1


def _fractions(schedule, **ends):
    """Check that options are floats between 0 and 1; `ends` are the brackets of their intervals."""
    where = type(schedule).__name__
    for name, (left, right) in ends.items():
        given = getattr(schedule, name)
        try:
            value = number(given, name, 0, 1, left + right)
        except (TypeError, ValueError) as error:
            raise type(error)(
                f"{where}: {name} in {left}0, 1{right} is required, got {shown(given)}"
            ) from None
        object.__setattr__(schedule, name, value)


@dataclass(frozen=True)
class Constant:
    """Factor 1."""

    open_ended: ClassVar[bool] = True  # the length of the training may change on the way

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
        _fractions(self, every="(]", gamma="(]")

    def factor(self, step, n_steps, history):
        passed = min(step / n_steps / self.every, MOST_DROPS)
        return self.gamma ** int(passed + 1e-9)  # 3 / 10 / 0.1 is a little less than 3


@dataclass(frozen=True)
class Cosine:
    """Linear from 0 over the first `warmup` of the training, then half a cosine down to `floor`
    (both in [0, 1)).
    """

    warmup: float = 0.02
    floor: float = 0.0

    def __post_init__(self):
        _fractions(self, warmup="[)", floor="[)")

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

    open_ended: ClassVar[bool] = True

    monitor: str = "validation_loss"
    patience: int = 5
    gamma: float = 0.5

    def __post_init__(self):
        patience = plain(self.patience)
        try:
            object.__setattr__(self, "patience", integer(patience, "patience", 1))
        except (TypeError, ValueError) as error:
            wanted = (
                "patience >= 1, a whole number," if type(error) is TypeError else "patience >= 1"
            )
            raise type(error)(f"Plateau: {wanted} is required, got {shown(patience)}") from None
        _fractions(self, gamma="()")
        larger_is_better(self.monitor, "Plateau: monitor")

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


SCHEDULES = {"constant": Constant, "step": Step, "cosine": Cosine, "plateau": Plateau}
