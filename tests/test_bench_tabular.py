"""`fastsnn bench tables`: on small made-up tables, with scikit-learn's estimators.

Results, ranks and folds are checked; times only for being there.
"""

import csv
import functools
import gzip
import json
import multiprocessing
import os
import time

import numpy as np
import pytest
from commands import call, good

from fastsnn.bench import tables as documents
from fastsnn.bench.tabular import journal, run, show, systems, tasks, worker

pytest.importorskip("sklearn", reason="scikit-learn is not installed (pip install '.[sklearn]')")
FAST = ("--systems", "random-forest,svm", "--folds", 2)


def write(folder, name, columns):
    """Write a table of text cells, columns by name."""
    (folder / "tables").mkdir(exist_ok=True)
    with gzip.open(folder / "tables" / name, "wt", newline="") as stream:
        lines = csv.writer(stream)
        lines.writerow(columns)
        lines.writerows(zip(*columns.values(), strict=True))


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Two tables of 60 rows: a regression with two missing targets, and two classes."""
    monkeypatch.setenv("FASTSNN_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    tasks.read.cache_clear()
    rng = np.random.default_rng(0)
    x, group = rng.normal(size=60), rng.choice(["a", "b", "c"], 60)
    salary = [f"{100 + 10 * v:.3f}" for v in x]
    salary[3] = salary[7] = ""
    gaps = [f"{v:.3f}" if i % 9 else "" for i, v in enumerate(x)]
    groups = [g if i % 11 else "" for i, g in enumerate(group)]
    write(tmp_path, "hitters.csv.gz", {
        "x": gaps, "group": groups, "n": range(60), "Salary": salary,
        "day": [f"2013-01-{1 + i % 28:02}T05:00:00Z" for i in range(60)],
    })  # fmt: skip
    write(tmp_path, "credit.csv.gz", {
        "x": gaps, "group": groups, "Status": np.where(x + 0.1 * (group == "a") > 0, "good", "bad"),
    })  # fmt: skip
    yield tmp_path
    tasks.read.cache_clear()


def test_a_table_is_read(data):
    task = tasks.load("hitters", 2, None)
    assert (task.file_rows, task.without_target, len(task.y), task.n_classes) == (60, 2, 58, 0)
    assert {name: v.dtype.kind for name, v in task.columns.items()} == {
        "x": "f",
        "group": "O",
        "n": "i",
        "day": "M",
    }
    assert task.categorical == (1,)
    np.testing.assert_array_equal(np.isnan(task.x[:, 0]), np.isnan(task.columns["x"]))
    groups = task.columns["group"]
    for code, name in enumerate("abc"):
        np.testing.assert_array_equal(task.x[:, 1] == code, groups == name)
    np.testing.assert_array_equal(np.isnan(task.x[:, 1]), groups == None)  # noqa: E711
    assert task.x[1, 3] - task.x[0, 3] == 1  # days
    assert tasks.load("credit", 2, None).n_classes == 2


def test_folds_cover_the_rows_once(data):
    task = tasks.load("credit", 3, None)
    np.testing.assert_array_equal(np.sort(np.concatenate([t for _, t in task.folds])), range(60))
    for train, test in task.folds:
        assert not set(train) & set(test) and len(train) + len(test) == 60
        assert abs(task.y[train].mean() - task.y.mean()) < 0.05  # stratified
    again = tasks.load("credit", 3, None)
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(task.folds, again.folds, strict=True))


def test_a_subsample_is_the_same_each_time(data):
    task, again = (tasks.load("hitters", 2, 50) for _ in range(2))
    assert len(task.y) == 50 and np.array_equal(task.columns["n"], again.columns["n"])
    assert (np.diff(task.columns["n"]) > 0).all()


def test_a_missing_file_is_named(data):
    with pytest.raises(RuntimeError, match="ames.csv.gz: not found; set FASTSNN_DATA"):
        tasks.load("ames", 2, None)


def test_the_draw_of_uci_tasks(monkeypatch):
    present = [name for name in sorted(tasks.SHAPES) if name != "pima"]
    monkeypatch.setattr(tasks.uci, "names", lambda: present)
    few, many = tasks.uci_tasks(5), tasks.uci_tasks(30)
    assert len(many) == len(set(many)) == 30 and set(few) < set(many) and "uci/pima" not in many
    assert all(100 <= tasks.SHAPES[name[4:]].rows <= 5000 for name in many)
    assert tasks.resolve(["ames", "uci", "ames"], 5) == ["ames", *few]


def test_results_are_stored_and_not_repeated(data):
    text = good("bench", "tables", "--tables", "hitters,credit", *FAST, "--json", "a.json")
    assert "Over 2 raw tables" in text and "RMSE" in text and "accuracy" in text
    found = json.loads((data / "a.json").read_text(), parse_constant=lambda word: 1 / 0)
    assert found["machine"]["versions"]["scikit-learn"] and len(found["results"]) == 8
    for record in found["results"]:
        names = {"rmse", "r2"} if record["table"] == "hitters" else {"accuracy", "auc"}
        if (record["table"], record["system"]) == ("credit", "random-forest"):
            names |= {"log_loss"}
        assert record["metrics"].keys() == names
        assert record["fit_cpu_s"] > 0 and record["fit_s"] > 0
        rows = record["train_rows"] + record["test_rows"]
        assert rows == found["tables"][record["table"]]["rows"]
    assert found["tables"]["hitters"]["without_target"] == 2
    stored = (data / "runs/bench/tables.jsonl").read_text()
    assert stored.count("\n") == 8
    again = call("bench", "tables", "--tables", "hitters,credit", *FAST)
    assert again.stdout == text and not again.stderr
    assert (data / "runs/bench/tables.jsonl").read_text() == stored


def test_forest_learns_the_made_up_tables(data):
    for name, metric, bound in (("hitters", "r2", 0.7), ("credit", "accuracy", 0.8)):
        task = tasks.load(name, 2, None)
        assert worker.measure("random-forest", task, 1)["metrics"][metric] > bound
        assert worker.measure("mlp", task, 1)["metrics"][metric] > bound - 0.4


def test_failures_are_recorded_and_repeated_on_request(data, monkeypatch):
    words = ("bench", "tables", "--tables", "hitters", "--systems", "svm,random-forest",
             "--folds", 2)  # fmt: skip
    late = call(*words, "--limit", "0.001")
    assert late.exit_code == 0 and "failed on hitters: took more than 0.001 s" in late.stdout
    assert "took more" in good(*words)
    assert "took more" not in good(*words, "--retry")


def test_the_first_folds_alone(data):
    text = good("bench", "tables", "--tables", "hitters", *FAST, "--first", 1)
    assert "Fewer than 2 folds finished: hitters 1." in text


def test_no_result_is_begun_after_the_time(data):
    text = good("bench", "tables", "--tables", "hitters", *FAST, "--minutes", "1e-9")
    assert "Without a result of every system, not shown: hitters." in text


def test_a_torn_line_is_ignored(tmp_path):
    path = tmp_path / "new" / "j.jsonl"
    book = journal.Journal(path)
    record = {"table": "t", "system": "s", "fold": 1, "folds": 2, "rows": None, "error": "e"}
    book.append(record)
    with path.open("a") as stream:
        stream.write('{"table": "t", "sys')
    assert book.read() == {journal.key_of(record): record}
    book.append(record | {"fold": 2})
    assert [record["fold"] for record in book.read().values()] == [1, 2]
    path.write_text("hello\n")
    with pytest.raises(ValueError, match="line 1: a result is required, got 'hello'"):
        book.read()
    book.close()


def hold(path, key, ready, done):
    book = journal.Journal(path)
    with book.claimed(key):
        ready.set()
        done.wait(60)


def test_processes_share_a_journal(tmp_path):
    path, key = tmp_path / "j.jsonl", ("t", "s", 1, 2, None)
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    other = context.Process(target=hold, args=(path, key, ready, done))
    other.start()
    assert ready.wait(60)
    book = journal.Journal(path)
    book.read()
    with book.claimed(key) as free, book.claimed((*key[:2], 2, *key[3:])) as another:
        assert not free and another
    done.set()
    other.join(60)
    with book.claimed(key) as free:
        assert free
    book.close()


def test_a_fork_that_hangs_dies_or_fails():
    assert worker.forked(lambda: {"a": 1}, 60) == {"a": 1}
    assert worker.forked(lambda: {}["b"], 60) == {"error": "KeyError: 'b'"}
    died = worker.forked(lambda: os._exit(3), 60)
    assert died == {"error": "the process ended without a result, exit code 3"}
    start = time.monotonic()
    late = worker.forked(functools.partial(time.sleep, 60), 0.1)
    assert late == {"error": "took more than 0.1 s"} and time.monotonic() - start < 30


def test_a_worker_that_dies(monkeypatch):
    monkeypatch.setattr(run, "WORKER", "fastsnn.nowhere")
    answer = run.Worker("svm").ask({})
    assert answer == {"error": "the process ended, exit code 1"}


def test_metrics_with_a_class_that_training_lacks():
    y, classes = np.array([0, 1, 2, 2]), np.array([0, 2])
    probabilities = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8], [0.6, 0.4]])
    found = worker.classification(y, np.array([0, 0, 1, 0]), probabilities, None, classes, 3)
    assert found["accuracy"] == 0.5 and found["log_loss"] > 5 and "auc" not in found
    two = worker.classification(
        y[[0, 1]], np.array([0, 1]), probabilities[[0, 2]], None, np.array([0, 1]), 2
    )
    assert two["accuracy"] == two["auc"] == 1
    assert two["log_loss"] == pytest.approx(-np.log([0.9, 0.8]).mean())
    with pytest.raises(ValueError, match="not finite"):
        worker.regression(np.zeros(2), np.array([0, np.nan]))


def test_rare_categories_share_one(data):
    pytest.importorskip("pandas", reason="pandas is not installed")
    task = tasks.load("hitters", 2, None)
    part, _ = worker.part_of(task, 1)
    whole, few = (systems.frame(part, part.train, most) for most in (None, 2))
    assert list(whole["c1"].cat.categories) == ["k0", "k1", "k2"]
    assert list(few["c1"].cat.categories)[0] == "k-1" and len(few["c1"].cat.categories) == 2
    assert list(whole["c1"].isna()) == list(few["c1"].isna())
    kept = few["c1"].cat.categories[1]
    assert kept == whole["c1"].value_counts().index[0]
    assert list(few["c1"] == kept) == list(whole["c1"] == kept)


def result(table, system, fold, **metrics):
    return {"table": table, "system": system, "fold": fold, "folds": 2, "rows": None,
            "metrics": metrics, "fit_s": 1.0, "fit_cpu_s": 2.0, "predict_s": 0.1,
            "predict_cpu_s": 0.2}  # fmt: skip


def made_up():
    about = {"task": "classification", "file_rows": 9, "without_target": 0, "rows": 9,
             "classes": 2, "folds": 2}  # fmt: skip
    price = about | {"task": "regression", "classes": 0, "rows": 5}
    results = [result("c", s, f, accuracy=a) for s, f, a in [
        ("fastsnn", 1, 0.9), ("fastsnn", 2, 0.7), ("mlp", 1, 0.8), ("mlp", 2, 0.8),
        ("svm", 1, 0.5), ("svm", 2, 0.6),
    ]]  # fmt: skip
    results += [result("r", "fastsnn", f, rmse=3.0 + f, r2=0.5) for f in (1, 2)]
    results += [result("r", "mlp", 1, rmse=2.0, r2=0.6)]
    failed = result("r", "svm", 1)
    del failed["metrics"]
    return {
        "folds": 2, "rows": 5, "systems": {"fastsnn": "fastsnn", "mlp": "MLP", "svm": "SVM"},
        "tables": {"c": about, "r": price, "u": about}, "left_out": {"uci/x": "absent"},
        "missing": {"lightgbm": "lightgbm"}, "results": [*results, failed | {"error": "E: no"}],
    }  # fmt: skip


def test_summary_by_hand():
    found = made_up()
    tables = show.summary(found)
    assert list(tables) == ["c", "r"]  # u has no results
    assert tables["c"]["ranks"] == pytest.approx({"fastsnn": 1.5, "mlp": 1.5, "svm": 3})
    # mlp has finished fold 1 alone, so that only fold 1 counts; svm has failed.
    assert tables["r"]["folds"] == 1 and tables["r"]["figures"]["fastsnn"]["rmse"] == 4
    assert tables["r"]["ranks"] == {"mlp": 1, "fastsnn": 2, "svm": 3}
    lines = show.overview(found, ["c", "r"])
    assert [line[:2] for line in lines[1:]] == [
        ["MLP", "1.25"], ["fastsnn", "1.75"], ["SVM", "3.00"]
    ]  # fmt: skip
    assert [line[-1] for line in lines[1:]] == ["0", "0", "1"]
    text = "\n".join([*show.verdicts(found), *show.notes(found)])
    for part in ("fastsnn ranks first on 0 of 2 raw tables.",
                 "Ranked above it: MLP on 1, SVM on 0", "SVM failed on r: E: no", "not shown: u",
                 "uci/x is left out: absent", "lightgbm is not installed", "r (9)"):  # fmt: skip
        assert part in text
    assert show.details(found, ["c", "r"], "rmse") == [
        ["RMSE", "fastsnn", "MLP", "SVM"], ["r", "4", "2", "failed"]
    ]  # fmt: skip


def test_ranks_are_shared():
    assert show.ranks({"a": 1.0, "b": 2.0, "c": 2.0, "d": 3.0}, True) == {
        "d": 1, "b": 2.5, "c": 2.5, "a": 4
    }  # fmt: skip
    assert show.ranks({"a": 1.0, "b": 2.0}, False) == {"a": 1, "b": 2}


def test_the_block_of_the_documents():
    machine = {"processors": 2, "cpu": "X", "cpu_target": "x", "vector_lanes": 8, "versions": {}}
    text = documents.tabular(made_up() | {"machine": machine})
    assert "| MLP | 1.25 |" in text and text.startswith("* fastsnn ranks first on 0")


@pytest.mark.parametrize(
    "words, part",
    [
        (("--tables", "nowhere"), "--tables: names among hitters"),
        (("--systems", "catboost"), "--systems: names among fastsnn"),
        (("--json", "nowhere/x.json"), "it cannot be written"),
        (("--out", "/dev/null/x"), "--out /dev/null/x: cannot be opened"),
    ],
)
def test_wrong_options(words, part, data, monkeypatch):
    monkeypatch.setattr(tasks.uci, "names", lambda: [])
    result = call("bench", "tables", *words)
    assert result.exit_code == 1 and part in result.stderr and not result.stdout


def test_missing_systems_are_named(data, monkeypatch):
    absent = systems.SYSTEMS["svm"]._replace(modules=("nowhere",), packages=("absent-package",))
    monkeypatch.setitem(systems.SYSTEMS, "svm", absent)
    result = call("bench", "tables", "--tables", "hitters", *FAST)
    assert "svm is left out: pip install absent-package" in result.stderr
    assert "svm is not installed (pip install absent-package) and left out." in result.stdout


@pytest.mark.parametrize("name", ["fastsnn", "fastsnn-5"])
def test_fastsnn_learns_numbers(name):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 3))
    folds = [(np.arange(60), np.arange(60, 80))]
    y = (x[:, 0] > 0).astype(int)
    task = tasks.Task("t", "classification", None, x, (), y, 2, folds, 80)
    assert worker.measure(name, task, 1)["metrics"]["accuracy"] > 0.8
    task = tasks.Task("t", "regression", None, x, (), 3 * x[:, 0], 0, folds, 80)
    assert worker.measure(name, task, 1)["metrics"]["r2"] > 0.8
