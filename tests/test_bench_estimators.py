"""`fastsnn bench estimators` on small data: rows, table, and the skipped peer."""

import numpy as np
import pytest

from fastsnn.bench import estimators

pytest.importorskip("sklearn")
SMALL = {"layers": 2, "width": 8, "batch_size": 32, "epochs": 2, "learning_rate": 1e-3}


def test_a_row_for_each_work(monkeypatch):
    asked = []

    def run(module, request, threads):
        asked.append((module, request["system"], threads))
        return {"seconds": {"fastsnn": 1.0, "sklearn": 3.0, "skorch": 5.0}[request["system"]],
                "score": 0.9}  # fmt: skip

    monkeypatch.setattr(estimators.child, "run", run)
    monkeypatch.setattr(estimators, "installed", lambda: ["scikit-learn"])
    rows = estimators.measure(2, 2, lambda line: None)
    assert [row["settings"] for row in rows] == [*estimators.FITS, estimators.GRID]
    assert all(row["speedups"] == {"sklearn": 3.0} for row in rows)
    assert asked[:4] == [(estimators.MODULE, name, 2) for name in ("fastsnn", "sklearn")] * 2
    head, *lines = estimators.table(rows)
    assert head == ["work", "fastsnn", "MLPClassifier", "speed-up over MLPClassifier",
                    "accuracies"]  # fmt: skip
    assert lines[-1][1:] == ["1 s", "3 s", "3.00", "0.900 / 0.900"]


@pytest.mark.parametrize("system", ["fastsnn", "sklearn"])
def test_systems_train_what_is_asked(system):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 3)), np.arange(64) % 2
    made = estimators.estimator(system, **SMALL)
    if system == "sklearn":
        made[-1].set_params(n_iter_no_change=2)
        with pytest.warns(UserWarning, match="Maximum iterations"):
            made.fit(x, y)
        assert (made[-1].n_iter_, made[-1].hidden_layer_sizes, made[-1].solver) == (
            2,
            (8, 8),
            "adam",
        )
        return
    made.fit(x, y)
    assert (made.n_iter_, made.layers, made.width, made.solver) == (2, 2, 8, "adam")


def test_the_grid_search_has_the_same_configurations_in_both_systems():
    ours, theirs = (estimators.search(system, 1).param_grid for system in ("fastsnn", "sklearn"))
    assert list(ours.values()) == list(theirs.values())
    assert {f"mlpclassifier__{name}" for name in ours} == set(theirs)
