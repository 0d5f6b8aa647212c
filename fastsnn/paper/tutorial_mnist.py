"""The authors' PyTorch tutorial on MNIST: 784-512-256-10, SELU and ReLU.

The setting is that of the notebook: SGD with learning rate 1e-3, dropout 0.05, mini-batches of 128
without the last, smaller one, pixels standardized as (pixel - 0.1307) / 0.3081, and its split into
50,000 training and 10,000 validation rows. After 20 epochs the network with the best validation
accuracy is evaluated on the test images. The ReLU network is initialized like PyTorch's Linear:
weights and biases are uniform in [-1 / sqrt(fan-in), 1 / sqrt(fan-in)].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastsnn import data, metrics
from fastsnn.data.standardize import Standardizer
from fastsnn.engine.byterows import ByteRows
from fastsnn.engine.epoch import shuffled
from fastsnn.layers import SELU, AlphaDropout, Dense, Dropout, ReLU
from fastsnn.network import Network
from fastsnn.optimizers import SGD
from fastsnn.paper import published
from fastsnn.paper.budgets import instead
from fastsnn.search import ModelSelection, Trial, search
from fastsnn.search.workers import Report, TrialFunction
from fastsnn.selection import BestWeights, improves
from fastsnn.trainer import Trainer

BATCH, RATE, DROPOUT, HIDDEN = 128, 1e-3, 0.05, (512, 256)
MEAN, DEVIATION = 0.1307, 0.3081  # of pixels in [0, 1]
NETWORKS = ("selu", "relu")
TUTORIAL_EPOCHS = 20


class Images:
    """MNIST with the notebook's standardization and split."""

    def __init__(self) -> None:
        table = data.read_named("mnist")
        train, test = table.train, table.test
        assert test is not None  # MNIST has one
        n, features = train.features.shape
        held = np.random.default_rng(42).choice(np.arange(n), size=n // 6, replace=False)
        rows = np.delete(np.arange(n), held)
        inputs = Standardizer(
            np.full(features, 255 * MEAN, np.float32),
            np.full(features, 255 * DEVIATION, np.float32),
        )
        self.train = ByteRows(train.features, inputs, rows), train.y[rows]
        self.held = ByteRows(train.features, inputs, held), train.y[held]
        self.test = ByteRows(test.features, inputs), test.y
        self.classes = len(table.class_names or ())


def network(kind: str, inputs: int, outputs: int, seed: int) -> Network:
    """Return the initialized network; kind: "selu" or "relu"."""
    activation, dropout = (SELU(), AlphaDropout) if kind == "selu" else (ReLU(), Dropout)
    layers = [layer for units in HIDDEN for layer in (Dense(units), activation, dropout(DROPOUT))]
    net = Network([*layers, Dense(outputs)], inputs, seed)
    if kind == "relu":
        generator = np.random.Generator(np.random.Philox(key=seed))
        start = net.state_dict()
        for name, tensor in start.items():
            weight = start[f"{name.split('.')[0]}.weight"]
            bound = weight.shape[1] ** -0.5
            start[name] = generator.uniform(-bound, bound, tensor.shape).astype(np.float32)
        net.load_state_dict(start)
    return net


def trial(images: Images, epochs: int) -> TrialFunction:
    """Return the trial function of `fastsnn.search`.

    Its options name the network and the seed. Its result has the metrics of each epoch, and the
    test accuracy of the network of the best epoch.
    """
    x, y = images.train

    def run(options: Mapping[str, Any], report: Report) -> dict[str, Any]:
        seed = options["seed"]
        net = network(options["network"], x.shape[1], images.classes, seed)
        trainer = Trainer(net, optimizer=SGD(RATE), threads=1, seed=seed)
        rows = np.empty((BATCH, x.shape[1]), np.float32)
        history, best, weights = [], -1.0, BestWeights()
        for epoch in range(epochs):
            order, losses = shuffled(len(y), seed, epoch), []
            for n in range(len(y) // BATCH):
                batch = order[n * BATCH : (n + 1) * BATCH]
                losses.append(trainer.step(x.take(batch, rows), y[batch]))
            record = {"epoch": epoch + 1, "train_loss": float(np.mean(losses))}
            found = _judged(net, *images.held)
            history.append(record | {f"validation_{name}": v for name, v in found.items()})
            report((epoch + 1) / epochs)
            if improves("validation_accuracy", found["accuracy"], best):
                best, chosen = found["accuracy"], epoch + 1
                weights.keep(net.buffer)
        weights.restore(net.buffer)
        test = _judged(net, *images.test)
        return {"score": best, "epoch": chosen, "test": test["accuracy"], "history": history}

    return run


def _judged(net: Network, x: ByteRows, y: np.ndarray) -> dict[str, float]:
    return metrics.evaluate("classification", net.forward(x, threads=1), y, names=["accuracy"])


def run(
    images: Images, networks: Sequence[str], seeds: Sequence[int], epochs: int, **more: Any
) -> list[Trial]:
    """Train all networks with all seeds; `more`: other arguments of `fastsnn.search.search`."""
    options = [{"network": kind, "seed": seed} for kind in networks for seed in seeds]
    about = {"experiment": "tutorial-mnist", "epochs": epochs}
    return search(
        trial(images, epochs), options, protocol=ModelSelection(epochs=epochs), about=about, **more
    ).trials


def summary(trials: Sequence[Trial], epochs: int) -> dict[str, Any]:
    """Return the stored result: one row per network, and the training runs."""
    rows = []
    for kind in dict.fromkeys(one.options["network"] for one in trials):
        own = [one for one in trials if one.options["network"] == kind]
        paper = published.TUTORIAL[kind]
        accuracy = float(np.mean([one.figures["test"] for one in own]))
        row = {"network": kind, "seeds": len(own), "test_accuracy": accuracy,
               "paper": paper["test_accuracy"], "difference": accuracy - paper["test_accuracy"],
               "seconds": float(np.mean([one.seconds for one in own])),
               "paper_seconds": paper["seconds"]}  # fmt: skip
        for epoch in (1, 20):
            for name in ("validation_loss", "validation_accuracy"):
                found = [
                    record[name] for one in own for record in one.figures["history"]
                    if record["epoch"] == epoch
                ]  # fmt: skip
                row[f"{name}_{epoch}"] = float(np.mean(found)) if found else None
                row[f"paper_{name}_{epoch}"] = paper[name][epoch]
        rows.append(row)
    runs = [
        one.options | {"test": one.figures["test"], "best_epoch": one.figures["epoch"]}
        | {"seconds": one.seconds, "history": one.figures["history"]}
        for one in trials
    ]  # fmt: skip
    lines = [instead("epoch", epochs, TUTORIAL_EPOCHS)]
    return {
        "networks": rows, "left_out": lines[: epochs < TUTORIAL_EPOCHS], "runs": runs,
        "notes": ["each network is trained on one thread"],
    }  # fmt: skip
