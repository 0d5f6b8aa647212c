"""The data and options with which fastsnn 0.1.0 wrote the files in tests/version_0_1/.

TASK.safetensors: the model of a run. TASK.npy: its predictions for `features()` in float32.
TASK-last.safetensors: the state of that run after 2 of its 4 epochs; TASK-end.safetensors: after
the last one. layers.safetensors: a regression with all kinds of layers and tensors.
"""

from pathlib import Path

import golden
import numpy as np

FOLDER = Path(__file__).parent / "version_0_1"
TASKS = ("classification", "regression")
TARGET = {"classification": "kind", "regression": "p,q"}
OPTIONS = {"layers": 2, "width": 8, "epochs": 4, "batch_size": 16, "threads": 1}
ROWS, FEATURES = 60, 4


def features() -> np.ndarray:
    """(60, 4) float64: no value is one of float32, and the second column has an offset."""
    x = golden.fixed_numbers(ROWS * FEATURES, 100).reshape(ROWS, FEATURES)
    return x * [1.0, 30.0, 1e-3, 250.0] + [0.1, 2000.3, 0.0, -7.7]


def write_data(folder: Path, task: str) -> Path:
    """The table that the runs were trained on."""
    x = features()
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    if task == "classification":
        names, targets = ["kind"], [[("low", "high")[row]] for row in (z[:, 0] > z[:, 1]) * 1]
    else:
        names = ["p", "q"]
        targets = [[f"{a:.7f}", f"{b:.7f}"] for a, b in z[:, :2] * [3.3, 0.01] + [100.7, -0.3]]
    path = folder / f"{task}.csv"
    lines = [",".join([*"abcd", *names])]
    lines += [
        ",".join([*map(repr, row), *more]) for row, more in zip(x.tolist(), targets, strict=True)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path
