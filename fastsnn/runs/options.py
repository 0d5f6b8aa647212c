"""The command line's parts: option types, the options of `RunConfig`, and the command group.

Errors say what is required, in one line, and suggest an option for an unknown one. Besides
`fastsnn.paper.command` the only file of the package that imports click.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import Any, get_type_hints

import click

from fastsnn.checks.scalars import shown
from fastsnn.runs.config import ROWS, RunConfig

LONGEST = 60  # letters of an option that a hint repeats
CLOSE, ALIKE = 3, 0.55  # most suggestions; the least similarity ratio of difflib
INTERRUPTED = 130  # as shells count: 128 + SIGINT
FAILURES = (ValueError, TypeError, RuntimeError, OSError, FloatingPointError, MemoryError)

# Names of options in other programs, and ours; used if the command has such an option.
SYNONYMS = {
    "lr": ("learning-rate",), "eta": ("learning-rate",), "learning-rate-init": ("learning-rate",),
    "wd": ("weight-decay",), "l2": ("weight-decay",), "bs": ("batch-size",),
    "minibatch": ("batch-size",), "n-epochs": ("epochs",), "num-epochs": ("epochs",),
    "max-iter": ("epochs",), "iterations": ("epochs",), "opt": ("optimizer",),
    "solver": ("optimizer",), "scheduler": ("schedule",), "lr-schedule": ("schedule",),
    "lr-scheduler": ("schedule",), "depth": ("layers",), "hidden-layers": ("layers",),
    "n-layers": ("layers",), "num-layers": ("layers",), "hidden-layer-sizes": ("layers", "width"),
    "hidden-size": ("width",), "hidden-units": ("width",), "units": ("width",),
    "label": ("target",), "labels": ("target",), "y": ("target",), "column": ("target",),
    "val": ("validation",), "val-split": ("validation",), "validation-split": ("validation",),
    "validation-fraction": ("validation",), "test-size": ("validation",),
    "early-stopping": ("patience",), "normalize": ("standardize",), "random-state": ("seed",),
    "device": ("backend",), "gpu": ("backend",), "cuda": ("backend",), "dtype": ("precision",),
    "dataset": ("data",), "input": ("data",), "file": ("data",), "csv": ("data",),
    "checkpoint": ("model", "resume"), "weights": ("model",), "output": ("out",),
    "save": ("out",), "dir": ("out",), "folder": ("out",), "continue": ("resume",),
    "jobs": ("workers", "threads"), "n-jobs": ("workers", "threads"),
    "cpus": ("workers", "threads"), "n-trials": ("trials",), "num-trials": ("trials",),
    "scoring": ("metric",), "objective": ("metric",),
}  # fmt: skip


class Whole(click.IntRange):
    """A whole number in a range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(_required("a whole number", self, value, param, ctx), param, ctx)


class Number(click.FloatRange):
    """A number in a range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(_required("a number", self, value, param, ctx), param, ctx)


class OneOf(click.Choice[str]):
    """One of some words."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            words = f"one of {', '.join(map(str, self.choices))} is required, got {shown(value)}"
            self.fail(words + _several(value, param, ctx), param, ctx)


json_option = click.option(
    "--json", "as_json", is_flag=True, show_default="off", help="One JSON object on stdout."
)
workers_option = click.option(
    "--workers", type=Whole(min=1), metavar="N", show_default="all processors",
    help="Number of concurrent trainings, each on one thread. Changes no result.",
)  # fmt: skip


def setting(name: str, show_default: str | None = None) -> Callable[[Any], Any]:
    """The decorator that gives a command the option of a field of `RunConfig`, from its row."""
    row, flag = ROWS[name], f"--{name.replace('_', '-')}"
    kind, metavar = type_of(name), row.metavar
    if isinstance(kind, click.IntRange | click.FloatRange):
        metavar = "N" if isinstance(kind, click.IntRange) else "X"
    is_flag = kind is click.BOOL
    if is_flag:
        flag = f"{flag}/--no-{flag.removeprefix('--')}"
    return click.option(
        flag, name, type=None if is_flag else kind, metavar=metavar, help=row.help,
        default=getattr(RunConfig, name), show_default=show_default or row.default_text or True,
    )  # fmt: skip


def settings(names: Iterable[str], searching: bool = False) -> Callable[[Any], Any]:
    """`setting` of each name, in this order; `searching` shows the defaults of a search."""

    def decorate(command: Any) -> Any:
        for name in reversed(list(names)):
            default = ROWS[name].searched if searching else None
            command = setting(name, None if default is None else str(default))(command)
        return command

    return decorate


def type_of(name: str) -> Any:
    """The click type of a field of `RunConfig`."""
    row, kind = ROWS[name], get_type_hints(RunConfig)[name]
    if row.choices:
        return OneOf(list(row.choices))
    if kind in (int, int | None):
        low, high = (None if end is None else int(end) for end in (row.low, row.high))
        return Whole(low, high)
    if kind in (float, float | None):
        left, right = row.brackets[0] == "(", row.brackets[1] == ")"
        return Number(row.low, row.high, min_open=left, max_open=right)
    return click.BOOL if kind in (bool, bool | None) else click.STRING


def _required(
    kind: str,
    range_: click.IntRange | click.FloatRange,
    value: Any,
    param: click.Parameter | None,
    ctx: click.Context | None,
) -> str:
    low, high = range_.min, range_.max
    if high is not None:
        left, right = "(" if range_.min_open else "[", ")" if range_.max_open else "]"
        kind += f" in {left}{low}, {high}{right}"
    elif low is not None:
        kind += f" above {low}" if range_.min_open else f" of at least {low}"
    return f"{kind} is required, got {shown(value)}{_several(value, param, ctx)}"


def _several(value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
    """A hint to `fastsnn search` if several values were given."""
    command = None if ctx is None else ctx.info_name
    if param is None or command not in ("train", "search") or "," not in str(value):
        return ""
    option = f"--grid {param.name}={value}"
    if len(option) > LONGEST:
        option = f"--grid {param.name}=V,V"
    return f"; to try several: {'fastsnn search ' * (command == 'train')}{option}"


def no_such_option(error: click.NoSuchOption) -> str:
    """The message with suggestions: the option for a synonym, else options with that prefix, else
    options with a similar spelling.

    click compares names with their dashes, which makes all short names similar.
    """
    known = {
        name.lstrip("-")
        for option in (error.ctx.command.params if error.ctx is not None else ())
        if isinstance(option, click.Option) and not option.hidden
        for name in (*option.opts, *option.secondary_opts)
        if name.startswith("--")
    }
    word = error.option_name.lstrip("-").replace("_", "-").lower()
    meant = [name for name in SYNONYMS.get(word, ()) if name in known]
    if not meant and len(word) > 1:
        meant = sorted(name for name in known if name.startswith(word))
        meant = meant or get_close_matches(word, sorted(known), CLOSE, ALIKE)
    hint = f"; did you mean {' or '.join(f'--{name}' for name in meant[:CLOSE])}?" if meant else ""
    return f"no such option {shown(error.option_name)}{hint}"


class OneLine(click.Group):
    """Every failure is one line on stderr: exit code 2 for usage, 1 for the run, 130 for Ctrl-C."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, False, **extra)
        for name in ("stdout", "stderr"):
            if getattr(sys, name) is None:  # closed by the caller: the output is not wanted
                setattr(sys, name, open(os.devnull, "w"))
        try:
            code = super().main(args, prog_name, complete_var, False, **extra)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            code = error.exit_code
        except click.ClickException as error:
            path, hint = "fastsnn", ""
            if isinstance(error, click.UsageError) and error.ctx is not None:
                path, hint = error.ctx.command_path, f" (see {error.ctx.command_path} --help)"
            text = error.format_message()
            if isinstance(error, click.NoSuchOption):
                text = no_such_option(error)
            complain(f"{path}: {text}{hint}")
            code = error.exit_code
        except click.Abort as error:
            complain(f"fastsnn: {str(error.__cause__ or '') or 'interrupted'}")
            code = INTERRUPTED
        except OSError as error:  # of --help and --version: the disk is full
            complain(f"fastsnn: {error}")
            code = 1
        code = code if isinstance(code, int) else 0
        sys.exit(code if _flushed(complained=code != 0) else code or 1)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # click ends quietly: the reader of the pipe has gone
        except FAILURES as error:
            if isinstance(error, click.exceptions.Exit | click.Abort):
                raise
            text = str(error) or type(error).__name__
            if isinstance(error, MemoryError):
                text = (
                    f"not enough memory ({text}); choose a smaller --width, --layers, --batch-size"
                )
            raise click.ClickException(text) from error


def _flushed(complained: bool) -> bool:
    """True if stdout has taken all that was written. Else its buffer is discarded: Python would try
    again when it ends, and exit with code 120.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        if not complained and not isinstance(error, BrokenPipeError):  # as click, quietly
            complain(f"fastsnn: {error}")
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        return False
    return True


def complain(line: str) -> None:
    click.echo("; ".join(part.strip() for part in line.splitlines() if part.strip()), err=True)
