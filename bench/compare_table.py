"""Tables of `fastsnn compare`."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from fastsnn.runs.console import is_terminal, table

from .case import Case

NAMES = {"fastsnn": "fastsnn", "torch": "PyTorch", "torch-compile": "PyTorch, compiled"}
MOST_ROWS = 24  # of losses; the JSON file has all of them
Row = tuple[str, ...]


def show(result: dict[str, Any], stream: TextIO | None = None) -> None:
    """Print the result of `compare` as tables, followed by the verdict."""
    stream = stream or sys.stdout
    machine = result["machine"]
    shown = {name: result[name] for name in ("case", "optimizer", "learning_rate", "threads")}
    versions = machine["versions"]
    shown |= {"versions": f"fastsnn {versions['fastsnn']}, PyTorch {versions['torch']}"}
    table(shown | {"reference": result["reference"], "processor": machine["cpu"]}, stream)
    for title, header, rows in (
        _losses(result), _differences(result), _moments(result), _speed(result),
    ):  # fmt: skip
        _columns(title, header, rows, stream)
    for line in (*_other_side(result), result["verdict"]):
        print(f"\n{line}", file=stream)


def dropout(result: dict[str, Any]) -> str:
    return "After alpha-dropout" if Case.parse(result["case"]).rate else "After SELU, no dropout"


def _losses(result):
    rows = [
        (
            str(s["step"]), f"{s['fastsnn']:.6f}", f"{s['torch']:.6f}", _small(s["relative"]),
            _small(s["relative_of_torch_float32"]),
        )
        for s in result["losses"]
    ]  # fmt: skip
    if len(rows) > MOST_ROWS:
        half = MOST_ROWS // 2
        rows = [*rows[:half], ("...",) * 5, *rows[-half:]]
    return (
        "Loss before each update, relative difference, and that of PyTorch in float32",
        ("step", "fastsnn", "PyTorch", "relative", "float32"),
        rows,
    )


def _differences(result):
    rows = []
    for layer in result["layers"]:
        h = layer["activations"]
        g = max(layer["weight_gradients"], layer["bias_gradients"], key=lambda d: d["relative"])
        numbers = [d[n] for d in (h, g) for n in ("largest", "relative")]
        single = [d["relative_of_torch_float32"] for d in (h, g)]
        numbers = [*numbers[:2], single[0], *numbers[2:], single[1]]
        rows.append((str(layer["layer"]), *map(_small, numbers)))
    return (
        "Largest differences in the first step: absolute, relative to the tensor's largest "
        "magnitude,\nand the relative one of PyTorch in float32; output: without dropout",
        ("layer", "activations", "relative", "float32", "gradients", "relative", "float32"),
        rows,
    )


def _moments(result):
    rows = []
    for layer in result["layers"][:-1]:
        both = [layer[f"after_dropout_{system}"] for system in ("fastsnn", "torch")]
        numbers = [m[name] for name in ("mean", "variance") for m in both]
        rows.append((str(layer["layer"]), *(f"{v:.4f}" for v in numbers)))
    return (
        f"{dropout(result)}, with starting weights; PyTorch with its own generator",
        ("layer", "mean: fastsnn", "PyTorch", "variance: fastsnn", "PyTorch"),
        rows,
    )


def _speed(result):
    rows = [
        (
            NAMES[system], *(f"{1e3 * s[n]:.3f}" for n in ("median_s", "p10_s", "p90_s")),
            str(s["calls"]), f"{s['peak_memory_mib']:.0f}",
        )
        for system, s in result["systems"].items()
    ]  # fmt: skip
    return (
        "Time of a step, and largest memory of the process",
        ("system", "median ms", "p10 ms", "p90 ms", "steps", "memory MiB"),
        rows,
    )


def _other_side(result):
    """Return a line on slopes of SELU that differ because the input is nearly 0."""
    count = {"fastsnn": 0, "torch_float32": 0}
    places = []
    for layer in result["layers"][:-1]:
        found = layer["other_side_of_0"]
        count = {name: n + found[name] for name, n in count.items()}
        if any(found.values()):
            places.append(str(layer["layer"]))
    if places:
        yield (
            "inputs of SELU that are on the other side of 0 than in float64, where its slope "
            f"jumps:\nfastsnn {count['fastsnn']}, PyTorch's float32 {count['torch_float32']} "
            f"(layer {', '.join(places)}); gradients of these layers and of those before differ"
        )


def _small(value: float) -> str:
    return f"{value:.1e}"


def _columns(title: str, header: Row, rows: list[Row], stream: TextIO) -> None:
    print(f"\n{title}", file=stream)
    if not is_terminal(stream):
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        for row in (header, *rows):
            cells = [f"{c:>{w}}" if i else f"{c:{w}}" for i, (c, w) in enumerate(
                zip(row, widths, strict=True))]  # fmt: skip
            print("  ".join(cells), file=stream)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(header):
        shown.add_column(name, justify="right" if i else "left")
    for row in rows:
        shown.add_row(*row)
    Console(file=stream, highlight=False).print(shown)
