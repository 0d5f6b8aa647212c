"""The only place with compile flags, and the rule of the cache.

Numba's cache does not notice an edit in a function that a cached function calls. So the cache lies in a folder
named after the version and a hash of all kernel sources: an edit anywhere means a new folder. The folder is the
user's own (`$FASTSNN_CACHE`, else the per-user cache of the platform, else a private one under the temporary
folder); where none can be written, kernels are compiled for this process alone. An entry that cannot be read is
dropped and compiled anew.
"""

import hashlib
import logging
import os
import stat
import tempfile
import threading
import time
from pathlib import Path

import numba
import platformdirs
from numba.core import caching

log = logging.getLogger("fastsnn")

# No nnan, no ninf: a NaN must stay visible. No reassoc: the order of every sum is part of the promise of equal bits.
FLAGS = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz", "arcp", "afn"}}


def _sources_hash():
    root = Path(__file__).parent
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(root.rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _private(folder):
    """Create `folder` for this user alone; False where that cannot be (read-only, or somebody else's)."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
        # What lies in the cache is run: nobody else may have written it.
        if hasattr(os, "getuid") and (
            status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        ):
            return False
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _cache_folder():
    name = f"kernels-{_sources_hash()}"
    base = os.environ.get("FASTSNN_CACHE") or platformdirs.user_cache_dir("fastsnn", appauthor=False)
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    for folder in (Path(base, name), Path(tempfile.gettempdir(), f"fastsnn-{user}", name)):
        if _private(folder):
            return folder
    return None


CACHE_FOLDER = _cache_folder()


class _Cache(caching.FunctionCache):
    """Numba's cache of one function, in our folder; an unreadable entry is dropped."""

    def load_overload(self, signature, target_context):
        try:
            return super().load_overload(signature, target_context)
        except Exception as error:  # a damaged pickle can raise anything
            log.warning("fastsnn: cache entry of %s is damaged (%r); compiling anew", self._name, error)
            try:
                self.flush()
            except OSError as problem:
                log.warning("fastsnn: it could not be removed (%s)", problem)
            return None

    def save_overload(self, signature, data):
        try:
            super().save_overload(signature, data)
        except OSError as problem:  # a full disk must not stop a training
            log.warning("fastsnn: compiled code could not be cached (%s)", problem)


_decorate = threading.Lock()


def _cached(dispatcher):
    if CACHE_FOLDER is not None:
        with _decorate:  # Numba reads the folder from its own setting, once, while the cache object is made
            before = numba.config.CACHE_DIR
            numba.config.CACHE_DIR = str(CACHE_FOLDER)
            try:
                dispatcher._cache = _Cache(dispatcher.py_func)
            finally:
                numba.config.CACHE_DIR = before
    ENTRIES.append(dispatcher)
    return dispatcher


ENTRIES = []  # every function that Python calls


def entry(function):
    """A serial kernel that Python calls: compiled at its first call, cached, free of the GIL."""
    return _cached(numba.njit(**FLAGS)(function))


def parallel_entry(function):
    """The same with `prange` over threads."""
    return _cached(numba.njit(parallel=True, **FLAGS)(function))


def helper(function):
    """A function that kernels call; compiled into its callers."""
    return numba.njit(**FLAGS)(function)


class compiling:
    """Context of a first call: says that it compiles and for how long; silent when the cache has the code."""

    def __init__(self, *entries, report=log.warning):
        self.entries, self.report = entries, report

    def __enter__(self):
        self.pending = [e for e in self.entries if not e.signatures]
        self.start = time.perf_counter()
        self.announced = bool(self.pending) and not all(_on_disk(e) for e in self.pending)
        if self.announced:
            self.report("fastsnn: compiling kernels for this machine (once; up to half a minute) ...")

    def __exit__(self, *problem):
        if self.announced and problem == (None, None, None):
            self.report(f"fastsnn: compiled in {time.perf_counter() - self.start:.1f} s")


def _on_disk(dispatcher):
    cache = dispatcher._cache
    return isinstance(cache, _Cache) and Path(cache._cache_file._index_path).exists()
