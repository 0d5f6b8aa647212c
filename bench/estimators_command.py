"""The command `fastsnn bench estimators`."""

from __future__ import annotations

import importlib.metadata

import click

from fastsnn.runs.options import Whole, examples

from . import output
from .options import equal_threads_option, json_option


@click.command(epilog=examples("fastsnn bench estimators --json estimators.json"))
@equal_threads_option
@click.option(
    "--rounds", type=Whole(min=1), default=3, show_default=True, metavar="N",
    help="Number of rounds. The systems are timed in turn in each round.",
)  # fmt: skip
@json_option
def estimators(threads, rounds, json_path):
    """Benchmark SNNClassifier against scikit-learn's MLPClassifier and skorch.

    Trains networks of three sizes on 40,000 rows of 50 features, and runs a grid search with 10
    folds over 12 configurations on the digits; each with the same layers, epochs, batch size,
    solver and learning rate in all systems. Prints seconds, speed-up and accuracy. scikit-learn
    must be installed; skorch is left out if it is not.
    """
    from fastsnn.engine import threads as processors

    from . import estimators as measuring
    from . import show

    output.require(json_path)
    packages = {name: importlib.metadata.version(name) for name in measuring.installed()}
    if "scikit-learn" not in packages:
        raise RuntimeError("bench estimators needs scikit-learn: pip install '.[sklearn]'")
    rows = measuring.measure(processors.resolve(threads), rounds, output.report)
    found = {"what": "estimators", "packages": packages, "rows": rows}
    output.end(found, json_path, show.columns(measuring.table(rows)))
