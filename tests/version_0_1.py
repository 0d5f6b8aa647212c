"""The data and options with which fastsnn 0.1.0 wrote the files in tests/version_0_1/.

TASK.safetensors: the model of a run. TASK.npy: its predictions for `features()` in float32.
TASK-last.safetensors: the state of that run after 2 of its 4 epochs; TASK-end.safetensors: after
the last one. layers.safetensors: a regression with all kinds of layers and tensors.
RUN-last.safetensors, RUN-end.safetensors: the states of each of `RUNS` after half of its epochs and
after the last one, already with a standardization in float64. runs.npz: by RUN, the predictions of
the model in RUN-end.safetensors.
"""

from pathlib import Path

import golden
import numpy as np

FOLDER = Path(__file__).parent / "version_0_1"
TASKS = ("classification", "regression")
TARGET = {"classification": "kind", "regression": "p,q", "multitask": "p,q"}
OPTIONS = {"layers": 2, "width": 8, "epochs": 4, "batch_size": 16, "threads": 1}
ROWS, FEATURES = 60, 4


def _run(task, optimizer, schedule, **options):
    return task, OPTIONS | {"optimizer": optimizer, "schedule": schedule, "dropout": 0.1} | options


# Every method, optimizer and schedule of 0.1: (task, options of the run). Plateau needs more epochs
# without progress than its patience of 5 to lower the rate.
RUNS = {
    "snn": _run("classification", "sgd", "cosine", learning_rate=0.05, weight_decay=0.01),
    "msra": _run("regression", "sgd", "step", momentum=0.9),
    "batchnorm": _run("classification", "adam", "plateau", epochs=14, learning_rate=0.5),
    "layernorm": _run("multitask", "adamw", "cosine", learning_rate=0.01),
    "weightnorm": _run("regression", "sgd", "plateau", momentum=0.5, epochs=16, learning_rate=0.4),
    "highway": _run("multitask", "adam", "step", learning_rate=0.01, weight_decay=0.1),
    "resnet": _run("classification", "adamw", "constant", learning_rate=0.01, bottleneck=0.3),
}


def features() -> np.ndarray:
    """Return (60, 4) float64 features: none is representable in float32; the second has an
    offset.
    """
    x = golden.fixed_numbers(ROWS * FEATURES, 100).reshape(ROWS, FEATURES)
    return x * [1.0, 30.0, 1e-3, 250.0] + [0.1, 2000.3, 0.0, -7.7]


def write_data(folder: Path, task: str) -> Path:
    """Write the table of the runs."""
    x = features()
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    if task == "classification":
        names, targets = ["kind"], [[("low", "high")[row]] for row in (z[:, 0] > z[:, 1]) * 1]
    elif task == "multitask":
        names = ["p", "q"]
        labels = (z[:, :2] > z[:, 2:]).astype(int).tolist()
        targets = [[str(p), "" if i % 9 == 4 else str(q)] for i, (p, q) in enumerate(labels)]
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
