"""SNNClassifier and SNNRegressor: the engine's bits, targets of each kind, weights, pickles, data
frames, and what they say about wrong arguments.
"""

import os
import pickle
import subprocess
import sys
import warnings

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

import fastsnn as fs
from fastsnn.data import Standardizer

CLASSIFIER = classifier().fit(X, DIGITS)

# ---- the same bits as the engine


def test_a_classifier_is_a_trainer_by_hand():
    snn = classifier(
        dropout_rate=0.1, learning_rate_init=0.02, batch_size=50, schedule="constant", loss=PLAIN
    ).fit(X, NAMES)
    inputs = Standardizer.fit(X)
    net = fs.mlp(64, 10, layers=2, width=16, dropout=0.1, seed=3)
    trainer = fs.Trainer(net, optimizer=fs.SGD(0.02), seed=3, threads=2)
    history = trainer.fit(inputs.transform(X), DIGITS, 4, 50)
    assert (snn.model_.network.parameters == net.parameters).all()
    assert snn.loss_curve_ == [record["train_loss"] for record in history]
    model = fs.Model(net, "classification", inputs)
    assert (proba(snn).astype(np.float32) == model.predict(X)).all()
    assert (snn.predict(X) == np.unique(NAMES)[model.predict(X).argmax(1)]).all()


@pytest.mark.parametrize("layers", [4, 9])
def test_defaults(layers):
    """400 rows: Adam has half the epochs and its own rate up to 8 layers."""
    snn = fs.SNNClassifier(layers=layers, random_state=0, n_jobs=1)
    assert (snn.layers, fs.SNNClassifier().layers, snn.width) == (layers, 4, 128)
    few = layers <= 8
    snn.set_params(width=8, max_iter="auto" if few else 2).fit(X, NAMES)
    dropout, rate, epochs = min(0.5 / layers, 0.05), 1e-3 if few else 1e-4, 64 if few else 2
    net = fs.mlp(64, 10, layers, 8, dropout, seed=0)
    smooth = fs.losses.SoftmaxCrossEntropy(0.1)
    trainer = fs.Trainer(net, smooth, fs.Adam(rate), threads=1, seed=0)
    cosine = fs.schedules.CosineDecay()
    trainer.fit(Standardizer.fit(X).transform(X), DIGITS, epochs, 32, schedule=cosine)
    assert (snn.model_.network.parameters == net.parameters).all()


def test_defaults_of_a_regression():
    snn = fs.SNNRegressor(width=8, max_iter=2, random_state=0, n_jobs=1).fit(XR, Y)
    net = fs.mlp(10, 1, 4, 8, seed=0)
    trainer = fs.Trainer(net, "mse", fs.Adam(1e-3, weight_decay=10 / 442), threads=1, seed=0)
    y = Standardizer.fit(Y[:, None]).transform(Y[:, None])
    x = Standardizer.fit(XR).transform(XR)
    trainer.fit(x, y, 2, 32, schedule=fs.schedules.CosineDecay())
    assert (snn.model_.network.parameters == net.parameters).all()


def test_a_regressor_is_a_trainer_by_hand():
    weight = np.random.default_rng(0).uniform(0.5, 2, len(Y))
    weight /= weight.mean()
    options = {"standardize": False, "solver": fs.Adam(0.003), "loss": "huber:0.5"}
    snn = regressor(hidden_layer_sizes=(16, 8), batch_size=64, **options)
    snn.fit(XR, Y2, weight)
    layers = [fs.Dense(16), fs.SELU(), fs.Dense(8), fs.SELU(), fs.Dense(2)]
    net = fs.Network(layers, 10, seed=3)
    trainer = fs.Trainer(net, "huber:0.5", fs.Adam(0.003), seed=3)
    cosine = fs.schedules.CosineDecay()
    weight /= weight.mean()
    trainer.fit(XR.astype(np.float32), Y2, 4, 64, schedule=cosine, sample_weight=weight)
    assert (snn.model_.network.parameters == net.parameters).all()


@pytest.mark.parametrize("n_jobs", [None, 1, 2, -1, -100])
def test_the_number_of_threads_changes_nothing(n_jobs):
    assert (proba(classifier(n_jobs=n_jobs).fit(X, DIGITS)) == proba(CLASSIFIER)).all()


# ---- targets


def test_fitted_attributes_of_a_classifier():
    snn = CLASSIFIER
    assert snn.classes_.tolist() == list(range(10)) and snn.n_features_in_ == 64
    assert snn.n_iter_ == snn.best_iteration_ == len(snn.loss_curve_) == 4
    assert snn.validation_scores_ is None and snn.n_outputs_ == 10
    assert isinstance(snn.model_, fs.Model) and not hasattr(snn, "feature_names_in_")
    assert snn.model_.class_names == tuple("0123456789")
    assert snn.score(X, DIGITS) == (snn.predict(X) == DIGITS).mean()


def test_two_classes():
    y = np.where(DIGITS > 4, "large", "small")
    snn = classifier().fit(X, y)
    odds, p = snn.decision_function(X), proba(snn)
    assert odds.shape == (400,) and p.shape == (400, 2) and p.dtype == np.float64
    assert np.allclose(1 / (1 + np.exp(-odds)), p[:, 1], rtol=1e-12)
    assert ((odds > 0) == (snn.predict(X) == "small")).all()
    assert np.allclose(np.exp(snn.predict_log_proba(X)), p)


def test_several_labels():
    snn = classifier(max_iter=30, learning_rate_init=0.2).fit(XM, LABELS)
    p = proba(snn, XM)
    assert p.shape == (200, 4) and snn.predict(XM).tolist() == (p > 0.5).astype(int).tolist()
    assert np.allclose(np.exp(snn.predict_log_proba(XM)), p)
    assert ((snn.decision_function(XM) > 0) == (p > 0.5)).all()
    assert snn.classes_.tolist() == [0, 1, 2, 3] and snn.model_.task == "multitask"
    assert snn.score(XM, LABELS) > 0.3  # all four labels right
    sparse = pytest.importorskip("scipy.sparse")
    assert (proba(clone(snn).fit(XM, sparse.csr_array(LABELS)), XM) == p).all()


def test_one_or_several_targets():
    snn = regressor(max_iter=60).fit(XR, Y)
    assert snn.predict(XR).shape == (442,) and snn.predict(XR).dtype == np.float64
    assert snn.score(XR, Y) > 0.4  # in the units of Y
    both = regressor(max_iter=60).fit(XR, Y2)
    assert both.predict(XR).shape == (442, 2) and both.score(XR, Y2) > 0.4
    column = regressor(max_iter=60).fit(XR, Y[:, None])
    assert (column.predict(XR)[:, 0] == snn.predict(XR)).all()
    median = regressor(max_iter=60, loss="quantile:0.9").fit(XR, Y)
    assert 0.8 < (Y < median.predict(XR)).mean() < 0.97


def test_sizes_of_the_network():
    def units(**options):
        nodes = fs.SNNClassifier(max_iter=1, **options).fit(X, DIGITS).model_.network.nodes
        return [node.fan_out for node in nodes[:-1]]

    assert units(hidden_layer_sizes=[9, 7]) == [9, 7] and units(hidden_layer_sizes=5) == [5]
    assert units(hidden_layer_sizes=np.array([4, 3])) == [4, 3]
    assert units(layers=3, width=8) == [8, 8, 8]


# ---- weights


def test_weights_are_repetitions_if_each_update_uses_all_rows():
    rng = np.random.default_rng(0)
    for make, x, y in ((classifier, X, DIGITS % 3), (regressor, XR, Y)):
        x, y, weight = x[:25], y[:25], rng.integers(0, 4, 25)
        order = rng.permutation(25)
        weighted = make().fit(x[order], y[order], weight[order])
        repeated = make().fit(x.repeat(weight, axis=0), y.repeat(weight))
        assert (weighted.predict(x) == repeated.predict(x)).all()
        fractions = rng.uniform(size=75).reshape(3, 25)
        each = make().fit(np.tile(x, (3, 1)), np.tile(y, 3), fractions.ravel())
        other = make().fit(np.tile(x, (3, 1)), np.tile(y, 3), fractions[::-1].ravel())
        assert (each.predict(x) == other.predict(x)).all()
        assert (weighted.model_.network.parameters == repeated.model_.network.parameters).all()


def test_weights_of_zero_and_equal_weights():
    weight = np.where(DIGITS == 9, 0, 2.5)
    snn, without = classifier(), classifier()
    snn.fit(X, DIGITS, weight), without.fit(X[DIGITS < 9], DIGITS[DIGITS < 9])
    assert snn.classes_.tolist() == list(range(9)) and (proba(snn) == proba(without)).all()


def test_weighted_standardization():
    weight = np.random.default_rng(1).uniform(0, 3, 400)
    inputs = classifier(max_iter=1).fit(X, DIGITS, weight).model_.inputs
    z = (X - inputs.mean) / inputs.scale
    assert np.allclose(weight @ z, 0, atol=1e-9)
    variance = weight @ z**2 / weight.sum()
    assert (np.isclose(variance, 1) | (np.ptp(X, axis=0) == 0)).all()


def test_class_weights():
    y = DIGITS % 2
    by_hand = classifier(loss=PLAIN).fit(
        X, y, np.where(y, 400 / (2 * y.sum()), 400 / (2 * (1 - y).sum()))
    )
    balanced = classifier(class_weight="balanced", standardize=True).fit(X, y)
    assert np.allclose(balanced.loss_curve_, by_hand.loss_curve_, rtol=0.05)
    trainer = fs.Trainer(fs.mlp(64, 2, 2, 16, seed=3), class_weight={0: 1, 1: 5}, seed=3)
    options = {"dropout_rate": 0, "learning_rate_init": 0.01, "schedule": "constant", "loss": PLAIN}
    odd = np.where(y, "odd", "even")
    snn = classifier(class_weight={"odd": 5}, batch_size=128, **options).fit(X, odd)
    trainer.fit(Standardizer.fit(X).transform(X), y, 4)
    assert (snn.model_.network.parameters == trainer.network.parameters).all()
    labels = classifier(class_weight="balanced").fit(XM, LABELS)
    weight = (1 - LABELS).sum(0) / LABELS.sum(0)
    same = classifier(class_weight=dict(enumerate(weight))).fit(XM, LABELS)
    assert (proba(labels, XM) == proba(same, XM)).all()


# ---- files and pickles


def test_pickles_hold_a_model_file_and_continue_nothing_else():
    content = pickle.dumps(CLASSIFIER)
    assert b"fastsnn.network" not in content and b"inputs.mean" in content
    loaded = pickle.loads(content)
    assert (proba(loaded) == proba(CLASSIFIER)).all() and loaded.loss_curve_
    damaged = content.replace(b"inputs.mean", b"inputs.meat")
    with pytest.raises(ValueError, match="damaged"):
        pickle.loads(damaged)
    assert len(content) < len(
        pickle.dumps(classifier(solver="adam", warm_start=True).fit(X, DIGITS))
    )
    unfitted = pickle.loads(pickle.dumps(classifier(loss="softmax_cross_entropy:0.1")))
    assert unfitted.get_params()["loss"] == "softmax_cross_entropy:0.1"


def test_model_files_serve_without_scikit_learn(tmp_path):
    CLASSIFIER.model_.save(tmp_path / "m.safetensors")
    np.save(tmp_path / "x.npy", X)
    code = (
        "import sys, numpy as np; sys.modules['sklearn'] = None; import fastsnn as fs; "
        "np.save('p.npy', fs.load_model('m.safetensors').predict(np.load('x.npy')))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env=environment())
    assert (np.load(tmp_path / "p.npy") == proba(CLASSIFIER).astype(np.float32)).all()


def environment():
    root = os.path.dirname(os.path.dirname(fs.__file__))
    return os.environ | {"PYTHONPATH": root}


def test_without_scikit_learn_the_message_says_what_to_install():
    code = (
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'sklearn' else find(name, *a)\n"
        "import fastsnn as fs\n"
        "assert 'SNNClassifier' not in dir(fs)\n"
        "try: fs.SNNRegressor\n"
        "except ImportError as error: print(error)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment()
    )
    assert run.stdout.strip() == (
        "fastsnn.SNNRegressor needs scikit-learn, which is not installed; pip install '.[sklearn]'"
    ), run.stderr


def test_class_names_are_those_of_the_command_line():
    for y, names in (
        (DIGITS[:40] % 2 + 0.0, ("0", "1")), (DIGITS[:40] % 2 == 1, ("False", "True")),
        (NAMES[:40], tuple(np.unique(NAMES[:40]))),
    ):  # fmt: skip
        assert classifier(max_iter=1).fit(X[:40], y).model_.class_names == names


# ---- frames


def test_data_frames():
    pd = pytest.importorskip("pandas", reason="needs pandas")
    frame = pd.DataFrame(XR, columns=[f"f{i}" for i in range(10)])
    snn = regressor().fit(frame, pd.Series(Y, name="progression"))
    assert snn.feature_names_in_.tolist() == list(frame) == list(snn.model_.feature_names)
    assert snn.model_.target_names == ("progression",)
    assert (snn.predict(frame) == regressor().fit(XR, Y).predict(XR)).all()
    with pytest.raises(ValueError, match="feature names"):
        snn.predict(frame[list(frame)[::-1]])
    frame.iloc[3, 2] = np.nan
    with pytest.raises(ValueError, match=r"X contains NaN in row 3, column 'f2'; .*imput"):
        snn.predict(frame)
    text = classifier().fit(X, pd.Series(NAMES))
    assert text.predict(X)[0].startswith("digit")
    both = regressor().fit(XR, pd.DataFrame(Y2, columns=["a", "b"]))
    assert both.model_.target_names == ("a", "b")
    scored = classifier(early_stopping=True, scoring="balanced_accuracy")
    assert scored.fit(pd.DataFrame(X).rename(columns=str), DIGITS).feature_names_in_[63] == "63"


# ---- what is refused


@pytest.mark.parametrize(
    "options, y, text",
    [
        ({}, DIGITS * 0, "at least 2 classes are required, got 1 class"),
        ({}, np.full(400, "q"), "got 1 class, 'q'"),
        ({}, np.stack([DIGITS, DIGITS], 1), "one label per row, or an indicator matrix"),
        ({}, DIGITS + 0.5, "Unknown label type"),
        ({"loss": "mse"}, DIGITS, "a loss for classification targets is required"),
        ({"loss": "hinge"}, DIGITS, "loss must be one of"),
        ({"hidden_layer_sizes": []}, DIGITS, "at least one hidden layer"),
        ({"hidden_layer_sizes": [0]}, DIGITS, "hidden_layer_sizes"),
        ({"n_jobs": 0}, DIGITS, "other than 0"),
        ({"class_weight": {11: 2}}, DIGITS, "keys of classes_ are required, got 11"),
        ({"schedule": "linear"}, DIGITS, "The 'schedule' parameter"),
        ({"nesterovs_momentum": True}, DIGITS, "nesterov needs momentum"),
        ({"scoring": "speed"}, DIGITS, "The 'scoring' parameter"),
        ({"dropout_rate": 1.0}, DIGITS, "The 'dropout_rate' parameter"),
    ],
)
def test_what_fit_refuses(options, y, text):
    with pytest.raises(ValueError, match=text):
        classifier(**options).fit(X, y)


def test_what_else_is_refused():
    with pytest.raises(ValueError, match="weights >= 0 are required, got -1.0 in row 0"):
        classifier().fit(X, DIGITS, -np.ones(400))
    with pytest.raises(TypeError, match="dense data is required"):
        from scipy import sparse

        classifier().fit(sparse.csr_array(X), DIGITS)
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping"):
        classifier(early_stopping=True).partial_fit(X, DIGITS, classes=range(10))
    with pytest.raises(ValueError, match="balanced.* is not supported by partial_fit"):
        classifier(class_weight="balanced").partial_fit(X, DIGITS, classes=range(10))
    with pytest.raises(ValueError, match="labels of classes_ are required, got 12 in row 1"):
        classifier().partial_fit(X[:2], [1, 12], classes=range(10))
    for dtype in (object, str):
        with pytest.raises(ValueError, match="classes_ are required, got 'zero' in row 1"):
            classifier().partial_fit(X[:2], np.array(["a", "zero"], dtype), classes=["a", "b"])
    with pytest.raises(ValueError, match="an indicator matrix as before"):
        classifier(warm_start=True).fit(XM, LABELS).fit(XM, LABELS[:, 0])
    with pytest.raises(ValueError, match="2 columns are required"):
        regressor().partial_fit(XR, Y2).partial_fit(XR, Y)
    with pytest.raises(FloatingPointError, match="learning rate"):
        regressor(learning_rate_init=1e6, schedule="constant").fit(XR, Y)


def test_nothing_is_warned_about():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fs.SNNClassifier(layers=1, width=4, max_iter=1).fit(X, DIGITS)


def test_verbose(capsys):
    classifier(verbose=1, early_stopping=True).fit(X, DIGITS)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4 and lines[3].startswith("epoch 4/4") and "score 0." in lines[3]
