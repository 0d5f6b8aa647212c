"""The command `fastsnn bench tables`."""

from __future__ import annotations

import importlib.util

import click

from fastsnn.runs.options import Number, Whole, examples

from .. import output
from ..options import json_option, listed_names

JOURNAL = "runs/bench/tables.jsonl"


@click.command(epilog=examples("fastsnn bench tables --tables ames,uci/iris --systems fastsnn,mlp"))
@click.option(
    "--tables", default="", show_default="all raw tables and uci", metavar="NAME,...",
    help="Tasks: hitters, ames, credit, telco_churn, diamonds, flights-delay, flights-carrier, "
    "uci/NAME, or uci for drawn UCI tasks. Raw tables are read from tables/NAME.csv.gz (both "
    "flights tasks: flights.csv.gz) below $FASTSNN_DATA or the user's cache folder.",
)  # fmt: skip
@click.option(
    "--uci", type=Whole(min=1), default=30, show_default=True, metavar="N",
    help="Number of UCI tasks that the name uci draws, of those with 100 to 5,000 rows.",
)  # fmt: skip
@click.option(
    "--systems", default="", show_default="all that are installed", metavar="NAME,...",
    help="Systems: fastsnn, fastsnn-5 (5 members); mlp, svm, random-forest, boosting "
    "(HistGradientBoosting) of scikit-learn; lightgbm, xgboost; realmlp of pytabkit.",
)  # fmt: skip
@click.option(
    "--folds", type=Whole(min=2), default=5, show_default=True, metavar="N",
    help="Number of cross-validation folds of a raw table. UCI tasks have one given test part.",
)  # fmt: skip
@click.option(
    "--first", type=Whole(min=1), show_default="all", metavar="N",
    help="Compute only the first N of the folds. The same command without it continues.",
)  # fmt: skip
@click.option(
    "--rows", type=Whole(min=50), show_default="all", metavar="N",
    help="Reduce larger tables, and training rows of larger UCI tasks, to a random subsample of N "
    "rows.",
)  # fmt: skip
@click.option(
    "--limit", type=Number(min=0, min_open=True), default=600.0, show_default=True, metavar="X",
    help="Wall-clock seconds after which one result (a system on a fold of a task) is stopped and "
    "counts as failed.",
)  # fmt: skip
@click.option(
    "--minutes", type=Number(min=0, min_open=True), show_default="no limit", metavar="X",
    help="Minutes after which no result is begun. The same command continues.",
)  # fmt: skip
@click.option(
    "--retry", is_flag=True, show_default="off", help="Repeat results that are stored as failed."
)
@click.option(
    "--out", type=click.Path(dir_okay=False), default=JOURNAL, show_default=True, metavar="FILE",
    help="Journal: each result is appended as a line of JSON. A result that it holds is not "
    "computed again. Several processes may share it.",
)  # fmt: skip
@json_option
def tables(tables, uci, systems, folds, first, rows, limit, minutes, retry, out, json_path):
    """Benchmark estimators at their defaults on tables.

    Trains fastsnn, scikit-learn's estimators, gradient boosting and RealMLP on one thread each, and
    prints accuracy or RMSE of the test rows, ranks and CPU seconds. Systems that are not installed
    are named and left out.
    """
    from fastsnn.runs.console import columns

    from . import run, show
    from . import systems as known
    from . import tasks as available
    from .journal import Journal

    if importlib.util.find_spec("sklearn") is None:
        raise RuntimeError("bench tables: scikit-learn is not installed; pip install '.[sklearn]'")
    output.require(json_path)
    chosen = available.resolve(listed_names(tables), uci)
    wanted = known.resolve(listed_names(systems))
    present, missing = run.present(wanted)
    for name, packages in missing.items():
        click.echo(f"{name} is left out: pip install {packages}", err=True)
    journal = Journal(out)
    try:
        found = run.measure(
            chosen, present, folds, first or folds, rows, limit, minutes or float("inf"), journal,
            retry,
            lambda line: click.echo(line, err=True),
        )  # fmt: skip
    finally:
        journal.close()
    found["missing"] = missing
    versions = {k: v for name in present for k, v in known.SYSTEMS[name].versions().items()}
    blocks = [f"{title}\n{columns(rows_of)}\n" for title, rows_of in show.blocks(found)]
    lines = [*blocks, *show.verdicts(found), *show.notes(found)]
    output.end(found, json_path, "\n".join(lines), versions)
