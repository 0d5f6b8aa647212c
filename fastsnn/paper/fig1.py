"""Figure 1: training loss of SNNs and of networks with batch normalization, 8, 16 and 32 layers.

The setting is that of the authors' code: SGD without momentum, learning rate 1e-5 on the gradient
summed over a mini-batch of 128 (128e-5 on the gradient of the mean), no dropout, no weight decay,
inputs standardized per feature on the training rows, hidden layers as wide as the input, biases
initialized to 0, batch normalization after the ReLU with TensorFlow's constants, and a
Glorot-uniform output layer. Rows are shuffled in each epoch; the last, smaller batch is dropped.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from fastsnn import checkpoint, data, methods
from fastsnn.data.split import split
from fastsnn.data.standardize import Standardizer
from fastsnn.engine.byterows import ByteRows
from fastsnn.engine.epoch import shuffled
from fastsnn.layers import BatchNorm, Dense
from fastsnn.model import Model
from fastsnn.network import Network
from fastsnn.optimizers import SGD
from fastsnn.paper import published
from fastsnn.paper.budgets import instead
from fastsnn.paper.progress import OfCurves
from fastsnn.trainer import Trainer

BATCH, RATE = 128, 128e-5
METHODS = ("snn", "batchnorm")
TENSORFLOW = BatchNorm(eps=1e-3, momentum=0.01)  # defaults of tf.layers.batch_normalization
NOTES = [
    "the loss of an epoch is the mean of the training-mode losses of its steps, each taken before "
    "the update; the paper plots the training-mode loss of the whole training set at the start of "
    "each epoch (whole_set_loss is that loss after the last epoch)"
]


class Images:
    """Training and validation rows of "mnist" or "cifar10", stored as bytes.

    MNIST: a random 5/6 and 1/6 of the training images. CIFAR-10: batches 1 to 4 and batch 5. Rows
    are standardized when a mini-batch takes them.

    Attributes
    ----------
    x, held_x : (rows, features) inputs for training and validation.
    y, held_y : (rows,) integer labels.
    """

    def __init__(self, name: str, seed: int = 0) -> None:
        table = data.read_named(name)
        x, self.name, self.note = table.train.features, name, table.note
        if name == "cifar10":
            rows, held = np.arange(40_000), np.arange(40_000, 50_000)
        else:
            rows, held = split(len(x), 1 / 6, seed)
        self.inputs = Standardizer.fit(x, "feature", rows)
        self.x, self.y = ByteRows(x, self.inputs, rows), table.train.y[rows]
        self.held_x, self.held_y = ByteRows(x, self.inputs, held), table.train.y[held]
        self.classes = table.class_names or ()


def network(method: str, layers: int, inputs: int, classes: int, seed: int) -> Network:
    """Return the initialized network of a method, with `inputs` units per hidden layer."""
    hidden = [TENSORFLOW if isinstance(layer, BatchNorm) else layer
              for _ in range(layers) for layer in methods.HIDDEN[method](inputs, 0.0)]  # fmt: skip
    return Network([*hidden, Dense(classes, "glorot_uniform")], inputs, seed)


class Curve:
    """A resumable training; its state is written to disk after each epoch."""

    def __init__(
        self, images: Images, method: str, layers: int, seed: int, folder: Path, threads: int
    ) -> None:
        self.images, self.method, self.layers, self.seed = images, method, layers, seed
        self.file = folder / f"{method}-{layers}-seed{seed}.safetensors"
        net = network(method, layers, images.x.shape[1], len(images.classes), seed)
        self.model = Model(net, "classification", images.inputs, None, images.classes)
        self.history: list[dict[str, Any]] = []
        stored, state = self._stored(), None
        if stored is not None:
            self.model, state, self.history, _ = stored
        self.trainer = self._trainer(self.model.network, RATE, threads)
        if state is not None:
            self.trainer.load_state_dict(*state)
        self.batches = len(images.y) // BATCH
        self._rows = np.empty((BATCH, images.x.shape[1]), np.float32)

    def _stored(self) -> tuple[Model, Any, list[dict[str, Any]], Any] | None:
        if not self.file.exists():
            return None
        model, state, history, config = checkpoint.load_training(self.file)
        mean = model.inputs.mean
        if model.network.layers != self.model.network.layers or not np.array_equal(
            mean, self.images.inputs.mean
        ):
            raise ValueError(
                f"{self.file}: it belongs to another network or data set; choose another --work"
            )
        return model, state, history, config

    def _trainer(self, net: Network, rate: float, threads: int) -> Trainer:
        return Trainer(net, "softmax_cross_entropy", SGD(rate), threads, self.seed)

    def _step(self, trainer: Trainer, rows: np.ndarray) -> float:
        loss: float = trainer.step(self.images.x.take(rows, self._rows), self.images.y[rows])
        return loss

    def epoch(self, after_batch: Callable[[], None]) -> None:
        """Train one epoch, then write the state; `after_batch` is called after each step."""
        start, total = time.perf_counter(), 0.0
        order = shuffled(len(self.images.y), self.seed, len(self.history))
        for n in range(self.batches):
            total += self._step(self.trainer, order[n * BATCH : (n + 1) * BATCH])
            after_batch()
        seconds = time.perf_counter() - start
        record = {"loss": total / self.batches, "seconds": seconds}
        self.history.append({"epoch": len(self.history) + 1, **record})
        checkpoint.save_training(self.file, self.model, self.trainer, self.history, {})

    def whole_set_loss(self) -> float:
        """Return the mean training-mode loss of the whole training set, which the paper plots.

        The network does not change: a copy of it is trained with learning rate 0.
        """
        net = Network(self.model.network.layers, self.model.network.input_size)
        net.load_state_dict(self.model.network.state_dict())
        trainer = self._trainer(net, 0.0, self.trainer.threads)
        rows = np.arange(self.batches * BATCH).reshape(self.batches, BATCH)
        return float(np.mean([self._step(trainer, batch) for batch in rows]))

    def result(self, judged: bool = False) -> dict[str, Any]:
        """Return the row of this training; judged: with validation accuracy and whole-set loss."""
        losses = [record["loss"] for record in self.history]
        found = {
            "method": self.method, "layers": self.layers, "seed": self.seed, "epochs": len(losses),
            "loss": losses[-1] if losses else None,
            "published": published.FIG1[self.images.name].get(self.method, {}).get(self.layers),
            "seconds": sum(record["seconds"] for record in self.history),
        }  # fmt: skip
        if judged:
            z = self.model.network.forward(self.images.held_x, threads=self.trainer.threads)
            found["validation_accuracy"] = float((z.argmax(axis=1) == self.images.held_y).mean())
            found["whole_set_loss"] = self.whole_set_loss()
        return {**found, "losses": losses}


def run(
    images: Images,
    methods: Sequence[str],
    layers: Sequence[int],
    seeds: Sequence[int],
    epochs: int,
    folder: Path,
    shown: OfCurves,
    keep: Callable[[list[dict[str, Any]]], object],
    processors: int,
) -> list[dict[str, Any]]:
    """Train all networks, alternating after each epoch; return a result row for each.

    All networks have then finished the same number of epochs whenever the run is interrupted.
    `keep` is called with all rows after each round. Up to `processors` networks train concurrently,
    which needs no barriers between threads and gives bit-identical results.
    """
    at_once = min(processors, len(methods) * len(layers) * len(seeds))
    curves = [Curve(images, m, d, s, folder, processors // at_once)
              for s in seeds for d in sorted(layers, reverse=True) for m in methods]  # fmt: skip
    shown.begin({c: c.model.network.n_parameters for c in curves}, epochs, at_once)

    stop = threading.Event()

    def turn(curve: Curve) -> None:
        def after_batch() -> None:
            if stop.is_set():
                raise KeyboardInterrupt
            shown.batch(curve)

        shown.training(curve)
        curve.epoch(after_batch)
        shown.epoch(curve)

    with ThreadPoolExecutor(at_once) as pool:
        while waiting := [c for c in curves if len(c.history) < epochs]:
            least = min(len(c.history) for c in waiting)
            turns = [pool.submit(turn, c) for c in waiting if len(c.history) == least]
            try:
                for one in turns:
                    one.result()
            except BaseException:
                stop.set()  # an epoch can take minutes: stop after the current step
                pool.shutdown(cancel_futures=True)
                raise
            keep([curve.result() for curve in curves])
        return list(pool.map(lambda curve: curve.result(judged=True), curves))


def statements(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return lines that check the paper's claims on figure 1.

    The claims: SNNs have a lower loss than batch normalization at each depth, and deeper SNNs a
    lower loss than shallower ones.
    """
    lines = []
    losses: dict[tuple[str, int], list[list[float]]] = {}
    for row in rows:
        losses.setdefault((row["method"], row["layers"]), []).append(row["losses"])
    mean: dict[tuple[str, int], np.ndarray] = {
        key: np.mean(_equally_long(found), axis=0) for key, found in losses.items()
    }
    depths = sorted({layers for _, layers in mean})
    for layers in depths:
        if {("snn", layers), ("batchnorm", layers)} <= mean.keys():
            snn, norm = _equally_long([mean["snn", layers], mean["batchnorm", layers]])
            below = snn < norm
            lines.append(
                f"{layers} layers, epoch {len(snn)}: SNN loss {snn[-1]:.3g}, "
                f"{'below' if below[-1] else 'NOT below'} batch normalization with "
                f"{norm[-1]:.3g}; below in {below.sum()} of {len(below)} epochs"
            )
    for shallow, deep in zip(depths, depths[1:], strict=False):
        if {("snn", shallow), ("snn", deep)} <= mean.keys():
            first, second = _equally_long([mean["snn", shallow], mean["snn", deep]])
            ahead = second < first
            since = len(ahead) - int(np.argmin(ahead[::-1])) if not ahead.all() else 0
            when = f"ahead from epoch {since + 1} on" if ahead[-1] else "NOT ahead"
            lines.append(
                f"SNN, epoch {len(ahead)}: loss {second[-1]:.3g} with {deep} layers, "
                f"{first[-1]:.3g} with {shallow} layers; the deeper network is {when}"
            )
    return lines


def _equally_long(curves: Sequence[Sequence[float] | np.ndarray]) -> np.ndarray:
    shortest = min(map(len, curves))
    return np.array([curve[:shortest] for curve in curves])


def left_out(name: str, methods: Sequence[str], layers: Sequence[int], epochs: int) -> list[str]:
    """Return the deviations from the paper's figure 1, one line each."""
    found = published.FIG1[name]
    lines = []
    if epochs < published.FIG1_EPOCHS:
        lines.append(instead("epoch", epochs, published.FIG1_EPOCHS))
    if missing := [published.NAMES[one] for one in found if one not in methods]:
        lines.append(f"no {', '.join(missing)} networks")
    if absent := [str(one) for one in found["snn"] if one not in layers]:
        lines.append(f"no networks with {', '.join(absent)} hidden layers")
    return lines
