"""Methods that one thread at a time may be in."""

from __future__ import annotations

import functools


def exclusive(method):
    """Decorator: a method that holds the `_lock` of its object, a `fastsnn.threads.Lock`, so that
    other threads wait.
    """

    @functools.wraps(method)
    def alone(self, *args, **kwargs):
        with self._lock:
            return method(self, *args, **kwargs)

    return alone
