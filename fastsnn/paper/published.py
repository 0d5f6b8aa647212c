"""Published results of the paper (Klambauer et al. 2017, arXiv 1706.02515) and of the authors'
notebooks.
"""

from __future__ import annotations

import csv
from importlib import resources
from math import nan
from typing import Any

# Names in the paper's tables.
NAMES = {
    "snn": "SNN", "msra": "MSRAinit", "layernorm": "LayerNorm", "highway": "Highway",
    "resnet": "ResNet", "weightnorm": "WeightNorm", "batchnorm": "BatchNorm",
    "forest": "random forest", "svm": "SVM", "bayes": "naive Bayes", "tree": "decision tree",
}  # fmt: skip
COLUMNS = {
    "snn": "SNN", "msra": "MS", "layernorm": "LN", "highway": "HW", "resnet": "ResNet",
    "weightnorm": "WN", "batchnorm": "BN",
}  # fmt: skip

# Figure 1: training loss after 2000 epochs, read from the plots of the authors' notebook, accurate
# to about 15 %. {data: {method: {layers: loss}}}
FIG1_EPOCHS = 2000
FIG1 = {
    "mnist": {
        "snn": {8: 6e-5, 16: 1.6e-5, 32: 6.8e-6}, "batchnorm": {8: 2.2e-4, 16: 2.9e-4, 32: 5e-4},
    },
    "cifar10": {
        "snn": {8: 6e-5, 16: 1.9e-5, 32: 1e-5}, "batchnorm": {8: 1.7e-4, 16: 2.5e-4, 32: 1.6e-3},
    },
}  # fmt: skip

# UCI, left half of the table: average rank difference over 121 data sets, and p against the SNN.
UCI_RANKS = {
    "snn": -0.756, "msra": -0.240, "layernorm": -0.198, "highway": 0.021, "resnet": 0.273,
    "weightnorm": 0.397, "batchnorm": 0.504,
}  # fmt: skip
UCI_P = {
    "msra": 2.7e-2, "layernorm": 1.5e-2, "highway": 1.9e-3, "resnet": 5.4e-4,
    "weightnorm": 7.8e-7, "batchnorm": 3.5e-6,
}  # fmt: skip
UCI_DEPTH = {
    "snn": 10.8, "msra": 7.1, "layernorm": 7.0, "resnet": 6.35, "batchnorm": 6.0,
    "highway": 5.9, "weightnorm": 3.8,
}  # fmt: skip

# HTRU2: AUC and its standard deviation over ten folds, p against the SNN. C4.5 (tree): the paper's
# text says .949.
HTRU2 = {
    "snn": (0.9803, 0.010), "msra": (0.9791, 0.010), "weightnorm": (0.9786, 0.010),
    "highway": (0.9766, 0.009), "layernorm": (0.9762, 0.011), "batchnorm": (0.9760, 0.013),
    "resnet": (0.9753, 0.010), "bayes": (0.976, nan), "tree": (0.946, nan), "svm": (0.929, nan),
}  # fmt: skip
HTRU2_P = {
    "msra": 0.35, "weightnorm": 2.4e-2, "highway": 9.8e-3, "layernorm": 1.4e-2,
    "batchnorm": 6.5e-2, "resnet": 6.8e-3,
}  # fmt: skip

# Tox21: mean AUC over 12 tasks and its standard deviation over 5 repeats, in %, by number of layers
# (ResNet: blocks).
TOX21_DEPTHS = (2, 3, 4, 6, 8, 16, 32)
_TOX21 = """
snn 83.7 .3 84.4 .5 84.2 .4 83.9 .5 84.5 .2 83.5 .5 82.5 .7
batchnorm 80.0 .5 79.8 1.6 77.2 1.1 77.0 1.7 75.0 .9 73.7 2.0 76.0 1.1
weightnorm 83.7 .8 82.9 .8 82.2 .9 82.5 .6 81.9 1.2 78.1 1.3 56.6 2.6
layernorm 84.3 .3 84.3 .5 84.0 .2 82.5 .8 80.9 1.8 78.7 2.3 78.8 .8
highway 83.3 .9 83.0 .5 82.6 .9 82.4 .8 80.3 1.4 80.3 2.4 79.6 .8
msra 82.7 .4 81.6 .9 81.1 1.7 80.6 .6 80.9 1.1 80.2 1.1 80.4 1.9
resnet 82.2 1.1 80.0 2.0 80.5 1.2 81.2 .7 81.8 .6 81.2 .6
"""


def _tox21() -> dict[str, dict[int, tuple[float, float]]]:
    table = {}
    for line in _TOX21.strip().splitlines():
        method, *numbers = line.split()
        values = [round(float(number) / 100, 4) for number in numbers]
        pairs = zip(values[::2], values[1::2], strict=True)
        table[method] = dict(zip(TOX21_DEPTHS, pairs, strict=False))  # ResNet has no 32 blocks
    return table


TOX21 = _tox21()

# The PyTorch tutorial on MNIST: test accuracy, validation figures after epochs 1 and 20, seconds.
TUTORIAL: dict[str, dict[str, Any]] = {
    "selu": {
        "test_accuracy": 0.9204, "validation_loss": {1: 0.6669, 20: 0.2957},
        "validation_accuracy": {1: 0.8090, 20: 0.9124}, "seconds": 249,
    },
    "relu": {
        "test_accuracy": 0.9076, "validation_loss": {1: 2.1446, 20: 0.3584},
        "validation_accuracy": {1: 0.5421, 20: 0.8998}, "seconds": 257,
    },
}  # fmt: skip


def uci_accuracies() -> dict[str, dict[str, float]]:
    """Return table A11, {data set: {method: accuracy in [0, 1]}}; NaN if the paper gives none."""
    path = resources.files("fastsnn.paper") / "uci121_accuracy.csv"
    with path.open(encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    return {
        row["dataset"]: {
            method: nan if row[column] == "NA" else float(row[column])
            for method, column in COLUMNS.items()
        }
        for row in rows
    }
