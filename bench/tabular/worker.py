"""One system: `python -m fastsnn.bench.tabular.worker SYSTEM`.

A line {"table", "fold", "folds", "rows", "limit"} on stdin is answered by a line on stdout: metrics
and seconds, or {"error": reason}. This process imports the packages and reads the table; each
result is computed in a fork of it, so that no result depends on an earlier one, and the start of
Python is neither repeated nor timed. The environment sets one thread, so there is no pool of
threads that a fork would break.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import resource
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from . import systems, tasks

LONGEST = 300  # characters of an error


@functools.lru_cache(maxsize=2)
def task_of(name: str, folds: int, rows: int | None) -> tasks.Task:
    return tasks.load(name, folds, rows)


def warm_up(system: str) -> None:
    """Import the packages; for fastsnn, load or compile the kernels."""
    for module in systems.SYSTEMS[system].modules:
        importlib.import_module(module)
    if system.startswith("fastsnn"):
        import fastsnn

        x, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
        for kind in (fastsnn.SNNClassifier, fastsnn.SNNRegressor):
            kind(layers=2, width=16, max_iter=1, n_jobs=1).fit(x, y).predict(x)


class Clock:
    """Seconds of the wall clock and of the processor, since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), _cpu()

    def seconds(self) -> tuple[float, float]:
        return time.perf_counter() - self._wall, _cpu() - self._cpu


def _cpu() -> float:
    """Return the user and system seconds of this process and its finished children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def part_of(task: tasks.Task, fold: int) -> tuple[systems.Part, np.ndarray]:
    """Return a fold (from 1), and the classes that occur in its training rows."""
    train, test = task.folds[fold - 1]
    if not task.n_classes:
        return systems.Part(task, train, test, task.y[train]), np.arange(0)
    classes, y = np.unique(task.y[train], return_inverse=True)
    return systems.Part(task, train, test, y), classes


def measure(system: str, task: tasks.Task, fold: int) -> dict[str, Any]:
    """Train and predict; return the metrics of the test rows and the seconds."""
    part, classes = part_of(task, fold)
    estimator, form, most = systems.SYSTEMS[system].make(part)
    chosen = np.arange(len(part.train))
    if most is not None and len(chosen) > most:
        rng = np.random.default_rng(tasks.SEED)
        chosen = np.sort(rng.choice(chosen, most, replace=False))
    train, test = form(part, part.train[chosen]), form(part, part.test)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clock = Clock()
        estimator.fit(train, part.y[chosen])
        fit_s, fit_cpu_s = clock.seconds()
        clock = Clock()
        if part.regression:
            predicted = np.asarray(estimator.predict(test), np.float64).reshape(-1)
        elif hasattr(estimator, "predict_proba"):
            probabilities = np.asarray(estimator.predict_proba(test), np.float64)
            predicted = probabilities.argmax(axis=1)
        else:
            probabilities, predicted = None, np.asarray(estimator.predict(test))
        predict_s, predict_cpu_s = clock.seconds()
        y = task.y[part.test]
        if part.regression:
            metrics = regression(y, predicted)
        else:
            scores = None if probabilities is not None else estimator.decision_function(test)
            metrics = classification(y, predicted, probabilities, scores, classes, task.n_classes)
    return {
        "metrics": metrics, "fit_s": fit_s, "fit_cpu_s": fit_cpu_s, "predict_s": predict_s,
        "predict_cpu_s": predict_cpu_s, "train_rows": len(chosen), "test_rows": len(y),
    }  # fmt: skip


def regression(y: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    from sklearn import metrics

    if not np.isfinite(predicted).all():
        raise ValueError("a prediction is not finite")
    return {
        "rmse": float(metrics.root_mean_squared_error(y, predicted)),
        "r2": float(metrics.r2_score(y, predicted)),
    }


def classification(
    y: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray | None,
    scores: np.ndarray | None, classes: np.ndarray, n_classes: int,
) -> dict[str, float]:  # fmt: skip
    """Return the metrics.

    y: class numbers (n,); predicted: places in `classes`; probabilities (n, len(classes)) or None;
    scores: for two classes, the decision function (n,), used without probabilities. A class that
    the training rows lack has probability 0.
    """
    from sklearn import metrics

    found = {"accuracy": float(np.mean(classes[predicted] == y))}
    if probabilities is not None:
        if not np.isfinite(probabilities).all():
            raise ValueError("a probability is not finite")
        whole = np.zeros((len(y), n_classes))
        whole[:, classes] = probabilities
        whole /= whole.sum(axis=1, keepdims=True)  # float32 sums to 1 within 1e-7 only
        found["log_loss"] = float(metrics.log_loss(y, whole, labels=np.arange(n_classes)))
        scores = whole[:, 1] if n_classes == 2 else None
    if n_classes == 2 and len(classes) == 2 and len(np.unique(y)) == 2:
        found["auc"] = float(metrics.roc_auc_score(y, scores))
    return found


def forked(call: Callable[[], dict[str, Any]], limit: float) -> dict[str, Any]:
    """Return the result of a call in a fork of this process, or {"error": reason}.

    limit: seconds after which the fork is killed.
    """
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(read)
            content = json.dumps(attempt(call)).encode()
            while content:
                content = content[os.write(write, content) :]
        finally:
            os._exit(0)
    os.close(write)
    content, until = b"", time.monotonic() + limit
    with os.fdopen(read, "rb", buffering=0) as pipe:
        while select.select([pipe], [], [], max(0.0, until - time.monotonic()))[0]:
            piece = pipe.read(1 << 16)
            content += piece
            if not piece:
                break
        else:
            os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGKILL and time.monotonic() >= until:
        return {"error": f"took more than {limit:g} s"}
    if not content:
        return {"error": f"the process ended without a result, exit code {code}"}
    return json.loads(content)


def attempt(call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the result of a call, or {"error": reason}."""
    try:
        return call()
    except Exception as error:
        return {"error": " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST]}


def perform(system: str, request: dict[str, Any]) -> dict[str, Any]:
    task = task_of(request["table"], request["folds"], request["rows"])
    return forked(lambda: measure(system, task, request["fold"]), request["limit"])


def main() -> None:
    system = sys.argv[1]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is not an answer
    broken = attempt(lambda: warm_up(system) or {})
    for line in sys.stdin:
        request = json.loads(line)
        found = broken or attempt(functools.partial(perform, system, request))
        print(json.dumps(found), file=answers, flush=True)


if __name__ == "__main__":
    main()
