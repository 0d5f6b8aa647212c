"""All checks and timings on a GPU in one call: `python -m fastsnn.bench.gpu --out DIR`.

Run it from the top of a checkout. It needs numpy, numba, numba-cuda, click, safetensors, and
platformdirs or $FASTSNN_CACHE; the peers need PyTorch. Each result is written to DIR/gpu.json
immediately. A later call with the same DIR runs what is missing or has failed.
"""

from __future__ import annotations

import datetime
import logging
import sys
import time
from pathlib import Path

import click

from fastsnn import machine

from ..case import Case
from . import everything, results
from .cases import CASES, MODES, PEERS


def described(command):
    """Return the description of the machine; less of it if an optional package is missing."""
    try:
        return machine.describe(command)
    except ImportError as error:
        today = datetime.date.today().isoformat()
        return {"command": " ".join(["fastsnn", *command]), "date": today, "missing": error.name}


@click.command()
@click.option("--out", required=True, metavar="DIR", help="Folder for gpu.json and gpu.txt.")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    metavar="X",
    help="When to end, whatever is missing.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=0.5,
    show_default=True,
    metavar="X",
    help="Measured seconds of each system and case.",
)
@click.option(
    "--case",
    "cases",
    multiple=True,
    metavar="LxWxBxRATE",
    default=CASES,
    show_default="a table of networks",
    help="A network; can be given several times.",
)
@click.option(
    "--precision",
    "modes",
    multiple=True,
    type=click.Choice(MODES),
    default=MODES,
    show_default="all",
    help="Arithmetic of the products; can be given several times.",
)
@click.option(
    "--against",
    default=",".join(PEERS),
    show_default=True,
    metavar="NAMES",
    help="Peers, with commas between, the most important first.",
)
@click.option(
    "--warm/--no-warm",
    default=True,
    show_default=True,
    help="Compile in the background while the checks run.",
)
@click.option("--tiny", is_flag=True, show_default="off", help="Small checks, for the simulator.")
def main(out, minutes, seconds, cases, modes, against, warm, tiny):  # fmt: skip
    """Compare a GPU's results with the CPU's, then time training steps of fastsnn and PyTorch."""
    logging.basicConfig(stream=sys.stderr, format="%(message)s")
    until = time.monotonic() + 60 * minutes
    start = time.monotonic()
    cases = [str(Case.parse(case)) for case in cases]
    peers = tuple(filter(None, against.split(",")))
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    store = results.Store(folder / "gpu.json")
    store.found["machine"] = described(["bench", "gpu", "--against", against])

    def report(line):
        click.echo(f"{time.monotonic() - start:6.1f} s  {line}", err=True)

    # At most half of the time for checks and compiling; the other half is for timings.
    half = start + 30 * minutes
    warming = everything.Warming(cases, modes, peers, half) if warm else None
    everything.checks(store, modes, half, report, tiny)
    if warming:
        warming.end()
    everything.mnist(store, until - 5, report, tiny)
    everything.times(store, cases, modes, peers, seconds, until - 5, report)
    text = results.text(store.end())
    (folder / "gpu.txt").write_text(f"{text}\n")
    click.echo(text)


if __name__ == "__main__":
    main()
