"""Time of the parts of a step, called one after another on one thread."""

from __future__ import annotations

import statistics
import time
from typing import Any

from fastsnn import optimizers

from . import peak
from .bed import Bed
from .case import Case


def measure(cases: tuple[Case, ...], seconds: float, report) -> list[dict[str, Any]]:
    """Return a row for each case: seconds of each part, and of the multiply-adds alone at peak
    speed.
    """
    rows = []
    for case in cases:
        report(f"{case}: parts of a step")
        rows.append({"case": str(case), **_parts(case, seconds)})
    return rows


def _parts(case, seconds):
    bed = Bed(case.width, case.batch, case.rate, layers=case.layers, inputs=case.inputs)
    plain = Bed(case.width, case.batch, 0.0, layers=case.layers, inputs=case.inputs)
    rule = optimizers.SGD(0.0)
    stages = bed.layers + 1
    # In the order of a step: each part reads the data that the previous one left in the caches.
    sequence = {
        "rows to panels": lambda: bed.forward(0, 1),
        "forward": lambda: bed.forward(1, stages),
        "loss": lambda: bed.backward(0, 1),
        "input gradients": lambda: bed.backward(1, bed.layers),
        "weight gradients + SGD": lambda: bed.weights(rule._update, rule._hyper(0.0, 0)),
        # The same forward pass with less fused into it, for the differences.
        "without dropout": lambda: plain.forward(1, stages),
        "without transposed copies": lambda: plain.forward(1, stages, training=0),
    }
    taken: dict[str, list[float]] = {name: [] for name in sequence}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(taken["loss"]) < 5:
        for name, call in sequence.items():
            start = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - start)
    found = {name: statistics.median(values) for name, values in taken.items()}
    forward, plain_s = found.pop("forward"), found.pop("without dropout")
    products = found.pop("without transposed copies")
    found = {
        "rows to panels": found.pop("rows to panels"),
        "forward: products + SELU": products,
        "forward: transposed copies": plain_s - products,
        "forward: masks, dropout": forward - plain_s,
        **found,
    }
    return {
        "parts": found,
        "sum_s": sum(found.values()),
        "at_peak_s": case.step_flops() / peak.peak_gflops(1) / 1e9,
    }
