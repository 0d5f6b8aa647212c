"""One optimizer for each update of fastsnn, for tests of what all of them have in common.

To add one: a line in EACH, and one in each of cases.py, layer_cases.py and test_torch.py.
"""

import fastsnn as fs

# name: (class, in fastsnn and in the oracle; arguments)
EACH = {
    "sgd": ("SGD", {"learning_rate": 0.1, "weight_decay": 0.01}),
    "momentum": ("SGD", {"learning_rate": 0.1, "momentum": 0.9}),
    "nesterov": ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}),
    "adam": ("Adam", {"learning_rate": 0.01}),
    "adamw": ("AdamW", {"learning_rate": 0.01, "weight_decay": 0.5}),
    "rmsprop": ("RMSprop", {"learning_rate": 1e-3}),
    "rmsprop_momentum": ("RMSprop", {"learning_rate": 1e-3, "momentum": 0.9}),
    "nadam": ("NAdam", {"learning_rate": 1e-3}),
    "lion": ("Lion", {"learning_rate": 1e-3, "weight_decay": 0.5}),
}
OPTIMIZERS = {name: getattr(fs, kind)(**options) for name, (kind, options) in EACH.items()}
