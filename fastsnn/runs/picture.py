"""Pictures as files; matplotlib is imported where it is used."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastsnn.storage import files

DOTS_PER_INCH = 150


def canvas(width: float, height: float) -> tuple[Any, Any]:
    """(figure, axes) of matplotlib, of this size in inches, for files alone."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")


def save(figure: Any, path: Path, machine: Mapping[str, Any]) -> None:
    """Write the figure, with the machine and the date below it, in the format that the name of the
    file ends in; the file is replaced whole or not at all. machine: see `fastsnn.machine.describe`.
    """
    from matplotlib import pyplot

    where = f"{machine['cpu']}, {machine['processors']} processors, {machine['date']}"
    figure.supxlabel(where, fontsize=7, color="gray", x=0.99, ha="right")
    content = io.BytesIO()
    figure.savefig(content, format=Path(path).suffix[1:], dpi=DOTS_PER_INCH)
    pyplot.close(figure)
    files.replace(path, content.getvalue())
