"""`fastsnn train` and `search` on tables with text, gaps, booleans and dates."""

import json
import tomllib

import numpy as np
import pytest
from commands import SMALL, call, good, result_of
from data_files import message, write_file

import fastsnn as fs
from fastsnn.data import load
from fastsnn.data.standardize import Standardizer
from fastsnn.runs.config import RunConfig
from fastsnn.runs.run import resume, run

pytest.importorskip("duckdb", reason="needs the extra tables: DuckDB")

CUTS = ("Fair", "Good", "Ideal")


def table(n=120, scale=1.0):
    lines = ["carat,cut,sold,day,price\n"]
    for i in range(n):
        carat = "" if i % 17 == 3 else f"{0.2 + (7 * i % 41) / 20:.2f}"
        price = scale * (500 + 40 * (7 * i % 41) + 300 * (i % 3))
        day = f"2020-{i % 12 + 1:02d}-{i % 28 + 1:02d}"
        lines.append(f"{carat},{CUTS[i % 3]},{('yes', 'no')[i % 2]},{day},{price:g}\n")
    return "".join(lines)


@pytest.fixture
def path(tmp_path):
    return write_file(tmp_path, table())


def options(**more):
    small = {"layers": 2, "width": 16, "epochs": 3, "batch_size": 32, "threads": 1}
    return small | {"target": "price", "task": "regression"} | more


def test_a_run_says_what_was_found(path, tmp_path):
    result = call(
        "train", "--data", path, "--target", "price", "--drop", "day", *SMALL, "--out",
        tmp_path / "r",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    line = next(line for line in result.stderr.splitlines() if line.startswith("t.csv"))
    assert "header; delimiter ','; regression" in line
    assert "columns: 1 numeric, 1 categorical, 1 boolean" in line
    model = fs.load_model(tmp_path / "r")
    assert model.recipe.kinds() == {"carat": "numeric", "cut": "categorical", "sold": "boolean"}
    assert model.feature_names == model.recipe.feature_names
    config = tomllib.loads((tmp_path / "r/config.toml").read_text())
    assert config["drop"] == "day" and "categorical" not in config and not config["log_target"]


def test_notes_of_the_recipe_are_lines(tmp_path):
    path = write_file(tmp_path, table().replace("carat,", "carat,id,").replace(",Fair", ",7,Fair")
                      .replace(",Good", ",7,Good").replace(",Ideal", ",7,Ideal"))  # fmt: skip
    lines = []
    run(RunConfig(data=str(path), **options(epochs=1)), tmp_path / "r", lines.append)
    assert "note: left out, constant: 'id'" in "\n".join(lines)


def test_the_recipe_is_learned_from_the_training_rows_alone(tmp_path):
    content = table(40)
    dataset = load(write_file(tmp_path, content), target="price")
    held = int(dataset.validation.x.shape[0])
    assert held == 4
    changed = content.splitlines(keepends=True)
    names = np.array([line.split(",")[1] for line in changed[1:]])
    order = np.argsort(np.random.Generator(np.random.Philox(0)).bit_generator.random_raw(40))
    for row in order[:held]:  # the documented rows of the validation part
        changed[row + 1] = changed[row + 1].replace(names[row], "Unheard of")
    other = load(write_file(tmp_path, "".join(changed)), target="price")
    assert other.recipe == dataset.recipe
    assert np.array_equal(other.train.x, dataset.train.x)
    assert not np.array_equal(other.validation.x, dataset.validation.x)


def test_a_resumed_run_has_the_same_bits(path, tmp_path):
    given = options(schedule="constant", date="day", min_frequency=1, log_target=True)
    run(RunConfig(data=str(path), **given), tmp_path / "whole")
    run(RunConfig(data=str(path), **given | {"epochs": 1}), tmp_path / "parts")
    resume(tmp_path / "parts", epochs=3)
    whole, parts = (fs.load_model(tmp_path / name) for name in ("whole", "parts"))
    assert whole.recipe == parts.recipe and parts.targets.log
    one, other = (model.network.state_dict() for model in (whole, parts))
    assert all(one[name].tobytes() == other[name].tobytes() for name in one)


def test_a_resumed_run_refuses_other_data_and_options(path, tmp_path):
    run(RunConfig(data=str(path), **options(epochs=1, schedule="constant")), tmp_path / "r")
    path.write_text(table().replace("Fair", "Poor"))
    assert "the data are not those" in message(resume, tmp_path / "r", epochs=2)
    path.write_text(table())
    assert "was started with drop None, got day" in message(resume, tmp_path / "r", drop="day")
    assert "log_target False, got True" in message(resume, tmp_path / "r", log_target=True)
    resume(tmp_path / "r", epochs=2)


def test_a_table_of_numbers_has_no_recipe(tmp_path):
    rows = "".join(f"{i},{i % 7},{i / 3:.2f}\n" for i in range(60))
    path = write_file(tmp_path, "a,b,price\n" + rows)
    run(RunConfig(data=str(path), **options(epochs=1)), tmp_path / "r")
    model = fs.load_model(tmp_path / "r")
    assert model.recipe is None and model.feature_names == ("a", "b")
    assert load(path, target="price").recipe is None


def test_a_log_target(path, tmp_path):
    plain = result_of("train", "--data", path, "--target", "price", *SMALL, "--out", tmp_path / "a")
    logs = result_of(
        "train",
        "--data",
        path,
        "--target",
        "price",
        *SMALL,
        "--log-target",
        "--out",
        tmp_path / "b",
    )
    assert plain["validation_rmse"] != logs["validation_rmse"] < 2000  # in the units of the file
    found = result_of("evaluate", "--model", tmp_path / "b", "--data", path)
    model = fs.load_model(tmp_path / "b")
    assert model.targets.log
    columns = load(path, target="price").recipe.column_names
    lines = [line.split(",") for line in table().splitlines()]
    rows = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    predicted = model.predict([{name: row[name] for name in columns} for row in rows])
    assert (predicted > 0).all()
    errors = predicted[:, 0] - [float(row["price"]) for row in rows]
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-6)
    printed = good("predict", "--model", tmp_path / "b", "--data", path).splitlines()
    assert np.allclose([float(p) for p in printed[1:]], predicted[:, 0], rtol=1e-6)


def test_a_log_target_must_be_positive(tmp_path):
    path = write_file(tmp_path, table().replace(",500\n", ",-5\n"))
    assert "log_target requires targets above 0, got -5 in the target 'price'" in message(
        load, path, target="price", log_target=True
    )
    assert "log_target is for a regression" in message(load, path, target="cut", log_target=True)


def test_a_standardizer_of_logarithms():
    y = np.array([[1.0], [10.0], [100.0]])
    part = Standardizer.fit(y, log=True)
    assert part.log and np.isclose(part.mean[0], np.log(10)) and "of logarithms" in repr(part)
    assert np.allclose(part.transform(y)[:, 0], [-1.2247449, 0, 1.2247449])
    assert np.allclose(part.inverse_transform(part.transform(y)), y)
    assert "numbers above 0 are required" in message(part.transform, -y)
    assert "numbers above 0 are required" in message(Standardizer.fit, -y, log=True)


def test_other_tasks(path, tmp_path):
    result = result_of("train", "--data", path, "--target", "cut", *SMALL, "--out", tmp_path / "r")
    assert result["task"] == "classification"
    assert fs.load_model(tmp_path / "r").class_names == CUTS
    several = load(path, target="carat,price")
    assert several.task == "regression" and several.n_outputs == 2
    assert len(several.train) + len(several.validation) == 120 - 7  # rows without carat


def test_a_search(path, tmp_path):
    result = call(
        "search", "--data", path, "--target", "price", "--drop", "day", "--log-target", "--grid",
        "scaling=standard,robust", "--epochs", 2, "--layers", 2, "--width", 16, "--out",
        tmp_path / "s", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["trials"] == 2 and "--log-target" in found["command"]
    assert "--drop day" in found["command"] and "--scaling" in found["command"]


def test_options_of_tables_are_refused_elsewhere(path, tmp_path):
    np.savez(tmp_path / "t.npz", x=np.zeros((9, 2)), y=np.arange(9) % 2)
    for data in ("digits", tmp_path / "t.npz"):
        result = call("train", "--data", data, "--categorical", "a", *SMALL)
        assert result.exit_code == 1 and "categorical applies only to files with" in result.stderr
    for bad, words in (
        (("--scaling", "x"), "one of standard, robust is required"),
        (("--max-categories", 1), "at least 2"),
        (("--min-frequency", 0), "at least 1"),
    ):
        result = call("train", "--data", path, *bad)
        assert result.exit_code == 2 and words in result.stderr
    result = call("train", "--data", path, "--drop", "a,,b")
    assert result.exit_code == 1 and "must not be empty" in result.stderr
