"""Early stopping, schedules, optimizers and continued trainings of the estimators."""

import copy
import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed: pip install '.[sklearn]'")

from estimator_data import (
    DIGITS,
    LABELS,
    NAMES,
    PLAIN,
    XM,
    XR,
    Y2,
    X,
    Y,
    classifier,
    proba,
    regressor,
)
from sklearn.base import clone
from sklearn.metrics import log_loss

import fastsnn as fs
from fastsnn.data import Standardizer

CLASSIFIER = classifier().fit(X, DIGITS)

# ---- early stopping


@pytest.mark.parametrize("scoring", [None, "loss", "balanced_accuracy", "neg_log_loss"])
def test_early_stopping_keeps_the_best_epoch(scoring):
    options = {"max_iter": 30, "early_stopping": True, "n_iter_no_change": 3, "scoring": scoring}
    snn = classifier(validation_fraction=0.25, learning_rate_init=0.2, **options).fit(X, DIGITS)
    scores = snn.validation_scores_
    assert len(scores) == snn.n_iter_ and np.argmax(scores) + 1 == snn.best_iteration_
    assert max(scores) == snn.best_validation_score_
    assert snn.n_iter_ == min(30, snn.best_iteration_ + 3)
    # The weights are those of the best epoch: a training of that length ends with them.
    if snn.best_iteration_ < 30:
        again = clone(snn).set_params(n_iter_no_change=1000, max_iter=30, schedule="constant")
        short = clone(again).set_params(max_iter=again.fit(X, DIGITS).best_iteration_)
        assert (proba(short.fit(X, DIGITS)) == proba(again)).all()


def test_a_scorer_sees_raw_rows_and_labels():
    seen = []

    def score(estimator, x, y):
        seen.append((x, y))
        return -log_loss(y, estimator.predict_proba(x), labels=estimator.classes_)

    snn = classifier(early_stopping=True, scoring=score).fit(X, NAMES)
    by_name = classifier(early_stopping=True, scoring="neg_log_loss").fit(X, NAMES)
    assert len(seen) == 4 and seen[0][0].max() == 16 and set(seen[0][1]) == set(NAMES)
    assert snn.validation_scores_ == by_name.validation_scores_
    weighted = classifier(early_stopping=True).fit(X, NAMES, np.linspace(1, 2, 400))
    assert len(weighted.validation_scores_) == 4


def test_early_stopping_of_other_targets():
    for scoring in (None, "neg_median_absolute_error", "loss"):
        snn = regressor(early_stopping=True, scoring=scoring).fit(XR, Y2)
        assert len(snn.validation_scores_) == 4
    assert len(classifier(early_stopping=True).fit(XM, LABELS).validation_scores_) == 4
    rare = np.where(np.arange(400) == 7, 10, DIGITS)  # one row: it cannot be stratified
    assert len(classifier(early_stopping=True).fit(X, rare).classes_) == 11


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("schedule", [*fs.schedules.SCHEDULES, fs.schedules.StepDecay(0.5)])
def test_schedules(schedule, early_stopping):
    snn = classifier(schedule=schedule, early_stopping=early_stopping).fit(X, DIGITS)
    assert snn.n_iter_ == 4


@pytest.mark.parametrize("solver", ["sgd", "adam", "adamw", "rmsprop", "lion", "nadam"])
def test_solvers(solver):
    options = {"learning_rate_init": 0.001, "weight_decay": 0.01, "loss": PLAIN}
    snn = classifier(batch_size=64, dropout_rate=0, schedule="constant", solver=solver, **options)
    kind = next(getattr(fs, n) for n in fs.optimizers.__all__ if n.lower() == solver)
    trainer = fs.Trainer(
        fs.mlp(64, 10, 2, 16, seed=3), optimizer=kind(0.001, weight_decay=0.01), seed=3
    )
    trainer.fit(Standardizer.fit(X).transform(X), DIGITS, 4, 64)
    same = snn.fit(X, DIGITS).model_.network.parameters == trainer.network.parameters
    assert same.all()


# ---- continued trainings


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("pickled", [False, True])
def test_warm_start_and_partial_fit_continue_to_the_bit(solver, pickled):
    options = {"solver": solver, "schedule": "constant", "learning_rate_init": 0.01}
    whole = classifier(**options).fit(X, NAMES)
    warm = classifier(warm_start=True, max_iter=2, **{k: options[k] for k in options})
    warm.fit(X, NAMES)
    if pickled:
        warm = pickle.loads(pickle.dumps(warm))
    warm.fit(X, NAMES)
    assert (proba(warm) == proba(whole)).all() and warm.loss_curve_ == whole.loss_curve_
    parts = classifier(**options)
    for epoch in range(4):
        parts.partial_fit(X, NAMES, np.unique(NAMES) if not epoch else None)
        if pickled:
            parts = copy.deepcopy(parts)
    assert (proba(parts) == proba(whole)).all() and parts.n_iter_ == 4


def test_a_schedule_begins_again_with_a_warm_start():
    snn = regressor(warm_start=True, max_iter=2).fit(XR, Y).fit(XR, Y)
    rates = [record["learning_rate"] for record in snn._histories[0]]
    assert rates[:2] == rates[2:] and rates[0] > rates[1]


def test_fit_begins_anew_without_warm_start():
    snn = classifier().fit(X, DIGITS > 4)
    assert (proba(snn.fit(X, DIGITS)) == proba(CLASSIFIER)).all() and snn.n_iter_ == 4
    snn.partial_fit(X, DIGITS)
    assert snn.n_iter_ == 5


def test_partial_fit_of_parts():
    snn = classifier(learning_rate_init=0.05)
    for _ in range(5):
        for part in np.array_split(np.arange(400), 4):
            snn.partial_fit(X[part], DIGITS[part], classes=range(10))
    assert snn.score(X, DIGITS) > 0.8
    labels = classifier().partial_fit(XM, LABELS, classes=range(4)).partial_fit(XM, LABELS)
    assert proba(labels, XM).shape == (200, 4)
    assert regressor().partial_fit(XR, Y2).partial_fit(XR, Y2).predict(XR).shape == (442, 2)


def test_an_optimizer_of_another_kind_starts_with_its_own_state():
    snn = classifier(warm_start=True).fit(X, DIGITS).set_params(solver="adam").fit(X, DIGITS)
    assert snn.n_iter_ == 8
