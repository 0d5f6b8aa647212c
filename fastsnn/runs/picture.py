"""Plots as files. matplotlib is imported by the functions that use it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastsnn.storage import files

DOTS_PER_INCH = 150


def canvas(width: float, height: float) -> tuple[Any, Any]:
    """Return a matplotlib (figure, axes) of this size in inches, without a window."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")


def save(figure: Any, path: Path, machine: Mapping[str, Any]) -> None:
    """Write the figure atomically, with machine and date below it; the suffix sets the format.

    machine: see `fastsnn.machine.describe`.
    """
    from matplotlib import pyplot

    where = f"{machine['cpu']}, {machine['processors']} processors, {machine['date']}"
    figure.supxlabel(where, fontsize=7, color="gray", x=0.99, ha="right")
    content = io.BytesIO()
    figure.savefig(content, format=Path(path).suffix[1:], dpi=DOTS_PER_INCH)
    pyplot.close(figure)
    files.replace(path, content.getvalue())
