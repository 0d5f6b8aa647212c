"""Convert labels to class numbers. Different spellings of text are different classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from fastsnn.checks.scalars import shown
from fastsnn.tables.cells import class_order, is_missing, number, number_name


def encode_classes(
    cells: Sequence[str] | np.ndarray,
    text: bool,
    class_names: Sequence[str] | None,
    where: Callable[..., str],
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return (class numbers, class names) of n labels; class numbers are int64 (n,).

    cells: n strings, or an array of n numbers. text: if True, each spelling is a class, after outer
    spaces are stripped; if False, 1 and 1.0 are both the class "1", and large integers are not
    rounded. class_names: the known classes, or None to collect them. Each label must equal one of
    them. If every class name is a word or a canonical number (`number_name`), a number may also be
    spelled differently. where: returns the words for (row, target) in an error.

    Raises ValueError, with the row, for missing, infinite and unknown labels.
    """
    names = tuple(class_names or ())
    known = set(names)
    bad: np.ndarray
    spellings: list[str]
    if isinstance(cells, np.ndarray):
        values, index = np.unique(cells, return_inverse=True)
        bad = ~np.isfinite(values)
        spellings = [
            "" if b else number_name(value) for value, b in zip(values.tolist(), bad, strict=True)
        ]
    else:
        distinct = list(dict.fromkeys(cells))
        position = {cell: i for i, cell in enumerate(distinct)}
        index = np.array([position[cell] for cell in cells])
        bad = np.array([c.strip() not in known and _is_none(c) for c in distinct])
        kept = text or bool(names)
        spellings = [
            cell.strip() if kept or b else number_name(cell)
            for cell, b in zip(distinct, bad, strict=True)
        ]
    if bad.any():
        row = int(np.flatnonzero(bad[index])[0])
        raise ValueError(
            f"{where(row, 0)}: every row needs a class, got {_given(cells[row])}; "
            "fill in or drop the row"
        )
    if names:
        spellings = _known(spellings, names)
    else:
        names = tuple(sorted(set(spellings), key=class_order))
        if len(names) < 2:
            raise ValueError(
                f"{where(None, 0)}: a classification needs at least two classes, every row has "
                f"{shown(names[0])}; is this the target column?"
            )
    label = {name: i for i, name in enumerate(names)}
    y = np.array([label.get(spelling, -1) for spelling in spellings], np.int64)[index]
    if (y < 0).any():
        row = int(np.flatnonzero(y < 0)[0])
        raise ValueError(
            f"{where(row, 0)}: the class must be one of the {len(names)} known "
            f"({_list(names)}), got {shown(spellings[index[row]])}; correct it or drop the row"
        )
    return y, names


def _known(spellings: list[str], names: Sequence[str]) -> list[str]:
    """Return the spellings, with numbers in canonical form if all numeric class names have it.

    Models of version 0.1 have canonical numbers even among text ("250" for 250.00), and a column
    may be text in one file and numbers in another.
    """
    known = set(names)
    if not all(number(name) is None or number_name(name) == name for name in names):
        return spellings  # with names such as 007 or 1.0, the spelling distinguishes classes
    numbers = (s if s in known or number(s) is None else number_name(s) for s in spellings)
    return list(numbers)


def _is_none(cell: str) -> bool:
    return is_missing(cell) or abs(number(cell) or 0) == np.inf


def _list(names: Sequence[str]) -> str:
    plain = (n if len(n) < 40 and n.isprintable() else shown(n) for n in names[:10])
    return ", ".join(plain) + (", ..." if len(names) > 10 else "")


def _given(value: str | float) -> str:
    if isinstance(value, str):
        if not value.strip():
            return "an empty cell"
        return shown(value) + (", which denotes a missing value" if is_missing(value) else "")
    return "a missing value" if np.isnan(value) else str(value)
