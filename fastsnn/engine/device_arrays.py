"""Arrays on an NVIDIA GPU: parameters, batches and rows to predict."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastsnn.engine.batch import Batch
from fastsnn.engine.byterows import ByteRows
from fastsnn.engine.device import DeviceArray, Launches, kernels
from fastsnn.engine.graph import Node
from fastsnn.engine.parameters import Parameters
from fastsnn.engine.plan import device_plan


class DeviceParameters:
    """The copy of the parameters on the device, see `Parameters._on_device`. Each side is brought
    up to date when it is used.
    """

    def __init__(self, nodes: tuple[Node, ...], parameters: Parameters):
        self.parameters = parameters
        self.array = kernels().device.zeros(parameters.layout.size)
        self.version = -1  # of the numbers on the device
        self._derive = Launches()
        table = device_plan(nodes, parameters.layout, 1, training=False).table
        kernels().directions.derive_weights(self._derive, table, self.array)

    def current(self) -> DeviceArray:
        """The array on the device, brought up to date; see `Parameters.current`."""
        version = self.parameters.version  # before: a write during the copy makes it an old one
        if self.version != version:
            kernels().device.write(self.array, 0, self.parameters.current())
            self._derive.run()
            self.version = version
        return self.array

    def update(
        self, most: int, run: Callable[[DeviceArray], tuple[list[float], bool]]
    ) -> tuple[list[float], bool]:
        """Return `run(array)`, which updates the array, and count its updates; see
        `Parameters.update`.
        """
        try:
            result = run(self.current())
        except BaseException:
            self._updated(most)
            raise
        self._updated(len(result[0]))
        return result

    def _updated(self, updates: int) -> None:
        self.version = self.parameters.updated(updates, since=self.version, ahead=self)

    def read(self, host: np.ndarray) -> None:
        """Read all into the host's buffer."""
        kernels().device.read(self.array, host)


def on_device(nodes: tuple[Node, ...], parameters: Parameters) -> DeviceParameters:
    """The copy of the parameters on the GPU, one for all engines. Raises RuntimeError, in one line,
    where there is no GPU, driver, package or memory.
    """
    return parameters._on_device(lambda: DeviceParameters(nodes, parameters))


class Data:
    """Arrays of batches that keep their places on the device: those of `like`, a `Batch`, with its
    features in `x`.
    """

    def __init__(self, x: DeviceArray, like: Batch, rows: int):
        self.x = x
        self.arrays = [
            kernels().device.to_device(array.reshape(-1))
            for array in (like.labels, like.targets, like.sample_weight, like.class_weight)
        ]
        self.weighted, self.class_weighted = weighted_by(like)
        self.index = kernels().device.zeros(rows, dtype=np.int64)
        self.order: np.ndarray | None = None  # the content of the index

    @classmethod
    def with_room(cls, like: Batch, rows: int) -> Data:
        """Arrays for batches like this one, of up to `rows` rows; `fill` writes them."""
        empty = like._replace(
            labels=_room(like.labels, rows),
            targets=_room(like.targets, rows),
            sample_weight=_room(like.sample_weight, rows),
        )
        return cls(kernels().device.zeros(rows * like.x.shape[1]), empty, rows)

    def set_order(self, order: np.ndarray) -> None:
        """Write the order of an epoch into the index, unless it is the present one."""
        if order is not self.order:
            kernels().device.write(self.index, 0, order)
            self.order = order

    def fill(self, batch: Batch) -> None:
        """Put a batch of its own into the first rows."""
        write = kernels().device.write
        write(self.x, 0, batch.x.reshape(-1))
        given = batch.labels, batch.targets, batch.sample_weight, batch.class_weight
        for target, array in zip(self.arrays, given, strict=True):
            if len(array):
                write(target, 0, array.reshape(-1))
        write(self.index, 0, batch.index[: len(batch.x)])


def weighted_by(batch: Batch) -> tuple[bool, bool]:
    """(True if samples have weights of their own, True if classes have)"""
    return len(batch.sample_weight) > 0, len(batch.class_weight) > 0


class Rows:
    """Rows of `host` on the device, for many predictions."""

    def __init__(self, host: np.ndarray | ByteRows):
        self.host, self.x = host, features(host)
        self.index = kernels().device.to_device(np.arange(len(host)))

    def __len__(self) -> int:
        return len(self.host)


def features(x: np.ndarray | ByteRows) -> DeviceArray:
    """x (n, features) on the device, flat; of ByteRows a block at a time."""
    device = kernels().device
    if not isinstance(x, ByteRows):
        return device.to_device(x.reshape(-1))
    made, first = device.zeros(x.shape[0] * x.shape[1]), 0
    for block in x.blocks():
        device.write(made, first, block.reshape(-1))
        first += block.size
    return made


def _room(array: np.ndarray, rows: int) -> np.ndarray:
    """Zeros of the dtype of an array, (rows, ...); no rows for an empty one."""
    return np.zeros((rows if len(array) else 0, *array.shape[1:]), array.dtype)
