"""Console output of a diagnosis: table, legend, findings."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TextIO

from fastsnn.diagnose.measure import Diagnosis
from fastsnn.diagnose.report import Spread
from fastsnn.runs.console import count, is_terminal

WIDTH = 200  # columns, if stdout is not a terminal
WIDE = 185  # width of the full table; narrower terminals get fewer columns


def _range(spread: Spread) -> str:
    return f"{spread.low:.2g}..{spread.high:.2g}"


def _mean_and_range(spread: Spread | None) -> str:
    return "" if spread is None else f"{spread.mean:.2f} ({_range(spread)})"


def _mean(spread: Spread | None) -> str:
    return "" if spread is None else f"{spread.mean:.2f}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.0f} %"


def _short(what: str) -> str:
    return what.split(" alpha-")[0].split(" dropout")[0].removeprefix("dense ")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


# Header, attribute of a report, format in a wide and in a narrow table (None: no such column).
COLUMNS: tuple[tuple[str, str, Callable[[Any], str], Callable[[Any], str] | None], ...] = (
    ("layer", "layer", str, str),
    ("step", "what", str, _short),
    ("mean", "mean", _number, _number),
    ("variance", "variance", _number, _number),
    ("unit means", "unit_means", _range, None),
    ("unit variances", "unit_variances", _range, None),
    ("sum w", "weight_sum", _mean_and_range, None),
    ("sum w^2", "weight_square_sum", _mean_and_range, _mean),
    ("thm 1", "theorem1", _share, None),
    ("kept", "kept", _share, _share),
    ("dead", "dead", _share, _share),
    ("flat", "saturated", _share, _share),
    ("|dW|", "gradient", _number, _number),
    ("|dz|", "signal", _number, _number),
)
LEGEND = (
    "unit means, unit variances: 5th to 95th percentile; sum w, sum w^2: mean (minimum..maximum); "
    "thm 1: units in the domain of theorem 1; kept: units whose mean and variance stay in the "
    "intervals of theorem 1; dead: units with the same output for all rows; flat: saturated units; "
    "|dW|: norm of the gradient of the weights; |dz|: norm of d loss / d z of a single row"
)


def show(diagnosis: Diagnosis, stream: TextIO | None = None) -> None:
    """Print one line per layer, the legend and the findings, by default on stdout."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    stream = stream or sys.stdout
    width = None if is_terminal(stream) else WIDTH
    console = Console(file=stream, highlight=False, markup=False, width=width)
    wide = console.width >= WIDE
    columns = [(n, a, t) for n, a, w, s in COLUMNS if (t := w if wide else s) is not None]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, int(wide)))
    for name, _, _ in columns:
        table.add_column(name, justify="left" if name == "step" else "right", no_wrap=True)
    problems = [finding for finding in diagnosis.findings if finding.severity != "note"]
    bold = {number for finding in problems for number in finding.layers}
    for report in diagnosis.layers:
        cells = [text(getattr(report, attribute)) for _, attribute, text in columns]
        table.add_row(*cells, style="bold" if report.layer in bold else None)
    console.print(table)
    console.print(LEGEND, style="dim")
    if diagnosis.without_gradients:
        console.print(f"no gradients: {diagnosis.without_gradients}", style="dim")
    console.print()
    for line in words(diagnosis):
        console.print(line, style="green" if diagnosis.fine else "bold", soft_wrap=True)


def words(diagnosis: Diagnosis) -> list[str]:
    """Return one line per problem, or one line that reports none; then one line per note."""
    found = [
        (finding.severity, f"{finding.rule}: {finding.text}") for finding in diagnosis.findings
    ]
    notes = [f"note: {line}" for severity, line in found if severity == "note"]
    if not diagnosis.fine:
        return [line for severity, line in found if severity != "note"] + notes
    layers = count(len(diagnosis.layers) - 1, "layer")
    unjudged = "; predictions were not evaluated, because there are no labels"
    none = f"no problems found in {layers}{unjudged if diagnosis.without_gradients else ''}"
    return [none, *notes]
