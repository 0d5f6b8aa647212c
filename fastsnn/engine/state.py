"""A trainer's state, the optimizer's arrays and the progress of the training, and its checks."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastsnn.checks.scalars import integer, number, shown
from fastsnn.engine.layout import ParameterLayout
from fastsnn.kernels.updates import UPDATES
from fastsnn.optimizers import OPTIMIZERS, Optimizer


def views_of(state: np.ndarray, layout: ParameterLayout) -> dict[str, np.ndarray]:
    """Return views of the optimizer's arrays (arrays, layout.size) by name, "{tensor}.state{i}"."""
    return {
        f"{name}.state{i}": view
        for i, flat in enumerate(state)
        for name, view in layout.trained(flat).items()
    }


def load_state(
    views: Mapping[str, np.ndarray], arrays: Mapping[str, np.ndarray], numbers: Mapping[str, Any],
    optimizer: Optimizer,
) -> None:  # fmt: skip
    """Copy arrays to the views of the same names, after all checks of arrays and numbers. Raises
    TypeError or ValueError.
    """
    require_fit(views, arrays, numbers)
    require_state(arrays, numbers, optimizer)
    for name, view in views.items():
        view[:] = arrays[name]


def require_fit(
    views: Mapping[str, np.ndarray], arrays: Mapping[str, np.ndarray], numbers: Mapping[str, Any]
) -> None:
    """Check that a new state has the names and shapes of a trainer's state `views`; arrays and
    numbers as in `require_state`. Raises ValueError.
    """
    for name in sorted(views.keys() | arrays.keys()):
        wanted = views[name].shape if name in views else "nothing"
        given = np.shape(arrays[name]) if name in arrays else "nothing"
        if given != wanted:
            raise ValueError(
                f"trainer state: {name}: {wanted} is required, got {given}; "
                "was the optimizer the same?"
            )
    missing = {"step_count", "first_loss"} - numbers.keys()
    if missing:
        raise ValueError(f"trainer state: {', '.join(sorted(missing))} required, got nothing")


def require_state(
    arrays: Mapping[str, np.ndarray], numbers: Mapping[str, Any], optimizer: Optimizer | None = None
) -> None:
    """Check the values of a trainer's state: arrays "{tensor}.state{i}" must be finite, means of
    squares not negative, step_count an int in [0, 2**62], first_loss None or finite.

    optimizer: the owner of the state. None: any optimizer; then an array is treated as a mean of
    squares if it is one for every optimizer with this number of state arrays.

    Raises ValueError or TypeError.
    """
    places = {name: int(name.rpartition(".state")[2]) for name in arrays}
    squares = squares_of(max(places.values(), default=-1) + 1, optimizer)
    for name, array in arrays.items():
        if isinstance(array, np.ma.MaskedArray):
            raise TypeError(f"trainer state: {name}: a plain array is required, got a masked one")
        array = np.asarray(array)
        if array.dtype.kind not in "fiu":
            raise TypeError(f"trainer state: {name}: float32 is required, got {array.dtype}")
        with np.errstate(over="ignore"):  # overflows become infinite, which is refused
            array = array.astype(np.float32)
        if not np.isfinite(array).all():
            raise ValueError(
                f"trainer state: {name}: finite numbers are required, got NaN or infinity"
            )
        if places[name] in squares and array.size and array.min() < 0:
            raise ValueError(
                f"trainer state: {name}: numbers >= 0 are required, as means of squares "
                f"are, got {array.min()}"
            )
    integer(numbers["step_count"], "trainer state: step_count", 0, 2**62)
    if numbers["first_loss"] is not None:
        number(numbers["first_loss"], "trainer state: first_loss")


def successor(new: Optimizer, old: Optimizer | None) -> Optimizer:
    """Return `new` if it can replace `old` in a trainer, because it has the same arrays of state.
    Raises TypeError or ValueError otherwise.
    """
    if not isinstance(new, Optimizer) or type(new)._rule is Optimizer._rule:
        *names, last = [kind.__name__ for kind in OPTIMIZERS.values()]
        raise TypeError(
            f"Trainer: optimizer must be {', '.join(names)} or {last}, got {shown(new)}; "
            "give an instance, such as fastsnn.Adam()"
        )
    if old is not None and new._n_state != old._n_state:
        raise ValueError(
            f"Trainer: optimizer must have {old._n_state} arrays of state like the one before, got "
            f"{new} with {new._n_state}; make another Trainer"
        )
    if old is not None and new._state.squares != old._state.squares:
        raise ValueError(
            f"Trainer: optimizer must have {old._state.squares} means of squares in its state like "
            f"the one before, got {new} with {new._state.squares}; make another Trainer"
        )
    return new


def squares_of(n_state: int, optimizer: Optimizer | None) -> set[int]:
    """Return the indices of the arrays of state that are means of squares: those of `optimizer`; if
    it is None, those common to all optimizers with `n_state` arrays.
    """
    if optimizer is not None:
        return {*range(optimizer._state.signed, n_state)}
    of_each = [{*range(row.signed, row.arrays)} for row in UPDATES if row.arrays == n_state]
    return set.intersection(*of_each) if of_each else set()
