"""Predictions of a network on its current backend, with checks of the arguments."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastsnn.checks import inputs as check
from fastsnn.engine import backends
from fastsnn.engine.byterows import ByteRows
from fastsnn.engine.device_arrays import Rows
from fastsnn.engine.graph import Node
from fastsnn.engine.parameters import Parameters

# Rows of features; `Rows` are in device memory.
Placed = np.ndarray | ByteRows | Rows


class Predictor:
    """Checks arguments and calls the prediction engine of a network, initially on the CPU."""

    def __init__(self, nodes: tuple[Node, ...], parameters: Parameters):
        self.nodes, self.parameters = nodes, parameters
        self._inputs, self._outputs = nodes[0].fan_in, nodes[-1].fan_out
        self.backend = ""
        self.move_to("cpu")

    def move_to(self, backend: str) -> None:
        """Switch to another backend. Raises RuntimeError if the backend cannot be used."""
        if backend != self.backend:
            self.parameters.fetch()
            self.engine = backends.prediction_engine(backend, self.nodes, self.parameters)
            self.backend = backend

    def place(self, x: np.ndarray | ByteRows) -> Placed:
        """Prepare x for many calls of `forward`; on a GPU, copy its rows to device memory."""
        if self.backend == "cpu":  # `forward` checks x
            return x
        placed: Rows = self.engine.place(x if isinstance(x, ByteRows) else self._checked(x))
        return placed

    def forward(self, x: ArrayLike | Placed, threads: int | None) -> np.ndarray:
        """Return raw outputs, (n, outputs) float32, in evaluation mode for x (n, features)."""
        if isinstance(x, Rows) and self.backend == "cpu":  # the network has moved to the CPU
            x = x.host
        if isinstance(x, ByteRows):
            return np.concatenate([self.forward(block, threads) for block in x.blocks()])
        if not isinstance(x, Rows):
            x = check.features(x, self._inputs)
        out = np.empty((len(x), self._outputs), np.float32)
        self.engine.run(out, x, threads)
        return out

    def activations(self, x: ArrayLike, training: bool, seed: int, step: int) -> list[np.ndarray]:
        """Check x (n, features), and return the outputs of the hidden layers for it.

        Arguments and result are those of `PredictionEngine.activations`.
        """
        return self.engine.activations(self._checked(x), training, seed, step)

    def _checked(self, x: ArrayLike) -> np.ndarray:
        return check.features(x, self._inputs)
