"""Data frames with text and gaps: the recipe of an estimator, and the columns it encodes."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils import check_array

from fastsnn.checks.scalars import listed, shown
from fastsnn.tables.columns import Columns, names_of
from fastsnn.tables.frames import is_frame
from fastsnn.tables.learn import COUNTER, IDENTIFIER
from fastsnn.tables.recipe import Recipe
from fastsnn.tables.values import missing

OPTIONS = tuple(
    name
    for name, parameter in inspect.signature(Recipe.fit).parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY
)
# `warnings.warn` in `learn` is called by `_train`, `fit`, the wrapper of scikit-learn, the user.
CALLER = 5


def to_encode(estimator: Any, X: Any) -> Columns | None:
    """Return the columns of a data frame that `estimator.recipe` encodes, for a new recipe.

    None: X is used as numbers. With "auto" those are arrays, lists, and data frames of numbers and
    booleans without missing values.
    """
    option, name = estimator.recipe, type(estimator).__name__
    if option is None:
        return None
    if isinstance(option, str):  # "auto"
        return _mixed(X) if _is_table(X) else None
    for key in option:
        if key not in OPTIONS:
            raise ValueError(
                f"{name}: recipe: options of Recipe.fit are required ({', '.join(OPTIONS)}), got "
                f"{shown(key)}"
            )
    if not _is_table(X):
        raise TypeError(
            f"{name}: X must be a data frame, because recipe has options, got {type(X).__name__}; "
            "leave recipe out for an array"
        )
    drop = _dropped(option)
    columns = Columns.of(X, "X", [column for column in names_of(X) if column not in drop])
    if not columns.n_rows:
        raise ValueError(f"{name}: X: at least one column and one row are required, got none")
    return columns


def known(estimator: Any, X: Any) -> Columns | None:
    """Return the columns of rows for the recipe of a fitted estimator; None if it has none.

    The names of a data frame must be those of the training, in the same order, as everywhere in
    scikit-learn. The columns of an array are found by position, with a warning.
    """
    recipe = estimator.model_.recipe
    if recipe is None:
        return None
    names, name = estimator.feature_names_in_.tolist(), type(estimator).__name__
    if _is_table(X):
        _require_names(names_of(X), names, name)
        return Columns.of(X, "X", recipe.column_names)
    array = check_array(X, dtype=None, ensure_all_finite=False, estimator=estimator)
    if array.shape[1] != len(names):
        raise ValueError(
            f"X has {array.shape[1]} features, but {name} is expecting {len(names)} features as "
            "input."
        )
    warnings.warn(
        f"X does not have valid feature names, but {name} was fitted with feature names",
        UserWarning,
        stacklevel=CALLER - 1,
    )
    return Columns.of({column: array[:, i] for i, column in enumerate(names)}, "X")


def learn(estimator: Any, columns: Columns, rows: np.ndarray | slice) -> Recipe:
    """Return the recipe of these rows.

    A warning names columns like identifiers, because a person should decide about them. Other
    notes, such as those about constant columns, which are frequent in folds, are shown on stderr
    with `verbose`.
    """
    option = {} if isinstance(estimator.recipe, str) else dict(estimator.recipe)
    if drop := _dropped(option):
        left_out = set(estimator.feature_names_in_) - set(columns)
        option["drop"] = [column for column in drop if column not in left_out]
    recipe = Recipe.fit(columns, None if isinstance(rows, slice) else rows, **option)
    for note in recipe.notes:
        if note.startswith((IDENTIFIER, COUNTER)):
            warnings.warn(f"{type(estimator).__name__}: {note}", UserWarning, stacklevel=CALLER)
        elif estimator.verbose:
            print(f"recipe: {note}", file=sys.stderr)
    return recipe


def _is_table(X: Any) -> bool:
    return isinstance(X, Columns) or is_frame(X)


def _dropped(option: dict[str, Any]) -> list[Any]:
    """Return the option "drop"; nothing if it is no list of names, which `Recipe.fit` refuses."""
    drop = option.get("drop", ())
    return list(drop) if isinstance(drop, list | tuple | set | frozenset) else []


def _mixed(X: Any) -> Columns | None:
    """Return the columns of a data frame with a missing value, or a column that is not a number."""
    types = _types(X)
    try:
        columns = Columns.of(X, "X")
    except (TypeError, ValueError, RuntimeError):
        # Numbers need neither text as column names nor narwhals.
        if all(getattr(of, "kind", "") in tuple("biufc") for of in types):
            return None
        raise
    durations = any(str(of).lower().startswith(("timedelta", "duration")) for of in types)
    encoded = durations or any(
        values.dtype.kind in "OM" or bool(missing(values).any()) for values in columns.values()
    )
    return columns if encoded else None


def _types(X: Any) -> list[Any]:
    """Return the type of each column in the library of the data frame."""
    if hasattr(X, "schema") and hasattr(X.schema, "types"):  # PyArrow
        return list(X.schema.types)
    return list(getattr(X, "dtypes", ()))


def _require_names(names: Sequence[str], wanted: Sequence[str], where: str) -> None:
    """Raise ValueError unless the names of columns are those of the training, in their order."""
    if list(names) == list(wanted):
        return
    absent = [name for name in wanted if name not in names]
    unseen = [name for name in names if name not in wanted]
    details = []
    if absent:
        details.append(f"missing: {listed(absent)}")
    if unseen:
        details.append(f"not in the training: {listed(unseen)}")
    if not details:
        details.append("use X[snn.feature_names_in_] for another order")
    raise ValueError(
        f"{where}: X: the columns of the training are required, in the same order; "
        f"{'; '.join(details)}"
    )
