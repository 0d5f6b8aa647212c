"""The compared systems, each at its defaults, on one thread.

A system is a function of a `Part` that returns an estimator and the form of its input. Networks and
SVMs of scikit-learn get one preprocessing, `_prepared`; trees get numbers and categories as they
are. Targets of a regression are standardized for those systems that do not do so themselves and
need it: networks and SVMs.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .tasks import SEED, Task

MOST_CATEGORIES = 100  # one-hot features of a column; rarer categories share one
MOST_SVM_ROWS = 10_000  # a kernel machine needs time of at least the square of the rows
MOST_HISTOGRAM = 254  # categories of a column in HistGradientBoosting, one of them "other"


@dataclass(frozen=True, eq=False)
class Part:
    """One fold of a task; classes are numbered 0, 1, ... in its training rows."""

    task: Task
    train: np.ndarray
    test: np.ndarray
    y: np.ndarray  # of the training rows

    @property
    def regression(self) -> bool:
        return self.task.task == "regression"


class Made(NamedTuple):
    """An estimator and the function (part, rows) that returns its input."""

    estimator: Any
    form: Callable[[Part, np.ndarray], Any]
    most_rows: int | None = None  # training rows, a random subsample of this size


class System(NamedTuple):
    """A system: name in tables, its packages as they are imported, and as pip installs them."""

    title: str
    modules: tuple[str, ...]
    packages: tuple[str, ...]
    make: Callable[[Part], Made]

    def missing(self) -> str | None:
        """Return the packages to install if one is missing."""
        lacking = any(importlib.util.find_spec(module) is None for module in self.modules)
        return " ".join(self.packages) if lacking else None

    def versions(self) -> dict[str, str]:
        return {name: importlib.metadata.version(name) for name in self.packages}


def array(part: Part, rows: np.ndarray) -> np.ndarray:
    return part.task.x[rows]


def frame(part: Part, rows: np.ndarray, most: int | None = None) -> Any:
    """Return a pandas data frame: float columns, and categories of dtype "category".

    most: a column with more categories keeps the most frequent ones of the training rows; the
    others become one category.
    """
    import pandas

    table = pandas.DataFrame(part.task.x[rows])
    table.columns = [f"c{i}" for i in range(table.shape[1])]
    for i in part.task.categorical:
        codes, known = part.task.x[:, i], np.unique(part.task.x[:, i])
        known = known[~np.isnan(known)]
        values = codes[rows]
        if most is not None and len(known) > most:
            seen, counts = np.unique(codes[part.train], return_counts=True)
            seen, counts = seen[~np.isnan(seen)], counts[~np.isnan(seen)]
            kept = np.sort(seen[np.argsort(-counts, kind="stable")[: most - 1]])
            values = np.where(np.isin(values, kept) | np.isnan(values), values, -1)
            known = np.concatenate([[-1.0], kept])
        names = [f"k{int(code)}" for code in known]
        places = np.where(np.isnan(values), -1, np.searchsorted(known, values))
        table[f"c{i}"] = pandas.Categorical.from_codes(places.astype(int), names)
    return table


def _prepared(part: Part, estimator: Any) -> Any:
    """Return a pipeline that imputes, standardizes and encodes.

    Numbers: median with an indicator, mean 0 and variance 1. Categories: missing values are a
    category, one-hot, at most MOST_CATEGORIES of a column.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    categories = list(part.task.categorical)
    numbers = [i for i in range(part.task.x.shape[1]) if i not in part.task.categorical]
    one_hot = OneHotEncoder(
        handle_unknown="infrequent_if_exist", max_categories=MOST_CATEGORIES, sparse_output=False
    )
    columns = ColumnTransformer([
        ("numbers", make_pipeline(SimpleImputer(strategy="median", add_indicator=True),
                                  StandardScaler()), numbers),
        ("categories", make_pipeline(SimpleImputer(strategy="constant", fill_value=-1.0), one_hot),
         categories),
    ])  # fmt: skip
    return make_pipeline(columns, estimator)


def _scaled(part: Part, estimator: Any) -> Any:
    """Return a pipeline with `_prepared`, and a standardized target if it is a regression."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.preprocessing import StandardScaler

    pipeline = _prepared(part, estimator)
    if not part.regression:
        return pipeline
    return TransformedTargetRegressor(pipeline, transformer=StandardScaler())


def _network(part: Part, **options: Any) -> Made:
    """Return `SNNClassifier` or `SNNRegressor`; columns of raw tables are encoded by its recipe."""
    import fastsnn

    kind = fastsnn.SNNRegressor if part.regression else fastsnn.SNNClassifier
    recipe = None if part.task.columns is None else {}
    return Made(kind(random_state=SEED, n_jobs=1, recipe=recipe, **options), _columns)


def _columns(part: Part, rows: np.ndarray) -> Any:
    from fastsnn.tables import Columns

    if part.task.columns is None:
        return part.task.x[rows]
    return Columns({name: values[rows] for name, values in part.task.columns.items()})


def snn(part: Part) -> Made:
    return _network(part)


def snn_members(part: Part) -> Made:
    return _network(part, n_members=5)


def mlp(part: Part) -> Made:
    from sklearn import neural_network

    kind = neural_network.MLPRegressor if part.regression else neural_network.MLPClassifier
    return Made(_scaled(part, kind(random_state=SEED)), array)


def svm(part: Part) -> Made:
    from sklearn.svm import SVC, SVR

    return Made(_scaled(part, SVR() if part.regression else SVC()), array, MOST_SVM_ROWS)


def random_forest(part: Part) -> Made:
    from sklearn import ensemble

    kind = ensemble.RandomForestRegressor if part.regression else ensemble.RandomForestClassifier
    return Made(_prepared(part, kind(random_state=SEED, n_jobs=1)), array)


def boosting(part: Part) -> Made:
    from sklearn import ensemble

    kind = ensemble.HistGradientBoostingClassifier
    if part.regression:
        kind = ensemble.HistGradientBoostingRegressor
    estimator = kind(categorical_features="from_dtype", random_state=SEED)
    return Made(estimator, lambda part, rows: frame(part, rows, MOST_HISTOGRAM))


def lightgbm(part: Part) -> Made:
    import lightgbm as package

    kind = package.LGBMRegressor if part.regression else package.LGBMClassifier
    return Made(kind(n_jobs=1, random_state=SEED, verbose=-1), frame)


def xgboost(part: Part) -> Made:
    import xgboost as package

    kind = package.XGBRegressor if part.regression else package.XGBClassifier
    return Made(kind(n_jobs=1, random_state=SEED, enable_categorical=True), frame)


def realmlp(part: Part) -> Made:
    import pytabkit
    import torch

    torch.set_num_threads(1)
    kind = pytabkit.RealMLP_TD_Regressor if part.regression else pytabkit.RealMLP_TD_Classifier
    estimator = kind(device="cpu", n_threads=1, random_state=SEED, verbosity=0)
    return Made(estimator, _imputed_frame)


def _imputed_frame(part: Part, rows: np.ndarray) -> Any:
    """Return `frame` with medians of the training rows for missing numbers, and indicators."""
    table, x = frame(part, rows), part.task.x
    for i in range(x.shape[1]):
        missing = np.isnan(x[part.train, i])
        if i in part.task.categorical:
            continue
        if missing.any():
            table[f"m{i}"] = np.isnan(x[rows, i]).astype(float)
        if missing.all():
            table = table.drop(columns=f"c{i}")
        else:
            table[f"c{i}"] = table[f"c{i}"].fillna(np.nanmedian(x[part.train, i]))
    return table


SKLEARN = (("sklearn",), ("scikit-learn",))
TREES = (("sklearn", "pandas"), ("scikit-learn", "pandas"))
SYSTEMS = {
    "fastsnn": System("fastsnn", *SKLEARN, snn),
    "fastsnn-5": System("fastsnn, 5 members", *SKLEARN, snn_members),
    "mlp": System("MLP (scikit-learn)", *SKLEARN, mlp),
    "svm": System("SVM", *SKLEARN, svm),
    "random-forest": System("random forest", *SKLEARN, random_forest),
    "boosting": System("HistGradientBoosting", *TREES, boosting),
    "lightgbm": System("LightGBM", ("lightgbm", "pandas"), ("lightgbm", "pandas"), lightgbm),
    "xgboost": System("XGBoost", ("xgboost", "pandas"), ("xgboost", "pandas"), xgboost),
    "realmlp": System(
        "RealMLP", ("pytabkit", "torch", "pandas"), ("pytabkit", "torch", "pandas"), realmlp
    ),
}


def resolve(names: tuple[str, ...]) -> list[str]:
    """Return the names of systems; none: all. Raises ValueError for an unknown name."""
    for name in names:
        if name not in SYSTEMS:
            known = ", ".join(SYSTEMS)
            raise ValueError(f"--systems: names among {known} are required, got {name!r}")
    return list(dict.fromkeys(names or SYSTEMS))
