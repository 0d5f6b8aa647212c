"""Descriptor of attributes that are validated on assignment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

T = TypeVar("T")


class Checked(Generic[T]):
    """Attribute that is set to the result of `check(owner, value)`.

    Without `check` it can be set only once, because other objects depend on its value. The
    descriptor has no ``__get__``, so reading the attribute is as fast as reading any other.
    """

    def __init__(self, check: Callable[[Any, Any], T] | None = None, doc: str = "") -> None:
        self.check = check
        when = "checked when it is set" if check else "cannot be changed"
        self.__doc__ = doc or f"The parameter of this name; {when}."

    def __set_name__(self, kind: type, name: str) -> None:
        self.name = name

    if TYPE_CHECKING:  # at run time, Python finds the value in the owner's __dict__

        def __get__(self, owner: object, kind: type) -> T: ...

    def __set__(self, owner: object, value: Any) -> None:
        if self.check is not None:
            value = self.check(owner, value)
        elif self.name in owner.__dict__:
            kind = type(owner).__name__
            raise AttributeError(f"{kind}: {self.name} cannot be changed; create another {kind}")
        owner.__dict__[self.name] = value
