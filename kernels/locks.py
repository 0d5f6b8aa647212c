"""Fork-safe locks: in a forked child every lock is free and Numba's compiler is idle.

A lock that another thread holds during a fork would stay locked in the child forever. So each
`Lock` is replaced in the child. A kernel that another thread is loading would be worse: LLVM could
be in any state. So a fork waits until that kernel is loaded, which takes seconds at most; the child
loads the remaining kernels itself.
"""

import contextlib
import logging
import os
import threading
import weakref

from llvmlite.binding import ffi
from numba.core.compiler_lock import global_compiler_lock as compiler
from numba.np.ufunc import parallel

log = logging.getLogger("fastsnn")

WAIT = 120.0  # seconds that a fork waits for the compiler; the timeout avoids a deadlock

# (owner, attribute) of the compiler's reentrant locks, in the order in which they are acquired.
COMPILER = (
    (compiler, "_lock"), (parallel, "_backend_init_thread_lock"), (ffi.lib._lock, "_lock"),
)  # fmt: skip

_locks = weakref.WeakSet()
_forking = threading.local()


class Lock:
    """A reentrant lock (`threading.RLock`) for `with` statements. In a forked child it is free,
    unless the thread that called fork holds it; that thread then holds it in the child, too.
    """

    def __init__(self):
        self.rlock = threading.RLock()
        _locks.add(self)

    def __enter__(self):
        return self.rlock.__enter__()

    def __exit__(self, *problem):
        self.rlock.__exit__(*problem)


def _before():
    held = _forking.held = []  # (owner, attribute, lock)
    for owner, name in COMPILER:
        lock = getattr(owner, name, None)
        if lock is not None and lock.acquire(timeout=WAIT):
            held.append((owner, name, lock))
    for one in list(_locks):
        if one.rlock.acquire(blocking=False):
            held.append((one, "rlock", one.rlock))


def _release():
    for _, _, lock in reversed(_forking.__dict__.pop("held", ())):
        lock.release()


def _after_in_child():
    free = {(id(owner), name) for owner, name, _ in _forking.__dict__.get("held", ())}
    for owner, name in (*COMPILER, *((one, "rlock") for one in list(_locks))):
        if hasattr(owner, name) and (id(owner), name) not in free:
            setattr(owner, name, threading.RLock())
    # Numba's interprocess lock: parent and child would block each other.
    if getattr(parallel, "_backend_init_process_lock", None):
        parallel._backend_init_process_lock = contextlib.nullcontext()
    _release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_release, after_in_child=_after_in_child)
