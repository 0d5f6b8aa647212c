"""Backends by name; the only module that imports all of them."""

from __future__ import annotations

from fastsnn.engine import cpu, cpu_predict
from fastsnn.engine.graph import Node
from fastsnn.engine.interface import PredictionEngine, TrainingEngine
from fastsnn.engine.parameters import Parameters

BACKENDS = ("cpu", "cuda")
PRECISIONS = ("float32", "tf32", "bf16")


def check(backend: str, precision: str, where: str) -> None:
    """Raise ValueError unless both names are known and the backend supports the precision."""
    if backend not in BACKENDS:
        raise ValueError(f"{where}: backend must be one of {', '.join(BACKENDS)}; got {backend!r}")
    if precision not in PRECISIONS:
        raise ValueError(
            f"{where}: precision must be one of {', '.join(PRECISIONS)}; got {precision!r}"
        )
    if precision != "float32" and backend != "cuda":
        raise ValueError(
            f'{where}: precision "{precision}" needs backend "cuda"; got backend "{backend}"'
        )


def require(backend: str) -> None:
    """Raise RuntimeError, with a message of one line, if this backend cannot be used."""
    if backend == "cuda":
        from fastsnn.engine import device

        device.kernels()


def training_engine(
    backend: str,
    nodes: tuple[Node, ...],
    parameters: Parameters,
    threads: int,
    n_state: int,
    precision: str,
) -> TrainingEngine:
    """Return the engine of a trainer whose optimizer has `n_state` arrays of state. Raises
    RuntimeError if the backend cannot be used.
    """
    if backend == "cuda":
        from fastsnn.engine import cuda

        return cuda.TrainingEngine(nodes, parameters, n_state, precision)
    return cpu.TrainingEngine(nodes, parameters, threads, n_state)


def prediction_engine(
    backend: str, nodes: tuple[Node, ...], parameters: Parameters
) -> PredictionEngine:
    """Return the prediction engine of a network. Raises RuntimeError if the backend cannot be
    used.
    """
    if backend == "cuda":
        from fastsnn.engine import cuda_predict

        return cuda_predict.PredictionEngine(nodes, parameters)
    return cpu_predict.PredictionEngine(nodes, parameters)
