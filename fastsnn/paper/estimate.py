"""Estimated time of training runs: weights times rows, at a measured speed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastsnn import methods
from fastsnn.optimizers import SGD
from fastsnn.paper.budgets import Grid
from fastsnn.paper.training import batch_size, build
from fastsnn.trainer import Trainer

PANEL = 32  # smallest number of rows that a step computes, with the widest vectors
LAYERS, WIDTH, ROWS = 4, 256, 256  # of the measured training
STEP_S = 2e-4  # seconds per step outside the matrix products: Python, masks, small layers
FORWARD = 0.4  # time of a forward pass as a fraction of a step


def weights(options: Mapping[str, Any], inputs: int, outputs: int) -> int:
    """Return the number of weights of a network, without biases and normalizations."""
    method: str = options["method"]
    layers: int = options["layers"]
    width: int = options["width"]
    if method == "highway":
        return width * (inputs + 2 * width * (layers - 1) + outputs)
    if method == "resnet":
        bottleneck: float = options.get("bottleneck", 0.5)
        inside = max(1, round(bottleneck * width))
        return width * (inputs + 2 * inside * layers + outputs)
    sizes = methods.widths(options.get("shape", "rectangular"), layers, width, outputs)
    sizes = [inputs, *sizes, outputs]
    return sum(a * b for a, b in zip(sizes, sizes[1:], strict=False))


class Speed:
    """Estimated seconds of a training run on one thread, by a short measurement of each method."""

    def __init__(self, chosen: tuple[str, ...]) -> None:
        self._seconds = {method: _measured(method) for method in chosen}  # per weight and row

    def seconds(
        self, options: Mapping[str, Any], inputs: int, outputs: int, rows: int, judged: int,
        grid: Grid,
    ) -> float:  # fmt: skip
        """Return the seconds of one training on `rows` rows, with `judged` validation rows."""
        rows = min(rows, grid.rows_per_epoch or rows)
        judged = min(judged, grid.validation_rows or judged)
        size = batch_size(rows, grid.batch)
        steps = -(-rows // size)
        computed = steps * PANEL * -(-size // PANEL)
        one = weights(options, inputs, outputs) * self._seconds[options["method"]]
        return grid.epochs * (steps * STEP_S + one * (computed + FORWARD * judged))

    def plain(self, options: Mapping[str, Any], weights: int, rows: float, judged: float) -> float:
        """Return the seconds of one epoch over `rows` rows in full batches, followed by the
        evaluation of `judged` rows.
        """
        return weights * self._seconds[options["method"]] * (rows + FORWARD * judged)


def _measured(method: str) -> float:
    """Return the training seconds per weight and row, with batches of one panel."""
    options = {"method": method, "layers": LAYERS, "width": WIDTH, "dropout": 0.05, "seed": 0}
    network = build(options, WIDTH, 8)
    trainer = Trainer(network, optimizer=SGD(1e-3), threads=1)
    generator = np.random.default_rng(0)
    x = generator.normal(size=(ROWS, WIDTH)).astype(np.float32)
    y = generator.integers(0, 8, ROWS)
    times = []
    for _ in range(4):  # the first one warms up
        start = time.perf_counter()
        trainer.fit(x, y, 1, PANEL)
        times.append(time.perf_counter() - start)
    return min(times[1:]) / ROWS / weights(options, WIDTH, 8)
