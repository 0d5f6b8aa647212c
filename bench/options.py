"""Options that the commands of `fastsnn bench` and `fastsnn compare` share."""

import click

from fastsnn.runs.options import Number, Whole

from .case import Case, CaseType

NETWORK = "LxWxB[xRATE[xINPUTS]]"
CASE = (
    "L hidden layers of W units, batch size B, dropout probability RATE (0 if not given), number "
    "of input features INPUTS (784 if not given)"
)


# The names of --against, for help texts.
LIBRARIES = {
    "torch": "PyTorch (eager)", "torch-compile": "PyTorch with torch.compile", "jax": "JAX (jit)",
    "onnxruntime": "ONNX Runtime",
}  # fmt: skip


def seconds_option(default, what):
    """Return the option --seconds with a default. what: the thing that is timed so long."""
    return click.option(
        "--seconds", type=Number(min=0, min_open=True), default=default,
        show_default=True, metavar="X", help=f"Seconds to time {what}.",
    )  # fmt: skip


def cases_option(default):
    """Return the option --case with the default networks, as texts."""
    return click.option(
        "--case", "cases", type=CaseType(), multiple=True, show_default=", ".join(default),
        metavar=NETWORK,
        callback=lambda ctx, option, given: given or tuple(map(Case.parse, default)),
        help=f"Network to benchmark: {CASE}. Repeatable.",
    )  # fmt: skip


def against_option(known):
    """Return the option --against for some libraries. known: name -> description."""
    listed = "; ".join(f"{name}: {words}" for name, words in known.items())
    return click.option(
        "--against", default="", show_default="none", metavar="NAME,NAME,...",
        help=f"Other libraries to benchmark. {listed}.",
    )  # fmt: skip


def libraries(*names):
    """Return the entries of LIBRARIES with these names."""
    return {name: LIBRARIES[name] for name in names}


def listed_names(text: str) -> tuple[str, ...]:
    """Return the names in the text of an option, which commas divide."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


threads_option = click.option(
    "--threads",
    type=Whole(min=1),
    metavar="N",
    show_default="all processors",
    help="Number of CPU threads of each system. Other libraries are also timed with one thread; "
    "the faster of the two is reported.",
)
equal_threads_option = click.option(
    "--threads", type=Whole(min=1), metavar="N", show_default="all processors",
    help="Number of CPU threads of each system.",
)  # fmt: skip
rounds_option = click.option(
    "--rounds",
    type=Whole(min=1),
    default=3,
    show_default=True,
    metavar="N",
    help="Number of rounds. The systems are timed in turn in each round, for an equal share of "
    "--seconds, so that a drift of the machine affects all of them.",
)
json_option = click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False),
    show_default="none",
    metavar="FILE",
    help="Also write the results, a description of the machine, and versions to this JSON file.",
)
plot_option = click.option(
    "--plot",
    "plot_path",
    type=click.Path(dir_okay=False),
    show_default="none",
    metavar="FILE",
    help="Also plot the results to this .png, .svg or .pdf file (needs matplotlib: extra plot).",
)
