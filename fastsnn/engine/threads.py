"""The number of threads, derived from the processors that this process may use."""

import contextlib
import functools
import os
from pathlib import Path

import numba

from fastsnn.checks.scalars import plain, shown
from fastsnn.engine.locks import Lock
from fastsnn.kernels import pool

MOST = 1024  # maximum number of threads, unless the machine has more processors
_forked = False


def _after_fork() -> None:
    # GNU OpenMP kills a forked child at its first parallel region; the serial kernels give the same
    # bits.
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def cgroup_limit(root: Path = Path("/sys/fs/cgroup")) -> float:
    """Return the number of processors that the cgroup's quota allows (version 2, then 1), or
    infinity without a quota.
    """
    try:
        quota, period = (root / "cpu.max").read_text().split()[:2]
    except (OSError, ValueError):
        try:
            quota = (root / "cpu" / "cpu.cfs_quota_us").read_text()
            period = (root / "cpu" / "cpu.cfs_period_us").read_text()
        except OSError:  # no cgroup file system, so no limit
            return float("inf")
    if quota == "max" or int(quota) <= 0:
        return float("inf")
    return int(quota) / int(period)


def available() -> int:
    """Return the number of processors of this process, at least 1: the smallest of affinity, cgroup
    quota and NUMBA_NUM_THREADS.
    """
    most = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]  # numba sets it by name
    return max(1, int(min(most, cgroup_limit())))


def resolve(threads: int | None) -> int:
    """Return the number of slices of the work: `threads`, or the available processors if None. In a
    forked child it is 1.

    More slices than processors are allowed and change no bit of the result. Raises TypeError or
    ValueError for other values.
    """
    if threads is None:
        threads = available()
    elif not isinstance(threads := plain(threads), int) or isinstance(threads, bool):
        raise TypeError(f"threads: an int >= 1 or None is required, got {shown(threads)}")
    elif threads < 1:
        raise ValueError(f"threads: at least 1 is required, got {threads}; None takes all")
    elif (
        threads > MOST and threads > available()
    ):  # in this order: available() reads files, and every step comes here
        raise ValueError(
            f"threads: at most {MOST:,} are supported, since each has its own buffers, got "
            f"{shown(threads)}; this machine has {available()} processors"
        )
    return 1 if _forked else threads


@functools.cache
def _guard() -> contextlib.AbstractContextManager[object]:
    """Return the context of all parallel regions. It is a lock for Numba's `workqueue` layer (used
    without OpenMP and TBB), which aborts the process if two threads enter it concurrently.
    """
    pool.launch()
    layer = numba.threading_layer()  # type: ignore[attr-defined]  # exported, but by no __all__
    return Lock() if layer == "workqueue" else contextlib.nullcontext()


def region(threads: int) -> contextlib.AbstractContextManager[object]:
    """Set the number of pool threads of the calling thread's next parallel region, at most the
    size of the pool, and return the context of that region.
    """
    guard = _guard()
    most = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]  # as above
    threads = min(threads, most)
    if numba.get_num_threads() != threads:
        numba.set_num_threads(threads)
    return guard
