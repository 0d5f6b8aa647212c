"""Compile flags of the CPU kernels (set only here), and loading of the kernels that Python calls.

    Entry    a kernel that Python calls, with one signature; may contain `prange`
    helper   a function that only kernels call, compiled into each caller

Compiled code is stored in the user's cache folder (`cache.py`, `cachefolder.py`). Without a
writable folder, kernels are compiled for the current process only.
"""

import hashlib
import inspect
import logging
import time
from pathlib import Path

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from . import cachefolder, pool
from .alone import alone
from .cache import KernelCache, warn_once
from .locks import Lock, compiler

log = logging.getLogger("fastsnn")

# No nnan, no ninf: a NaN must stay visible. No reassoc, no contract: the order and the rounding of
# every sum are part of the promise of equal bits; fused multiply-adds are written out (emit.py).
FLAGS = {"nogil": True, "error_model": "numpy", "fastmath": {"nsz"}}


def sources_hash(target, *settings):
    """Return a hash of the kernel sources of a target ("cpu" or "cuda"), of the sources that both
    targets share, and of compiler settings.
    """
    root = Path(__file__).parent
    digest = hashlib.sha256(repr((numba.__version__, *settings)).encode())
    for path in sorted({*root.glob("*.py"), *(root / target).rglob("*.py")}):
        digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _sources_hash():
    # Numba's own cache key does not include these settings.
    return sources_hash("cpu", numba.config.BOUNDSCHECK, numba.config.OPT)


CACHE = cachefolder.find(f"kernels-{_sources_hash()}")
# The folder that is read first, or None.
CACHE_FOLDER = CACHE.places[0].path if CACHE.places else None


def helper(function):
    """Decorator: a function that kernels call, compiled into its callers."""
    return numba.njit(**FLAGS)(function)


# Types in signatures. Arrays are C-contiguous.
VOID = types.void
INT, INTS, TABLE = types.int64, types.int64[::1], types.int64[:, ::1]
FLOAT, FLOATS, MATRIX = types.float32, types.float32[::1], types.float32[:, ::1]
DOUBLE, DOUBLES, WORDS = types.float64, types.float64[::1], types.uint32[:, ::1]


class Entry:
    """A kernel that Python calls. It has one signature, so it is compiled once.

    Other kernels call it through its `address`: if it were linked into them, each would compile it
    again.
    """

    def __init__(self, function, signature, parallel):
        self.dispatcher = numba.njit(parallel=parallel, **FLAGS)(function)
        self.signature = signature
        self.parallel = parallel
        self.address = None
        self.__doc__ = function.__doc__
        if CACHE.places:
            self.dispatcher._cache = KernelCache(self.dispatcher.py_func, CACHE.places)

    def __call__(self, *arguments):
        if self.address is None:
            load(self)
        return self.dispatcher(*arguments)

    def compile(self):
        """Load the kernel from the cache, or compile it. Can be repeated after an interruption."""
        if self.parallel:
            pool.launch()
        with compiler:  # forks wait for it, see `locks`
            if not self.dispatcher.signatures:
                self.dispatcher.compile(self.signature)
            self.dispatcher.disable_compile()
            result = self.dispatcher.get_compile_result(self.signature)
            name = result.fndesc.llvm_cfunc_wrapper_name
            self.address = result.library.get_pointer_to_function(name)

    def on_disk(self):
        """Return True if the cache holds this kernel."""
        cache = self.dispatcher._cache
        return isinstance(cache, KernelCache) and cache.has(
            self.signature, self.dispatcher.targetctx
        )


_compiling = Lock()
_reported = False  # True after this process has reported its first compilation
LONG = 5.0  # seconds; later compilations that take longer are reported


def entry(result, *arguments, parallel=False):
    """Decorator: an `Entry` with the Numba types of its result and arguments. parallel: the kernel
    contains `prange` over threads.
    """
    return lambda function: Entry(function, result(*arguments), parallel)


def load(*entries, also=(), report=log.warning):
    """Load kernels from the cache, or compile them. Return the time in seconds.

    The first compilation of a process is passed to `report`, with its time. also: entries that will
    be needed soon; the first compilation includes them if they can be cached.
    """
    start = time.perf_counter()
    with _compiling:
        pending = [e for e in entries if e.address is None]
        if pending:
            for reason in CACHE.refused if CACHE.places else ():
                warn_once(f"{reason}; kernels are cached in {CACHE_FOLDER}")
        if not _missing(pending):
            for e in pending:
                e.compile()
        else:
            if CACHE.target is not None and not _reported:
                pending += [e for e in also if e.address is None and e not in pending]
            with alone(CACHE.target, lambda: len(_missing(pending)), report):
                _compile(pending, report)
    return time.perf_counter() - start


def _missing(entries):
    return [e for e in entries if not e.on_disk()]


def _compile(entries, report):
    global _reported
    start, first = time.perf_counter(), not _reported
    fresh = bool(_missing(entries))  # another process may have compiled them meanwhile
    if fresh and first:
        _reported = True
        report(f"fastsnn: compiling kernels for this {_purpose()} ...")
    for e in entries:
        e.compile()
    seconds = time.perf_counter() - start
    if fresh and first:
        report(f"fastsnn: compiled in {seconds:.1f} s")
    elif fresh and seconds > LONG:
        report(f"fastsnn: further kernels took {seconds:.1f} s")


def _purpose():
    if CACHE.target is not None:
        return "machine (once; about a minute, longer on a busy machine)"
    reasons = "; ".join(CACHE.refused) or "no folder can be written"
    return f"process alone ({reasons}; FASTSNN_CACHE can name a folder to keep them in)"


def _cast(context, builder, value, given, wanted):
    """`context.cast`, extended to the members of named tuples."""
    if given == wanted or not isinstance(wanted, types.BaseTuple):
        return context.cast(builder, value, given, wanted)
    members = cgutils.unpack_tuple(builder, value)
    cast = [context.cast(builder, *m) for m in zip(members, given, wanted, strict=True)]
    return context.make_tuple(builder, wanted, cast)


def native_call(target):
    """Return a function for use in other kernels that calls the Entry `target` through its address:
    `call(address, *arguments)`.
    """
    signature = target.signature

    def typing(typing_context, address, *arguments):
        if len(arguments) != len(signature.args):
            return None

        def generate(context, builder, own, values):
            cast = [
                _cast(context, builder, value, given, wanted)
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
