"""Learning-rate schedules: a factor on the optimizer's learning rate for each update.

Pass one to `Trainer.fit(schedule=)`. Update number `step` uses the learning rate
``optimizer.learning_rate * schedule.factor(step, n_steps, history)``. The factor is computed from
these arguments alone. Schedules keep no state, so a resumed training run has the same rates.

To add one: a class here, its name in `__all__`, and a row in `SCHEDULES`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, log2, pi
from typing import TYPE_CHECKING, ClassVar, cast

from fastsnn.checks.scalars import integer, number, plain, shown
from fastsnn.deprecated import renamed
from fastsnn.selection import Records, improves, larger_is_better

__all__ = ["Constant", "StepDecay", "CosineDecay", "ReduceOnPlateau", "OneCycle", "LogCosine"]

MOST_DROPS = 10**9  # of `StepDecay`: gamma to this power is 0 or 1


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
    """Base class of schedules, which are frozen dataclasses. All fields have defaults. A field of
    the wrong type raises TypeError, one out of range ValueError.

    `Trainer.fit` accepts any object with a method ``factor(step, n_steps, history)``; deriving from
    this class is optional.

    Attributes
    ----------
    open_ended : bool
        True if `factor` does not depend on `n_steps`, so that a run may be extended later.
    summary : str
        Description in `fastsnn train --help`, which may be empty.
    """

    open_ended: ClassVar[bool] = False
    summary: ClassVar[str] = ""

    def factor(self, step: int, n_steps: int, history: Records) -> float:
        """Return the learning-rate factor for update `step` (from 0) of `n_steps`.

        Parameters
        ----------
        step : int in [0, n_steps)
            Updates made before this one, earlier epochs of a resumed training run included.
        n_steps : int >= 1
            Updates of the whole training run: epochs times mini-batches per epoch.
        history : sequence of dict
            Records of the finished epochs, see `Trainer.fit`.

        Returns
        -------
        float >= 0
            In [0, 1] for the schedules of this module.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Constant(Schedule):
    """A constant learning rate: the factor is 1.

    Examples
    --------
    >>> import fastsnn as fs
    >>> fs.schedules.Constant().factor(step=7, n_steps=10, history=[])
    1.0
    """

    open_ended: ClassVar[bool] = True

    def factor(self, step: int, n_steps: int, history: Records) -> float:
        """Return 1.0 for every update. The arguments are those of `Schedule.factor`."""
        return 1.0


@dataclass(frozen=True)
class StepDecay(Schedule):
    """Step decay: multiplication by `gamma` at equal intervals. PyTorch's StepLR, with `every` as a
    fraction of the training run instead of a number of steps::

        factor = gamma ** floor(step / (every * n_steps))

    Parameters
    ----------
    every : float in (0, 1]
        Interval as a fraction of the whole training run. The default 1/3 gives three levels.
    gamma : float in (0, 1]
        Factor at the end of each interval.

    Raises
    ------
    TypeError, ValueError
        If an option has the wrong type or is out of range.

    Examples
    --------
    >>> import fastsnn as fs
    >>> [fs.schedules.StepDecay(every=0.5).factor(step, 4, []) for step in range(4)]
    [1.0, 1.0, 0.1, 0.1]
    """

    summary: ClassVar[str] = "times 0.1 after each third of the run"

    every: float = 1 / 3
    gamma: float = 0.1

    def __post_init__(self) -> None:
        _fractions(self, every="(]", gamma="(]")

    def factor(self, step: int, n_steps: int, history: Records) -> float:
        """Return the learning-rate factor in [0, 1] for update `step` (from 0) of `n_steps`.

        `history` is not used.
        """
        passed = min(step / n_steps / self.every, MOST_DROPS)
        return self.gamma ** int(passed + 1e-9)  # 3 / 10 / 0.1 is a little less than 3


@dataclass(frozen=True)
class CosineDecay(Schedule):
    """Linear warm-up, then half a cosine from 1 down to `floor` (Loshchilov & Hutter 2017, "SGDR",
    without restarts; PyTorch's CosineAnnealingLR after a LinearLR). With
    ramp = warmup * n_steps::

        factor = (step + 1) / (ramp + 1)                                         if step < ramp
        factor = floor + (1 - floor) (1 + cos(pi (step - ramp) / (n_steps - ramp))) / 2    otherwise

    This is the default of `fastsnn train`.

    Parameters
    ----------
    warmup : float in [0, 1)
        Length of the warm-up as a fraction of the whole training run.
    floor : float in [0, 1)
        Final factor of the cosine.

    Raises
    ------
    TypeError, ValueError
        If an option has the wrong type or is out of range.

    Examples
    --------
    >>> import fastsnn as fs
    >>> schedule = fs.schedules.CosineDecay(warmup=0)
    >>> [round(schedule.factor(step, 4, []), 2) for step in range(4)]
    [1.0, 0.85, 0.5, 0.15]
    """

    summary: ClassVar[str] = "linear warm-up over the first 2 % of updates, then half a cosine to 0"

    warmup: float = 0.02
    floor: float = 0.0

    def __post_init__(self) -> None:
        _fractions(self, warmup="[)", floor="[)")

    def factor(self, step: int, n_steps: int, history: Records) -> float:
        """Return the learning-rate factor in [0, 1] for update `step` (from 0) of `n_steps`.

        `history` is not used.
        """
        ramp = self.warmup * n_steps
        if step < ramp:
            return (step + 1) / (ramp + 1)
        rest = max(n_steps - ramp, 1)
        return self.floor + (1 - self.floor) * 0.5 * (1 + cos(pi * (step - ramp) / rest))


@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """Reduction of the learning rate by a factor `gamma` whenever `monitor` has not improved for
    `patience` epochs. PyTorch's ReduceLROnPlateau with threshold=0 and cooldown=0, but that reduces
    after patience + 1 such epochs.

    The counter starts again after each reduction and after each improvement. Any strict improvement
    counts; an equal value or NaN does not.

    Parameters
    ----------
    monitor : str
        Key of the records of `Trainer.fit`, such as "validation_loss", "validation_accuracy" or
        "train_loss"; "validation_NAME" takes any metric of the task. Accuracy, AUC, F1 and R2 are
        maximized; losses and errors are minimized.
    patience : int >= 1
        Consecutive epochs without an improvement after which the learning rate is reduced.
    gamma : float in (0, 1)
        Factor of each reduction.

    Raises
    ------
    TypeError, ValueError
        If an option has the wrong type or is out of range, or `monitor` does not name a
        metric.

    Examples
    --------
    >>> import fastsnn as fs
    >>> history = [{"validation_loss": loss} for loss in (1.0, 0.9, 0.9, 0.95)]
    >>> fs.schedules.ReduceOnPlateau(patience=2).factor(40, 100, history)
    0.5
    """

    open_ended: ClassVar[bool] = True
    summary: ClassVar[str] = "halved after 5 epochs without a lower validation loss"

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
            raise type(error)(
                f"ReduceOnPlateau: {wanted} is required, got {shown(patience)}"
            ) from None
        _fractions(self, gamma="()")
        larger_is_better(self.monitor, "ReduceOnPlateau: monitor")

    def factor(self, step: int, n_steps: int, history: Records) -> float:
        """Return the learning-rate factor in [0, 1] after the epochs of `history`.

        `step` and `n_steps` are not used.

        Raises
        ------
        ValueError
            If a record lacks `monitor`: a validation metric needs `validation_data`.
        """
        factor, waited = 1.0, 0
        best: float | None = None
        for record in history:
            if self.monitor not in record:
                raise ValueError(
                    f"ReduceOnPlateau: an epoch has {sorted(record)}, not {self.monitor!r}; "
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
    """Half a cosine from `start` up to 1, then half a cosine down to `end` (Smith & Topin 2018,
    "Super-Convergence"). Momentum stays constant.

    Equals PyTorch's OneCycleLR with two phases: `warmup` is its pct_start, `start` is
    1 / div_factor, `end` is 1 / (div_factor * final_div_factor). With
    peak = warmup * n_steps - 1, the step whose factor is 1::

        factor = 1 - (1 - start) (1 + cos(pi step / peak)) / 2                   if step < peak
        factor = end + (1 - end) (1 + cos(pi (step - peak) / (n_steps - 1 - peak))) / 2    otherwise

    Parameters
    ----------
    warmup : float in [0, 1)
        Length of the rise as a fraction of the whole training run.
    start : float in [0, 1]
        Factor of the first update if warmup * n_steps > 1; otherwise there is no rise.
    end : float in [0, 1]
        Factor of the last update.

    Raises
    ------
    TypeError, ValueError
        If an option has the wrong type or is out of range.

    Examples
    --------
    >>> import fastsnn as fs
    >>> schedule = fs.schedules.OneCycle(warmup=0.5, start=0.2, end=0)
    >>> [round(schedule.factor(step, 4, []), 2) for step in range(4)]
    [0.2, 1.0, 0.5, 0.0]
    """

    summary: ClassVar[str] = "half a cosine up, half a cosine down"

    warmup: float = 0.3
    start: float = 1 / 25
    end: float = 1 / 250_000

    def __post_init__(self) -> None:
        _fractions(self, warmup="[)", start="[]", end="[]")

    def factor(self, step: int, n_steps: int, history: Records) -> float:
        """Return the learning-rate factor in [0, 1] for update `step` (from 0) of `n_steps`.

        `history` is not used.
        """
        peak = self.warmup * n_steps - 1
        if step < peak:
            return 1 - (1 - self.start) * 0.5 * (1 + cos(pi * step / peak))
        rest = n_steps - 1 - peak
        return self.end + (1 - self.end) * 0.5 * (1 + cos(pi * (step - peak) / rest))


@dataclass(frozen=True)
class LogCosine(Schedule):
    """Four cosine waves from 0 to 1 and back, each twice as long as the one before (RealMLP:
    Holzmueller, Grinsztajn & Steinwart 2024, "Better by Default")::

        factor = (1 - cos(2 pi log2(1 + 15 step / n_steps))) / 2

    Examples
    --------
    >>> import fastsnn as fs
    >>> schedule = fs.schedules.LogCosine()
    >>> [round(schedule.factor(step, 15, []), 2) for step in (0, 1, 2, 3, 5, 7)]
    [0.0, 0.0, 0.93, 0.0, 0.93, 0.0]
    """

    summary: ClassVar[str] = "four cosine waves"

    def factor(self, step: int, n_steps: int, history: Records) -> float:
        """Return the learning-rate factor in [0, 1] for update `step` (from 0) of `n_steps`.

        `history` is not used.
        """
        return 0.5 * (1 - cos(2 * pi * log2(1 + 15 * step / n_steps)))


# By the word of the command line and of stored configurations, which never changes.
SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "step": StepDecay,
    "cosine": CosineDecay,
    "plateau": ReduceOnPlateau,
    "onecycle": OneCycle,
    "logcosine": LogCosine,
}

# The names of version 0.1 in `fastsnn`, and what they are called here.
NAMES_0_1 = {
    "Constant": "Constant",
    "Step": "StepDecay",
    "Cosine": "CosineDecay",
    "Plateau": "ReduceOnPlateau",
    "OneCycle": "OneCycle",
    "LogCosine": "LogCosine",
}
if not TYPE_CHECKING:
    __getattr__ = renamed(
        __name__, {old: f"{__name__}.{new}" for old, new in NAMES_0_1.items() if old != new}
    )


def schedule_of(value: object, where: str) -> Schedule:
    """Return the value itself. Raises TypeError for a value without `factor`, a class instead of an
    instance, and an instance of the base class.
    """
    if not hasattr(value, "factor") or isinstance(value, type) or type(value) is Schedule:
        raise TypeError(
            f"{where} must be one of fastsnn.schedules, got {shown(value)}; give an instance, such "
            "as fastsnn.schedules.CosineDecay()"
        )
    return cast("Schedule", value)  # any class with a `factor`
