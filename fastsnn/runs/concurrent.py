"""Training runs in threads of this process, and their end if one fails.

Kernels release the interpreter lock, so threads suffice, and share a single copy of the data.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Executor, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from typing import TypeVar

Report = Callable[[float], None]  # called with the completed fraction of a training run, in [0, 1]
T = TypeVar("T")


class Stopped(BaseException):
    """Raised inside a training that was interrupted.

    It is a BaseException, so that a training that catches Exception does not catch it.
    """


class LocalReport:
    """`report` callback of a training in this process. Raises Stopped if it is interrupted."""

    def __init__(self, stop: threading.Event) -> None:
        self.fraction, self._stop = 0.0, stop

    def __call__(self, fraction: float) -> None:
        if self._stop.is_set():
            raise Stopped
        self.fraction = min(max(float(fraction), 0.0), 1.0)


@contextmanager
def thread_pool(most: int, name: str) -> Iterator[tuple[Executor, Callable[[], LocalReport]]]:
    """Start an executor of `most` threads, and yield it with a function that makes the `report`
    callback of a training.

    At the end of the ``with`` block, waiting training runs are cancelled, running ones are stopped
    at their next report, and no thread remains.
    """
    stop = threading.Event()
    executor = ThreadPoolExecutor(most, name)
    try:
        yield executor, lambda: LocalReport(stop)
    finally:
        stop.set()
        executor.shutdown(cancel_futures=True)


def run_all(jobs: Sequence[Callable[[Report], T]], most: int, name: str) -> list[T]:
    """Call each job with a `report` callback, up to `most` of them concurrently, and return their
    results in the order of the jobs.

    With ``most=1`` they run in the calling thread. The first exception, and KeyboardInterrupt, end
    the others: they raise Stopped when they call `report`. Jobs run in a copy of the caller's
    context, so that `numpy.errstate` applies to them.
    """
    if most == 1:
        report = LocalReport(threading.Event())
        return [job(report) for job in jobs]
    with thread_pool(most, name) as (executor, new_report):
        futures = [executor.submit(copy_context().run, job, new_report()) for job in jobs]
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        # If several have failed, the first in the order of the jobs.
        return [f.result() for f in sorted(futures, key=lambda future: future not in done)]
