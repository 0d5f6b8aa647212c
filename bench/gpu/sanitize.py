"""A few steps of small networks under NVIDIA's compute-sanitizer.

memcheck reports accesses outside of arrays, racecheck reports missing barriers. `python -m
fastsnn.bench.gpu.sanitize MODE ...` is the program that runs under it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys

from . import networks, runner

PROGRAM, TOOLS = "compute-sanitizer", ("memcheck", "racecheck")
FOUND = 9  # exit code if it reports an error
DONE = "sanitize: all steps made"
SHAPES = ((3, 40, 70, 33, 10), (2, 200, 130, 12, 10), (2, 9, 11, 5, 3))


def work(modes, tiny=False) -> None:
    from ...kernels.cuda import device

    device.recording = False  # so that reports name the kernel
    for mode in modes:
        for shape in networks.TINY if tiny else SHAPES:
            made = networks.trainer(networks.plain(shape), "cuda", mode)
            made.step(*networks.rows(shape[2], shape[3], shape[4]))
        for loss in ("softmax_cross_entropy", "sigmoid_cross_entropy", "mse"):
            made = networks.trainer(networks.everything(tiny), "cuda", mode, loss=loss)
            x, y = networks.rows(11 if tiny else 45, networks.INPUTS, networks.OUTPUTS, loss)
            made.step(x, y)
            made.network.forward(x)
    print(DONE, flush=True)


def run(tool: str, modes, seconds: float) -> dict:
    """Return its report: {"summary"}, {"left_out": reason}, or {"error": message}."""
    program = shutil.which(PROGRAM)
    if program is None:
        return {"left_out": f"{PROGRAM} is not installed"}
    command = [
        program, "--tool", tool, "--error-exitcode", str(FOUND), "--print-limit", "20",
        sys.executable, "-m", "fastsnn.bench.gpu.sanitize", *modes,
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, check=False,
            env=runner.environment(),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"error": f"{tool} took more than {seconds:.0f} s"}
    lines = [line for line in done.stdout.splitlines() if line.startswith("=========")]
    summary = next((line for line in lines[::-1] if "SUMMARY" in line), "").lstrip("= ")
    if done.returncode or DONE not in done.stdout or not summary:
        output = " ".join([*lines[:12], *done.stderr.split()[-40:]])
        return {"error": f"{tool}: exit code {done.returncode}: {summary} {output}"[:1500]}
    return {"summary": summary}


if __name__ == "__main__":
    work(sys.argv[1:])
