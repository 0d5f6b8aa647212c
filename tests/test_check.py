"""Conversion at the edge: arrays are converted to float32 once, with the same results; class
weights in all their forms; NumPy's numbers in place of Python's.
"""

import numpy as np
import pytest

import fastsnn as fs
from fastsnn.checks import inputs as check
from fastsnn.schedules import StepDecay

RNG = np.random.default_rng(8)
X = RNG.normal(size=(60, 5)).astype(np.float32)
Y = (np.arange(60) % 7 == 0) + (np.arange(60) % 3 == 0).astype(np.int64)
TARGETS = RNG.normal(size=(60, 3)).astype(np.float32)


def trained(x=X, y=Y, loss="softmax_cross_entropy", steps=False, **options):
    network = fs.mlp(5, 3, layers=2, width=8, seed=1)
    trainer = fs.Trainer(network, loss, threads=1, **options)
    trainer.step(x, y) if steps else trainer.fit(x, y, epochs=2, batch_size=16)
    return network.parameters.copy()


def test_float32_is_taken_without_a_copy():
    assert check.features(X, 5) is X
    assert np.shares_memory(check.targets(TARGETS, 60, 3), TARGETS)


FORMS = {
    "a list": lambda a: a.tolist(),
    "rows": list,
    "float64": lambda a: a.astype(np.float64),
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "fortran": np.asfortranarray,
    "a mask of nothing": lambda a: np.ma.array(a, mask=np.zeros(a.shape, bool)),
    "a subclass": lambda a: a.view(np.memmap),
}


@pytest.mark.parametrize("steps", [False, True], ids=["fit", "step"])
@pytest.mark.parametrize("form", FORMS)
def test_other_forms_give_the_same_bits(form, steps):
    as_form = FORMS[form]
    labels = Y if form == "float64" else as_form(Y)  # classes are integers
    assert np.array_equal(trained(as_form(X), labels, steps=steps), trained(steps=steps))
    for loss in ("mse", "sigmoid_cross_entropy"):
        y = TARGETS if loss == "mse" else (TARGETS > 0).astype(np.float32)
        given = trained(as_form(X), as_form(y), loss, steps)
        assert np.array_equal(given, trained(X, y, loss, steps))


def test_integers_and_bools_are_numbers():
    whole, binary = (X * 3).round(), X > 0
    assert np.array_equal(trained(whole.astype(int)), trained(whole))
    assert np.array_equal(trained(binary), trained(binary.astype(np.float32)))
    tasks = TARGETS > 0
    for y in (tasks, tasks.astype(int)):
        assert np.array_equal(
            trained(X, y, "sigmoid_cross_entropy"),
            trained(X, tasks.astype(np.float32), "sigmoid_cross_entropy"),
        )


def test_evaluation_takes_the_same_forms():
    network = fs.mlp(5, 3, layers=1, width=8)
    for loss, y in (("softmax_cross_entropy", Y), ("mse", TARGETS),
                    ("sigmoid_cross_entropy", (TARGETS > 0).astype(np.float32))):  # fmt: skip
        trainer = fs.Trainer(network, loss, threads=1)
        wanted = trainer.evaluate(X, y)
        assert trainer.evaluate(X.tolist(), y.tolist()) == wanted
        history = trainer.fit(X, y, epochs=1, validation_data=(X.tolist(), y.tolist()))
        after = trainer.evaluate(X, y)
        assert history[0]["validation_loss"] == after["loss"]


def test_class_weights_by_class():
    array = trained(class_weight=np.float32([1, 2, 0.5]))
    for weight in ({1: 2, 2: 0.5}, {np.int64(2): np.float32(0.5), 1: 2.0, 0: 1}, [1, 2, 0.5]):
        assert np.array_equal(trained(class_weight=weight), array)
    assert not np.array_equal(trained(), array)


def test_balanced_classes_weigh_the_same():
    counts = np.bincount(Y, minlength=3)
    weights = 60 / (3 * counts)
    assert np.array_equal(trained(class_weight="balanced"), trained(class_weight=weights))
    found = check.balanced(Y, check.NO_TARGETS, 3)
    np.testing.assert_allclose(found * counts, 20, rtol=1e-6)
    two = check.balanced(Y[Y < 2], check.NO_TARGETS, 4)
    assert two[2:].tolist() == [1, 1]
    assert two[0] * (Y == 0).sum() == pytest.approx(two[1] * (Y == 1).sum(), rel=1e-6)


def test_balanced_is_scikit_learn_s():
    utils = pytest.importorskip("sklearn.utils.class_weight", reason="needs scikit-learn")
    expected = utils.compute_class_weight("balanced", classes=np.arange(3), y=Y)
    np.testing.assert_allclose(check.balanced(Y, check.NO_TARGETS, 3), expected, rtol=1e-6)


def test_balanced_tasks():
    y = np.float32([[1, 0, np.nan], [0, 0, 1], [0, 0, 1], [np.nan, 0, 0]])
    assert check.balanced(check.NO_INTEGERS, y, 3).tolist() == [2, 1, 0.5]


def test_balanced_is_settled_by_the_first_fit():
    trainer = fs.Trainer(fs.mlp(5, 3, layers=1, width=8), threads=1, class_weight="balanced")
    for call in (trainer.step, trainer.gradients):
        with pytest.raises(ValueError, match='"balanced" is known from the first fit on'):
            call(X, Y)
    trainer.fit(X, Y, epochs=1)
    settled = trainer.class_weight.copy()
    trainer.step(X, np.zeros(60, int))
    trainer.fit(X, np.zeros(60, int), epochs=1)
    assert np.array_equal(trainer.class_weight, settled) and settled.dtype == np.float32


def test_balanced_that_fails_stays_open():
    trainer = fs.Trainer(fs.mlp(5, 3, layers=1, width=8), threads=1, class_weight="balanced")
    with pytest.raises(ValueError, match="validation_data"):
        trainer.fit(X, Y, epochs=1, validation_data=(X[:, :2], Y))
    assert trainer.class_weight == "balanced"


def test_numpy_numbers_are_numbers():
    classes = Y.max() + 1
    network = fs.mlp(np.int64(5), classes, layers=np.int32(2), width=np.uint8(8), seed=np.int64(1))
    assert network.output_size == 3 and type(network.input_size) is int
    layers = [fs.Dense(np.int64(4)), fs.SELU(), fs.AlphaDropout(np.float64(0.1)), fs.Dense(2)]
    assert fs.Network(layers, np.int64(5)).output_size == 2
    trainer = fs.Trainer(network, optimizer=fs.SGD(np.float64(0.01)), threads=np.int64(1),
                         seed=np.uint32(0))  # fmt: skip
    history = trainer.fit(
        X, Y, epochs=np.int64(2), batch_size=np.int16(16),
        schedule=StepDecay(every=np.float64(0.5)),
        callbacks=[fs.EarlyStopping("train_loss", patience=np.int64(3))],
    )  # fmt: skip
    plain = fs.Trainer(fs.mlp(5, 3, layers=2, width=8, seed=1), optimizer=fs.SGD(0.01), threads=1)
    again = plain.fit(X, Y, epochs=2, batch_size=16, schedule=StepDecay(every=0.5))
    assert [r["train_loss"] for r in history] == [r["train_loss"] for r in again]


@pytest.mark.parametrize(
    "call",
    [
        lambda: fs.mlp(4, np.float64(3)),
        lambda: fs.mlp(4, np.True_),
        lambda: fs.mlp(4.0, 3),
        lambda: fs.EarlyStopping(patience=2.5),
    ],
)
def test_integers_are_required(call):
    with pytest.raises(TypeError, match="must be an int, got"):
        call()
