"""Building blocks of the command line: option types, options of `RunConfig`, command classes.

Errors are one line that says what is required, and suggest an option for an unknown one. Only this
file, `fastsnn.runs.datasets` and `fastsnn.paper.command` import click within the package.
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

LONGEST = 60  # characters of an option that a hint repeats
CLOSE, ALIKE = 3, 0.55  # most suggestions; lowest similarity ratio of difflib
INTERRUPTED = 130  # 128 + SIGINT, as in shells
FAILURES = (ValueError, TypeError, RuntimeError, OSError, FloatingPointError, MemoryError)

# Option names of other programs and their names here; used if the command has such an option.
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
    "scoring": ("metric",), "monitor": ("metric",), "objective": ("metric",),
}  # fmt: skip


class Whole(click.IntRange):
    """An integer in a range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(_required("a whole number", self, value, param, ctx), param, ctx)

    def _describe_range(self) -> str:  # of click, for `--help`
        power = {2**bits - 1: f"2^{bits}" for bits in (63, 64)}.get(self.max or 0)
        return f"{self.min}<=x<{power}" if power else super()._describe_range()


class Number(click.FloatRange):
    """A number in a range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(_required("a number", self, value, param, ctx), param, ctx)


class OneOf(click.Choice[str]):
    """Click type for one word of a list."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            words = f"one of {', '.join(map(str, self.choices))} is required, got {shown(value)}"
            self.fail(words + _several(value, param, ctx), param, ctx)


class Sectioned(click.Option):
    """An option with the heading under which `Sections` lists it."""

    def __init__(self, *args: Any, section: str = "Output", **more: Any):
        super().__init__(*args, **more)
        self.section = section


class Sections(click.Command):
    """A command whose `--help` lists the options under headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(param, "section", "Output"), []).append(record)
        for name, records in sections.items():
            with formatter.section(f"{name} options"):
                formatter.write_dl(records)


def examples(*lines: str) -> str:
    """Return the epilog of a command's `--help`: examples, one line each, not rewrapped."""
    return "\n".join(["\b", "Example:" if len(lines) == 1 else "Examples:", *(
        f"  {line}" for line in lines
    )])  # fmt: skip


json_option = click.option(
    "--json", "as_json", is_flag=True, show_default="off",
    help="Print one JSON object on stdout instead of a table.",
)  # fmt: skip
workers_option = click.option(
    "--workers", cls=Sectioned, section="Search", type=Whole(min=1), metavar="N",
    show_default="all processors",
    help="Number of concurrent training runs, each on one thread; does not change their results.",
)  # fmt: skip


def show(values: dict[str, Any], as_json: bool) -> None:
    """Print a result on stdout, as JSON or as a table."""
    from fastsnn.runs.console import table
    from fastsnn.runs.folder import to_json

    click.echo(to_json(values)) if as_json else table(values)


def setting(name: str, searching: bool = False) -> Callable[[Any], Any]:
    """Return the decorator that adds the option of a field of `RunConfig` to a command.

    searching: use the default and the help text of `fastsnn search`.
    """
    row, flag = ROWS[name], f"--{name.replace('_', '-')}"
    default, text, shown_default = getattr(RunConfig, name), row.help, row.default_text or True
    if searching:
        text = row.search_help or text
        if row.searched is not None:
            default, shown_default = row.searched, True
    kind, metavar = type_of(name), row.metavar
    if isinstance(kind, click.IntRange | click.FloatRange):
        metavar = "N" if isinstance(kind, click.IntRange) else "X"
    is_flag = kind is click.BOOL
    if is_flag:
        flag = f"{flag}/--no-{flag.removeprefix('--')}"
    return click.option(
        flag, name, cls=Sectioned, section=row.section, type=None if is_flag else kind,
        metavar=metavar, help=text, default=default, show_default=shown_default,
    )  # fmt: skip


def settings(names: Iterable[str], searching: bool = False) -> Callable[[Any], Any]:
    """Return the decorator that adds several options of `RunConfig`, in this order.

    searching: see `setting`.
    """

    def decorate(command: Any) -> Any:
        for name in reversed(list(names)):
            command = setting(name, searching)(command)
        return command

    return decorate


def type_of(name: str) -> Any:
    """Return the click type of a field of `RunConfig`."""
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
    """Return a hint to `fastsnn search` if the value is a comma-separated list, else ""."""
    command = None if ctx is None else ctx.info_name
    if param is None or command not in ("train", "search") or "," not in str(value):
        return ""
    option = f"--grid {param.name}={value}"
    if len(option) > LONGEST:
        option = f"--grid {param.name}=V,V"
    return f"; to try several: {'fastsnn search ' * (command == 'train')}{option}"


def no_such_option(error: click.NoSuchOption) -> str:
    """Return the error message with suggestions: the option of a synonym, else options with that
    prefix, else options of similar spelling.

    click itself compares names including their dashes, which makes all short names similar.
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
    """A command group that reports each failure as one line on stderr.

    Exit codes: 0 success, 1 the command failed, 2 usage error, 130 interrupted (Ctrl-C).
    """

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
            if getattr(sys, name) is None:  # closed by the caller: discard the output
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
        except OSError as error:  # while --help or --version print, such as a full disk
            complain(f"fastsnn: {error}")
            code = 1
        code = code if isinstance(code, int) else 0
        sys.exit(code if _flushed(complained=code != 0) else code or 1)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # the reader closed the pipe: click exits without a message
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
    """Flush stdout; return False if that fails.

    In that case stdout is redirected to the null device. Otherwise Python would flush again at exit
    and end with code 120. complained: True if an error was already reported.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        if not complained and not isinstance(error, BrokenPipeError):  # like click, no message
            complain(f"fastsnn: {error}")
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        return False
    return True


def complain(line: str) -> None:
    """Print an error message on stderr, joined to one line."""
    click.echo("; ".join(part.strip() for part in line.splitlines() if part.strip()), err=True)
