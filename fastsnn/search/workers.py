"""Run trials concurrently in threads of this process, or on a Dask cluster."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

from fastsnn.checks.scalars import integer
from fastsnn.engine import threads as processors

LOCAL, MOST_WORKERS = "local", 100_000
CONNECT_S = 10.0  # timeout of the connection to a scheduler, seconds
Report = Callable[[float], None]  # called with the completed fraction of a training run, in [0, 1]
TrialFunction = Callable[[dict[str, Any], Report], Mapping[str, Any]]
Attempt = tuple[Mapping[str, Any], str | None, float]  # figures, error if it diverged, seconds


class Stopped(BaseException):
    """Raised inside a trial whose search was interrupted.

    It is a BaseException, so that a trial that catches Exception does not catch it.
    """


class LocalReport:
    """`report` callback of a trial in this process. Raises Stopped if the search is interrupted."""

    def __init__(self, stop: threading.Event) -> None:
        self.fraction, self._stop = 0.0, stop

    def __call__(self, fraction: float) -> None:
        if self._stop.is_set():
            raise Stopped
        self.fraction = min(max(float(fraction), 0.0), 1.0)


class RemoteReport:
    """`report` callback of a trial in another process; it does nothing."""

    fraction = 0.0

    def __call__(self, fraction: float) -> None:
        pass


def attempt(trial: TrialFunction, options: dict[str, Any], report: Report) -> Attempt:
    """Run a trial and return (figures, message if it diverged or None, seconds)."""
    start = time.perf_counter()
    try:
        figures = trial(dict(options), report)
    except FloatingPointError as error:
        return {}, str(error) or "diverged", time.perf_counter() - start
    return figures, None, time.perf_counter() - start


class Crew:
    """Executor of trials.

    Attributes
    ----------
    most : int
        Number of trials that run concurrently.
    queued : int
        Number of trials that may be submitted, running or waiting. It is larger than `most`, so
        that no worker waits for this process.
    local : bool
        True if the trials run on this machine.
    """

    def __init__(
        self,
        trial: TrialFunction,
        executor: Executor,
        most: int,
        report: Callable[[], LocalReport | RemoteReport],
        local: bool,
    ) -> None:
        self.trial, self.executor, self.report = trial, executor, report
        self.most, self.queued, self.local = most, 2 * most, local

    def submit(self, options: dict[str, Any], report: Report) -> Future[Attempt]:
        """Submit a trial and return its future."""
        return self.executor.submit(attempt, self.trial, options, report)


@contextmanager
def workers_of(trial: TrialFunction, workers: int | None, dask: Any) -> Iterator[Crew]:
    """Start the crew of a search; no thread or process of it remains after the ``with`` block.

    Raises TypeError or ValueError for an invalid `workers`, RuntimeError if Dask is not installed
    or no scheduler or worker answers.
    """
    if workers is not None:
        workers = integer(workers, "workers", None, MOST_WORKERS)
        if workers < 1:
            raise ValueError(f"workers: at least 1 is required, got {workers}")
    with _local(trial, workers) if dask is None else _remote(trial, workers, dask) as crew:
        yield crew


@contextmanager
def _local(trial: TrialFunction, workers: int | None) -> Iterator[Crew]:
    # Threads, because kernels release the interpreter lock, and share a single copy of the data.
    most = workers or processors.available()
    stop = threading.Event()
    executor = ThreadPoolExecutor(most, "trial")
    try:
        yield Crew(trial, executor, most, lambda: LocalReport(stop), local=True)
    finally:
        stop.set()
        executor.shutdown(cancel_futures=True)


@contextmanager
def _remote(trial: TrialFunction, workers: int | None, dask: Any) -> Iterator[Crew]:
    try:
        import distributed
    except ImportError as error:
        raise RuntimeError(
            "dask: distributed is required, and it is not installed; "
            "pip install '.[dask]', here and for the workers"
        ) from error
    here = dask == LOCAL
    with ExitStack() as own:
        if not isinstance(dask, distributed.Client):
            dask = _client(own, workers, dask)
        executor = dask.get_executor(pure=False)
        own.callback(executor.shutdown, wait=False)
        most = workers or sum(dask.nthreads().values())
        if not most:
            raise RuntimeError(
                f"dask {dask.scheduler.address}: at least one worker is required, got none; "
                f"start some with: dask worker {dask.scheduler.address}"
            )
        yield Crew(trial, executor, most, RemoteReport, here)


def _client(own: ExitStack, workers: int | None, dask: str | None) -> Any:
    """Return a client of a scheduler, or of a cluster of local processes, closed with `own`."""
    import distributed

    if dask == LOCAL:
        dask = own.enter_context(
            distributed.LocalCluster(
                n_workers=workers or processors.available(), threads_per_worker=1, processes=True,
                dashboard_address=":0", host="127.0.0.1", silence_logs=logging.CRITICAL,
            )
        )  # fmt: skip
    try:
        client = distributed.Client(dask, set_as_default=False, timeout=CONNECT_S)
    except (OSError, ValueError) as error:
        raise RuntimeError(
            f"dask {dask}: no scheduler answered ({error}); start one with: dask scheduler"
        ) from error
    return own.enter_context(client)
