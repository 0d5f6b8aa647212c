"""Proposals of Optuna: the same for any number of workers, and after every kill."""

import json
import random

import pytest
from search_trials import counted, hill

from fastsnn.search import ModelSelection, Range, search
from fastsnn.search.journal import NAME

pytest.importorskip("optuna", reason="needs Optuna: pip install '.[search]'")

SPACE = {"x": Range(0.0, 10.0), "width": Range(8, 256, log=True), "kind": ["a", "b", "c"]}
TRIALS = 40
OPTIONS = {"sampler": "optuna", "trials": TRIALS, "seed": 3, "ahead": 6}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return (trials, lines of the file) of an uninterrupted search with one worker."""
    folder = tmp_path_factory.mktemp("whole")
    found = search(hill, SPACE, workers=1, folder=folder, **OPTIONS)
    return found.trials, (folder / NAME).read_text().splitlines(keepends=True)


def test_results_do_not_depend_on_the_number_of_workers(whole):
    for workers in (2, 4, 9):  # 9 are more than `ahead`: some wait
        assert search(hill, SPACE, workers=workers, **OPTIONS).trials == whole[0]
    assert any(t.error for t in whole[0])  # reported as the worst, not omitted
    assert search(hill, SPACE, workers=1, **OPTIONS | {"seed": 4}).trials != whole[0]


@pytest.mark.parametrize("seed", range(6))
def test_a_resumed_search_continues_with_the_same_proposals(tmp_path, whole, seed):
    """Any first trials have finished, and some later ones, which were running at the time."""
    rng = random.Random(seed)
    trials, (head, *lines) = whole
    first = rng.randrange(TRIALS)
    running = range(first, min(first + OPTIONS["ahead"], TRIALS))
    kept = [*range(first), *(n for n in running if rng.random() < 0.5)]
    rng.shuffle(kept)
    by_number = {json.loads(line)["number"]: line for line in lines}
    (tmp_path / NAME).write_text(head + "".join(by_number[n] for n in kept))
    done = []
    again = search(counted(done), SPACE, workers=2, folder=tmp_path, resume=True, **OPTIONS)
    assert again.trials == trials
    assert len(done) == TRIALS - len(kept)
    lines = (tmp_path / NAME).read_text().splitlines()
    numbers = [json.loads(line)["number"] for line in lines[1:]]
    assert numbers[: len(kept)] == kept and sorted(numbers) == list(range(TRIALS))


def test_more_trials_continue(tmp_path, whole):
    search(hill, SPACE, workers=2, folder=tmp_path, **OPTIONS | {"trials": 20})
    done = []
    more = search(counted(done), SPACE, workers=2, folder=tmp_path, resume=True, **OPTIONS)
    assert more.trials == whole[0] and len(done) == TRIALS - 20


def test_proposals_are_better_than_random_ones():
    """TPE must beat its own first, random proposals: on a hill, most of the later trials are
    higher than most of the earlier ones (the medians, over three seeds).
    """
    for seed in range(3):
        found = search(hill, SPACE, workers=1, **OPTIONS | {"trials": 60, "seed": seed})
        scores = [-100 if t.score is None else t.score for t in found.trials]
        assert sorted(scores[40:])[10] > sorted(scores[:20])[10]


def test_it_minimizes_if_less_is_better():
    def valley(options, report):
        return {"score": (options["x"] - 4) ** 2}

    space, lower = {"x": Range(0.0, 10.0)}, ModelSelection(metric="loss")
    found = search(valley, space, workers=1, protocol=lower, **OPTIONS | {"trials": 50})
    assert found.best.score == min(t.score for t in found.trials) < 0.05
    later = sorted((t.options["x"] - 4) ** 2 for t in found.trials[30:])
    assert later[10] < 4  # of random ones the median would be 9: 3 to either side of 4 is 60 %


def test_another_search_is_refused(tmp_path):
    search(hill, SPACE, folder=tmp_path, **OPTIONS | {"trials": 2})
    more = OPTIONS | {"folder": tmp_path, "resume": True}
    with pytest.raises(ValueError, match="started with sampler_seed 3, got 5"):
        search(hill, SPACE, **more | {"seed": 5})
    with pytest.raises(ValueError, match="started with ahead 6, got 7"):
        search(hill, SPACE, **more | {"ahead": 7})
    with pytest.raises(ValueError, match="started with space"):
        search(hill, SPACE | {"x": Range(0.0, 9.0)}, **more)
    with pytest.raises(ValueError, match="ahead: at least 1 is required, got 0"):
        search(hill, SPACE, **more | {"ahead": 0})
