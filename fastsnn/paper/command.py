"""The command `fastsnn reproduce NAME`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fastsnn.checks.scalars import shown
from fastsnn.methods import METHODS
from fastsnn.paper.budgets import BUDGETS
from fastsnn.runs.options import OneOf, Whole, json_option, workers_option

if TYPE_CHECKING:  # imported by the command that runs
    from fastsnn.paper.run import Request

Parser = Callable[[click.Context, click.Parameter, str | None], tuple[Any, ...] | None]
Decorated = TypeVar("Decorated", bound=Callable[..., Any])

WORK = "runs/paper"
CURVES = ("snn", "msra", "batchnorm", "layernorm", "weightnorm")
NETWORKS = ("selu", "relu")


class Resumable(click.Command):
    """An experiment; an interruption says how to continue."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            if ctx.params["dry"]:
                raise
            raise KeyboardInterrupt(
                f"interrupted; {ctx.params['work'] or WORK} keeps the finished trainings; continue "
                "with the same command and --resume"
            ) from None


@click.group()
def reproduce() -> None:
    """Rerun the paper's experiments, and print ours beside the published figures.

    Results (NAME.json, with machine, versions and command; some NAME.png, NAME.csv) go to --out.
    Every training is stored in --work as soon as it has finished: --resume continues after a kill.
    """


reproduce.command_class = Resumable


def listed(known: Sequence[Any] | None = None, kind: Callable[[str], Any] = str) -> Parser:
    """A callback for words with commas between."""

    def parse(
        ctx: click.Context, option: click.Parameter, text: str | None
    ) -> tuple[Any, ...] | None:
        if text is None:
            return None
        words = tuple(word.strip() for word in text.split(",") if word.strip())
        try:
            values = tuple(dict.fromkeys(kind(word) for word in words))
        except ValueError as error:
            raise click.BadParameter(
                f"whole numbers with commas between are required, got {shown(text)}"
            ) from error
        wrong = [str(v) for v in values if known is not None and v not in known]
        if wrong or not values:
            raise click.BadParameter(
                f"some of {', '.join(map(str, known or ()))} are required, got "
                f"{', '.join(wrong) or 'nothing'}"
            )
        if kind is int and min(values) < 1:
            raise click.BadParameter(f"numbers of at least 1 are required, got {min(values)}")
        return values

    return parse


def seeds(ctx: click.Context, option: click.Parameter, text: str | None) -> tuple[int, ...] | None:
    """ "3": the seeds 0, 1, 2; "5,7": these."""
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdigit() for word in words if word) or not words[0]:
        raise click.BadParameter(
            f"a whole number, or several with commas between, is required, got {shown(text)}"
        )
    if len(words) > 1:
        return tuple(dict.fromkeys(int(word) for word in words if word))
    if not int(words[0]):
        raise click.BadParameter("at least one is required, got 0")
    return tuple(range(int(words[0])))


def shared(command: Decorated) -> Decorated:
    """The options of every experiment."""
    for option in (
        json_option,
        click.option("--work", metavar="DIR", show_default=WORK,
                     help="Where finished trainings are kept for --resume."),
        click.option("--out", metavar="DIR", show_default="bench/results/paper where it is, else "
                     "paper-results", help="Where results and pictures go."),
        click.option("--resume", is_flag=True, show_default="off",
                     help="Keep the finished trainings in --work and run the others."),
        click.option("--seeds", callback=seeds, metavar="N|A,B,...", show_default="of the budget",
                     help="Number of repeats, or a list of seeds."),
        click.option("--budget", type=OneOf(BUDGETS), default="small", show_default=True,
                     help="How much of the paper's grid; what is left out is printed."),
    ):  # fmt: skip
        command = option(command)
    return command


def methods_option(
    known: Sequence[str], default: Sequence[str] | None = None
) -> Callable[[Decorated], Decorated]:
    default = ",".join(default or known)
    return click.option(
        "--methods", default=default, show_default=True, callback=listed(known), metavar="NAMES",
        help=f"With commas between: {', '.join(known)}.",
    )  # fmt: skip


dry_option = click.option(
    "--dry-run", "dry", is_flag=True, show_default="off",
    help="Only print the number of trainings and the predicted time.",
)  # fmt: skip
references_option = click.option(
    "--references", "with_references", is_flag=True, show_default="off",
    help="Also train the classifiers of scikit-learn that the paper compares with.",
)  # fmt: skip
layers_option = click.option(
    "--layers", callback=listed(kind=int), metavar="N,N,...", show_default="of the budget",
    help="Hidden layers, with commas between.",
)  # fmt: skip
epochs_option = click.option(
    "--epochs", type=Whole(min=1), metavar="N", show_default="of the budget",
    help="Epochs of every training; more of them continue a resumed one.",
)  # fmt: skip


def _request(
    name: str,
    budget: str,
    seeds: tuple[int, ...] | None,
    out: str | None,
    work: str | None,
    resume: bool,
    workers: int | None = None,
) -> Request:
    from fastsnn.paper.results import Place
    from fastsnn.paper.run import Request

    return Request(budget, seeds, Place.of(name, out, work), resume, workers)


def _show(found: dict[str, Any], as_json: bool) -> None:
    from fastsnn.paper import results, show

    if as_json:
        click.echo(results.dumps(found))
    elif "what" in found:
        click.echo(show.text(found))
    else:  # of a dry run
        click.echo("\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in found.items()))


def _fig1(data: str) -> click.Command:
    @reproduce.command(f"fig1-{data}")
    @methods_option(CURVES, ("snn", "batchnorm"))
    @layers_option
    @epochs_option
    @dry_option
    @shared
    def command(
        methods: tuple[str, ...],
        layers: tuple[int, ...] | None,
        epochs: int | None,
        dry: bool,
        as_json: bool,
        **options: Any,
    ) -> None:
        from fastsnn.paper import run

        request = _request(f"fig1-{data}", **options)
        _show(run.run_fig1(request, data, methods, layers, epochs, dry), as_json)

    return command


_fig1("mnist").help = """Figure 1 on MNIST: training loss over the epochs, layers of 784 units.

An epoch of all six networks takes about 2.5 minutes on 2 processors; more --epochs with --resume
continue the trainings, up to the paper's 2000 and beyond."""
_fig1("cifar10").help = """Figure 1 on CIFAR-10: training loss over the epochs, layers of 3072
units.

An epoch of all six networks takes about half an hour on 2 processors, and 5 GB of memory."""


@reproduce.command()
@methods_option(METHODS)
@click.option("--sets", callback=listed(), metavar="NAMES", show_default="all in this copy",
              help="UCI tasks, with commas between.")  # fmt: skip
@click.option("--max-rows", type=Whole(min=1), metavar="N", show_default="none",
              help="Leave larger data sets out.")  # fmt: skip
@references_option
@dry_option
@workers_option
@shared
def uci(
    methods: tuple[str, ...],
    sets: tuple[str, ...] | None,
    max_rows: int | None,
    with_references: bool,
    dry: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """121 UCI tasks: mean accuracy, average rank differences, Wilcoxon tests."""
    from fastsnn.paper import run

    request = _request("uci", **options)
    _show(run.run_uci(request, methods, sets, max_rows, with_references, dry), as_json)


@reproduce.command()
@methods_option(METHODS)
@references_option
@dry_option
@workers_option
@shared
def htru2(
    methods: tuple[str, ...], with_references: bool, dry: bool, as_json: bool, **options: Any
) -> None:
    """HTRU2, pulsars: area under the ROC curve over ten folds."""
    from fastsnn.paper import run

    request = _request("htru2", **options)
    _show(run.run_htru2(request, methods, with_references, dry), as_json)


@reproduce.command()
@methods_option(METHODS)
@layers_option
@dry_option
@workers_option
@shared
def tox21(
    methods: tuple[str, ...],
    layers: tuple[int, ...] | None,
    dry: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Tox21: mean area under the ROC curve over 12 tasks, by depth."""
    from fastsnn.paper import run

    request = _request("tox21", **options)
    _show(run.run_tox21(request, methods, layers, dry), as_json)


@reproduce.command("tutorial-mnist")
@click.option("--methods", "networks", default=",".join(NETWORKS), show_default=True,
              callback=listed(NETWORKS), metavar="NAMES",
              help="With commas between: selu, relu.")  # fmt: skip
@epochs_option
@dry_option
@workers_option
@shared
def tutorial_mnist(
    networks: tuple[str, ...], epochs: int | None, dry: bool, as_json: bool, **options: Any
) -> None:
    """The authors' PyTorch tutorial on MNIST: 784-512-256-10, SELU and ReLU."""
    from fastsnn.paper import run

    request = _request("tutorial-mnist", **options)
    _show(run.run_tutorial(request, networks, epochs, dry), as_json)
