"""The command line: `fastsnn train`, `search`, `evaluate`, `predict`, `diagnose`, ..."""

from __future__ import annotations

import time
from typing import Any

START = time.perf_counter()

import click  # noqa: E402
from click.core import ParameterSource  # noqa: E402

from fastsnn import __version__  # noqa: E402
from fastsnn.bench.command import bench, compare  # noqa: E402
from fastsnn.paper.command import reproduce  # noqa: E402
from fastsnn.runs.config import OPEN_ENDED, ROWS, RunConfig  # noqa: E402
from fastsnn.runs.datasets import data_group  # noqa: E402
from fastsnn.runs.options import (  # noqa: E402
    OneLine,
    OneOf,
    Sectioned,
    Sections,
    Whole,
    examples,
    json_option,
    setting,
    settings,
    show,
    type_of,
    workers_option,
)

COUNT = Whole(min=1)
SHARED = [name for name, row in ROWS.items() if row.search != "absent"]  # options of a search


def report(line: str) -> None:
    """Print a note or warning on stderr."""
    click.echo(line, err=True)


def given(ctx: click.Context, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options given on the command line."""
    default = ParameterSource.DEFAULT
    return {name: v for name, v in options.items() if ctx.get_parameter_source(name) != default}


header_option, threads_option, backend_option = map(setting, ("header", "threads", "backend"))
target_option = click.option(
    "--target", metavar="COLUMN", show_default="the target columns of the model",
    help="Target column(s) of a file other than .npz: name, index from 0, or a comma-separated "
    "list.",
)  # fmt: skip
model_option = click.option(
    "--model", "model_file", required=True, metavar="FILE|DIR",
    help="Model file (model.safetensors) or run folder.",
)  # fmt: skip


@click.group(
    cls=OneLine,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=examples("fastsnn train", "fastsnn train --data mnist --out runs/mnist"),
)
@click.version_option(__version__, prog_name="fastsnn")
def main() -> None:
    """Train and apply deep self-normalizing networks (SELU, alpha-dropout) on CPUs and GPUs.

    Results go to stdout, progress and warnings to stderr. Exit codes: 0 success, 1 the command
    failed, 2 usage error, 130 interrupted (Ctrl-C).
    """


@main.command(
    cls=Sections,
    epilog=examples(
        "fastsnn train --data table.csv --target price --epochs 50",
        "fastsnn train --data mnist --layers 16 --optimizer adam --out runs/mnist",
    ),
)
@settings(ROWS)
@click.option(
    "--out", metavar="DIR", show_default="runs/DATA-N with the next free number N",
    help="Run folder to write: config.toml, metrics.jsonl (one line per epoch), model.safetensors "
    "(best epoch), last.safetensors (for --resume). Without --resume, a folder with a run is an "
    "error.",
)  # fmt: skip
@click.option(
    "--resume", "resuming", is_flag=True, show_default="off",
    help="Continue the run in --out with its stored options. Only --threads, --data (the same rows "
    f"at another path) and, with --schedule {' or '.join(OPEN_ENDED)}, --epochs may change.",
)  # fmt: skip
@json_option
@click.pass_context
def train(
    ctx: click.Context, /, out: str | None, resuming: bool, as_json: bool, **options: Any
) -> None:
    """Train a network and store the model of the best epoch.

    Reads a data set, standardizes it, and writes a run folder. The best epoch has the best
    validation --metric. Prints the main options, and the metrics of that epoch on the training,
    validation and test sets. An interrupted run continues with --resume; its results are
    bit-identical to those of an uninterrupted one.

    Exit codes: 0 success, 1 failure (such as unusable data or a diverged training), 2 usage error,
    130 interrupted.
    """
    from fastsnn.runs import console
    from fastsnn.runs.folder import RunFolder
    from fastsnn.runs.run import resume, run

    options = given(ctx, options)
    if resuming and out is None:
        raise click.UsageError("--resume needs the folder of the run: add --out DIR", ctx)
    if out is not None and not resuming and RunFolder(out).holds_run():
        raise click.UsageError(
            f"--out {out}: this folder already contains a run; add --resume to continue it, or "
            "choose another folder", ctx,
        )  # fmt: skip
    shown = console.progress()
    more: dict[str, Any] = {
        "report": report,
        "callbacks": [shown],
        "progress": console.DownloadLine(report),
    }
    try:
        if resuming:
            assert out is not None  # checked above
            result = resume(out, **more, **options)
        else:
            config = RunConfig(**options)
            if "bottleneck" in options and config.method != "resnet":
                raise click.UsageError(
                    "--bottleneck: only --method resnet has one; leave it out", ctx
                )
            result = run(config, out, **more)
    finally:
        shown.close()
    result["seconds"] = time.perf_counter() - START
    show(result, as_json)


# fmt: off
@main.command(
    cls=Sections,
    epilog=examples(
        "fastsnn search --data digits --grid layers=4,8,16 --grid learning_rate=0.01,0.03,0.1",
        "fastsnn search --data digits --sampler random --trials 20 "
        "--range learning_rate=0.001:0.1:log",
    ),
)
@settings(SHARED, searching=True)
@click.option("--grid", "grids", cls=Sectioned, section="Search", multiple=True,
              metavar="NAME=V,V,...", show_default="none",
              help="Option to search (spelled with underscores) and its values: any network or "
              "training option but metric; standardize, scaling, max_categories, min_frequency; "
              "seed. Repeatable. With --sampler grid all combinations are tried; otherwise values "
              "are sampled from the list.")
@click.option("--range", "ranges", cls=Sectioned, section="Search", multiple=True,
              metavar="NAME=LOW:HIGH[:log]", show_default="none",
              help="Numeric option and the interval to sample it from, with --sampler random or "
              "optuna; :log samples it log-uniformly. An integer option is sampled as integers, "
              "both ends included. Repeatable.")
@click.option("--sampler", cls=Sectioned, section="Search",
              type=OneOf(["grid", "random", "optuna"]), default="grid", show_default=True,
              help="Configurations to train: all combinations, random draws, or proposals of "
              "Optuna's TPE sampler.")
@click.option("--trials", cls=Sectioned, section="Search", type=COUNT, metavar="N",
              show_default="all combinations of the grid",
              help="Number of trials; required with --sampler random or optuna, and for them only.")
@workers_option
@click.option("--dask", cls=Sectioned, section="Search", metavar="ADDRESS",
              show_default="threads of this process",
              help="Address tcp://HOST:PORT of a Dask scheduler on whose workers to train; local "
              "starts worker processes on this machine. --workers is then by default the number of "
              "all their threads.")
@click.option("--out", metavar="DIR", show_default="runs/DATA-N with the next free number N",
              help="Folder to write: trials.jsonl, one line per finished trial. Without --resume, "
              "a folder with a search is an error.")
@click.option("--resume", is_flag=True, show_default="off",
              help="Continue the search in --out and keep its finished trials. Repeat all options; "
              "--grid may have more values and --trials may be higher.")
@json_option
@click.pass_context
# fmt: on
def search(
    ctx: click.Context, /, grids: tuple[str, ...], ranges: tuple[str, ...], as_json: bool,
    out: str | None, resume: bool, **options: Any,
) -> None:  # fmt: skip
    """Search hyperparameters and rank the trained configurations.

    Trains many configurations concurrently. Tries the options given with --grid and --range; all
    other options are fixed. By default a trial has 100 epochs and 15 % of the training rows are
    held out, as in the paper. Its score is the best moving average of the validation metric over 10
    epochs (over all epochs if there are fewer). Prints the best 10 trials and the `fastsnn train`
    command of the winner.
    """
    from fastsnn.runs import console
    from fastsnn.search import command, progress, words

    def convert(name: str, text: str) -> Any:
        try:
            return type_of(name).convert(text, None, ctx)
        except click.BadParameter as error:
            raise ValueError(error.message) from error

    if resume and out is None:
        raise click.UsageError("--resume needs the folder of the search: add --out DIR", ctx)
    fixed = given(ctx, {name: options.pop(name) for name in SHARED})
    try:
        space = words.space(grids, ranges, convert)
        words.require_usable(space, options["sampler"], options["trials"], out if resume else None)
    except ValueError as error:
        raise click.UsageError(str(error), ctx) from error
    shown = progress.progress()
    try:
        result = command.search_runs(
            fixed, space, metric=fixed.pop("metric", None), out=out, resume=resume,
            report=report, progress=shown, download=console.DownloadLine(report), **options,
        )  # fmt: skip
    finally:
        shown.close()
    if not as_json:
        click.echo(progress.table(result.pop("table"), result["metric"]) + "\n")
        result |= progress.winner(result.pop("best"))
    show(result, as_json)


@main.command(epilog=examples("fastsnn evaluate --model runs/digits-1 --data digits"))
@model_option
@click.option("--data", required=True, metavar="NAME|FILE",
              help="Name of a data set (see `fastsnn data list`) or a labelled file. Only the test "
              "rows are used if there are any.")
@target_option
@header_option
@click.option("--metric", "names", multiple=True, metavar="NAME", show_default="all of the task",
              help="Metric to print, such as f1 or pinball:0.9. Repeat it for further metrics.")
@threads_option
@backend_option
@json_option
def evaluate(
    model_file: str, data: str, target: str | None, header: bool | None, names: tuple[str, ...],
    threads: int | None, backend: str, as_json: bool,
) -> None:  # fmt: skip
    """Evaluate a saved model on labelled data.

    Prints the number of rows, the loss (the default loss of the task, even if the model was trained
    with another --loss; for a regression that of standardized targets), and the metrics of the task
    in units of the target. A metric that is not defined for these rows is "-", and the reason is
    printed.
    """
    from fastsnn.runs import console, inference

    path, model = inference.load(model_file, backend)
    progress = console.DownloadLine(report)
    figures = inference.evaluate(
        model, data, target, threads, progress, header, names or None, report
    )
    show({"model": str(path), **figures}, as_json)


@main.command(epilog=examples("fastsnn predict --model runs/table-1 --data new.csv --out out.csv"))
@model_option
@click.option("--data", required=True, metavar="NAME|FILE",
              help="CSV file; .npz file, whose array x is used; or the name of a data set (see "
              "`fastsnn data list`), whose test set is used. A model of a table with text, gaps, "
              "booleans or dates needs a CSV, Parquet or JSON file. Columns of a CSV file with a "
              "header are found by name, in any order, and others (such as the target) are "
              "ignored; without a header, give the features alone.")
@header_option
@click.option("--out", metavar="FILE", show_default="stdout", help="CSV file to write.")
@threads_option
@backend_option
def predict(
    model_file: str, data: str, header: bool | None, out: str | None, threads: int | None,
    backend: str,
) -> None:  # fmt: skip
    """Predict with a saved model and write the predictions as CSV.

    Writes a header and one line per row of the data, in the same order. Classification: the most
    probable class, and the probability p_NAME of each class. Multitask: the probability p_NAME of
    each task. Regression: the targets in their original units.
    """
    from fastsnn.runs import console, inference
    from fastsnn.storage import files

    _, model = inference.load(model_file, backend)
    progress = console.DownloadLine(report)
    predictions = inference.predict(model, data, threads, progress, header, report)
    text = inference.to_csv(model, predictions)
    if out is None:
        click.echo(text, nl=False)
    else:
        files.replace(out, text.encode())
        report(f"{console.count(len(predictions), 'prediction')} in {out}")


@main.command(
    epilog=examples("fastsnn diagnose --model runs/digits-1 --data digits --plot layers.png")
)
@model_option
@click.option("--data", required=True, metavar="NAME|FILE",
              help="Name of a data set (see `fastsnn data list`) or a file. Only the test rows are "
              "used if there are any. Gradients need labelled data.")
@target_option
@header_option
@click.option("--plot", metavar="FILE", show_default="none",
              help="Also plot outputs, moments, gradients and weights by layer to this .png, .svg "
              "or .pdf file (needs matplotlib: extra plot).")
@threads_option
@json_option
def diagnose(
    model_file: str, data: str, target: str | None, header: bool | None, plot: str | None,
    threads: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Diagnose the layers of a saved model.

    Runs all rows, or 1,000 evenly spaced ones if there are more, through the network. Prints the
    mean and variance of the outputs, the weights and gradients of each layer, its dead units (the
    same output for every row) and saturated units (in a flat part of the activation for at least
    95 % of the rows), and then the problems found, each with its cause or a remedy. Problems do not
    change the exit code.
    """
    from fastsnn.diagnose import plot as diagnose_plot
    from fastsnn.diagnose import show as diagnose_show
    from fastsnn.diagnose.measure import diagnose_model
    from fastsnn.runs import console, inference

    if plot is not None:
        diagnose_plot.require(plot)
    path, model = inference.load(model_file)
    progress = console.DownloadLine(report)
    found = diagnose_model(model, data, target, threads, progress, header)
    if plot is not None:
        diagnose_plot.draw(found, plot, f"{path} on {data}")
    values = {"model": str(path), "data": data, **found.to_dict()}
    show(values, True) if as_json else diagnose_show.show(found)


@main.command(epilog=examples("fastsnn info --json", "fastsnn info --model runs/digits-1"))
@click.option(
    "--model", "model_file", metavar="FILE|DIR", show_default="none",
    help="Describe this model file (model.safetensors) or run folder instead of the machine.",
)  # fmt: skip
@json_option
def info(model_file: str | None, as_json: bool) -> None:
    """Show versions, processor, threads, GPU and cache folders; or describe a model.

    With --model: task, layers, names, the metrics of the best epoch, and for tables how each column
    is encoded.
    """
    from fastsnn.runs.modelinfo import about

    show(about(model_file, as_json), as_json)


main.add_command(bench)
main.add_command(compare)
main.add_command(data_group)
main.add_command(reproduce)

if __name__ == "__main__":
    main(prog_name="fastsnn")
