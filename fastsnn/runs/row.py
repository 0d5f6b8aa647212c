"""The row of a command-line option: range, help text and rules of one field of `RunConfig`.

The checks of a configuration, the options of `fastsnn train` and `fastsnn search`, and the rules of
a resumed run follow from these rows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from fastsnn.checks.scalars import shown

ROW = "row"  # key in the metadata of a dataclass field


@dataclass(frozen=True, kw_only=True)
class Row:
    """One option.

    help: its line in `--help`. metavar: what stands for its value there; N and X for numbers.
    choices: the words that are allowed. low, high, brackets: range of a number, as `--help` shows
    it. most: the largest whole number that is supported; a larger one would exhaust the memory.
    check: called with a value other than None, raises ValueError or TypeError; used for ranges
    that another module decides.

    default_text: what `--help` shows as the default where None stands for it. settled: True if the
    default depends on the task and the data, see `fastsnn.runs.defaults`. search: "tried" for an
    option of which a search may try several values, "shared" for one that all its trainings share,
    "absent" for one that `fastsnn search` does not have. searched: its default in a search, if that
    is another one. changeable: a resumed run may change it. optimizer: it is an
    argument of those optimizers that have a field of this name, whose classes check its range.
    """

    help: str
    metavar: str | None = None
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    brackets: str = "[]"
    most: int | None = None
    check: Callable[[Any], object] | None = None
    default_text: str | None = None
    settled: bool = False
    search: Literal["tried", "shared", "absent"] = "tried"
    searched: float | None = None
    changeable: bool = False
    optimizer: bool = False

    def require(self, name: str, value: Any) -> None:
        """Raise ValueError, in one line, for a value of the right type that is not allowed."""
        if self.choices and value not in self.choices:
            raise ValueError(
                f"{name}: must be one of {', '.join(self.choices)}; got {shown(value)}"
            )
        if self.check is not None:
            self.check(value)
        if self.optimizer or self.low is None:
            return
        if self.high is not None:
            left, right = self.brackets[0], self.brackets[1]
            above = value > self.low or (left == "[" and value == self.low)
            below = value < self.high or (right == "]" and value == self.high)
            if not (above and below):
                inside = f"{left}{self.low}, {self.high}{right}"
                raise ValueError(f"{name}: must be in {inside}, got {shown(value)}")
        elif not value >= self.low:
            raise ValueError(f"{name}: at least {self.low} is required, got {shown(value)}")
        if self.most is not None and value > self.most:
            raise ValueError(f"{name}: at most {self.most:,} is supported, got {shown(value)}")


def option(default: Any, help: str, **more: Any) -> Any:
    """A dataclass field with its row; `more` are the other fields of `Row`."""
    return dataclasses.field(default=default, metadata={ROW: Row(help=help, **more)})


def rows_of(config: type) -> dict[str, Row]:
    """{name: row} of a configuration's fields, in their order."""
    return {field.name: field.metadata[ROW] for field in dataclasses.fields(config)}
