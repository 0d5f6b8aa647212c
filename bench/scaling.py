"""Time of a step over depth and batch, and throughput over threads."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import numpy as np

import fastsnn as fs

from . import child, systems, timing, versus
from .case import CLASSES, Case

DEPTHS = (8, 16, 32, 64, 128, 256)
BATCHES = (32, 64, 128, 256, 512, 1024)
BASE = Case(32, 64, 128, 0.05)
SMALL = Case(8, 64, 128, 0.05)  # a typical trial of a search: one network per core
STEPS = 40  # of an epoch of the concurrent trainers


def _times(cases: list[Case], threads: int, seconds: float, rounds: int = 3) -> list[float]:
    """Return the median seconds of a step of each case; the rounds alternate between the cases."""
    calls = [systems.step("fastsnn", case, "sgd", threads) for case in cases]
    taken: list[list[float]] = [[] for _ in cases]
    for _ in range(rounds):
        for call, values in zip(calls, taken, strict=True):
            values += timing.times(call, seconds / rounds, least=5)
    return [timing.spread(values)["median_s"] for values in taken]


def fit(sizes: list[int], seconds: list[float]) -> dict[str, float]:
    """Fit seconds = start + slope * size by least squares of relative errors.

    "exponent" is the slope of the logarithms. worst_deviation is near 0 if the fit is linear.
    """
    x, y = np.array(sizes, float), np.array(seconds)
    columns = np.stack([1 / y, x / y], 1)
    start, slope = np.linalg.lstsq(columns, np.ones(len(y)), rcond=None)[0]
    return {
        "start_s": start,
        "slope_s": slope,
        "exponent": float(np.polyfit(np.log(x), np.log(y), 1)[0]),
        "worst_deviation": float(np.abs((start + slope * x) / y - 1).max()),
    }


def growth(
    name: str, sizes: tuple[int, ...], threads: int, seconds: float, peers: tuple[str, ...]
) -> dict[str, Any]:
    """Time steps of BASE with other numbers of `layers`, or other sizes of `batch`; also in the
    peers.
    """
    cases = [replace(BASE, **{name: size}) for size in sizes]
    medians = _times(cases, threads, seconds)
    others = {}
    for peer in peers:
        request = {
            "what": "step", "system": peer, "cases": list(map(str, cases)), "optimizer": "sgd",
            "threads": threads, "seconds": seconds, "least": 5,
        }  # fmt: skip
        found = child.run(versus.WORKER, request, threads)["times"]
        others[peer] = [timing.spread(found[str(case)])["median_s"] for case in cases]
    return {"of": name, "base": str(BASE), "sizes": list(sizes), "median_s": medians,
            "peers": others, **fit(list(sizes), medians)}  # fmt: skip


def over_threads(cases: tuple[Case, ...], threads: tuple[int, ...], seconds: float) -> list[dict]:
    """Return the speed-up of one trainer over its own single thread."""
    rows = []
    for case in cases:
        medians = [_times([case], t, seconds)[0] for t in threads]
        rows.append(
            {"case": str(case), "threads": list(threads), "median_s": medians,
             "speedup": [medians[0] / m for m in medians]}
        )  # fmt: skip
    return rows


def many_trainers(count: int, seconds: float, rounds: int = 5) -> dict[str, Any]:
    """Time `count` trainers in as many Python threads, each with threads=1, and one of them alone.

    "efficiency" 1: together they train `count` times as many samples per second.
    """
    rng = np.random.default_rng(0)
    rows = SMALL.batch * STEPS
    x = rng.standard_normal((rows, SMALL.inputs), dtype=np.float32)
    y = rng.integers(0, CLASSES, rows)
    trainers = [
        fs.Trainer(systems.network(SMALL), optimizer=fs.SGD(systems.SGD_RATE), threads=1)
        for _ in range(count)
    ]

    def train(trainer, epochs):
        trainer.fit(x, y, epochs=epochs, batch_size=SMALL.batch)

    def timed(chosen, epochs):
        workers = [threading.Thread(target=train, args=(t, epochs)) for t in chosen]
        start = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return time.perf_counter() - start

    for trainer in trainers:
        train(trainer, 1)
    epochs = max(1, round(seconds / 2 / rounds / timed(trainers[:1], 1)))
    alone, together = [], []
    for _ in range(rounds):
        alone.append(timed(trainers[:1], epochs))
        together.append(timed(trainers, epochs))
    one, all_ = timing.spread(alone)["median_s"], timing.spread(together)["median_s"]
    return {
        "case": str(SMALL), "trainers": count, "alone_samples_s": rows * epochs / one,
        "together_samples_s": count * rows * epochs / all_, "efficiency": one / all_,
    }  # fmt: skip


def measure(
    threads: tuple[int, ...], seconds: float, report, peers: tuple[str, ...] = ()
) -> dict[str, Any]:
    versus.require(peers, systems.OF_STEP)
    most = max(threads)
    report(f"depths {DEPTHS}")
    depth = growth("layers", DEPTHS, most, seconds, peers)
    report(f"batches {BATCHES}")
    batch = growth("batch", BATCHES, most, seconds, peers)
    report(f"threads {threads}")
    over = over_threads(
        (BASE, Case(32, 256, 128, 0.05), Case(8, 1024, 128, 0.05)), threads, seconds
    )
    report(f"{most} concurrent trainers")
    return {"depth": depth, "batch": batch, "threads": over, "many": many_trainers(most, seconds)}
