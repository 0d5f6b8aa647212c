"""The number of threads of an estimator, and of each of its members, from its `n_jobs`."""

from __future__ import annotations

import joblib.parallel

from fastsnn.engine import threads as processors

# Multiply-adds of an update up to which one thread is used by default: about 0.1 ms on one core.
# The serial kernels make up to 64 updates per call; parallel ones need a call each, of about 50 us.
SERIAL_WORK = 4e6


def threads_of(n_jobs: int | None, work: float = float("inf")) -> int:
    """Return the number of CPU threads for `n_jobs`; it changes no bit of a result.

    None: all processors of this process, or one if `work`, the multiply-adds of an update or a
    prediction, is at most SERIAL_WORK. Negative: all but ``-1 - n_jobs``, as in joblib. In a worker
    of joblib it is 1: the other workers use the other processors. Raises ValueError for 0.
    """
    if n_jobs == 0:
        raise ValueError("n_jobs: a number other than 0 is required, got 0; None takes all")
    if in_worker() or (n_jobs is None and work <= SERIAL_WORK):
        return 1
    if n_jobs is None:
        return processors.resolve(None)
    if n_jobs < 0:
        return processors.resolve(max(1, processors.available() + 1 + n_jobs))
    return processors.resolve(n_jobs)


def threads_of_members(
    n_jobs: int | None, members: int, work: float, backend: str
) -> tuple[int, int]:
    """Return the number of members that train concurrently, and the threads of each of them.

    On a GPU they train one after another, since each can use all of it.
    """
    if members == 1:
        return 1, threads_of(n_jobs, work)
    threads = threads_of(n_jobs)
    most = 1 if backend == "cuda" else min(members, threads)
    return most, min(threads // most, threads_of(n_jobs, work))


def in_worker() -> bool:
    """Return True in a task of `joblib.Parallel` that may run concurrently with others.

    The level of nesting is 0 outside of `Parallel`, and with ``n_jobs=1``, which runs the tasks in
    the calling thread.
    """
    backend, _ = joblib.parallel.get_active_backend()
    return bool(backend.nesting_level)  # None or 0 outside
