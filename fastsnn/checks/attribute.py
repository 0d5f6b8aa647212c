"""Attributes that are checked whenever they are set."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

T = TypeVar("T")


class Checked(Generic[T]):
    """An attribute that takes what `check(owner, value)` returns; without a check it is set once,
    since other things were made to fit it. There is no __get__: reading it costs nothing more than
    reading any attribute of the owner.
    """

    def __init__(self, check: Callable[[Any, Any], T] | None = None, doc: str = "") -> None:
        self.check = check
        when = "checked when it is set" if check else "cannot be changed"
        self.__doc__ = doc or f"The parameter of this name; {when}."

    def __set_name__(self, kind: type, name: str) -> None:
        self.name = name

    if TYPE_CHECKING:  # Python finds the value in the owner's __dict__

        def __get__(self, owner: object, kind: type) -> T: ...

    def __set__(self, owner: object, value: Any) -> None:
        if self.check is not None:
            value = self.check(owner, value)
        elif self.name in owner.__dict__:
            kind = type(owner).__name__
            raise AttributeError(f"{kind}: {self.name} cannot be changed; make another {kind}")
        owner.__dict__[self.name] = value
