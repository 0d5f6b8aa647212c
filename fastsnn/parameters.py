"""The parameters of a network: one flat buffer, its version, and its copy on a device."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from contextlib import contextmanager

import numpy as np

from fastsnn.locks import Lock
from fastsnn.plan import ParameterLayout, aligned_zeros
from fastsnn.scalars import listed, shown

SMALLEST_LENGTH = 1e-15  # of a direction of normalized weights: its square is a normal float32
LARGEST_LENGTH = 1e15


class Parameters:
    """All tensors of a network in one flat float32 buffer, and the only way to write into them.

    Every write increments `version`; copies (derived weights, packed rows, a device's buffer) are
    stale if they have another one. Engines write into `flat` and then call `updated`; all other
    code uses `snapshot` and `restore`, or `load`.

    Parameters
    ----------
    layout : ParameterLayout
        Names, places and shapes of the tensors in the buffer.
    """

    def __init__(self, layout: ParameterLayout):
        self.layout = layout
        self.flat = aligned_zeros(layout.size)
        self.tensors = layout.views(self.flat)
        self.version = 0
        self.derived_version = -1  # the version that the derived tensors were computed from
        self._device = lambda: None  # weak reference to the copy on a device
        self._lock = Lock()

    def __len__(self) -> int:
        return sum(tensor.size for tensor in self.tensors.values())

    @property
    def host(self) -> np.ndarray:
        """The flat buffer, read-only, after fetching newer parameters from the device."""
        self.fetch()
        view = self.flat.view()
        view.flags.writeable = False
        return view

    def snapshot(self) -> np.ndarray:
        """A copy of the flat buffer, for `restore`."""
        return self.host.copy()

    def restore(self, snapshot: np.ndarray) -> None:
        """Write a `snapshot` of these parameters back."""
        if np.shape(snapshot) != self.flat.shape:
            raise ValueError(
                f"restore: a snapshot of shape {self.flat.shape} is required, got "
                f"{np.shape(snapshot)}; take one of the same network"
            )
        with self._writing():
            self.flat[:] = snapshot

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of the tensors by name."""
        self.fetch()
        return {name: tensor.copy() for name, tensor in self.tensors.items()}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Copy tensors in, all or none. Raises ValueError for missing or unknown names, and for
        other shapes and unusable numbers.
        """
        _require_names(self.tensors, arrays)
        new = {name: _checked(name, arrays[name], self.tensors[name]) for name in self.tensors}
        with self._writing():
            for name, tensor in self.tensors.items():
                tensor[:] = new[name]

    @contextmanager
    def _writing(self):
        """Context in which all tensors of the host's buffer are written."""
        with self._lock:
            yield
            self.version += 1
            if (copy := self._device()) is not None:
                copy.host_changed()

    def updated(self, updates: int, since: int | None = None) -> None:
        """Record that an engine has written into `flat` `updates` times. since: the version before,
        if the engine has kept the derived tensors up to date.
        """
        with self._lock.rlock:  # not through Python methods: each step comes here
            alone = since == self.version
            self.version += updates
            if alone:
                self.derived_version = self.version

    def derive(self, function) -> None:
        """Call `function(flat)`, which computes the derived tensors, if the parameters have changed
        since it was called the last time.
        """
        if self.derived_version == self.version:
            return
        with self._lock:
            version = self.version  # read first: a write during the call makes the result stale
            function(self.flat)
            self.derived_version = version

    def on_device(self, make):
        """The copy on a device; `make()` creates it if there is none."""
        with self._lock:
            copy = self._device()
            if copy is None:
                copy = make()
                self._device = weakref.ref(copy)
            return copy

    def fetch(self) -> None:
        """Bring the host's buffer up to date with the device's copy."""
        copy = self._device()
        if copy is not None:
            with self._lock:
                if copy.fetch(self.flat):
                    self.derived_version = self.version


def require_fit(needed: Mapping[str, tuple[int, tuple]], arrays: Mapping[str, np.ndarray]) -> None:
    """Check `arrays` against the tensors of a layout by name, shape and dtype (float32), before
    memory for a network is allocated. Raises ValueError for the first that does not fit.
    """
    _require_names(needed, arrays)
    for name, (_, shape) in needed.items():
        _require_shape(name, arrays[name], shape)
        if arrays[name].dtype != np.float32:
            raise ValueError(f"state_dict: {name} must be float32, got {arrays[name].dtype}")


def _require_names(needed, arrays):
    missing, unknown = needed.keys() - arrays.keys(), arrays.keys() - needed.keys()
    faults = [
        f"{what} {listed(sorted(names, key=str))}"
        for what, names in (("needs", missing), ("does not know", unknown))
        if names
    ]
    if faults:
        raise ValueError(
            f"state_dict: the network {' and '.join(faults)}; were the layers the same?"
        )


def _require_shape(name, array, shape):
    if array.shape != shape:
        raise ValueError(
            f"state_dict: {name} has shape {array.shape}, the network needs {shown(shape)}; was it "
            "trained on other data?"
        )


def _checked(name, array, tensor):
    if np.ma.isMaskedArray(array):
        raise ValueError(f"state_dict: {name} must be a plain array, got a masked one")
    array = np.asarray(array)
    if array.dtype.kind not in "fiu":
        raise ValueError(f"state_dict: {name} must be real numbers, got {array.dtype}")
    _require_shape(name, array, tensor.shape)
    with np.errstate(over="ignore"):  # overflows become infinite, which is refused
        array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise ValueError(f"state_dict: {name} must be finite; take an earlier checkpoint")
    if name.endswith(".running_var") and array.min() < 0:
        raise ValueError(f"state_dict: {name} must not be negative, as no variance is")
    if name.endswith(".weight_v"):
        length = np.sqrt(np.square(array, dtype=np.float64).sum(axis=1))
        if not ((length > SMALLEST_LENGTH) & (length < LARGEST_LENGTH)).all():
            raise ValueError(
                f"state_dict: {name} must have no row of zeros, and lengths in "
                f"({SMALLEST_LENGTH:g}, {LARGEST_LENGTH:g}): a direction needs a length"
            )
    return array
