"""fastsnn: deep self-normalizing networks (SELU, LeCun-normal weights, alpha-dropout; Klambauer et
al. 2017) on fused Numba kernels for CPU and CUDA.

::

    import fastsnn as fs

    net = fs.mlp(input_size=784, output_size=10, layers=32, width=256, dropout=0.01)
    trainer = fs.Trainer(net, optimizer=fs.SGD(learning_rate=0.01))
    history = trainer.fit(x, y, epochs=10, batch_size=128, validation_data=(x_val, y_val))
    net.save("model.safetensors")
"""

import typing as _typing
from importlib.util import find_spec as _find_spec
from pathlib import Path as _Path

if not (
    _Path(__file__).parent / "kernels"
).is_dir():  # a bare checkout: kernels/, bench/ and cli.py are in the root
    __path__.append(str(_Path(__file__).parents[1]))

# Layers, losses and optimizers are listed in their own module's `__all__` alone.
from fastsnn import layers, losses, optimizers, schedules
from fastsnn.callbacks import EarlyStopping
from fastsnn.checkpoint import load, load_model
from fastsnn.checkpoint import save_model as save_model  # deprecated
from fastsnn.deprecated import renamed as _renamed
from fastsnn.layers import *  # noqa: F403
from fastsnn.losses import *  # noqa: F403
from fastsnn.model import Model
from fastsnn.network import Network, mlp
from fastsnn.optimizers import *  # noqa: F403
from fastsnn.trainer import Trainer
from fastsnn.version import __version__

__all__ = [
    "EarlyStopping", "Model", "Network", "Trainer", "__version__", "load", "load_model", "mlp",
    "schedules", *layers.__all__, *losses.__all__, *optimizers.__all__,
]  # fmt: skip

_ESTIMATORS = ("SNNClassifier", "SNNRegressor")  # loaded at their first use

if _typing.TYPE_CHECKING:
    from fastsnn.estimators import SNNClassifier as SNNClassifier
    from fastsnn.estimators import SNNRegressor as SNNRegressor
else:  # type checkers report the old names

    def _estimator(name: str) -> _typing.Any:
        """Return an estimator. Raises AttributeError for another name."""
        if name not in _ESTIMATORS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if _find_spec("sklearn") is None:
            raise ImportError(
                f"fastsnn.{name} needs scikit-learn, which is not installed; "
                "pip install '.[sklearn]'"
            )
        from fastsnn import estimators

        return getattr(estimators, name)

    __getattr__ = _renamed(
        __name__,
        {old: f"fastsnn.schedules.{new}" for old, new in schedules.NAMES_0_1.items()},
        _estimator,
    )


def __dir__() -> list[str]:
    """Names for completion: the public interface and its modules, without deprecated names."""
    modules = ["callbacks", "data", "layers", "losses", "metrics", "optimizers", "theory"]
    return sorted([*__all__, *modules, *(_ESTIMATORS if _find_spec("sklearn") else ())])
