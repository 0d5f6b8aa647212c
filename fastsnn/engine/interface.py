"""The interface of a backend: a training engine and a prediction engine. The contract is stated
here once.

An engine reads the parameters of a network through `Parameters.current` and writes them inside
`Parameters.update`, or through the same methods of their copy on a device. It owns its buffers,
which grow to the largest batch seen. Host arrays are C-contiguous. The caller checks all arguments.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from fastsnn.engine.batch import Batch, Steps
from fastsnn.engine.byterows import ByteRows
from fastsnn.losses import Loss

log = logging.getLogger("fastsnn")


class TrainingEngine(ABC):
    """Engine that runs the steps of one trainer. The caller makes one call at a time."""

    rows: np.ndarray  # int64: 0, 1, 2, ..., at least as many as `reserve` was called with

    @property
    @abstractmethod
    def state(self) -> np.ndarray:
        """Optimizer state on the host, (n_state, layout.size) float32, up to date. After a write to
        it, `state_changed` must be called.
        """

    @abstractmethod
    def state_changed(self) -> None:
        """Announce that the caller has written to `state`."""

    @abstractmethod
    def load(self, report: Callable[[str], None] = log.warning) -> float:
        """Compile the kernels of a step, or load them from the cache. Return the seconds."""

    @abstractmethod
    def place(self, data: Batch) -> Batch:
        """Prepare a data set for many steps. In the result, x may be an object that only this
        engine reads and that holds copies of all arrays; the other fields are unchanged.
        """

    @abstractmethod
    def reserve(self, samples: int) -> None:
        """Allocate buffers for a batch of `samples` rows, unless they are large enough."""

    @abstractmethod
    def steps_per_call(self, samples: int, watched: bool) -> int:
        """Return the number of steps of `samples` rows to run per call of `steps`, >= 1. watched: a
        per-batch callback is registered.
        """

    @abstractmethod
    def steps(self, batch: Batch, steps: Steps) -> tuple[list[float], bool]:
        """Run `steps`, at most `steps_per_call` of them, and update the parameters.

        Stops after a loss that is not finite, whose step updates nothing; after a loss above
        steps.limit; and after an update that would overflow float32, in which the affected
        parameters keep their values.

        Returns
        -------
        losses : list of float
            Mean loss before the update of each step that was run, at least one.
        overflow : bool
            True if the last update would have overflowed float32.
        """

    @abstractmethod
    def gradients(
        self, batch: Batch, samples: int, step: int, seed: int, loss: Loss
    ) -> tuple[float, np.ndarray]:
        """Return the mean loss and the flat gradient, (layout.size,) float32, of a step over the
        first `samples` rows of the index. Changes neither parameters nor state.
        """


class PredictionEngine(ABC):
    """Predictions of one network. Safe to call from several threads concurrently."""

    @abstractmethod
    def place(self, x: np.ndarray | ByteRows) -> Any:
        """Prepare x, (n, features) float32 or ByteRows, for many calls of `run`. Returns x, or an
        object that only this engine reads.
        """

    @abstractmethod
    def run(self, out: np.ndarray, x: Any, threads: int | None) -> None:
        """out[i] = raw outputs in evaluation mode for x[i].

        out: (n, outputs) float32; x: (n, features) float32, or a result of `place`; threads: see
        `threads.resolve`.
        """

    @abstractmethod
    def activations(self, x: np.ndarray, training: bool, seed: int, step: int) -> list[np.ndarray]:
        """Return the outputs of all nodes but the last, each float32 (n, units).

        x: (n, features) float32. training: apply dropout with the masks of this seed and step, and
        normalize with the statistics of these rows in batch normalization; row i of x is sample i
        of the mini-batch.
        """

    @abstractmethod
    def expect_predictions(self) -> None:
        """Announce many predictions with the current parameters."""
