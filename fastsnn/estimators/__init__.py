"""Estimators with scikit-learn's interface. `fastsnn` loads this package at the first use of one of
them, because it needs scikit-learn: ``pip install '.[sklearn]'`` in the checkout.
"""

from fastsnn.estimators.classifier import SNNClassifier
from fastsnn.estimators.regressor import SNNRegressor

__all__ = ["SNNClassifier", "SNNRegressor"]
