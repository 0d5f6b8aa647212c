"""Defaults of a training run that depend on the task, the rows, the depth and the optimizer.

They were measured with sgd; of another optimizer only `run_learning_rate` is known.
"""

from __future__ import annotations

from typing import Any

from fastsnn.optimizers import OPTIMIZERS

MEASURED = "sgd"  # the optimizer for which the rules of rates and decays were measured
# Fewer training rows than this are few: they want smaller batches and more epochs.
FEW_ROWS = 5000
BATCH_SIZE, BATCH_SIZE_FEW = 128, 32
EPOCHS, EPOCHS_FEW, EPOCHS_MOST = 22, 40, 400
STEPS_FEW = 1600  # number of steps, if that makes EPOCHS_FEW to EPOCHS_MOST epochs
# Learning rate of networks of up to LAYERS hidden layers, with few rows; that of sgd falls with the
# root of the depth beyond.
RATE_FEW, LAYERS = 0.01, 32
# Regression. SELU's slope is above 1 near 0, so each layer makes the function of the initial
# weights rougher: 32 layers cannot learn even a linear function from few rows; 4 layers can.
LAYERS_REGRESSION = 4
# The gradient of a squared error has no bound and grows with depth. These are half of the rates at
# which sgd diverges on rows 40 deviations out; such rows weigh more in smaller batches.
RATE_REGRESSION, RATE_REGRESSION_FEW, RATE_POWER = 0.01, 0.005, 2 / 3
# Weight decay of sgd for regression: this divided by the rows, like the weight of a prior.
DECAY_REGRESSION, DECAY_MOST = 10, 0.1
# Each layer adds the noise of its dropout, so rate x layers is bounded. Regression tolerates none:
# noise that hardly changes which class is largest is an error of a predicted number.
DROPOUT_OF_ALL, DROPOUT_MOST = 0.5, 0.05
# Few independent features make all rows move an output the same way, and so does a wide layer:
# above this times the features, up to FEATURES_FEW, x WIDTH / width, sgd diverges or nearly does.
RATE_OF_FEATURE, FEATURES_FEW, WIDTH = 0.001, 10, 256
# Epochs and validation fraction of the paper's searches.
SEARCH_EPOCHS, SEARCH_VALIDATION = 100, 0.15


def _rate(optimizer: str) -> float:
    rate: float = OPTIMIZERS[optimizer].run_learning_rate
    return rate


def _decay(optimizer: str) -> float:
    decay: float = getattr(OPTIMIZERS[optimizer], "weight_decay", 0.0)
    return decay


def _others() -> str:
    """ "adam, adamw: 0.0001": the learning rates of the other optimizers."""
    names: dict[float, list[str]] = {}
    for name in OPTIMIZERS:
        if name != MEASURED:
            names.setdefault(_rate(name), []).append(name)
    return "; ".join(f"{', '.join(of)}: {rate}" for rate, of in names.items())


# How these defaults read in a help text.
BY_RULE = {
    "layers": f"{LAYERS}; regression: {LAYERS_REGRESSION}",
    "dropout": f"{DROPOUT_OF_ALL} / layers, at most {DROPOUT_MOST}; 0 for regression and for other "
    "methods than snn",
    "epochs": f"{EPOCHS}; below {FEW_ROWS:,} rows {EPOCHS_FEW} to {EPOCHS_MOST}",
    "batch_size": f"{BATCH_SIZE}; below {FEW_ROWS:,} rows {BATCH_SIZE_FEW}",
    "learning_rate": f"{_rate(MEASURED)}, below {FEW_ROWS:,} rows {RATE_FEW}, less above {LAYERS} "
    f"layers; regression: {RATE_REGRESSION}, below {FEW_ROWS:,} rows {RATE_REGRESSION_FEW}, less "
    f"above {LAYERS_REGRESSION} layers or {WIDTH} units, and below {FEATURES_FEW} independent "
    f"features; {_others()}",
    "weight_decay": f"0; regression: {DECAY_REGRESSION} / rows, at most {DECAY_MOST}; "
    + "; ".join(f"{name}: {_decay(name):g}" for name in OPTIMIZERS if name != MEASURED),
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
    """A value for each option of `BY_RULE`.

    rows: of the training part. independent: number of independent features, see
    `fastsnn.runs.independent`; None: many. The others are options of the run; layers None: the
    default.
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
