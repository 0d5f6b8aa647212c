"""The parameters of a network: one flat buffer, its version, and its copy on a device."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from contextlib import contextmanager

import numpy as np

from fastsnn.plan import ParameterLayout, aligned_zeros
from fastsnn.threads import Lock

# Of a direction of normalized weights: a little more than kernels store (SHORTEST and LONGEST in
# kernels/scalar.py), whatever the rounding of the sum.
SMALLEST_LENGTH, LARGEST_LENGTH = 0.99e-15, 1.01e15


class Parameters:
    """All tensors of a network in one flat float32 buffer, and the only way to write into them.

    Every write increases `version`, which is what copies (derived weights, packed rows, a device's
    buffer) are compared with. Engines write through `flat` and say so with `updated`; everything
    else takes `snapshot` and `restore`, or `load`.

    Parameters
    ----------
    layout : ParameterLayout
        Names, places and shapes of the tensors in the buffer.
    """

    def __init__(self, layout: ParameterLayout):
        self.layout = layout
        self.flat = aligned_zeros(layout.size)
        # What is shown outside: nobody can make it writeable, as its base is a read-only buffer.
        self._shown = np.frombuffer(memoryview(self.flat).toreadonly(), np.float32)
        self.tensors = layout.views(self._shown)
        self._tensors = layout.views(self.flat)
        self.version = 0
        self.derived_version = -1  # of the parameters that the derived tensors were computed from
        self._device = lambda: None  # the copy on a device, if somebody holds it
        self._ahead = None  # that copy, held here, while it has numbers that `flat` lacks
        self._lock = Lock()

    def __len__(self) -> int:
        return sum(tensor.size for tensor in self.tensors.values())

    @property
    def host(self) -> np.ndarray:
        """The flat buffer, as new as the device's copy, read-only."""
        self.fetch()
        return self._shown.view()

    def snapshot(self) -> np.ndarray:
        """A copy of the flat buffer, for `restore`."""
        return self.host.copy()

    def restore(self, snapshot: np.ndarray) -> None:
        """Write a `snapshot` of these parameters back. Raises ValueError or TypeError for anything
        else, and for numbers that `load` refuses.
        """
        if not isinstance(snapshot, np.ndarray) or snapshot.dtype != np.float32:
            kind = getattr(snapshot, "dtype", type(snapshot).__name__)
            raise TypeError(f"restore: a snapshot, an array of float32, is required, got {kind}")
        if snapshot.shape != self.flat.shape:
            raise ValueError(
                f"restore: a snapshot of shape {self.flat.shape} is required, got "
                f"{snapshot.shape}; take one of the same network"
            )
        for name, tensor in self.layout.views(snapshot).items():
            _checked(name, tensor, self.tensors[name])
        with self._writing():
            self.flat[:] = snapshot

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of the tensors by name."""
        self.fetch()
        return {name: tensor.copy() for name, tensor in self.tensors.items()}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take tensors over, all or none. Raises ValueError for missing or unknown names, shapes
        and numbers that are not usable.
        """
        missing, unknown = self.tensors.keys() - arrays.keys(), arrays.keys() - self.tensors.keys()
        if missing or unknown:
            raise ValueError(
                f"state_dict: the network needs {_some(missing, 'nothing more')} and does not "
                f"know {_some(unknown, 'nothing')}; were the layers the same?"
            )
        new = {name: _checked(name, arrays[name], self.tensors[name]) for name in self.tensors}
        with self._writing():
            for name, tensor in self._tensors.items():
                tensor[:] = new[name]

    def writable(self) -> dict[str, np.ndarray]:
        """The tensors, for the one who draws the first weights."""
        return self._tensors

    @contextmanager
    def _writing(self):
        """All tensors of the host's buffer are written."""
        with self._lock:
            try:
                yield
            finally:  # also where it was interrupted
                self._ahead = None
                self.version += 1

    def updated(self, updates: int, since: int | None = None, ahead=None) -> int:
        """An engine has written, `updates` times; returns the new version.

        since: the version that it began with, if it has kept the derived tensors up to date.
        ahead: the copy on a device that it has written into, not `flat`. A load in between wins
        over that; then the version returned is none that a copy may have.
        """
        with self._lock:
            alone = since == self.version
            self.version += updates
            if ahead is None:
                self._ahead = None
                if alone:
                    self.derived_version = self.version
            elif alone:
                self._ahead = ahead
            else:
                return -1
            return self.version

    def derive(self, function) -> None:
        """Call `function(flat)`, which computes the derived tensors, if the parameters have changed
        since it was called the last time.
        """
        if self.derived_version == self.version:
            return
        with self._lock:
            version = self.version  # before: a write during the call makes the result an old one
            function(self.flat)
            self.derived_version = version

    def on_device(self, make):
        """The copy on a device; `make()` makes one where there is none."""
        with self._lock:
            copy = self._device()
            if copy is None:
                copy = make()
                self._device = weakref.ref(copy)
            return copy

    def fetch(self) -> None:
        """Bring the host's buffer up to date with the device's copy."""
        if self._ahead is None:
            return
        with self._lock:
            if self._ahead is not None:
                self._ahead.read(self.flat)
                self._ahead, self.derived_version = None, self.version


def _checked(name, array, tensor):
    if np.ma.isMaskedArray(array):
        raise ValueError(f"state_dict: {name} must be a plain array, got a masked one")
    array = np.asarray(array)
    if array.dtype.kind not in "fiu":
        raise ValueError(f"state_dict: {name} must be real numbers, got {array.dtype}")
    if array.shape != tensor.shape:
        raise ValueError(
            f"state_dict: {name} has shape {array.shape}, the network needs {tensor.shape}; was it "
            "trained on other data?"
        )
    with np.errstate(over="ignore"):  # what does not fit becomes infinite, which is refused
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
                f"({SMALLEST_LENGTH:g}, {LARGEST_LENGTH:g}): it holds directions"
            )
    return array


def _some(names, otherwise):
    names = sorted(names, key=str)
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return f"{names[:6]}{more}" if names else otherwise
