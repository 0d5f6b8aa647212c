"""Fits and a grid search in fastsnn, scikit-learn and skorch: `fastsnn bench estimators`.

Each system runs in its own process, `python -m fastsnn.bench.estimators`. Sizes, epochs, batch
size, solver and learning rate are equal; all other parameters are each estimator's defaults. Early
stopping is off.
"""

from __future__ import annotations

import importlib.util
import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from . import child, show, timing

MODULE = "fastsnn.bench.estimators"
ROWS, TEST_ROWS, COLUMNS = 40_000, 4_000, 50
# The default network of MLPClassifier, one in between, and that of SNNClassifier.
FITS = (
    {"layers": 1, "width": 100, "batch_size": 200, "epochs": 5, "learning_rate": 1e-3},
    {"layers": 4, "width": 128, "batch_size": 128, "epochs": 5, "learning_rate": 1e-3},
    {"layers": 8, "width": 256, "batch_size": 128, "epochs": 2, "learning_rate": 1e-3},
)
GRID_SIZES = ((64,) * 4, (128,) * 4, (64,) * 8)
GRID_RATES = (3e-4, 1e-3, 2e-3, 4e-3)
GRID = {"configurations": len(GRID_SIZES) * len(GRID_RATES), "folds": 10, "batch_size": 32,
        "epochs": 20}  # fmt: skip
SYSTEMS = {"fastsnn": "fastsnn", "sklearn": "MLPClassifier", "skorch": "skorch"}


def installed() -> list[str]:
    """Return the names of the installed packages of the peers."""
    return [
        name for name, module in (("scikit-learn", "sklearn"), ("skorch", "skorch"))
        if importlib.util.find_spec(module) is not None
    ]  # fmt: skip


def table(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Return the rows of the printed table: seconds, speed-ups over each peer, accuracies."""
    names = [name for name in SYSTEMS if any(name in row["systems"] for row in rows)]
    peers = [name for name in names if name != "fastsnn"]
    made = [["work", *(SYSTEMS[name] for name in names),
             *(f"speed-up over {SYSTEMS[name]}" for name in peers), "accuracies"]]  # fmt: skip
    for row in rows:
        settings, systems = row["settings"], row["systems"]
        if "folds" in settings:
            work = (f"grid search, digits: {settings['configurations']} configurations, "
                    f"{settings['folds']} folds, {settings['epochs']} epochs")  # fmt: skip
        else:
            work = (f"fit: {settings['layers']} x {settings['width']}, batch "
                    f"{settings['batch_size']}, {settings['epochs']} epochs")  # fmt: skip
        made.append([
            work,
            *(show.duration(systems[n]["median_s"]) if n in systems else "-" for n in names),
            *(f"{row['speedups'][n]:.2f}" if n in systems else "-" for n in peers),
            " / ".join(f"{systems[n]['score']:.3f}" for n in names if n in systems),
        ])  # fmt: skip
    return made


def measure(threads: int, rounds: int, report: Callable[[str], None]) -> list[dict[str, Any]]:
    """Return a row for each work: seconds and score of each system, and ratios to fastsnn.

    skorch is left out if it is not installed.
    """
    rows = []
    fits = [name for name in SYSTEMS if name != "skorch" or "skorch" in installed()]
    for settings in (*FITS, GRID):
        names = [n for n in fits if n != "skorch"] if settings is GRID else fits
        taken: dict[str, list[float]] = {name: [] for name in names}
        scores = {}
        for number in range(rounds):
            for name in names:
                report(f"{settings}: {name}, round {number + 1} of {rounds}")
                request = {"settings": settings, "system": name, "threads": threads}
                found = child.run(MODULE, request, threads)
                taken[name].append(found["seconds"])
                scores[name] = found["score"]
        systems = {
            name: timing.spread(values) | {"score": scores[name]} for name, values in taken.items()
        }
        ours = systems["fastsnn"]["median_s"]
        speedups = {name: systems[name]["median_s"] / ours for name in names if name != "fastsnn"}
        rows.append({"settings": settings, "threads": threads, "systems": systems,
                     "speedups": speedups})  # fmt: skip
    return rows


def table_rows() -> tuple[np.ndarray, np.ndarray]:
    """Return features (n, COLUMNS) float32 and three classes (n,); the last TEST_ROWS are a test
    set.
    """
    from sklearn.datasets import make_classification

    x, y = make_classification(
        ROWS + TEST_ROWS, COLUMNS, n_informative=20, n_classes=3, n_clusters_per_class=4,
        random_state=0,
    )  # fmt: skip
    return x.astype(np.float32), y


def estimator(system: str, layers: int, width: int, batch_size: int, epochs: int,
              learning_rate: float) -> Any:  # fmt: skip
    """Return the unfitted estimator of a system, with standardized inputs."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if system == "fastsnn":
        import fastsnn as fs

        return fs.SNNClassifier(
            layers=layers, width=width, solver="adam", learning_rate_init=learning_rate,
            batch_size=batch_size, max_iter=epochs, random_state=0,
        )  # fmt: skip
    if system == "sklearn":
        from sklearn.neural_network import MLPClassifier

        network = MLPClassifier(
            (width,) * layers, solver="adam", learning_rate_init=learning_rate,
            batch_size=batch_size, max_iter=epochs, n_iter_no_change=epochs + 1, random_state=0,
        )  # fmt: skip
        return make_pipeline(StandardScaler(), network)
    import torch
    from skorch import NeuralNetClassifier

    torch.manual_seed(0)
    sizes = [COLUMNS] + [width] * layers
    hidden = [
        part for pair in pairwise(sizes)
        for part in (torch.nn.Linear(*pair), torch.nn.SELU())
    ]  # fmt: skip
    network = NeuralNetClassifier(
        torch.nn.Sequential(*hidden, torch.nn.Linear(width, 3)),
        criterion=torch.nn.CrossEntropyLoss, optimizer=torch.optim.Adam, lr=learning_rate,
        batch_size=batch_size, max_epochs=epochs, iterator_train__shuffle=True, train_split=None,
        verbose=0,
    )  # fmt: skip
    return make_pipeline(StandardScaler(), network)


def search(system: str, threads: int) -> Any:
    """Return the unfitted grid search of a system, which trains in `threads` processes."""
    from sklearn.model_selection import GridSearchCV

    first = estimator(system, 4, 64, GRID["batch_size"], GRID["epochs"], GRID_RATES[0])
    prefix = "" if system == "fastsnn" else "mlpclassifier__"
    grid = {
        f"{prefix}hidden_layer_sizes": list(GRID_SIZES),
        f"{prefix}learning_rate_init": list(GRID_RATES),
    }
    return GridSearchCV(first, grid, cv=GRID["folds"], n_jobs=threads)


def main() -> None:
    request = child.request()
    # MLPClassifier warns that it has not converged: the number of epochs is fixed.
    warnings.filterwarnings("ignore", category=UserWarning)
    settings = request["settings"]
    searched = "folds" in settings
    if searched:
        from sklearn.datasets import load_digits

        x, y = load_digits(return_X_y=True)
        made = search(request["system"], request["threads"])
    else:
        x, y = table_rows()
        x, y, test_x, test_y = x[:ROWS], y[:ROWS], x[ROWS:], y[ROWS:]
        made = estimator(request["system"], **settings)
    if request["system"] == "fastsnn":  # compile, which other programs do once
        estimator("fastsnn", **FITS[0] | {"epochs": 1}).fit(x[:256], y[:256])
    start = time.perf_counter()
    made.fit(x, y)
    seconds = time.perf_counter() - start
    score = made.best_score_ if searched else made.score(test_x, test_y)
    child.answer({"seconds": seconds, "score": float(score)})


if __name__ == "__main__":
    main()
