"""Measurements in separate processes: imports and allocations of one do not affect another."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import fastsnn

THREAD_SETTINGS = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS",
)  # fmt: skip


def run(module: str, request: dict, threads: int) -> dict:
    """Run `python -m MODULE` with `request` on stdin; return the JSON object of its last line.

    Raises RuntimeError with the end of its stderr if it fails.
    """
    environment = os.environ | dict.fromkeys(THREAD_SETTINGS, str(threads))
    here = str(Path(fastsnn.__file__).parents[1])  # a bare checkout is not on the path
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-m", module],
        input=json.dumps(request), env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise RuntimeError(f"{module} {request}: exit code {done.returncode}: {reason}")
    return json.loads(lines[-1])


def request() -> dict:
    """Return the request; for the child process."""
    return json.load(sys.stdin)


def answer(result: dict) -> None:
    """Print the result as the last line; for the child process."""
    print(json.dumps(result), flush=True)


def peak_memory_mib() -> float:
    """Return the peak resident memory of this process in MiB.

    ru_maxrss is not used: on Linux a child inherits the figure of its parent.
    """
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) / 1024
