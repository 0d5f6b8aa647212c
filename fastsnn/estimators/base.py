"""The part that classifier and regressor share: parameters, training, pickles."""

from __future__ import annotations

import copy
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions
from sklearn.utils.validation import (
    _check_sample_weight,
    _check_y,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from fastsnn import ensemble
from fastsnn.checkpoint import State, from_bytes, to_bytes
from fastsnn.data.standardize import Standardizer
from fastsnn.estimators import frames, members, options, rows
from fastsnn.estimators.members import BOOTSTRAP, FOLDS, MOST_MEMBERS, SEEDS, Part
from fastsnn.estimators.options import AUTO
from fastsnn.estimators.parallel import threads_of
from fastsnn.estimators.rows import Chosen, Rows
from fastsnn.estimators.training import Held, Records, Trained, Training
from fastsnn.layers import MOST_LAYERS, MOST_UNITS
from fastsnn.losses import Loss, probabilities
from fastsnn.model import Model
from fastsnn.network import Network, mlp
from fastsnn.optimizers import OPTIMIZERS, Optimizer
from fastsnn.schedules import SCHEDULES
from fastsnn.tables.columns import Columns, names_of
from fastsnn.tables.recipe import Recipe

FLOATS = (np.float64, np.float32)


class BaseSNN(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Base class of `SNNClassifier` and `SNNRegressor`.

    A subclass has a constructor with all parameters and the methods `_encode`, `_class_weight`,
    `_class_names`, `_keep_held` and `_judge_held`.
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
        "recipe": [StrOptions({AUTO}), dict, None],
        "n_members": [Interval(Integral, 1, MOST_MEMBERS, closed="both")],
        "members": [StrOptions({SEEDS, FOLDS, BOOTSTRAP})],
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
    _kind: str  # `members` of the training
    _histories: list[Records]  # of each member
    _states: list[State]  # of each member's trainer; empty if they are not needed

    @members.unchanged_by_errors
    def _train(
        self, X: Any, y: Any, sample_weight: Any, partial: bool, classes: Any = None
    ) -> BaseSNN:
        """Train a new network, or train the network further. Checks all arguments."""
        fitted = hasattr(self, "model_")
        fresh = not (fitted and (partial or self.warm_start))
        name = type(self).__name__
        if partial and self.early_stopping:
            raise ValueError(f"{name}: partial_fit does not support early_stopping=True")
        if not fresh and self.n_members != len(self.model_.members):
            raise ValueError(
                f"{name}: n_members={len(self.model_.members)} is required to train further, as "
                f"before, got {self.n_members}"
            )
        if not fresh and self.members != self._kind:
            raise ValueError(
                f"{name}: members={self._kind!r} is required to train further, as before, got "
                f"{self.members!r}"
            )
        names = _target_names(y)
        x, y = self._validated(X, y, fresh)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, y, dtype=np.float64)
        given = rows.weighted(x, y, sample_weight, name)
        task, encoded = self._encode(given, fresh, classes)
        if fresh:
            seed = self.random_state
            if not isinstance(seed, Integral):
                seed = check_random_state(seed).randint(2**31 - 1)
            self._seed, self._kind = int(seed), self.members
        train, held = self._split(given, encoded, task)
        recipe = None if fresh else self.model_.recipe
        if isinstance(given.x, Columns):
            if recipe is None:
                recipe = frames.learn(self, given.x, train.rows)
            given = given._replace(x=recipe.transform(given.x, "X"))
        learned, places, parts = self._parts(given, encoded, task, train, held)
        training = self._training(
            given, encoded, task, learned, parts, names, recipe, fresh, partial
        )
        trained = training.run()
        self._set_fitted(trained, training)
        self.oof_score_ = None
        self._keep_held(None)
        if self.members != SEEDS:
            found = self._held_back(trained, training)
            if places is not None:
                found = found[learned.rows][places]
            scored = np.isfinite(found).all(axis=1)
            weight = None if given.weight is None else given.weight[scored]
            self.oof_score_ = self._judge_held(encoded[scored], found[scored], weight)
            kept = np.full((len(y), self.n_outputs_), np.nan)  # NaN in rows without weight
            kept[slice(None) if sample_weight is None else sample_weight > 0] = found
            self._keep_held(kept)
        return self

    def _validated(self, X: Any, y: Any, reset: bool) -> tuple[np.ndarray | Columns, np.ndarray]:
        """Return the features, or the columns of a data frame to encode; and the targets."""
        columns = frames.to_encode(self, X) if reset else frames.known(self, X)
        if columns is None:
            x, y = validate_data(
                self, X, y, reset=reset, multi_output=True, dtype=FLOATS, ensure_all_finite=False,
                y_numeric=self._y_numeric,
            )  # fmt: skip
            self._require_finite(x)
        else:
            if y is None:
                raise ValueError(f"{type(self).__name__} requires y to be passed, got None")
            x, y = columns, _check_y(y, multi_output=True, y_numeric=self._y_numeric)
            check_consistent_length(x, y)
            if reset:
                self.feature_names_in_ = np.array(names_of(X), object)
                self.n_features_in_ = len(self.feature_names_in_)
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

    def _parts(
        self, given: Rows, encoded: np.ndarray, task: str, train: Chosen, held: Chosen | None
    ) -> tuple[Chosen, np.ndarray | None, list[Part]]:
        """Return the rows from which the standardization is learned, the place of each given row
        among them if equal rows were merged, and the rows of each member. train, held: of `_split`.
        """
        limit = options.merge_limit(self)
        if self.members == SEEDS:
            x, y = given.x[train.rows], encoded[train.rows]
            merged = rows.merged(Rows(x, y, train.weight), limit)
            if merged is not None:
                train = Chosen(np.arange(len(given.x))[train.rows][merged[0].rows],
                               merged[0].weight)  # fmt: skip
            return train, None, [Part(train, held)] * int(self.n_members)
        whole, places = Chosen(np.arange(len(given.x)), given.weight), None
        merged = rows.merged(Rows(given.x, encoded, given.weight), limit)
        if merged is not None:
            whole, places = merged
        strata = encoded[whole.rows] if task == "classification" else None
        parts = members.parts_of(self.members, whole, self.n_members, strata, self._seed)
        return whole, places, parts

    def _split(self, given: Rows, encoded: np.ndarray, task: str) -> tuple[Chosen, Chosen | None]:
        """Return the training rows, and the validation part that all members share."""
        if not self.early_stopping or self.members != SEEDS:
            return Chosen(slice(None), given.weight), None
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
        whole = Chosen(np.arange(n), given.weight)
        train, val = train_test_split(
            whole.rows, test_size=share, random_state=self._seed % 2**32, stratify=strata
        )
        return whole.at(train), whole.at(val)

    def _training(
        self,
        given: Rows,
        encoded: np.ndarray,
        task: str,
        learned: Chosen,
        parts: list[Part],
        names: tuple[str, ...] | None,
        recipe: Recipe | None,
        fresh: bool,
        partial: bool,
    ) -> Training:
        """Return the training of new networks, or of those of `model_`."""
        features = given.x.shape[1]
        if fresh:
            x, y = given.x[learned.rows], encoded[learned.rows]
            widths, dropout = options.widths_of(self), options.dropout_of(self, task, len(x))
            inputs, targets = Standardizer(np.zeros(features), np.ones(features)), None
            if self.standardize:
                inputs = rows.standardizer(x, learned.weight)
                if task == "regression":
                    targets = rows.standardizer(y, learned.weight)
            columns = getattr(self, "feature_names_in_", None)
            columns = None if columns is None or recipe else tuple(map(str, columns))
            described = inputs, targets, self._class_names(), columns, names, recipe
        else:
            model = self.model_
            described = (
                model.inputs, model.targets, model.class_names, model.feature_names,
                model.target_names, recipe,
            )  # fmt: skip

        def network_of(k: int) -> Network:
            if fresh:
                seed = members.seed_of(self._seed, k)
                return mlp(features, self.n_outputs_, width=widths, dropout=dropout, seed=seed)
            return copy.deepcopy(self.model_.members[k])  # `model_` is kept if the training fails

        def model_of(*networks: Network) -> Model:
            return Model(networks[0], task, *described, members=networks)

        histories, states = ([], []) if fresh else (self._histories, self._states)
        return Training(
            self, task, given, encoded, parts, network_of, model_of, histories, states, partial
        )

    def _set_fitted(self, trained: list[Trained], training: Training) -> None:
        """Set the fitted attributes."""
        self._states = [member.state for member in trained if member.state is not None]
        self._histories = [member.history for member in trained]
        self.model_ = training.model_of(*(member.network for member in trained))
        self.member_loss_curves_ = [
            [record["train_loss"] for record in history] for history in self._histories
        ]
        self.loss_curve_ = members.mean_curve(self.member_loss_curves_)
        self.n_iter_ = len(self.loss_curve_)
        self.member_best_iterations_ = [member.best for member in trained]
        self.best_iteration_ = round(np.mean(self.member_best_iterations_))
        self.member_validation_scores_ = None
        self.validation_scores_ = self.best_validation_score_ = None
        if self.early_stopping:
            self.member_validation_scores_ = [
                [record.get("validation_score", np.nan) for record in history]
                for history in self._histories
            ]
            self.validation_scores_ = members.mean_curve(self.member_validation_scores_)
            best = [member.best_score for member in trained]
            self.best_validation_score_ = float(np.mean(best))  # type: ignore[arg-type]

    def _held_back(self, trained: list[Trained], training: Training) -> np.ndarray:
        """Return the mean prediction of each given row, (n, outputs) float64, by the members that
        did not train on it; NaN if there are none.
        """
        n = len(training.given.x)
        total, count = np.zeros((n, self.n_outputs_)), np.zeros((n, 1))
        for part, member in zip(training.parts, trained, strict=True):
            if part.held is not None and member.outputs is not None:
                total[part.held.rows] += self._values(member.outputs)
                count[part.held.rows] += 1
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    def _score_of(self, model: Model, task: str, held: Held, n_jobs: int | None) -> Any:
        """Return the function of `StopByScore` for a model of one member."""
        if self.scoring == "loss":
            return lambda record: -record["validation_loss"]
        if self.scoring is None and held.weight is None and task == "classification":
            return lambda record: record["validation_accuracy"]
        view = object.__new__(type(self))  # predicts with the weights of the moment
        model = replace(model, recipe=None)  # the held rows are encoded
        own = {"model_": model, "n_jobs": n_jobs, "n_features_in_": held.x.shape[1]}
        view.__dict__.update(self.__dict__, **own)
        view.__dict__.pop("feature_names_in_", None)  # the held rows are an array
        scorer = check_scoring(view, scoring=self.scoring)
        weight = {} if held.weight is None else {"sample_weight": held.weight}
        return lambda record: scorer(view, held.x, held.y, **weight)

    def _raw(self, X: Any) -> np.ndarray:
        """Return the raw outputs of the mean prediction, (n, outputs), for raw features."""
        return self._outputs(X, spread=False)[0]

    def _outputs(self, X: Any, spread: bool) -> tuple[np.ndarray, np.ndarray | None]:
        """Return `ensemble.outputs` of the members for raw features."""
        check_is_fitted(self)
        model = self.model_
        if model.recipe is None:
            x = validate_data(self, X, reset=False, dtype=FLOATS, ensure_all_finite=False)
            self._require_finite(x)
        else:
            x = model.recipe.transform(frames.known(self, X), "X")
        x = model.inputs.transform(x, names=model.feature_names)
        threads = threads_of(self.n_jobs, float(len(x)) * model.network.n_parameters)
        return ensemble.outputs(model.members, model.task, x, threads, spread)

    def _values(self, z: np.ndarray) -> np.ndarray:
        """Return probabilities, or values in the units of the targets, of raw outputs z; both are
        (n, outputs), the result float64.
        """
        task, targets = self.model_.task, self.model_.targets
        if task != "regression":
            return probabilities(task, z)
        return z.astype(np.float64) if targets is None else targets.inverse_transform(z)

    @property
    def recipe_(self) -> Recipe | None:
        """Encoding of the columns of the data frame, or None."""
        return self.model_.recipe

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes, with the network as the bytes of a model file."""
        state = dict(super().__getstate__())
        if "model_" in state:
            state["model_"] = to_bytes(state["model_"], state.pop("_states", ()))
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        if isinstance(state.get("model_"), bytes):
            state["model_"], state["_states"] = from_bytes(state["model_"])
        super().__setstate__(state)


def _target_names(y: Any) -> tuple[str, ...] | None:
    """Return the column names of a data frame, or the name of a series, if they are text."""
    names = getattr(y, "columns", None)
    names = [getattr(y, "name", None)] if names is None else list(names)
    return tuple(names) if all(isinstance(name, str) for name in names) else None


def can_continue(estimator: BaseSNN) -> bool:
    """Return True if `partial_fit` exists. Raises AttributeError for members that need all rows."""
    if estimator.members != SEEDS:
        raise AttributeError(
            f'partial_fit needs members="seeds", got {estimator.members!r}, which needs all rows'
        )
    return True
