"""Data frames with text, categories, booleans, dates and gaps in SNNClassifier and SNNRegressor."""

import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed: pip install '.[sklearn]'")

from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import fastsnn as fs
from fastsnn.tables import Columns, Recipe

N = 240
SMALL = {"layers": 2, "width": 16, "max_iter": 12, "random_state": 3, "n_jobs": 1}
RNG = np.random.default_rng(0)
CITY = RNG.choice(["Graz", "Linz", "Wien"], N)
SIZE = RNG.normal(50, 10, N)
PRICE = 3 * SIZE + 40 * (CITY == "Wien") + RNG.normal(0, 3, N)
DEAR = np.where(PRICE > np.median(PRICE), "dear", "cheap")
TABLE = {
    "size": [None if i % 20 == 0 else value for i, value in enumerate(SIZE.tolist())],
    "city": [None if i % 30 == 1 else value for i, value in enumerate(CITY.tolist())],
    "new": (RNG.random(N) < 0.5).tolist(),
    "day": (np.datetime64("2020-01-01") + RNG.integers(0, 900, N)).tolist(),
    "rooms": RNG.integers(1, 6, N).tolist(),
}
RAW = Columns.of(TABLE)  # needs no library of data frames
LIBRARIES = ("pandas", "polars")


def classifier(**options):
    return fs.SNNClassifier(**{**SMALL, **options})


def regressor(**options):
    return fs.SNNRegressor(**{**SMALL, **options})


@pytest.fixture(params=LIBRARIES)
def frame(request):
    library = pytest.importorskip(request.param, reason=f"needs {request.param}")
    return library.DataFrame(TABLE)


@pytest.fixture
def pandas():
    return pytest.importorskip("pandas", reason="needs pandas")


def rows(table, start, stop):
    return RAW.take(np.arange(start, stop)) if table is RAW else table[start:stop]


# ---- without a library of data frames


def test_columns_are_encoded_by_the_recipe_of_the_training_rows():
    snn = regressor(max_iter=60).fit(RAW, PRICE)
    assert snn.recipe_ == Recipe.fit(RAW) and snn.model_.recipe is snn.recipe_
    assert snn.n_features_in_ == 5 and snn.feature_names_in_.tolist() == list(TABLE)
    assert snn.model_.feature_names == snn.recipe_.feature_names
    numbers = regressor(max_iter=60).fit(snn.recipe_.transform(RAW), PRICE)
    assert (snn.predict(RAW) == numbers.predict(snn.recipe_.transform(RAW))).all()
    assert snn.score(RAW, PRICE) > 0.8


@pytest.mark.parametrize("scoring", [None, "roc_auc", "loss"])
def test_the_validation_part_is_not_in_the_recipe(scoring):
    size = SIZE.copy()
    seen = Columns({**RAW.arrays, "size": size})
    snn = classifier(early_stopping=True, scoring=scoring, validation_fraction=0.3).fit(seen, DEAR)
    assert len(snn.validation_scores_) == snn.n_iter_
    # A gap in the validation part alone leaves no indicator.
    indicators = 0
    for row in range(20):
        gap = size.copy()
        gap[row] = np.nan
        one = classifier(early_stopping=True, max_iter=1, validation_fraction=0.3)
        one.fit(Columns({**RAW.arrays, "size": gap}), DEAR)
        indicators += "size: missing" in one.recipe_.feature_names
    assert 8 <= indicators < 20


def test_members_share_one_recipe():
    seeds = regressor(n_members=2).fit(RAW, PRICE)
    folds = regressor(n_members=3, members="folds", max_iter=60, early_stopping=True)
    folds.fit(RAW, PRICE)
    assert seeds.recipe_ == folds.recipe_ == Recipe.fit(RAW)
    assert folds.oof_score_ > 0.5 and folds.oof_prediction_.shape == (N,)
    assert seeds.predict(RAW, return_std=True)[1].shape == (N,)


def test_rows_without_weight_are_not_in_the_recipe():
    weight = np.ones(N)
    weight[100:] = 0
    snn = regressor().fit(RAW, PRICE, sample_weight=weight)
    fewer = regressor().fit(rows(RAW, 0, 100), PRICE[:100])
    assert snn.recipe_ == fewer.recipe_ == Recipe.fit(RAW, np.arange(100))
    assert (snn.predict(RAW) == fewer.predict(RAW)).all()


def test_few_rows_are_merged():
    few, y = RAW.take(np.arange(20) % 10), PRICE[np.arange(20) % 10]
    snn = regressor(recipe={"min_frequency": 1}).fit(few, y)
    assert np.isfinite(snn.predict(RAW)).all()


def test_options_of_the_recipe():
    options = {"categorical": ["rooms"], "drop": ["day"], "min_frequency": 1}
    snn = regressor(recipe=options).fit(RAW, PRICE)
    assert snn.recipe_ == Recipe.fit(RAW, **options)
    assert snn.n_features_in_ == 5  # a column that is left out is one of the data frame
    numbers = Columns({"size": SIZE, "rooms": RAW["rooms"]})
    assert regressor().fit(numbers.arrays["size"][:, None], PRICE).recipe_ is None
    assert regressor(recipe={}).fit(numbers, PRICE).recipe_ == Recipe.fit(numbers)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"rows": [1]}, ValueError, "recipe: options of Recipe.fit are required .*, got 'rows'"),
        ({"drop": ["town"]}, ValueError, "drop: there is no column 'town'"),
        ({"drop": "day"}, TypeError, "drop must be a list"),
        ({"max_categories": 1}, ValueError, "max_categories"),
        ("always", ValueError, "'recipe' parameter"),
    ],
)
def test_wrong_options(options, error, message):
    with pytest.raises(error, match=message):
        regressor(recipe=options).fit(RAW, PRICE)


def test_refused_rows():
    with pytest.raises(TypeError, match="X must be a data frame, because recipe has options"):
        regressor(recipe={}).fit(SIZE[:, None], PRICE)
    with pytest.raises(ValueError, match="could not convert string to float"):
        regressor().fit(np.array([["a", 1.0], ["b", 2.0]], object), [1.0, 2.0])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        regressor().fit(RAW, PRICE[:-1])
    with pytest.raises(ValueError, match="requires y"):
        regressor().fit(RAW, None)
    infinite = Columns({**RAW.arrays, "rooms": np.full(N, np.inf)})
    with pytest.raises(ValueError, match="X, column 'rooms'"):
        regressor().fit(RAW, PRICE).predict(infinite)
    gaps = np.where(np.arange(N) == 7, None, DEAR)
    with pytest.raises(ValueError, match="labels are required, got None in row 7"):
        classifier().fit(RAW, gaps)
    gaps[7] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        classifier().fit(RAW, gaps)


def test_names_and_their_order_are_those_of_the_training():
    snn = regressor().fit(RAW, PRICE)
    arrays = dict(RAW.arrays)
    last = {"rooms": arrays.pop("rooms"), **arrays}
    with pytest.raises(ValueError, match=r"missing: 'rooms'$"):
        snn.predict(Columns(arrays))
    with pytest.raises(ValueError, match=r"the same order; use X\[snn.feature_names_in_\]"):
        snn.predict(Columns(last))
    with pytest.raises(ValueError, match=r"not in the training: 'more'$"):
        snn.predict(Columns({**RAW.arrays, "more": SIZE}))
    more = Columns({**last, "more": SIZE})
    assert (snn.model_.predict(more)[:, 0] == snn.predict(RAW)).all()  # a model finds them by name


def test_an_array_has_the_columns_by_position():
    snn = regressor().fit(RAW, PRICE)
    array = np.array([list(column) for column in TABLE.values()], object).T
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        assert (snn.predict(array) == snn.predict(RAW)).all()
    with pytest.raises(ValueError, match="X has 4 features, but SNNRegressor is expecting 5"):
        snn.predict(array[:, :4])


def test_training_further_keeps_the_recipe():
    snn = classifier().partial_fit(rows(RAW, 0, 120), DEAR[:120], classes=["cheap", "dear"])
    recipe = snn.recipe_
    snn.partial_fit(rows(RAW, 120, N), DEAR[120:])
    assert snn.recipe_ is recipe == Recipe.fit(rows(RAW, 0, 120)) and snn.n_iter_ == 2
    warm = regressor(warm_start=True, schedule="constant").fit(rows(RAW, 0, 120), PRICE[:120])
    recipe, again = warm.recipe_, pickle.loads(pickle.dumps(warm))
    warm.fit(RAW, PRICE)
    again.fit(RAW, PRICE)
    assert warm.recipe_ is recipe == again.recipe_ and warm.n_iter_ == 24
    assert (warm.predict(RAW) == again.predict(RAW)).all()
    fresh = regressor().fit(RAW, PRICE).fit(SIZE[:, None], PRICE)
    assert fresh.recipe_ is None and not hasattr(fresh, "feature_names_in_")


def test_pickle_and_model_file(tmp_path):
    snn = classifier().fit(RAW, DEAR)
    again = pickle.loads(pickle.dumps(snn))
    assert isinstance(snn.__getstate__()["model_"], bytes) and "recipe_" not in vars(snn)
    assert again.recipe_ == snn.recipe_
    assert (again.predict_proba(RAW) == snn.predict_proba(RAW)).all()
    snn.model_.save(tmp_path / "dear.safetensors")
    model = fs.load_model(tmp_path / "dear.safetensors")
    assert (model.predict(TABLE) == snn.predict_proba(RAW).astype("float32")).all()


def test_columns_like_identifiers_are_a_warning(capsys):
    named = {**RAW.arrays, "name": np.array([f"n{i}" for i in range(N)], object)}
    with pytest.warns(UserWarning, match="SNNRegressor: left out, like an identifier.*'name'"):
        snn = regressor().fit(Columns(named), PRICE)
    assert "name" not in snn.recipe_.column_names and snn.n_features_in_ == 6
    with pytest.warns(UserWarning, match="like an identifier .integers that count up.*'number'"):
        regressor().fit(Columns({**RAW.arrays, "number": np.arange(N)}), PRICE)
    constant = Columns({**RAW.arrays, "one": np.ones(N)})
    regressor(max_iter=1).fit(constant, PRICE)
    assert capsys.readouterr().err == ""
    regressor(max_iter=1, verbose=True).fit(constant, PRICE)
    assert capsys.readouterr().err.startswith("recipe: left out, constant: 'one'\n")


# ---- data frames


def test_a_frame_is_encoded_if_it_needs_to_be(frame):
    snn = regressor().fit(frame, PRICE)
    assert snn.recipe_ == Recipe.fit(frame) and snn.feature_names_in_.tolist() == list(TABLE)
    assert (snn.predict(frame) == regressor().fit(RAW, PRICE).predict(RAW)).all()
    numbers = frame[["new", "rooms"]]
    plain = regressor().fit(numbers, PRICE)
    array = regressor(recipe=None).fit(np.asarray(numbers, np.float64), PRICE)
    assert plain.recipe_ is None
    if hasattr(LinearRegression().fit(numbers, PRICE), "feature_names_in_"):  # not Polars in 1.6
        assert plain.model_.feature_names == ("new", "rooms")
    assert (plain.predict(numbers) == array.predict(np.asarray(numbers, np.float64))).all()
    for column in ("size", "city", "day"):
        assert regressor(max_iter=1).fit(frame[[column, "rooms"]], PRICE).recipe_ is not None
    for column in ("size", "city"):
        with pytest.raises(ValueError, match="contains NaN|could not convert string to float"):
            regressor(recipe=None).fit(frame[[column, "rooms"]], PRICE)
    with pytest.raises(ValueError, match="same order|missing"):
        snn.predict(frame[list(TABLE)[::-1]])


def test_tools_of_scikit_learn(frame):
    snn = classifier(recipe={"min_frequency": 1})
    assert clone(snn).get_params() == snn.get_params()
    assert cross_val_score(snn, frame, DEAR, cv=3).min() > 0.6
    pipe = make_pipeline(FunctionTransformer(), snn)
    grid = {"snnclassifier__recipe": ["auto", {"scaling": "robust"}]}
    search = GridSearchCV(pipe, grid, cv=2).fit(frame, DEAR)
    assert search.best_score_ > 0.6 and search.predict(frame).shape == (N,)
    calibrated = CalibratedClassifierCV(snn, cv=2).fit(frame, DEAR)
    assert np.allclose(calibrated.predict_proba(frame).sum(1), 1)
    price = regressor().fit(frame, PRICE)
    with warnings.catch_warnings():  # scikit-learn makes arrays of the data frames of Polars
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        found = permutation_importance(price, frame, PRICE, n_repeats=2, random_state=0)
    assert found.importances_mean.shape == (5,) and found.importances_mean.argmax() == 0


def test_partial_dependence(pandas):
    frame = pandas.DataFrame(TABLE)
    snn = regressor().fit(frame, PRICE)
    found = partial_dependence(snn, frame.dropna(), ["city"], categorical_features=["city"])
    cities = dict(zip(found["grid_values"][0], found["average"][0], strict=True))
    assert max(cities, key=cities.get) == "Wien"


def test_the_step_before_gives_data_frames(pandas):
    frame = pandas.DataFrame(TABLE)
    columns = make_column_transformer(
        (StandardScaler(), ["size", "rooms"]), remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")  # fmt: skip
    pipe = make_pipeline(columns, regressor(max_iter=60)).fit(frame, PRICE)
    assert pipe.score(frame, PRICE) > 0.8 and pipe[-1].recipe_.kinds()["city"] == "categorical"


def test_types_of_pandas(pandas):
    zipped = pandas.DataFrame({"zip": RAW["rooms"], "size": SIZE}).astype({"zip": "category"})
    assert regressor().fit(zipped, PRICE).recipe_.kinds()["zip"] == "categorical"
    wait = pandas.DataFrame({"wait": pandas.to_timedelta(SIZE, "s"), "rooms": RAW["rooms"]})
    assert regressor().fit(wait, PRICE).recipe_.kinds()["wait"] == "numeric"
    numbers = pandas.DataFrame({0: SIZE, 1: SIZE**2})
    assert regressor().fit(numbers, PRICE).recipe_ is None
    with pytest.raises(TypeError, match="names of columns must be text"):
        regressor().fit(numbers.assign(**{"city": CITY}), PRICE)
    with pytest.raises(ValueError, match=r"contains NaN in row 0"):
        regressor().fit(zipped[["size"]], PRICE).predict(zipped[["size"]] * np.nan)
    nullable = pandas.DataFrame(TABLE).convert_dtypes()
    assert regressor().fit(nullable, PRICE).recipe_ == Recipe.fit(RAW)
    lists = pandas.DataFrame({"size": SIZE, "tags": [[1]] * N})
    with pytest.raises(TypeError, match="column 'tags'"):
        regressor().fit(lists, PRICE)
    assert regressor(recipe={"drop": ["tags"]}).fit(lists, PRICE).predict(lists).shape == (N,)


def test_numbers_need_no_narwhals(pandas, monkeypatch):
    def refuse(*arguments):
        raise RuntimeError("data frames need narwhals")

    monkeypatch.setattr("fastsnn.tables.frames.columns", refuse)
    numbers = pandas.DataFrame({"size": SIZE, "rooms": RAW["rooms"]})
    assert regressor().fit(numbers, PRICE).predict(numbers).shape == (N,)
    with pytest.raises(RuntimeError, match="need narwhals"):
        regressor().fit(pandas.DataFrame(TABLE), PRICE)
