"""What lies on an NVIDIA GPU: parameters and data sets; and launches that are prepared once.

Nothing of CUDA is imported before it is asked for.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import textwrap
from types import SimpleNamespace

import numpy as np

from fastsnn.engine.byterows import ByteRows
from fastsnn.engine.plan import device_plan


@functools.cache
def kernels():
    """The modules of the kernels. Raises RuntimeError, in one line, where there is no GPU or no
    package for it.
    """
    if importlib.util.find_spec("numba_cuda") is None:
        raise RuntimeError(
            "backend \"cuda\": the package numba-cuda is required; pip install '.[cuda13]', "
            "or '.[cuda12]' for a driver older than 580"
        )
    try:
        from fastsnn.kernels.cuda import (
            code,
            device,
            directions,
            dropout,
            job,
            program,
            tensor,
            weights,
        )

        device.import_compiler()
    except (ImportError, AttributeError) as problem:
        raise _import_failed(problem) from problem
    device.require()
    return SimpleNamespace(
        code=code, device=device, directions=directions, dropout=dropout, job=job, program=program,
        tensor=tensor, weights=weights,
    )  # fmt: skip


def _import_failed(problem):
    """numba-cuda names no bound of numpy, and uses what newer ones lack."""
    words = textwrap.shorten(str(problem), 70, placeholder=" ...")
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("numba-cuda", "numpy")]
    return RuntimeError(
        f'backend "cuda": {versions[0]} cannot be imported with {versions[1]} ({words}); '
        f"pip install 'numpy<2.5', or use backend \"cpu\""
    )


def describe() -> str:
    """The GPU in words, or why there is none."""
    try:
        device = kernels().device
    except RuntimeError as error:
        return str(error).removeprefix('backend "cuda": ')
    if device.SIMULATED:
        return "simulator"
    return f"{device.name()}, compute capability {'.'.join(map(str, device.architecture()))}"


class Launches:
    """What a program becomes: calls that are prepared once and repeated, from the second time on as
    one graph. What runs only once, as a last batch of its own size may, is not worth one.
    """

    def __init__(self):
        self._planned, self._calls, self._graph, self._runs = [], None, None, 0

    def __call__(self, kernel, grid, *arguments):
        self._planned.append((kernel, grid, arguments))

    @property
    def calls(self):
        """A call for each launch, in their order."""
        if self._calls is None:
            kernels().code.load([kernel for kernel, _, _ in self._planned])
            self._calls = [kernel.bound(grid, *given) for kernel, grid, given in self._planned]
        return self._calls

    @property
    def names(self):
        """Of the kernels of `calls`."""
        return [kernel.name for kernel, _, _ in self._planned]

    @property
    def is_graph(self):
        return self._graph is not None

    def run(self):
        device, calls = kernels().device, self.calls
        if self._runs == 1 and len(calls) > 1 and device.recording:
            self._graph = device.recorded(calls)
        self._runs += 1
        if self._graph is not None:
            self._graph()
            return
        for call in calls:
            call()


class DeviceParameters:
    """A network's parameters on the device: the copy that its `Parameters` know. Either side
    follows the other when it is needed.
    """

    def __init__(self, network):
        self.buffer = network.buffer
        self.array = kernels().device.zeros(network.layout.size)
        self.version = -1  # what the device holds
        self._derive = Launches()
        table = device_plan(network.nodes, network.layout, 1, training=False).table
        kernels().directions.derive_weights(self._derive, table, self.array)

    def ready(self):
        """The array, as new as the network."""
        version = self.buffer.version  # before: a write during the copy makes it an old one
        if self.version != version:
            kernels().device.write(self.array, 0, self.buffer.flat)
            self._derive.run()
            self.version = version
        return self.array

    def changed(self, updates):
        """The device has made updates."""
        self.version = self.buffer.updated(updates, since=self.version, ahead=self)

    def read(self, host):
        """Read all into the host's buffer."""
        kernels().device.read(self.array, host)


class Data:
    """What batches are taken from, in arrays that keep their places on the device: features, and
    labels, targets, sample weights, class weights.
    """

    def __init__(self, x, rest, rows):
        self.x, self.arrays = x, [kernels().device.to_device(array.reshape(-1)) for array in rest]
        self.kinds = self.weighted, self.class_weighted = [len(array) > 0 for array in rest[2:]]
        self.index = kernels().device.zeros(rows, dtype=np.int64)
        self.order = None  # what lies in the index

    def set_order(self, order):
        if order is not self.order:
            kernels().device.write(self.index, 0, order)
            self.order = order

    def fill(self, x, order, rest):
        """A batch of its own, in the first rows."""
        device = kernels().device
        device.write(self.x, 0, x.reshape(-1))
        for target, array in zip(self.arrays, rest, strict=True):
            if len(array):
                device.write(target, 0, array.reshape(-1))
        device.write(self.index, 0, order[: len(x)])


class Rows:
    """Rows that lie on the device, for many predictions; `host`: where they come from."""

    def __init__(self, host):
        self.host, self.x = host, features(host)
        self.index = kernels().device.to_device(np.arange(len(host)))

    def __len__(self):
        return len(self.host)


def features(x):
    """x (n, features) on the device, flat; of ByteRows a block at a time."""
    device = kernels().device
    if not isinstance(x, ByteRows):
        return device.to_device(x.reshape(-1))
    made, first = device.zeros(x.shape[0] * x.shape[1]), 0
    for block in x.blocks():
        device.write(made, first, block.reshape(-1))
        first += block.size
    return made


def room(array, rows):
    """Zeros of the type of an array, for so many rows of it; none for an empty one."""
    return np.zeros((rows if len(array) else 0, *array.shape[1:]), array.dtype)
