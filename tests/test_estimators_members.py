"""SNNClassifier and SNNRegressor with several members: their seeds, mean and spread, equal bits for
any number of threads, continued trainings, errors and interrupts in a member, progress.
"""

import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed: pip install '.[sklearn]'")

import joblib
import sklearn
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
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV

import fastsnn as fs
from fastsnn.estimators import members, parallel, training
from fastsnn.estimators.progress import MembersProgress
from fastsnn.runs.concurrent import run_all

ALONE = classifier().fit(X, DIGITS)
THREE = classifier(n_members=3).fit(X, DIGITS)


def weights(snn):
    return [network.parameters for network in snn.model_.members]


def same(one, other):
    return all((a == b).all() for a, b in zip(weights(one), weights(other), strict=True))


# ---- seeds


def test_the_first_member_is_the_estimator_with_one():
    assert (weights(THREE)[0] == ALONE.model_.network.parameters).all()
    assert THREE.member_loss_curves_[0] == ALONE.loss_curve_ == ALONE.member_loss_curves_[0]
    assert not (weights(THREE)[0] == weights(THREE)[1]).all()


def test_another_member_is_the_estimator_with_its_seed():
    seed = members.seed_of(3, 2)
    assert seed == np.random.SeedSequence(3, spawn_key=(2,)).generate_state(1, np.uint64)[0]
    net = fs.mlp(64, 10, 2, 16, dropout=0.05, seed=seed)
    assert not (net.parameters == weights(THREE)[2]).all()
    options = {"dropout_rate": 0, "learning_rate_init": 0.02, "schedule": "constant", "loss": PLAIN}
    snn = classifier(n_members=3, batch_size=50, **options).fit(X, DIGITS)
    trainer = fs.Trainer(fs.mlp(64, 10, 2, 16, seed=seed), optimizer=fs.SGD(0.02), seed=seed)
    trainer.fit(snn.model_.inputs.transform(X), DIGITS, 4, 50)
    assert (trainer.network.parameters == weights(snn)[2]).all()
    assert same(classifier(n_members=np.int64(3)).fit(X, DIGITS), THREE)
    seeds = {members.seed_of(s, k) for s in range(50) for k in range(50)}
    assert len(seeds) == 2500, "no two estimators share a member"


@pytest.mark.parametrize("kind", ["seeds", "folds", "bootstrap"])
@pytest.mark.parametrize("n_jobs", [1, 2, 3, 16, None])
def test_the_number_of_threads_changes_nothing(kind, n_jobs):
    for make, x, y in ((classifier, X, DIGITS), (regressor, XR, Y)):
        options = {"n_members": 3, "members": kind, "early_stopping": True, "max_iter": 3}
        snn, one = (make(**options, n_jobs=jobs).fit(x, y) for jobs in (n_jobs, 1))
        assert same(snn, one) and snn.oof_score_ == one.oof_score_
        assert snn.member_validation_scores_ == one.member_validation_scores_


def test_threads_of_members():
    of = parallel.threads_of_members
    for jobs, count, wanted in ((1, 8, (1, 1)), (2, 8, (2, 1)), (8, 3, (3, 2)), (8, 8, (8, 1))):
        assert of(jobs, count, 1e9, "cpu") == wanted
    assert of(8, 3, 1e9, "cuda") == (1, 8) and of(4, 1, 1e9, "cpu") == (1, 4)
    most, each = of(None, 2, 1.0, "cpu")
    assert each == 1 and most <= 2, "a small network has one thread"


def test_predictions_are_means():
    p, deviation = THREE.predict_proba(X, return_std=True)
    each = np.array([fs.Model(net, "classification", THREE.model_.inputs).predict(X)
                     for net in THREE.model_.members])  # fmt: skip
    assert np.allclose(p, each.mean(0), atol=1e-7) and np.allclose(
        deviation, each.std(0), atol=1e-6
    )
    assert p.dtype == deviation.dtype == np.float64 and (proba(THREE) == p).all()
    assert (THREE.predict(X) == p.argmax(1)).all()
    assert np.allclose(np.exp(THREE.predict_log_proba(X)), p, rtol=1e-12)
    assert (THREE.model_.predict(X) == p.astype(np.float32)).all()
    assert not ALONE.predict_proba(X, return_std=True)[1].any()
    two = classifier(n_members=3).fit(X, DIGITS > 4)
    odds = np.log(proba(two)[:, 1] / proba(two)[:, 0])
    assert np.allclose(two.decision_function(X), odds, rtol=1e-9)


@pytest.mark.parametrize("y", [Y, Y2, Y[:, None]])
def test_regression(y):
    snn = regressor(n_members=3, max_iter=20).fit(XR, y)
    mean, deviation = snn.predict(XR, return_std=True)
    assert mean.shape == deviation.shape == y.shape and (deviation > 0).all()
    model = snn.model_
    each = np.array([fs.Model(net, "regression", model.inputs, model.targets).predict(XR)
                     for net in model.members])  # fmt: skip
    assert np.allclose(mean.reshape(442, -1), each.mean(0), rtol=1e-12)
    assert np.allclose(deviation.reshape(442, -1), each.std(0), rtol=1e-5)
    assert snn.score(XR, y) == r2_score(y, mean)


def test_several_labels():
    snn = classifier(n_members=3, members="folds", max_iter=30).fit(XM, LABELS)
    p, deviation = snn.predict_proba(XM, return_std=True)
    assert p.shape == deviation.shape == snn.oof_decision_function_.shape == (200, 4)
    right = (snn.oof_decision_function_ > 0.5) == LABELS
    assert snn.oof_score_ == right.all(axis=1).mean()
    assert ((snn.decision_function(XM) > 0) == snn.predict(XM)).all()


def test_fitted_attributes():
    snn = classifier(n_members=3, early_stopping=True, n_iter_no_change=2, max_iter=40,
                     learning_rate_init=0.3, schedule="constant").fit(X, DIGITS)  # fmt: skip
    curves, scores = snn.member_loss_curves_, snn.member_validation_scores_
    assert len(set(map(len, curves))) > 1 and list(map(len, curves)) == list(map(len, scores))
    assert snn.n_iter_ == len(snn.loss_curve_) == len(snn.validation_scores_)
    assert snn.n_iter_ == max(map(len, curves))
    assert snn.loss_curve_[0] == pytest.approx(np.mean([c[0] for c in curves]), rel=1e-15)
    assert snn.loss_curve_[-1] == np.mean([c[-1] for c in curves if len(c) == snn.n_iter_])
    best = snn.member_best_iterations_
    assert best == [int(np.argmax(s)) + 1 for s in scores]
    assert snn.best_iteration_ == round(np.mean(best)) and isinstance(snn.best_iteration_, int)
    assert snn.best_validation_score_ == pytest.approx(np.mean(list(map(max, scores))))
    assert snn.oof_score_ is None and snn.oof_decision_function_ is None
    assert ALONE.member_validation_scores_ is None and ALONE.member_best_iterations_ == [4]


# ---- continued trainings, pickles, tools


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("pickled", [False, True])
def test_trainings_continue_to_the_bit(solver, pickled):
    def again(snn):
        return pickle.loads(pickle.dumps(snn)) if pickled else snn

    options = {"solver": solver, "schedule": "constant", "learning_rate_init": 0.01, "n_members": 2}
    whole = classifier(**options).fit(X, NAMES)
    warm = classifier(warm_start=True, max_iter=2, **options).fit(X, NAMES)
    warm = again(warm).fit(X, NAMES)
    assert same(warm, whole) and warm.member_loss_curves_ == whole.member_loss_curves_
    stream = classifier(**options)
    for epoch in range(4):
        stream = again(stream.partial_fit(X, NAMES, np.unique(NAMES) if not epoch else None))
    assert same(stream, whole) and stream.n_iter_ == 4
    folds = classifier(warm_start=True, max_iter=2, members="folds", **options).fit(X, NAMES)
    folds = again(folds).fit(X, NAMES)
    assert same(folds, classifier(members="folds", **options).fit(X, NAMES))


def test_pickles_and_model_files(tmp_path):
    loaded = pickle.loads(pickle.dumps(THREE))
    assert same(loaded, THREE) and (proba(loaded) == proba(THREE)).all()
    THREE.model_.save(tmp_path / "m")
    assert (fs.load_model(tmp_path / "m").predict(X) == proba(THREE).astype(np.float32)).all()


def test_a_worker_of_joblib_uses_one_thread(monkeypatch):
    seen = []

    class Recorded(training.Trainer):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            seen.append((self.threads, threading.current_thread().name))

    monkeypatch.setattr(training, "Trainer", Recorded)
    grid = {"learning_rate_init": [0.05, 0.1]}
    with joblib.parallel_backend("threading"):
        search = GridSearchCV(classifier(n_members=2, n_jobs=4), grid, cv=2, n_jobs=2, refit=False)
        search.fit(X, DIGITS)
    assert len(seen) == 8 and {threads for threads, _ in seen} == {1}
    assert not any(name.startswith("member") for _, name in seen)
    seen.clear()
    classifier(n_members=2, n_jobs=4).fit(X, DIGITS)
    assert all(name.startswith("member") for _, name in seen)


def test_the_configuration_of_the_caller_applies_to_members():
    seen = []

    def score(estimator, x, y):
        seen.append((sklearn.get_config()["assume_finite"], np.geterr()["under"]))
        return 0.0

    snn = classifier(n_members=2, n_jobs=2, early_stopping=True, scoring=score)
    with sklearn.config_context(assume_finite=True), np.errstate(under="raise"):
        snn.fit(X, DIGITS)
    assert set(seen) == {(True, "raise")}


# ---- what is refused, errors and interrupts


@pytest.mark.parametrize(
    "options, rows, text",
    [
        ({"n_members": 0}, 400, "The 'n_members' parameter"),
        ({"n_members": 10**6}, 400, r"The 'n_members' parameter .* range \[1, 10000\]"),
        ({"n_members": 2, "members": "trees"}, 400, "The 'members' parameter"),
        ({"members": "folds"}, 400, 'members="folds" needs n_members >= 2, got 1'),
        ({"members": "folds", "n_members": 30}, 20, "needs a row per member, 30, got 20 rows"),
        ({"members": "bootstrap", "n_members": 9, "early_stopping": True}, 2, "member . has none"),
    ],
)
def test_what_fit_refuses(options, rows, text):
    with pytest.raises(ValueError, match=text):
        classifier(**options).fit(X[:rows], DIGITS[:rows])


def test_what_else_is_refused():
    warm = classifier(n_members=2, warm_start=True).fit(X, DIGITS)
    with pytest.raises(ValueError, match="n_members=2 is required to train further"):
        warm.set_params(n_members=3).fit(X, DIGITS)
    folds = classifier(members="folds", n_members=2)
    assert not hasattr(folds, "partial_fit") and hasattr(classifier(), "partial_fit")
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'"):
        folds.partial_fit(X, DIGITS, range(10))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rare = np.where(np.arange(400) == 7, 10, DIGITS)
        assert len(folds.set_params(max_iter=1).fit(X, rare).classes_) == 11


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_the_first_exception_ends_the_others(n_jobs):
    started = time.perf_counter()
    with pytest.raises(FloatingPointError, match="learning rate") as caught:
        regressor(learning_rate_init=1e6, schedule="constant", n_members=3, n_jobs=n_jobs).fit(
            XR, Y
        )
    assert caught.value.__notes__[0].startswith("in member ")
    lock, calls = threading.Lock(), []

    def score(estimator, x, y):
        with lock:
            calls.append(1)
            if len(calls) == 3:
                raise RuntimeError("no score")
        return 0.0

    snn = classifier(n_members=3, n_jobs=n_jobs, early_stopping=True, scoring=score)
    snn.set_params(max_iter=100_000, n_iter_no_change=np.inf)
    with pytest.raises(RuntimeError, match="no score"):
        snn.fit(X, DIGITS)
    assert len(calls) < 1000 and time.perf_counter() - started < 120
    assert not any(t.name.startswith("member") for t in threading.enumerate())


@pytest.mark.parametrize("count", [1, 3])
def test_a_training_that_fails_keeps_the_estimator(count):
    new = classifier(n_members=count, learning_rate_init=1e6, schedule="constant")
    before = dict(vars(new))
    with pytest.raises(FloatingPointError):
        new.fit(X, DIGITS)
    assert vars(new) == before and not hasattr(new, "classes_")
    snn = regressor(n_members=count, warm_start=True, schedule="constant").fit(XR, Y)
    copied, model, z = pickle.loads(pickle.dumps(snn)), snn.model_, snn.predict(XR)
    for x, y, warm in ((XR, Y, True), (XR[:, :3], Y2, False)):
        snn.set_params(learning_rate_init=1e6, warm_start=warm)
        with pytest.raises(FloatingPointError):
            snn.fit(x, y)
        assert snn.model_ is model and (snn.predict(XR) == z).all() and snn.n_iter_ == 4
    with pytest.raises(FloatingPointError):
        snn.set_params(learning_rate_init=1e6).partial_fit(XR, Y).partial_fit(XR, Y)
    assert (model.predict(XR)[:, 0] == z).all(), "a model in use does not change"
    again = regressor(n_members=count, warm_start=True, schedule="constant").fit(XR, Y)
    with pytest.raises(FloatingPointError):
        again.set_params(learning_rate_init=1e6).fit(XR, Y)
    again.set_params(learning_rate_init="auto").fit(XR, Y)
    assert same(again, copied.fit(XR, Y)), "training continues as if the failed one had not been"


def test_of_several_errors_the_first_member_counts():
    def job(k):
        def run(report):
            barrier.wait(60)
            raise ValueError(f"job {k}")

        return run

    barrier = threading.Barrier(4)
    with pytest.raises(ValueError, match="job"):
        run_all([job(k) for k in range(4)], 4, "job")
    assert run_all([lambda report, k=k: k for k in range(9)], 3, "job") == list(range(9))


def test_an_interrupt_ends_all_members(tmp_path):
    code = (
        "import numpy as np, signal, threading, fastsnn as fs\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # nohup ignores it
        "x = np.random.default_rng(0).normal(size=(4000, 20)); y = (x[:, 0] > 0).astype(int)\n"
        "snn = fs.SNNClassifier(layers=2, width=32, max_iter=10**6, n_members=3, n_jobs=2)\n"
        "fs.SNNClassifier(layers=2, width=32, max_iter=1).fit(x, y)\n"
        "print('go', flush=True)\n"
        "try: snn.fit(x, y)\n"
        "except KeyboardInterrupt: print('stopped', threading.active_count())\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout.readline() == "go\n"
        time.sleep(1)
        run.send_signal(signal.SIGINT)
        try:
            assert run.communicate(timeout=60)[0] == "stopped 1\n"
        finally:
            run.kill()


# ---- progress


def test_verbose(capsys):
    snn = classifier(n_members=3, verbose=1, early_stopping=True, n_jobs=2).fit(X, DIGITS)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("  ")[0] for line in lines] == [f"{k}/3 members" for k in (1, 2, 3)]
    assert sorted(int(line.split("member ")[1][0]) for line in lines) == [1, 2, 3]
    assert "epoch 4" in lines[2] and "loss " in lines[2] and "score " in lines[2]
    assert same(snn, classifier(n_members=3, early_stopping=True).fit(X, DIGITS))


def test_the_live_line_shows_the_time_left(monkeypatch):
    class Terminal:
        encoding = "utf-8"

        def __init__(self):
            self.text = ""

        def write(self, text):
            self.text += text

        def flush(self):
            pass

        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm")
    shown = MembersProgress(2, terminal := Terminal())
    shown.start -= 30
    shown.report(0, 0.5)
    shown.finished(1, {"epoch": 9, "train_loss": 0.25})
    shown.close()
    assert "0/2 members  1:30 left" in terminal.text
    assert "1/2 members  0:10 left  member 2: epoch 9  loss 0.2500" in terminal.text
