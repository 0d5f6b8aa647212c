"""The command line: words for what fastsnn does. `fastsnn train | evaluate | predict | info`."""

from __future__ import annotations

import time
from copy import copy

START = time.perf_counter()

import click  # noqa: E402
from click.core import ParameterSource  # noqa: E402

from fastsnn import __version__  # noqa: E402
from fastsnn.bench.command import bench, compare  # noqa: E402
from fastsnn.data.dataset import TASKS  # noqa: E402
from fastsnn.data.standardize import PER  # noqa: E402
from fastsnn.methods import METHODS, SHAPES  # noqa: E402
from fastsnn.optimizers import OPTIMIZERS  # noqa: E402
from fastsnn.paper.command import reproduce  # noqa: E402
from fastsnn.runs.config import BY_RULE, RunConfig  # noqa: E402
from fastsnn.runs.options import Number, OneLine, OneOf, Whole  # noqa: E402
from fastsnn.schedules import SCHEDULES  # noqa: E402

COUNT = Whole(min=1)
FRACTION = Number(0, 1, max_open=True)


def report(line):
    click.echo(line, err=True)


def show(values, as_json):
    from fastsnn.runs.console import table
    from fastsnn.runs.folder import to_json

    click.echo(to_json(values)) if as_json else table(values)


def setting(name, help, type=None, **more):
    """An option of RunConfig, with its default; None is settled when the data are known."""
    default = getattr(RunConfig, name)
    more.setdefault("show_default", BY_RULE.get(name, True))
    if isinstance(type, click.IntRange | click.FloatRange):
        more["metavar"] = "N" if isinstance(type, click.IntRange) else "X"
    return click.option(
        f"--{name.replace('_', '-')}", name, type=type, help=help, default=default, **more
    )


def json_option(command):
    return click.option(
        "--json", "as_json", is_flag=True, show_default="off", help="One JSON object on stdout."
    )(command)


threads_option = click.option(
    "--threads", type=Whole(min=1), metavar="N", show_default="all processors",
    help="Number of threads; the results have the same bits with any number.",
)  # fmt: skip
backend_option = click.option(
    "--backend", type=OneOf(["cpu", "cuda"]), default="cpu", show_default=True,
    help="Device that runs the network.",
)  # fmt: skip
target_option = click.option(
    "--target", metavar="COLUMN", show_default="the columns that the model was trained on",
    help="CSV column(s) with the true targets.",
)  # fmt: skip
header_option = click.option(
    "--header/--no-header", default=None,
    show_default="words are a header, numbers are not, anything else is refused",
    help="Line 1 of a CSV file holds the column names, or does not.",
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
def main():
    """Very deep self-normalizing networks (SELU, alpha-dropout) on fused CPU kernels."""


# fmt: off
@main.command()
@setting("data", "A name of `fastsnn data list` (digits, mnist, uci/iris, ...), or a file: .csv, "
         ".tsv, .txt, .data, these with .gz, or .npz.", metavar="NAME|FILE")
@setting("target", "CSV column(s) to predict: a name, an index from 0, or several with commas.",
         metavar="COLUMN", show_default="the last column")
@header_option
@setting("task", "Task; auto infers it from the target.", OneOf(["auto", *TASKS]))
@setting("method", "snn: SELU and alpha-dropout; or what the paper compares it with.",
         OneOf(list(METHODS)))
@setting("layers", "Hidden layers (resnet: blocks); the output layer comes on top.", COUNT)
@setting("width", "Units per hidden layer.", COUNT)
@setting("shape", "conic: widths fall geometrically to the number of outputs.",
         OneOf(list(SHAPES)))
@setting("bottleneck", "resnet: units inside a block, as a fraction of the width.",
         Number(0, 1, min_open=True))
@setting("dropout", "Dropout probability of the hidden layers.", FRACTION)
@setting("epochs", "Number of epochs.", COUNT)
@setting("batch_size", "Mini-batch size.", COUNT)
@setting("optimizer", "Optimizer.", OneOf(list(OPTIMIZERS)))
@setting("learning_rate", "Peak learning rate of the schedule.", Number(min=0))
@setting("momentum", "Momentum of SGD.", FRACTION)
@setting("weight_decay", "Weight decay: L2 penalty for sgd and adam, decoupled for adamw.",
         Number(min=0))
@setting("schedule", "Learning-rate schedule.", OneOf(list(SCHEDULES)))
@setting("patience", "Early stopping: epochs without a better validation figure; 0: never.",
         Whole(min=0))
@setting("validation", "Fraction of the training rows held out to choose the best epoch; 0: none.",
         FRACTION)
@setting("standardize", "Give the inputs mean 0 and variance 1: each feature, or all together; "
         "auto: all for images, else feature.", OneOf(["auto", *PER]))
@setting("seed", "Seed of initial weights, dropout, shuffling and split.", Whole(0, 2**64 - 1))
@threads_option
@setting("backend", "Device that runs the network.", OneOf(["cpu", "cuda"]))
@setting("precision", "Matrix products with the backend cuda; tf32 and bf16 use tensor cores.",
         OneOf(["float32", "tf32", "bf16"]))
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
    "constant and plateau.",
)
@json_option
@click.pass_context
# fmt: on
def train(ctx, out, resuming, as_json, **options):
    """Train a network, evaluate the best epoch on the test set, and store it in a folder."""
    from fastsnn.runs import console
    from fastsnn.runs.folder import RunFolder
    from fastsnn.runs.run import resume, run

    given = {
        name: value
        for name, value in options.items()
        if ctx.get_parameter_source(name) != ParameterSource.DEFAULT
    }
    if resuming and out is None:
        raise click.UsageError("--resume needs the folder of the run: add --out DIR", ctx)
    if out is not None and not resuming and RunFolder(out).holds_run():
        raise click.UsageError(
            f"--out {out}: there is a run in this folder already; add --resume to continue it, or "
            "choose another folder", ctx,
        )  # fmt: skip
    shown = console.progress()
    more = {"report": report, "callbacks": [shown], "progress": console.download_line(report)}
    try:
        if resuming:
            result = resume(out, **more, **given)
        else:
            config = RunConfig(**given)
            if "bottleneck" in given and config.method != "resnet":
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
@click.option("--workers", type=COUNT, metavar="N", show_default="all processors",
              help="Number of concurrent trainings, each on one thread. Changes no result.")
@click.option("--dask", metavar="ADDRESS", show_default="this process",
              help="Dask scheduler whose workers train, tcp://HOST:PORT; local: processes here.")
@click.option("--out", metavar="DIR", show_default="the next free runs/DATA-N",
              help="Folder for trials.jsonl, a line per finished training.")
@click.option("--resume", is_flag=True, show_default="off",
              help="Keep the finished trainings in --out; --grid and --trials may have grown.")
@json_option
@click.pass_context
# fmt: on
def search(ctx, grids, ranges, as_json, out, resume, **options):
    """Train with many combinations of options, several concurrently, and choose as the paper does:
    by the validation figure, smoothed over 10 epochs, at the best epoch.
    """
    from fastsnn.runs import console
    from fastsnn.search import command, progress, words

    def convert(name, text):
        try:
            return next(o.type for o in shared if o.name == name).convert(text, None, ctx)
        except click.BadParameter as error:
            raise ValueError(error.message) from error

    if resume and out is None:
        raise click.UsageError("--resume needs the folder of the search: add --out DIR", ctx)
    fixed = {option.name: options.pop(option.name) for option in shared}
    default = ParameterSource.DEFAULT
    fixed = {name: v for name, v in fixed.items() if ctx.get_parameter_source(name) != default}
    try:
        space = words.space(grids, ranges, convert)
        words.require_usable(space, options["sampler"], options["trials"], out if resume else None)
    except ValueError as error:
        raise click.UsageError(str(error), ctx) from error
    shown = progress.progress()
    try:
        result = command.search_runs(
            fixed, space, out=out, resume=resume, report=report, progress=shown,
            download=console.download_line(report), **options,
        )  # fmt: skip
    finally:
        shown.close()
    if not as_json:
        click.echo(progress.table(result.pop("table"), result["metric"]) + "\n")
        result |= progress.winner(result.pop("best"))
    show(result, as_json)


shared = [copy(o) for o in train.params if o.name in RunConfig.__annotations__]
shared = [o for o in shared if o.name not in ("patience", "threads", "backend", "precision")]
for option in shared:  # a search takes these from the paper, see fastsnn.search.Protocol
    option.show_default = {"epochs": "100", "validation": "0.15"}.get(
        option.name, option.show_default
    )
search.params[:0] = shared


@main.command()
@model_option
@click.option("--data", required=True, metavar="NAME|FILE",
              help="A name of `fastsnn data list` (its test part), or a labelled file.")
@target_option
@header_option
@threads_option
@backend_option
@json_option
def evaluate(model_file, data, target, header, threads, backend, as_json):  # fmt: skip
    """Compare a saved model's predictions with the truth."""
    from fastsnn.runs import console, inference

    path, model = inference.load(model_file, backend)
    progress = console.download_line(report)
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
def predict(model_file, data, header, out, threads, backend):  # fmt: skip
    """Write predictions as CSV, a line for each row of the data.

    Classification: class and the probability of each, p_NAME. Several tasks: p_NAME of each.
    Regression: the targets in their units.
    """
    from fastsnn.runs import console, inference
    from fastsnn.storage import files

    _, model = inference.load(model_file, backend)
    progress = console.download_line(report)
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
def diagnose(model_file, data, target, header, plot, threads, as_json):  # fmt: skip
    """Check every layer of a saved model, and print what is wrong."""
    from fastsnn.diagnose import plot as diagnose_plot
    from fastsnn.diagnose import show as diagnose_show
    from fastsnn.diagnose.measure import diagnose_model
    from fastsnn.runs import console, inference

    if plot is not None:
        diagnose_plot.require(plot)
    path, model = inference.load(model_file)
    progress = console.download_line(report)
    found = diagnose_model(model, data, target, threads, progress, header)
    if plot is not None:
        diagnose_plot.draw(found, plot, f"{path} on {data}")
    values = {"model": str(path), "data": data, **found.to_dict()}
    show(values, True) if as_json else diagnose_show.show(found)


@main.group("data")
def data_group():
    """List and download the data sets that have a name."""


@data_group.command("list")
@json_option
def data_list(as_json):
    """Name, task, rows, features, classes, where each lies on this machine, terms."""
    from fastsnn.data.show import about, listing

    show({"data_sets": about()}, as_json) if as_json else listing(about())


@data_group.command("fetch")
@click.argument("name")
@json_option
def data_fetch(name, as_json):
    """Download the data set NAME into the per-user cache, checked, unless it is here already.

    A download that was interrupted goes on where it stopped; a server that fails is followed by
    the next one. FASTSNN_CACHE moves the cache.
    """
    from fastsnn.data.show import fetch

    show(fetch(name), as_json)


@main.command()
@json_option
def info(as_json):
    """Versions, processor, threads and caches of this machine."""
    from fastsnn.info import info as collect

    show(collect(), as_json)


main.add_command(bench)
main.add_command(compare)
main.add_command(reproduce)

if __name__ == "__main__":
    main(prog_name="fastsnn")
