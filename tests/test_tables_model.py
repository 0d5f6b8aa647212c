"""Models with a recipe: raw tables in, files, descriptions, and predictions by NumPy alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import commands
import numpy as np
import pytest
from safetensors.numpy import load_file

import fastsnn as fs
from fastsnn.data import Dataset, Split, Standardizer
from fastsnn.storage import modelfile
from fastsnn.tables import Columns, Recipe

RNG = np.random.default_rng(0)
N = 60
TABLE = {
    "carat": [None if i % 9 == 4 else round(0.2 + i / 50, 2) for i in range(N)],
    "cut": [["Ideal", "Good", " Fair", ""][i % 4] for i in range(N)],
    "certified": [["yes", "no"][i % 2] for i in range(N)],
    "sold": [f"2013-{1 + i % 12:02}-{1 + i % 28:02} {i % 24:02}:30" for i in range(N)],
}
PRICES = np.array([[500 + 90.0 * i] for i in range(N)])
KINDS = np.array(["cheap", "dear", "other"])[np.arange(N) % 3]
RECIPE = Recipe.fit(TABLE)
FEATURES = RECIPE.transform(TABLE)


def model(task="classification", **more):
    outputs = 1 if task == "regression" else 3
    network = fs.mlp(len(RECIPE.feature_names), outputs, layers=2, width=8, seed=3)
    if task == "classification":
        more = {"class_names": ("cheap", "dear", "other")} | more
    if task == "regression":
        more = {"targets": Standardizer.fit(PRICES)} | more
    return fs.Model(network, task, Standardizer.fit(FEATURES), **{"recipe": RECIPE} | more)


def records():
    return [dict(zip(TABLE, row, strict=True)) for row in zip(*TABLE.values(), strict=True)]


@pytest.mark.parametrize("task", ["classification", "multitask", "regression"])
def test_tables_in_every_form(task):
    m, plain = model(task), model(task, recipe=None)
    wanted = plain.predict(FEATURES)
    turned = [dict(reversed(row.items())) | {"more": object()} for row in records()]
    for x in (TABLE, records(), turned, Columns.of(TABLE)):
        assert np.array_equal(m.predict(x), wanted)
    assert np.allclose(np.concatenate([m.predict(row) for row in records()]), wanted, rtol=1e-5)
    y = {"classification": KINDS, "regression": PRICES}.get(task, RNG.integers(0, 2, (N, 3)))
    figures = m.evaluate(TABLE, y)
    assert figures == plain.evaluate(FEATURES, y)
    if task != "classification":
        assert m.judge_raw(TABLE, y.astype(np.float64)) == figures


def test_data_frames():
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    pytest.importorskip("narwhals", reason="needs narwhals")
    m = model()
    frame = pandas.DataFrame(TABLE).assign(more=1)[["sold", "more", "cut", "certified", "carat"]]
    assert np.array_equal(m.predict(frame), m.predict(TABLE))
    assert m.evaluate(frame, pandas.Series(KINDS)) == m.evaluate(TABLE, KINDS)
    with pytest.raises(ValueError, match="x: the column 'cut' is required, the table has 'sold'"):
        m.predict(frame.drop(columns="cut"))


def test_names_and_text():
    m = model()
    assert m.feature_names == RECIPE.feature_names and "cut=Ideal" in m.feature_names
    assert repr(m) == (
        "Model(classification of 3 ('cheap', 'dear', 'other'), a recipe of 4 columns, "
        f"{len(RECIPE.feature_names)} features, 3 layers, {m.network.n_parameters} parameters)"
    )


def test_the_recipe_of_a_data_set():
    part = Split(Standardizer.fit(FEATURES).transform(FEATURES), np.arange(N) % 3)
    dataset = Dataset("gems", "classification", part, None, None, ("a", "b", "c"), None, None,
                      Standardizer.fit(FEATURES), None, recipe=RECIPE)  # fmt: skip
    assert "recipe: Recipe(4 columns: 1 numeric, 1 categorical, 1 boolean, 1 date" in repr(dataset)
    m = fs.Model.of(model().network, dataset)
    assert m.recipe is RECIPE and m.feature_names == RECIPE.feature_names
    assert m.judge(part) == m.evaluate(TABLE, np.arange(N) % 3)


BAD = {
    "array": (FEATURES, TypeError, "x: a table with column names is required (a data frame, dict"),
    "list": (FEATURES.tolist(), TypeError, "x: a table with column names is required (a data fr"),
    "missing": ([{"carat": 1}], ValueError, "x: the column 'cut' is required, the table has 'ca"),
    "none": ([], ValueError, "x: at least one row is required, got none"),
    "huge": ({**records()[0], "carat": 1e300}, ValueError, "1e+300 in row 0, column 'carat', with"),
    "word": (
        TABLE | {"certified": ["maybe"] * N},
        ValueError,
        "x, column 'certified', row 0: true",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_refused_tables(case):
    x, kind, part = BAD[case]
    for call in (model().predict, lambda x: model().evaluate(x, KINDS)):
        with pytest.raises(kind) as caught:
            call(x)
        assert part in str(caught.value) and "\n" not in str(caught.value)


def test_arguments_that_do_not_fit():
    for more, kind, part in (
        ({"recipe": RECIPE.to_dict()}, TypeError, "Model: recipe must be a Recipe, got dict"),
        ({"recipe": Recipe.fit({"a": [1, 2]})}, ValueError, "like the network's inputs, has 1"),
        ({"feature_names": ("a",) * FEATURES.shape[1]}, ValueError, "must be those of the recipe"),
    ):
        with pytest.raises(kind) as caught:
            model(**more)
        assert part in str(caught.value)
    assert model(feature_names=RECIPE.feature_names).recipe is RECIPE


# ---- files


def test_files(tmp_path):
    m, path = model("regression"), tmp_path / "m.safetensors"
    m.save(path)
    again = fs.load_model(path)
    assert again.recipe == RECIPE and again.feature_names == RECIPE.feature_names
    assert np.array_equal(again.predict(TABLE), m.predict(TABLE))
    again.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    assert set(load_file(path)) == set(load_file(tmp_path / "again.safetensors"))
    model(recipe=None).save(path)
    _, description = modelfile.read(path)
    assert "recipe" not in description and fs.load_model(path).recipe is None


@pytest.mark.parametrize("change, part", [
    (lambda d: d["recipe"]["columns"].pop(), "recipe: "),
    (lambda d: d["recipe"]["columns"][1]["categories"].append("more"), "features are required"),
    (lambda d: d["recipe"]["columns"][0].update(median=1e999), "median must be a finite number"),
    (lambda d: d.update(recipe=None), "recipe: an object with columns is required, got None"),
    (lambda d: d["feature_names"].reverse(), "feature_names must be those of the recipe"),
], ids=["features", "category", "infinite", "null", "names"])  # fmt: skip
def test_crafted_files(change, part, tmp_path, monkeypatch):
    m, path = model(), tmp_path / "m.safetensors"
    layers, sizes, tensors, description = m._contents()
    description = json.loads(json.dumps(description))
    change(description)
    monkeypatch.setattr(modelfile, "_require_readable", lambda *_: None)
    modelfile.write(path, layers, sizes, tensors, description)
    with pytest.raises(ValueError) as caught:
        fs.load_model(path)
    assert "its description and its tensors are inconsistent (" in str(caught.value)
    assert part in str(caught.value) and "\n" not in str(caught.value)


def test_predictions_need_no_library_of_tables(tmp_path):
    m = model()
    m.save(tmp_path / "m.safetensors")
    code = (
        "import sys, json\n"
        "for name in ('pandas', 'polars', 'pyarrow', 'sklearn', 'narwhals', 'duckdb'):\n"
        "    sys.modules[name] = None\n"
        "import fastsnn as fs\n"
        "rows = json.load(sys.stdin)\n"
        "model = fs.load_model('m.safetensors')\n"
        "print(json.dumps([model.predict(rows).tolist(), model.predict(rows[7]).tolist()]))"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, input=json.dumps(records()),
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])},
        capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    many, one = json.loads(run.stdout)
    assert many == m.predict(records()).tolist() and one == m.predict(records()[7]).tolist()


def test_info_describes_a_model(tmp_path):
    path = tmp_path / "m.safetensors"
    model().save(path)
    found = commands.result_of("info", "--model", path)
    assert found["task"] == "classification" and found["features"] == len(RECIPE.feature_names)
    assert found["layers"] == ["Dense(units=8)", "SELU()"] * 2 + ["Dense(units=3)"]
    assert found["class_names"] == ["cheap", "dear", "other"]
    assert found["recipe"] == RECIPE.describe()
    lines = commands.good("info", "--model", path).splitlines()
    assert f"recipe                 4 columns, {len(RECIPE.feature_names)} features" in lines
    (line,) = (line for line in lines if line.startswith("  'cut'"))
    assert "categorical: 3 categories ('Fair', 'Good', 'Ideal'), missing values, 4 feat" in line
    assert "2 x (Dense(units=8), SELU()), Dense(units=3)" in "\n".join(lines)


def test_info_describes_a_run(tmp_path):
    commands.good("train", *commands.SMALL, "--out", tmp_path / "run")
    found = commands.result_of("info", "--model", tmp_path / "run")
    assert found["epochs"] == 2 and found["best_epoch"] in (1, 2)
    assert 0 <= found["validation_accuracy"] <= 1 and "recipe" not in found
    assert found["layers"].count("AlphaDropout(rate=0.05)") == 2
    assert "feature names" in commands.good("info", "--model", tmp_path / "run")
    result = commands.call("info", "--model", tmp_path / "none")
    assert result.exit_code == 1 and "no such file" in result.stderr
