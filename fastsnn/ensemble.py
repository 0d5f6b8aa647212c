"""Mean and spread of the predictions of several networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from fastsnn.checks.scalars import shown
from fastsnn.engine.predict import Placed
from fastsnn.losses import log_softmax, probabilities
from fastsnn.network import Network

Units = Callable[[np.ndarray], np.ndarray]


def checked(network: Network, members: Sequence[Network]) -> tuple[Network, ...]:
    """Return the members of a `Model`; ``(network,)`` if there are none.

    Raises TypeError or ValueError unless they are networks with equal layers, `network` first.
    """
    if not isinstance(members, tuple | list):
        raise TypeError(f"Model: members must be a tuple of Network, got {shown(members)}")
    for k, member in enumerate(members):
        if not isinstance(member, Network):
            raise TypeError(
                f"Model: members must be a tuple of Network, got {type(member).__name__} at {k}"
            )
        if (member.layers, member.input_size) != (network.layers, network.input_size):
            raise ValueError(
                f"Model: members must have the layers and the input size of network, member {k} "
                "differs"
            )
    if members and members[0] is not network:
        raise ValueError("Model: members must begin with network; give Model(members[0], ...)")
    return tuple(members) or (network,)


def outputs(
    members: Sequence[Network],
    task: str,
    x: Placed,
    threads: int | None,
    spread: bool = False,
    units: Units | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return `combined` of the members for standardized features; one member after another."""
    return combined(task, (network.forward(x, threads) for network in members), spread, units)


def combined(
    task: str, outputs: Iterable[np.ndarray], spread: bool = False, units: Units | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return raw outputs of the mean prediction of K networks, and the spread of the predictions.

    Losses and metrics of the mean prediction follow from its raw outputs, as for one network.

    Parameters
    ----------
    task : {"classification", "multitask", "regression"}
    outputs : iterable of (n, outputs) array
        Raw outputs of each network. Sums are taken in this order, in float64.
    spread : bool
        True: compute the spread.
    units : callable, optional
        Converts outputs of a regression to the units in which the spread is computed. Default: the
        spread is that of the outputs.

    Returns
    -------
    z : (n, outputs) array
        classification: ``log(mean_k softmax(z_k))``. multitask: ``log(p / (1 - p))`` of
        ``p = mean_k sigmoid(z_k)``. regression: ``mean_k z_k``. All are computed without
        underflow. One network: its raw outputs, unchanged.
    deviation : (n, outputs) float64 array or None
        Standard deviation (divisor K) of the probabilities, or of the values of a regression; 0 for
        one network. None without `spread`.

    Examples
    --------
    >>> z, deviation = combined("regression", [np.ones((1, 1)), np.full((1, 1), 3.0)], spread=True)
    >>> z.tolist(), deviation.tolist()
    ([[2.0]], [[1.0]])
    """
    count, first, total = 0, np.empty(0), [np.empty(0)]
    mean, root = np.empty(0), np.empty(0)  # root: of the sum of squares, without overflow
    add = np.add if task == "regression" else np.logaddexp
    for z in outputs:
        count += 1
        if spread:  # Welford's algorithm: exactly 0 for equal predictions
            value = probabilities(task, z) if task != "regression" else units(z) if units else z
            value = value.astype(np.float64, copy=False)
            if count == 1:
                mean, root = value, np.zeros_like(value)
            change = value - mean
            mean = mean + change / count
            root = np.hypot(root, np.sqrt(np.abs(change)) * np.sqrt(np.abs(value - mean)))
        if count == 1:
            first = z
            continue
        if count == 2:
            total = _terms(task, first)
        total = [add(one, other) for one, other in zip(total, _terms(task, z), strict=True)]
    deviation = root / np.sqrt(count) if spread else None
    if count == 1:
        return first, deviation
    if task == "regression":
        return total[0] / count, deviation
    if task == "classification":
        return total[0] - np.log(count), deviation
    return total[0] - total[1], deviation


def _terms(task: str, z: np.ndarray) -> list[np.ndarray]:
    """Return the arrays of which `combined` takes the mean; logarithms of probabilities are summed
    by `numpy.logaddexp`. multitask: of label 1, and of label 0.
    """
    if task == "classification":
        return [log_softmax(z)]
    z = z.astype(np.float64)
    return [z] if task == "regression" else [-np.logaddexp(0, -z), -np.logaddexp(0, z)]
