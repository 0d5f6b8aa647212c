"""Arrays of users as parts of a `Batch`, checked once."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastsnn.checks import inputs as check
from fastsnn.engine.batch import check_features, require_good
from fastsnn.engine.byterows import ByteRows
from fastsnn.losses import Loss, check_targets
from fastsnn.network import Network

Copy = Callable[[np.ndarray], np.ndarray]


class Rows(NamedTuple):
    """Checked rows: x (n, features); labels (n,) or targets (n, outputs), the other being empty."""

    x: np.ndarray | ByteRows
    labels: np.ndarray
    targets: np.ndarray

    @property
    def y(self) -> np.ndarray:
        """Labels or targets, whichever the loss uses."""
        return self.labels if len(self.labels) else self.targets


def checked(network: Network, loss: Loss, x: object, y: object, copy: Copy = np.array) -> Rows:
    """Return x (n, features) and y as `Rows`, after all checks. Raises TypeError or ValueError with
    the place of the first fault.

    Labels are copied by `copy`: kernels use classes as indices, so nothing may change them after
    the check.
    """
    rows = check_features(x, network.input_size)
    labels, targets = check_targets(loss, y, len(rows), network.output_size)
    if len(labels):
        labels = copy(labels)
    require_good(rows, labels, network.output_size)
    return Rows(rows, labels, targets.view())


def weights_of(
    rows: Rows, sample_weight: object, class_weight: np.ndarray | str, n_outputs: int, fitting: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return (sample weights (n,), class weights (n_outputs,)); empty arrays mean 1.

    fitting: `rows` are a whole data set, from which "balanced" is computed, and whose weights are
    copied, because callbacks may write into the caller's array.
    """
    weight = check.weights(sample_weight, (len(rows.x),), "sample_weight")
    if fitting:
        weight = weight.copy()
    if isinstance(class_weight, str):
        if not fitting:
            raise ValueError(
                'class_weight: "balanced" is known from the first fit on, by its labels; call '
                "fit first, or give an array"
            )
        class_weight = check.balanced(rows.labels, rows.targets, n_outputs)
    return weight, class_weight.copy()


def require_enough(network: Network, rows: int) -> None:
    """Raise ValueError if a batch has 1 row and the network has batch normalization."""
    if rows < 2 and network.couples_rows:
        raise ValueError(
            f"batch normalization: at least 2 rows are required in a batch, got {rows}; "
            "take larger batches"
        )
