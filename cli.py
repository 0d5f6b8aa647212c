"""The command line: words for what fastsnn does. `fastsnn train | evaluate | predict | info`."""

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
from fastsnn.runs.options import (  # noqa: E402
    OneLine,
    OneOf,
    Whole,
    json_option,
    setting,
    settings,
    type_of,
    workers_option,
)

COUNT = Whole(min=1)
SHARED = [name for name, row in ROWS.items() if row.search != "absent"]  # with a search


def report(line: str) -> None:
    click.echo(line, err=True)


def show(values: dict[str, Any], as_json: bool) -> None:
    from fastsnn.runs.console import table
    from fastsnn.runs.folder import to_json

    click.echo(to_json(values)) if as_json else table(values)


def given(ctx: click.Context, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that the user has given."""
    default = ParameterSource.DEFAULT
    return {name: v for name, v in options.items() if ctx.get_parameter_source(name) != default}


header_option, threads_option, backend_option = map(setting, ("header", "threads", "backend"))
target_option = click.option(
    "--target", metavar="COLUMN", show_default="the columns that the model was trained on",
    help="CSV column(s) with the true targets.",
)  # fmt: skip
model_option = click.option(
    "--model", "model_file", required=True, metavar="FILE",
    help="model.safetensors, or the folder of a run.",
)  # fmt: skip


@click.group(
    cls=OneLine,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="First steps: fastsnn train",
)
@click.version_option(__version__, prog_name="fastsnn")
def main() -> None:
    """Very deep self-normalizing networks (SELU, alpha-dropout) on fused CPU kernels."""


@main.command()
@settings(ROWS)
@click.option(
    "--out",
    metavar="DIR",
    show_default="the next free runs/DATA-N",
    help="Folder for config.toml, metrics.jsonl, model.safetensors (best), last.safetensors.",
)
@click.option(
    "--resume",
    "resuming",
    is_flag=True,
    show_default="off",
    help="Continue the run in --out with its own options; --epochs may grow with the schedules "
    f"{' and '.join(OPEN_ENDED)}.",
)
@json_option
@click.pass_context
def train(
    ctx: click.Context, /, out: str | None, resuming: bool, as_json: bool, **options: Any
) -> None:
    """Train a network, evaluate the best epoch on the test set, and store it in a folder."""
    from fastsnn.runs import console
    from fastsnn.runs.folder import RunFolder
    from fastsnn.runs.run import resume, run

    options = given(ctx, options)
    if resuming and out is None:
        raise click.UsageError("--resume needs the folder of the run: add --out DIR", ctx)
    if out is not None and not resuming and RunFolder(out).holds_run():
        raise click.UsageError(
            f"--out {out}: there is a run in this folder already; add --resume to continue it, or "
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
            assert out is not None  # asked above
            result = resume(out, **more, **options)
        else:
            config = RunConfig(**options)
            if "bottleneck" in options and config.method != "resnet":
                raise click.UsageError(
                    "--bottleneck: only the method resnet has one; leave it out", ctx
                )
            result = run(config, out, **more)
    finally:
        shown.close()
    result["seconds"] = time.perf_counter() - START
    show(result, as_json)


# fmt: off
@main.command()
@settings(SHARED, searching=True)
@click.option("--grid", "grids", multiple=True, metavar="NAME=V,V,...", show_default="none",
              help="An option above and the values to try; several: all combinations.")
@click.option("--range", "ranges", multiple=True, metavar="NAME=LOW:HIGH[:log]",
              show_default="none", help="For random and optuna: numbers between; log: by ratio.")
@click.option("--sampler", type=OneOf(["grid", "random", "optuna"]), default="grid",
              show_default=True, help="All combinations, random ones, or Optuna's proposals (TPE).")
@click.option("--trials", type=COUNT, metavar="N", show_default="all combinations of the grid",
              help="Number of trainings, for the samplers random and optuna.")
@click.option("--metric", metavar="NAME", show_default="accuracy, auc or rmse, by the task",
              help="The validation figure to choose by; loss, r2, ...")
@workers_option
@click.option("--dask", metavar="ADDRESS", show_default="this process",
              help="Dask scheduler whose workers train, tcp://HOST:PORT; local: processes here.")
@click.option("--out", metavar="DIR", show_default="the next free runs/DATA-N",
              help="Folder for trials.jsonl, a line per finished training.")
@click.option("--resume", is_flag=True, show_default="off",
              help="Keep the finished trainings in --out; --grid and --trials may have grown.")
@json_option
@click.pass_context
# fmt: on
def search(
    ctx: click.Context,
    /,
    grids: tuple[str, ...],
    ranges: tuple[str, ...],
    as_json: bool,
    out: str | None,
    resume: bool,
    **options: Any,
) -> None:
    """Train with many combinations of options, several concurrently, and choose as the paper does:
    by the validation figure, smoothed over 10 epochs, at the best epoch.
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
            fixed, space, out=out, resume=resume, report=report, progress=shown,
            download=console.DownloadLine(report), **options,
        )  # fmt: skip
    finally:
        shown.close()
    if not as_json:
        click.echo(progress.table(result.pop("table"), result["metric"]) + "\n")
        result |= progress.winner(result.pop("best"))
    show(result, as_json)


@main.command()
@model_option
@click.option("--data", required=True, metavar="NAME|FILE",
              help="A name of `fastsnn data list` (its test part), or a labelled file.")
@target_option
@header_option
@threads_option
@backend_option
@json_option
def evaluate(
    model_file: str,
    data: str,
    target: str | None,
    header: bool | None,
    threads: int | None,
    backend: str,
    as_json: bool,
) -> None:
    """Compare a saved model's predictions with the truth."""
    from fastsnn.runs import console, inference

    path, model = inference.load(model_file, backend)
    progress = console.DownloadLine(report)
    figures = inference.evaluate(model, data, target, threads, progress, header)
    show({"model": str(path), **figures}, as_json)


@main.command()
@model_option
@click.option("--data", required=True, metavar="NAME|FILE",
              help="A CSV or .npz file, or a name of `fastsnn data list`: its test part.")
@header_option
@click.option("--out", metavar="FILE.csv", show_default="stdout", help="Output file.")
@threads_option
@backend_option
def predict(
    model_file: str,
    data: str,
    header: bool | None,
    out: str | None,
    threads: int | None,
    backend: str,
) -> None:
    """Write predictions as CSV, a line for each row of the data.

    Classification: class and the probability of each, p_NAME. Several tasks: p_NAME of each.
    Regression: the targets in their units.
    """
    from fastsnn.runs import console, inference
    from fastsnn.storage import files

    _, model = inference.load(model_file, backend)
    progress = console.DownloadLine(report)
    predictions = inference.predict(model, data, threads, progress, header)
    text = inference.to_csv(model, predictions)
    if out is None:
        click.echo(text, nl=False)
    else:
        files.replace(out, text.encode())
        report(f"{console.count(len(predictions), 'prediction')} in {out}")


@main.command()
@model_option
@click.option("--data", required=True, metavar="NAME|FILE",
              help="A name of `fastsnn data list` (its test part), or a file, labelled or not.")
@target_option
@header_option
@click.option("--plot", metavar="FILE", show_default="none",
              help="Also draw outputs, moments and gradients over depth; .png, .svg, .pdf.")
@threads_option
@json_option
def diagnose(
    model_file: str,
    data: str,
    target: str | None,
    header: bool | None,
    plot: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Check every layer of a saved model, and print what is wrong."""
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


@main.group("data")
def data_group() -> None:
    """List and download the data sets that have a name."""


@data_group.command("list")
@json_option
def data_list(as_json: bool) -> None:
    """Name, task, rows, features, classes, where each lies on this machine, terms."""
    from fastsnn.data.show import about, listing

    show({"data_sets": about()}, as_json) if as_json else listing(about())


@data_group.command("fetch")
@click.argument("name")
@json_option
def data_fetch(name: str, as_json: bool) -> None:
    """Download the data set NAME into the per-user cache, checked, unless it is here already.

    A download that was interrupted goes on where it stopped; a server that fails is followed by
    the next one. FASTSNN_CACHE moves the cache.
    """
    from fastsnn.data.show import fetch

    show(fetch(name), as_json)


@main.command()
@json_option
def info(as_json: bool) -> None:
    """Versions, processor, threads and caches of this machine."""
    from fastsnn.info import info as collect

    show(collect(), as_json)


main.add_command(bench)
main.add_command(compare)
main.add_command(reproduce)

if __name__ == "__main__":
    main(prog_name="fastsnn")
