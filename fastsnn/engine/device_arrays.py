"""Arrays in the memory of an NVIDIA GPU: parameters, batches, and rows to predict."""

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
    """The copy of the parameters in device memory, see `Parameters._on_device`. Host and device are
    each brought up to date when they are read.
    """

    def __init__(self, nodes: tuple[Node, ...], parameters: Parameters):
        self.parameters = parameters
        self.array = kernels().device.zeros(parameters.layout.size)
        self.version = -1  # version of the parameters in `array`
        self._derive = Launches()
        table = device_plan(nodes, parameters.layout, 1, training=False).table
        kernels().directions.derive_weights(self._derive, table, self.array)

    def current(self) -> DeviceArray:
        """Return the array in device memory, up to date; see `Parameters.current`."""
        version = self.parameters.version  # read first: a write during the copy makes it stale
        if self.version != version:
            kernels().device.write(self.array, 0, self.parameters.current())
            self._derive.run()
            self.version = version
        return self.array

    def update(
        self, most: int, run: Callable[[DeviceArray], tuple[list[float], bool]]
    ) -> tuple[list[float], bool]:
        """Call `run(array)`, which updates the array, count its updates, and return its result; see
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
        """Copy all parameters to the host's buffer."""
        kernels().device.read(self.array, host)


def on_device(nodes: tuple[Node, ...], parameters: Parameters) -> DeviceParameters:
    """Return the copy of the parameters in device memory, shared by all engines. Raises
    RuntimeError, with a message of one line, if GPU, driver, package or memory is missing.
    """
    return parameters._on_device(lambda: DeviceParameters(nodes, parameters))


class Data:
    """The arrays of a batch at fixed addresses in device memory.

    x: the features, (rows * features,); like: a `Batch`, whose other arrays are copied; rows:
    length of the index.
    """

    def __init__(self, x: DeviceArray, like: Batch, rows: int):
        self.x = x
        self.arrays = [
            kernels().device.to_device(array.reshape(-1))
            for array in (like.labels, like.targets, like.sample_weight, like.class_weight)
        ]
        self.weighted, self.class_weighted = weighted_by(like)
        self.index = kernels().device.zeros(rows, dtype=np.int64)
        self.order: np.ndarray | None = None  # host copy of the index

    @classmethod
    def with_capacity(cls, like: Batch, rows: int) -> Data:
        """Allocate arrays for batches like this one, of up to `rows` rows; `fill` writes them."""
        empty = like._replace(
            labels=_zero_rows(like.labels, rows),
            targets=_zero_rows(like.targets, rows),
            sample_weight=_zero_rows(like.sample_weight, rows),
        )
        return cls(kernels().device.zeros(rows * like.x.shape[1]), empty, rows)

    def set_order(self, order: np.ndarray) -> None:
        """Copy the order of an epoch to the index, unless it is the current one."""
        if order is not self.order:
            kernels().device.write(self.index, 0, order)
            self.order = order

    def fill(self, batch: Batch) -> None:
        """Copy a batch to the first rows."""
        write = kernels().device.write
        write(self.x, 0, batch.x.reshape(-1))
        given = batch.labels, batch.targets, batch.sample_weight, batch.class_weight
        for target, array in zip(self.arrays, given, strict=True):
            if len(array):
                write(target, 0, array.reshape(-1))
        write(self.index, 0, batch.index[: len(batch.x)])


def weighted_by(batch: Batch) -> tuple[bool, bool]:
    """Return (True if the batch has sample weights, True if it has class weights)."""
    return len(batch.sample_weight) > 0, len(batch.class_weight) > 0


class Rows:
    """A copy of the rows of `host` in device memory, for repeated predictions."""

    def __init__(self, host: np.ndarray | ByteRows):
        self.host, self.x = host, features(host)
        self.index = kernels().device.to_device(np.arange(len(host)))

    def __len__(self) -> int:
        return len(self.host)


def features(x: np.ndarray | ByteRows) -> DeviceArray:
    """Copy x (n, features) to a flat array in device memory; ByteRows one block at a time."""
    device = kernels().device
    if not isinstance(x, ByteRows):
        return device.to_device(x.reshape(-1))
    array, first = device.zeros(x.shape[0] * x.shape[1]), 0
    for block in x.blocks():
        device.write(array, first, block.reshape(-1))
        first += block.size
    return array


def _zero_rows(array: np.ndarray, rows: int) -> np.ndarray:
    """Return zeros (rows, ...) of the dtype of `array`; no rows if `array` is empty."""
    return np.zeros((rows if len(array) else 0, *array.shape[1:]), array.dtype)
