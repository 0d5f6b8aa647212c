"""Small data and small estimators, for the tests of estimators."""

import numpy as np
from sklearn.datasets import load_diabetes, load_digits, make_multilabel_classification

import fastsnn as fs

SMALL = {"layers": 2, "width": 16, "solver": "sgd", "max_iter": 4, "random_state": 3}
PLAIN = "softmax_cross_entropy"  # the loss without label smoothing
X, DIGITS = (part[:400] for part in load_digits(return_X_y=True))
NAMES = np.array([f"digit {i}" for i in range(10)])[DIGITS]
XR, Y = load_diabetes(return_X_y=True)
Y2 = np.stack([Y, 100 - 3 * XR[:, 2]], axis=1)
XM, LABELS = make_multilabel_classification(200, 6, n_classes=4, random_state=0)


def classifier(**options):
    return fs.SNNClassifier(**{**SMALL, **options})


def regressor(**options):
    return fs.SNNRegressor(**{**SMALL, **options})


def proba(estimator, x=X):
    return estimator.predict_proba(x)
