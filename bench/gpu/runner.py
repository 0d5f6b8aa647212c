"""Many small tasks in a separate process, with results one by one.

Results are kept when the process dies, hangs or runs out of time. A worker is a module that calls
`serve(perform)`. A task that fails ends its process, since after some errors a GPU accepts no
further work; the next process continues with the next task.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import fastsnn

from .. import child

Task = list[str]
FAILED = 3  # exit code of a worker after a task that failed


def serve(perform: Callable[[Task, dict], dict]) -> None:
    """Call `perform(task, request)` for each task of the request on stdin; for the worker."""
    request = child.request()
    for task in request["tasks"]:
        print(json.dumps({"begins": task}), flush=True)
        try:
            result = perform(task, request)
        except Exception as error:
            message = " ".join(str(error).split())
            child.answer({"error": f"{type(error).__name__}: {message}"[:500]})
            sys.exit(FAILED)
        child.answer(result)


def environment() -> dict[str, str]:
    here = str(Path(fastsnn.__file__).parents[1])  # a bare checkout is on nobody's path
    path = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": path}


def run(
    module: str, tasks: list[Task], request: dict, keep: Callable[[Task, dict], None],
    until: float = float("inf"), most: float = 300.0,
) -> None:  # fmt: skip
    """Call `keep(task, result)` for each task as its result arrives, {"error": message} if it
    failed.

    until: deadline, as `time.monotonic()`; tasks that are not finished then are left out. most:
    seconds of one task.
    """
    left = list(tasks)
    while left and time.monotonic() < until:
        before = len(left)
        message = _one_process(module, left, request, keep, until, most)
        if len(left) == before and time.monotonic() < until:  # it died before its first task
            keep(left.pop(0), {"error": f"{module} did not start: {message}"})


def _one_process(module, left, request, keep, until, most):
    """Return the end of its stderr if it ended by itself."""
    command = [sys.executable, "-m", module]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment(),
    )  # fmt: skip
    lines, errors = queue.Queue(), []

    def read():
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    threads = [
        threading.Thread(target=read),
        threading.Thread(target=lambda: errors.extend(process.stderr)),
    ]
    for thread in threads:
        thread.start()
    try:
        with process.stdin:
            process.stdin.write(json.dumps(request | {"tasks": left}))
    except BrokenPipeError:  # it has already ended; its output says why
        pass
    running, limit = None, time.monotonic() + most
    try:
        while True:
            try:
                line = lines.get(timeout=max(0.0, min(until, limit) - time.monotonic()))
            except queue.Empty:
                if running is not None and limit < until:
                    keep(left.pop(0), {"error": f"took more than {most:.0f} s"})
                return ""
            if line is None:
                process.wait()
                threads[1].join()
                message = " ".join(" ".join(errors).split()[-40:]) or "no output"
                if running is not None:
                    keep(left.pop(0), {"error": f"died, exit code {process.returncode}: {message}"})
                return message
            try:
                said = json.loads(line)
            except ValueError:  # output of a library
                continue
            limit = time.monotonic() + most
            if "begins" in said:
                running = said["begins"]
            elif running is not None:
                keep(left.pop(0), said)
                running = None
    finally:
        process.kill()
        for thread in threads:
            thread.join()
        process.stdout.close(), process.stderr.close()
        process.wait()
