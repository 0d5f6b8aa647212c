"""Features with their labels or targets, checked before an engine gets them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastsnn.checks import inputs as check
from fastsnn.engine.byterows import ByteRows
from fastsnn.losses import Loss, check_targets
from fastsnn.network import Network

NO_FEATURES = np.zeros((0, 1), np.float32)


class Labels:
    """A buffer for the classes of one step, which the next step uses again."""

    def __init__(self):
        self._buffer = np.empty(0, np.int64)

    def copy_of(self, labels: np.ndarray) -> np.ndarray:
        """A copy of int64 labels (n,), valid until the next call."""
        if len(self._buffer) < len(labels):
            self._buffer = np.empty(len(labels), np.int64)
        copy = self._buffer[: len(labels)]
        copy[:] = labels
        return copy


def checked(
    network: Network,
    loss: str | Loss,
    x: np.ndarray | ByteRows,
    y: np.ndarray,
    copy: Callable[[np.ndarray], np.ndarray] = np.array,
) -> tuple[np.ndarray | ByteRows, np.ndarray, np.ndarray]:
    """(x, labels (n,) int64, targets (n, outputs) float32) as kernels take them; the one that the
    loss does not use is empty. Labels are copied by `copy`: kernels use classes as indices, so
    nobody may change them after the check. Raises ValueError or TypeError.
    """
    if isinstance(x, ByteRows):
        x, numbers = check.byte_rows(x, network.input_size), NO_FEATURES
    else:
        numbers = check.features(x, network.input_size)
        x = numbers.view()  # a view keeps its shape
    labels, targets = check_targets(loss, y, len(x), network.output_size)
    if len(labels):
        labels = copy(labels)
    check.batch(numbers, labels, network.output_size)
    return x, labels, targets.view()


def used(labels: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Labels or targets, whichever the loss uses."""
    return labels if len(labels) else targets
