"""Device code compiled for the host, for kernels that run in the simulator.

The simulator runs a kernel's Python, thread by thread, and has no instructions. So each function of
device code is compiled to a function of the host, from the same instructions. Float32 is rounded as
on a GPU, and every address is checked: IndexError if it is outside of its array or misaligned.
"""

import ctypes
import functools
import itertools
import sys

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir

from ..emit import F32, I32, I64
from ..locks import Lock

POINTEES = {"f": F32, "i": I32, "I": I32, "l": I64, "q": I64}  # by NumPy's type code
# Functions of libdevice and their counterparts in the C library.
LIBRARY = {"__nv_logf": "logf", "__nv_log1pf": "log1pf"}
RESULTS = {
    None: (ir.VoidType(), None),
    "float32": (F32, ctypes.c_float),
    "int64": (I64, ctypes.c_int64),
    "boolean": (ir.IntType(1), ctypes.c_bool),
}

_out_of_bounds = ctypes.c_int64(0)  # set to 1 by compiled code
_lock = Lock()


class HostBuilder:
    """An IRBuilder whose loads and stores are checked."""

    def __init__(self, builder):
        self._builder, self._arrays = builder, {}
        self.out_of_bounds = builder.alloca(I64)  # 1 after a bad address
        builder.store(I64(0), self.out_of_bounds)

    def __getattr__(self, name):
        return getattr(self._builder, name)

    def array(self, pointer, elements):
        """Register an operand: a pointer to the first of `elements` elements."""
        start = self._builder.ptrtoint(pointer, I64)
        size = I64(pointer.type.pointee.width // 8 if pointer.type.pointee != F32 else 4)
        end = self._builder.add(start, self._builder.mul(elements, size))
        self._arrays[pointer] = pointer, start, end
        return pointer

    def _derived(self, new, pointer):
        if pointer in self._arrays:
            self._arrays[new] = self._arrays[pointer]
        return new

    def gep(self, pointer, indices, **more):
        return self._derived(self._builder.gep(pointer, indices, **more), pointer)

    def bitcast(self, value, type_):
        new = self._builder.bitcast(value, type_)
        return self._derived(new, value) if isinstance(type_, ir.PointerType) else new

    def _checked(self, pointer, size, align):
        builder = self._builder
        array, start, end = self._arrays[pointer]
        first = builder.ptrtoint(pointer, I64)
        last = builder.add(first, I64(size))
        in_bounds = builder.and_(
            builder.icmp_unsigned(">=", first, start), builder.icmp_unsigned("<=", last, end)
        )
        rest = builder.and_(builder.sub(first, start), I64(align - 1))
        in_bounds = builder.and_(in_bounds, builder.icmp_signed("==", rest, I64(0)))
        out_of_bounds = builder.select(in_bounds, builder.load(self.out_of_bounds, typ=I64), I64(1))
        builder.store(out_of_bounds, self.out_of_bounds)
        return builder.select(in_bounds, pointer, builder.bitcast(array, pointer.type))

    def load(self, pointer, align=4, typ=None):
        address = self._checked(pointer, _size(typ), align)
        return self._builder.load(address, align=4, typ=typ)

    def store(self, value, pointer, align=4):
        self._builder.store(value, self._checked(pointer, _size(value.type), align), align=4)

    def library(self, name, *arguments):
        module, name = self._builder.module, LIBRARY[name]
        function = module.globals.get(name)
        if function is None:
            function = ir.Function(module, ir.FunctionType(F32, [F32] * len(arguments)), name)
        return self._builder.call(function, arguments)

    def when(self, condition, body):
        with self._builder.if_then(condition):
            body()

    def vector(self, values):
        vector = ir.Constant(ir.VectorType(values[0].type, len(values)), ir.Undefined)
        for i, value in enumerate(values):
            vector = self._builder.insert_element(vector, value, I32(i))
        return vector


def _size(type_):
    if isinstance(type_, ir.VectorType):
        return type_.count * _size(type_.element)
    return 4 if type_ == F32 else type_.width // 8


def simulated(body, kind):
    """Return `body(builder, *operands)` as a Python function. kind: the result's type, or None."""
    functions = {}

    def call(*arguments):
        kinds, flat = "", []
        for argument in arguments:
            if type(argument) is int:
                kinds += " "
                flat.append(argument)
            elif isinstance(argument, np.floating | float):
                kinds += "."
                flat.append(argument)
            elif isinstance(argument, bool | np.bool_ | np.integer):
                kinds += " "
                flat.append(int(argument))
            else:
                if type(argument) is not np.ndarray:
                    argument = argument._item._ary  # unwrap the simulator's array
                kinds += argument.dtype.char
                flat += (argument.__array_interface__["data"][0], argument.size)
        function = functions.get(kinds)
        if function is None:
            with _lock:  # simulated threads are threads of the host
                function = functions.get(kinds) or _compiled(body, kind, kinds)
                functions[kinds] = function
        result = function(*flat)
        if _out_of_bounds.value:
            _out_of_bounds.value = 0
            raise IndexError(f"{body.__name__}: an address is outside of its array")
        return np.float32(result) if kind == "float32" else result

    return call


_C_TYPES = {" ": [ctypes.c_int64], ".": [ctypes.c_float]}
_names = itertools.count()


@functools.cache
def _engine():
    """Return the compiler for this processor, which owns the code."""
    target = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=1,
        jit=True,
    )  # fmt: skip
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), target)


def _compiled(body, kind, kinds):
    returned, c_returned = RESULTS[kind]
    types, c_types = [], []
    for letter in kinds:
        types += {" ": [I64], ".": [F32]}.get(letter) or [POINTEES[letter].as_pointer(), I64]
        c_types += _C_TYPES.get(letter, [ctypes.c_int64, ctypes.c_int64])
    module = ir.Module(body.__name__)
    function = ir.Function(module, ir.FunctionType(returned, types), f"device_code_{next(_names)}")
    plain = ir.IRBuilder(function.append_basic_block())
    builder = HostBuilder(plain)
    function_arguments, operands = iter(function.args), []
    for letter in kinds:
        value = next(function_arguments)
        operands.append(
            builder.array(value, next(function_arguments)) if letter not in " ." else value
        )
    result = body(builder, *operands)
    flag = plain.inttoptr(I64(ctypes.addressof(_out_of_bounds)), I64.as_pointer())
    out_of_bounds = plain.or_(plain.load(flag, typ=I64), plain.load(builder.out_of_bounds, typ=I64))
    plain.store(out_of_bounds, flag)
    builder.ret_void() if result is None else builder.ret(result.ir)
    engine = _engine()
    engine.add_module(llvm.parse_assembly(str(module)))
    engine.finalize_object()
    # PYFUNCTYPE holds the GIL: simulated threads switch at barriers, not inside of device code.
    return ctypes.PYFUNCTYPE(c_returned, *c_types)(engine.get_function_address(function.name))


def repair_shared_memory():
    """Add a lock to the simulator's allocation of a shared array. Without it, two threads that
    allocate concurrently get two arrays.
    """
    from numba.cuda.np import numpy_support
    from numba.cuda.simulator.kernelapi import FakeCUDAShared

    def array(self, shape, dtype):
        frame = sys._getframe(1)
        address = frame.f_code, frame.f_lineno
        with _lock:
            if address not in self._allocations:
                self._allocations[address] = np.empty(shape, numpy_support.as_dtype(dtype))
            return self._allocations[address]

    FakeCUDAShared.array = array
