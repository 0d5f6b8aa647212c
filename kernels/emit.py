"""`Value`: Python arithmetic that emits LLVM vector instructions.

A `Value` is a float32 or an integer, or a vector of them; its operators emit LLVM instructions. So
the mathematics of `scalar.py` is written once and compiled for any number of lanes: 4, 8 or 16 on a
CPU, one for the remainder of a row or for a GPU thread. No fast-math flags are set: every operation
rounds as written.

`builder` is an `llvmlite.ir.IRBuilder`; pointers are LLVM values.
"""

import numpy as np
from llvmlite import ir

F32, I16, I32, I64 = ir.FloatType(), ir.IntType(16), ir.IntType(32), ir.IntType(64)


def of_lanes(element, lanes):
    """Return the type of `lanes` elements: a scalar for one lane, else a vector."""
    return element if lanes == 1 else ir.VectorType(element, lanes)


def lanes_of(type_):
    return type_.count if isinstance(type_, ir.VectorType) else 1


def constant(type_, number):
    """Return a constant with `number` in every lane; a float is rounded to float32 here, once."""
    element = type_.element if isinstance(type_, ir.VectorType) else type_
    number = float(np.float32(number)) if element == F32 else int(number)
    return ir.Constant(
        type_, [number] * type_.count if isinstance(type_, ir.VectorType) else number
    )


class Value:
    """An LLVM value with Python's operators. Comparisons return i1 Values; Python numbers among the
    operands become constants.
    """

    __slots__ = ("builder", "ir")

    def __init__(self, builder, ir_value):
        self.builder, self.ir = builder, ir_value

    @property
    def type(self):
        return self.ir.type

    @property
    def is_float(self):
        return (self.type.element if isinstance(self.type, ir.VectorType) else self.type) == F32

    def _operand(self, other):
        return other.ir if isinstance(other, Value) else constant(self.type, other)

    def _binary(self, other, on_float, on_int, swap=False):
        left, right = self.ir, self._operand(other)
        if swap:
            left, right = right, left
        emit = getattr(self.builder, on_float if self.is_float else on_int)
        return Value(self.builder, emit(left, right))

    def _compare(self, operator, other):
        emit = self.builder.fcmp_ordered if self.is_float else self.builder.icmp_signed
        return Value(self.builder, emit(operator, self.ir, self._operand(other)))

    def __add__(self, other):
        return self._binary(other, "fadd", "add")

    def __sub__(self, other):
        return self._binary(other, "fsub", "sub")

    def __rsub__(self, other):
        return self._binary(other, "fsub", "sub", swap=True)

    def __mul__(self, other):
        return self._binary(other, "fmul", "mul")

    def __truediv__(self, other):
        return self._binary(other, "fdiv", "sdiv")

    def __rtruediv__(self, other):
        return self._binary(other, "fdiv", "sdiv", swap=True)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self):
        return Value(self.builder, self.builder.fneg(self.ir) if self.is_float else (0 - self).ir)

    def __and__(self, other):
        return self._binary(other, "", "and_")

    def __or__(self, other):
        return self._binary(other, "", "or_")

    def __xor__(self, other):
        return self._binary(other, "", "xor")

    def __lshift__(self, other):
        return self._binary(other, "", "shl")

    def shift_right(self, other, arithmetic=False):
        return self._binary(other, "", "ashr" if arithmetic else "lshr")

    # Ordered comparisons: a NaN on either side compares false.
    def __gt__(self, other):
        return self._compare(">", other)

    def __lt__(self, other):
        return self._compare("<", other)

    def __ge__(self, other):
        return self._compare(">=", other)

    def differs(self, other):
        return self._compare("!=", other)

    # Only these two detect NaN reliably: the GPU assembler optimizes |a| >= 0 to true, and an
    # ordered "differs" is false for NaN.
    def is_number(self):
        return Value(self.builder, self.builder.fcmp_ordered("ord", self.ir, self.ir))

    def is_nan(self):
        return Value(self.builder, self.builder.fcmp_unordered("uno", self.ir, self.ir))


def where(condition, yes, no):
    """Select `yes` where `condition` is true, else `no`; one of the two may be a number."""
    like = yes if isinstance(yes, Value) else no
    pick = [v.ir if isinstance(v, Value) else constant(like.type, v) for v in (yes, no)]
    return Value(like.builder, like.builder.select(condition.ir, *pick))


def _call(name, *values):
    """Call the LLVM intrinsic `name`, declared by hand because `declare_intrinsic` does not support
    vector types.
    """
    first = values[0]
    lanes = lanes_of(first.type)
    full = f"{name}.{'' if lanes == 1 else f'v{lanes}'}f32"
    args = [v.ir if isinstance(v, Value) else constant(first.type, v) for v in values]
    module = first.builder.module
    function = module.globals.get(full)
    if function is None:
        function = ir.Function(module, ir.FunctionType(first.type, [first.type] * len(args)), full)
    return Value(first.builder, first.builder.call(function, args))


def fma(a, b, c):
    """Fused multiply-add: a * b + c, rounded once. `a` is a Value; `b` and `c` may be numbers."""
    return _call("llvm.fma", a, b, c)


def sqrt(a):
    return _call("llvm.sqrt", a)


def absolute(a):
    return _call("llvm.fabs", a)


def copysign(magnitude, sign):
    return _call("llvm.copysign", magnitude, sign)


def as_bits(a):
    """Reinterpret the 32 bits of `a` as an integer."""
    return Value(a.builder, a.builder.bitcast(a.ir, of_lanes(I32, lanes_of(a.type))))


def as_float(a):
    """Reinterpret the 32 bits of `a` as a float32."""
    return Value(a.builder, a.builder.bitcast(a.ir, of_lanes(F32, lanes_of(a.type))))


def splat(builder, scalar, lanes):
    """Broadcast a scalar to every lane."""
    scalar = scalar.ir if isinstance(scalar, Value) else scalar
    if lanes == 1:
        return Value(builder, scalar)
    undefined = ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined)
    one = builder.insert_element(undefined, scalar, I32(0))
    zeros = ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
    return Value(builder, builder.shuffle_vector(one, undefined, zeros))


def shuffle(a, b, order):
    """Return the lanes `order` of the concatenation of `a` and `b`."""
    picks = ir.Constant(ir.VectorType(I32, len(order)), list(order))
    return Value(a.builder, a.builder.shuffle_vector(a.ir, b.ir, picks))


# Memory. Pointers are LLVM values; offsets count elements of the named type.


def at(builder, pointer, offset, element=F32):
    """Return the address `offset` elements after `pointer`."""
    if isinstance(offset, int):
        offset = I64(offset)
    return builder.gep(
        builder.bitcast(pointer, element.as_pointer()), [offset], source_etype=element
    )


def load(builder, pointer, lanes, element=F32):
    type_ = of_lanes(element, lanes)
    address = builder.bitcast(pointer, type_.as_pointer())
    return Value(builder, builder.load(address, align=element_size(element), typ=type_))


def store(builder, value, pointer, element=F32):
    address = builder.bitcast(pointer, value.type.as_pointer())
    builder.store(value.ir, address, align=element_size(element))


def element_size(element):
    return 4 if element == F32 else element.width // 8
