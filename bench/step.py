"""Time training steps: milliseconds, GFLOP/s and the share of the machine's peak."""

import json
import statistics
import time

import click
import numba
import numpy as np
from peak import peak_gflops

import fastsnn as fs
from fastsnn import threads as processors

INPUTS, CLASSES = 784, 10
CASES = ("32x64x128x0.05", "32x256x128x0.05", "32x256x128x0", "16x512x256x0.05", "8x1024x128x0.05")


def step_flops(layers: int, width: int, batch: int) -> int:
    """Floating-point operations of the three products (no input gradient for layer 0)."""
    sizes = [INPUTS, *[width] * layers, CLASSES]
    weights = [a * b for a, b in zip(sizes, sizes[1:], strict=False)]
    return 2 * batch * (3 * sum(weights) - weights[0])


def measure(case: str, optimizer: str, threads: int, seconds: float) -> dict:
    """Median over alternating rounds of steps and of the peak."""
    layers, width, batch, rate = case.split("x")
    layers, width, batch, rate = int(layers), int(width), int(batch), float(rate)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, INPUTS), dtype=np.float32)
    y = rng.integers(0, CLASSES, batch)
    net = fs.mlp(INPUTS, CLASSES, layers, width, rate)
    chosen = fs.SGD(1e-3) if optimizer == "sgd" else fs.Adam(1e-4)
    trainer = fs.Trainer(net, optimizer=chosen, threads=threads)
    for _ in range(3):
        trainer.step(x, y)
    times, peaks = [], []
    for _ in range(4):
        peaks.append(peak_gflops(threads, 3))
        end = time.perf_counter() + seconds / 4
        while time.perf_counter() < end:
            start = time.perf_counter()
            trainer.step(x, y)
            times.append(time.perf_counter() - start)
    median = statistics.median(times)
    rate_gflops = step_flops(layers, width, batch) / median / 1e9
    return {
        "case": case, "optimizer": optimizer, "threads": threads, "median_s": median,
        "gflops": rate_gflops, "peak_gflops": max(peaks), "of_peak": rate_gflops / max(peaks),
    }  # fmt: skip


@click.command()
@click.argument("cases", nargs=-1)
@click.option("--optimizer", type=click.Choice(["sgd", "adam"]), default="sgd", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="Default: all processors.")
@click.option("--seconds", type=float, default=2.0, show_default=True, help="Per case.")
@click.option("--json", "path", type=click.Path(), help="Also write the figures to this file.")
def main(cases, optimizer, threads, seconds, path):
    """Time one training step of each of CASES (LAYERSxWIDTHxBATCHxRATE)."""
    threads = processors.resolve(threads)
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    rows = []
    for case in cases or CASES:
        row = measure(case, optimizer, threads, seconds)
        rows.append(row)
        click.echo(
            f"{case:>20}  {threads} threads  {row['median_s'] * 1e3:8.3f} ms  "
            f"{row['gflops']:7.1f} GFLOP/s  {100 * row['of_peak']:5.1f} % of peak"
        )
    if path:
        with open(path, "w") as handle:
            json.dump(rows, handle, indent=1)


if __name__ == "__main__":
    main()
