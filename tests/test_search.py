"""The loop of a search: every trial once, the same results with any number of workers, resuming."""

import doctest
import errno
import json
import os
import threading
from itertools import product

import numpy as np
import pytest
from search_trials import counted, hill

import fastsnn.search
from fastsnn.search import ModelSelection, Range, Trial, grid, journal, search
from fastsnn.search.journal import NAME

SPACE = {"x": [0, 1, 2, 3, 9], "kind": ["a", "b"], "width": [32, 40]}


def lines(folder):
    return [json.loads(line) for line in (folder / NAME).read_text().splitlines()]


def options_of(folder):
    return [record["options"] for record in lines(folder)[1:]]


def test_a_grid_is_every_combination_in_order():
    names = list(SPACE)
    expected = [dict(zip(names, v, strict=True)) for v in product(*SPACE.values())]
    assert grid(SPACE) == expected
    found = search(hill, SPACE, workers=2)
    assert [t.options for t in found.trials] == expected
    assert [t.number for t in found.trials] == list(range(20))
    assert found.best.options == {"x": 2, "kind": "b", "width": 40} and found.best.score == 1
    assert found.ranked[0] == found.best


def test_results_do_not_depend_on_the_number_of_workers(tmp_path):
    one = search(hill, SPACE, workers=1)
    for workers in (2, 5):
        folder = tmp_path / str(workers)
        assert search(hill, SPACE, workers=workers, folder=folder).trials == one.trials
    listed = search(hill, grid(SPACE), workers=2)
    assert listed.trials == one.trials


def test_a_trial_that_diverges_is_recorded_and_ranks_last(tmp_path):
    found = search(hill, SPACE, workers=2, folder=tmp_path)
    bad = [t for t in found.trials if t.error]
    assert [t.options["x"] for t in bad] == [9] * 4
    assert {t.error for t in bad} == {"diverged at 9"} and bad[0].score is None
    assert {t.number for t in found.ranked[-4:]} == {t.number for t in bad}
    stored = [r for r in lines(tmp_path)[1:] if r["error"]]
    assert len(stored) == 4 and all(r["figures"] == {} for r in stored)


@pytest.mark.parametrize("kept", [0, 1, 7, 19, 20])
def test_finished_trials_are_not_run_again(tmp_path, kept):
    whole = search(hill, SPACE, workers=2, folder=tmp_path)
    content = (tmp_path / NAME).read_text().splitlines(keepends=True)
    (tmp_path / NAME).write_text("".join(content[: kept + 1]))
    before, done = options_of(tmp_path), []
    again = search(counted(done), SPACE, workers=2, folder=tmp_path, resume=True)
    assert again.trials == whole.trials
    assert len(done) == 20 - kept and not [o for o in done if o in before]
    assert options_of(tmp_path)[:kept] == before  # nothing of the file is lost
    assert len(options_of(tmp_path)) == 20


@pytest.mark.parametrize("cut", [1, 20, 10_000])
def test_a_line_without_its_end_is_run_again(tmp_path, cut):
    """A power cut may leave such a line; the longest cut leaves a part of the very first line."""
    whole = search(hill, SPACE, workers=1, folder=tmp_path)
    content = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(content[: max(5, len(content) - cut)])
    done = []
    again = search(counted(done), SPACE, workers=1, folder=tmp_path, resume=True)
    assert again.trials == whole.trials
    assert len(done) == (20 if cut == 10_000 else 1)
    assert len(options_of(tmp_path)) == 20


def test_a_grid_may_grow(tmp_path):
    search(hill, {"x": [1, 2]}, folder=tmp_path)
    done = []
    more = search(counted(done), {"x": [0, 1, 2, 3]}, folder=tmp_path, resume=True)
    assert sorted(o["x"] for o in done) == [0, 3]
    assert more.trials == search(hill, {"x": [0, 1, 2, 3]}).trials


def test_resuming_without_a_journal_starts_a_search(tmp_path):
    assert len(search(hill, {"x": [1, 2]}, folder=tmp_path / "new", resume=True).trials) == 2


def test_random_draws_are_the_same_for_a_seed():
    space = {"x": Range(0.0, 5.0), "width": Range(8, 128, log=True), "kind": ["a", "b"]}
    first = search(hill, space, sampler="random", trials=30, seed=4, workers=1)
    more = search(hill, space, sampler="random", trials=40, seed=4, workers=3)
    assert more.trials[:30] == first.trials and len(more.trials) == 40
    assert search(hill, space, sampler="random", trials=5, seed=5).trials != first.trials[:5]
    for options in (t.options for t in more.trials):
        assert 0 <= options["x"] <= 5 and options["kind"] in "ab"
        assert type(options["width"]) is int and 8 <= options["width"] <= 128


def test_random_draws_from_few_combinations_are_all_of_them():
    found = search(hill, {"x": [1, 2, 3]}, sampler="random", trials=50)
    assert sorted(t.options["x"] for t in found.trials) == [1, 2, 3]


def test_ranges_reach_both_ends():
    whole = Range(1, 4)
    assert [whole.at(u) for u in (0, 0.2499, 0.25, 0.5, 0.75, 1 - 2**-53)] == [1, 1, 2, 3, 4, 4]
    by_ratio = Range(0.01, 1.0, log=True)
    assert by_ratio.at(0) == pytest.approx(0.01) and by_ratio.at(0.5) == pytest.approx(0.1)
    assert {Range(1, 8, log=True).at(u) for u in np.linspace(0, 1, 200, False)} == {*range(1, 9)}


def test_long_trials_begin_first():
    seen = []
    space = {"layers": [1, 4, 2], "width": [8, 64]}
    search(lambda o, report: seen.append(o) or {"score": 0}, space, workers=1)
    costs = [o["layers"] * o["width"] ** 2 for o in seen]
    assert costs == sorted(costs, reverse=True) and len(set(costs)) == 6


def test_workers_run_concurrently():
    """Each trial waits until both have started."""
    barrier = threading.Barrier(2, timeout=30)

    def trial(options, report):
        barrier.wait()
        return {"score": options["x"]}

    assert len(search(trial, {"x": [1, 2, 3, 4]}, workers=2).trials) == 4


def test_figures_are_returned_as_stored(tmp_path):
    def trial(options, report):
        area = np.float32(0.1) if options["x"] else np.nan
        return {"score": area, "curve": np.arange(3.0), "pair": (1, np.inf)}

    found = search(trial, {"x": [0, 1]}, folder=tmp_path)
    assert found.trials[1].figures == {
        "score": float(np.float32(0.1)), "curve": [0.0, 1.0, 2.0], "pair": [1, None],
    }  # fmt: skip
    assert found.trials[0].score is None and found.best.number == 1
    again = search(trial, {"x": [0, 1]}, folder=tmp_path, resume=True)
    assert again.trials == found.trials


def test_progress_reports_done_left_and_best():
    seen = []
    search(hill, SPACE, workers=2, progress=seen.append)
    assert seen[-1].done == seen[-1].total == 20 and seen[-1].seconds_left == 0
    assert seen[-1].best.options == {"x": 2, "kind": "b", "width": 40}


def test_a_failing_trial_ends_the_search_and_loses_nothing(tmp_path):
    def trial(options, report):
        if options["x"] == 3:
            raise ValueError("no such thing")
        return {"score": 1}

    with pytest.raises(RuntimeError, match=r"^trial 3, \{'x': 3\}: no such thing$"):
        search(trial, {"x": [0, 1, 2, 3, 4]}, workers=1, folder=tmp_path)
    assert [o["x"] for o in options_of(tmp_path)] == [0, 1, 2]
    for bad in ({}, None, {"accuracy": 1}):
        with pytest.raises(TypeError, match='figures with "score" is required, got'):
            search(lambda o, report, bad=bad: bad, {"x": [1]})


def test_an_interrupted_search_stops_its_trials(tmp_path):
    """Ctrl-C arrives in the main thread while trials run: they stop at their next report."""
    left = []

    def trial(options, report):
        if options["x"] == 0:
            return {"score": 0}
        try:
            while True:
                report(0.1)
        finally:
            left.append(options["x"])

    def interrupt(status):
        if status.done:
            raise KeyboardInterrupt

    words = (
        "^interrupted after 1 of 3 trials; .* has their results; continue with .* --resume --out "
    )
    with pytest.raises(KeyboardInterrupt, match=words):
        search(trial, {"x": [0, 1, 2]}, workers=2, folder=tmp_path, progress=interrupt)
    assert sorted(left) == [1, 2][: len(left)] and left
    assert [o["x"] for o in options_of(tmp_path)] == [0]


def test_two_searches_cannot_share_a_folder(tmp_path):
    def trial(options, report):
        return {"score": len(search(hill, {"x": [1]}, folder=tmp_path, resume=True).trials)}

    with pytest.raises(RuntimeError, match="another process is running a search in this folder"):
        search(trial, {"x": [1]}, folder=tmp_path)


def raises(error, words, *arguments, **options):
    with pytest.raises(error, match=words):
        search(hill, *arguments, **options)


def test_bad_arguments(tmp_path):
    space = {"x": [1, 2]}
    raises(ValueError, "sampler: must be one of grid, random", space, sampler="best")
    raises(ValueError, "trials: a number is required, got None", space, sampler="random")
    raises(ValueError, "a grid runs all combinations, got 3", space, trials=3)
    raises(ValueError, "trials: at least 1 is required, got 0", space, sampler="random", trials=0)
    raises(ValueError, "workers: at least 1 is required, got 0", space, workers=0)
    raises(ValueError, "x: a grid needs values, got Range", {"x": Range(0, 1)})
    raises(ValueError, "x: a list of at least one value is required", {"x": []})
    raises(ValueError, "trial 1 repeats the options of trial 0", {"x": [1, 1]})
    raises(ValueError, "trial 2 repeats", [{"x": 1, "y": 2}, {"x": 1}, {"y": 2, "x": 1}])
    raises(ValueError, "at least one set of options", [])
    raises(ValueError, "random needs names with values", [{"x": 1}], sampler="random", trials=1)
    raises(TypeError, "numbers, strings, lists and dicts are required.*set", {"x": [{1}]})
    for low, high, log in ((1, 1, False), (2, 1, False), (0, 1, True)):
        with pytest.raises(ValueError, match="low < high is required, got"):
            Range(low, high, log)
    with pytest.raises(TypeError, match="range: numbers are required, got 'a' to 'b'"):
        Range("a", "b")


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    write, left = os.write, [3]

    def full(file, line):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, line[:20] if left[0] == 0 else line)

    with monkeypatch.context() as patch:
        patch.setattr(journal.os, "write", full)
        words = r"trials.jsonl: could not be written \(No space left on device\); free some"
        raises(RuntimeError, words, {"x": [1, 2, 3]}, workers=1, folder=tmp_path)
    assert len((tmp_path / NAME).read_bytes().splitlines()) == 3  # the last one is incomplete
    raises(ValueError, "this folder already contains a search", {"x": [1]}, folder=tmp_path)
    done = []
    search(counted(done), {"x": [1, 2, 3]}, folder=tmp_path, resume=True)
    assert [o["x"] for o in done] == [2, 3] and len(options_of(tmp_path)) == 3


def test_the_example_in_its_docstring():
    assert doctest.testmod(fastsnn.search).attempted == 3
    assert not doctest.testmod(fastsnn.search).failed


def test_bad_folders(tmp_path):
    space, about = {"x": [1, 2]}, {"data": "digits"}
    search(hill, space, folder=tmp_path, about=about)
    content = (tmp_path / NAME).read_bytes()
    raises(ValueError, "this folder already contains a search", space, folder=tmp_path)
    more = {"folder": tmp_path, "resume": True}
    raises(
        ValueError, "started with data digits, got mnist", space, about={"data": "mnist"}, **more
    )
    raises(ValueError, "started with data digits, got None", space, **more)
    other = ModelSelection(metric="loss")
    raises(ValueError, "started with protocol", space, about=about, protocol=other, **more)
    assert (tmp_path / NAME).read_bytes() == content
    (tmp_path / NAME).write_bytes(content + b"[1]\n")
    words = r"trials.jsonl, line 4: a record of a search is required, got '\[1\]'; remove"
    raises(ValueError, words, space, about=about, **more)
    (tmp_path / "file").write_text("")
    raises(RuntimeError, "could not be opened", space, folder=tmp_path / "file" / "folder")


def test_a_trial_is_its_record():
    trial = Trial(3, {"x": 1}, {"score": 0.5}, None, 1.25)
    assert Trial(**json.loads(json.dumps(trial.record()))) == trial
    assert trial == Trial(3, {"x": 1}, {"score": 0.5}, None, 99.0)  # the time may differ
