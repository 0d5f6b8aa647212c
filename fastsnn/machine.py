"""Description of the machine, to be stored with measurements."""

from __future__ import annotations

import datetime
import importlib.metadata
import sys
from typing import Any

from fastsnn.info import cache_bytes, info

PEERS = ("torch", "jax", "jaxlib", "onnxruntime")


def describe(command: list[str] | None = None) -> dict[str, Any]:
    """Return processor, versions, date and command as a dict ready for JSON, without local paths.

    command: arguments of `fastsnn`; default: those of this process.
    """
    known = info()
    first, second = cache_bytes()
    versions = {name: known[name] for name in ("fastsnn", "python", "numba", "llvmlite", "numpy")}
    for name in PEERS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # not part of this installation
            continue
    return {
        "cpu": known["cpu"],
        "cpu_target": known["cpu_target"],
        "vector_lanes": known["vector_width"],
        "processors": known["threads"],
        "threading_layer": known["threading_layer"],
        "l1_bytes": first,
        "l2_bytes": second,
        "versions": versions,
        "date": datetime.date.today().isoformat(),
        "command": " ".join(["fastsnn", *(sys.argv[1:] if command is None else command)]),
    }
