"""SNNClassifier and SNNRegressor with folds and bootstrap samples: the rows of each member, and
predictions by the members that did not train on a row.
"""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed: pip install '.[sklearn]'")

from estimator_data import DIGITS, NAMES, PLAIN, XR, Y2, X, Y, classifier, regressor
from sklearn.base import clone
from sklearn.metrics import accuracy_score, r2_score

import fastsnn as fs
from fastsnn.estimators import members, training
from fastsnn.estimators.rows import Chosen


def weights(snn):
    return [network.parameters for network in snn.model_.members]


@pytest.mark.parametrize("n, count", [(10, 10), (11, 2), (400, 7)])
def test_folds(n, count):
    rng = np.random.default_rng(0)
    strata = rng.integers(0, 4, n) ** 2
    weight = rng.random(n)
    parts = members.parts_of("folds", Chosen(np.arange(n), weight), count, strata, 5)
    assert np.array_equal(np.sort(np.concatenate([p.held.rows for p in parts])), np.arange(n))
    for part in parts:
        assert np.array_equal(np.sort([*part.train.rows, *part.held.rows]), np.arange(n))
        assert (part.train.weight == weight[part.train.rows]).all()
        sizes = np.bincount(strata[part.held.rows], minlength=10)
        assert (abs(sizes - np.bincount(strata, minlength=10) / count) <= 1).all()
        assert n // count <= len(part.held.rows) <= -(-n // count)
    plain = members.parts_of("folds", Chosen(np.arange(n), None), count, None, 5)
    assert {len(p.held.rows) for p in plain} <= {n // count, n // count + 1}


def test_bootstrap_samples():
    parts = members.parts_of("bootstrap", Chosen(np.arange(100), None), 50, None, 5)
    for part in parts:
        assert len(part.train.rows) == 100
        assert set(part.train.rows) | set(part.held.rows) == set(range(100))
        assert not set(part.train.rows) & set(part.held.rows)
    out = np.mean([len(part.held.rows) for part in parts])
    assert 33 < out < 41  # 100 (1 - 1/100)^100 = 36.6; standard error 0.4
    one = members.parts_of("bootstrap", Chosen(np.arange(1), None), 2, None, 5)
    assert [part.held for part in one] == [None, None]


def test_a_member_trains_on_the_rows_outside_of_its_fold():
    options = {"dropout_rate": 0, "learning_rate_init": 0.02, "schedule": "constant", "loss": PLAIN}
    snn = classifier(n_members=4, members="folds", batch_size=50, **options).fit(X, DIGITS)
    parts = members.parts_of("folds", Chosen(np.arange(400), None), 4, DIGITS, 3)
    x = fs.data.Standardizer.fit(X).transform(X)
    for k, part in enumerate(parts):
        seed = members.seed_of(3, k)
        trainer = fs.Trainer(fs.mlp(64, 10, 2, 16, seed=seed), optimizer=fs.SGD(0.02), seed=seed)
        trainer.fit(x[part.train.rows], DIGITS[part.train.rows], 4, 50)
        assert (trainer.network.parameters == weights(snn)[k]).all()
        p = fs.Model(trainer.network, "classification").predict(x[part.held.rows])
        assert (snn.oof_decision_function_[part.held.rows].astype(np.float32) == p).all()
    assert snn.oof_score_ == (snn.oof_decision_function_.argmax(1) == DIGITS).mean()


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("kind", ["folds", "bootstrap"])
def test_scores_of_rows_held_back(kind, early_stopping):
    options = {"n_members": 5, "members": kind, "early_stopping": early_stopping}
    snn = classifier(**options, max_iter=60, learning_rate_init=0.05).fit(X, NAMES)
    p = snn.oof_decision_function_
    seen = np.isfinite(p).all(1)
    assert seen.all() if kind == "folds" else 0.8 < seen.mean() < 1
    assert np.allclose(p[seen].sum(1), 1)
    assert snn.oof_score_ == accuracy_score(NAMES[seen], snn.classes_[p[seen].argmax(1)])
    assert 0.75 < snn.oof_score_ < snn.score(X, NAMES)
    reg = regressor(**options, max_iter=60).fit(XR, Y2)
    seen = np.isfinite(reg.oof_prediction_).all(1)
    assert reg.oof_prediction_.shape == Y2.shape
    assert reg.oof_score_ == pytest.approx(r2_score(Y2[seen], reg.oof_prediction_[seen]))
    assert 0.3 < reg.oof_score_ < reg.score(XR, Y2)
    assert regressor(**options).fit(XR, Y).oof_prediction_.shape == (442,)
    assert clone(reg).set_params(members="seeds").fit(XR, Y2).oof_prediction_ is None


def test_early_stopping_uses_the_fold():
    seen = set()

    def score(estimator, x, y):
        seen.add(len(y))
        return estimator.score(x, y)

    snn = classifier(n_members=4, members="folds", early_stopping=True, scoring=score)
    snn.set_params(validation_fraction=0.5).fit(X, DIGITS)
    assert seen == {100}


def test_weights():
    weight = np.random.default_rng(2).uniform(0.5, 2, 400)
    weight[::7] = 0
    snn = classifier(n_members=3, members="folds").fit(X, DIGITS, weight)
    assert np.isnan(snn.oof_decision_function_[::7]).all()
    used = weight > 0
    right = snn.oof_decision_function_[used].argmax(1) == DIGITS[used]
    assert snn.oof_score_ == pytest.approx(np.average(right, weights=weight[used]))
    balanced = classifier(n_members=3, class_weight="balanced").fit(X, DIGITS % 2, weight)
    alone = classifier(class_weight="balanced").fit(X, DIGITS % 2, weight)
    assert (weights(balanced)[0] == alone.model_.network.parameters).all()


@pytest.mark.parametrize("kind", ["seeds", "folds", "bootstrap"])
def test_weights_are_repetitions_if_each_update_uses_all_rows(kind):
    rng = np.random.default_rng(0)
    x, y, weight = XR[:25], Y[:25], rng.integers(0, 4, 25)
    order = rng.permutation(25)
    make = clone(regressor(n_members=3, members=kind))
    weighted = clone(make).fit(x[order], y[order], weight[order])
    repeated = clone(make).fit(x.repeat(weight, axis=0), y.repeat(weight))
    pairs = zip(weights(weighted), weights(repeated), strict=True)
    assert all((one == other).all() for one, other in pairs)
    if kind != "seeds":
        back = np.argsort(order)
        held = weighted.oof_prediction_[back].repeat(weight)
        assert np.array_equal(held, repeated.oof_prediction_, equal_nan=True)
        assert weighted.oof_score_ == pytest.approx(repeated.oof_score_, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("options", [{}, {"batch_size": 20}])
def test_each_update_of_few_rows_uses_all_rows_of_the_member(options, monkeypatch):
    """Folds of 7, 7 and 6 of 20 rows: the members have 13, 13 and 14 training rows."""
    seen, fit = [], training.Trainer.fit

    def recorded(self, x, y, epochs, batch_size, *arguments):
        seen.append((len(x), batch_size))
        return fit(self, x, y, epochs, batch_size, *arguments)

    monkeypatch.setattr(training.Trainer, "fit", recorded)
    folds = {"n_members": 3, "members": "folds", "n_jobs": 1, **options}
    classifier(**folds).fit(X[:20], DIGITS[:20])
    regressor(**folds).fit(XR[:20], Y[:20])
    assert seen == [(13, 13), (13, 13), (14, 14)] * 2


def test_out_of_fold_predictions_need_members_that_never_saw_the_fold():
    snn = classifier(n_members=3, warm_start=True).fit(X, DIGITS)
    for kind in ("folds", "bootstrap"):
        snn.set_params(members=kind)
        with pytest.raises(ValueError, match=f"members='seeds' is required .* got '{kind}'"):
            snn.fit(X, DIGITS)
    snn.set_params(warm_start=False).fit(X, DIGITS)
    with pytest.raises(ValueError, match="members='bootstrap' is required"):
        snn.set_params(warm_start=True, members="folds").fit(X, DIGITS)


@pytest.mark.parametrize("dtype", [object, str])
def test_a_score_that_needs_all_classes_names_the_missing_one(dtype):
    y = np.where(np.arange(400) == 7, "rare", NAMES).astype(dtype)
    snn = classifier(n_members=3, members="folds", early_stopping=True, scoring="roc_auc_ovr")
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # text of scikit-learn
        snn.fit(X, y)
    notes = " ".join(caught.value.__notes__)
    assert "have none of class 'rare'" in notes and "in member " in notes
    assert snn.set_params(scoring="loss").fit(X, y).oof_score_ > 0
