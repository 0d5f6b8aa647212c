"""Learning-rate schedules: a factor on the optimizer's learning rate as a function of the progress
of the training. To add one: a class here, and its name in `__all__`.

Nothing is kept between steps, so a resumed training goes on with the same rates.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, log2, pi
from typing import ClassVar, cast

from fastsnn.checks.scalars import integer, number, plain, shown
from fastsnn.selection import Records, improves, larger_is_better

__all__ = ["Constant", "Step", "Cosine", "Plateau", "OneCycle", "LogCosine"]

MOST_DROPS = 10**9  # of `Step`: gamma to this power is 0 or 1


def _fractions(schedule: Schedule, **ends: str) -> None:
    """Check that options are floats between 0 and 1; `ends` are the brackets of their intervals."""
    where = type(schedule).__name__
    for name, brackets in ends.items():
        left, right = brackets[0], brackets[1]
        given = getattr(schedule, name)
        try:
            value = number(given, name, 0, 1, left + right)
        except (TypeError, ValueError) as error:
            raise type(error)(
                f"{where}: {name} in {left}0, 1{right} is required, got {shown(given)}"
            ) from None
        object.__setattr__(schedule, name, value)


class Schedule:
    """The base class of schedules. Each is a frozen dataclass whose options all have defaults."""

    # Factors do not depend on the length of the training, which may change on the way.
    open_ended: ClassVar[bool] = False

    def factor(self, step: int, n_steps: int, history: Records) -> float:
        """Factor >= 0 on the learning rate of update number `step` (from 0) of `n_steps`.

        history: records of the epochs that have ended.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Constant(Schedule):
    """Factor 1."""

    open_ended: ClassVar[bool] = True

    def factor(self, step: int, n_steps: int, history: Records) -> float:
        return 1.0


@dataclass(frozen=True)
class Step(Schedule):
    """Times `gamma` after every `every` of the training's length: every=1/3 gives three plateaus.

    every in (0, 1], gamma in (0, 1]
    """

    every: float = 1 / 3
    gamma: float = 0.1

    def __post_init__(self) -> None:
        _fractions(self, every="(]", gamma="(]")

    def factor(self, step: int, n_steps: int, history: Records) -> float:
        passed = min(step / n_steps / self.every, MOST_DROPS)
        return self.gamma ** int(passed + 1e-9)  # 3 / 10 / 0.1 is a little less than 3


@dataclass(frozen=True)
class Cosine(Schedule):
    """Linear from 0 over the first `warmup` of the training, then half a cosine down to `floor`
    (both in [0, 1)).
    """

    warmup: float = 0.02
    floor: float = 0.0

    def __post_init__(self) -> None:
        _fractions(self, warmup="[)", floor="[)")

    def factor(self, step: int, n_steps: int, history: Records) -> float:
        ramp = self.warmup * n_steps
        if step < ramp:
            return (step + 1) / (ramp + 1)
        rest = max(n_steps - ramp, 1)
        return self.floor + (1 - self.floor) * 0.5 * (1 + cos(pi * (step - ramp) / rest))


@dataclass(frozen=True)
class Plateau(Schedule):
    """Times `gamma` whenever `monitor` has not improved for `patience` epochs.

    monitor: a figure of the epochs' records, such as "validation_loss"; gamma in (0, 1); patience
    >= 1
    """

    open_ended: ClassVar[bool] = True

    monitor: str = "validation_loss"
    patience: int = 5
    gamma: float = 0.5

    def __post_init__(self) -> None:
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

    def factor(self, step: int, n_steps: int, history: Records) -> float:
        factor, waited = 1.0, 0
        best: float | None = None
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


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Half a cosine from `start` up to 1 over the first `warmup` of the training, then half a
    cosine down to `end` (Smith & Topin 2018, "Super-Convergence"). Momentum stays constant.

    As PyTorch's OneCycleLR with two phases: warmup is its pct_start, start 1 / div_factor, end
    1 / (div_factor final_div_factor).

    warmup in [0, 1), start in [0, 1], end in [0, 1]
    """

    warmup: float = 0.3
    start: float = 1 / 25
    end: float = 1 / 250_000

    def __post_init__(self) -> None:
        _fractions(self, warmup="[)", start="[]", end="[]")

    def factor(self, step: int, n_steps: int, history: Records) -> float:
        peak = self.warmup * n_steps - 1  # the step whose factor is 1
        if step < peak:
            return 1 - (1 - self.start) * 0.5 * (1 + cos(pi * step / peak))
        rest = n_steps - 1 - peak
        return self.end + (1 - self.end) * 0.5 * (1 + cos(pi * (step - peak) / rest))


@dataclass(frozen=True)
class LogCosine(Schedule):
    """(1 - cos(2 pi log2(1 + 15 t))) / 2, t = step / n_steps: four cosine waves from 0 to 1 and
    back, each twice as long as the one before (RealMLP: Holzmueller, Grinsztajn & Steinwart 2024,
    "Better by Default").
    """

    def factor(self, step: int, n_steps: int, history: Records) -> float:
        return 0.5 * (1 - cos(2 * pi * log2(1 + 15 * step / n_steps)))


# By the name of an option or a configuration.
SCHEDULES: dict[str, type[Schedule]] = {name.lower(): globals()[name] for name in __all__}


def schedule_of(value: object, where: str) -> Schedule:
    """The value itself. Raises TypeError for a value without `factor`, a class instead of an
    instance, and an instance of the base class.
    """
    if not hasattr(value, "factor") or isinstance(value, type) or type(value) is Schedule:
        raise TypeError(
            f"{where} must be one of fastsnn.schedules, got {shown(value)}; give an instance, such "
            "as fastsnn.Cosine()"
        )
    return cast("Schedule", value)  # any class with a `factor`
