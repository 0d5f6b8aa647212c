"""The parameters of a network: one flat buffer, its version, and its copy on a device."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar, TypeVarTuple

import numpy as np
import numpy.ma  # noqa: F401  not at its first use: a fork during that import hangs the child

from fastsnn.checks.scalars import listed, shown
from fastsnn.deprecated import Renamed
from fastsnn.engine.layout import ParameterLayout, aligned_zeros
from fastsnn.engine.locks import Lock

# Bounds of a direction of normalized weights, slightly wider than in kernels (SHORTEST, LONGEST in
# kernels/scalar.py), whatever the rounding of the sum.
SMALLEST_LENGTH, LARGEST_LENGTH = 0.99e-15, 1.01e15

Given = TypeVarTuple("Given")


class Copy(Protocol):
    """A copy of the parameters on a device."""

    def read(self, host: np.ndarray) -> None:
        """Read all into the host's buffer."""


AnyCopy = TypeVar("AnyCopy", bound=Copy)


class Parameters:
    """All tensors of a network in one flat float32 buffer, and the only way to write into them.

    Every write increments `version`; copies (derived weights, packed rows, a device's buffer) are
    stale if they have another one. Engines read `current` and write inside `update`; all other code
    uses `snapshot` and `restore`, or `load`.

    Parameters
    ----------
    layout : ParameterLayout
        Names, places and shapes of the tensors in the buffer.
    """

    def __init__(self, layout: ParameterLayout):
        self.layout = layout
        self._flat = aligned_zeros(layout.size)
        # The view for callers: it cannot be made writeable, because its base is a read-only buffer.
        self._shown = np.frombuffer(self._flat.data.toreadonly(), np.float32)
        self.tensors = layout.views(self._shown)
        self._tensors = layout.views(self._flat)
        self.version = 0
        self.derived_version = -1  # the version that the derived tensors were computed from
        # A weak reference to the copy on a device.
        self._device: Callable[[], Copy | None] = lambda: None
        self._ahead: Copy | None = None  # that copy, while it is newer than the host's buffer
        self._lock = Lock()

    def __len__(self) -> int:
        return sum(tensor.size for tensor in self.tensors.values())

    @property
    def host(self) -> np.ndarray:
        """The flat buffer, read-only, after fetching newer parameters from the device."""
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
        if snapshot.shape != self._flat.shape:
            raise ValueError(
                f"restore: a snapshot of shape {self._flat.shape} is required, got "
                f"{snapshot.shape}; take one of the same network"
            )
        for name, tensor in self.layout.views(snapshot).items():
            _checked(name, tensor, self.tensors[name])
        with self._writing():
            self._flat[:] = snapshot

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
            for name, tensor in self._tensors.items():
                tensor[:] = new[name]

    def fill(self, draw: Callable[[dict[str, np.ndarray]], None]) -> None:
        """Call `draw(tensors)`, which writes the first numbers into all of them."""
        with self._writing():
            draw(self._tensors)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Context in which all tensors of the host's buffer are written."""
        with self._lock:
            try:
                yield
            finally:  # also where it was interrupted
                self._ahead = None
                self.version += 1

    def current(self, derive: Callable[[np.ndarray], None] | None = None) -> np.ndarray:
        """The flat buffer, up to date, for kernels that read it.

        derive: called as `derive(flat)` to compute the derived tensors if any parameter has changed
        since the last time.
        """
        if self._ahead is not None:
            self.fetch()
        if derive is not None and self.derived_version != self.version and self.layout.derived:
            with self._lock:
                version = self.version  # read first: a write meanwhile makes the result stale
                derive(self._flat)
                self.derived_version = version
        return self._flat

    def update(
        self,
        most: int,
        derive: Callable[[np.ndarray], None] | None,
        run: Callable[[np.ndarray, *Given], tuple[list[float], bool]],
        *given: *Given,
    ) -> tuple[list[float], bool]:
        """Return `run(flat, *given)`, a call of an engine that updates `current(derive)` up to
        `most` times and keeps the derived tensors up to date; count its updates.

        The first item of its result has one entry per update. If it is interrupted, `most` updates
        count.
        """
        before = self.version
        try:
            result = run(self.current(derive), *given)
        except BaseException:
            self.updated(most)
            raise
        self.updated(len(result[0]), since=before)
        return result

    def updated(self, updates: int, since: int | None = None, ahead: Copy | None = None) -> int:
        """Count updates of the host's buffer or of a device's copy; returns the new version.

        since: the version before, if the derived tensors are up to date. ahead: the copy on a
        device that was written instead of the host's buffer. A load in between wins over that; the
        version returned is then one that no copy has.
        """
        with self._lock.rlock:  # not through Python methods: each step comes here
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

    def _on_device(self, make: Callable[[], AnyCopy]) -> AnyCopy:
        """The copy on a device; `make()` creates it if there is none."""
        with self._lock:
            copy: Any = self._device()  # made by an earlier call, with the same `make`
            if copy is None:
                copy = make()
                self._device = weakref.ref(copy)
            made: AnyCopy = copy
            return made

    on_device = Renamed("_on_device")

    def fetch(self) -> None:
        """Bring the host's buffer up to date with the device's copy."""
        if self._ahead is None:
            return
        with self._lock:
            if self._ahead is not None:
                self._ahead.read(self._flat)
                self._ahead, self.derived_version = None, self.version


def require_fit(
    needed: Mapping[str, tuple[int, tuple[int, ...]]], arrays: Mapping[str, np.ndarray]
) -> None:
    """Check `arrays` against the tensors of a layout by name, shape and dtype (float32), before
    memory for a network is allocated. Raises ValueError for the first that does not fit.
    """
    _require_names(needed, arrays)
    for name, (_, shape) in needed.items():
        _require_shape(name, arrays[name], shape)
        if arrays[name].dtype != np.float32:
            raise ValueError(f"state_dict: {name} must be float32, got {arrays[name].dtype}")


def _require_names(needed: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
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


def _require_shape(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(
            f"state_dict: {name} has shape {array.shape}, the network needs {shown(shape)}; was it "
            "trained on other data?"
        )


def _checked(name: str, array: np.ndarray, tensor: np.ndarray) -> np.ndarray:
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
