"""Defaults of a training run that depend on task, rows, depth and optimizer.

The rules were measured with sgd. Other optimizers use their `run_learning_rate` and their class's
weight decay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastsnn.optimizers import OPTIMIZERS

MEASURED = "sgd"  # the optimizer for which the rules of rates and decays were measured
# Below this number of training rows, smaller batches and more epochs work better.
FEW_ROWS = 5000
BATCH_SIZE, BATCH_SIZE_FEW = 128, 32
EPOCHS, EPOCHS_FEW, EPOCHS_MOST = 22, 40, 400
STEPS_FEW = 1600  # steps of a run with few rows, clipped to EPOCHS_FEW .. EPOCHS_MOST epochs
# Learning rate with few rows and up to LAYERS hidden layers; above LAYERS that of sgd falls with
# the square root of the depth.
RATE_FEW, LAYERS = 0.01, 32
# Regression. SELU's slope is above 1 near 0, so each layer makes the function of the initial
# weights rougher: 32 layers fail to learn even a linear function from few rows; 4 layers succeed.
LAYERS_REGRESSION = 4
# The gradient of a squared error is unbounded and grows with depth. These are half of the rates at
# which sgd diverges on rows 40 standard deviations from the mean, which weigh more in smaller
# batches.
RATE_REGRESSION, RATE_REGRESSION_FEW, RATE_POWER = 0.01, 0.005, 2 / 3
# Weight decay of sgd for regression: DECAY_REGRESSION / rows, like the weight of a prior.
DECAY_REGRESSION, DECAY_MOST = 10, 0.1
# Each layer adds dropout noise, so rate x layers is bounded. Regression tolerates none: noise that
# rarely changes the largest class directly adds to the error of a predicted number.
DROPOUT_OF_ALL, DROPOUT_MOST = 0.5, 0.05
# With few independent features, or a wide layer, all rows move an output in the same direction.
# Above RATE_OF_FEATURE * features (at most FEATURES_FEW) * WIDTH / width, sgd is close to
# divergence.
RATE_OF_FEATURE, FEATURES_FEW, WIDTH = 0.001, 10, 256
# Epochs and validation fraction of the paper's searches.
SEARCH_EPOCHS, SEARCH_VALIDATION = 100, 0.15


def _rate(optimizer: str) -> float:
    rate: float = OPTIMIZERS[optimizer].run_learning_rate
    return rate


def _decay(optimizer: str) -> float:
    decay: float = getattr(OPTIMIZERS[optimizer], "weight_decay", 0.0)
    return decay


def _others(value: Callable[[str], float]) -> str:
    """Return a value of the optimizers other than MEASURED, such as "adam, adamw: 0.0001"."""
    names: dict[float, list[str]] = {}
    for name in OPTIMIZERS:
        if name != MEASURED:
            names.setdefault(value(name), []).append(name)
    texts = {number: f"{number:.9f}".rstrip("0").rstrip(".") for number in names}  # not 3e-05
    return "; ".join(f"{', '.join(names[number])}: {text}" for number, text in texts.items())


# Defaults as shown in help texts.
BY_RULE = {
    "layers": f"{LAYERS}; regression: {LAYERS_REGRESSION}",
    "dropout": f"{DROPOUT_OF_ALL} / layers, at most {DROPOUT_MOST}; 0 for regression and for "
    "methods other than snn",
    "epochs": f"{EPOCHS}; below {FEW_ROWS:,} training rows: {STEPS_FEW:,} updates, but at least "
    f"{EPOCHS_FEW} and at most {EPOCHS_MOST} epochs",
    "batch_size": f"{BATCH_SIZE}; below {FEW_ROWS:,} training rows: {BATCH_SIZE_FEW}",
    "learning_rate": f"{MEASURED}: {_rate(MEASURED)}, or {RATE_FEW} below {FEW_ROWS:,} training "
    f"rows, reduced above {LAYERS} layers; {MEASURED} for regression: {RATE_REGRESSION}, or "
    f"{RATE_REGRESSION_FEW} below {FEW_ROWS:,} training rows, reduced above {LAYERS_REGRESSION} "
    f"layers, above {WIDTH} units, and for fewer than {FEATURES_FEW} features or correlated ones; "
    f"{_others(_rate)}; the formulas are in docs/howto/training.md",
    "weight_decay": f"{MEASURED}: 0; {MEASURED} for regression: {DECAY_REGRESSION} / number of "
    f"training rows, at most {DECAY_MOST}; {_others(_decay)}",
}


def defaults(
    rows: int,
    task: str,
    independent: float | None = None,
    *,
    method: str,
    layers: int | None,
    width: int,
    optimizer: str,
) -> dict[str, Any]:
    """Return a value for each option of `BY_RULE`.

    Parameters
    ----------
    rows : number of training rows.
    task : "classification", "multitask" or "regression".
    independent : number of independent features, see `fastsnn.runs.independent`; None: at least
        FEATURES_FEW.
    method, layers, width, optimizer : options of the run; layers None: its default.
    """
    few, regression, measured = rows < FEW_ROWS, task == "regression", optimizer == MEASURED
    layers = layers or (LAYERS_REGRESSION if regression else LAYERS)
    steps = -(-STEPS_FEW * BATCH_SIZE_FEW // max(rows, 1))
    rate, decay = _rate(optimizer), _decay(optimizer)
    if measured:
        rate = (RATE_FEW if few else rate) * min(1.0, LAYERS / layers) ** 0.5
    if measured and regression:
        features = min(independent or FEATURES_FEW, FEATURES_FEW)
        most = RATE_OF_FEATURE * features * min(1.0, WIDTH / width)
        rate = min(RATE_REGRESSION_FEW if few else RATE_REGRESSION, most)
        rate *= min(1.0, LAYERS_REGRESSION / layers) ** RATE_POWER
        decay = min(DECAY_REGRESSION / max(rows, 1), DECAY_MOST)
    drops = method == "snn" and not regression
    return {
        "layers": layers,
        "dropout": min(DROPOUT_OF_ALL / layers, DROPOUT_MOST) if drops else 0.0,
        "epochs": min(max(steps, EPOCHS_FEW), EPOCHS_MOST) if few else EPOCHS,
        "batch_size": BATCH_SIZE_FEW if few else BATCH_SIZE,
        "learning_rate": rate,
        "weight_decay": decay,
    }
