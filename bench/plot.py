"""Plots of benchmark results; matplotlib is imported by the functions that use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastsnn.runs.picture import canvas, save

from .show import NAMES, OPTIMIZERS

COLORS = {"fastsnn": "#c1272d", "torch": "#4477aa", "torch-compile": "#88aacc",
          "jax": "#66994d", "onnxruntime": "#aa8844"}  # fmt: skip
WIDTH = 7.0  # inches, about the text width of a page
LEAST_HEIGHT = 2.5  # inches, for title, legend and axis of a single row
SMALL = 8  # points


def _size(layers: int, width: int) -> str:
    return f"{layers} layer{'s' * (layers != 1)} of {width}"


def _label(row: dict[str, Any]) -> str:
    """Return the settings of a case in two lines."""
    layers, width, batch, dropout, *inputs = row["case"].split("x")
    more = [
        f"batch {batch}",
        *([f"dropout {dropout}"] if float(dropout) else []),
        *[f"{n} inputs" for n in inputs],
        *([OPTIMIZERS[row["optimizer"]]] if "optimizer" in row else []),
    ]
    return f"{_size(int(layers), int(width))}\n{', '.join(more)}"


def bars(path: Path, rows: list[dict[str, Any]], machine: dict[str, Any], what: str) -> None:
    """Draw the speed of each system as a fraction of fastsnn's, a group of bars per case."""
    systems = [s for s in NAMES if any(s in r["systems"] for r in rows)]
    height = 0.8 / len(systems)
    figure, axes = canvas(WIDTH, max(LEAST_HEIGHT, 1.3 + (0.2 + 0.12 * len(systems)) * len(rows)))
    for i, system in enumerate(systems):
        found = [(j, r["systems"]) for j, r in enumerate(rows) if system in r["systems"]]
        drawn = axes.barh(
            [j + (i - (len(systems) - 1) / 2) * height for j, _ in found],
            [of["fastsnn"]["median_s"] / of[system]["median_s"] for _, of in found],
            height * 0.92, color=COLORS[system], label=NAMES[system],
        )  # fmt: skip
        if system == "fastsnn":
            shares = [f"{100 * of[system]['of_peak']:.0f} % of peak" for _, of in found]
            axes.bar_label(
                drawn, shares, label_type="center", fontsize=SMALL - 2, color="white", weight="bold"
            )
    axes.set_yticks(range(len(rows)), [_label(row) for row in rows], fontsize=SMALL)
    axes.set_ylim(len(rows) - 0.45, -0.55)
    axes.set_xlabel("speed relative to fastsnn")
    axes.set_title(what, fontsize=10)
    figure.legend(fontsize=SMALL, ncols=len(systems), loc="outside upper center", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, path, machine)


def roofline(path: Path, found: dict[str, Any], machine: dict[str, Any]) -> None:
    """Draw each kernel's share of the limit that applies to it: arithmetic or memory."""
    rows = found["rows"]
    figure, axes = canvas(WIDTH, max(LEAST_HEIGHT, 1.5 + 0.24 * len(rows)))
    peak = f"{found['peak_gflops']:.0f} GFLOP/s"
    kinds = [
        (COLORS["fastsnn"], f"share of {peak}, the peak of multiply-adds",
         [(i, r) for i, r in enumerate(rows) if r["gflops"]]),
        (COLORS["torch"], "share of the memory bandwidth of reading as many bytes",
         [(i, r) for i, r in enumerate(rows) if not r["gflops"]]),
    ]  # fmt: skip
    for color, label, group in kinds:
        shares = [100 * row["share"] for _, row in group]
        axes.barh([i for i, _ in group], shares, 0.8, color=color, label=label)
        for (i, row), share in zip(group, shares, strict=True):
            rate = f"{row['gflops']:.0f} GFLOP/s" if row["gflops"] else f"{row['gb_s']:.1f} GB/s"
            inside = share > 30
            axes.text(
                share + (-1 if inside else 1), i, rate, va="center", fontsize=SMALL - 1,
                ha="right" if inside else "left", color="white" if inside else "black",
            )  # fmt: skip
    names = [f"{row['kernel']}, {row['shape']}" for row in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=SMALL - 1)
    axes.set_xlim(0, 101)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel("share on one thread (%)")
    figure.legend(fontsize=SMALL, loc="outside upper center", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, path, machine)


def lines(path: Path, found: dict[str, Any], machine: dict[str, Any]) -> None:
    """Draw step time against depth and against batch size, with the fitted lines."""
    figure, first = canvas(WIDTH, 3.9)
    first.remove()
    panels = figure.subplots(1, 2, sharey=True)
    for name, axes in zip(("depth", "batch"), panels, strict=True):
        part = found[name]
        x, base = part["sizes"], part["base"].split("x")
        axes.plot(x, [1e3 * s for s in part["median_s"]], "o", color=COLORS["fastsnn"],
                  label="fastsnn")  # fmt: skip
        line = [1e3 * (part["start_s"] + part["slope_s"] * v) for v in x]
        axes.plot(x, line, color=COLORS["fastsnn"], linewidth=1, label="fastsnn, fitted line")
        for peer, times in part["peers"].items():
            axes.plot(x, [1e3 * s for s in times], "s--", markersize=4, color=COLORS[peer],
                      label=NAMES[peer])  # fmt: skip
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=2)
        axes.set_xticks(x, [str(v) for v in x], fontsize=SMALL)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("hidden layers" if name == "depth" else "batch size")
        fixed = f"batch {base[2]}" if name == "depth" else f"{base[0]} layers"
        axes.set_title(f"{fixed}, {base[1]} units per layer, dropout {base[3]}", fontsize=SMALL)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("time of a step (ms)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=SMALL, ncols=len(labels), loc="outside upper center",
                  frameon=False)  # fmt: skip
    save(figure, path, machine)


def heat(path: Path, rows: list[dict[str, Any]], machine: dict[str, Any]) -> None:
    """Draw the speed-up over eager PyTorch: a row per depth and width, a column per batch size."""
    from matplotlib import colors

    sizes = [tuple(map(int, r["case"].split("x")[:3])) for r in rows]
    left = sorted({s[:2] for s in sizes})
    batches = sorted({s[2] for s in sizes})
    values = [[float("nan")] * len(batches) for _ in left]
    for (layers, width, batch), row in zip(sizes, rows, strict=True):
        values[left.index((layers, width))][batches.index(batch)] = row["speedup"]
    figure, axes = canvas(WIDTH, max(LEAST_HEIGHT, 1.4 + 0.28 * len(left)))
    most = 16
    axes.imshow(values, aspect="auto", cmap="RdBu", norm=colors.LogNorm(1 / most, most))
    for i, line in enumerate(values):
        for j, value in enumerate(line):
            dark = value > most**0.6 or value < most**-0.6
            axes.text(j, i, f"{value:.1f}", ha="center", va="center", fontsize=9,
                      color="white" if dark else "black")  # fmt: skip
    axes.set_xticks(range(len(batches)), [f"batch {b}" for b in batches], fontsize=SMALL + 1)
    axes.set_yticks(range(len(left)), [_size(*size) for size in left], fontsize=SMALL + 1)
    axes.set_title("Speed-up of a training step over eager PyTorch (below 1: slower)", fontsize=10)
    save(figure, path, machine)
