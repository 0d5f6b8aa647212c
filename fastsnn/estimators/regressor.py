"""`SNNRegressor`."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils.metaestimators import available_if

from fastsnn.estimators.base import BaseSNN, can_continue
from fastsnn.estimators.options import AUTO
from fastsnn.estimators.rows import Rows
from fastsnn.losses import Loss
from fastsnn.optimizers import Optimizer
from fastsnn.schedules import Schedule


class SNNRegressor(RegressorMixin, BaseSNN):  # type: ignore[misc]  # scikit-learn has no types
    """Self-normalizing network for regression, with scikit-learn's interface.

    Handles one or several targets. Inputs and targets are standardized by default; predictions are
    in the units of the targets. Data frames may have text, dates and gaps (see `recipe`); other
    `X` must be dense and finite.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, optional
        Units of each hidden layer. Default: `layers` hidden layers of `width` units each.
    layers : int >= 1
        Hidden layers, if `hidden_layer_sizes` is None. Deeper networks are harder to train on
        numbers.
    width : int >= 1
        Units of each hidden layer, if `hidden_layer_sizes` is None.
    dropout_rate : float in [0, 1) or "auto"
        Probability of dropping a unit (alpha-dropout). "auto": 0, because
        its noise adds to the error of a predicted number.
    loss : str, Loss or "auto"
        "auto": "mse". A name or an instance of a class of `fastsnn.losses` for regressions. A
        parameter follows a colon, as in ``fastsnn train --loss``; with `standardize`, thresholds
        are in standard deviations of the targets.
    solver : str or Optimizer
        Optimizer: a class of `fastsnn.optimizers` in lower case, such as "sgd" or "adam". An
        instance, such as ``fastsnn.Adam(1e-3, beta1=0.8)``, is used as it is; `learning_rate_init`,
        `momentum`, `nesterovs_momentum` and `weight_decay` are then ignored.
    learning_rate_init : float > 0 or "auto"
        Peak learning rate. "auto": 0.001 for "adam" and up to 8 layers; else the rule of ``fastsnn
        train``, by optimizer, task, rows and depth.
    momentum : float in [0, 1)
        Momentum of optimizers that have one, such as "sgd". Ignored by the others.
    nesterovs_momentum : bool
        Nesterov momentum of "sgd"; needs `momentum` > 0.
    weight_decay : float >= 0 or "auto"
        Added to the gradient as ``weight_decay * parameter``, or decoupled, as the class of the
        optimizer says. It is not divided by the number of rows, unlike `alpha` of scikit-learn's
        networks. "auto": for "adam" and "sgd" 10 / rows, at most 0.1.
    schedule : str or Schedule
        Schedule of the learning rate over the epochs of a `fit`: a name of the command line, such
        as "constant" or "cosine", or an instance of a class of `fastsnn.schedules`.
        `partial_fit` does not use it. "plateau" monitors the validation loss with
        `early_stopping`, else the training loss.
    batch_size : int >= 1 or "auto"
        Rows of a mini-batch. "auto": 128, below 5,000 rows 32.
    max_iter : int >= 1 or "auto"
        Epochs. "auto": 22; below 5,000 rows as many as 1,600 updates need, from 40 to 400, or half
        of them for "adam" and up to 8 layers.
    early_stopping : bool
        Hold back a validation part, stop when its score no longer improves, and use the weights
        of the best epoch.
    validation_fraction : float in (0, 1)
        Share of the rows in the validation part.
    n_iter_no_change : int >= 1 or numpy.inf
        Epochs in a row without an improvement before the training stops. Used with
        `early_stopping` alone.
    scoring : str, callable or None
        Score of the validation part: the name of one of scikit-learn's scorers, a callable
        ``scorer(estimator, X, y)``, "loss" (the negative, unweighted loss), or None, that of the
        method `score`. A callable gets the features of `recipe`.
    standardize : bool
        Standardize features and targets to mean 0 and variance 1, which self-normalizing networks
        require, by the training rows and their weights.
    recipe : "auto", dict or None
        Encoding of data frames by `fastsnn.tables.Recipe.fit`, learned from the training rows
        (without the validation part; with "folds" from all rows). "auto" encodes a data frame with
        text, categories, dates or missing values; arrays and other data frames are numbers. A dict
        has options, such as ``{"categorical": ["zip"]}``, and always encodes. None: never.
    n_members : int in [1, 10000]
        Networks to train, concurrently on the processors of `n_jobs`. The prediction is their mean,
        and a `Model` holds all of them.
    members : {"seeds", "folds", "bootstrap"}
        What distinguishes the members. "seeds": initial weights, dropout masks and the order of the
        rows; all train on the same rows. "folds" (`n_members` >= 2): in addition, member k does not
        train on fold k of `n_members` random folds. "bootstrap": each trains on as many rows as
        there are, drawn with replacement. The rows that a member does not train on are its
        validation part, instead of `validation_fraction`, and give `oof_score_`. The
        standardization is learned from all rows, because the members of a model share it.
    warm_start : bool
        True: `fit` trains the network of the previous call for `max_iter` further epochs. Recipe,
        standardization and sizes of the network are kept.
    random_state : int, RandomState or None
        An int is the seed of the initial weights, the dropout masks, the order of the rows and the
        validation part, as in `mlp` and `Trainer`. The same int gives the same bits. Member k > 0
        has the seed
        ``numpy.random.SeedSequence(seed, spawn_key=(k,)).generate_state(1, numpy.uint64)[0]``.
        None or a RandomState: each new fit draws the seed, from NumPy's global generator or from
        that one.
    n_jobs : int or None
        CPU threads; no result depends on it. None: all processors, or one for small networks.
        -1: all processors; -2: all but one; 0 is an error. In a worker of joblib, as in
        ``GridSearchCV(n_jobs=2)``, it is 1.
    verbose : bool or int
        Show the progress on stderr: a line per epoch (several members: per member), on a terminal a
        live line; and before it the notes of the recipe.
    backend : {"cpu", "cuda"}
        Where to train and predict, see `Trainer`.
    precision : {"float32", "tf32", "bf16"}
        Precision of matrix products with ``backend="cuda"``.

    Attributes
    ----------
    model_ : Model
        Network, standardization and names. ``model_.save(path)`` writes a model file for
        `load_model` and the command line.
    loss_curve_ : list of float
        Mean training loss of each epoch, with dropout. Several members: the mean over those that
        trained the epoch.
    validation_scores_ : list of float or None
        Score of each epoch with `early_stopping`; larger is better. Several members: as
        `loss_curve_`.
    best_validation_score_ : float or None
        The best of them in the last call. Several members: the mean of their best scores.
    n_iter_ : int
        Epochs trained, those of earlier calls with `warm_start` or `partial_fit` included. Several
        members: the largest of their numbers.
    best_iteration_ : int
        Epoch whose weights are used, from 1: the best with `early_stopping`, else the last. Several
        members: the rounded mean of their numbers.
    member_loss_curves_ : list of list of float
        `loss_curve_` of each member.
    member_validation_scores_ : list of list of float, or None
        `validation_scores_` of each member.
    member_best_iterations_ : list of int
        `best_iteration_` of each member.
    oof_score_ : float or None
        R2 of the out-of-fold predictions, those of each row by the members that did not
        train on it (bootstrap: out-of-bag). None with ``members="seeds"``. With `early_stopping` it
        is optimistic, because the best epochs were chosen on the same rows.
    oof_prediction_ : float64 array (n_samples,) or (n_samples, n_outputs), or None
        The out-of-fold predictions. NaN for rows of weight 0, and for rows that all members have
        drawn.
    recipe_ : fastsnn.tables.Recipe or None
        Encoding of the data frame, ``model_.recipe``; None for numbers.
    n_outputs_ : int
        Outputs of the network.
    n_features_in_ : int
        Columns of `X`.
    feature_names_in_ : (n_features,) array of str
        Names of the columns, if `X` was a data frame with text as column names.

    Notes
    -----
    If there are at most `batch_size` distinct rows (for "auto" 32), each update uses all of them.
    Equal rows are then merged and sorted, and the result depends, to the bit, neither on the order
    of the rows nor on whether a row has weight 2 or occurs twice.

    Pickles hold the network as the bytes of a model file; reading one runs no code of the network.
    They hold the state of the optimizer, too, after `partial_fit` or with `warm_start`, so that
    training continues with the same bits.

    Examples
    --------
    >>> import fastsnn as fs
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> snn = fs.SNNRegressor(layers=2, width=16, random_state=0).fit(X, y)
    >>> snn.predict(X[:2]).shape, snn.score(X, y) > 0.5
    ((2,), True)
    """

    _y_numeric = True

    def __init__(
        self,
        hidden_layer_sizes: Any = None,
        layers: int = 4,
        width: int = 128,
        *,
        dropout_rate: float | str = AUTO,
        loss: str | Loss = AUTO,
        solver: str | Optimizer = "adam",
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
        standardize: bool = True,
        recipe: Any = AUTO,
        n_members: int = 1,
        members: str = "seeds",
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
        self.standardize = standardize
        self.recipe = recipe
        self.n_members = n_members
        self.members = members
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.backend = backend
        self.precision = precision

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> SNNRegressor:
        """Train the network.

        Parameters
        ----------
        X : array-like or data frame (n_samples, n_features)
            Finite numbers; in a data frame anything that `recipe` encodes.
        y : array-like (n_samples,) or (n_samples, n_outputs)
            Finite numbers.
        sample_weight : array-like (n_samples,), optional
            Weights >= 0. Rows with weight 0 are ignored. Default: 1.

        Returns
        -------
        SNNRegressor
            This estimator.

        Raises
        ------
        TypeError, ValueError
            For parameters and arrays of another type, shape or range.
        FloatingPointError
            The training has diverged, see `Trainer.step`.
        """
        return self._train(X, y, sample_weight, partial=False)

    @available_if(can_continue)  # type: ignore[untyped-decorator]
    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> SNNRegressor:
        """Train the network for one epoch of these rows, with a constant learning rate.

        The first call makes the network, and learns recipe and standardization, which later calls
        keep. It exists with ``members="seeds"`` alone. The rate is `learning_rate_init`. "auto"
        options follow from the rows of each call: give numbers if the calls have different sizes.
        After `fit`, it continues from that network. Parameters, result and errors are those of
        `fit`; it also raises ValueError for ``early_stopping=True``, and if `n_members` has changed
        since the first call.
        """
        return self._train(X, y, sample_weight, partial=True)

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Return the predictions, in the units of the training targets.

        Parameters
        ----------
        X : array-like (n_samples, n_features)
        return_std : bool
            True: also return the standard deviation of the members' predictions.

        Returns
        -------
        prediction : float64 array (n_samples,) or (n_samples, n_outputs)
            With the same number of dimensions as `y` in `fit`. Several members: the mean of their
            predictions.
        deviation : float64 array
            With `return_std`: standard deviation (divisor `n_members`) of the same shape, in the
            units of the targets; 0 with one member. It is the spread of the members, and does not
            include the noise of the targets.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If `fit` has not been called.
        ValueError
            If `X` has NaN, infinity or another number of features than in `fit`; with a recipe, if
            a column is missing, in another order, or has a value of another kind.
        """
        z, deviation = self._outputs(X, return_std)
        y = self._values(z)
        if deviation is None:
            return self._shaped(y)
        targets = self.model_.targets
        scale = 1.0 if targets is None else targets.scale
        return self._shaped(y), self._shaped(deviation * scale)

    def _shaped(self, y: np.ndarray) -> np.ndarray:
        """Return (n, outputs) with the number of dimensions of the training targets."""
        return y[:, 0] if self._flat else y

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _encode(self, given: Rows, fresh: bool, classes: Any) -> tuple[str, np.ndarray]:
        """Return the task, and the targets as (n, outputs) float64."""
        y = given.y.astype(np.float64)
        flat = y.ndim == 1
        y = y.reshape(len(y), -1)
        if fresh:
            self._flat, self.n_outputs_ = flat, y.shape[1]
        elif y.shape[1] != self.n_outputs_:
            raise ValueError(
                f"SNNRegressor: y: {self.n_outputs_} columns are required, as before, got "
                f"{y.shape[1]}"
            )
        return "regression", y

    def _class_weight(self, data: Rows) -> None:
        return None

    def _class_names(self) -> None:
        return None

    def _keep_held(self, prediction: np.ndarray | None) -> None:
        self.oof_prediction_ = None if prediction is None else self._shaped(prediction)

    def _judge_held(
        self, y: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None
    ) -> float:
        if len(y) < 2:
            return float("nan")  # R2 is not defined
        return float(r2_score(y, prediction, sample_weight=weight))
