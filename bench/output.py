"""Output of a benchmark: paths, checked before anything is measured; progress, tables, JSON."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from pathlib import Path
from typing import Any

import click

PICTURES = (".png", ".svg", ".pdf")


def require(json_path: str | None = None, plot_path: str | None = None) -> None:
    """Raise RuntimeError if a file cannot be written, ValueError for a figure of unknown format."""
    if plot_path is not None:
        if Path(plot_path).suffix not in PICTURES:
            raise ValueError(f"--plot {plot_path}: a name that ends in {', '.join(PICTURES)}")
        if importlib.util.find_spec("matplotlib") is None:
            raise RuntimeError(
                "--plot needs matplotlib, which is not installed; pip install '.[plot]'"
            )
    for option, path in (("--json", json_path), ("--plot", plot_path)):
        if path is not None:
            _require_writable(option, Path(path))


def _require_writable(option, path):
    reason = "it is a folder" if path.is_dir() else None
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
    if reason:
        raise RuntimeError(f"{option} {path}: it cannot be written ({reason}); choose another file")


def report(line: str) -> None:
    """Print what is measured, on stderr."""
    click.echo(f"measuring {line}", err=True)


def end(
    result: dict[str, Any], json_path: str | None, text: str, versions: dict[str, str] | None = None
) -> dict[str, Any]:
    """Print the tables, write the JSON file if requested, and return the machine's description.

    versions: of further packages, added to those of the machine.
    """
    from fastsnn import machine
    from fastsnn.storage import files

    described = machine.describe()
    described["versions"] |= versions or {}
    click.echo(text)
    if json_path:
        content = json.dumps({"machine": described, **result}, indent=1)
        files.replace(json_path, f"{content}\n".encode())
    return described
