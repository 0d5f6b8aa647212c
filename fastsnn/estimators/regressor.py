"""`SNNRegressor`."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin, _fit_context

from fastsnn.estimators.base import BaseSNN
from fastsnn.estimators.options import AUTO
from fastsnn.estimators.rows import Rows
from fastsnn.losses import Loss
from fastsnn.optimizers import Optimizer
from fastsnn.schedules import Schedule


class SNNRegressor(RegressorMixin, BaseSNN):  # type: ignore[misc]  # scikit-learn has no types
    """DOC"""

    _y_numeric = True

    def __init__(
        self,
        hidden_layer_sizes: Any = None,
        layers: int = 4,
        width: int = 256,
        *,
        dropout_rate: float | str = AUTO,
        loss: str | Loss = AUTO,
        solver: str | Optimizer = "sgd",
        learning_rate_init: float | str = AUTO,
        schedule: str | Schedule = "cosine",
        momentum: float = 0.0,
        nesterovs_momentum: bool = False,
        weight_decay: float | str = AUTO,
        batch_size: int | str = AUTO,
        max_iter: int | str = AUTO,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: float = 10,
        scoring: Any = None,
        standardize: bool = True,
        warm_start: bool = False,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: bool | int = False,
        backend: str = "cpu",
        precision: str = "float32",
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.layers = layers
        self.width = width
        self.dropout_rate = dropout_rate
        self.loss = loss
        self.solver = solver
        self.learning_rate_init = learning_rate_init
        self.schedule = schedule
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.scoring = scoring
        self.standardize = standardize
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.backend = backend
        self.precision = precision

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> SNNRegressor:
        """Train the network.

        Parameters
        ----------
        X : array-like (n_samples, n_features)
            Finite numbers; a data frame's column names are kept.
        y : array-like (n_samples,) or (n_samples, n_outputs)
            Finite numbers.
        sample_weight : array-like (n_samples,), optional
            Weights >= 0. Rows with weight 0 are ignored. Default: 1.

        Returns
        -------
        SNNRegressor
            This estimator.

        Raises
        ------
        TypeError, ValueError
            For parameters and arrays of another type, shape or range.
        FloatingPointError
            The training has diverged, see `Trainer.step`.
        """
        return self._train(X, y, sample_weight, partial=False)

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> SNNRegressor:
        """Train the network for one epoch of these rows, with a constant learning rate.

        The first call makes the network, and the standardization from its rows, which later calls
        keep. Parameters, result and errors are those of `fit`.
        """
        return self._train(X, y, sample_weight, partial=True)

    def predict(self, X: Any) -> np.ndarray:
        """Return the predictions, in the units of the training targets.

        Parameters
        ----------
        X : array-like (n_samples, n_features)

        Returns
        -------
        float64 array (n_samples,) or (n_samples, n_outputs)
            As the targets of the training.
        """
        z = self._raw(X)
        targets = self.model_.targets
        y = z.astype(np.float64) if targets is None else targets.inverse_transform(z)
        return y[:, 0] if self._flat else y

    def _encode(self, given: Rows, fresh: bool, classes: Any) -> tuple[str, np.ndarray]:
        """Return the task, and the targets as (n, outputs) float64."""
        y = given.y.astype(np.float64)
        flat = y.ndim == 1
        y = y.reshape(len(y), -1)
        if fresh:
            self._flat, self.n_outputs_ = flat, y.shape[1]
        elif y.shape[1] != self.n_outputs_:
            raise ValueError(
                f"SNNRegressor: y: {self.n_outputs_} columns are required, as before, got "
                f"{y.shape[1]}"
            )
        return "regression", y

    def _class_weight(self, data: Rows) -> None:
        return None

    def _class_names(self) -> None:
        return None
