"""A search on the worker processes of a dask cluster gives the same results."""

import os

import pytest
from search_trials import hill

from fastsnn.search import ModelSelection, search, workers
from fastsnn.search.training import RunTrial

distributed = pytest.importorskip("distributed", reason="needs distributed: pip install '.[dask]'")
dask = pytest.importorskip("dask")  # a dependency of distributed

FIXED = {"width": 16, "epochs": 4, "batch_size": 64, "validation": 0.15}
SPACE = {"layers": [1, 3], "learning_rate": [0.05, 1000.0]}


def where(options, report):
    return {"score": 0, "process": os.getpid()}


@pytest.fixture(scope="module")
def cluster():
    """Two processes of one thread, started by spawn: a fork would inherit threads' locks."""
    assert dask.config.get("distributed.worker.multiprocessing-method") == "spawn"
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0",
        host="127.0.0.1", silence_logs=50,
    ) as started:  # fmt: skip
        yield started


def test_results_are_those_of_this_process(cluster, tmp_path):
    trial = RunTrial(FIXED, ModelSelection(epochs=4))
    here = search(trial, SPACE, workers=2)
    there = search(trial, SPACE, dask=cluster.scheduler_address, folder=tmp_path)
    assert there.trials == here.trials and there.busy is None
    assert sum(t.error is not None for t in there.trials) == 2  # divergence is returned, too
    with distributed.Client(cluster) as client:
        again = search(trial, SPACE, dask=client, folder=tmp_path, resume=True)
        assert again.trials == here.trials
        assert client.status == "running"  # it belongs to the caller
        places = search(where, {"x": list(range(8))}, dask=client).trials
    processes = {t.figures["process"] for t in places}
    assert os.getpid() not in processes and len(processes) == 2


def test_a_failure_on_a_worker_is_one_line(cluster):
    with pytest.raises(RuntimeError, match=r"^trial 0, \{'y': 1\}: 'x'$"):
        search(hill, {"y": [1]}, dask=cluster.scheduler_address)


def test_nobody_answers(monkeypatch):
    monkeypatch.setattr(workers, "CONNECT_S", 0.3)
    with pytest.raises(RuntimeError, match="no scheduler answered.*start one with: dask scheduler"):
        search(hill, {"x": [1]}, dask="tcp://127.0.0.1:9")


def test_processes_of_its_own():
    trial = RunTrial(FIXED, ModelSelection(epochs=4))
    found = search(trial, SPACE, workers=2, dask="local")
    assert found.trials == search(trial, SPACE, workers=1).trials
    assert 0 < found.busy <= 1
