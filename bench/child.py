"""A measurement in a process of its own: nothing it imports or allocates disturbs another one."""

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
    """What `python -m MODULE` prints as its last line, a JSON object, for `request` on stdin.

    Raises RuntimeError with the end of its stderr where it fails.
    """
    environment = os.environ | dict.fromkeys(THREAD_SETTINGS, str(threads))
    here = str(Path(fastsnn.__file__).parents[1])  # a bare checkout is on nobody's path
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-m", module],
        input=json.dumps(request), env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        reason = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise RuntimeError(f"{module} {request}: exit code {done.returncode}: {reason}")
    return json.loads(lines[-1])


def request() -> dict:
    """In the child: what was asked for."""
    return json.load(sys.stdin)


def answer(result: dict) -> None:
    """In the child: the last line."""
    print(json.dumps(result), flush=True)


def peak_memory_mib() -> float:
    """Largest resident memory of this process so far.

    Not ru_maxrss: Linux hands that of the parent on to its children.
    """
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) / 1024
