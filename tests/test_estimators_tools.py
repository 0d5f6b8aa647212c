"""SNNClassifier and SNNRegressor inside scikit-learn's tools, and their threads inside joblib."""

import threading

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed: pip install '.[sklearn]'")

import joblib
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_digits
from sklearn.ensemble import BaggingClassifier, StackingRegressor, VotingClassifier
from sklearn.inspection import permutation_importance
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler

import fastsnn as fs
from fastsnn.engine import threads as processors
from fastsnn.estimators import training
from fastsnn.estimators.parallel import SERIAL_WORK, in_worker, threads_of

SMALL = {"layers": 2, "width": 16, "max_iter": 4, "random_state": 3}
X, DIGITS = (part[:300] for part in load_digits(return_X_y=True))
XR, Y = load_diabetes(return_X_y=True)
SNN = fs.SNNClassifier(**SMALL, learning_rate_init=0.1)
REGRESSION = fs.SNNRegressor(**SMALL)


def test_parameters():
    changed = clone(SNN).set_params(layers=3, solver=fs.Adam(0.01))
    assert clone(changed).get_params() == changed.get_params()
    assert repr(REGRESSION).split() == [
        "SNNRegressor(layers=2,", "max_iter=4,", "random_state=3,", "width=16)",
    ]  # fmt: skip
    assert (
        "SNNClassifier" in SNN._repr_html_() and "fitted" in clone(SNN).fit(X, DIGITS)._repr_html_()
    )
    assert sklearn.base.is_classifier(SNN) and sklearn.base.is_regressor(REGRESSION)


def test_pipelines_and_cross_validation():
    pipe = make_pipeline(StandardScaler(), SNN)
    assert cross_val_score(pipe, X, DIGITS, cv=3).min() > 0.3
    assert cross_val_predict(SNN, X, DIGITS, cv=3, method="predict_proba").shape == (300, 10)
    frame = make_pipeline(QuantileTransformer(n_quantiles=50).set_output(transform="default"), SNN)
    assert frame.fit(X, DIGITS).predict(X).shape == (300,)


def test_pandas_output_of_the_step_before():
    pytest.importorskip("pandas", reason="needs pandas")
    pipe = make_pipeline(StandardScaler(), SNN).set_output(transform="pandas").fit(X, DIGITS)
    assert pipe[-1].feature_names_in_[0] == "x0" and pipe.predict(X).shape == (300,)


def test_meta_estimators():
    calibrated = CalibratedClassifierCV(SNN, cv=2).fit(X, DIGITS)
    assert np.allclose(calibrated.predict_proba(X).sum(1), 1)
    voting = VotingClassifier([("a", SNN), ("b", GaussianNB(var_smoothing=0.1))], voting="soft")
    assert voting.fit(X / 16, DIGITS).score(X / 16, DIGITS) > 0.5
    assert BaggingClassifier(SNN, 2).fit(X, DIGITS).predict(X).shape == (300,)
    stack = StackingRegressor([("a", REGRESSION), ("b", Ridge())], cv=2).fit(XR, Y)
    assert stack.predict(XR).shape == (442,)
    logarithm = TransformedTargetRegressor(REGRESSION, func=np.log, inverse_func=np.exp)
    assert logarithm.fit(XR, Y).predict(XR).min() > 0
    columns = MultiOutputClassifier(SNN).fit(X, np.stack([DIGITS, DIGITS % 3], 1))
    assert columns.predict(X).shape == (300, 2)


def test_permutation_importance():
    x = np.random.default_rng(0).normal(size=(300, 3))
    snn = fs.SNNRegressor(layers=1, width=16, max_iter=30, random_state=0).fit(x, 3 * x[:, 1])
    found = permutation_importance(snn, x, 3 * x[:, 1], n_repeats=2, random_state=0)
    assert found.importances_mean.argmax() == 1


def test_metadata_routing():
    weight = np.where(DIGITS == 9, 0.0, 1.0)
    with sklearn.config_context(enable_metadata_routing=True):
        snn = clone(SNN).set_fit_request(sample_weight=True)
        snn.set_score_request(sample_weight=True)
        scores = cross_val_score(snn, X, DIGITS, cv=2, params={"sample_weight": weight})
        assert (scores > 0).all()
        stopped = clone(snn).set_params(early_stopping=True, scoring="accuracy")
        assert len(stopped.fit(X, DIGITS, sample_weight=weight).validation_scores_) == 4
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipe = make_pipeline(scaler, snn).fit(X, DIGITS, sample_weight=weight)
        snn.set_partial_fit_request(classes=True, sample_weight=False)
    assert 9 not in pipe.classes_


# ---- threads


def threads_in_worker(estimator, x, y):
    """A scorer: the number of threads of the estimator where it is called."""
    return threads_of(estimator.n_jobs)


@pytest.mark.parametrize("n_jobs", [None, 4])
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_a_worker_of_joblib_uses_one_thread(backend, n_jobs):
    snn = clone(SNN).set_params(n_jobs=n_jobs)
    grid = {"learning_rate_init": [0.05, 0.1]}
    scoring = {"threads": threads_in_worker, "accuracy": "accuracy"}
    options = {"cv": 2, "scoring": scoring, "refit": "accuracy"}
    with joblib.parallel_backend(backend):
        search = GridSearchCV(snn, grid, n_jobs=2, **options).fit(X, DIGITS)
    assert search.cv_results_["mean_test_threads"].tolist() == [1, 1]
    alone = GridSearchCV(snn, grid, **options).fit(X, DIGITS)
    assert set(alone.cv_results_["mean_test_threads"]) == {n_jobs or processors.available()}
    accuracy = "mean_test_accuracy"
    assert (search.cv_results_[accuracy] == alone.cv_results_[accuracy]).all()


def test_fit_in_a_worker_trains_on_one_thread(monkeypatch):
    seen = []

    class Recorded(training.Trainer):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            seen.append((self.threads, threading.current_thread() is threading.main_thread()))

    monkeypatch.setattr(training, "Trainer", Recorded)
    snn = clone(SNN).set_params(n_jobs=3)
    with joblib.parallel_backend("threading"):
        cross_val_score(snn, X, DIGITS, cv=2, n_jobs=2)
    assert seen == [(1, False)] * 2
    snn.fit(X, DIGITS)
    assert seen[2:] == [(3, True)]


def test_threads_of_n_jobs():
    available = processors.available()
    assert not in_worker() and threads_of(None) == threads_of(-1) == available
    assert threads_of(-2) == max(1, available - 1) and threads_of(-1000) == 1
    assert threads_of(None, SERIAL_WORK) == 1 and threads_of(2, SERIAL_WORK) == 2
    assert joblib.Parallel(n_jobs=1)(joblib.delayed(in_worker)() for _ in range(2)) == [False] * 2
    nested = joblib.Parallel(n_jobs=2, prefer="threads")
    assert nested(joblib.delayed(in_worker)() for _ in range(2)) == [True] * 2
