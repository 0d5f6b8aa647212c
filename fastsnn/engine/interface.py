"""The interface of a backend: an engine that trains and one that predicts, described here once.

An engine reads the parameters of a network as `Parameters.current` and writes them inside
`Parameters.update`, or the same of their copy on a device; its buffers are its own, and grow with
the largest batch seen. Arrays on the host are C-contiguous. The caller checks all arguments.
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
    """The steps of one trainer, whose caller makes one call at a time."""

    rows: np.ndarray  # int64: 0, 1, 2, ..., at least as many as were reserved

    @property
    @abstractmethod
    def state(self) -> np.ndarray:
        """The optimizer's state on the host, (n_state, layout.size) float32, up to date; after a
        write into it, `state_changed` must be called.
        """

    @abstractmethod
    def state_changed(self) -> None:
        """The state on the host is the new one."""

    @abstractmethod
    def load(self, report: Callable[[str], None] = log.warning) -> float:
        """Compile the kernels of a step, or take them from the cache; returns the seconds."""

    @abstractmethod
    def place(self, data: Batch) -> Batch:
        """Prepare a data set for many steps: its x may become an object that only this engine
        reads, and that stands for all of its arrays. The arrays themselves stay as they are.
        """

    @abstractmethod
    def reserve(self, samples: int) -> None:
        """Make the buffers large enough for a batch of `samples` rows."""

    @abstractmethod
    def steps_at_once(self, samples: int, watched: bool) -> int:
        """The number of steps of `samples` rows that one call of `steps` should make. watched: a
        callback is called after each batch.
        """

    @abstractmethod
    def steps(self, batch: Batch, steps: Steps) -> tuple[list[float], bool]:
        """Update the parameters by `steps`, at most `steps_at_once`.

        Stops after a loss that is not finite, which updates nothing; after one above steps.limit;
        and after an update that would leave float32, where such parameters keep their values.

        Returns
        -------
        The mean loss before each update, of the steps that were made, at least one; and True if the
        last update would have left float32.
        """

    @abstractmethod
    def gradients(
        self, batch: Batch, samples: int, step: int, seed: int, loss: Loss
    ) -> tuple[float, np.ndarray]:
        """Mean loss and flat gradient (layout.size,) float32 of a step by the first rows of the
        index; changes no parameter and no state.
        """


class PredictionEngine(ABC):
    """Predictions of one network, from any number of the user's threads concurrently."""

    @abstractmethod
    def place(self, x: np.ndarray | ByteRows) -> Any:
        """Prepare x (n, features) float32 or ByteRows for many calls of `run`: returns x, or an
        object that only this engine reads.
        """

    @abstractmethod
    def run(self, out: np.ndarray, x: Any, threads: int | None) -> None:
        """out[i] = raw outputs in evaluation mode for x[i].

        out (n, outputs) float32; x (n, features) float32, or what `place` returned for ByteRows or
        such an array; threads as in `threads.resolve`.
        """

    @abstractmethod
    def activations(self, x: np.ndarray, training: bool, seed: int, step: int) -> list[np.ndarray]:
        """Outputs (n, units) float32 of all nodes but the last for x (n, features) float32.

        training: after dropout, with the masks of this seed and step, rows of x counted as the
        samples of one batch.
        """

    @abstractmethod
    def expect_predictions(self) -> None:
        """Announce many predictions with the present parameters."""
