"""Import of the CUDA kernels at first use, and lists of launches that are prepared once."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import textwrap
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

DeviceArray = Any  # a flat array in device memory; numba-cuda has no type for it


@functools.cache
def kernels() -> SimpleNamespace:
    """Import and return the modules of the CUDA kernels. Raises RuntimeError, with a message of one
    line, if no GPU is found or a package is missing.
    """
    if importlib.util.find_spec("numba_cuda") is None:
        raise RuntimeError(
            "backend \"cuda\": the package numba-cuda is required; pip install '.[cuda13]', "
            "or '.[cuda12]' for a driver older than 580"
        )
    try:
        from fastsnn.kernels.cuda import (
            arguments,
            code,
            device,
            directions,
            dropout,
            job,
            passes,
            program,
            tensor,
            weights,
        )

        device.import_compiler()
    except (ImportError, AttributeError) as problem:
        raise _import_failed(problem) from problem
    device.require()
    return SimpleNamespace(
        arguments=arguments, code=code, device=device, directions=directions, dropout=dropout,
        job=job, passes=passes, program=program, tensor=tensor, weights=weights,
    )  # fmt: skip


def _import_failed(problem: Exception) -> RuntimeError:
    """Return the error for a failed import. numba-cuda declares no upper bound for numpy, but uses
    names that newer versions have removed.
    """
    words = textwrap.shorten(str(problem), 70, placeholder=" ...")
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("numba-cuda", "numpy")]
    return RuntimeError(
        f'backend "cuda": {versions[0]} cannot be imported with {versions[1]} ({words}); '
        f"pip install 'numpy<2.5', or use backend \"cpu\""
    )


def describe() -> str:
    """Return the name and compute capability of the GPU, or the reason why none can be used."""
    try:
        device = kernels().device
    except RuntimeError as error:
        return str(error).removeprefix('backend "cuda": ')
    if device.SIMULATED:
        return "simulator"
    return f"{device.name()}, compute capability {'.'.join(map(str, device.architecture()))}"


class Launches:
    """A list of kernel launches that is prepared once and repeated. From the second run on it is
    one CUDA graph; a list that runs only once, such as for a last batch of a different size, does
    not repay the recording of a graph.
    """

    def __init__(self) -> None:
        self._planned: list[tuple[Any, Any, tuple[Any, ...]]] = []
        self._calls: list[Callable[[], None]] | None = None
        self._graph: Callable[[], None] | None = None
        self._runs = 0

    def __call__(self, kernel: Any, grid: Any, *arguments: Any) -> None:
        self._planned.append((kernel, grid, arguments))

    @property
    def calls(self) -> list[Callable[[], None]]:
        """One callable per launch, in order. The first use compiles or loads the kernels."""
        if self._calls is None:
            kernels().code.load([kernel for kernel, _, _ in self._planned])
            self._calls = [kernel.bound(grid, *given) for kernel, grid, given in self._planned]
        return self._calls

    @property
    def names(self) -> list[str]:
        """Names of the kernels, in the order of `calls`."""
        return [kernel.name for kernel, _, _ in self._planned]

    @property
    def is_graph(self) -> bool:
        return self._graph is not None

    def run(self) -> None:
        device, calls = kernels().device, self.calls
        if self._runs == 1 and len(calls) > 1 and device.recording:
            self._graph = device.recorded(calls)
        self._runs += 1
        if self._graph is not None:
            self._graph()
            return
        for call in calls:
            call()
