"""Shared code of the paper's experiments: one training, grid and choice, budgets, estimates."""

import itertools
from dataclasses import replace

import numpy as np
import paper_data
import pytest

from fastsnn import metrics
from fastsnn.data.dataset import Split
from fastsnn.methods import METHODS, network
from fastsnn.paper import budgets, estimate, training
from fastsnn.paper.budgets import BUDGETS, BY_NAME, PAPER, Grid
from fastsnn.paper.study import Study, Unit
from fastsnn.search import ModelSelection
from fastsnn.search import grid as combinations
from fastsnn.trainer import Trainer

GRID = Grid(width=(16,), layers=(2,), learning_rate=(0.1,), epochs=12, batch=32)
TASK = training.Task("softmax_cross_entropy", 2, training.accuracy)
OPTIONS = {"method": "snn", "layers": 2, "width": 16, "learning_rate": 0.1, "seed": 3}


def silent(fraction):
    assert 0 < fraction <= 1


def trained(options=OPTIONS, parts=None, grid=GRID, protocol=None):
    parts = parts or paper_data.folds().parts(1)
    protocol = protocol or ModelSelection(epochs=grid.epochs)
    return training.train(options, parts, TASK, protocol, grid, silent)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns(method):
    found = trained({**OPTIONS, "method": method})
    assert found["score"] > 0.9 and found["test"] > 0.85 and found["diverged"] is None
    assert 10 <= found["epoch"] <= 12  # the first full window of the protocol is the tenth
    assert found == trained({**OPTIONS, "method": method})


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rows", [(3, 1, 1), (9, 2, 3), (33, 1, 2)])
def test_very_small_data(method, rows):
    """With one row in the last batch and one validation row, all figures are finite."""
    generator = np.random.default_rng(0)
    parts = tuple(Split(generator.normal(size=(n, 3)).astype(np.float32), np.arange(n) % 2)
                  for n in rows)  # fmt: skip
    found = trained({**OPTIONS, "method": method, "learning_rate": 0.01}, parts)
    assert np.isfinite([found["score"], found["test"]]).all()


def test_the_chosen_network_is_judged():
    """The test outputs are those of the chosen epoch's network, as of a training that ends
    there.
    """

    def outputs(curve):
        seen, values = [], iter([*curve, 0.0])  # a figure of each epoch, and of the test rows
        task = replace(TASK, judge=lambda z, y: (seen.append(z.copy()), next(values))[1])
        n = len(curve)
        protocol, grid = ModelSelection(epochs=n, window=1), replace(GRID, epochs=n)
        parts = paper_data.folds().parts(1)
        return training.train(OPTIONS, parts, task, protocol, grid, silent), seen[-1]

    found, chosen = outputs([0.5] * 4 + [0.9] + [0.1] * 7)
    assert (found["epoch"], found["score"]) == (5, 0.9)
    np.testing.assert_array_equal(chosen, outputs([0.1, 0.2, 0.3, 0.4, 0.5])[1])
    assert not np.array_equal(chosen, outputs([0.1] * 11 + [0.5])[1])


def test_a_training_that_diverges(monkeypatch):
    """Before the first full window it has no figures; after one, it counts up to the divergence."""
    with pytest.raises(FloatingPointError, match="diverged"):
        trained({**OPTIONS, "method": "msra", "layers": 8, "learning_rate": 1e6})
    whole, fit = trained(), Trainer.fit

    def fails(trainer, *arguments):
        fails.calls += 1
        if fails.calls == 12:
            raise FloatingPointError
        return fit(trainer, *arguments)

    fails.calls = 0
    monkeypatch.setattr(Trainer, "fit", fails)
    found = trained()
    assert found["diverged"] == 12 and found["epoch"] in (10, 11)
    assert whole["diverged"] is None


def test_rows_of_epochs():
    """Each pass has every row once, in a different order; capped epochs continue where the last
    one ended.
    """
    whole = list(itertools.islice(training.rows_of_epochs(10, None, 0), 3))
    assert all(sorted(rows) == list(range(10)) for rows in whole)
    assert len({tuple(rows) for rows in whole}) == 3
    capped = np.concatenate(list(itertools.islice(training.rows_of_epochs(10, 4, 0), 5)))
    assert [sorted(capped[:10]), sorted(capped[10:])] == [list(range(10))] * 2
    more = np.concatenate(list(itertools.islice(training.rows_of_epochs(10, 7, 0), 10)))
    assert np.bincount(more).tolist() == [7] * 10
    again = next(training.rows_of_epochs(10, None, 0))
    assert again.tolist() == whole[0].tolist()
    assert next(training.rows_of_epochs(10, None, 1)).tolist() != again.tolist()


@pytest.mark.parametrize(
    "rows, batch, size", [(3, 32, 3), (12, 32, 8), (100, 32, 13), (256, 32, 32), (9000, 128, 128)]
)
def test_batch_size(rows, batch, size):
    assert training.batch_size(rows, batch) == size


def test_figures():
    """AUC of the difference of two outputs, and of tasks of which one has no AUC."""
    z = np.array([[0.0, 1.0], [0.0, 3.0], [5.0, 7.0], [0.0, 0.5]])
    y = np.array([0, 1, 1, 0])
    assert training.auc_of_second(z, y) == metrics.roc_auc(z[:, 1] - z[:, 0], y) == 1
    nan = np.nan
    labels = np.array([[0, 1, nan], [1, 1, nan], [1, nan, 1], [nan, 1, 0]], np.float32)
    scores = np.array([[1, 0, 0], [2, 0, 0], [0, 0, 2], [9, 0, 1]], np.float32)
    areas = training.aucs(scores, labels)
    assert areas[0] == 0.5 and np.isnan(areas[1]) and areas[2] == 1
    assert training.mean_auc(scores, labels) == 0.75


def scores(table):
    """Return a trial function that looks its figures up: {(x, fold): (score, test)}."""

    def trial(options, report):
        trial.calls += 1
        score, test = table[options["x"], options["fold"]]
        if score is None:
            raise FloatingPointError("diverged")
        return {"score": score, "test": test + options["seed"] / 100}

    trial.calls = 0
    return trial


def outcome(tmp_path, table, **more):
    trial = scores(table)
    study = Study(trial, ModelSelection(), lambda options: 1.0, {}, tmp_path)
    unit = Unit({"method": "snn"}, [{"x": 1}, {"x": 2}], (1, 2), **more)
    (found,) = study.run([unit])
    return found, trial.calls


TABLE = {(1, 1): (0.8, 0.1), (2, 1): (0.9, 0.2), (1, 2): (0.7, 0.3), (2, 2): (0.6, 0.4)}


def test_each_fold_chooses_for_itself(tmp_path):
    found, calls = outcome(tmp_path, TABLE)
    assert found.chosen == {1: {"x": 2}, 2: {"x": 1}} and found.tests() == [0.2, 0.3]
    assert calls == 4 and len(found.trials) == 2


def test_one_fold_chooses_for_all(tmp_path):
    found, calls = outcome(tmp_path, TABLE, select=(1,))
    assert found.chosen == {1: {"x": 2}, 2: {"x": 2}} and found.tests() == [0.2, 0.4]
    assert calls == 3  # fold 2 of the other configuration is never trained


def test_seeds_repeat_the_chosen_configuration(tmp_path):
    found, calls = outcome(tmp_path, TABLE, select=(1, 2), seeds=(0, 4))
    # Means of the two folds are equal, 0.75: the first configuration wins.
    assert found.chosen[1] == {"x": 1} and calls == 4 + 2
    np.testing.assert_allclose(found.tests(), [0.12, 0.32])


def test_ties_are_the_protocols(tmp_path):
    configurations = [
        {"layers": 2, "learning_rate": 0.1, "dropout": 0.0},
        {"layers": 8, "learning_rate": 0.1, "dropout": 0.0},
        {"layers": 8, "learning_rate": 0.01, "dropout": 0.0},
        {"layers": 8, "learning_rate": 0.01, "dropout": 0.05},
    ]
    study = Study(
        lambda options, report: {"score": 0.5, "test": 1.0},
        ModelSelection(),
        lambda o: 1.0,
        {},
        tmp_path,
    )
    (found,) = study.run([Unit({}, configurations)])
    assert found.chosen[1] == configurations[3]


def test_diverged_trainings(tmp_path):
    """If all diverge, there is nothing to choose. In a repeat, the next best takes the place; a
    fold counts 0 if none is left.
    """
    nothing, _ = outcome(tmp_path / "a", dict.fromkeys(TABLE, (None, 0)))
    assert nothing.chosen == {} and nothing.tests() == []
    found, calls = outcome(tmp_path / "b", TABLE | {(2, 2): (None, 0)}, select=(1,))
    assert found.tests() == [0.2, 0.3] and calls == 4
    table = TABLE | {(2, 2): (None, 0), (1, 2): (None, 0)}
    found, _ = outcome(tmp_path / "c", table, select=(1,))
    assert found.tests() == [0.2, 0.0]


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("name", BY_NAME)
def test_budgets_are_parts_of_the_paper(name, budget):
    """Each value is one of the paper's (except narrower layers, which left_out names), and each
    combination is a network.
    """
    grid, paper = BY_NAME[name][budget], PAPER[name]
    for what in ("layers", "blocks", "learning_rate", "shape", "weight_decay", "bottleneck"):
        assert set(getattr(grid, what)) <= set(getattr(paper, what)), what
    for method in METHODS:
        ours, theirs = (g.dropout.get(method, (0.0,)) for g in (grid, paper))
        assert set(ours) <= {0.0, *theirs}
        narrow = replace(grid, width=(8,))
        for options in combinations(narrow.space(method)):
            options.pop("learning_rate"), options.pop("weight_decay", None)
            assert network(method, 3, 2, **options).output_size == 2
    lines = budgets.left_out(name, grid)
    assert any(line.startswith("width") for line in lines) == (grid.width != paper.width)
    if budget == "full":
        assert all("Highway" in line or "residual" in line for line in lines)


def test_deviations_from_the_paper_are_listed():
    lines = budgets.left_out("uci", BY_NAME["uci"]["small"], ("snn",))
    assert "hidden layers 2 or 8 instead of 2, 3, 4, 8, 16 or 32" in lines
    assert not any("residual" in line or "dropout" in line for line in lines)
    tiny = budgets.left_out("tox21", BY_NAME["tox21"]["tiny"])
    assert "1 repeat instead of 5" in tiny and "10 epochs instead of 100" in tiny


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", budgets.SHAPES)
def test_weights_are_counted(method, shape):
    options = {"method": method, "layers": 3, "width": 24, "shape": shape, "bottleneck": 0.25}
    if shape == "conic" and method in ("highway", "resnet"):
        pytest.skip("equal widths only")
    net = training.build({**options, "seed": 0}, 7, 3)
    sizes = [t.size for n, t in net.state_dict().items() if t.ndim == 2 and t.shape[1] > 1]
    assert estimate.weights(options, 7, 3) == sum(sizes)


def test_estimates_grow_with_the_work():
    speed = estimate.Speed(("snn",))
    small, large = (
        speed.seconds({**OPTIONS, "width": width}, 8, 2, 1000, 100, GRID) for width in (64, 512)
    )
    assert 0 < small < large
    capped = replace(GRID, rows_per_epoch=100, validation_rows=10)
    assert speed.seconds(OPTIONS, 8, 2, 10_000, 1000, capped) == speed.seconds(
        OPTIONS, 8, 2, 100, 10, GRID
    )
