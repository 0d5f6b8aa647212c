"""Row: range, help text and rules of one command-line option, a field of `RunConfig`.

The checks of a configuration, the options of `fastsnn train` and `fastsnn search`, and the rules of
a resumed run follow from these rows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from fastsnn.checks.scalars import is_finite, plain, shown

ROW = "row"  # key in the metadata of a dataclass field
Section = Literal["Data", "Network", "Training", "Execution"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """Declaration of one option.

    Parameters
    ----------
    help : line in `--help`.
    section : heading in `--help`.
    metavar : placeholder of the value in `--help`; numbers always have N (int) or X (float).
    choices : allowed words; empty: any.
    low, high, brackets : range of a number, as `--help` shows it.
    most : largest supported integer; a larger one would exhaust the memory.
    check : function called with each value other than None; raises ValueError or TypeError. For
        ranges that another module defines.
    default_text : default shown in `--help` if the default is None.
    settled : True if the default depends on the task and the data, see `fastsnn.runs.defaults`.
    search : "tried": a search may try several values; "shared": one value for all trials of a
        search; "absent": not an option of `fastsnn search`.
    searched : default in a search, if it differs.
    search_help : line in `fastsnn search --help`, if it differs.
    changeable : True if a resumed run may change the value.
    optimizer : True for an argument of the optimizers that have a field of this name; their classes
        check its range.
    """

    help: str
    section: Section = "Training"
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
    search_help: str | None = None
    changeable: bool = False
    optimizer: bool = False

    def require(self, name: str, value: Any) -> None:
        """Raise ValueError, with a one-line message, for a value out of range."""
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
    """Return a dataclass field with its row; `more` are the other fields of `Row`."""
    return dataclasses.field(default=default, metadata={ROW: Row(help=help, **more)})


def rows_of(config: type) -> dict[str, Row]:
    """Return {name: row} of a configuration's fields, in declaration order."""
    return {field.name: field.metadata[ROW] for field in dataclasses.fields(config)}


def typed(name: str, kind: Any, value: Any) -> Any:
    """Return the value as a plain number or str of the field's type; TypeError or ValueError."""
    value = plain(value)
    if kind in (float, float | None) and type(value) is int and is_finite(value):
        value = float(value)
    is_bool = isinstance(value, bool) and kind not in (bool, bool | None)
    if is_bool or not isinstance(value, kind):
        raise TypeError(f"{name}: {_words(kind)} is required, got {shown(value)}")
    if isinstance(value, str) and not _is_unicode(value):  # a file name can hold any bytes
        raise ValueError(
            f"{name}: text that UTF-8 can hold is required, got {shown(value)}; rename it"
        )
    return value


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _words(kind: Any) -> str:
    words = {int: "a whole number", float: "a number", str: "a text", bool: "True or False"}
    parts = [words[k] for k in getattr(kind, "__args__", (kind,)) if k in words]
    return " or ".join(parts)
