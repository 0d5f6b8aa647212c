"""The part of a classifier that is about labels: classes, weights, names, raw outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import column_or_1d

from fastsnn.estimators import labels
from fastsnn.estimators.base import BaseSNN
from fastsnn.estimators.rows import Rows
from fastsnn.losses import log_softmax


class LabelledSNN(BaseSNN):
    """Base class of `SNNClassifier`: the methods of `BaseSNN` for labels."""

    _y_numeric = False
    classes_: np.ndarray
    _multilabel: bool

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the raw outputs of the network.

        Parameters
        ----------
        X : array-like (n_samples, n_features)

        Returns
        -------
        float64 array
            Two classes: (n_samples,), the logarithm of the odds of ``classes_[1]``. More classes:
            (n_samples, n_classes), whose softmax are the probabilities. Multilabel targets:
            (n_samples, n_labels), whose sigmoid are the probabilities. Several members: log odds
            of the mean probability; for more than two classes, its logarithm.

        Raises
        ------
        sklearn.exceptions.NotFittedError, ValueError
            As `predict`.
        """
        z = self._raw(X).astype(np.float64)
        odds: np.ndarray = z[:, 1] - z[:, 0] if not self._multilabel and z.shape[1] == 2 else z
        return odds

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithms of `predict_proba`, without underflow."""
        z = self._raw(X)
        return -np.logaddexp(0, -z.astype(np.float64)) if self._multilabel else log_softmax(z)

    def _encode(self, given: Rows, fresh: bool, classes: Any) -> tuple[str, np.ndarray]:
        """Set `classes_`; return the task, and class numbers (n,) or labels (n, labels)."""
        multilabel = labels.is_multilabel(given.y)
        if fresh:
            self._multilabel = multilabel
        elif multilabel != self._multilabel:
            raise ValueError(
                f"SNNClassifier: y: {'an indicator matrix' if self._multilabel else 'labels (n,)'}"
                f" as before are required, got shape {given.y.shape}"
            )
        if multilabel:
            columns = given.y.shape[1]
            required = columns if fresh and classes is None else len(self.classes_)
            if columns != required:
                raise ValueError(
                    f"SNNClassifier: y: {required} columns are required, got {columns}"
                )
            self.classes_ = np.arange(columns)
        else:
            y = column_or_1d(given.y, warn=True)
            if fresh and classes is None:
                self.classes_ = np.unique(y)
            encoded = labels.numbered(y, self.classes_)
            labels.require_two(self.classes_)
        self.n_outputs_ = len(self.classes_)
        if multilabel:
            return "multitask", given.y.astype(np.float64)
        return "classification", encoded

    def _class_weight(self, data: Rows) -> np.ndarray | None:
        return labels.weights(self.class_weight, self.classes_, data.y, data.weight)

    def _keep_held(self, prediction: np.ndarray | None) -> None:
        self.oof_decision_function_ = prediction

    def _judge_held(
        self, y: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None
    ) -> float:
        if self._multilabel:
            right = ((prediction > 0.5) == y).all(axis=1)
        else:
            right = prediction.argmax(axis=1) == y
        return float(np.average(right, weights=weight)) if len(y) else float("nan")

    def _class_names(self) -> tuple[str, ...] | None:
        return None if self._multilabel else labels.names(self.classes_)
