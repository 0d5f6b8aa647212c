"""`SNNClassifier`."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    check_classification_targets,
    type_of_target,
)

from fastsnn.data.cells import number_name
from fastsnn.estimators.base import BaseSNN
from fastsnn.estimators.options import AUTO
from fastsnn.estimators.rows import Rows
from fastsnn.losses import Loss, log_softmax
from fastsnn.optimizers import Optimizer
from fastsnn.schedules import Schedule


class SNNClassifier(ClassifierMixin, BaseSNN):  # type: ignore[misc]  # scikit-learn has no types
    """DOC"""

    _y_numeric = False
    _parameter_constraints = {
        **BaseSNN._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = None,
        layers: int = 8,
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
        class_weight: dict[Any, float] | str | None = None,
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
        self.class_weight = class_weight
        self.standardize = standardize
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.backend = backend
        self.precision = precision

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> SNNClassifier:
        """Train the network.

        Parameters
        ----------
        X : array-like (n_samples, n_features)
            Finite numbers; a data frame's column names are kept.
        y : array-like (n_samples,) or (n_samples, n_labels)
            Labels of at least two classes, numbers or text; or, for several labels per row, an
            indicator matrix of 0 and 1.
        sample_weight : array-like (n_samples,), optional
            Weights >= 0. Rows with weight 0 are ignored. Default: 1.

        Returns
        -------
        SNNClassifier
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
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> SNNClassifier:
        """Train the network for one epoch of these rows, with a constant learning rate.

        The first call makes the network, and the standardization from its rows, which later calls
        keep.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`. `y` need not contain all classes.
        classes : array-like (n_classes,)
            Labels of all classes; required in the first call. For indicator matrices, the numbers
            of the columns.

        Returns
        -------
        SNNClassifier
            This estimator.

        Raises
        ------
        TypeError, ValueError, FloatingPointError
            As `fit`; and for ``class_weight="balanced"``, because it needs all rows.
        """
        if self.class_weight == "balanced":
            raise ValueError(
                'SNNClassifier: class_weight="balanced" is not supported by partial_fit, because '
                "it needs all rows; give a dict"
            )
        if not hasattr(self, "model_") and hasattr(self, "classes_"):
            del self.classes_  # of a call that failed
        _check_partial_fit_first_call(self, classes)
        return self._train(X, y, sample_weight, partial=True, classes=self.classes_)

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted labels.

        Parameters
        ----------
        X : array-like (n_samples, n_features)

        Returns
        -------
        array (n_samples,) or int array (n_samples, n_labels)
            The most probable class of each row; for several labels, an indicator matrix of those
            with a probability above 0.5.
        """
        z = self._raw(X)
        if self._multilabel:
            return (z > 0).astype(np.int64)
        labels: np.ndarray = self.classes_[z.argmax(axis=1)]
        return labels

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the raw outputs of the network.

        Parameters
        ----------
        X : array-like (n_samples, n_features)

        Returns
        -------
        float64 array
            Two classes: (n_samples,), the logarithm of the odds of ``classes_[1]``. More classes:
            (n_samples, n_classes), whose softmax are the probabilities. Several labels:
            (n_samples, n_labels), whose sigmoid are the probabilities.
        """
        z = self._raw(X).astype(np.float64)
        return z[:, 1] - z[:, 0] if not self._multilabel and z.shape[1] == 2 else z

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities.

        Parameters
        ----------
        X : array-like (n_samples, n_features)

        Returns
        -------
        float64 array
            (n_samples, n_classes), in the order of `classes_`. Several labels: (n_samples,
            n_labels), the probability of each label, as `MLPClassifier` returns them.
        """
        z = self._raw(X)
        if self._multilabel:
            return 0.5 * (1 + np.tanh(0.5 * z.astype(np.float64)))
        return np.exp(log_softmax(z))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithms of `predict_proba`, without underflow."""
        z = self._raw(X)
        return -np.logaddexp(0, -z.astype(np.float64)) if self._multilabel else log_softmax(z)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _encode(self, given: Rows, fresh: bool, classes: Any) -> tuple[str, np.ndarray]:
        """Set `classes_`; return the task, and class numbers (n,) or labels (n, labels)."""
        y = given.y
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y")
        if kind == "multiclass-multioutput":
            raise ValueError(
                "SNNClassifier: y: one label per row, or an indicator matrix of 0 and 1, is "
                "required, got several columns with more than two values; train a classifier for "
                "each column, for example with sklearn.multioutput.MultiOutputClassifier"
            )
        multilabel = kind == "multilabel-indicator"
        if fresh:
            self._multilabel = multilabel
        elif multilabel != self._multilabel:
            raise ValueError(
                f"SNNClassifier: y: {'an indicator matrix' if self._multilabel else 'labels (n,)'}"
                f" as before are required, got shape {y.shape}"
            )
        if multilabel:
            return "multitask", self._indicators(y, fresh, classes)
        y = column_or_1d(y, warn=True)
        if fresh and classes is None:
            self.classes_, numbers = np.unique(y, return_inverse=True)
        else:
            numbers = np.searchsorted(self.classes_, y).clip(max=len(self.classes_) - 1)
            unknown = self.classes_[numbers] != y
            if unknown.any():
                row = int(np.argmax(unknown))
                raise ValueError(
                    f"SNNClassifier: y: labels of classes_ are required, got {y[row]!r} in row "
                    f"{row}, which is not one of them"
                )
        if len(self.classes_) < 2:
            raise ValueError(
                "SNNClassifier: y: at least 2 classes are required, got 1 class: "
                f"{self.classes_[0]!r}"
            )
        self.n_outputs_ = len(self.classes_)
        return "classification", numbers.astype(np.int64)

    def _indicators(self, y: np.ndarray, fresh: bool, classes: Any) -> np.ndarray:
        """Return an indicator matrix as float64 (n, labels)."""
        labels = y.shape[1] if fresh and classes is None else len(self.classes_)
        if y.shape[1] != labels:
            raise ValueError(f"SNNClassifier: y: {labels} columns are required, got {y.shape[1]}")
        self.classes_, self.n_outputs_ = np.arange(labels), labels
        return y.astype(np.float64)

    def _class_weight(self, data: Rows) -> Any:
        """Return the weights of the outputs, (n_outputs,), or None."""
        given = self.class_weight
        if given is None:
            return None
        weight = np.ones(self.n_outputs_)
        if isinstance(given, dict):
            known = {label: i for i, label in enumerate(self.classes_.tolist())}
            unknown = [label for label in given if label not in known]
            if unknown and len(given) - len(unknown) < len(known):
                raise ValueError(
                    f"SNNClassifier: class_weight: keys of classes_ are required, got "
                    f"{unknown[0]!r}"
                )
            for label in given.keys() - set(unknown):
                weight[known[label]] = given[label]
            return weight
        of_row = np.ones(len(data.x)) if data.weight is None else data.weight
        if self._multilabel:
            positive = of_row @ data.y
            negative = of_row.sum() - positive
            both = (positive > 0) & (negative > 0)
            weight[both] = negative[both] / positive[both]
            return weight
        sums = np.bincount(data.y, of_row, self.n_outputs_)
        present = sums > 0
        weight[present] = sums.sum() / (present.sum() * sums[present])
        return weight

    def _class_names(self) -> tuple[str, ...] | None:
        """Return the names of the classes in model files, as the command line spells them."""
        if self._multilabel:
            return None
        names = tuple(
            number_name(value) if type(value) in (int, float) else str(value)
            for value in self.classes_.tolist()
        )
        return names if len(set(names)) == len(names) else None
