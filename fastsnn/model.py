"""A network with what it needs to be used on raw data: standardization, task, names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastsnn import metrics
from fastsnn.checks import arrays, encode
from fastsnn.checks.scalars import listed, shown
from fastsnn.data.dataset import TASKS, Dataset, Split
from fastsnn.data.standardize import Standardizer
from fastsnn.engine.byterows import ByteRows
from fastsnn.engine.predict import Placed
from fastsnn.layers import Layer
from fastsnn.losses import Loss, log_softmax
from fastsnn.network import Network
from fastsnn.storage import modelfile
from fastsnn.storage.description import NAMES

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Model:
    """A network with its standardization, its task and its names, as `model.safetensors` holds it.

    Parameters
    ----------
    network : Network
    task : "classification", "multitask" or "regression"
    inputs : Standardizer of the features, optional
        Without it, features are not standardized.
    targets : Standardizer of the targets, optional
        For regression only; without it, outputs are in the units of the targets.
    class_names, feature_names, target_names : tuples of str, optional

    Raises
    ------
    ValueError, TypeError : if the parts do not match.
    """

    network: Network
    task: str
    inputs: Standardizer = None  # type: ignore[assignment]  # then __post_init__ makes one
    targets: Standardizer | None = None
    class_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    target_names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.network, Network):
            raise TypeError(f"Model: a Network is required, got {type(self.network).__name__}")
        if self.task not in TASKS:
            raise ValueError(
                f"Model: task must be one of {', '.join(TASKS)}; got {shown(self.task)}"
            )
        features, outputs = self.network.input_size, self.network.output_size
        if self.inputs is None:
            zeros, ones = np.zeros(features, np.float32), np.ones(features, np.float32)
            object.__setattr__(self, "inputs", Standardizer(zeros, ones))
        if self.targets is not None and self.task != "regression":
            raise ValueError(f"Model: targets are for a regression, the task is {self.task}")
        for name, size in (("inputs", features), ("targets", outputs)):
            part = getattr(self, name)
            if part is not None and not isinstance(part, Standardizer):
                raise TypeError(f"Model: {name} must be a Standardizer, got {type(part).__name__}")
            if part is not None and part.mean.size != size:
                raise ValueError(
                    f"Model: {name} must have {size:,} columns like the network, has "
                    f"{part.mean.size:,}"
                )
        for name, size, fits in (
            ("class_names", outputs, self.task == "classification"),
            ("feature_names", features, True),
            ("target_names", outputs, self.task != "classification"),
        ):
            names = getattr(self, name)
            if names is None:
                continue
            if isinstance(names, str) or not all(isinstance(n, str) for n in names):
                raise TypeError(f"Model: {name} must be a tuple of str, got {shown(names)}")
            object.__setattr__(self, name, tuple(names))
            if fits and len(names) != size:
                raise ValueError(
                    f"Model: {name} must have {size:,} names like the network's "
                    f"{'inputs' if size is features else 'outputs'}, got {len(names):,}"
                )

    @classmethod
    def of(cls, network: Network, dataset: Dataset) -> Model:
        """The model of a network trained on a `fastsnn.data.Dataset`."""
        return cls(
            network, dataset.task, dataset.inputs, dataset.targets, dataset.class_names,
            dataset.feature_names, dataset.target_names,
        )  # fmt: skip

    def __repr__(self) -> str:
        names = self.class_names or self.target_names
        of = f" of {len(names):,} ({listed(names)})" if names else ""
        return (
            f"Model({self.task}{of}, {self.network.input_size:,} features, "
            f"{len(self.network.nodes)} layers, {self.network.n_parameters:,} parameters)"
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write network, standardization, task and names to a safetensors file, replaced
        atomically. `fastsnn.load_model` and the command line read it.
        """
        modelfile.write(path, *self._contents())

    def _contents(self) -> tuple[Sequence[Layer], tuple[int, int], Arrays, dict[str, Any]]:
        """Arguments of `modelfile.write` after the path: layers, sizes, tensors, description."""
        network = self.network
        tensors = network.state_dict()
        tensors |= {"inputs.mean": self.inputs.mean, "inputs.scale": self.inputs.scale}
        if self.targets is not None:
            tensors |= {"targets.mean": self.targets.mean, "targets.scale": self.targets.scale}
        description = {"task": self.task} | {name: getattr(self, name) for name in NAMES}
        return network.layers, (network.input_size, network.output_size), tensors, description

    def predict(self, x: object, threads: int | None = None) -> np.ndarray:
        """Predictions for raw features.

        Parameters
        ----------
        x : (n, features)
            An array of any type of numbers or a list of rows, by position; or a data frame, of
            which the columns are taken by name where the model has `feature_names`: others are
            ignored, missing ones refused. uint8, float32 and float64 are taken without a copy.

        Returns
        -------
        classification: probabilities (n, classes) float32, their argmax the class. multitask:
        probabilities (n, tasks) float32. regression: values (n, targets) in the units of the data,
        float64 (float32 for a model of version 0.1).

        Raises
        ------
        ValueError, TypeError : with row and column, for NaN, infinity, text, masked entries,
            complex numbers and missing columns.
        """
        z = self.network.forward(self._standardized(x), threads)
        if self.task == "classification":
            probabilities: np.ndarray = np.exp(log_softmax(z)).astype(np.float32)
            return probabilities
        if self.task == "multitask":
            return (0.5 * (1 + np.tanh(0.5 * z.astype(np.float64)))).astype(np.float32)
        return z if self.targets is None else self.targets.inverse_transform(z)

    def evaluate(self, x: object, y: object, threads: int | None = None) -> dict[str, float]:
        """Figures (`fastsnn.metrics.evaluate`) on raw features and labels.

        Parameters
        ----------
        x : as for `predict`.
        y : classification: the class numbers (n,), or text: the class names. Integers are refused
            where they may be meant as names, too (names "3", "5", "7"). multitask: (n, tasks) of 0,
            1 and NaN (missing). regression: (n, targets) in the units of the data.

        Raises
        ------
        ValueError, TypeError : with the row, for labels that the model does not have.
        """
        x = self._standardized(x)
        outputs = self.network.output_size
        if self.task == "classification":
            y = encode.classes(y, len(x), outputs, self.class_names)
        else:
            y = encode.targets(y, len(x), outputs, self.target_names, self.task == "multitask")
        return self.judge(self._part(x, y), threads)

    def judge(
        self,
        part: Split,
        threads: int | None = None,
        x: Placed | None = None,
        loss: Loss | None = None,
    ) -> dict[str, float]:
        """Figures on a part of a `fastsnn.data.Dataset`, whose features are standardized already.

        x: the part's features on a device, if they have been placed there. loss: of the figure
        "loss"; by default the one that the task suggests.
        """
        z = self.network.forward(part.x if x is None else x, threads)
        scale = units = None
        if self.targets is not None and part.raw_y is not None:
            units = self.targets.inverse_transform(z), part.raw_y
        elif self.targets is not None:
            scale = self.targets.scale
        return metrics.evaluate(self.task, z, part.y, scale, units, loss)

    def judge_raw(
        self, x: np.ndarray, y: np.ndarray, threads: int | None = None
    ) -> dict[str, float]:
        """Figures on a part of a `fastsnn.data.Table` that was read with the model's names."""
        return self.judge(self._part(self._standardized(x), y), threads)

    def _part(self, x: np.ndarray | ByteRows, y: np.ndarray) -> Split:
        if self.targets is None:
            return Split(x, y)
        return Split(x, self.targets.transform(y, names=self.target_names, where="y"), y)

    def _standardized(self, x: object) -> np.ndarray | ByteRows:
        if isinstance(x, ByteRows):
            return ByteRows(x.bytes, self.inputs, x.rows)
        x = arrays.table(x, self.network.input_size, self.feature_names)
        return self.inputs.transform(x, names=self.feature_names)
