"""A diagnosis as a table and in words."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TextIO

from fastsnn.diagnose.measure import Diagnosis
from fastsnn.diagnose.report import Spread
from fastsnn.runs.console import count, is_terminal

WIDTH = 200  # where there is no terminal to ask
WIDE = 185  # what all columns need; in less there are some of them


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


# name, attribute of a report, how it reads in a wide table and in a narrow one (None: not there)
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
    "unit means, unit variances: 5 to 95 % of the units; sum w, sum w^2: mean (least to largest); "
    "thm 1: units in the domain of theorem 1; kept: units that the moment map keeps in its means "
    "and variances; dead: units with one output for all rows; flat: units where the activation is "
    "flat; |dW|: norm of the gradient; |dz|: of d loss / d z of a row"
)


def show(diagnosis: Diagnosis, stream: TextIO | None = None) -> None:
    """A line for each layer, what the columns are, and what was found, on stdout."""
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
    bold = {number for finding in diagnosis.findings for number in finding.layers}
    for report in diagnosis.layers:
        cells = [text(getattr(report, attribute)) for _, attribute, text in columns]
        table.add_row(*cells, style="bold" if report.layer in bold else None)
    console.print(table)
    console.print(LEGEND, style="dim")
    if diagnosis.without_gradients:
        console.print(f"no gradients: {diagnosis.without_gradients}", style="dim")
    console.print()
    for line in words(diagnosis):
        console.print(line, style="bold" if diagnosis.findings else "green", soft_wrap=True)


def words(diagnosis: Diagnosis) -> list[str]:
    """A line for each finding, or one that says that there is none."""
    if diagnosis.findings:
        return [f"{finding.rule}: {finding.text}" for finding in diagnosis.findings]
    layers = count(len(diagnosis.layers) - 1, "layer")
    unjudged = "; the predictions were not judged, without labels"
    return [
        f"everything is fine: no rule complains about {layers}"
        f"{unjudged if diagnosis.without_gradients else ''}"
    ]
