"""`Network`: layers, parameters in one flat buffer, predictions. `mlp` builds a plain one."""

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
    """A feed-forward network: layers and their parameters (float32).

    Copies and pickles are independent networks with equal parameters. Any number of threads may
    call `forward` concurrently.

    Parameters
    ----------
    layers : sequence of layers
        Layers of `fastsnn.layers`. The first and the last must be a `Dense`; the last returns the
        raw outputs. Each other Dense may be followed by an activation, a normalization (before or
        after the activation) and a dropout. After the first of these groups, a `Highway` or
        `Residual` may take the place of a group.
    input_size : int >= 1
        Number of features of a row.
    seed : int in [0, 2**64)
        Seed of the initial weights. The weights of the i-th layer with weights come from
        ``numpy.random.Generator(numpy.random.Philox(key=seed + i * 2**64))``, row by row.

    Attributes
    ----------
    layers : tuple of layers
    input_size, output_size : int
        Features of a row, and units of the last Dense.

    Raises
    ------
    TypeError, ValueError
        If an entry is not a layer, the order of the layers is not supported, or a size is out of
        range.

    Examples
    --------
    >>> import fastsnn as fs
    >>> net = fs.Network([fs.Dense(256), fs.SELU(), fs.AlphaDropout(0.05), fs.Dense(10)], 784)
    >>> net.forward(np.zeros((3, 784))).shape
    (3, 10)
    >>> {name: tensor.shape for name, tensor in net.state_dict().items()}
    {'0.weight': (256, 784), '0.bias': (256,), '3.weight': (10, 256), '3.bias': (10,)}
    """

    def __init__(self, layers: Sequence[Layer], input_size: int, seed: int = 0):
        self._build(layers, input_size, seed)

    def _build(
        self,
        layers: Sequence[Layer],
        input_size: int,
        seed: int = 0,
        arrays: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Set all attributes; the parameters are `arrays`, a state dict, or drawn by `seed`."""
        self.layers = tuple(layers)
        self.input_size = input_size = check.integer(input_size, "Network: input_size", 1)
        self.nodes = graph.fuse(self.layers, input_size)
        self.output_size = self.nodes[-1].fan_out
        self.layout = parameter_layout(self.nodes)
        if arrays is not None:
            require_fit(self.layout.tensors, arrays)  # before anything is allocated
        self.buffer = Parameters(self.layout)
        self._predictor = Predictor(self.nodes, self.buffer)
        if arrays is None:
            seed = check.seed(seed)
            self.buffer.fill(lambda tensors: initialize.initialize(self.nodes, tensors, seed))
        else:
            self.load_state_dict(arrays)

    @classmethod
    def _of(
        cls, layers: Sequence[Layer], input_size: int, arrays: Mapping[str, np.ndarray]
    ) -> Network:
        """Return a network with the parameters of a state dict, without initializing weights."""
        network = cls.__new__(cls)
        network._build(layers, input_size, arrays=arrays)
        return network

    @property
    def parameters(self) -> np.ndarray:
        """All tensors in one flat float32 array (n,), read-only, padding between them included.

        To write them, use `load_state_dict`; or ``net.buffer.snapshot()``, which returns a copy,
        and ``net.buffer.restore(copy)``.
        """
        return self.buffer.host

    version, derived_version = Renamed("buffer.version"), Renamed("buffer.derived_version")

    @property
    def device(self) -> str:
        """Backend of `forward` and `activations`, "cpu" or "cuda"."""
        return self._predictor.backend

    def to_device(self, backend: str = "cuda") -> Network:
        """Predict on an NVIDIA GPU from now on. State dicts and files do not change.

        Parameters
        ----------
        backend : {"cuda"}

        Returns
        -------
        Network
            This network.

        Raises
        ------
        ValueError
            If `backend` is another word.
        RuntimeError
            If there is no GPU, driver, package or memory.
        """
        if backend != "cuda":
            raise ValueError(f'to_device: backend must be "cuda", got {backend!r}')
        self._predictor.move_to(backend)
        return self

    def to_host(self) -> Network:
        """Switch prediction to the CPU, and return this network.

        The memory of the GPU is freed as soon as no trainer uses it.
        """
        self._predictor.move_to("cpu")
        return self

    @property
    def couples_rows(self) -> bool:
        """True if a row's outputs in training depend on other rows (batch normalization)."""
        return any(node.couples_rows for node in self.nodes)

    @property
    def n_parameters(self) -> int:
        """Number of elements of all tensors, running statistics included."""
        return len(self.buffer)

    def __repr__(self) -> str:
        inside = ", ".join(map(repr, self.layers[:4])) + (", ..." if len(self.layers) > 4 else "")
        return (
            f"Network([{inside}], input_size={self.input_size})  # {self.n_parameters:,} parameters"
        )

    def __getstate__(self) -> dict[str, Any]:
        return {"layers": self.layers, "input_size": self.input_size, "arrays": self.state_dict()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._build(state["layers"], state["input_size"], arrays=state["arrays"])

    def forward(self, x: ArrayLike | Placed, threads: int | None = None) -> np.ndarray:
        """Return the raw outputs in evaluation mode (without dropout): logits or values.

        The outputs of a row are bit-identical for any other rows and any `threads`.

        Parameters
        ----------
        x : (n, input_size) array
            Standardized features. float32 in C order is used without a copy; float64, integers,
            lists and data frames are converted to float32. NaN or infinity in a row give NaN.
        threads : int >= 1, optional
            CPU threads. Default: all processors of this process. With 1, no thread pool is used:
            prefer it in a service that calls `forward` from threads of its own. Not used on a GPU.

        Returns
        -------
        (n, output_size) float32 array

        Raises
        ------
        TypeError, ValueError
            For a wrong shape, text, objects or complex numbers, no rows, and numbers beyond
            float32.

        Notes
        -----
        Batches of at most 4 rows use a copy of the weights in another layout. It is made the second
        time that the same parameters predict such a batch, and dropped when they change. It doubles
        the memory of the network.
        """
        return self._predictor.forward(x, threads)

    def _placed(self, x: np.ndarray | ByteRows) -> Placed:
        """Return x prepared for many calls of `forward`: on a GPU, a copy of its rows there."""
        return self._predictor.place(x)

    placed = Renamed("_placed")

    def activations(
        self, x: ArrayLike, training: bool = False, seed: int = 0, step: int = 0
    ) -> list[np.ndarray]:
        """Return the outputs of the hidden layers.

        A Dense with its activation and dropout counts as one layer, a normalization as another one:
        a Dense with one gives two arrays, before and after it. A Highway gives two arrays: relu(wx
        + b) next to the gate, (n, 2 units), then its output. A Residual gives one per inner Dense
        or normalization; the last is the sum.

        Parameters
        ----------
        x : (n, input_size) array
            Standardized features, as for `forward`.
        training : bool
            True: apply dropout, and the statistics of these rows in batch normalization.
        seed, step : int
            With `training`: dropout masks of update number `step` (from 0) of a trainer with this
            seed, where x is the mini-batch.

        Returns
        -------
        list of (n, units) float32 array
            From the first hidden layer to the last; row i belongs to x[i].

        Raises
        ------
        TypeError, ValueError
            If `x` has a wrong shape or type, `seed` is out of range, or `step` is not an int. NaN
            and infinity in `x` are not checked.
        """
        return self._predictor.activations(x, training, check.seed(seed), step)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of the tensors, named as in a ``torch.nn.Sequential`` of the same modules.

        Returns
        -------
        dict of str to float32 array
            "0.weight" (units, fan_in), "0.bias" (units,), ...: the index of a layer in the list,
            and the name of a tensor, see `fastsnn.layers`.
        """
        return self.buffer.state_dict()

    def load_state_dict(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Copy tensors into the network, all or none.

        Parameters
        ----------
        arrays : mapping of str to array
            As `state_dict` returns it; other real dtypes are converted to float32.

        Raises
        ------
        ValueError
            For missing or unknown names, other shapes, and values that are not real and finite.
        """
        self.buffer.load(arrays)
        self._predictor.engine.expect_predictions()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to a safetensors file. `fastsnn.load` reads it.

        An existing file is replaced atomically. To include standardization and names, save a
        `Model`.

        Parameters
        ----------
        path : str or path

        Raises
        ------
        FloatingPointError
            If a parameter is NaN or infinite. Nothing is written.
        RuntimeError
            If the file cannot be written. An existing file is kept.
        """
        sizes = self.input_size, self.output_size
        modelfile.write(path, self.layers, sizes, self.state_dict(), {})


def mlp(
    input_size: int,
    output_size: int,
    layers: int = 32,
    width: int | Sequence[int] = 256,
    dropout: float = 0.0,
    seed: int = 0,
) -> Network:
    """Return a self-normalizing network.

    Each hidden layer is `Dense(width)`, `SELU()` and, if `dropout` > 0, `AlphaDropout(dropout)`.
    The last layer is `Dense(output_size)`. Weights are LeCun-normal (Klambauer et al. 2017).

    Parameters
    ----------
    input_size : int >= 1
        Features of a row. Standardize them to mean 0 and variance 1.
    output_size : int >= 1
        Raw outputs: number of classes, tasks or targets.
    layers : int >= 1
        Hidden layers; the output layer is not counted. Up to 100,000.
    width : int >= 1, or sequence of int >= 1
        Units of each hidden layer. A sequence has an entry per hidden layer; `layers` is then not
        used.
    dropout : float in [0, 1)
        Probability of dropping a unit. 0 omits the dropout layers.
    seed : int in [0, 2**64)
        Seed of the initial weights.

    Returns
    -------
    Network

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.

    Examples
    --------
    >>> import fastsnn as fs
    >>> net = fs.mlp(input_size=4, output_size=3, layers=32, width=64, dropout=0.01)
    >>> len(net.layers), net.n_parameters
    (97, 129475)
    """
    layers = check.integer(layers, "mlp: layers", 1, MOST_LAYERS)
    given = width if isinstance(width, list | tuple) else [width]
    check.integer(len(given), "mlp: hidden layers", 1, MOST_LAYERS)
    widths = [check.integer(units, "mlp: width", 1, MOST_UNITS) for units in given]
    output_size = check.integer(output_size, "mlp: output_size", 1, MOST_UNITS)
    rest: list[Layer] = [SELU(), *([AlphaDropout(dropout)] if dropout else [])]
    hidden = [layer for units in widths for layer in (Dense(units), *rest)]
    times = 1 if given is width else layers
    return Network([*hidden * times, Dense(output_size)], input_size, seed)
