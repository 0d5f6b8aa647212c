"""The parameters of a network: one flat buffer, its version, and its copy in device memory."""

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

# Bounds of the length of a direction in weight normalization, slightly wider than those of the
# kernels (SHORTEST, LONGEST in kernels/scalar.py), to allow for rounding of the sum.
SMALLEST_LENGTH, LARGEST_LENGTH = 0.99e-15, 1.01e15

Given = TypeVarTuple("Given")


class Copy(Protocol):
    """A copy of the parameters in device memory."""

    def read(self, host: np.ndarray) -> None:
        """Copy all parameters to the host's buffer."""


AnyCopy = TypeVar("AnyCopy", bound=Copy)


class Parameters:
    """All tensors of a network in one flat float32 buffer, and the only interface to write them.

    Every write increments `version`. A copy (derived weights, packed rows, a device's buffer) is
    stale if its version differs. Engines read `current` and write inside `update`; all other code
    uses `snapshot` and `restore`, or `load`.

    Parameters
    ----------
    layout : ParameterLayout
        Names, offsets and shapes of the tensors in the buffer.
    """

    def __init__(self, layout: ParameterLayout):
        self.layout = layout
        self._flat = aligned_zeros(layout.size)
        # The view for callers: it cannot be made writeable, because its base is a read-only buffer.
        self._shown = np.frombuffer(self._flat.data.toreadonly(), np.float32)
        self.tensors = layout.views(self._shown)
        self._tensors = layout.views(self._flat)
        self.version = 0  # parameter version; every writer must increment it
        self.derived_version = -1  # version from which the derived tensors were computed
        # A weak reference to the copy in device memory.
        self._device: Callable[[], Copy | None] = lambda: None
        self._ahead: Copy | None = None  # that copy, while it is newer than the host's buffer
        self._lock = Lock()

    def __len__(self) -> int:
        return sum(tensor.size for tensor in self.tensors.values())

    @property
    def host(self) -> np.ndarray:
        """Read-only float32 array (layout.size,) in host memory, padding included; first copied
        from the device if the device has newer values.
        """
        self.fetch()
        return self._shown.view()

    def snapshot(self) -> np.ndarray:
        """Return a copy of the flat buffer, for `restore`."""
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
        """Return copies of the tensors by name."""
        self.fetch()
        return {name: tensor.copy() for name, tensor in self.tensors.items()}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Copy `arrays` to the tensors of the same names, all or none. Raises ValueError for
        missing or unknown names, wrong shapes and values that are not usable (see `_checked`).
        """
        _require_names(self.tensors, arrays)
        new = {name: _checked(name, arrays[name], self.tensors[name]) for name in self.tensors}
        with self._writing():
            for name, tensor in self._tensors.items():
                tensor[:] = new[name]

    def fill(self, draw: Callable[[dict[str, np.ndarray]], None]) -> None:
        """Write initial values to all tensors.

        draw: called as `draw(tensors)` with writable float32 views by name, which it must fill.
        """
        with self._writing():
            draw(self._tensors)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Context in which the caller writes all tensors of the host's buffer."""
        with self._lock:
            try:
                yield
            finally:  # also after an interruption
                self._ahead = None
                self.version += 1

    def current(self, derive: Callable[[np.ndarray], None] | None = None) -> np.ndarray:
        """Return the flat buffer, up to date, for kernels that read it.

        derive: called as `derive(flat)` to compute the derived tensors, if parameters have changed
        since its last call.
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
        """Call `run(flat, *given)`, count its updates, and return its result.

        flat is `current(derive)`. `run` updates it up to `most` times and keeps the derived tensors
        up to date; the first item of its result has one entry per update. If `run` raises, `most`
        updates are counted.
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
        """Count updates of the host's buffer or of the device's copy. Return the new version.

        since: the version before the updates, if the derived tensors are up to date. ahead: the
        copy in device memory, if that was updated instead of the host's buffer. If another write
        has changed the version in between, that write takes precedence and -1 is returned, which is
        the version of no copy.
        """
        with self._lock.rlock:  # avoids `Lock`'s Python methods: every step calls this
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
        """Return the copy in device memory; `make()` creates it if none exists."""
        with self._lock:
            copy: Any = self._device()  # created by an earlier call with the same `make`
            if copy is None:
                copy = make()
                self._device = weakref.ref(copy)
            made: AnyCopy = copy
            return made

    on_device = Renamed("_on_device")

    def fetch(self) -> None:
        """Copy the parameters from the device to the host if the device has newer values."""
        if self._ahead is None:
            return
        with self._lock:
            if self._ahead is not None:
                self._ahead.read(self._flat)
                self._ahead, self.derived_version = None, self.version


def require_fit(
    needed: Mapping[str, tuple[int, tuple[int, ...]]], arrays: Mapping[str, np.ndarray]
) -> None:
    """Check names, shapes and dtypes (float32) of `arrays` against the tensors of a layout, before
    memory for a network is allocated.

    needed: (offset, shape) of each tensor by name, as in `ParameterLayout.tensors`. Raises
    ValueError for the first mismatch.
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
        for what, names in (("needs", missing), ("has no", unknown))
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
        raise ValueError(f"state_dict: {name} must not be negative: it is a variance")
    if name.endswith(".weight_v"):
        length = np.sqrt(np.square(array, dtype=np.float64).sum(axis=1))
        if not ((length > SMALLEST_LENGTH) & (length < LARGEST_LENGTH)).all():
            raise ValueError(
                f"state_dict: {name} must have no row of zeros, and lengths in "
                f"({SMALLEST_LENGTH:g}, {LARGEST_LENGTH:g}): a direction needs a length"
            )
    return array
