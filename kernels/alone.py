"""Lock between processes that share an empty cache: one process compiles, the others wait."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .locks import compiler

log = logging.getLogger("fastsnn")

POLL = 0.2  # seconds
# Seconds without a new kernel after which a waiting process also compiles: the other process may be
# stopped, or a network file system may have lost the lock. The lock of a dead process is free.
PATIENCE = 300.0


@contextlib.contextmanager
def alone(
    folder: Path | None, missing: Callable[[], int], report: Callable[[str], None]
) -> Iterator[None]:
    """Context in which this process compiles into `folder`, with an exclusive lock if the file
    system supports locks. While another process holds the lock, wait until `missing()`, the number
    of kernels that are not cached, is 0.
    """
    lock = None if folder is None else _acquire(folder / "compiling.lock", missing, report)
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def _acquire(path, missing, report):
    """Return the lock, or None if no kernel is missing any more or no lock is available."""
    with compiler:  # forks wait for it: a half-imported module would block the child
        import filelock

    since, fewest = None, missing()
    try:
        lock = filelock.FileLock(path)
        while True:
            try:
                lock.acquire(timeout=0)
                return lock
            except filelock.Timeout:
                pass
            if since is None:
                report("fastsnn: waiting for another process that compiles the kernels ...")
                since = time.monotonic()
            time.sleep(POLL)
            count = missing()
            if not count:
                return None
            if count < fewest:
                since, fewest = time.monotonic(), count
            elif time.monotonic() - since > PATIENCE:
                report(
                    f"fastsnn: the other process has compiled nothing for {PATIENCE:.0f} s; "
                    "compiling here as well"
                )
                return None
    except (OSError, NotImplementedError, Warning) as problem:  # no locks on this file system
        log.info("fastsnn: no lock on %s (%s); compiling without one", path, problem)
        return None
