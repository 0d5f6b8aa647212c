"""The paper's reference classifiers, from scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastsnn.data.dataset import Split
from fastsnn.metrics import roc_auc

TREES = 500  # trees of a random forest
MOST_ROWS = 8000  # training rows of a support vector machine; its time is quadratic in them
# Hyperparameters tried for each classifier, selected on the validation rows.
CLASSIFIERS: dict[str, dict[str, tuple[Any, ...]]] = {
    "forest": {},
    "svm": {"c": (1.0, 10.0, 100.0), "gamma": (0.1, 1.0)},
    "bayes": {},
    "tree": {},
}


def require() -> None:
    """Raise RuntimeError if scikit-learn is not installed."""
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise RuntimeError(
            "--references needs scikit-learn, which is not installed; pip install '.[paper]'"
        ) from error


def build(options: Mapping[str, Any]) -> Any:
    """Return the unfitted classifier of a trial's options.

    forest: TREES trees. svm: Gaussian kernel, gamma in units of 1 / features. tree: splits by
    information gain, as C4.5; leaves of at least 20 rows, so that they give probabilities.
    """
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.naive_bayes import GaussianNB
    from sklearn.svm import SVC
    from sklearn.tree import DecisionTreeClassifier

    seed = options["seed"]
    if options["method"] == "forest":
        return RandomForestClassifier(TREES, random_state=seed)
    if options["method"] == "svm":
        gamma = options["gamma"] / options["features"]
        return SVC(C=options["c"], gamma=gamma, cache_size=500, random_state=seed)
    if options["method"] == "bayes":
        return GaussianNB()
    return DecisionTreeClassifier(criterion="entropy", min_samples_leaf=20, random_state=seed)


def fitted(options: Mapping[str, Any], part: Split) -> Any:
    """Return the classifier fitted to the rows of `part`.

    Raises FloatingPointError if these have a single class; a search records that as diverged.
    """
    model = build({**options, "features": part.x.shape[1]})
    rows = np.arange(len(part))
    if options["method"] == "svm" and len(rows) > MOST_ROWS:
        rows = np.random.Generator(np.random.Philox(key=options["seed"])).permutation(rows)
        rows = rows[:MOST_ROWS]
    if len(np.unique(part.y[rows])) < 2:
        raise FloatingPointError("its training rows have a single class")
    return model.fit(part.features[rows], part.y[rows])


def classify(options: Mapping[str, Any], parts: tuple[Split, Split, Split]) -> dict[str, float]:
    """Return {"score": accuracy on the validation rows, "test": accuracy on the test rows}."""
    training, validation, held = parts
    model = fitted(options, training)
    score, test = (float((model.predict(p.x) == p.y).mean()) for p in (validation, held))
    return {"score": score, "test": test}


def detect(options: Mapping[str, Any], parts: tuple[Split, Split, Split]) -> dict[str, float]:
    """Return what `classify` does, with the area under the ROC curve of two classes."""
    training, validation, held = parts
    model = fitted(options, training)
    score, test = (roc_auc(_margin(model, p.features), p.y) for p in (validation, held))
    return {"score": score, "test": test}


def _margin(model: Any, x: np.ndarray) -> np.ndarray:
    if hasattr(model, "decision_function"):
        margin: np.ndarray = model.decision_function(x)
    else:
        margin = model.predict_proba(x)[:, 1]
    return margin


def seconds(options: Mapping[str, Any], rows: int, features: int) -> float:
    """Return the estimated seconds of a fit on one processor, accurate to a factor of 2."""
    if options["method"] == "forest":
        return 0.6 + 1.5e-4 * rows * float(np.sqrt(features))
    if options["method"] == "svm":
        return 1.5e-8 * min(rows, MOST_ROWS) ** 2 * (4 + features / 8) + 0.01
    return 0.01 + 1e-7 * rows * features
