"""A lock that survives a fork, and a decorator for methods that hold it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from fastsnn.kernels.locks import Lock

__all__ = ["Lock", "exclusive"]


class HasLock(Protocol):
    """An object whose methods can be `exclusive`."""

    _lock: Lock


Owner = TypeVar("Owner", bound=HasLock)
P = ParamSpec("P")
R = TypeVar("R")


def exclusive(method: Callable[Concatenate[Owner, P], R]) -> Callable[Concatenate[Owner, P], R]:
    """Return the method wrapped so that it holds its object's `_lock` while it runs.

    Calls from other threads wait until it ends. The `Lock` is reentrant, so the method may call
    other exclusive methods of the same object.
    """

    @functools.wraps(method)
    def alone(self: Owner, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self._lock.rlock:  # avoids `Lock`'s Python methods: a step can take 15 us
            return method(self, *args, **kwargs)

    return alone
