"""Figures of the measurements; matplotlib is imported on use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastsnn.runs.picture import canvas, save

from .show import NAMES

COLORS = {"fastsnn": "#c1272d", "torch": "#4477aa", "torch-compile": "#88aacc",
          "jax": "#66994d", "onnxruntime": "#aa8844"}  # fmt: skip


def _label(row):
    layers, width, *others = row["case"].split("x")
    return f"{layers}x{width}\nx{'x'.join(others)}\n{row.get('optimizer', '')}".rstrip()


def bars(path: Path, rows: list[dict[str, Any]], machine: dict[str, Any], what: str) -> None:
    """Draw samples per second of each system, relative to fastsnn's best peer or to fastsnn."""
    labels = [_label(row) for row in rows]
    systems = [s for s in NAMES if any(s in r["systems"] for r in rows)]
    figure, axes = canvas(max(6.5, 0.55 + 1.05 * len(rows)), 4.2)
    width = 0.8 / len(systems)
    for i, system in enumerate(systems):
        heights = [
            r["systems"]["fastsnn"]["median_s"] / r["systems"][system]["median_s"]
            if system in r["systems"] else 0
            for r in rows
        ]  # fmt: skip
        places = [j + (i - (len(systems) - 1) / 2) * width for j in range(len(rows))]
        drawn = axes.bar(places, heights, width * 0.92, color=COLORS[system], label=NAMES[system])
        if system == "fastsnn":
            shares = [f"{100 * r['systems'][system]['of_peak']:.0f} %" for r in rows]
            axes.bar_label(drawn, shares, fontsize=7, padding=2)
    axes.set_xticks(range(len(rows)), labels, fontsize=7)
    axes.set_ylabel("speed, fastsnn = 1")
    axes.set_ylim(0, max(1.25, axes.get_ylim()[1] * 1.1))
    axes.set_title(f"{what}: speed of each system; above fastsnn its share of the machine's peak",
                   fontsize=9)  # fmt: skip
    axes.legend(fontsize=8, ncols=len(systems), loc="upper center", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, path, machine)


def roofline(path: Path, found: dict[str, Any], machine: dict[str, Any]) -> None:
    """Draw each kernel's share of its roof: arithmetic or memory, whichever limits it."""
    rows = found["rows"][::-1]
    figure, axes = canvas(8.5, 1 + 0.23 * len(rows))
    names = [f"{r['kernel']}  [{r['shape']}]" for r in rows]
    colors = ["#c1272d" if r["gflops"] else "#4477aa" for r in rows]
    drawn = axes.barh(range(len(rows)), [100 * r["share"] for r in rows], 0.75, color=colors)
    rates = [f"{r['gflops']:.0f} GFLOP/s" if r["gflops"] else f"{r['gb_s']:.1f} GB/s" for r in rows]
    axes.bar_label(drawn, rates, fontsize=7, padding=3)
    axes.set_yticks(range(len(rows)), names, fontsize=7)
    axes.set_xlim(0, 118)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.axvline(100, color="black", linewidth=0.8)
    axes.set_xlabel("share of the roof, %")
    axes.set_title(
        f"One thread. Red: of {found['peak_gflops']:.0f} GFLOP/s of multiply-adds in registers\n"
        "blue: of the speed at which as many bytes are read", fontsize=9,
    )  # fmt: skip
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, path, machine)


def lines(path: Path, found: dict[str, Any], machine: dict[str, Any]) -> None:
    """Draw the time of a step over depth and over batch, with the fitted lines."""
    figure, axes = canvas(7, 4.2)
    for name, color in (("depth", "#c1272d"), ("batch", "#4477aa")):
        part = found[name]
        x, y = part["sizes"], [1e3 * s for s in part["median_s"]]
        axes.plot(x, y, "o", color=color, label=f"{part['of']} ({part['base']} else)")
        for peer, times in part["peers"].items():
            label = NAMES[peer] if name == "depth" else None
            style = "--" if name == "depth" else ":"
            axes.plot(x, [1e3 * s for s in times], style, color=COLORS[peer], label=label)
        line = [1e3 * (part["start_s"] + part["slope_s"] * v) for v in x]
        axes.plot(x, line, color=color, linewidth=1)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("layers, or samples of a batch")
    axes.set_ylabel("ms of a step")
    axes.legend(fontsize=8, frameon=False)
    axes.set_title("Cost of a step; lines: start + slope x size", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, path, machine)


def heat(path: Path, rows: list[dict[str, Any]], machine: dict[str, Any]) -> None:
    """Draw the speed-up over PyTorch eager: a row per depth and width, a column per batch."""
    from matplotlib import colors

    sizes = [tuple(map(int, r["case"].split("x")[:3])) for r in rows]
    left = sorted({s[:2] for s in sizes})
    batches = sorted({s[2] for s in sizes})
    values = [[float("nan")] * len(batches) for _ in left]
    for (layers, width, batch), row in zip(sizes, rows, strict=True):
        values[left.index((layers, width))][batches.index(batch)] = row["speedup"]
    figure, axes = canvas(5.5, 1.4 + 0.28 * len(left))
    norm = colors.LogNorm(1 / 8, 8)
    axes.imshow(values, aspect="auto", cmap="RdYlGn", norm=norm)
    for i, line in enumerate(values):
        for j, value in enumerate(line):
            axes.text(j, i, f"{value:.1f}", ha="center", va="center", fontsize=8)
    axes.set_xticks(range(len(batches)), batches)
    axes.set_yticks(range(len(left)), [f"{a} x {b}" for a, b in left], fontsize=8)
    axes.set_xlabel("batch")
    axes.set_ylabel("layers x width")
    axes.set_title("Speed-up of a step over PyTorch eager", fontsize=9)
    save(figure, path, machine)
