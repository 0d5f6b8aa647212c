"""Labels of a classifier: class numbers, their names and their weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from fastsnn.checks import inputs as check
from fastsnn.tables.cells import number_name

WHERE = "SNNClassifier"


def is_multilabel(y: np.ndarray) -> bool:
    """Return True for an indicator matrix (n, labels), False for one label per row.

    Raises ValueError for missing values, for numbers that are no labels, and for several columns of
    labels.
    """
    if y.dtype.kind == "O" and any(value is None for value in y.flat):
        row = next(i for i, value in enumerate(y.flat) if value is None) // (y.size // len(y))
        raise ValueError(
            f"{WHERE}: y: labels are required, got None in row {row}; leave out such rows"
        )
    check_classification_targets(y)
    kind = type_of_target(y, input_name="y")
    if kind == "multiclass-multioutput":
        raise ValueError(
            f"{WHERE}: y: one label per row, or an indicator matrix of 0 and 1, is required, got "
            "several columns with more than two values; train a classifier for each column, for "
            "example with sklearn.multioutput.MultiOutputClassifier"
        )
    return bool(kind == "multilabel-indicator")


def numbered(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the class number of each label y (n,). classes: sorted. Raises ValueError for labels
    that are not among them.
    """
    numbers = np.searchsorted(classes, y).clip(max=len(classes) - 1)
    unknown = classes[numbers] != y
    if unknown.any():
        row = int(np.argmax(unknown))
        raise ValueError(
            f"{WHERE}: y: labels of classes_ are required, got {y.tolist()[row]!r} in row {row}, "
            "which is not one of them"
        )
    return numbers.astype(np.int64)


def require_two(classes: np.ndarray) -> None:
    """Raise ValueError for fewer than two classes."""
    if len(classes) < 2:
        raise ValueError(
            f"{WHERE}: y: at least 2 classes are required, got 1 class, {classes.tolist()[0]!r}"
        )


def weights(
    given: dict[Any, float] | str | None,
    classes: np.ndarray,
    y: np.ndarray,
    row_weight: np.ndarray | None,
) -> np.ndarray | None:
    """Return the weights of the outputs, (n_outputs,).

    given: `class_weight` of the estimator. y: class numbers (n,), or labels (n, n_outputs).
    """
    if given is None:
        return None
    if isinstance(given, dict):
        weight = np.ones(len(classes))
        known = {label: i for i, label in enumerate(classes.tolist())}
        unknown = [label for label in given if label not in known]
        # As in scikit-learn, a label without rows is fine if all classes have a weight.
        if unknown and len(given) - len(unknown) < len(known):
            raise ValueError(
                f"{WHERE}: class_weight: keys of classes_ are required, got {unknown[0]!r}"
            )
        for label in given.keys() - set(unknown):
            weight[known[label]] = given[label]
        return weight
    if y.ndim == 1:
        return check.balanced(y, check.NO_TARGETS, len(classes), row_weight)
    return check.balanced(check.NO_INTEGERS, y, len(classes), row_weight)


def names(classes: np.ndarray) -> tuple[str, ...] | None:
    """Return the names of the classes for a model file, spelled as the command line spells them;
    None if two of them have the same name.
    """
    found = tuple(
        number_name(value) if type(value) in (int, float) else str(value)
        for value in classes.tolist()
    )
    return found if len(set(found)) == len(found) else None
