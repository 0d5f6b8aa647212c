"""The figure of `fastsnn compare`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from fastsnn.storage import files

from .compare_table import NAMES, dropout

OURS, THEIRS, COMPILED = "#c1440e", "#2b5c8a", "#7fa6c9"
LEAST = 1e-9  # below float32's rounding: a difference of 0 is drawn here


def draw(result: dict[str, Any], path: str) -> None:
    """Draw four panels; the suffix of the path selects the format. The file is replaced
    atomically.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(2, 2, figsize=(12, 8.4), layout="constrained")
    threads = result["threads"]
    figure.suptitle(
        f"fastsnn and PyTorch {result['machine']['versions']['torch']}: {result['case']} "
        f"(layers x width x batch x dropout rate), {result['optimizer']}, "
        f"learning rate {result['learning_rate']:g}, {threads} thread{'s' * (threads > 1)}\n"
        f"{result['machine']['cpu']}",
        fontsize=11,
    )
    for panel, axes in zip((_losses, _differences, _moments, _speed), panels.flat, strict=True):
        panel(axes, result)
    content = io.BytesIO()
    figure.savefig(content, format=Path(path).suffix[1:], dpi=130)
    pyplot.close(figure)
    files.replace(path, content.getvalue())


def _losses(axes, result):
    steps = [s["step"] for s in result["losses"]]
    axes.plot(
        steps, [s["torch"] for s in result["losses"]], "o", ms=9, mfc="none", color=THEIRS,
        label="PyTorch",
    )  # fmt: skip
    axes.plot(steps, [s["fastsnn"] for s in result["losses"]], ".-", color=OURS, label="fastsnn")
    largest = max(s["relative"] for s in result["losses"])
    axes.set(
        title=f"Loss before each update (largest relative difference {largest:.1e})",
        xlabel="step", ylabel="mean cross-entropy",
    )  # fmt: skip
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()


def _differences(axes, result):
    places = range(1, len(result["layers"]) + 1)
    for what, names, mark in (
        ("activations", ["activations"], "o"),
        ("gradients", ["weight_gradients", "bias_gradients"], "s"),
    ):
        for who, of, color, style in (
            ("fastsnn", "relative", OURS, "-"),
            ("PyTorch's float32", "relative_of_torch_float32", THEIRS, "--"),
        ):
            values = [
                max(LEAST, *(layer[name][of] for name in names)) for layer in result["layers"]
            ]
            axes.semilogy(
                places, values, style + mark, ms=4, color=color, label=f"{what}, {who}",
                mfc=color if mark == "s" else "white",
            )  # fmt: skip
    jumps = [n["layer"] for n in result["layers"][:-1] if any(n["other_side_of_0"].values())]
    for layer in jumps:
        label = "input of SELU on the other side of 0" if layer == jumps[0] else None
        axes.axvline(layer, color="gray", ls=":", label=label)
    low, high = axes.get_ylim()
    axes.set(
        title="Largest difference from PyTorch in float64, first step",
        xlabel=f"layer ({places[-1]}: output)", ylabel="relative to the largest magnitude",
        xlim=(0.5, places[-1] + 0.5), ylim=(low / 1.5, high * (high / low) ** 0.45),  # a legend
    )  # fmt: skip
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(ncols=2, fontsize=8, loc="upper center", framealpha=1)
    axes.grid(axis="y", alpha=0.3)


def _moments(axes, result):
    layers = result["layers"][:-1]
    places = [layer["layer"] for layer in layers]
    for system, color, style, size in (("torch", THEIRS, "", 8), ("fastsnn", OURS, "-", 3)):
        for name, mark in (("variance", "s"), ("mean", "o")):
            values = [layer[f"after_dropout_{system}"][name] for layer in layers]
            axes.plot(
                places, values, style + mark, ms=size, color=color,
                mfc=color if style else "none", label=f"{name}, {NAMES[system]}",
            )  # fmt: skip
    for target in (0, 1):
        axes.axhline(target, color="gray", lw=0.8, zorder=0)
    low, high = axes.get_ylim()
    axes.set(
        title=f"{dropout(result)}, with starting weights (fixed point: 0 and 1)",
        xlabel="hidden layer", ylabel="over the batch and the units",
        ylim=(min(low, -0.3), max(high, 1.3)),
    )  # fmt: skip
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(ncols=2, fontsize=9, loc="center")


def _speed(axes, result):
    systems = result["systems"]
    colors = {"fastsnn": OURS, "torch": THEIRS, "torch-compile": COMPILED}
    memory = axes.twinx()
    for place, (name, s) in enumerate(systems.items()):
        median, low, high = (1e3 * s[key] for key in ("median_s", "p10_s", "p90_s"))
        axes.bar(
            place, median, 0.7, color=colors[name], label=NAMES[name],
            yerr=[[median - low], [high - median]], capsize=4,
        )  # fmt: skip
        _above(axes, place, high, f"{median:.3g} ms")
        right, mib = place + len(systems) + 1, s["peak_memory_mib"]
        memory.bar(right, mib, 0.7, color=colors[name])
        _above(memory, right, mib, f"{mib:.0f} MiB")
    middle = (len(systems) - 1) / 2
    axes.set_xticks(
        [middle, middle + len(systems) + 1],
        ["time of a step\n(median; bars: p10 to p90)", "largest memory\nof the process"],
    )
    axes.set(title="Time and memory", ylabel="ms", ylim=(0, 1.25 * axes.get_ylim()[1]))
    memory.set(ylabel="MiB", ylim=(0, 1.25 * memory.get_ylim()[1]))
    axes.legend(ncols=3, fontsize=9, loc="upper center")


def _above(axes, x, y, text):
    axes.annotate(text, (x, y), (0, 4), textcoords="offset points", ha="center", fontsize=9)
