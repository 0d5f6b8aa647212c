"""`info`: versions, processor, threads and caches of this machine."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding
import numba
import numpy as np

from fastsnn.data.download import cache_folder
from fastsnn.engine import cpu, device, threads
from fastsnn.kernels import jit
from fastsnn.kernels.cpu import caches, shape
from fastsnn.version import __version__

FEATURES = ("sse4.2", "avx", "avx2", "fma", "avx512f", "avx512bf16", "neon", "sve")


def info() -> dict[str, Any]:
    """Return a dict ready for JSON, which `fastsnn info` prints: versions, processor, vector width
    in float32 lanes, threads, CUDA devices, folders and sizes (bytes) of the caches, and True if
    the kernels of training are in the cache, for `threads` and for one thread.
    """
    n_threads = threads.available()
    folder = jit.CACHE_FOLDER
    features = shape.host_features()
    return {
        "fastsnn": __version__,
        "python": platform.python_version(),
        "numba": numba.__version__,
        "llvmlite": llvmlite.__version__,
        "numpy": np.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_name(),
        "cpu_target": llvmlite.binding.get_host_cpu_name(),
        "cpu_features": [name for name in FEATURES if name in features],
        "vector_width": shape.LANES,
        "panel_samples": shape.PANEL,
        "tile_rows": shape.ROWS,
        "threads": n_threads,
        "threading_layer": _threading_layer(n_threads),
        "cuda": device.describe(),
        "kernel_cache": None if folder is None else str(folder),
        "kernel_cache_bytes": _size(folder),
        "kernels_compiled": cpu.compiled(n_threads),
        "kernels_compiled_1_thread": cpu.compiled(1),
        "data_cache": str(cache_folder()),
        "data_cache_bytes": _size(cache_folder() / "mnist"),
        "FASTSNN_DATA": os.environ.get("FASTSNN_DATA"),
    }


def cache_bytes() -> tuple[int, int]:
    """Return the sizes in bytes of the first- and second-level data caches of one core."""
    first, second = caches.cache_bytes()
    return first, second


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:  # no such file on this system
        pass
    return platform.processor() or platform.machine()


def _threading_layer(n_threads: int) -> str:
    threads.region(n_threads)  # numba chooses its layer at the first use
    layer: str = numba.threading_layer()  # type: ignore[attr-defined]  # by no __all__
    return layer


def _size(folder: Path | None) -> int | None:
    """Return the bytes of all files in a folder; None if it cannot be read."""
    if folder is None:
        return 0
    try:
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    except OSError:  # or another process has just removed a file
        return None
