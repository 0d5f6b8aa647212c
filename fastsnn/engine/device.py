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

from fastsnn.engine.batch import Batch
from fastsnn.engine.byterows import ByteRows
from fastsnn.engine.graph import Node
from fastsnn.engine.parameters import Parameters
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
        code=code, device=device, directions=directions, dropout=dropout, job=job, passes=passes,
        program=program, tensor=tensor, weights=weights,
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
    """The parameters on the device: the copy that `Parameters` knows. Each side is brought up to
    date when it is used.
    """

    def __init__(self, nodes: tuple[Node, ...], parameters: Parameters):
        self.parameters = parameters
        self.array = kernels().device.zeros(parameters.layout.size)
        self.version = -1  # of the numbers on the device
        self._derive = Launches()
        table = device_plan(nodes, parameters.layout, 1, training=False).table
        kernels().directions.derive_weights(self._derive, table, self.array)

    def current(self):
        """As `Parameters.current`, the array on the device."""
        version = self.parameters.version  # before: a write during the copy makes it an old one
        if self.version != version:
            kernels().device.write(self.array, 0, self.parameters.current())
            self._derive.run()
            self.version = version
        return self.array

    def update(self, most, run, *given):
        """As `Parameters.update`."""
        try:
            result = run(self.current(), *given)
        except BaseException:
            self._updated(most)
            raise
        self._updated(len(result[0]))
        return result

    def _updated(self, updates):
        self.version = self.parameters.updated(updates, since=self.version, ahead=self)

    def read(self, host):
        """Read all into the host's buffer."""
        kernels().device.read(self.array, host)


def on_device(nodes: tuple[Node, ...], parameters: Parameters) -> DeviceParameters:
    """The copy of the parameters on the GPU, one for all engines. Raises RuntimeError, in one line,
    where there is no GPU, driver, package or memory.
    """
    return parameters.on_device(lambda: DeviceParameters(nodes, parameters))


class Data:
    """Arrays of batches that keep their places on the device: those of `like`, a `Batch`, with its
    features in `x`.
    """

    def __init__(self, x, like: Batch, rows: int):
        self.x = x
        self.arrays = [
            kernels().device.to_device(array.reshape(-1))
            for array in (like.labels, like.targets, like.sample_weight, like.class_weight)
        ]
        self.weighted, self.class_weighted = weighted_by(like)
        self.index = kernels().device.zeros(rows, dtype=np.int64)
        self.order = None  # the content of the index

    @classmethod
    def with_room(cls, like: Batch, rows: int) -> Data:
        """Arrays for batches like this one, of up to so many rows; `fill` writes them."""
        empty = like._replace(
            labels=_room(like.labels, rows),
            targets=_room(like.targets, rows),
            sample_weight=_room(like.sample_weight, rows),
        )
        return cls(kernels().device.zeros(rows * like.x.shape[1]), empty, rows)

    def set_order(self, order):
        if order is not self.order:
            kernels().device.write(self.index, 0, order)
            self.order = order

    def fill(self, batch: Batch):
        """Put a batch of its own into the first rows."""
        write = kernels().device.write
        write(self.x, 0, batch.x.reshape(-1))
        given = batch.labels, batch.targets, batch.sample_weight, batch.class_weight
        for target, array in zip(self.arrays, given, strict=True):
            if len(array):
                write(target, 0, array.reshape(-1))
        write(self.index, 0, batch.index[: len(batch.x)])


def weighted_by(batch: Batch) -> tuple[bool, bool]:
    """Whether samples, and whether classes, have weights of their own."""
    return len(batch.sample_weight) > 0, len(batch.class_weight) > 0


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


def _room(array, rows):
    """Zeros of the type of an array, for so many rows of it; none for an empty one."""
    return np.zeros((rows if len(array) else 0, *array.shape[1:]), array.dtype)
