"""Draw the pictures of the documentation: ``python docs/pictures.py`` writes docs/_static/*.svg.

All numbers come from fastsnn itself, with fixed seeds: the theory from `fastsnn.theory`, measured
moments and quantiles from `Network.activations` of networks that have not been trained. Needs
matplotlib.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import drawings
import numpy as np
from drawings import COLORS, STATIC

import fastsnn as fs
from fastsnn import theory

SEED, ROWS, WIDTH, LAYERS = 0, 256, 256, 32
QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)
RATES = (0.05, 0.1, 0.2)
INK, SOFT, BLUE, RED, GREEN, VIOLET = (pair[0] for pair in COLORS.values())

NETWORKS = {
    "SELU, LeCun-normal": [fs.Dense(WIDTH), fs.SELU()],
    "ReLU, He-normal": [fs.Dense(WIDTH, init="he_normal"), fs.ReLU()],
    "tanh, LeCun-normal": [fs.Dense(WIDTH), fs.Tanh()],
    "SELU, He-normal: wrong start": [fs.Dense(WIDTH, init="he_normal"), fs.SELU()],
}


def network(hidden: Sequence[fs.layers.Layer], layers: int = LAYERS) -> fs.Network:
    """Return an untrained network with `layers` times the hidden layers; one output."""
    with warnings.catch_warnings():  # plain dropout after SELU is what one picture shows
        warnings.simplefilter("ignore", UserWarning)
        return fs.Network([*list(hidden) * layers, fs.Dense(1)], input_size=WIDTH, seed=SEED)


def inputs(deviation: float = 1.0) -> np.ndarray:
    """Return ROWS rows of WIDTH independent normal features with mean 0, float32."""
    x = np.random.default_rng(SEED).normal(0, deviation, (ROWS, WIDTH))
    return x.astype(np.float32)


def quantiles(hidden: Sequence[fs.layers.Layer], deviation: float = 1.0) -> np.ndarray:
    """Return the QUANTILES of the inputs and of every layer's outputs, (layers + 1, 5)."""
    x = inputs(deviation)
    return np.array([np.quantile(h, QUANTILES) for h in [x, *network(hidden).activations(x)]])


def trajectory(
    mean: float, variance: float, weight_sum: float = 0.0, weight_square_sum: float = 1.0,
    layers: int = LAYERS,
) -> np.ndarray:  # fmt: skip
    """Return mean and variance from layer to layer by the moment map, (layers + 1, 2)."""
    course = [(mean, variance)]
    for _ in range(layers):
        course.append(theory.moment_map(*course[-1], weight_sum, weight_square_sum))
    return np.array(course)


def dropped(layer: fs.layers.Layer | None) -> np.ndarray:
    """Return the outputs of one SELU layer in training, after `layer` (a dropout), flat."""
    hidden = [fs.Dense(WIDTH), fs.SELU(), *([layer] if layer else [])]
    return network(hidden, 1).activations(inputs(), training=True, seed=SEED)[0].ravel()


def variances(layer: fs.layers.Layer) -> np.ndarray:
    """Return the variance of every layer's outputs in training, with `layer` after each SELU."""
    net = network([fs.Dense(WIDTH), fs.SELU(), layer])
    hidden = net.activations(inputs(), training=True, seed=SEED)
    return np.array([h.var(dtype=np.float64) for h in hidden])


def agreement(rate: float) -> np.ndarray:
    """Return, layer by layer, the correlation of the outputs for the same rows under the dropout
    masks of two steps.
    """
    net = network([fs.Dense(WIDTH), fs.SELU(), fs.AlphaDropout(rate)])
    x = inputs()
    first, second = (net.activations(x, training=True, seed=SEED, step=step) for step in (0, 1))
    return np.array([
        np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(first, second, strict=True)
    ])  # fmt: skip


# Drawing


def figure(width: float, height: float, mosaic: Any) -> tuple[Any, dict[str, Any]]:
    """Return a figure in inches with named panels."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams.update({
        "svg.fonttype": "none", "svg.hashsalt": "fastsnn", "font.size": 10.5,
        "font.family": "sans-serif", "axes.titlesize": 10.5, "legend.fontsize": 9.5,
        "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": SOFT, "xtick.color": INK,
        "ytick.color": INK, "axes.facecolor": "none", "figure.facecolor": "none",
        "savefig.facecolor": "none", "legend.frameon": False, "axes.spines.top": False,
        "axes.spines.right": False, "lines.linewidth": 1.6,
    })  # fmt: skip
    return pyplot.subplot_mosaic(mosaic, figsize=(width, height), layout="constrained")


def save(name: str, drawn: Any, title: str) -> None:
    """Write a figure as SVG whose colors follow the page."""
    from matplotlib import pyplot

    content = io.StringIO()
    drawn.savefig(content, format="svg", metadata={"Date": None, "Creator": None, "Title": title})
    pyplot.close(drawn)
    svg = content.getvalue()
    for color, (light, _) in COLORS.items():
        svg = svg.replace(light, f"var(--{color})")
    svg = svg.replace("<defs>", f"<style>{drawings.style()}</style><defs>", 1)
    svg = "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"
    (STATIC / f"{name}.svg").write_text(svg, encoding="utf-8")


def draw_selu() -> Any:
    """SELU beside ReLU and tanh."""
    drawn, panels = figure(5.6, 3.3, [["a"]])
    axes, z = panels["a"], np.linspace(-4, 2.2, 249)
    selu = theory.LAMBDA * np.where(z > 0, z, theory.ALPHA * np.expm1(np.minimum(z, 0)))
    axes.axhline(0, color=SOFT, lw=0.7)
    axes.axvline(0, color=SOFT, lw=0.7)
    axes.plot(z, np.maximum(z, 0), "--", color=SOFT)
    axes.plot(z, np.tanh(z), "-.", color=VIOLET)
    axes.plot(z, selu, color=BLUE, lw=2.4)
    axes.axhline(-theory.LAMBDA * theory.ALPHA, color=RED, lw=1, ls=":")
    for x, y, text, color in (
        (1.0, 1.6, "SELU", BLUE), (1.75, 1.35, "ReLU", SOFT), (1.75, 0.66, "tanh", VIOLET),
        (0.15, -1.68, "−λα ≈ −1.758", RED),
    ):  # fmt: skip
        axes.text(x, y, text, color=color)
    axes.set(xlabel="z", xlim=(-4, 2.3), ylim=(-2, 2.4))
    return drawn


def draw_activations() -> Any:
    """Quantiles of the activations through 32 layers in four networks."""
    drawn, panels = figure(5.6, 5.2, [["a", "b"], ["c", "d"]])
    layers = np.arange(LAYERS + 1)
    for axes, (name, hidden) in zip(panels.values(), NETWORKS.items(), strict=True):
        low, lower, middle, upper, high = quantiles(hidden).T
        axes.fill_between(layers, low, high, color=BLUE, alpha=0.2, lw=0)
        axes.fill_between(layers, lower, upper, color=BLUE, alpha=0.4, lw=0)
        axes.plot(layers, middle, color=BLUE)
        wide = quantiles(hidden, deviation=3).T
        axes.plot(layers, wide[0], "--", color=RED, lw=1.2)
        axes.plot(layers, wide[-1], "--", color=RED, lw=1.2)
        axes.set_title(name)
        axes.set_yscale("symlog", linthresh=3)
        axes.set(ylim=(-40, 40), xlim=(0, LAYERS), xticks=range(0, LAYERS + 1, 8))
        axes.set_yticks([-30, -10, -3, -1, 0, 1, 3, 10, 30], minor=False)
        axes.set_yticks([], minor=True)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.axhline(0, color=SOFT, lw=0.6, zorder=0)
    for name in "cd":
        panels[name].set_xlabel("layer (0: inputs)")
    for name in "ac":
        panels[name].set_ylabel("activations")
    return drawn


def draw_moments() -> Any:
    """The moment map: arrows and trajectories in the domain of theorem 1, variances over layers."""
    from matplotlib.patches import Rectangle

    drawn, panels = figure(5.6, 6.4, [["a", "b"], ["c", "c"]])
    domain = theory.THEOREM1
    (left, right), (low, high) = domain.mean, domain.variance
    m, v = np.meshgrid(np.linspace(-0.135, 0.135, 7), np.linspace(0.6, 1.7, 9))
    for name, w, t in (("a", 0.0, 1.0), ("b", 0.1, 1.1)):
        axes = panels[name]
        to_m, to_v = theory.moment_map(m, v, w, t)
        axes.quiver(m, v, to_m - m, to_v - v, color=SOFT, angles="xy", scale_units="xy",
                    scale=2.6, width=0.008)  # fmt: skip
        axes.add_patch(Rectangle((left, low), right - left, high - low, fill=False, ls="--",
                                 ec=GREEN, lw=1.4))  # fmt: skip
        for start in ((-0.13, 1.65), (0.13, 1.65), (-0.13, 0.65), (0.13, 0.65)):
            axes.plot(*trajectory(*start, w, t, layers=12).T, ".-", color=BLUE, lw=1.2, ms=4)
        axes.plot(*theory.fixed_point(w, t), "o", color=RED, ms=7)
        axes.set(
            xlim=(-0.15, 0.15), ylim=(0.55, 1.75), xlabel="mean", title=f"ω = {w:g}, τ = {t:g}"
        )
    panels["a"].set_ylabel("variance")
    axes = panels["c"]
    layers = np.arange(LAYERS + 1)
    for start in (16, 6, 3, 1, 0.24, 0.06, 0.02):
        axes.plot(layers, trajectory(0.0, start)[:, 1], color=BLUE, lw=1.4)
    for (bottom, top), color in ((theory.THEOREM2.variance, RED),
                                 (theory.THEOREM3[0].variance, VIOLET),
                                 (domain.variance, GREEN)):  # fmt: skip
        axes.axhspan(bottom, top, color=color, alpha=0.16, lw=0)
    for y, text, color in (
        (6, "theorem 2: the variance falls", RED),
        (1.95, "theorem 1: it stays inside", GREEN),
        (0.05, "theorem 3: the variance rises", VIOLET),
    ):
        axes.text(LAYERS - 0.5, y, text, color=color, ha="right", va="center")
    axes.set(yscale="log", ylim=(0.015, 20), xlim=(0, LAYERS), xlabel="layer", ylabel="variance",
             xticks=range(0, LAYERS + 1, 8))  # fmt: skip
    axes.set_yticks([0.02, 0.1, 0.3, 1, 3, 16], minor=False)
    axes.set_yticks([], minor=True)
    axes.yaxis.set_major_formatter("{x:g}")
    return drawn


def draw_dropout() -> Any:
    """Histograms of SELU outputs, after alpha-dropout and after plain dropout."""
    drawn, panels = figure(5.6, 4.6, [["a"], ["b"], ["c"]])
    edges = np.linspace(-2.425, 3.625, 122)  # 0 in the middle of a bin
    for axes, name, layer, color in (
        (panels["a"], "SELU", None, BLUE),
        (panels["b"], "SELU, alpha-dropout 0.2", fs.AlphaDropout(0.2), GREEN),
        (panels["c"], "SELU, ordinary dropout 0.2", fs.Dropout(0.2), RED),
    ):
        y = dropped(layer)
        shares = np.histogram(y, edges)[0] / len(y)
        axes.stairs(100 * shares, edges, fill=True, color=color, alpha=0.75)
        mean, variance = y.mean(dtype=np.float64), y.var(dtype=np.float64)
        text = f"{name}\nmean {mean:.2f}, variance {variance:.2f}".replace("-0.00", "0.00")
        axes.text(0.99, 0.95, text, transform=axes.transAxes, ha="right", va="top")
        axes.axvline(0, color=SOFT, lw=0.7, zorder=0)
        axes.set(xlim=(edges[0], edges[-1]), ylim=(0.02, 40), yscale="log", yticks=[0.1, 1, 10])
        axes.set_yticks([], minor=True)
        axes.yaxis.set_major_formatter("{x:g} %")
    panels["b"].set_ylabel("share of the outputs (bins of 0.05)")
    panels["c"].set_xlabel("output of a unit")
    return drawn


def draw_depth() -> Any:
    """Variances over layers with both dropouts; agreement of two masks over layers."""
    drawn, panels = figure(5.6, 5.6, [["a"], ["b"]])
    layers = np.arange(1, LAYERS + 1)
    axes = panels["a"]
    axes.axhspan(*theory.THEOREM1.variance, color=GREEN, alpha=0.16, lw=0)
    for rate, style in zip(RATES, ("-", "--", ":"), strict=True):
        axes.plot(layers, variances(fs.AlphaDropout(rate)), style, color=BLUE)
        axes.plot(layers, variances(fs.Dropout(rate)), style, color=RED)
        axes.plot([], [], style, color=SOFT, label=f"rate {rate:g}")
    axes.text(31.5, 0.94, "alpha-dropout", color=BLUE, ha="right", va="top")
    axes.text(31.5, 2.55, "ordinary dropout", color=RED, ha="right")
    axes.text(31.5, 0.76, "band: domain of theorem 1", color=GREEN, ha="right", va="top")
    axes.legend(loc="upper left", ncols=3)
    axes.set(ylabel="variance", ylim=(0.6, 3.2), xlim=(1, LAYERS), xticks=[1, *range(8, 33, 8)])
    axes = panels["b"]
    for rate, color in ((0.005, SOFT), (0.0156, GREEN), (0.05, BLUE), (0.1, RED)):
        course = agreement(rate)
        axes.plot(layers, course, ".-", color=color, ms=4, label=f"rate {rate:g}")
    axes.legend(loc="upper right", ncols=2)
    axes.set(ylabel="correlation of two masks", xlabel="layer", ylim=(0, 1.02), xlim=(1, LAYERS),
             xticks=[1, *range(8, 33, 8)])  # fmt: skip
    return drawn


PICTURES: dict[str, Callable[[], Any]] = {
    "selu": draw_selu, "activations": draw_activations, "moments": draw_moments,
    "dropout": draw_dropout, "dropout-depth": draw_depth,
}  # fmt: skip


def main() -> None:
    """Write all pictures and drawings."""
    STATIC.mkdir(exist_ok=True)
    for name, draw in PICTURES.items():
        title = (draw.__doc__ or name).strip().rstrip(".")
        save(name, draw(), title)
    drawings.write()


if __name__ == "__main__":
    main()
