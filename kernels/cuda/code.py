"""Kernels from functions that emit instructions: all uses of Numba-CUDA's extension interface, its
compiler, and the cache of compiled kernels.

Device code is a function `body(builder, *operands)`, as on the CPU. Operands: arrays as pointers to
their first element, integers as 64-bit values, real numbers as float32 values. In the simulator the
same instructions are compiled for the host (`host.py`). Kernels contain loops, branches, barriers
and integer arithmetic; every operation on real numbers is device code, so that none is rounded in
another way than it is written.
"""

import functools
import hashlib
import importlib.metadata
import inspect
import logging
import re
import time

from llvmlite import ir
from numba import cuda

from .. import cachefolder, jit
from ..alone import alone
from ..cache import warn_once
from ..emit import F32
from ..locks import Lock
from . import device
from .device import SIMULATED
from .host import repair_shared_memory, simulated

log = logging.getLogger("fastsnn")

# Types of a kernel's arguments. Arrays are flat and passed as addresses.
INT, REAL = "int64", "float32"
INTS, FLOATS, WORDS = (f"CPointer({kind})" for kind in ("int64", "float32", "uint32"))

if SIMULATED:
    repair_shared_memory()

# LLVM intrinsics that are replaced by functions of libdevice.
LIBRARY = {
    "llvm.fabs.f32": "__nv_fabsf",
    "llvm.copysign.f32": "__nv_copysignf",
}


class DeviceBuilder:
    """An IRBuilder whose additions and multiplications are rounded one by one: the assembler would
    contract plain ones to fused multiply-adds.
    """

    def __init__(self, builder):
        self._builder = builder

    def __getattr__(self, name):
        return getattr(self._builder, name)

    def library(self, name, *arguments):
        """Call a float32 function of NVIDIA's libdevice."""
        module = self._builder.module
        function = module.globals.get(name)
        if function is None:
            function = ir.Function(module, ir.FunctionType(F32, [F32] * len(arguments)), name)
        return self._builder.call(function, arguments)

    def call(self, function, arguments):
        known = LIBRARY.get(function.name)
        if known:
            return self.library(known, *arguments)
        return self._builder.call(function, arguments)

    def fneg(self, a):
        return self._builder.fsub(ir.Constant(F32, -0.0), a)

    def fadd(self, a, b):
        return self.library("__nv_fadd_rn", a, b)

    def fsub(self, a, b):
        return self.library("__nv_fadd_rn", a, self.fneg(b))

    def fmul(self, a, b):
        return self.library("__nv_fmul_rn", a, b)

    def assembly(self, result, text, constraints, operands, warp=False):
        """Emit an instruction of PTX with results of type `result`. warp: all threads of a warp
        execute it together.
        """
        function = ir.FunctionType(result, [operand.type for operand in operands])
        code = ir.InlineAsm(function, text, constraints, side_effect=warp)
        return self._builder.call(code, operands, attrs=("convergent",) if warp else ())

    def when(self, condition, body):
        """Emit `body()` under a condition."""
        with self._builder.if_then(condition):
            body()

    def vector(self, values):
        """Return a vector of the values."""
        kind = ir.VectorType(values[0].type, len(values))
        vector = ir.Constant(kind, ir.Undefined)
        for i, value in enumerate(values):
            vector = self._builder.insert_element(vector, value, ir.IntType(32)(i))
        return vector


def device_code(body):
    """Decorator: make `body(builder, *operands)` callable from kernels, without a result."""
    return simulated(body, None) if SIMULATED else _compiled(body, None)


def device_value(kind):
    """Decorator: make a body that returns a Value callable from kernels. kind: Numba's name of its
    type.
    """
    return lambda body: simulated(body, kind) if SIMULATED else _compiled(body, kind)


def _compiled(body, kind):
    from numba.cuda import cgutils, types
    from numba.cuda.extending import intrinsic

    returned = types.void if kind is None else getattr(types, kind)

    def typing(typing_context, *argument_types):
        def generate(context, builder, signature, arguments):
            operands = []
            for type_, value in zip(signature.args, arguments, strict=True):
                if isinstance(type_, types.CPointer):
                    operands.append(value)
                elif isinstance(type_, types.Array):
                    proxy = cgutils.create_struct_proxy(type_)
                    operands.append(proxy(context, builder, value=value).data)
                else:
                    is_integer = isinstance(type_, types.Integer | types.Boolean)
                    operand_type = types.int64 if is_integer else types.float32
                    operands.append(context.cast(builder, value, type_, operand_type))
            value = body(DeviceBuilder(builder), *operands)
            return context.get_dummy_value() if value is None else value.ir

        return returned(*argument_types), generate

    typing.__name__ = typing.__qualname__ = body.__name__
    typing.__signature__ = inspect.signature(body)  # Numba wants the parameters by name
    typing.__doc__ = body.__doc__
    return intrinsic(typing)


def helper(function):
    """Decorator: a function that is inlined into the kernels that call it, before typing."""
    return cuda.jit(device=True, inline="always")(function)


KERNELS = {}  # all kernels that were created, by name


class Kernel:
    """A kernel with a fixed signature, compiled once for a GPU and cached on disk."""

    def __init__(self, function, name, threads, arguments):
        assert name not in KERNELS, f"two kernels are called {name}"
        KERNELS[name] = self
        self.function, self.name, self.threads = function, name, threads
        self.arguments = arguments
        self.signature = f"void({', '.join(arguments)})"
        self.__doc__ = function.__doc__
        self._loaded = None

    def bound(self, grid, *arguments):
        """Return a function without arguments that launches a grid of n or (n, m) blocks."""
        grid = grid if isinstance(grid, tuple) else (grid,)
        if SIMULATED:
            for kind, value in zip(self.arguments, arguments, strict=True):
                assert type(value) is {INT: int, REAL: float}.get(kind, type(value)), self.name
            simulated_kernel = cuda.jit(self.function)
            return lambda: simulated_kernel[grid, self.threads](*arguments)
        load([self])
        return self._loaded.bound(grid, arguments)

    def __call__(self, grid, *arguments):
        self.bound(grid, *arguments)()

    def ptx(self, architecture):
        """Return the PTX for a compute capability; the entry has the kernel's name."""
        text, _ = cuda.compile(
            self.function, self.signature, device=False, abi="numba", cc=architecture,
            output="ptx", launch_bounds=self.threads,
        )  # fmt: skip
        (mangled,) = set(re.findall(r"\.entry\s+([\w$]+)\(", text))
        return text.replace(mangled, self.name)

    def assemble(self, architecture):
        """Return (machine code, the log of ptxas) for a compute capability."""
        return assemble(self.ptx(architecture), architecture)

    def ready(self, architecture):
        return self._loaded is not None or _read_cached(self, architecture) is not None

    def make(self, architecture):
        if self._loaded is None:
            code = _read_cached(self, architecture)
            if code is None:
                code, _ = self.assemble(architecture)
                _write_cached(self, architecture, code)
            self._loaded = device.Function(code, self.name, self.threads)


def kernel(name, threads, *arguments):
    """Decorator: create a kernel for blocks of `threads` threads. arguments: their types."""
    return lambda function: Kernel(function, f"fastsnn_{name}", threads, arguments)


def assemble(ptx, architecture):
    from cuda.core import Linker, LinkerOptions, ObjectCode

    options = LinkerOptions(arch="sm_{}{}".format(*architecture), ptxas_options=["-v"])
    linker = Linker(ObjectCode.from_ptx(ptx.encode()), options=options)
    code = linker.link("cubin").code
    return bytes(code), linker.get_info_log()


_compiling = Lock()
_reported = False  # whether this process has reported a compilation


def load(kernels, report=log.warning):
    """Load kernels from the cache, or compile them. The first compilation of a process is reported
    with its time. Return the seconds.
    """
    start = time.perf_counter()
    if SIMULATED:
        return 0.0
    with _compiling:
        architecture = device.architecture()

        def missing():
            return len([k for k in dict.fromkeys(kernels) if not k.ready(architecture)])

        if missing() > 1:
            with alone(_cache().target, missing, report):
                _make(kernels, architecture, missing(), report)
        else:
            _make(kernels, architecture, 0, report)
    return time.perf_counter() - start


def _make(kernels, architecture, missing_count, report):
    global _reported
    start, first = time.perf_counter(), missing_count > 1 and not _reported
    if first:
        _reported = True
        report(f"fastsnn: compiling {missing_count} kernels for this GPU (once) ...")
    for k in kernels:
        k.make(architecture)
    if first:
        report(f"fastsnn: compiled in {time.perf_counter() - start:.1f} s")


# The cache: a file per kernel and compute capability, next to the CPU's kernels and under the same
# rules: the folder's name contains a hash of the sources, and only this user can write there.


@functools.cache
def _cache():
    version = importlib.metadata.version("numba-cuda")
    return cachefolder.find(f"cuda-{jit.sources_hash('cuda', version)}")


def _file_name(kernel, architecture):
    return "{}-sm_{}{}.cubin".format(kernel.name, *architecture)


def _read_cached(kernel, architecture):
    """Return the machine code on disk, or None if it is missing or damaged."""
    for place in _cache().places:
        try:
            data = cachefolder.read(place.path / _file_name(kernel, architecture))
        except RuntimeError as reason:
            warn_once(f"{reason}; the code there is ignored and compiled again")
            continue
        except OSError:  # not in this folder
            continue
        if len(data) > 32 and hashlib.sha256(data[32:]).digest() == data[:32]:
            return data[32:]
    return None


def _write_cached(kernel, architecture, code):
    folder = _cache().target
    if folder is None:
        return
    try:
        data = hashlib.sha256(code).digest() + code
        cachefolder.write(folder / _file_name(kernel, architecture), data)
    except (OSError, RuntimeError) as problem:  # a full disk must not stop a training
        warn_once(f"compiled code could not be cached ({problem})")
