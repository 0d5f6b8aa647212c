"""Draw the schemes of the page "How a step runs" as SVG, without further packages.

A drawing has two sets of colors. It follows the color scheme of the page or system that shows it.
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

STATIC = Path(__file__).parent / "_static"

# Name: color on a light page, color on a dark one.
COLORS = {
    "ink": ("#1f2329", "#e4e7eb"),
    "soft": ("#868e99", "#8b949f"),
    "blue": ("#1f6fb3", "#6bb3f0"),
    "red": ("#c1440f", "#ff8f63"),
    "green": ("#2e7d33", "#7ccf81"),
    "violet": ("#7a4fb6", "#bda1f0"),
}


def style() -> str:
    """Return the CSS that defines a variable for each color."""
    light, dark = ("".join(f"--{name}:{pair[i]};" for name, pair in COLORS.items()) for i in (0, 1))
    return f":root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}"


class Drawing:
    """An SVG of the given size in CSS pixels; the methods add shapes, in units of pixels."""

    def __init__(self, width: int, height: int, title: str):
        self.size, self.title = (width, height), title
        self.parts: list[str] = []

    def text(
        self, x: float, y: float, text: str, color: str = "ink", anchor: str = "middle",
        size: float = 15, more: str = "",
    ) -> None:  # fmt: skip
        """Add a line of text; (x, y) is the anchor on its baseline."""
        self.parts.append(
            f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-size="{size:g}" '
            f'style="fill:var(--{color})" {more}>{escape(text)}</text>'
        )

    def box(
        self, x: float, y: float, w: float, h: float, color: str = "soft", text: str = "",
        fill: float = 0.16, line: float = 1.2, round_: float = 4, size: float = 15,
        text_color: str = "ink",
    ) -> None:  # fmt: skip
        """Add a rectangle with a tinted inside (`fill`: its opacity) and lines of text in it."""
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="{round_:g}" '
            f'style="fill:var(--{color});fill-opacity:{fill:g};stroke:var(--{color});'
            f'stroke-width:{line:g}"/>'
        )
        lines = text.split("\n") if text else []
        top = y + h / 2 - (len(lines) - 1) * (size + 3) / 2 + size * 0.35
        for i, words in enumerate(lines):
            self.text(x + w / 2, top + i * (size + 3), words, text_color, size=size)

    def line(
        self, *points: tuple[float, float], color: str = "soft", width: float = 1.4,
        dash: str = "", arrow: bool = False,
    ) -> None:  # fmt: skip
        """Add a line through the points, with an arrow at its end if `arrow`."""
        where = " ".join(f"{x:g},{y:g}" for x, y in points)
        dashed = f";stroke-dasharray:{dash}" if dash else ""
        self.parts.append(
            f'<polyline points="{where}" style="fill:none;stroke:var(--{color});'
            f'stroke-width:{width:g}{dashed}"/>'
        )
        if arrow:
            (x0, y0), (x, y) = points[-2:]
            length = ((x - x0) ** 2 + (y - y0) ** 2) ** 0.5
            dx, dy = (x - x0) / length * 8, (y - y0) / length * 8
            corners = (x, y), (x - dx - dy / 2, y - dy + dx / 2), (x - dx + dy / 2, y - dy - dx / 2)
            shape = " ".join(f"{a:.1f},{b:.1f}" for a, b in corners)
            self.parts.append(f'<polygon points="{shape}" style="fill:var(--{color})"/>')

    def grid(
        self, x: float, y: float, columns: int, rows: int, cell: float, color: str = "soft",
        fill: float = 0.0,
    ) -> None:  # fmt: skip
        """Add a grid of square cells."""
        w, h = columns * cell, rows * cell
        self.box(x, y, w, h, color, fill=fill, line=1.4, round_=0)
        inner = [f"M{x + i * cell:g} {y:g}v{h:g}" for i in range(1, columns)]
        inner += [f"M{x:g} {y + i * cell:g}h{w:g}" for i in range(1, rows)]
        self.parts.append(
            f'<path d="{"".join(inner)}" '
            f'style="fill:none;stroke:var(--{color});stroke-width:0.6;stroke-opacity:0.7"/>'
        )

    def svg(self) -> str:
        w, h = self.size
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" '
            f'viewBox="0 0 {w} {h}" role="img" '
            'font-family="system-ui,-apple-system,\'Segoe UI\',Roboto,\'DejaVu Sans\',sans-serif">',
            f"<title>{escape(self.title)}</title>", f"<style>{style()}</style>", *self.parts,
            "</svg>", "",
        ])  # fmt: skip


W = 540  # of all drawings: text stays legible on a phone


def layers() -> Drawing:
    """Layers, nodes, the program, kernels."""
    d = Drawing(W, 432, "From layers to kernels")
    left = 8
    d.text(left, 22, "Layers: what you write", anchor="start")
    names = [("Dense", 62), ("SELU", 56), ("AlphaDropout", 112)]
    x, spans = left, []
    for _ in range(2):
        start = x
        for name, w in names if len(spans) == 0 else [("Dense", 62), ("SELU", 56)]:
            d.box(x, 34, w, 32, "blue", name)
            x += w + 5
        spans.append((start, x - 5))
    d.text(x + 14, 55, "…")
    x += 30
    d.box(x, 34, 66, 32, "blue", "Dense")
    spans.append((x, x + 66))

    d.text(left, 112, "Graph: fused nodes", anchor="start")
    for i, (a, b) in enumerate(spans):
        d.line((b - 33, 70), (b - 33, 122), arrow=True)
        d.box(a, 124, b - a, 32, "violet", f"node {i}" if i < 2 else "node L")

    d.text(left, 202, "Plan: the program, a row of integers per node", anchor="start")
    d.line((364, 160), (364, 212), arrow=True)
    heads = ["op", "fan_in", "fan_out", "w_at", "h_at", "activation", "site", "…"]
    rows = [
        ["dense", "784", "256", "0", "…", "selu", "0", "…"],
        ["dense", "256", "256", "200,960", "…", "selu", "–", "…"],
        ["dense", "256", "10", "…", "…", "none", "–", "…"],
    ]
    edges = [0, 58, 118, 184, 256, 306, 394, 438, 524]
    d.box(left, 214, edges[-1], 4 * 27 + 4, "soft", fill=0.07)
    for r, cells in enumerate([heads, *rows]):
        for c, cell in enumerate(cells):
            middle = left + (edges[c] + edges[c + 1]) / 2
            d.text(middle, 234 + 27 * r, cell, "ink" if r else "violet", size=14)
    d.text(left, 364, "Kernels: compiled once, read the program", anchor="start")
    d.line((364, 328), (364, 374), arrow=True)
    for i, (name, what, color) in enumerate([
        ("run_forward", "rows", "blue"), ("run_backward", "rows", "red"),
        ("run_weights", "weights", "green"),
    ]):  # fmt: skip
        d.box(left + i * 177, 376, 168, 46, color, f"{name}\n{what}", size=14)
    return d


def _timeline(d: Drawing, y: float, label: str, spans: list[tuple[float, float, str, str]]) -> None:
    """One thread: a label, then boxes (start, end, color, text)."""
    d.text(8, y + 20, label, anchor="start", size=14)
    for start, end, color, text in spans:
        d.box(start, y, end - start, 28, color, text, size=14, fill=0.22, round_=3)


def _barrier(d: Drawing, x: float, top: float, bottom: float) -> None:
    d.line((x, top), (x, bottom), color="ink", width=2.5)


def regions() -> Drawing:
    """A step as two parallel regions, and operation by operation."""
    d = Drawing(W, 392, "One training step as two parallel regions, and operation by operation")
    left, end = 84, 532
    d.text(8, 20, "fastsnn: two regions", anchor="start")
    d.text((left + 364) / 2, 46, "region 1: rows", "soft", size=14)
    d.text((372 + end) / 2, 46, "region 2: weights", "soft", size=14)
    for t in range(4):
        _timeline(d, 56 + 34 * t, f"thread {t}", [
            (left, 208, "blue", "forward"), (208, 236, "violet", ""),
            (236, 360, "red", "backward"), (374, 524, "green", "gradient, update"),
        ])  # fmt: skip
    for x in (367, 531):
        _barrier(d, x, 52, 192)
    d.text(222, 214, "loss", "violet", size=14)
    d.text(367, 214, "barrier", size=14)

    d.text(8, 254, "Operation by operation", anchor="start")
    count, width = 15, (end - left) / 15
    for t in range(4):
        spans = []
        for i in range(count):
            color = "blue" if i < 6 else "violet" if i == 6 else "red" if i < 12 else "green"
            start = left + i * width
            spans.append((start, start + width - 8 - (t * 5 + i * 3) % 7, color, ""))
        _timeline(d, 266 + 26 * t, f"thread {t}", [])
        for start, stop, color, _ in spans:
            d.box(start, 269 + 26 * t, stop - start, 19, color, fill=0.22, round_=2)
    for i in range(1, count + 1):
        _barrier(d, left + i * width - 4, 264, 370)
    d.text((left + end) / 2, 388, "a barrier after every operation of every layer", size=14)
    return d


def panels() -> Drawing:
    """The forward product of one tile on panels."""
    d = Drawing(W, 364, "Activations in panels, and one tile of the forward product")
    cell = 11
    # weights
    d.text(72, 22, "W (units, fan_in)", size=14)
    d.grid(24, 34, 8, 14, cell)
    d.box(24, 34 + 4 * cell, 8 * cell, 6 * cell, "green", fill=0.3, round_=0)
    d.box(24 + 3 * cell, 34 + 4 * cell, cell, 6 * cell, "green", fill=0.7, round_=0)
    d.text(24 + 3.5 * cell, 34 + 14 * cell + 18, "k", size=14)
    d.text(14, 34 + 7 * cell + 5, "n", size=14)
    # inputs
    x = 146
    d.text(x + 8 * cell - 8, 22, "panel of inputs", size=14)
    for shift in (8, 4):
        d.box(x + shift, 34 - shift + 8, 16 * cell, 8 * cell, "soft", fill=0.05, round_=0)
    d.grid(x, 42, 16, 8, cell, fill=0.0)
    for i, color in enumerate(("blue", "violet")):
        d.box(x + i * 8 * cell, 42 + 3 * cell, 8 * cell, cell, color, fill=0.55, round_=0)
    d.text(x - 10, 42 + 3.5 * cell + 5, "k", size=14)
    d.text(x + 8 * cell, 42 + 8 * cell + 18, "S samples: two vectors", size=14)
    # outputs
    y = 182
    d.text(x + 8 * cell, y - 8, "panel of outputs", size=14)
    d.grid(x, y, 16, 12, cell)
    for i, color in enumerate(("blue", "violet")):
        d.box(x + i * 8 * cell, y + 3 * cell, 8 * cell, 6 * cell, color, fill=0.35, round_=0)
    d.text(x - 10, y + 6 * cell + 5, "n", size=14)
    d.text(x + 8 * cell, y + 12 * cell + 18, "tile: sums stay in registers", size=14)
    # what is computed
    right = 342
    d.text(right, 92, "z[n, s] += w[n, k] · x[k, s]", anchor="start", size=14)
    d.text(right, 116, "one weight, broadcast,", "green", anchor="start", size=14)
    d.text(right, 136, "times one row of the panel", "blue", anchor="start", size=14)
    d.text(right, y + 52, "then, on the stored tile:", anchor="start", size=14)
    d.text(right, y + 74, "SELU,", anchor="start", size=14)
    d.text(right, y + 94, "alpha-dropout,", anchor="start", size=14)
    d.text(right, y + 114, "transposed copy", anchor="start", size=14)
    return d


def weights() -> Drawing:
    """One tile of the weight gradient."""
    d = Drawing(W, 262, "One tile of the weight gradient, with its update")
    cell = 12
    d.text(92, 22, "dz panels [unit][sample]", size=14)
    for i in range(2):
        d.grid(20 + i * 76, 38, 6, 8, cell)
        d.box(20 + i * 76, 38 + 2 * cell, 6 * cell, 3 * cell, "red", fill=0.4, round_=0)
    d.text(178, 38 + 4 * cell, "…")
    d.text(92, 38 + 8 * cell + 20, "all samples of the batch", size=14)
    d.text(284, 22, "inputs [sample][feature]", size=14)
    for i in range(2):
        d.grid(252, 38 + i * 52, 6, 4, cell)
        d.box(252, 38 + i * 52, 6 * cell, 4 * cell, "blue", fill=0.3, round_=0)
    d.text(288, 38 + 112, "⋮")
    d.line((192, 88), (244, 88), color="soft")
    d.line((330, 88), (372, 88), color="soft", arrow=True)
    d.text(440, 22, "tile of dW", size=14)
    d.grid(404, 66, 6, 3, cell)
    d.box(404, 66, 6 * cell, 3 * cell, "green", fill=0.45, round_=0)
    d.text(440, 124, "summed in registers", size=14)
    d.line((440, 132), (440, 166), arrow=True)
    d.box(366, 168, 150, 34, "green", "SGD, Adam, …", size=14)
    d.line((362, 185), (302, 185), arrow=True)
    d.box(150, 168, 148, 34, "violet", "weights, state", size=14)
    d.text(W / 2, 236, "no gradient array: the tile is updated", size=14)
    d.text(W / 2, 254, "while it is in the first-level cache", size=14)
    return d


def segments() -> Drawing:
    """Batch normalization cuts region 1 into segments."""
    d = Drawing(W, 236, "Batch normalization cuts region 1 into segments")
    left, end = 84, 532
    d.text(8, 20, "SELU: one segment", anchor="start")
    middle = (left + end) / 2
    for t in range(2):
        _timeline(d, 30 + 34 * t, f"thread {t}", [
            (left, middle - 14, "blue", "forward"), (middle - 14, middle + 14, "violet", ""),
            (middle + 14, end - 8, "red", "backward"),
        ])  # fmt: skip
    _barrier(d, end - 1, 26, 98)
    d.text(8, 132, "Two batch normalizations: eight segments", anchor="start")
    parts = ["D", "BN", "D", "BN", "D", "BN", "D", "BN"]
    sizes = [1, 0.8, 1, 0.8, 1.9, 0.8, 1, 0.8]
    scale = (end - left) / sum(sizes)
    for t in range(2):
        x = left
        for i, (part, size) in enumerate(zip(parts, sizes, strict=True)):
            color = "soft" if part == "BN" else "blue" if i < 4 else "red" if i > 4 else "violet"
            text = part if i != 4 else "D, loss, D"
            d.box(x, 142 + 34 * t, size * scale - 8, 28, color, text, size=14, fill=0.22, round_=3)
            x += size * scale
            if t == 0:
                _barrier(d, x - 4, 138, 210)
        d.text(8, 162 + 34 * t, f"thread {t}", anchor="start", size=14)
    d.text(W / 2, 230, "D: dense layers, by panels · BN: by units of the whole batch", size=14)
    return d


def gpu() -> Drawing:
    """The two schedules on a GPU."""
    d = Drawing(W, 330, "Two schedules on a GPU: narrow and wide")
    d.text(8, 20, "Narrow (up to 256 units): one launch for all rows", anchor="start")
    for i, name in enumerate(["samples 0 – 7", "samples 8 – 15", "samples 16 – 23"]):
        y = 32 + 34 * i
        d.text(8, y + 19, name, anchor="start", size=14)
        for j in range(4):
            d.box(136 + 42 * j, y, 36, 26, "blue", round_=3)
        d.box(136 + 168, y, 30, 26, "violet", round_=3)
        for j in range(4):
            d.box(136 + 204 + 42 * j, y, 36, 26, "red", round_=3)
    d.text(136 + 80, 148, "layers forward", "blue", size=14)
    d.text(136 + 183, 148, "loss", "violet", size=14)
    d.text(136 + 286, 148, "layers backward", "red", size=14)
    d.box(128, 28, 386, 100, "soft", fill=0.0)
    d.text(8, 192, "Wide: a launch per layer and direction", anchor="start")
    x = 8
    for i in range(9):
        color = "blue" if i < 4 else "violet" if i == 4 else "red"
        for r in range(3):
            for c in range(2):
                d.box(x + 5 + 17 * c, 210 + 17 * r, 14, 14, color, fill=0.3, round_=1, line=0.8)
        d.box(x, 204, 41, 60, "soft", fill=0.0)
        x += 49
    d.box(x, 204, 82, 60, "green", "weights,\nupdate", size=14)
    d.text(W / 2, 290, "each square: a tile of samples × units, one block of threads", size=14)
    d.text(W / 2, 312, "from the second step on: one CUDA graph", size=14)
    return d


DRAWINGS = {
    "step-layers": layers, "step-regions": regions, "step-panels": panels, "step-weights": weights,
    "step-segments": segments, "step-gpu": gpu,
}  # fmt: skip


def write() -> None:
    """Write all drawings into docs/_static/."""
    for name, draw in DRAWINGS.items():
        (STATIC / f"{name}.svg").write_text(draw().svg(), encoding="utf-8")
