"""A network: its layers, its parameters in one flat buffer, prediction."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastsnn.checks import inputs as check
from fastsnn.deprecated import Renamed
from fastsnn.engine import graph, initialize
from fastsnn.engine.byterows import ByteRows
from fastsnn.engine.layout import parameter_layout
from fastsnn.engine.parameters import Parameters, require_fit
from fastsnn.engine.predict import Placed, Predictor
from fastsnn.layers import MOST_LAYERS, MOST_UNITS, SELU, AlphaDropout, Dense, Layer
from fastsnn.storage import modelfile


class Network:
    """Layers one after another, and their parameters; every Dense with the activation and the
    dropout after it is one fused node.

    Parameters
    ----------
    layers : sequence of layers, see `fastsnn.layers`
        Dense first and last; an activation, a normalization and a dropout may follow each Dense but
        the last.
    input_size : int >= 1
        Features of a row.
    seed : int in [0, 2**64)
        Seed of the starting weights, see `fastsnn.engine.initialize.initialize`.

    Raises
    ------
    ValueError, TypeError
        For layers in an order that has no meaning, and for sizes out of range.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        input_size: int,
        seed: int = 0,
        *,
        _arrays: Mapping[str, np.ndarray] | None = None,
    ):
        self.layers = tuple(layers)
        self.input_size = input_size = check.integer(input_size, "Network: input_size", 1)
        self.nodes = graph.fuse(self.layers, input_size)
        self.output_size = self.nodes[-1].fan_out
        self.layout = parameter_layout(self.nodes)
        if _arrays is not None:
            require_fit(self.layout.tensors, _arrays)  # before anything is allocated
        self.buffer = Parameters(self.layout)
        self._predictor = Predictor(self.nodes, self.buffer)
        if _arrays is None:
            seed = check.seed(seed)
            self.buffer.fill(lambda tensors: initialize.initialize(self.nodes, tensors, seed))
        else:
            self.load_state_dict(_arrays)

    @classmethod
    def _of(
        cls, layers: Sequence[Layer], input_size: int, arrays: Mapping[str, np.ndarray]
    ) -> Network:
        """A network with the parameters of a state dict; no weights are drawn for it."""
        return cls(layers, input_size, _arrays=arrays)

    @property
    def parameters(self) -> np.ndarray:
        """All tensors in one flat buffer, read-only: `load_state_dict` writes them, and
        `buffer.snapshot` copies them and `buffer.restore` writes the copy back.
        """
        return self.buffer.host

    version, derived_version = Renamed("buffer.version"), Renamed("buffer.derived_version")

    @property
    def device(self) -> str:
        """The backend of `forward` and `activations`: "cpu" or "cuda"."""
        return self._predictor.backend

    def to_device(self, backend: str = "cuda") -> Network:
        """Predict on an NVIDIA GPU from now on; returns the network. Everything else stays as it
        is: state dicts and files are read and written as before.

        Raises RuntimeError, in one line, where there is no GPU, driver, package or memory.
        """
        if backend != "cuda":
            raise ValueError(f'to_device: backend must be "cuda", got {backend!r}')
        self._predictor.move_to(backend)
        return self

    def to_host(self) -> Network:
        """Predict on the CPU again; the GPU's memory is free once no trainer uses it."""
        self._predictor.move_to("cpu")
        return self

    @property
    def couples_rows(self) -> bool:
        """True if in training a row's outputs depend on the other rows of the batch."""
        return any(node.couples_rows for node in self.nodes)

    @property
    def n_parameters(self) -> int:
        return len(self.buffer)

    def __repr__(self) -> str:
        inside = ", ".join(map(repr, self.layers[:4])) + (", ..." if len(self.layers) > 4 else "")
        return (
            f"Network([{inside}], input_size={self.input_size})  # {self.n_parameters:,} parameters"
        )

    def __getstate__(self) -> dict[str, Any]:
        return {"layers": self.layers, "input_size": self.input_size, "arrays": self.state_dict()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Network.__init__(self, state["layers"], state["input_size"], _arrays=state["arrays"])

    def forward(self, x: ArrayLike | Placed, threads: int | None = None) -> np.ndarray:
        """Raw outputs in evaluation mode: x (n, input_size) -> (n, output_size) float32. An x of
        another type is converted to float32.

        A row's outputs depend neither on the other rows nor on `threads` (default: all processors;
        1 touches no threading layer, and may be called from many Python threads concurrently; on a
        GPU it means nothing). NaN or infinity in x give NaN.
        """
        return self._predictor.forward(x, threads)

    def _placed(self, x: np.ndarray | ByteRows) -> Placed:
        """Prepare x for many calls of `forward`: on a GPU, a copy of its rows there."""
        return self._predictor.place(x)

    placed = Renamed("_placed")

    def activations(
        self, x: ArrayLike, training: bool = False, seed: int = 0, step: int = 0
    ) -> list[np.ndarray]:
        """Outputs of the hidden nodes for x (n, input_size): a list of (n, units) float32, from the
        first to the last.

        With `training`, after dropout with the masks of a trainer with this seed at this step, rows
        of x counted as the samples of one batch.
        """
        return self._predictor.activations(x, training, check.seed(seed), step)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of the parameters: "{index in the list}.weight" (units, fan_in) and ".bias"
        (units,), float32.
        """
        return self.buffer.state_dict()

    def load_state_dict(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take parameters over, all or none. Raises ValueError for missing or unknown names,
        shapes, non-finite numbers.
        """
        self.buffer.load(arrays)
        self._predictor.engine.expect_predictions()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to a safetensors file, replaced atomically."""
        sizes = self.input_size, self.output_size
        modelfile.write(path, self.layers, sizes, self.state_dict(), {})


def mlp(
    input_size: int,
    output_size: int,
    layers: int = 32,
    width: int = 256,
    dropout: float = 0.0,
    seed: int = 0,
) -> Network:
    """`layers` hidden layers of Dense(width), SELU and, with dropout > 0, AlphaDropout; and
    Dense(output_size).
    """
    layers = check.integer(layers, "mlp: layers", 1, MOST_LAYERS)
    width = check.integer(width, "mlp: width", 1, MOST_UNITS)
    output_size = check.integer(output_size, "mlp: output_size", 1, MOST_UNITS)
    hidden = [Dense(width), SELU(), *([AlphaDropout(dropout)] if dropout else [])]
    return Network([*hidden * layers, Dense(output_size)], input_size, seed)
