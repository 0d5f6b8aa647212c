"""Plot of a diagnosis: output densities by layer, moments, gradients, weights and units."""

from __future__ import annotations

import importlib.util
import io
import textwrap
from pathlib import Path
from typing import Any

import numpy as np

from fastsnn.diagnose.measure import Diagnosis
from fastsnn.diagnose.show import words
from fastsnn.storage import files
from fastsnn.theory import THEOREM1

PICTURES = (".png", ".svg", ".pdf")
RED, BLUE, GRAY = "#c1440e", "#2b5c8a", "0.55"
LEAST = 1e-12  # position of 0 on logarithmic axes


def require(path: str) -> None:
    """Raise ValueError for an unknown file suffix, RuntimeError if matplotlib is not installed."""
    if Path(path).suffix not in PICTURES:
        raise ValueError(f"--plot {path}: a file name ending in {', '.join(PICTURES)} is required")
    if importlib.util.find_spec("matplotlib") is None:
        raise RuntimeError("--plot needs matplotlib, which is not installed; pip install '.[plot]'")


def draw(diagnosis: Diagnosis, path: str, title: str) -> None:
    """Write the plot atomically; the suffix of `path` sets the format."""
    require(path)
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(15, 9.6), layout="constrained")
    panels = figure.subplot_mosaic([["density", "moments"], ["density", "signal"],
                                    ["units", "weights"]], width_ratios=(1.25, 1))  # fmt: skip
    found = [line for text in words(diagnosis) for line in textwrap.wrap(text, 190)]
    color = "#2e7d32" if diagnosis.fine else RED
    figure.suptitle(f"{title}: {diagnosis.rows:,} rows", fontsize=12)
    figure.supxlabel("\n".join(found), fontsize=10, color=color, x=0.01, ha="left")
    _density(panels["density"], diagnosis)
    _moments(panels["moments"], diagnosis)
    _signal(panels["signal"], diagnosis)
    _weights(panels["weights"], diagnosis)
    _units(panels["units"], diagnosis)
    last = len(diagnosis.layers) - 1
    for axes in panels.values():
        axes.set(xlabel=f"layer (0: input, {last}: output)", xlim=(-0.5, last + 0.5))
        locator: Any = axes.xaxis.get_major_locator()  # a MaxNLocator
        locator.set_params(integer=True)
        axes.spines[["top", "right"]].set_visible(False)
    content = io.BytesIO()
    figure.savefig(content, format=Path(path).suffix[1:], dpi=110)
    pyplot.close(figure)
    files.replace(path, content.getvalue())


def _density(axes: Any, diagnosis: Diagnosis) -> None:
    """Draw the distribution of each layer's outputs, scaled to its maximum."""
    shares = diagnosis.counts / np.maximum(diagnosis.counts.max(1, keepdims=True), LEAST)
    places = np.arange(len(shares) + 1) - 0.5
    axes.pcolormesh(places, diagnosis.edges, np.sqrt(shares.T), cmap="Greys", vmin=0, vmax=1.15)
    numbers = [report.layer for report in diagnosis.layers]
    low, high = (
        [getattr(report.unit_means, end) for report in diagnosis.layers] for end in ("low", "high")
    )
    axes.plot(numbers, low, color=BLUE, lw=1.2)
    axes.plot(numbers, high, color=BLUE, lw=1.2, label="5 and 95 % quantiles of unit means")
    axes.plot(numbers, [r.mean for r in diagnosis.layers], ".-", color=RED, label="mean")
    axes.set_yscale("asinh", linear_width=1)
    axes.set_yticks(_ticks(diagnosis.edges), minor=False)
    axes.set_yticks([], minor=True)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set(title="Distribution of outputs", ylim=diagnosis.edges[[0, -1]])
    axes.legend(loc="upper right", fontsize=9)


def _ticks(edges: np.ndarray) -> list[float]:
    known = [0.0, *(sign * m * 10.0**e for e in range(9) for m in (1, 3) for sign in (1, -1))]
    return sorted(value for value in known if edges[0] <= value <= edges[-1])


def _moments(axes: Any, diagnosis: Diagnosis) -> None:
    numbers = [report.layer for report in diagnosis.layers]
    spreads = [report.unit_variances for report in diagnosis.layers]
    axes.fill_between(numbers, [max(s.low, LEAST) for s in spreads],
                      [max(s.high, LEAST) for s in spreads], color=BLUE, alpha=0.2, lw=0,
                      label="5 to 95 % of the units")  # fmt: skip
    axes.semilogy(numbers, [max(r.variance, LEAST) for r in diagnosis.layers], ".-", color=BLUE,
                  label="all rows and units")  # fmt: skip
    axes.axhspan(*THEOREM1.variance, color="green", alpha=0.15, lw=0, label="interval of theorem 1")
    low, high = axes.get_ylim()
    lowest = min(max(r.variance, LEAST) for r in diagnosis.layers)
    axes.set(title="Variance of the outputs", ylim=(min(max(low, lowest / 30), 0.1), max(high, 10)))
    axes.legend(loc="best", fontsize=8)


def _signal(axes: Any, diagnosis: Diagnosis) -> None:
    axes.set(title="Gradients", yscale="log")
    for name, color, label in (
        ("signal", RED, "|d loss / d z|, per row"),
        ("gradient", BLUE, "gradient of the weights"),
    ):
        points = [
            (report.layer, max(getattr(report, name), LEAST))
            for report in diagnosis.layers if getattr(report, name) is not None
        ]  # fmt: skip
        if points:
            axes.plot(*zip(*points, strict=True), ".-", color=color, label=label)
    if axes.lines:
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, high / 100), high)  # two decades, so that constant curves look flat
        axes.legend(loc="best", fontsize=8)
    else:
        axes.text(0.5, 0.5, f"none: {diagnosis.without_gradients}", transform=axes.transAxes,
                  ha="center", wrap=True)  # fmt: skip


def _weights(axes: Any, diagnosis: Diagnosis) -> None:
    shown = [report for report in diagnosis.layers if report.weight_square_sum is not None]
    numbers = [report.layer for report in shown]
    for name, color, label in (
        ("weight_square_sum", BLUE, "squared weights"),
        ("weight_sum", RED, "weights"),
    ):
        spreads = [getattr(report, name) for report in shown]
        axes.vlines(numbers, [s.low for s in spreads], [s.high for s in spreads], color=color,
                    alpha=0.25, lw=3)  # fmt: skip
        axes.plot(numbers, [s.mean for s in spreads], ".", color=color, label=f"sum of {label}")
    for target in (0, 1, 2):
        axes.axhline(target, color=GRAY, lw=0.7, zorder=0)
    axes.set_title("Sums over a unit's weights: mean and range (SELU needs 0 and 1, ReLU 0 and 2)",
                   fontsize=10)  # fmt: skip
    axes.legend(loc="best", fontsize=8, ncols=2)


def _units(axes: Any, diagnosis: Diagnosis) -> None:
    for name, color, label in (
        ("kept", "green", "mean and variance kept in the intervals of theorem 1"),
        ("theorem1", BLUE, "in the domain of theorem 1"),
        ("dead", "black", "dead"),
        ("saturated", RED, "saturated"),
    ):
        points = [
            (report.layer, 100 * getattr(report, name))
            for report in diagnosis.layers[1:] if getattr(report, name) is not None
        ]  # fmt: skip
        if points:
            axes.plot(*zip(*points, strict=True), ".-", color=color, label=label, lw=1)
    axes.set(title="Units (% of a layer)", ylim=(-3, 103))
    axes.legend(loc="best", fontsize=8)
