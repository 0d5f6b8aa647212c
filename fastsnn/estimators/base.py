"""The part that classifier and regressor share: parameters, training, pickles."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from fastsnn.checkpoint import State, from_bytes, to_bytes
from fastsnn.data.standardize import Standardizer
from fastsnn.estimators import options, rows
from fastsnn.estimators.options import AUTO
from fastsnn.estimators.parallel import threads_of
from fastsnn.estimators.rows import Rows
from fastsnn.estimators.stopping import StopByScore
from fastsnn.layers import MOST_LAYERS, MOST_UNITS
from fastsnn.losses import Loss
from fastsnn.model import Model
from fastsnn.network import Network
from fastsnn.optimizers import OPTIMIZERS, Optimizer
from fastsnn.runs.console import progress
from fastsnn.schedules import SCHEDULES, Constant
from fastsnn.trainer import Trainer

FLOATS = (np.float64, np.float32)


class Held(NamedTuple):
    """The validation part: rows as they were given, and encoded targets."""

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None
    encoded: np.ndarray


class BaseSNN(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Base class of `SNNClassifier` and `SNNRegressor`.

    A subclass has a constructor with all parameters and the methods `_encode`, `_class_weight` and
    `_output_names`.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": [
            "array-like",
            Interval(Integral, 1, MOST_UNITS, closed="both"),
            None,
        ],
        "layers": [Interval(Integral, 1, MOST_LAYERS, closed="both")],
        "width": [Interval(Integral, 1, MOST_UNITS, closed="both")],
        "dropout_rate": [StrOptions({AUTO}), Interval(Real, 0, 1, closed="left")],
        "loss": [str, Loss],
        "solver": [StrOptions(set(OPTIMIZERS)), Optimizer],
        "learning_rate_init": [StrOptions({AUTO}), Interval(Real, 0, None, closed="neither")],
        "schedule": [StrOptions(set(SCHEDULES)), HasMethods("factor")],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "nesterovs_momentum": ["boolean"],
        "weight_decay": [StrOptions({AUTO}), Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({AUTO}), Interval(Integral, 1, None, closed="left")],
        "max_iter": [StrOptions({AUTO}), Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [
            Interval(Integral, 1, None, closed="left"),
            Options(Real, {np.inf}),
        ],
        "scoring": [StrOptions({"loss", *get_scorer_names()}), callable, None],
        "standardize": ["boolean"],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
        "backend": [StrOptions({"cpu", "cuda"})],
        "precision": [StrOptions({"float32", "tf32", "bf16"})],
    }

    _y_numeric: ClassVar[bool]  # True if targets are numbers
    # Set by the training.
    model_: Model
    n_iter_: int
    n_outputs_: int
    _history: list[dict[str, Any]]
    _state: State | None

    def _train(
        self, X: Any, y: Any, sample_weight: Any, partial: bool, classes: Any = None
    ) -> BaseSNN:
        """Train a new network, or train the network further. Checks all arguments."""
        fitted = hasattr(self, "model_")
        fresh = not (fitted and (partial or self.warm_start))
        name = type(self).__name__
        if partial and self.early_stopping:
            raise ValueError(f"{name}: partial_fit does not support early_stopping=True")
        names = _target_names(y)
        x, y = self._validated(X, y, fresh)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, x, dtype=np.float64)
        given = rows.weighted(x, y, sample_weight, name)
        task, encoded = self._encode(given, fresh, classes)
        if fresh:
            seed = self.random_state
            if not isinstance(seed, Integral):
                seed = check_random_state(seed).randint(2**31 - 1)
            self._seed = int(seed)
            self._state = None
        data, held = self._split(given, encoded, task)
        data = rows.merged(data, options.merge_limit(self))
        model = self._new_model(data, task, names) if fresh else self.model_
        self._update(model, task, data, held, fresh, partial)
        return self

    def _validated(self, X: Any, y: Any, reset: bool) -> tuple[np.ndarray, np.ndarray]:
        x, y = validate_data(
            self, X, y, reset=reset, multi_output=True, dtype=FLOATS, ensure_all_finite=False,
            y_numeric=self._y_numeric,
        )  # fmt: skip
        self._require_finite(x)
        return x, (y.toarray() if hasattr(y, "toarray") else y)  # a sparse indicator matrix

    def _require_finite(self, x: np.ndarray) -> None:
        if np.isfinite(x).all():
            return
        row, column = np.argwhere(~np.isfinite(x))[0]
        value = "NaN" if np.isnan(x[row, column]) else "infinity (inf)"
        names = getattr(self, "feature_names_in_", None)
        place = column if names is None else repr(str(names[column]))
        raise ValueError(
            f"Input X contains {value} in row {row}, column {place}; {type(self).__name__} needs "
            "finite numbers: impute them first, for example with sklearn.impute.SimpleImputer"
        )

    def _split(self, given: Rows, encoded: np.ndarray, task: str) -> tuple[Rows, Held | None]:
        """Return the training rows with encoded targets, and the validation part."""
        if not self.early_stopping:
            return Rows(given.x, encoded, given.weight), None
        n = len(encoded)
        if n < 2:
            raise ValueError(
                f"{type(self).__name__}: early_stopping needs at least 2 rows, got {n} (one sample)"
            )
        share = min(max(round(self.validation_fraction * n), 1), n - 1)
        strata = None
        if task == "classification":
            counts = np.bincount(encoded)
            possible = counts[counts > 0].min() > 1 and share >= len(counts) <= n - share
            strata = encoded if possible else None
        train, val = train_test_split(
            np.arange(n), test_size=share, random_state=self._seed % 2**32, stratify=strata
        )
        weight = given.weight
        held = Held(
            given.x[val], given.y[val], None if weight is None else weight[val], encoded[val]
        )
        return Rows(given.x[train], encoded[train], None if weight is None else weight[train]), held

    def _new_model(self, data: Rows, task: str, names: tuple[str, ...] | None) -> Model:
        widths = options.widths_of(self)
        dropout = options.dropout_of(self, task, len(data.x))
        zeros, ones = np.zeros(data.x.shape[1]), np.ones(data.x.shape[1])
        inputs, targets = Standardizer(zeros, ones), None
        if self.standardize:
            inputs = rows.standardizer(data.x, data.weight)
            if task == "regression":
                targets = rows.standardizer(data.y, data.weight)
        layers = options.layers_of(widths, self.n_outputs_, dropout)
        network = Network(layers, data.x.shape[1], self._seed)
        features = getattr(self, "feature_names_in_", None)
        features = None if features is None else tuple(map(str, features))
        return Model(network, task, inputs, targets, self._class_names(), features, names)

    def _update(
        self, model: Model, task: str, data: Rows, held: Held | None, fresh: bool, partial: bool
    ) -> None:
        """Train the network of a model, and set the fitted attributes."""
        x, y = model.inputs.transform(data.x), _standardized(model.targets, data.y)
        settings = options.settings_of(self, task, x)
        before = 0 if fresh else self.n_iter_
        epochs = before + (1 if partial else settings.epochs)
        schedule = options.schedule_for(self, held is not None)
        if partial:
            schedule = Constant()
        elif before:
            schedule = options.Later(schedule, before, epochs)
        weight = None if data.weight is None else data.weight / data.weight.mean()
        work = 3.0 * settings.batch_size * model.network.n_parameters
        trainer = Trainer(
            model.network, options.loss_for(self, task), settings.optimizer,
            threads_of(self.n_jobs, work), self._seed, self.backend,
            self._class_weight(data), self.precision,
        )  # fmt: skip
        if not fresh and self._state is not None:
            _resume(trainer, self._state)
        history = [] if fresh else [dict(record) for record in self._history]
        callbacks: list[Any] = []
        stop = validation = None
        if held is not None:
            validation = model.inputs.transform(held.x), _standardized(model.targets, held.encoded)
            stop = StopByScore(self._score_of(model, task, held), self.n_iter_no_change)
            callbacks.append(stop)
        shown = progress() if self.verbose else None
        try:
            trainer.fit(
                x, y, epochs, settings.batch_size, validation, [*callbacks, *filter(None, [shown])],
                schedule, weight, history,
            )  # fmt: skip
        finally:
            if shown is not None:
                shown.close()
        self._state = trainer.state_dict() if partial or self.warm_start else None
        self._history = history
        self.model_ = model
        self.loss_curve_ = [record["train_loss"] for record in history]
        self.n_iter_ = self.best_iteration_ = len(history)
        self.validation_scores_ = self.best_validation_score_ = None
        if stop is not None:
            self.validation_scores_ = [r.get("validation_score", np.nan) for r in history]
            self.best_iteration_ = before + stop.best + 1
            self.best_validation_score_ = stop.scores[stop.best]

    def _score_of(self, model: Model, task: str, held: Held) -> Any:
        """Return the function of `StopByScore`."""
        if self.scoring == "loss":
            return lambda record: -record["validation_loss"]
        if self.scoring is None and held.weight is None and task == "classification":
            return lambda record: record["validation_accuracy"]
        view = object.__new__(type(self))  # predicts with the weights of the moment
        view.__dict__.update(self.__dict__, model_=model)
        view.__dict__.pop("feature_names_in_", None)  # the held rows are an array
        scorer = check_scoring(view, scoring=self.scoring)
        weight = {} if held.weight is None else {"sample_weight": held.weight}
        return lambda record: scorer(view, held.x, held.y, **weight)

    def _raw(self, X: Any) -> np.ndarray:
        """Return the outputs of the network, (n, outputs) float32, for raw features."""
        check_is_fitted(self)
        x = validate_data(self, X, reset=False, dtype=FLOATS, ensure_all_finite=False)
        self._require_finite(x)
        x = self.model_.inputs.transform(x, names=self.model_.feature_names)
        network = self.model_.network
        threads = threads_of(self.n_jobs, float(len(x)) * network.n_parameters)
        return network.forward(x, threads)

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes, with the network as the bytes of a model file."""
        state = dict(super().__getstate__())
        if "model_" in state:
            state["model_"] = to_bytes(state["model_"], state.pop("_state", None))
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        if isinstance(state.get("model_"), bytes):
            state["model_"], state["_state"] = from_bytes(state["model_"])
        super().__setstate__(state)


def _standardized(targets: Standardizer | None, y: np.ndarray) -> np.ndarray:
    return y if targets is None else targets.transform(y, where="y")


def _resume(trainer: Trainer, state: State) -> None:
    """Load the state of an earlier training; of another optimizer, only the number of updates."""
    arrays, numbers = state
    own, _ = trainer.state_dict()
    trainer.load_state_dict(arrays if arrays.keys() == own.keys() else own, numbers)


def _target_names(y: Any) -> tuple[str, ...] | None:
    """Return the column names of a data frame, or the name of a series, if they are text."""
    names = getattr(y, "columns", None)
    names = [getattr(y, "name", None)] if names is None else list(names)
    return tuple(names) if all(isinstance(name, str) for name in names) else None
