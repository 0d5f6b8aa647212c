"""Time of training steps on a busy machine: `python -m fastsnn.bench.busy`.

Each figure is the median of three rounds, and each round runs in a separate process. The median
step and the mean step are reported; rare slow steps raise only the mean. "plain" uses neither the
short spinning of `kernels/pool.py` nor the adaptive thread count of `fastsnn/engine/pace.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from statistics import median

import click
import numpy as np

import fastsnn as fs
from fastsnn.engine import pace

OPENMP_DEFAULT = "300000"  # spins of GNU OpenMP before a thread sleeps
MODES = {
    "plain": ({"GOMP_SPINCOUNT": OPENMP_DEFAULT}, False),
    "short waiting": ({}, False),
    "with pace": ({}, True),
}


def steps(threads: int, seconds: float, adapt: bool) -> list[float]:
    """Time steps of a network of 32 layers x 64 units on 128 rows for about `seconds`; return the
    seconds of each.
    """
    pace.ADAPT = adapt
    rng = np.random.default_rng(0)
    x = rng.standard_normal((128, 64), dtype=np.float32)
    y = rng.integers(10, size=128)
    trainer = fs.Trainer(fs.mlp(64, 10, layers=32, width=64, dropout=0.05), threads=threads)
    trainer.step(x, y)
    times, end = [], time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        trainer.step(x, y)
        times.append(time.perf_counter() - start)
    return times


def _round(threads, seconds, mode):
    variables, adapt = MODES[mode]
    command = [
        sys.executable, "-m", "fastsnn.bench.busy", "--child", f"--threads={threads}",
        f"--seconds={seconds}", "--adapt" if adapt else "--no-adapt",
    ]  # fmt: skip
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True)
    if done.returncode:
        raise click.ClickException(done.stderr.strip()[-300:])
    times = json.loads(done.stdout)
    return median(times), sum(times) / len(times)


@click.command()
@click.option("--threads", default=2, show_default=True, help="Number of threads of the step.")
@click.option(
    "--loops", default=4, show_default=True, help="Number of busy loops that run at the same time."
)
@click.option("--seconds", default=2.0, show_default=True, help="Seconds per round.")
@click.option("--rounds", default=3, show_default=True, help="Rounds per figure.")
@click.option("--adapt/--no-adapt", default=True, hidden=True)
@click.option("--child", is_flag=True, hidden=True)
def main(threads, loops, seconds, rounds, adapt, child):
    """Print milliseconds per training step, on the quiet machine and with busy loops running."""
    if child:
        print(json.dumps(steps(threads, seconds, adapt)))
        return
    cases = [(1, "with pace"), *((threads, mode) for mode in MODES)]
    print("ms per step: median, mean")
    for name, count in (("quiet", 0), (f"with {loops} busy loops", loops)):
        others = [subprocess.Popen([sys.executable, "-c", "while 1: pass"]) for _ in range(count)]
        try:
            found = {case: [] for case in cases}
            for _ in range(rounds):  # interleaved, so that other load affects all cases alike
                for case in cases:
                    found[case].append(_round(case[0], seconds, case[1]))
        finally:
            for other in others:
                other.kill()
                other.wait()
        for (count, mode), rows in found.items():
            middle, mean = (1e3 * median(column) for column in zip(*rows, strict=True))
            label = "1 thread" if count == 1 else f"{count} threads, {mode}"
            print(f"{name}: {label:24}  {middle:9.3f} {mean:9.3f}", flush=True)


if __name__ == "__main__":
    main()
