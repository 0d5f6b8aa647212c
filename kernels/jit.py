"""The only place with compile flags, and the rule of the cache.

Numba's cache does not notice an edit in a function that a cached function calls. So the cache lies
in a folder named after the version and a hash of all kernel sources: an edit anywhere means a new
folder. The folder is the user's own (`$FASTSNN_CACHE`, else the per-user cache of the platform,
else a private one under the temporary folder); where none can be written, kernels are compiled for
this process alone. An entry that cannot be read is dropped and compiled anew.
"""

import hashlib
import inspect
import logging
import os
import pickle
import stat
import tempfile
import threading
import time
from pathlib import Path

import numba
from llvmlite import ir
from numba.core import caching
from numba.core.sigutils import normalize_signature
from numba.extending import intrinsic

log = logging.getLogger("fastsnn")

# No nnan, no ninf: a NaN must stay visible. No reassoc, no contract: the order and the rounding of
# every sum are part of the promise of equal bits; fused multiply-adds are written out (emit.py).
FLAGS = {"nogil": True, "error_model": "numpy", "fastmath": {"nsz"}}


def sources_hash(target, *settings):
    """Of the kernels of a target, "cpu" or "cuda", of what both share, and of settings that change
    what the compiler makes of them.
    """
    root = Path(__file__).parent
    digest = hashlib.sha256(repr((numba.__version__, *settings)).encode())
    for path in sorted({*root.glob("*.py"), *(root / target).rglob("*.py")}):
        digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _sources_hash():
    # Numba's own key knows nothing of these.
    return sources_hash("cpu", numba.config.BOUNDSCHECK, numba.config.OPT)


def _private(folder):
    """Create `folder` for this user alone; False where that cannot be (read-only, or somebody
    else's).
    """
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


def cache_folder(name):
    """A private folder of this name that can be written, or None."""
    base = os.environ.get("FASTSNN_CACHE")
    if not base:
        import platformdirs

        base = platformdirs.user_cache_dir("fastsnn", appauthor=False)
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    if _private(Path(base, name)):
        return Path(base, name)
    # Everybody may write in the temporary folder: ours in it must be ours, too.
    own = Path(tempfile.gettempdir(), f"fastsnn-{user}")
    return own / name if _private(own) and _private(own / name) else None


def _cache_folder():
    return cache_folder(f"kernels-{_sources_hash()}")


CACHE_FOLDER = _cache_folder()


class _CacheFile(caching.IndexDataCacheFile):
    """With a checksum of the compiled code: a single wrong bit in it can end the process."""

    def _save_data(self, name, data):
        data = self._dump(data)
        with self._open_for_write(self._data_path(name)) as file:
            file.write(hashlib.sha256(data).digest() + data)

    def _load_data(self, name):
        data = Path(self._data_path(name)).read_bytes()
        if hashlib.sha256(data[32:]).digest() != data[:32]:
            raise ValueError("its checksum is wrong")
        return pickle.loads(data[32:])


class _Cache(caching.FunctionCache):
    """Numba's cache of one function, in our folder; an unreadable entry is dropped."""

    def __init__(self, function):
        super().__init__(function)
        plain = self._cache_file
        self._name = function.__name__
        self._cache_file = _CacheFile(
            plain._cache_path, self._impl.filename_base, plain._source_stamp
        )

    def has(self, signature, target_context):
        """Whether the index of this kernel, for this processor and these sources, lists it."""
        key = self._index_key(signature, target_context.codegen())
        try:
            return key in self._cache_file._load_index()
        except Exception:  # damaged: `load_overload` will say so
            return False

    def load_overload(self, signature, target_context):
        try:
            return super().load_overload(signature, target_context)
        except Exception as error:  # a damaged pickle can raise anything
            log.warning(
                "fastsnn: cache entry of %s is damaged (%r); compiling anew", self._name, error
            )
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


def helper(function):
    """A function that kernels call; compiled into its callers."""
    return numba.njit(**FLAGS)(function)


# Types in signatures.
INT, INTS, TABLE = "int64", "int64[::1]", "int64[:, ::1]"
FLOAT, FLOATS, MATRIX = "float32", "float32[::1]", "float32[:, ::1]"
DOUBLE, DOUBLES, WORDS = "float64", "float64[::1]", "uint32[:, ::1]"


class Entry:
    """A kernel that Python calls, with one signature for good: nothing is ever compiled a second
    time.

    Other kernels call it through its `address`: linked in, it would be compiled again with each of
    them.
    """

    def __init__(self, function, signature, parallel):
        self.dispatcher = numba.njit(parallel=parallel, **FLAGS)(function)
        arguments, result = normalize_signature(signature)
        self.signature = result(*arguments)
        self.address = None
        self.__doc__ = function.__doc__
        if CACHE_FOLDER is not None:
            # Numba reads the folder from its own setting, once, while the cache object is made.
            with _lock:
                before = numba.config.CACHE_DIR
                numba.config.CACHE_DIR = str(CACHE_FOLDER)
                try:
                    self.dispatcher._cache = _Cache(self.dispatcher.py_func)
                finally:
                    numba.config.CACHE_DIR = before

    def __call__(self, *arguments):
        if self.address is None:
            load(self)
        return self.dispatcher(*arguments)

    def compile(self):
        self.dispatcher.compile(self.signature)
        self.dispatcher.disable_compile()
        result = self.dispatcher.get_compile_result(self.signature)
        self.address = result.library.get_pointer_to_function(result.fndesc.llvm_cfunc_wrapper_name)

    def on_disk(self):
        cache = self.dispatcher._cache
        return isinstance(cache, _Cache) and cache.has(self.signature, self.dispatcher.targetctx)


_lock = threading.Lock()
_compiling = threading.RLock()


def entry(result, *arguments, parallel=False):
    """Decorator: a kernel that Python calls, with the types of its result and arguments as Numba
    writes them; `parallel`: with `prange` over threads.
    """
    return lambda function: Entry(function, f"{result}({', '.join(arguments)})", parallel)


def load(*entries, report=log.warning):
    """Make kernels ready: from the cache, else compiled, and then says so and for how long. Returns
    the seconds.
    """
    start = time.perf_counter()
    with _compiling:
        pending = [e for e in entries if e.address is None]
        fresh = [e for e in pending if not e.on_disk()]
        if fresh:
            report("fastsnn: compiling kernels for this machine (once; up to half a minute) ...")
        for e in pending:
            e.compile()
    seconds = time.perf_counter() - start
    if fresh:
        report(f"fastsnn: compiled in {seconds:.1f} s")
    return seconds


def native_call(target):
    """The Entry `target` as a function inside other kernels: `call(address, *arguments)`, through
    its address.
    """
    signature = target.signature

    def typing(typing_context, address, *arguments):
        if len(arguments) != len(signature.args):
            return None

        def generate(context, builder, own, values):
            cast = [
                context.cast(builder, value, given, wanted)
                for value, given, wanted in zip(
                    values[1:], own.args[1:], signature.args, strict=True
                )
            ]
            kind = ir.FunctionType(
                context.get_value_type(signature.return_type), [value.type for value in cast]
            )
            function = builder.inttoptr(values[0], kind.as_pointer())
            return builder.call(function, cast)

        return signature.return_type(address, *arguments), generate

    names = inspect.signature(target.dispatcher.py_func).parameters
    parameters = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        for name in ("typing_context", "address", *names)
    ]
    typing.__signature__ = inspect.Signature(parameters)
    typing.__name__ = typing.__qualname__ = target.dispatcher.py_func.__name__
    return intrinsic(typing)
