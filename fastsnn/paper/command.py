"""The command `fastsnn reproduce NAME`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fastsnn.checks.scalars import shown
from fastsnn.methods import METHODS
from fastsnn.paper.budgets import BUDGETS, BY_NAME, FIG1, TUTORIAL
from fastsnn.runs.options import OneOf, Whole, examples, json_option, workers_option

if TYPE_CHECKING:  # at run time, imported by the command that needs it
    from fastsnn.paper.run import Request

Parser = Callable[[click.Context, click.Parameter, str | None], tuple[Any, ...] | None]
Decorated = TypeVar("Decorated", bound=Callable[..., Any])

WORK = "runs/paper"
CURVES = ("snn", "msra", "batchnorm", "layernorm", "weightnorm")
NETWORKS = ("selu", "relu")
DRY_RUN = {
    "trainings": "training runs", "at_once": "concurrent training runs",
    "predicted_seconds": "estimated seconds", "predicted": "estimated time",
}  # fmt: skip


class Resumable(click.Command):
    """A command that runs an experiment. If interrupted, it reports how to continue."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            if ctx.params["dry"]:
                raise
            raise KeyboardInterrupt(
                f"interrupted; finished training runs are stored in {ctx.params['work'] or WORK}; "
                "to continue, repeat the command with --resume"
            ) from None


@click.group(
    epilog=examples("fastsnn reproduce htru2 --budget tiny", "fastsnn reproduce uci --resume")
)
def reproduce() -> None:
    """Rerun the experiments of the paper and compare the results.

    Prints the published and the new results, and the deviations from the paper's setting. Writes
    NAME.json (results, machine, versions, command), and for some experiments a plot (NAME.png) or a
    table (NAME.csv), to --out. Each finished training run is stored in --work, so that --resume
    continues after an interruption. The paper is Klambauer et al. 2017, Self-Normalizing Neural
    Networks, arXiv 1706.02515.
    """


reproduce.command_class = Resumable


def listed(known: Sequence[Any] | None = None, kind: Callable[[str], Any] = str) -> Parser:
    """Return a click callback that parses a comma-separated list.

    known: allowed values; None: any. kind: type of the values; integers must be at least 1.
    """

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
                f"comma-separated whole numbers are required, got {shown(text)}"
            ) from error
        wrong = [str(v) for v in values if known is not None and v not in known]
        if wrong or not values:
            raise click.BadParameter(
                f"one or more of {', '.join(map(str, known or ()))} are required, got "
                f"{', '.join(wrong) or 'nothing'}"
            )
        if kind is int and min(values) < 1:
            raise click.BadParameter(f"numbers of at least 1 are required, got {min(values)}")
        return values

    return parse


def seeds(ctx: click.Context, option: click.Parameter, text: str | None) -> tuple[int, ...] | None:
    """Parse --seeds: "3" means the seeds 0, 1, 2; "5,7" means the seeds 5 and 7."""
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdigit() for word in words if word) or not words[0]:
        raise click.BadParameter(
            f"a whole number or a comma-separated list of them is required, got {shown(text)}"
        )
    if len(words) > 1:
        return tuple(dict.fromkeys(int(word) for word in words if word))
    if not int(words[0]):
        raise click.BadParameter("at least one seed is required, got 0")
    return tuple(range(int(words[0])))


def shared(seeds_default: str = "1") -> Callable[[Decorated], Decorated]:
    """Return the decorator that adds the options of all experiments."""
    options = (
        json_option,
        click.option("--work", metavar="DIR", show_default=WORK,
                     help="Folder of finished training runs, which --resume reads."),
        click.option("--out", metavar="DIR", show_default="bench/results/paper if it exists, else "
                     "paper-results", help="Folder for results and plots."),
        click.option("--resume", is_flag=True, show_default="off",
                     help="Continue: keep the finished training runs in --work, run the others. "
                     "Without it, finished runs there are an error."),
        click.option("--seeds", callback=seeds, metavar="N|N,N,...", show_default=seeds_default,
                     help="Number of repeats (seeds 0, 1, ...), or a list of seeds (\"7,\": seed 7 "
                     "alone)."),
        click.option("--budget", type=OneOf(BUDGETS), default="small", show_default=True,
                     help="Size of the experiment. full: the paper's hyperparameters and epochs; "
                     "small, tiny: fewer, smaller and shorter training runs. Deviations from the "
                     "paper are printed."),
    )  # fmt: skip

    def decorate(command: Decorated) -> Decorated:
        for option in options:
            command = option(command)
        return command

    return decorate


def methods_option(
    known: Sequence[str], default: Sequence[str] | None = None
) -> Callable[[Decorated], Decorated]:
    """Return the option --methods. default: None selects all known ones."""
    return click.option(
        "--methods", default=",".join(default or known), callback=listed(known),
        show_default=", ".join(default) if default else "all",
        metavar="NAME,NAME,...", help=f"Methods to train: {', '.join(known)}. "
        "`fastsnn train --help` describes them under --method.",
    )  # fmt: skip


dry_option = click.option(
    "--dry-run", "dry", is_flag=True, show_default="off",
    help="Only print the number of training runs and the estimated time.",
)  # fmt: skip


def references_option(names: str) -> Callable[[Decorated], Decorated]:
    """Return the option --references. names: the classifiers, for the help text."""
    return click.option(
        "--references", "with_references", is_flag=True, show_default="off",
        help=f"Also train the paper's reference classifiers with scikit-learn: {names}.",
    )  # fmt: skip


def layers_option(default: dict[str, Sequence[int]], more: str) -> Callable[[Decorated], Decorated]:
    """Return the option --layers. default: depths by budget. more: end of the help text."""
    return click.option(
        "--layers", callback=listed(kind=int), metavar="N,N,...", show_default=by_budget(default),
        help=f"Numbers of hidden layers to train{more}.",
    )  # fmt: skip


def epochs_option(default: dict[str, int]) -> Callable[[Decorated], Decorated]:
    """Return the option --epochs. default: numbers by budget."""
    return click.option(
        "--epochs", type=Whole(min=1), metavar="N", help="Number of epochs of each training run.",
        show_default=by_budget({budget: (epochs,) for budget, epochs in default.items()}),
    )  # fmt: skip


def by_budget(numbers: dict[str, Sequence[int]]) -> str:
    """Return defaults as words: "by --budget: tiny: 2; small: 30; full: 2,000"."""
    words = (f"{budget}: {', '.join(f'{n:,}' for n in of)}" for budget, of in numbers.items())
    return f"by --budget: {'; '.join(words)}"


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
    else:  # the result of a dry run
        click.echo("\n".join(f"{DRY_RUN[name]}: {value}" for name, value in found.items()))


def _fig1(data: str) -> click.Command:
    @reproduce.command(f"fig1-{data}", epilog=examples(
        f"fastsnn reproduce fig1-{data} --dry-run",
        f"fastsnn reproduce fig1-{data} --layers 8,16 --epochs 100 --resume",
    ))  # fmt: skip
    @methods_option(CURVES, ("snn", "batchnorm"))
    @layers_option({budget: layers for budget, (layers, _) in FIG1.items()}, "")
    @epochs_option({budget: epochs for budget, (_, epochs) in FIG1.items()})
    @dry_option
    @shared()
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


_fig1("mnist").help = """Reproduce figure 1 on MNIST: training loss by epoch.

The layers have 784 units. Prints the final losses and writes the curves as JSON and PNG. An epoch
of the six default networks (2 methods, 3 depths) takes about 2.5 minutes on 2 processors. With
--resume, a higher number of --epochs continues the finished training runs, up to the paper's 2,000
epochs and beyond."""
_fig1("cifar10").help = """Reproduce figure 1 on CIFAR-10: training loss by epoch.

The layers have 3,072 units. Prints the final losses and writes the curves as JSON and PNG. An epoch
of the six default networks (2 methods, 3 depths) takes about half an hour on 2 processors and needs
5 GB of memory. With --resume, a higher number of --epochs continues the finished training runs."""


@reproduce.command(
    epilog=examples("fastsnn reproduce uci --max-rows 1000 --methods snn,msra --budget tiny")
)
@methods_option(METHODS)
@click.option("--sets", callback=listed(), metavar="NAME,NAME,...",
              show_default="all on this machine",
              help="UCI data sets to run, named as in the paper's table A11.")  # fmt: skip
@click.option("--max-rows", type=Whole(min=1), metavar="N", show_default="no limit",
              help="Skip data sets with more than N rows.")  # fmt: skip
@references_option("random forest, SVM, naive Bayes")
@dry_option
@workers_option
@shared()
def uci(
    methods: tuple[str, ...],
    sets: tuple[str, ...] | None,
    max_rows: int | None,
    with_references: bool,
    dry: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Reproduce the comparison on 121 UCI data sets.

    Prints the mean accuracy of each method, its average rank minus the mean rank (tables 1 and A11
    of the paper), and p of the one-sided paired Wilcoxon test that the SNN's accuracies over the
    data sets are higher than the method's. Writes JSON and CSV.
    """
    from fastsnn.paper import run

    request = _request("uci", **options)
    _show(run.run_uci(request, methods, sets, max_rows, with_references, dry), as_json)


@reproduce.command(epilog=examples("fastsnn reproduce htru2 --methods snn,batchnorm"))
@methods_option(METHODS)
@references_option("naive Bayes, SVM, decision tree")
@dry_option
@workers_option
@shared()
def htru2(
    methods: tuple[str, ...], with_references: bool, dry: bool, as_json: bool, **options: Any
) -> None:
    """Reproduce the pulsar classification of HTRU2.

    Prints for each method the mean and standard deviation of the area under the ROC curve (AUC)
    over ten folds (table 3 of the paper), and p of the one-sided paired Wilcoxon test that the
    SNN's AUCs over the folds are higher than the method's. Writes JSON.
    """
    from fastsnn.paper import run

    request = _request("htru2", **options)
    _show(run.run_htru2(request, methods, with_references, dry), as_json)


@reproduce.command(epilog=examples("fastsnn reproduce tox21 --layers 8 --methods snn"))
@methods_option(METHODS)
@layers_option(
    {budget: grid.layers for budget, grid in BY_NAME["tox21"].items()},
    " (resnet: residual blocks), chosen from those of the budget",
)
@dry_option
@workers_option
@shared(by_budget({budget: (grid.seeds,) for budget, grid in BY_NAME["tox21"].items()}))
def tox21(
    methods: tuple[str, ...],
    layers: tuple[int, ...] | None,
    dry: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Reproduce the toxicity prediction of Tox21 by depth.

    Prints the mean area under the ROC curve (AUC) over 12 tasks for each method and depth, with its
    standard deviation over the seeds (table 2 of the paper). Writes JSON and PNG.
    """
    from fastsnn.paper import run

    request = _request("tox21", **options)
    _show(run.run_tox21(request, methods, layers, dry), as_json)


@reproduce.command(
    "tutorial-mnist", epilog=examples("fastsnn reproduce tutorial-mnist --methods selu")
)
@click.option("--methods", "networks", default=",".join(NETWORKS), show_default="all",
              callback=listed(NETWORKS), metavar="NAME,NAME,...",
              help=f"Activation functions to compare: {', '.join(NETWORKS)}.")  # fmt: skip
@epochs_option(TUTORIAL)
@dry_option
@workers_option
@shared()
def tutorial_mnist(
    networks: tuple[str, ...], epochs: int | None, dry: bool, as_json: bool, **options: Any
) -> None:
    """Reproduce the authors' PyTorch tutorial on MNIST.

    The network has layers of 784, 512, 256 and 10 units, with SELU or ReLU. Prints test accuracy,
    validation loss and time for each network, next to those of the authors' notebook. Writes JSON.
    """
    from fastsnn.paper import run

    request = _request("tutorial-mnist", **options)
    _show(run.run_tutorial(request, networks, epochs, dry), as_json)
