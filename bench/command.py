"""The commands `fastsnn bench ...` and `fastsnn compare`."""

import json

import click

from fastsnn.runs.options import Number, OneOf, Whole, examples

from . import output
from .case import CaseType
from .estimators_command import estimators
from .gpu.cases import CASES as GPU_CASES
from .gpu.cases import MODES as GPU_MODES
from .gpu.cases import PEERS as GPU_PEERS
from .options import (
    CASE,
    NETWORK,
    against_option,
    cases_option,
    equal_threads_option,
    json_option,
    libraries,
    listed_names,
    plot_option,
    rounds_option,
    seconds_option,
    threads_option,
)
from .tabular.command import tables

# Default networks, defined here so that `fastsnn train` imports no benchmark module.
STEP_CASES = (
    "4x64x32x0", "32x64x128x0.05", "32x64x128x0", "32x256x128x0.05", "32x256x128x0",
    "16x512x256x0.05", "8x1024x128x0.05", "32x256x1024x0.05",
)  # fmt: skip
PREDICT_CASES = ("32x256x1", "32x256x16", "32x256x128", "8x64x1", "3x64x1x0x8")


@click.group(epilog=examples("fastsnn bench step --against torch --json step.json"))
def bench():
    """Benchmark against the machine's peak and other libraries.

    Each benchmark prints tables on stdout and progress on stderr. Times are medians, measured after
    a warm-up. Libraries given with --against must be installed. Stop other programs first: they
    distort the timings.
    """


bench.add_command(estimators)
bench.add_command(tables)


@bench.command(epilog=examples("fastsnn bench step --against torch,jax --threads 2"))
@cases_option(STEP_CASES)
@click.option(
    "--optimizer", type=OneOf(["sgd", "adam", "both"]), default="sgd", show_default=True,
    help="Optimizer of the training steps; both: one benchmark for each.",
)  # fmt: skip
@against_option(libraries("torch", "torch-compile", "jax"))
@threads_option
@seconds_option(3.0, "each system, case and optimizer, in all rounds together")
@rounds_option
@json_option
@plot_option
def step(cases, optimizer, against, threads, seconds, rounds, json_path, plot_path):
    """Benchmark training steps: time, throughput, speed-up.

    Prints the time of a step, GFLOP/s (matrix products only), their share of the machine's peak
    (measured with multiply-adds in registers), and the speed-up over the fastest of the other
    libraries.
    """
    from fastsnn.engine import threads as processors

    from . import plot, show
    from . import step as measuring

    output.require(json_path, plot_path)
    peers = listed_names(against)
    rows = measuring.measure(
        cases, ("sgd", "adam") if optimizer == "both" else (optimizer,),
        peers, processors.resolve(threads), seconds, rounds, output.report,
    )  # fmt: skip
    text = show.columns(show.against(rows, peers))
    described = output.end({"what": "step", "rows": rows}, json_path, text)
    if plot_path:
        plot.bars(plot_path, rows, described, "One training step")


@bench.command(epilog=examples("fastsnn bench parts --case 32x64x128x0.05"))
@cases_option(STEP_CASES[1:6])
@seconds_option(3.0, "each case")
@json_option
def parts(cases, seconds, json_path):
    """Benchmark the parts of a training step on one thread.

    Prints the share of each part in the time of a step with SGD: copies of the rows, forward
    products, dropout, loss, gradients of inputs and weights.
    """
    from . import parts as measuring
    from . import show

    output.require(json_path)
    rows = measuring.measure(cases, seconds, output.report)
    output.end({"what": "parts", "rows": rows}, json_path, show.columns(show.parts(rows)))


@bench.command(epilog=examples("fastsnn bench predict --against torch,onnxruntime"))
@cases_option(PREDICT_CASES)
@against_option(libraries("torch", "onnxruntime"))
@click.option(
    "--threads", type=Whole(min=1), default=1, show_default=True, metavar="N",
    help="Number of CPU threads of each system. Other libraries are also timed with one thread; "
    "the faster of the two is reported.",
)  # fmt: skip
@seconds_option(2.0, "each system and case, in all rounds together")
@rounds_option
@json_option
@plot_option
def predict(cases, against, threads, seconds, rounds, json_path, plot_path):
    """Benchmark prediction through the public API.

    Prints time, GFLOP/s, share of the peak arithmetic throughput, and share of the memory
    bandwidth, which is measured by reading an array of the size of the weights.
    """
    from . import plot, show
    from . import predict as measuring

    output.require(json_path, plot_path)
    peers = listed_names(against)
    rows = measuring.measure(cases, peers, threads, seconds, rounds, output.report)
    text = show.columns(show.predictions(rows, peers))
    described = output.end({"what": "predict", "rows": rows}, json_path, text)
    if plot_path:
        plot.bars(plot_path, rows, described, "One prediction")


@bench.command(epilog=examples("fastsnn bench kernels --seconds 0.2"))
@against_option(libraries("torch", "torch-compile", "jax", "onnxruntime"))
@seconds_option(0.5, "each kernel in each system")
@json_option
@plot_option
def kernels(against, seconds, json_path, plot_path):
    """Benchmark each kernel on one thread.

    Prints the time, the rate (GFLOP/s or GB/s), its share of the roofline bound (peak arithmetic
    throughput, or memory bandwidth), and the error: the largest difference from a float64
    reference.
    """
    from . import kernels as measuring
    from . import plot, show

    output.require(json_path, plot_path)
    found = measuring.measure(seconds, output.report, listed_names(against))
    text = show.columns(show.kernels(found["rows"]))
    described = output.end({"what": "kernels", **found}, json_path, text)
    if plot_path:
        plot.roofline(plot_path, found, described)


@bench.command(epilog=examples("fastsnn bench scaling --threads 1,2,4"))
@click.option(
    "--threads", default="", show_default="1, 2, 4, ..., all processors", metavar="N,N,...",
    help="Numbers of threads to benchmark. Depths and batch sizes are timed with the largest.",
)  # fmt: skip
@against_option(libraries("torch", "torch-compile", "jax"))
@seconds_option(2.0, "each depth, batch size and number of threads, in each system")
@json_option
@plot_option
def scaling(threads, against, seconds, json_path, plot_path):
    """Benchmark scaling with depth, batch size and threads.

    Prints the time of a step for depths from 8 to 256 and batch sizes from 32 to 1,024, here and in
    other libraries; the speed-up by number of threads; and the throughput of concurrent trainers
    with one thread each.
    """
    from fastsnn.engine import threads as processors

    from . import plot, show
    from . import scaling as measuring

    output.require(json_path, plot_path)
    try:
        counts = tuple(map(processors.resolve, map(int, listed_names(threads))))
    except ValueError as error:
        raise click.UsageError(f"--threads: whole numbers are required, got {threads!r}") from error
    if not counts:
        most = processors.available()
        counts = (*(2**i for i in range(most.bit_length()) if 2**i < most), most)
    found = measuring.measure(counts, seconds, output.report, listed_names(against))
    described = output.end({"what": "scaling", **found}, json_path, show.scaling(found))
    if plot_path:
        plot.lines(plot_path, found, described)


@bench.command(epilog=examples("fastsnn bench grid --case 1x16x1 --case 64x1024x128"))
@click.option(
    "--case", "cases", type=CaseType(), multiple=True, show_default="all 64 networks of the grid",
    metavar=NETWORK, help=f"Network to benchmark: {CASE}. Repeatable.",
)  # fmt: skip
@equal_threads_option
@seconds_option(0.6, "each system and case, in all rounds together")
@rounds_option
@json_option
@plot_option
def grid(cases, threads, seconds, rounds, json_path, plot_path):
    """Compare training steps with PyTorch eager over many sizes.

    The grid combines depths from 1 to 64, widths from 16 to 1,024 and batch sizes from 1 to 1,024.
    Prints both times for each network and lists those for which PyTorch is faster. PyTorch must be
    installed.
    """
    from fastsnn.engine import threads as processors

    from . import grid as measuring
    from . import plot, show

    output.require(json_path, plot_path)
    chosen = list(cases) or measuring.cells()
    rows = measuring.measure(chosen, processors.resolve(threads), seconds, rounds, output.report)
    described = output.end({"what": "grid", "rows": rows}, json_path, show.grid(rows))
    if plot_path:
        plot.heat(plot_path, rows, described)


@bench.command(epilog=examples("fastsnn bench train --layers 16 --against torch"))
@click.option(
    "--layers", type=Whole(min=1), default=32, show_default=True, metavar="N",
    help="Number of hidden layers.",
)  # fmt: skip
@click.option(
    "--epochs", type=Whole(min=1), show_default="same as `fastsnn train`", metavar="N",
    help="Number of epochs of each system.",
)  # fmt: skip
@against_option(libraries("torch", "torch-compile"))
@equal_threads_option
@json_option
def train(layers, epochs, against, threads, json_path):
    """Benchmark a complete training run on MNIST.

    Prints seconds, peak memory and test accuracy. The time is that of the whole process, from start
    to exit.
    """
    from fastsnn.engine import threads as processors

    from . import show
    from . import train as measuring

    output.require(json_path)
    rows = measuring.measure(
        layers, epochs, listed_names(against), processors.resolve(threads), output.report
    )
    output.end({"what": "train", "rows": rows}, json_path, show.columns(show.train(rows)))


@bench.command(epilog=examples("fastsnn bench search --workers 2"))
@click.option(
    "--workers", type=Whole(min=1), show_default="all processors", metavar="N",
    help="Number of concurrent training runs.",
)  # fmt: skip
@click.option(
    "--epochs", type=Whole(min=1), default=10, show_default=True, metavar="N",
    help="Number of epochs of each training run.",
)  # fmt: skip
@json_option
def search(workers, epochs, json_path):
    """Benchmark a search of 200 small training runs.

    Runs the search with one worker, with --workers threads, and, if Dask is installed, with as many
    processes. Prints seconds, CPU utilization and speed-up over one worker.
    """
    from fastsnn.engine import threads as processors

    from . import search as measuring
    from . import show

    output.require(json_path)
    rows = measuring.measure(processors.resolve(workers), epochs, output.report)
    output.end({"what": "search", "rows": rows}, json_path, show.columns(measuring.table(rows)))


@bench.command(epilog=examples("fastsnn bench gpu --precision tf32", "fastsnn bench gpu --check"))
@cases_option(GPU_CASES)
@click.option(
    "--precision", "modes", multiple=True, type=OneOf(GPU_MODES), default=GPU_MODES,
    show_default="all",
    help="Precision of the matrix products. Repeatable.",
)  # fmt: skip
@against_option(GPU_PEERS)
@click.option(
    "--check", "checking", is_flag=True, show_default="off",
    help="Do not time; compare results with those of the CPU, and run compute-sanitizer if it is "
    "installed.",
)  # fmt: skip
@seconds_option(1.0, "each system, case and precision")
@json_option
def gpu(cases, modes, against, checking, seconds, json_path):
    """Benchmark or check training on an NVIDIA GPU.

    Prints the time and TFLOP/s of a training step with Adam, and the time of its kernels by kind.
    With --against also their shares of two ceilings that PyTorch measures: the throughput of a
    large matrix product and of a copy. With --check, the exit code is 1 if a check fails.
    """
    from fastsnn.engine import backends

    from .gpu import everything, results

    output.require(json_path)
    backends.require("cuda")
    peers = listed_names(against)
    for name in peers:
        if name not in GPU_PEERS:
            raise ValueError(f"--against: one of {', '.join(GPU_PEERS)} is required, got {name!r}")
    store, never = results.Store(None), float("inf")
    if checking:
        everything.checks(store, modes, never, output.report)
        everything.mnist(store, never, output.report)
    else:
        everything.times(store, list(map(str, cases)), modes, peers, seconds, never, output.report)
    found = store.end()
    output.end(found, json_path, results.text(found))
    wrong = sum("error" in result for result in store.found["checks"].values())
    if wrong:
        raise RuntimeError(f"bench gpu: {wrong} of {len(store.found['checks'])} checks failed")


@click.command(epilog=examples("fastsnn compare --case 32x64x128x0.05 --optimizer adam"))
@click.option(
    "--case", type=CaseType(), default="8x64x128x0.05", show_default=True,
    metavar=NETWORK, help=f"Network: {CASE}.",
)  # fmt: skip
@click.option(
    "--optimizer", type=OneOf(["sgd", "adam"]), default="sgd", show_default=True,
    help="Optimizer of both systems.",
)  # fmt: skip
@click.option(
    "--steps", type=Whole(min=1), default=10, show_default=True, metavar="N",
    help="Number of training steps whose losses are compared.",
)  # fmt: skip
@click.option(
    "--learning-rate", type=Number(min=0), show_default="0.05 for sgd, 0.0003 for adam",
    metavar="X", help="Learning rate of the compared steps.",
)  # fmt: skip
@click.option(
    "--threads", type=Whole(min=1), show_default="all processors", metavar="N",
    help="Number of CPU threads of both systems.",
)  # fmt: skip
@seconds_option(2.0, "each system, in three rounds together")
@click.option(
    "--seed", type=Whole(0, 2**63 - 1), default=0, show_default=True, metavar="N",
    help="Random seed of initial weights, batches and dropout masks.",
)  # fmt: skip
@click.option(
    "--compile", "compiled", is_flag=True, show_default="off",
    help="Also time PyTorch with torch.compile.",
)  # fmt: skip
@json_option
@plot_option
def compare(case, threads, json_path, plot_path, **options):
    """Compare training with PyTorch, step by step.

    fastsnn and PyTorch start from the same network and initial weights and train on the same
    batches with the same dropout masks. Prints the losses of both and their differences, the
    differences of activations and gradients from PyTorch in float64, the mean and variance after
    alpha-dropout, and the time and peak memory of a step. PyTorch must be installed.
    """
    from fastsnn.engine import threads as processors
    from fastsnn.storage import files

    from . import compare as comparison
    from . import compare_plot, compare_table

    output.require(json_path, plot_path)
    comparison.require()
    threads = processors.resolve(threads)
    result = comparison.compare(case, threads, **options, report=output.report)
    compare_table.show(result)
    if json_path:
        files.replace(json_path, f"{json.dumps(result, indent=1)}\n".encode())
    if plot_path:
        compare_plot.draw(result, plot_path)
