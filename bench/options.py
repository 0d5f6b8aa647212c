"""Options that the commands of `fastsnn bench` and `fastsnn compare` share."""

import click

from fastsnn.runs.options import Number, Whole

from .case import Case, CaseType

NETWORK = "LxWxB[xRATE[xINPUTS]]"


def seconds_option(default):
    """Return the option --seconds with a default."""
    return click.option(
        "--seconds", type=Number(min=0, min_open=True), default=default,
        show_default=True, metavar="X",
        help="Seconds to time each system and case.",
    )  # fmt: skip


def cases_option(default):
    """Return the option --case with the default networks, as texts."""
    return click.option(
        "--case", "cases", type=CaseType(), multiple=True, show_default=", ".join(default),
        metavar=NETWORK,
        callback=lambda ctx, option, given: given or tuple(map(Case.parse, default)),
        help="Network to benchmark: hidden layers, width, batch size, dropout probability (default "
        "0), number of input features (default 784). Repeatable.",
    )  # fmt: skip


def against_option(known):
    """Return the option --against for some libraries."""
    return click.option(
        "--against", default="", show_default="none", metavar="NAME,NAME,...",
        help=f"Other libraries to benchmark: {', '.join(known)}.",
    )  # fmt: skip


threads_option = click.option(
    "--threads",
    type=Whole(min=1),
    metavar="N",
    show_default="all processors",
    help="Number of CPU threads of each system. Other libraries are also measured with one thread; "
    "their better time is reported.",
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
    help="Number of rounds; the systems are measured in turn in each round.",
)
json_option = click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False),
    show_default="none",
    metavar="FILE",
    help="Also write the results, the machine and the versions to this JSON file.",
)
plot_option = click.option(
    "--plot",
    "plot_path",
    type=click.Path(dir_okay=False),
    show_default="none",
    metavar="FILE",
    help="Also plot the results to this .png, .svg or .pdf file (needs matplotlib).",
)
