"""A lock that survives a fork."""

from __future__ import annotations

import functools
import os
import threading
import weakref


class ForkSafeLock:
    """A re-entrant lock. A forked child finds it free, unless the forking thread held it: the other
    threads that may have held it do not exist in the child, and would never release it.
    """

    def __init__(self):
        self._renew()
        _locks.add(self)

    def _renew(self):
        self._lock, self._owner, self._depth = threading.RLock(), None, 0

    def __enter__(self):
        self._lock.acquire()
        self._owner = threading.get_ident()
        self._depth += 1

    def __exit__(self, *_):
        self._depth -= 1
        if not self._depth:
            self._owner = None
        self._lock.release()


def exclusive(method):
    """Decorator: a method that holds the `_lock` of its object, so that other threads wait."""

    @functools.wraps(method)
    def alone(self, *args, **kwargs):
        with self._lock:
            return method(self, *args, **kwargs)

    return alone


_locks: weakref.WeakSet[ForkSafeLock] = weakref.WeakSet()


def _after_fork():
    for lock in list(_locks):
        if lock._owner != threading.get_ident():
            lock._renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
