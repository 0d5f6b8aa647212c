"""Input that a network or a trainer refuses: messages, and an unchanged state.

Each message states the place, the requirement and the given value.
"""

import numpy as np
import pytest

import fastsnn as fs
from fastsnn import losses, optimizers
from fastsnn.data import Split
from fastsnn.schedules import Schedule

NAN, INF = float("nan"), float("inf")
X = np.random.default_rng(1).normal(size=(8, 6)).astype(np.float32)
Y = np.arange(8) % 3
TARGETS = np.eye(3, dtype=np.float32)[Y]


def network():
    return fs.mlp(6, 3, layers=2, width=8, seed=2)


def trainer(loss="softmax_cross_entropy", **arguments):
    return fs.Trainer(network(), loss, **{"threads": 1} | arguments)


def altered(array, place, value):
    array = array.copy()
    array[place] = value
    return array


# name: (x, type of the error, parts of its text)
BAD_X = {
    "uneven rows": ([[1.0] * 6, [2.0] * 5], ValueError, "x: an array of numbers is required, got"),
    "nothing": (None, TypeError, "x: a NumPy array is required, got NoneType"),
    "text": (X.astype(str), TypeError, "x: numbers are required, got text such as '"),
    "objects": (X.astype(object), TypeError, "x: numbers are required, got object"),
    "complex": (X.astype(complex), TypeError, "x: real numbers are required, got complex128"),
    "times": (X.astype(int).astype("M8[s]"), TypeError, "x: numbers are required, got datetime64"),
    "masked": (
        np.ma.array(X, mask=X == X[3, 2]),
        ValueError,
        "without masked entries is required, 1 are masked, the first in row 3, column 2",
    ),
    "too large": (
        altered(X.astype(float), (4, 1), 1e39),
        ValueError,
        "the range of float32 (3.4e38) are required, got 1e+39 in row 4, column 1",
    ),
    "one row": (X[0], ValueError, "(n, 6) is required, got (6,); for a single row give x[None]"),
    "images": (X.reshape(8, 2, 3), ValueError, "x: shape (n, 6) is required, got (8, 2, 3)"),
    "too few": (X[:, :5].copy(), ValueError, "x: the network has 6 inputs, got 5 features"),
    "too many": (np.hstack([X, X]), ValueError, "x: the network has 6 inputs, got 12 features"),
    "empty": (X[:0], ValueError, "x: at least one row is required, got shape (0, 6)"),
}
NOT_FINITE = {
    "NaN": (altered(X, (5, 2), NAN), "got nan in row 5, column 2"),
    "inf": (altered(X, (0, 0), INF), "got inf in row 0, column 0"),
    "-inf": (altered(X, (7, 5), -INF), "got -inf in row 7, column 5"),
    "two": (altered(X, ([3, 6], [1, 0]), NAN), "got nan in row 3, column 1"),
}
CLASSES = "y: integer classes are required, got "
REGRESSION = 'for a regression give Trainer(loss="mse")'
COLUMN = "y: shape (8,) is required, one class per row of x, got (8, 1)"
RANGE = "y: classes in [0, 3) are required, got "
BAD_LABELS = {
    "nothing": (None, TypeError, CLASSES + "object"),
    "text": (
        Y.astype(str),
        TypeError,
        CLASSES + "text; number the classes, numpy.unique(y, return_inverse=True)[1]",
    ),
    "masked": (np.ma.array(Y, mask=Y == 2), ValueError, "2 are masked, the first in row 2; fill"),
    "complex": (Y.astype(complex), TypeError, CLASSES + "complex128"),
    "float": (
        Y.astype(np.float32),
        TypeError,
        f"{CLASSES}float32; {REGRESSION}; for classes use y.astype(numpy.int64)",
    ),
    "bool": (Y > 0, TypeError, CLASSES + "bool; for classes use y.astype"),
    "fractions": (Y + 0.5, TypeError, f"{CLASSES}float64; {REGRESSION}; 0.5 is not a class numb"),
    "missing": (
        altered(Y.astype(float), 3, NAN),
        TypeError,
        f"float64; {REGRESSION}; nan is not a class number: fill in or remove missing labels",
    ),
    "one-hot": (
        TARGETS,
        ValueError,
        f'(8, 3); {REGRESSION}; for several labels per row give Trainer(loss="sigmoid_cross_entropy'
        '"); convert one-hot rows to class numbers with y.argmax(axis=1)',
    ),
    "column": (Y[:, None], ValueError, f"{COLUMN}; {REGRESSION}; for classes use y.ravel()"),
    "numbers": (Y[:, None] + 0.5, ValueError, f"{COLUMN}; {REGRESSION}; for classes use y.ravel()"),
    "short": (Y[1:], ValueError, "y: shape (8,) is required, one class per row of x, got (7,)"),
    "too large": (altered(Y, 4, 3), ValueError, RANGE + "3 in row 4; give the last Dense"),
    "negative": (altered(Y, 7, -1), ValueError, RANGE + "-1 in row 7"),
    "int8": (altered(Y.astype(np.int8), 0, -128), ValueError, RANGE + "-128 in row 0"),
}
BAD_TARGETS = {
    "nothing": (None, TypeError, "y: a NumPy array is required, got NoneType"),
    "classes": (
        Y,
        ValueError,
        'y: shape (8, 3) is required, got (8,); for classes give Trainer(loss="softmax_cross_en',
    ),
    "text": (TARGETS.astype(str), TypeError, "y: numbers are required, got text such as '1.0'"),
    "complex": (TARGETS + 0j, TypeError, "y: real numbers are required, got complex64"),
    "masked": (np.ma.array(TARGETS, mask=TARGETS > 0), ValueError, "first in row 0, column 0; fi"),
    "too large": (
        altered(TARGETS.astype(float), (2, 0), -1e300),
        ValueError,
        "got -1e+300 in row 2, column 0",
    ),
    "columns": (
        TARGETS[:, :2],
        ValueError,
        "y: shape (8, 3) is required, got (8, 2); give the last Dense as many units as y has col",
    ),
    "rows": (TARGETS[1:], ValueError, "y: shape (8, 3) is required, got (7, 3)"),
    "flat": (TARGETS[:, 0], ValueError, "y: shape (8, 3) is required, got (8,)"),
    "inf": (altered(TARGETS, (2, 1), INF), ValueError, "got inf in row 2, column 1"),
}
WITH_LOSS = {
    ("sigmoid_cross_entropy", "below 0"): (altered(TARGETS, (1, 2), -0.1), "got -0.1"),
    ("sigmoid_cross_entropy", "above 1"): (altered(TARGETS, (1, 2), 1.5), "got 1.5"),
    ("mse", "NaN"): (altered(TARGETS, (1, 2), NAN), "y: finite numbers are required, got nan"),
}
WEIGHTS = "finite numbers >= 0 are required, got "
BAD_WEIGHTS = {
    "short": (np.ones(7), "sample_weight: shape (8,) is required, got (7,)"),
    "columns": (np.ones((8, 1)), "sample_weight: shape (8,) is required, got (8, 1)"),
    "negative": (altered(np.ones(8), 2, -0.5), f"sample_weight: {WEIGHTS}-0.5 as the least"),
    "NaN": (altered(np.ones(8), 2, NAN), f"sample_weight: {WEIGHTS}nan as the least"),
    "inf": (altered(np.ones(8), 2, INF), f"sample_weight: {WEIGHTS}"),
    "too large": (
        altered(np.ones(8), 2, 1e39),
        "sample_weight: numbers within the range of float32",
    ),
    "masked": (np.ma.masked_equal(np.arange(8.0), 5), "sample_weight: an array without masked"),
}


def refused(error, text, call, *arguments, **keywords):
    with pytest.raises(error) as caught:
        call(*arguments, **keywords)
    assert type(caught.value) is error and text in str(caught.value)
    assert "\n" not in str(caught.value)


def refused_by_all(error, text, x, y, loss="softmax_cross_entropy", **keywords):
    """Require that each method that takes a batch refuses it and changes nothing."""
    t = trainer(loss, optimizer=fs.Adam())
    good_y = Y if loss == "softmax_cross_entropy" else TARGETS
    t.step(X, good_y)
    parameters, (state, numbers) = t.network.parameters.copy(), t.state_dict()
    for method in (t.step, t.gradients, t.fit):
        refused(error, text, method, x, y, **keywords)
    if not keywords:
        refused(error, text, t.evaluate, x, y)
        refused(error, text, t.fit, X, good_y, validation_data=(x, y))
        refused(error, "validation_data: ", t.fit, X, good_y, validation_data=(x, y))
    assert np.array_equal(t.network.parameters, parameters)
    assert t.state_dict()[1] == numbers
    for name, array in t.state_dict()[0].items():
        assert np.array_equal(array, state[name])


@pytest.mark.parametrize("name", BAD_X)
def test_features(name):
    x, error, text = BAD_X[name]
    refused_by_all(error, text, x, Y)
    refused(error, text, network().forward, x)
    refused(error, text, network().activations, x)


@pytest.mark.parametrize("name", NOT_FINITE)
def test_features_that_are_no_numbers(name):
    x, text = NOT_FINITE[name]
    refused_by_all(ValueError, f"x: finite numbers are required, {text}", x, Y)
    rows = ~np.isfinite(x).all(axis=1)
    assert (np.isnan(network().forward(x)).all(axis=1) == rows).all()  # and the output shows it


def test_whole_numbers_for_one_output():
    """A regression on counts with the default loss."""
    net = fs.mlp(4, 1, layers=1, width=8)
    with pytest.raises(ValueError, match=r"classes in \[0, 1\) .* give Trainer\(loss=.mse.\); for"):
        fs.Trainer(net).step(np.zeros((3, 4)), np.array([0, 7, 2]))


@pytest.mark.parametrize("name", BAD_LABELS)
def test_labels(name):
    y, error, text = BAD_LABELS[name]
    refused_by_all(error, text, X, y)


@pytest.mark.parametrize("name", BAD_TARGETS)
@pytest.mark.parametrize("loss", ["sigmoid_cross_entropy", "mse"])
def test_targets(name, loss):
    y, error, text = BAD_TARGETS[name]
    refused_by_all(error, text, X, y, loss)


@pytest.mark.parametrize("loss, name", WITH_LOSS)
def test_targets_of_a_loss(loss, name):
    y, text = WITH_LOSS[loss, name]
    refused_by_all(ValueError, text, X, y, loss)
    refused_by_all(ValueError, "in row 1, column 2", X, y, loss)


@pytest.mark.parametrize("name", BAD_WEIGHTS)
def test_sample_weights(name):
    weight, text = BAD_WEIGHTS[name]
    refused_by_all(ValueError, text, X, Y, sample_weight=weight)


BAD_TRAINERS = {
    "no network": (TypeError, "Trainer: a Network is required, got list", ([],), {}),
    "loss": (
        ValueError,
        f"loss must be one of {', '.join(losses.LOSSES)}; got 'hinge'",
        (network(), "hinge"),
        {},
    ),
    "optimizer": (
        TypeError,
        f"optimizer must be {', '.join(optimizers.__all__[:-1])} or {optimizers.__all__[-1]}, "
        "got 'sgd'; give an instance, such as fastsnn.Adam",
        (network(),),
        {"optimizer": "sgd"},
    ),
    "backend": (
        ValueError,
        "backend must be one of cpu, cuda; got 'gpu'",
        (network(),),
        {"backend": "gpu"},
    ),
    "precision": (
        ValueError,
        "precision must be one of float32, tf32, bf16; got 'fp16'",
        (network(),),
        {"precision": "fp16", "backend": "cuda"},
    ),
    "precision on the CPU": (
        ValueError,
        'precision "bf16" needs backend "cuda"; got backend "cpu"',
        (network(),),
        {"precision": "bf16"},
    ),
    "seed": (
        ValueError,
        "seed: an int in [0, 2**64) is required, got 18446744073709551616",
        (network(),),
        {"seed": 2**64},
    ),
    "negative seed": (ValueError, "required, got -1", (network(),), {"seed": -1}),
    "seed of text": (TypeError, "required, got '0'", (network(),), {"seed": "0"}),
    "threads": (ValueError, "threads: at least 1 is required, got 0", (network(),), {"threads": 0}),
    "class weights": (
        ValueError,
        "class_weight: shape (3,) is required, got (2,)",
        (network(),),
        {"class_weight": [1, 2]},
    ),
    "negative class weight": (
        ValueError,
        f"class_weight: {WEIGHTS}-1 as the least",
        (network(),),
        {"class_weight": [1, 2, -1]},
    ),
    "infinite class weight": (
        ValueError,
        f"class_weight: {WEIGHTS}inf as the largest",
        (network(),),
        {"class_weight": [1, 2, INF]},
    ),
    "no class weight": (
        ValueError,
        "class_weight: at least one weight above 0 is required, all are 0",
        (network(),),
        {"class_weight": [0, 0, 0]},
    ),
    "complex class weight": (
        TypeError,
        "class_weight: real numbers are required, got complex128",
        (network(),),
        {"class_weight": [1, 2, 1j]},
    ),
    "class weight of no class": (
        ValueError,
        "class_weight: a key must be at most 2, got 3",
        (network(),),
        {"class_weight": {0: 1, 3: 2}},
    ),
    "class weight of text": (
        TypeError,
        "class_weight: the weight of 0 must be a number, got '1'",
        (network(),),
        {"class_weight": {0: "1"}},
    ),
    "class weight by a word": (
        ValueError,
        "class_weight: must be an array, a dict or \"balanced\", got 'even'",
        (network(),),
        {"class_weight": "even"},
    ),
    "class weights for mse": (
        ValueError,
        "class_weight is not supported for mse; use sample_weight",
        (network(), "mse"),
        {"class_weight": [1, 2, 3]},
    ),
}


@pytest.mark.parametrize("name", BAD_TRAINERS)
def test_trainer(name):
    error, text, arguments, keywords = BAD_TRAINERS[name]
    refused(error, text, fs.Trainer, *arguments, **keywords)


@pytest.mark.parametrize("name", ["epochs", "batch_size"])
@pytest.mark.parametrize("value", [0, -1, 2.0, "2", True, None, np.int64(0), np.True_])
def test_fit(name, value):
    whole = isinstance(value, int | np.int64) and not isinstance(value, bool)
    wanted = "at least 1" if whole else "an int"
    given = value.item() if isinstance(value, np.generic) else value
    text = f"fit: {name} must be {wanted}, got {given!r}"
    refused(ValueError if whole else TypeError, text, trainer().fit, X, Y, **{name: value})


def test_trainer_state():
    t = trainer(optimizer=fs.Adam())
    t.step(X, Y)
    arrays, numbers = t.state_dict()
    before = t.state_dict()[0]
    few = {name: array for name, array in arrays.items() if name != "2.bias.state1"}
    text = "trainer state: 2.bias.state1: (8,) is required, got nothing; was the optimizer"
    refused(ValueError, text, t.load_state_dict, few, numbers)
    other = {name: array + 1 for name, array in arrays.items()}
    other["2.bias.state0"] = np.ones(7, np.float32)
    text = "2.bias.state0: (8,) is required, got (7,)"
    refused(ValueError, text, t.load_state_dict, other, numbers)
    for name, array in t.state_dict()[0].items():
        assert np.array_equal(array, before[name])  # all or nothing
    text = "trainer state: step_count required, got nothing"
    refused(ValueError, text, t.load_state_dict, arrays, {"first_loss": 1.0})
    text = "0.bias.state0: nothing is required, got (8,); was the optimizer the same?"
    refused(ValueError, text, trainer(optimizer=fs.SGD(0.1)).load_state_dict, arrays, numbers)


STATES = {
    "missing": ({"2.bias": None}, "needs '2.bias'; were"),
    "unknown": ({"9.bias": np.ones(3)}, "network has no '9.bias'"),
    "shape": ({"0.weight": np.ones((6, 8))}, "0.weight has shape (6, 8), the network needs (8, 6)"),
    "NaN": ({"4.bias": np.float32([0, NAN, 0])}, "4.bias must be finite"),
    "inf": ({"4.bias": np.float32([0, INF, 0])}, "4.bias must be finite"),
}


@pytest.mark.parametrize("name", STATES)
def test_network_state(name):
    change, text = STATES[name]
    net = network()
    before = net.parameters.copy()
    state = {n: a + 1 for n, a in net.state_dict().items()} | change
    state = {n: a for n, a in state.items() if a is not None}
    refused(ValueError, "state_dict: ", net.load_state_dict, state)
    refused(ValueError, text, net.load_state_dict, state)
    assert np.array_equal(net.parameters, before)  # all or nothing


@pytest.mark.parametrize(
    "options, text",
    [
        ({"validation_data": X}, "fit: validation_data must be (x, y), got ndarray"),
        ({"validation_data": (X,)}, "fit: validation_data must be (x, y), got tuple"),
        ({"validation_data": Split(X, X)}, "got Split; write (part.x, part.y)"),
        ({"callbacks": [fs.EarlyStopping]}, "got the class EarlyStopping; write EarlyStopping()"),
        ({"callbacks": fs.EarlyStopping("train_loss")}, "got EarlyStopping; write [callback]"),
        ({"schedule": "cosine"}, "fit: schedule must be one of fastsnn.schedules, got 'cosine'"),
        (
            {"schedule": fs.schedules.OneCycle},
            "OneCycle'>; give an instance, such as fastsnn.schedules.CosineDecay()",
        ),
        ({"schedule": Schedule()}, "fit: schedule must be one of fastsnn.schedules, got <"),
    ],
    ids=["array", "x alone", "part", "callback class", "callback", "text", "class", "base class"],
)
def test_invalid_options_of_fit(options, text):
    with pytest.raises(TypeError) as caught:
        fs.Trainer(network()).fit(X, Y, epochs=1, **options)
    assert text in str(caught.value)
