"""A network with what it needs to be used on raw data: standardization, task, names."""

from dataclasses import dataclass

import numpy as np

from fastsnn import metrics
from fastsnn.data.standardize import Standardizer
from fastsnn.losses import log_softmax
from fastsnn.network import Network


@dataclass(frozen=True, eq=False)
class Model:
    """What `model.safetensors` holds.

    network : Network
    task : "classification", "multitask" or "regression"
    inputs : Standardizer of the features; targets : Standardizer of the targets (regression), or
    None class_names, feature_names, target_names : tuples of str, or None where the data has none
    """

    network: Network
    task: str
    inputs: Standardizer
    targets: Standardizer | None = None
    class_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    target_names: tuple[str, ...] | None = None

    @classmethod
    def of(cls, network: Network, dataset) -> "Model":
        """The model of a network trained on a `fastsnn.data.Dataset`."""
        return cls(
            network, dataset.task, dataset.inputs, dataset.targets, dataset.class_names,
            dataset.feature_names, dataset.target_names,
        )  # fmt: skip

    def predict(self, x: np.ndarray, threads: int | None = None) -> np.ndarray:
        """Predictions for raw features x (n, features).

        classification: probabilities (n, classes) float32, their argmax the class. multitask:
        probabilities (n, tasks). regression: values (n, targets) in the units of the data.
        """
        z = self.network.forward(self.inputs.apply(x), threads)
        if self.task == "classification":
            return np.exp(log_softmax(z)).astype(np.float32)
        if self.task == "multitask":
            return (0.5 * (1 + np.tanh(0.5 * z.astype(np.float64)))).astype(np.float32)
        return z if self.targets is None else self.targets.invert(z)

    def evaluate(
        self, x: np.ndarray, y: np.ndarray, threads: int | None = None
    ) -> dict[str, float]:
        """Figures (`fastsnn.metrics.evaluate`) for standardized x and y, as a `Dataset` holds
        them.
        """
        z = self.network.forward(x, threads)
        scale = None if self.targets is None else self.targets.scale
        return metrics.evaluate(self.task, z, y, scale)
