"""Vector loads and stores of float32, and arithmetic on offsets, for device code.

Offsets count float32 elements. A vector has 1, 2 or 4 elements and is aligned to its size.
"""

from llvmlite import ir

from ..emit import F32, Value, at, load, store, where


def load_vector(builder, pointer, offset, count):
    """Load a vector of `count` floats, as a list of Values."""
    address = at(builder, pointer, offset)
    if count == 1:
        return [load(builder, address, 1)]
    kind = ir.VectorType(F32, count)
    vector = builder.load(builder.bitcast(address, kind.as_pointer()), align=4 * count, typ=kind)
    return [
        Value(builder, builder.extract_element(vector, ir.IntType(32)(i))) for i in range(count)
    ]


def store_vector(builder, values, pointer, offset):
    """Store 1, 2 or 4 Values as a vector."""
    address = at(builder, pointer, offset)
    if len(values) == 1:
        store(builder, values[0], address)
        return
    vector = builder.vector([value.ir for value in values])
    address = builder.bitcast(address, ir.VectorType(F32, len(values)).as_pointer())
    builder.store(vector, address, align=4 * len(values))


def load_all(builder, pointer, count):
    """Load `count` elements one by one, as registers are accessed."""
    return [load(builder, at(builder, pointer, i), 1) for i in range(count)]


def store_all(builder, values, pointer):
    """Store elements one by one, as registers are accessed."""
    for i, value in enumerate(values):
        store(builder, value, at(builder, pointer, i))


def minimum(a, b):
    """Return the smaller integer."""
    return where(a < b, a, b)


def split(value, size):
    """Return (value // size, value % size). size: a power of two."""
    return value.shift_right(size.bit_length() - 1), value & (size - 1)
