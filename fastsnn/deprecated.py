"""Names of version 0.1: they still work, and raise a DeprecationWarning that names the new one.

Static type checkers do not see the old names of modules, so they report them.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any


def warn(old: str, new: str, stacklevel: int = 2) -> None:
    """Issue the warning. stacklevel: 2 reports the line that called the caller of `warn`."""
    internal = any(part.startswith("_") for part in new.split("."))
    more = ", which is internal and may change without notice" if internal else ""
    warnings.warn(
        f"{old} is deprecated since fastsnn 0.2; use {new}{more}",
        DeprecationWarning,
        stacklevel=stacklevel + 1,
    )


def renamed(
    module: str, names: Mapping[str, str], other: Callable[[str], Any] | None = None
) -> Callable[[str], Any]:
    """Return a `__getattr__` for `module` that finds objects by their old names.

    names: full path of the object ("fastsnn.schedules.CosineDecay") by its old name in `module`.
    other: returns the object for any other name, or raises AttributeError.
    """

    def __getattr__(name: str) -> Any:
        if name not in names and other is not None:
            return other(name)
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        home, _, attribute = names[name].rpartition(".")
        warn(f"{module}.{name}", names[name])
        return getattr(importlib.import_module(home), attribute)

    return __getattr__


class Renamed:
    """Old name of an attribute, a property or a method of a class.

    Parameters
    ----------
    new : str
        Path of the new one from the instance: "transform", "buffer.version".
    """

    def __init__(self, new: str) -> None:
        self._new = new
        self.__doc__ = f"Deprecated name of `{new}`.\n\n:meta private:"

    def __set_name__(self, owner: type, name: str) -> None:
        self._old = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:  # looked up in the class, as by documentation tools
            return self
        return self._find(instance)

    def __call__(self, instance: Any, *arguments: Any, **options: Any) -> Any:
        """Call the method as an attribute of its class: `Class.method(instance)`."""
        return self._find(instance)(*arguments, **options)

    def _find(self, instance: Any) -> Any:
        kind = type(instance).__name__
        warn(f"{kind}.{self._old}", f"{kind}.{self._new}", stacklevel=3)
        return attrgetter(self._new)(instance)
