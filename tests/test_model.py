"""Models on raw data: columns by name, labels by name or number, units in float64, one-line
refusals.
"""

import re

import numpy as np
import pytest

import fastsnn as fs
from fastsnn import data
from fastsnn.data import Split, Standardizer, Table
from fastsnn.data.assemble import assemble
from fastsnn.runs import inference

NAMES = ("a", "b", "c", "d")
RNG = np.random.default_rng(4)
X = RNG.normal([3, -200, 0, 1e6], [1, 50, 0.01, 300], (90, 4))
KINDS = np.array(["cat", "dog", "owl"])[np.arange(90) % 3]
TIME = 1.7e9 + RNG.normal(0, 22, (90, 2)) * [1, 0.001]


def model(task, **more):
    outputs = {"classification": 3, "multitask": 2, "regression": 2}[task]
    network = fs.mlp(4, outputs, layers=2, width=8, seed=3)
    if task == "classification":
        more = {"class_names": ("cat", "dog", "owl")} | more
    if task == "regression":
        more = {"targets": Standardizer.fit(TIME), "target_names": ("p", "q")} | more
    return fs.Model(network, task, Standardizer.fit(X), **{"feature_names": NAMES} | more)


class Frame:
    """A stub with the attributes of a data frame that are used."""

    def __init__(self, **columns):
        self.values = columns
        self.columns = list(columns)

    def __getitem__(self, name):
        return self.values[name]


def frame(names=NAMES, **more):
    return Frame(**{name: X[:, i] for i, name in enumerate(names)} | more)


@pytest.mark.parametrize("task", ["classification", "multitask", "regression"])
def test_predictions_do_not_depend_on_the_form_of_the_features(task):
    m = model(task)
    wanted = m.predict(X)
    assert wanted.dtype == (np.float64 if task == "regression" else np.float32)
    for x in (X.tolist(), list(X), np.asfortranarray(X), X.astype(">f8"), frame()):
        assert np.array_equal(m.predict(x), wanted)
    whole = X.round()
    for x in (whole.astype(int), whole.astype(int).tolist()):
        assert np.array_equal(m.predict(x), m.predict(whole))


def test_columns_are_taken_by_name():
    m = model("classification")
    wanted = m.predict(X)
    turned = Frame(**{name: X[:, NAMES.index(name)] for name in "dcba"})
    assert np.array_equal(m.predict(turned), wanted)
    assert np.array_equal(m.predict(frame(kind=KINDS, more=KINDS)), wanted)
    assert m.evaluate(turned, KINDS) == m.evaluate(X, KINDS)


def test_columns_of_a_pandas_frame():
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    m = model("classification")
    wanted = m.predict(X)
    table = pandas.DataFrame(X, columns=NAMES).assign(kind=KINDS)
    assert np.array_equal(m.predict(table[["d", "kind", "c", "a", "b"]]), wanted)
    assert np.array_equal(m.predict(pandas.DataFrame(X)), wanted), "columns 0 to 3 are no names"
    assert m.evaluate(table, table["kind"]) == m.evaluate(X, KINDS)
    table["c"] = table["c"].astype("Float64")
    assert np.array_equal(m.predict(table), wanted)
    missing = table["c"].copy()
    missing[5] = pandas.NA
    for bad, part in (
        (table.rename(columns={"a": "z"}), "x: the column 'a' is required, the data frame has 'z'"),
        (pandas.DataFrame(X)[[3, 2, 1, 0]], "selects columns by name ('a', 'b', 'c', 'd')"),
        (table[["a", "b", "c", "d", "a"]], "column names must be unique, 'a' occurs 2 times"),
        (table.assign(c=missing), "in row 5"),
        (table.assign(b=KINDS), "x, column 'b': numbers are required, got 'cat' in row 0"),
    ):
        with pytest.raises((ValueError, TypeError)) as error:
            m.predict(bad)
        assert part in str(error.value) and "\n" not in str(error.value)


def altered(place, value):
    x = X.copy()
    x[place] = value
    return x


BAD = {
    "one row": (X[0], ValueError, "(n, 4) is required, got (4,); for a single row give x[None]"),
    "few": (X[:, :3], ValueError, "x: the model needs 4 features, got 3; was the model trained"),
    "none": (X[:0], ValueError, "x: at least one row is required"),
    "NaN": (altered((7, 1), np.nan), ValueError, "required, got nan in row 7, column 'b'"),
    "infinity": (altered((80, 3), -np.inf), ValueError, "required, got -inf in row 80, column 'd'"),
    "huge": (altered((3, 2), 1e300), ValueError, "1e+300 in row 3, column 'c', with mean"),
    "masked": (np.ma.masked_less(X, -250), ValueError, "x: an array without masked entries"),
    "text": (X.astype(str), TypeError, "x: numbers are required, got text such as '"),
    "complex": (X * 1j, TypeError, "x: real numbers are required, got complex128"),
    "objects": (X.astype(object), TypeError, "x: numbers are required, got object"),
    "uneven": ([[1, 2, 3, 4], [1, 2]], ValueError, "x: an array of numbers is required, got list"),
    "column": (frame(("a", "b", "z", "d")), ValueError, "x: the column 'c' is required, the data"),
    "long": (
        frame(("a" * 99, "b", "c", "d")),
        ValueError,
        f"has '{'a' * 39}...{'a' * 16}', 'b', 'c', 'd'",
    ),
    "None": (None, TypeError, "x: a NumPy array is required, got NoneType"),
}


@pytest.mark.parametrize("name", BAD)
def test_features_that_are_refused(name):
    x, error, part = BAD[name]
    m = model("classification")
    for call in (lambda: m.predict(x), lambda: m.evaluate(x, KINDS)):
        with pytest.raises(error) as caught:
            call()
        assert part in str(caught.value) and "\n" not in str(caught.value)
        assert len(str(caught.value)) < 500


ROWS = [{"a": 1.0, "b": 2.0}, {"b": 5.0, "a": 4.0}]
RECORDS = {
    "rows": (
        ROWS,
        "a list of dict; give [[row[name] for name in model.feature_names] for row in x]",
    ),
    "columns": (
        {"b": [2.0, 5.0], "a": [1.0, 4.0]},
        "a dict of columns; give numpy.stack([x[name] for name in model.feature_names], axis=1)",
    ),
    "row": (ROWS[0], "got dict; give [[x[name] for name in model.feature_names]]"),
}


@pytest.mark.parametrize("name", RECORDS)
def test_dicts_are_refused_with_the_expression_that_converts_them(name):
    model = fs.Model(fs.mlp(2, 2, layers=1, width=8), "classification", feature_names=("a", "b"))
    x, text = RECORDS[name]
    with pytest.raises(TypeError, match=re.escape(text)):
        model.predict(x)
    given = eval(text.split("give ")[1], {"x": x, "model": model, "numpy": np})
    wanted = model.predict([[1, 2], [4, 5]])[: len(given)]
    assert np.array_equal(model.predict(given), wanted)
    with pytest.raises(TypeError, match=r"\[name\] for name in names\]"):
        model.network.forward(x)


@pytest.mark.parametrize(
    "x, text",
    [
        ([[1, 2], [3, None]], "got None in row 1, column 'b'; fill in missing values"),
        ([[1, 2], ["red", 4]], "got 'red' in row 1, column 'a'; encode text as numbers"),
        ([[1, 2, None]], "got None in row 0, column 2; fill in missing values"),
        ([1, None], "got None in row 1; fill in missing values"),
    ],
)
def test_a_cell_that_is_no_number_is_named(x, text):
    model = fs.Model(fs.mlp(2, 2, layers=1, width=8), "classification", feature_names=("a", "b"))
    with pytest.raises(TypeError, match=re.escape(f"x: numbers are required, {text}")):
        model.predict(x)


def test_classes_by_name_or_number():
    m = model("classification")
    numbers = np.unique(KINDS, return_inverse=True)[1]
    wanted = m.evaluate(X, numbers)
    assert wanted == m.judge(Split(m.inputs.transform(X), numbers))
    assert wanted["accuracy"] == (m.predict(X).argmax(axis=1) == numbers).mean()
    for y in (KINDS, KINDS.tolist(), KINDS.astype(object), KINDS.astype("S"), numbers.tolist(),
              numbers.astype(np.uint8)):  # fmt: skip
        assert m.evaluate(X, y) == wanted


@pytest.mark.parametrize(
    "names, y, numbers",
    [
        (("3", "5", "7"), [3, 5, 7], [0, 1, 2]),  # names alone: no class has the number 3
        (("3", "5", "7"), [0, 1, 2], [0, 1, 2]),  # numbers alone: no class is called 0
        (("0", "1", "2"), [0, 1, 2], [0, 1, 2]),
        (("1", "2", "3"), [1, 2, 3], [0, 1, 2]),
        (("1", "2", "3"), [1, 2, 1], None),
        (("2", "1", "0"), [1, 1, 1], [1, 1, 1]),
        (("2", "1", "0"), [0, 1, 2], None),
        (("False", "True", "x"), [True, False, True], [1, 0, 1]),
    ],
)
def test_integers_that_may_be_names(names, y, numbers):
    m = model("classification", class_names=names)
    if numbers is None:
        with pytest.raises(
            ValueError, match="y: integers could be the names or the numbers of the"
        ):
            m.evaluate(X[:3], y)
        with pytest.raises(ValueError, match="y: integers could be the names or the numbers of"):
            m.evaluate(X[:3], np.array(y, object))
    else:
        right = m.judge(Split(m.inputs.transform(X[:3]), np.array(numbers)))
        right = pytest.approx(right, rel=0, abs=0, nan_ok=True)
        assert m.evaluate(X[:3], np.array(y)) == right
        assert m.evaluate(X[:3], np.array(y, object)) == right


BAD_LABELS = {
    "unknown": (np.where(KINDS == "owl", "elk", KINDS), "the class names of the model are required "
                "('cat', 'dog', 'owl'), got 'elk' in row 2"),
    "too large": (np.arange(90) % 4, "class numbers in [0, 3), or their names ('cat', 'dog', 'owl')"
                  " as text, are required, got 3 in row 3"),
    "negative": (np.full(90, -1), "required, got -1 in row 0"),
    "float": (np.zeros(90), "use y.astype(numpy.int64)"),
    "one-hot": (np.eye(3)[np.arange(90) % 3], "y.argmax(axis=1)"),
    "short": (KINDS[:9], "y: shape (90,) is required, one class per row of x, got (9,)"),
    "missing": (np.where(np.arange(90) == 4, None, KINDS), "got None in row 4"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_LABELS)
def test_labels_that_are_refused(name):
    y, part = BAD_LABELS[name]
    with pytest.raises((ValueError, TypeError)) as error:
        model("classification").evaluate(X, y)
    assert part in str(error.value)


def test_tasks_and_targets():
    m = model("multitask")
    y = np.where(X[:, [0, 2]] > [3, 0], 1.0, np.where(X[:, 1:3] > [-170, 0.01], np.nan, 0.0))
    assert m.evaluate(X, y) == m.judge(Split(m.inputs.transform(X), y.astype(np.float32)))
    assert m.evaluate(X, y == 1) == m.evaluate(X, (y == 1).astype(int).tolist())
    with pytest.raises(ValueError, match=r"labels in \[0, 1\], or NaN .* got 2.0 in row 0, col"):
        m.evaluate(X, np.full((90, 2), 2))
    m = model("regression")
    assert m.evaluate(X, Frame(q=TIME[:, 1], p=TIME[:, 0], r=KINDS)) == m.evaluate(X, TIME)
    for y, part in ((TIME[:, 0], "shape (90, 2) is required, got (90,)"),
                    (np.where(X[:, :2] > 3, np.nan, TIME), "column 'p'"),
                    (TIME * 1j, "real numbers are required")):  # fmt: skip
        with pytest.raises((ValueError, TypeError)) as error:
            m.evaluate(X, y)
        assert part in str(error.value)


def test_errors_are_measured_against_the_values_of_the_file():
    """Targets of 1.7e9 +- 22: the spacing of float32 is 128."""
    m = model("regression")
    predicted, figures = m.predict(X), m.evaluate(X, TIME)
    assert figures["rmse"] == pytest.approx(np.sqrt(((predicted - TIME) ** 2).mean()), rel=1e-9)
    assert figures["r2"] == pytest.approx(
        1 - ((predicted - TIME) ** 2).sum() / ((TIME - TIME.mean(0)) ** 2).sum(), rel=1e-6
    )
    table = Table("regression", Split(X, TIME), None, None, None, NAMES, ("p", "q"))
    dataset = assemble("t", table, 0.2, 0, "feature")
    assert dataset.train.y.dtype == np.float32 and dataset.train.raw_y.dtype == np.float64
    held = dataset.validation
    assert {tuple(row) for row in held.raw_y} <= {tuple(row) for row in TIME} and len(held) == 18
    other = fs.Model.of(m.network, dataset)
    raw = dataset.inputs.inverse_transform(held.x)
    assert other.judge(held) == pytest.approx(other.evaluate(raw, held.raw_y), rel=1e-5)
    constant = np.full((90, 2), 0.1)
    assert np.isnan(m.evaluate(X, constant)["r2"])


def test_predictions_as_text_keep_the_precision_of_float32():
    m = model("regression")
    predicted = m.predict(X)
    lines = inference.to_csv(m, predicted).splitlines()
    assert lines[0] == "p,q"
    shown = np.array([[float(cell) for cell in line.split(",")] for line in lines[1:]])
    z = (predicted - m.targets.mean) / m.targets.scale
    # The spacing of float32 numbers of deviations, in these units of float64.
    assert np.all(np.abs(shown - predicted) <= 2.0**-24 * np.maximum(np.abs(z), 2.0**-10) * 22)
    assert len(set(lines)) == 91 and max(map(len, lines)) < 2 * 19
    small = fs.Model(m.network, "regression", m.inputs, Standardizer(np.zeros(2), np.ones(2)))
    cells = inference.to_csv(small, small.predict(X)).splitlines()[1].split(",")
    assert all(len(cell) <= 13 for cell in cells), "about nine digits, as of float32"


def test_a_model_of_parts(tmp_path):
    network = fs.mlp(4, 3, layers=1, width=8)
    m = fs.Model(network, "classification")
    assert np.array_equal(m.predict(X.astype(np.float32)).argmax(1),
                          network.forward(X.astype(np.float32)).argmax(1))  # fmt: skip
    m.save(tmp_path / "model.safetensors")
    for path in (tmp_path, str(tmp_path), tmp_path / "model.safetensors"):
        assert np.array_equal(fs.load_model(path).predict(X), m.predict(X))
        assert np.array_equal(fs.load(path).parameters, network.parameters)
    network.save(tmp_path / "net")
    with pytest.raises(ValueError, match="holds a network alone.*fastsnn.load.*Model.*save"):
        fs.load_model(tmp_path / "net")
    with pytest.raises(ValueError, match="no such file"):
        fs.load_model(tmp_path / "folder")
    exact = Standardizer.fit(X)
    fs.Model(network, "classification", exact).save(tmp_path / "exact")
    assert np.array_equal(fs.load_model(tmp_path / "exact").inputs.mean, exact.mean)


@pytest.mark.parametrize(
    "parts, part",
    [
        ({"task": "ranking"}, "task must be one of classification, multitask, regression; got 'ra"),
        ({"inputs": Standardizer.fit(X[:, :1])}, "inputs must have 4 columns like the network, h"),
        ({"inputs": X}, "inputs must be a Standardizer, got ndarray"),
        (
            {"targets": Standardizer.fit(X[:, :3])},
            "targets are for a regression, the task is class",
        ),
        ({"class_names": ("a", "b")}, "class_names must have 3 names like the network's"),
        ({"class_names": "abc"}, "class_names must be a tuple of str, got 'abc'"),
        ({"feature_names": ("a",)}, "feature_names must have 4 names like the network's inputs"),
        ({"network": None}, "a Network is required, got NoneType"),
    ],
)
def test_parts_that_do_not_fit(parts, part):
    network = fs.mlp(4, 3, layers=1, width=8)
    with pytest.raises((ValueError, TypeError)) as error:
        fs.Model(**{"network": network, "task": "classification"} | parts)
    assert part in str(error.value)


def test_data_and_models_are_shown_in_a_few_lines():
    digits = data.load("digits")
    shown = repr(digits)
    assert shown.startswith("Dataset('digits', classification\n  train: Split(x (1294, 64) float32")
    for value in (digits, digits.train, data.read_named("digits"), model("regression"),
                  model("classification"), digits.inputs, data.ByteRows(np.zeros((9, 2), np.uint8),
                  Standardizer.fit(np.zeros((1, 2), np.uint8)))):  # fmt: skip
        assert "array" not in repr(value) and len(repr(value)) < 900
        assert str(value) == repr(value)


def test_a_value_that_leaves_float32_is_named_with_its_part():
    x = X.copy()
    x[:60, 2] *= 1e-40  # the deviation of the training part
    names = (None, NAMES, ("p", "q"))
    train, test = Split(x[:60], TIME[:60]), Split(x[60:], TIME[60:])
    with pytest.raises(
        ValueError, match="^t, test part: x: numbers within .* in row 0, column 'c', "
    ):
        assemble("t", Table("regression", train, None, test, *names), 0.0, 0, "feature")
    train, test = Split(X, TIME * 1e290), Split(X, TIME)
    found = assemble("t", Table("regression", train, None, test, *names), 0.0, 0, "feature")
    assert np.isfinite(found.test.y).all()


def test_a_target_with_a_number_as_its_name_is_no_index(tmp_path):
    """The model is trained on the columns a, b, c and "0": the first column of a file without
    names is a.
    """
    parts = {"feature_names": NAMES[:3], "target_names": ("0",)}
    m = fs.Model(fs.mlp(3, 1, layers=1, width=4, seed=0), "regression", **parts)
    rows = "1.5,2,0.5,3\n2.5,4,1.5,7\n"
    (tmp_path / "names.csv").write_text("a,b,c,0\n" + rows)
    (tmp_path / "rows.csv").write_text(rows)
    right = inference.evaluate(m, str(tmp_path / "names.csv"))["rmse"]
    path = str(tmp_path / "rows.csv")
    with pytest.raises(ValueError, match="lacks 'a', 'b', 'c'"):
        inference.evaluate(m, path)
    with pytest.raises(ValueError, match="without a header the target '0' of the model is not"):
        inference.evaluate(m, path, header=False)
    assert inference.evaluate(m, path, "3", header=False)["rmse"] == right


def test_missing_validation_rows_are_reported():
    labels = np.repeat([0, 1, 2], [60, 29, 1])
    table = Table("classification", Split(X, labels), None, None, ("p", "q", "r"), NAMES, None, "n")
    dataset = assemble("t", table, 0.2, 0, "feature")
    assert dataset.note == "n; the validation part has no row of the class 'r'"
    assert 2 in dataset.train.y
    assert assemble("t", table, 0.0, 0, "feature").note == "n"
    few = Table("classification", Split(X, labels % 2), None, None, ("p", "q"), NAMES, None)
    assert assemble("t", few, 0.2, 0, "feature").note is None
