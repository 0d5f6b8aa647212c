"""Plots of figure 1 and of Tox21. matplotlib is imported by the functions that use it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fastsnn.paper.published import FIG1_EPOCHS, NAMES
from fastsnn.runs import picture

COLORS = {
    "snn": "#c1272d", "batchnorm": "#4477aa", "layernorm": "#228833", "weightnorm": "#aa3377",
    "highway": "#ccbb44", "msra": "#66ccee", "resnet": "#777777",
}  # fmt: skip
STYLES: tuple[Literal["-", "--", ":", "-."], ...] = ("-", "--", ":", "-.")
TITLES = {"mnist": "MNIST", "cifar10": "CIFAR-10"}


def require() -> None:
    """Raise RuntimeError if matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise RuntimeError(
            "plots need matplotlib, which is not installed; pip install '.[paper]'"
        ) from error


def curves(path: Path, found: Mapping[str, Any], data: str) -> None:
    """Plot training loss by epoch on a logarithmic axis; marks show the published final values."""
    from matplotlib.lines import Line2D

    figure, axes = picture.canvas(7.5, 4.8)
    depths = sorted({row["layers"] for row in found["curves"]})
    longest = max(row["epochs"] for row in found["curves"])
    width = 1.5 if longest < 200 else 0.8  # line width in points
    for row in found["curves"]:
        style = STYLES[depths.index(row["layers"]) % len(STYLES)]
        x, color = range(1, row["epochs"] + 1), COLORS[row["method"]]
        mark = "o" if row["epochs"] == 1 else None
        axes.plot(x, row["losses"], style, color=color, linewidth=width, marker=mark)
        if row["published"] is not None and longest >= FIG1_EPOCHS:
            axes.plot([FIG1_EPOCHS], [row["published"]], "x", color=color, clip_on=False)
    methods = dict.fromkeys(row["method"] for row in found["curves"])
    handles = [Line2D([], [], color=COLORS[m], label=NAMES[m]) for m in methods]
    handles += [
        Line2D([], [], color="black", linestyle=STYLES[i % len(STYLES)], label=f"{depth} layers")
        for i, depth in enumerate(depths)
    ]
    if longest >= FIG1_EPOCHS:
        handles.append(Line2D([], [], color="gray", marker="x", linestyle="", label="published"))
    axes.set_yscale("log")
    axes.set_xlabel("epoch")
    axes.set_ylabel("training loss, mean of the epoch's steps")
    axes.set_xlim(1 if longest > 1 else 0, max(longest, 2))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(handles=handles, fontsize=8, frameon=False, ncols=2)
    axes.set_title(f"{TITLES[data]}: training loss", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    picture.save(figure, path, found["machine"])


def depth(path: Path, found: Mapping[str, Any]) -> None:
    """Plot AUC by depth: our means with standard deviations, and the paper's means, dashed."""
    figure, axes = picture.canvas(8, 4.8)
    methods = list(dict.fromkeys(row["method"] for row in found["rows"]))
    for i, method in enumerate(methods):
        rows = sorted(
            (r for r in found["rows"] if r["method"] == method), key=lambda r: r["layers"]
        )
        color, shift = COLORS[method], 2 ** (0.02 * (i - len(methods) / 2))  # bars side by side
        ours = [r for r in rows if r["auc"] is not None]
        axes.errorbar(
            [r["layers"] * shift for r in ours], [r["auc"] for r in ours],
            [r["deviation"] or 0 for r in ours], color=color, marker="o", markersize=4,
            linewidth=2 if method == "snn" else 1.2, capsize=2, label=NAMES[method],
        )  # fmt: skip
        theirs = [r for r in rows if r["paper"] is not None]
        axes.plot([r["layers"] for r in theirs], [r["paper"] for r in theirs], "--", color=color,
                  linewidth=0.8)  # fmt: skip
    layers = np.unique([r["layers"] for r in found["rows"]])
    axes.set_xscale("log", base=2)
    axes.set_xticks(layers, [str(n) for n in layers])
    axes.set_xlabel("hidden layers (ResNet: blocks)")
    axes.set_ylabel("mean AUC of 12 tasks")
    axes.legend(fontsize=8, frameon=False, ncols=2)
    axes.set_title("Tox21: full lines ours, dashed the paper's (its own features)", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    picture.save(figure, path, found["machine"])
