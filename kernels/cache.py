"""The cache of compiled kernels: Numba's cache in the folders of `cachefolder`, with checksums.

Numba's cache does not detect an edit of a function that a cached function calls. So the name of the
cache folder contains a hash of Numba's version and of all kernel sources: every edit leads to a new
folder. An entry that cannot be read is deleted and compiled again.
"""

import contextlib
import hashlib
import io
import logging
import os
import pickle
import sys

from numba.core import caching

from . import cachefolder

log = logging.getLogger("fastsnn")

_warned = set()


def warn_once(text):
    if text not in _warned:
        _warned.add(text)
        log.warning("fastsnn: %s", text)


class _CacheFile(caching.IndexDataCacheFile):
    """Numba's files with a SHA-256 checksum: one wrong bit in compiled code can crash a process."""

    def _load_index(self):
        try:
            file = io.BytesIO(cachefolder.read(self._index_path))
        except FileNotFoundError:
            return {}
        if pickle.load(file) != self._version:
            return {}
        stamp, overloads = pickle.load(file)
        return overloads if stamp == self._source_stamp else {}

    @contextlib.contextmanager
    def _open_for_write(self, path):
        file = io.BytesIO()
        yield file
        cachefolder.write(path, file.getvalue())

    def _save_data(self, name, data):
        data = self._dump(data)
        with self._open_for_write(self._data_path(name)) as file:
            file.write(hashlib.sha256(data).digest() + data)

    def _load_data(self, name):
        data = cachefolder.read(self._data_path(name))
        if hashlib.sha256(data[32:]).digest() != data[:32]:
            raise ValueError("its checksum is wrong")
        return pickle.loads(data[32:])


class _Locator(caching._SourceFileBackedLocatorMixin, caching._CacheLocator):
    def __init__(self, function, folder):
        self._py_file = function.__code__.co_filename
        self._lineno = function.__code__.co_firstlineno
        self._folder = folder

    def get_cache_path(self):
        return str(self._folder)


class _Impl(caching.CompileResultCacheImpl):
    """Numba's class with a fixed folder, instead of a search for a writable one."""

    def __init__(self, function, folder):
        self._lineno = function.__code__.co_firstlineno
        self._locator = _Locator(function, folder)
        module = function.__module__.removeprefix("fastsnn.kernels.")
        self._filename_base = self.get_filename_base(
            f"{module}.{function.__qualname__}", getattr(sys, "abiflags", "")
        )


class _PlaceCache(caching.FunctionCache):
    """Numba's cache of one function in one folder; an unusable entry is deleted."""

    def __init__(self, function, place):
        self._name, self._py_func, self.writable = function.__name__, function, place.writable
        self._impl = _Impl(function, place.path)
        self._cache_path = os.fspath(place.path)
        self._cache_file = _CacheFile(
            self._cache_path, self._impl.filename_base, self._impl.locator.get_source_stamp()
        )
        self.enable()

    def has(self, signature, target_context):
        """Return True if the index lists the kernel for this processor and these sources."""
        key = self._index_key(signature, target_context.codegen())
        try:
            return key in self._cache_file._load_index()
        except Exception:  # damaged: `load_overload` will report it
            return False

    def load_overload(self, signature, target_context):
        try:
            return super().load_overload(signature, target_context)
        except RuntimeError as reason:
            warn_once(f"{reason}; the code there is not used, the kernel is compiled again")
        except OSError as problem:
            warn_once(f"the cache entry of {self._name} cannot be read ({problem})")
        except Exception as error:  # a damaged pickle can raise anything
            log.warning(
                "fastsnn: cache entry of %s is damaged (%r); compiling again", self._name, error
            )
        if self.writable:
            try:
                self.flush()
            except (OSError, RuntimeError) as problem:
                warn_once(f"the cache entry of {self._name} could not be removed ({problem})")
        return None

    def save_overload(self, signature, data):
        try:
            super().save_overload(signature, data)
        except (OSError, RuntimeError) as problem:  # a full disk must not stop a training
            warn_once(f"compiled code could not be cached ({problem})")


class KernelCache(caching.NullCache):
    """The cache of one function in all folders: reads from the first that has it, writes to the
    writable one.
    """

    def __init__(self, function, places):
        self.places = [_PlaceCache(function, place) for place in places]

    def has(self, signature, target_context):
        return any(place.has(signature, target_context) for place in self.places)

    def load_overload(self, signature, target_context):
        for place in self.places:
            found = place.load_overload(signature, target_context)
            if found is not None:
                return found
        return None

    def save_overload(self, signature, data):
        for place in self.places:
            if place.writable:
                place.save_overload(signature, data)
