"""`fastsnn reproduce` as a user calls it, on small made-up data: results, resuming, errors."""

import csv
import json
import signal
import time

import numpy as np
import paper_data
import pytest
from commands import call, good, result_of, start
from shared_data import shared_data

from fastsnn.bench import tables
from fastsnn.methods import METHODS
from fastsnn.paper import htru2, references, tox21
from fastsnn.paper.command import reproduce
from fastsnn.search.journal import NAME as TRIALS

TINY = ("--budget", "tiny")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Change to an empty folder, and provide UCI tasks."""
    monkeypatch.setenv("FASTSNN_DATA", str(paper_data.uci_archive(tmp_path / "data")))
    monkeypatch.setattr(htru2, "load", paper_data.folds)
    monkeypatch.setattr(tox21, "load", paper_data.multitask)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    from fastsnn.paper import uci

    uci._folds.cache_clear()
    return tmp_path / "here"


def stored(place, name):
    path = place / "paper-results" / f"{name}.json"
    return json.loads(path.read_text(), parse_constant=lambda word: 1 / 0)


def needs(*libraries):
    for name in libraries:
        pytest.importorskip(name, reason=f"{name} is not installed")


def without_time(found):
    """Return a result without the entries that differ between two equal runs."""
    if isinstance(found, dict):
        dropped = ("seconds", "training_seconds", "machine")
        return {k: without_time(v) for k, v in found.items() if k not in dropped}
    return [without_time(v) for v in found] if isinstance(found, list) else found


def test_uci(place, monkeypatch):
    needs("scipy", "sklearn")
    monkeypatch.setattr(references, "TREES", 20)
    text = good("reproduce", "uci", *TINY, "--references", "--workers", 2)
    found = stored(place, "uci")
    assert found["machine"]["command"].startswith("fastsnn") and found["budget"] == "tiny"
    assert found["sets"] == 4 and len(found["missing"]) == 117 and not found["not_run"]
    every = [*METHODS, "forest", "svm", "bayes"]
    assert [row["method"] for row in found["methods"]] == every
    assert [row["method"] for row in found["ranks"]] == list(METHODS)
    for row in found["rows"]:
        assert len(row["folds"]) == 4 and row["diverged"] == 0
        assert row["accuracy"] == pytest.approx(np.mean(row["folds"]))
    by_set = {row["set"]: row["accuracy"] for row in found["rows"] if row["method"] == "snn"}
    assert by_set["iris"] > 0.8 and by_set["zoo"] > 0.8  # clouds two deviations apart
    # The table of ranks belongs to the accuracies in the file, and its sum is 0.
    assert abs(sum(row["difference"] for row in found["ranks"])) < 1e-9
    for row in found["methods"]:
        own = [r["accuracy"] for r in found["rows"] if r["method"] == row["method"]]
        assert row["accuracy"] == pytest.approx(np.mean(own)), row["method"]
    with (place / "paper-results" / "uci.csv").open() as handle:
        lines = list(csv.DictReader(handle))
    assert [line["set"] for line in lines] == sorted(paper_data.UCI_SETS)
    assert lines[1]["paper_snn"] == "0.9730" and lines[1]["set"] == "iris"
    assert found["statements"][0].startswith("SNN: mean accuracy ")
    for part in ("-0.756", "random forest", "from the paper: 20 epochs", "117 not available"):
        assert part in text
    assert tables.paper("uci", place / "paper-results").count("| SNN |") == 2


def test_uci_is_resumed(place):
    """Another call needs --resume, and then repeats no training; a grid may grow."""
    needs("scipy")
    words = ("reproduce", "uci", *TINY, "--methods", "snn,msra")
    first = result_of(*words, "--sets", "iris,lenses")
    again = call(*words, "--sets", "iris,lenses")
    assert again.exit_code == 1 and again.stderr.count("\n") <= 2
    assert "resume it, or choose another folder" in again.stderr
    trials = place / "runs" / "paper" / "uci" / "choose" / TRIALS
    before = trials.read_text()
    second = result_of(*words, "--sets", "iris,lenses", "--resume")
    assert trials.read_text() == before and without_time(first) == without_time(second)
    third = result_of(*words, "--sets", "iris,lenses,zoo", "--resume")
    assert trials.read_text().startswith(before) and third["sets"] == 3
    assert [without_time(r) for r in third["rows"][:4]] == [without_time(r) for r in first["rows"]]


def test_uci_is_killed(place):
    """kill -9 in the middle; the resumed run ends with the figures of an uninterrupted one."""
    needs("scipy")
    words = ("reproduce", "uci", "--budget", "tiny", "--sets", "iris,zoo", "--seeds", "5,6")
    whole = result_of(*words, "--work", "never-stopped")
    trials = place / "killed" / "uci" / "choose" / TRIALS
    process = start(*words, "--work", "killed")
    deadline = time.monotonic() + 120
    while not (trials.exists() and trials.read_bytes().count(b"\n") > 3):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    resumed = result_of(*words, "--work", "killed", "--resume")
    assert without_time(resumed) == without_time(whole)
    assert resumed["seeds"] == [5, 6]


def test_the_number_of_workers_changes_nothing(place):
    needs("scipy")
    words = ("reproduce", "uci", *TINY, "--sets", "lenses", "--methods", "snn,batchnorm,resnet")
    one = result_of(*words, "--workers", 1, "--work", "a")
    three = result_of(*words, "--workers", 3, "--work", "b")
    assert one.pop("at_once") != three.pop("at_once")
    assert without_time(one) == without_time(three)


def test_a_dry_run_counts(place):
    needs("scipy")
    words = ("reproduce", "uci", *TINY, "--sets", "lenses,zoo", "--methods", "snn,msra")
    found = result_of(*words, "--dry-run", "--seeds", 2)
    assert found["predicted_seconds"] >= 0 and found["trainings"] == 2 * 2 * 4 * 2
    assert not (place / "paper-results").exists() and not (place / "runs").exists()
    good(*words, "--seeds", 2)
    lines = sum(
        path.read_text().count("\n") - 1
        for path in (place / "runs" / "paper" / "uci").glob(f"*/{TRIALS}")
    )
    assert lines == found["trainings"]


def test_htru2(place):
    needs("scipy", "sklearn")
    text = good("reproduce", "htru2", *TINY, "--methods", "snn,batchnorm", "--references")
    found = stored(place, "htru2")
    assert [row["method"] for row in found["methods"]] == [
        "snn", "batchnorm", "bayes", "svm", "tree",
    ]  # fmt: skip
    for row in found["methods"]:
        assert len(row["folds"]) == 10 and row["auc"] == pytest.approx(np.mean(row["folds"]))
        assert row["auc"] > 0.8  # clouds two deviations apart
        assert row["deviation"] == pytest.approx(np.std(row["folds"], ddof=1))
    assert (
        "0.9803 +- 0.0100" in text and "ranking in the paper: SNN > BatchNorm > naive Bayes" in text
    )
    assert "| naive Bayes |" in tables.paper("htru2", place / "paper-results")


def test_tox21(place):
    needs("scipy", "matplotlib")
    words = ("reproduce", "tox21", *TINY, "--methods", "snn,layernorm", "--layers", "2,8")
    text = good(*words, "--seeds", 2)
    found = stored(place, "tox21")
    assert [(row["method"], row["layers"]) for row in found["rows"]] == [
        ("snn", 2), ("snn", 8), ("layernorm", 2), ("layernorm", 8),
    ]  # fmt: skip
    for row in found["rows"]:
        assert len(row["seeds"]) == 2 and len(row["tasks"]) == 3
        assert row["auc"] == pytest.approx(np.mean(row["seeds"]))
        assert row["auc"] == pytest.approx(np.mean(row["tasks"]))
        assert row["chosen"]["weight_decay"] == 1e-4
    assert found["rows"][0]["auc"] > 0.75  # labels are signs of sums of the features
    assert (place / "paper-results" / "tox21.png").stat().st_size > 10_000
    assert "note: made-up features" in text and "(paper, with other features: 0.845)" in text
    assert "![tox21](bench/results/paper/tox21.png)" in tables.paper(
        "tox21", place / "paper-results"
    )


def test_results_go_to_the_checkout(place):
    """bench/results/paper if it exists, else paper-results; or --out."""
    needs("scipy")
    (place / "bench" / "results" / "paper").mkdir(parents=True)
    words = ("reproduce", "uci", *TINY, "--sets", "lenses", "--methods", "snn")
    good(*words)
    assert (place / "bench" / "results" / "paper" / "uci.json").exists()
    good(*words, "--resume", "--out", "elsewhere")
    assert (place / "elsewhere" / "uci.json").exists()
    assert not (place / "paper-results").exists()
    document = place / "README.md"
    document.write_text("before\n<!-- paper-uci -->\nstale\n<!-- end of paper-uci -->\nafter\n")
    filled = tables.filled(document)
    assert filled.startswith("before\n<!-- paper-uci -->\n| method |")
    assert "stale" not in filled and filled.endswith("\n<!-- end of paper-uci -->\nafter\n")


@pytest.mark.parametrize(
    "words, part",
    [
        (("uci", "--methods", "snn,resnext"), "one or more of snn, msra, batchnorm"),
        (
            ("uci", "--seeds", "two"),
            "a whole number or a comma-separated list of them is required, got 'two'",
        ),
        (("uci", "--seeds", "0"), "at least one seed is required"),
        (("uci", "--sets", "irish"), "must be one of the 121 UCI tasks; similar names: iris"),
        (("uci", "--sets", "wine"), "does not contain its wine_py.dat"),
        (("uci", "--max-rows", "5"), "all 4 data sets have more rows"),
        (("tox21", "--layers", "2,x"), "comma-separated whole numbers are required, got '2,x'"),
        (("tox21", "--layers", "0"), "numbers of at least 1"),
        (("tox21", "--layers", "5"), "none of the layers 5 is in this budget"),
        (("fig1-mnist", "--epochs", "0"), "a whole number of at least 1 is required, got '0'"),
        (("uci", "--out", "file"), "the folder could not be made"),
    ],
)
def test_wrong_turns(words, part, place):
    (place / "file").write_text("")
    result = call("reproduce", *words)
    assert result.exit_code in (1, 2) and part in result.stderr
    assert result.stderr.count("\n") == 1 and not result.stdout


def test_without_libraries(place, monkeypatch):
    import builtins

    taken = builtins.__import__

    def refuse(name, *more):
        if name.split(".")[0] in ("sklearn", "matplotlib"):
            raise ImportError(name)
        return taken(name, *more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    for words in (("uci", *TINY, "--references"), ("tox21", *TINY)):
        result = call("reproduce", *words)
        assert result.exit_code == 1 and "pip install '.[paper]'" in result.stderr


@pytest.mark.parametrize("method", references.CLASSIFIERS)
def test_references_learn(method):
    needs("sklearn")
    folds = paper_data.folds(400)
    options = {"method": method, "seed": 0, "c": 1.0, "gamma": 1.0}
    for judge in (references.classify, references.detect):
        found = judge(options, folds.parts(1))
        assert found["score"] > 0.9 and found["test"] > 0.85


def test_every_command_explains_itself():
    assert set(reproduce.commands) == {
        "fig1-mnist", "fig1-cifar10", "uci", "htru2", "tox21", "tutorial-mnist",
    }  # fmt: skip
    for command in reproduce.commands.values():
        assert {"budget", "seeds", "resume", "out", "work"} <= {p.name for p in command.params}
        text = " ".join(good("reproduce", command.name, "--help").split())
        for option in command.params:
            assert option.help and option.show_default, (command.name, option.name)
            assert "[default:" in text


def test_real_data(tmp_path, monkeypatch):
    """Iris: the paper's SNN has 0.973; a tiny one is close to it."""
    data = shared_data()
    if data is None or not (data / "uci121" / "data_py.zip").exists():
        pytest.skip("needs the UCI tasks: set FASTSNN_DATA")
    from fastsnn.paper import uci

    needs("scipy")
    uci._folds.cache_clear()
    monkeypatch.setenv("FASTSNN_DATA", str(data))
    monkeypatch.chdir(tmp_path)
    found = result_of("reproduce", "uci", *TINY, "--sets", "iris", "--methods", "snn")
    (row,) = found["rows"]
    assert row["paper"] == 0.973 and row["accuracy"] > 0.92
    uci._folds.cache_clear()


def test_ctrl_c_says_how_to_continue(place, monkeypatch):
    """The message does not name the --out of the inner search, which the command does not have."""

    def interrupted(*_, **__):
        raise KeyboardInterrupt("interrupted after 0 of 9 trials; continue with --resume --out x")

    monkeypatch.setattr("fastsnn.paper.run.run_uci", interrupted)
    result = call("reproduce", "uci", *TINY, "--work", "there")
    assert result.exit_code == 130 and result.stderr.splitlines()[-1] == (
        "fastsnn: interrupted; finished training runs are stored in there; to continue, repeat the "
        "command with --resume"
    )
    text = call("reproduce", "uci", *TINY, "--dry-run").stderr
    assert "stored" not in text.splitlines()[-1]
