"""Device code moves vectors between memory and registers, and picks its places."""

from llvmlite import ir

from ..emit import F32, Value, at, load, store, where


def load_vector(builder, pointer, offset, count):
    """`count` floats (1, 2 or 4) that lie at a multiple of `count`, as Values."""
    place = at(builder, pointer, offset)
    if count == 1:
        return [load(builder, place, 1)]
    kind = ir.VectorType(F32, count)
    vector = builder.load(builder.bitcast(place, kind.as_pointer()), align=4 * count, typ=kind)
    return [
        Value(builder, builder.extract_element(vector, ir.IntType(32)(i))) for i in range(count)
    ]


def store_vector(builder, values, pointer, offset):
    place = at(builder, pointer, offset)
    if len(values) == 1:
        store(builder, values[0], place)
        return
    vector = builder.vector([value.ir for value in values])
    place = builder.bitcast(place, ir.VectorType(F32, len(values)).as_pointer())
    builder.store(vector, place, align=4 * len(values))


def load_all(builder, pointer, count):
    return [load(builder, at(builder, pointer, i), 1) for i in range(count)]


def store_all(builder, values, pointer):
    for i, value in enumerate(values):
        store(builder, value, at(builder, pointer, i))


def least(a, b):
    return where(a < b, a, b)


def split(value, size):
    """(value // size, value % size) for a size that is a power of two."""
    return value.shift_right(size.bit_length() - 1), value & (size - 1)
