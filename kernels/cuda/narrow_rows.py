"""Per-thread epilogue of the narrow schedule: load and store accumulators, activation, mask,
backward. The legend is in `narrow.py`.

`row`: the first word of the pass's row in `words`. Activations in shared memory are [first and last
four samples][unit][sample of the four]: a thread reads four samples as one vector, and neighbouring
threads write to different banks.
"""

import functools

from ..activations import AFFINE, CODES, gradient
from ..emit import I32, I64, Value, as_float, at, load, store, where
from .activation import activate
from .code import device_code
from .dropout import dropped
from .passes import (
    FUNCTION,
    HEAD,
    LAMBDA,
    LAMBDA_ALPHA,
    LIMIT,
    MASK_SITE,
    MORE,
    OUT_STRIDE,
    SLOPE,
    UNITS,
    VALUE,
    X_PLACE,
    X_STEP,
    A,
    B,
)
from .shape import GROUP, QUAD
from .vector import least, load_all, load_vector, store_all, store_vector

# The facts of a block, in shared memory to save registers: the eight rows of the data set; the
# number of these eight samples in the stream of masks; step and seed; then the head of the table.
ROWS, NUMBER, STEP_NOW, SEED_NOW, LAUNCH = 0, GROUP, GROUP + 1, GROUP + 2, GROUP + 3
FACTS = LAUNCH + HEAD


def word(builder, words, row, column):
    place = builder.add(row, I64(column))
    return load(builder, at(builder, words, place, I64), 1, I64)


def fact(builder, facts, column):
    return load(builder, at(builder, facts, column, I64), 1, I64)


def real_word(builder, words, row, column):
    bits = builder.trunc(word(builder, words, row, column).ir, I32)
    return as_float(Value(builder, bits))


def quad_at(first_quad, unit, most):
    """The place of four samples of a unit in shared memory, from ACTIVATIONS on."""
    return (first_quad * most + unit) * QUAD


def rows_code(block, most, activations):
    """Copies between sums in registers, activations in shared memory, and rows in global memory.
    most: units whose activations fit shared memory; activations: their first float there.

    part: 1 for a thread of the last four samples; first, last: the block's first sample, and the
    last one of the batch, which is read instead of samples beyond it.
    """
    samples, unit = block.samples, block.unit

    def sample_of(builder, first, part, i):
        return Value(builder, first) + Value(builder, part) * samples + i

    def read(builder, acts, place, words, row, part, column, first, last):
        """Values of a thread's samples and units from global memory, row by row."""
        units, stride = (word(builder, words, row, c) for c in (UNITS, OUT_STRIDE))
        n = least(Value(builder, column), (units - 1) & -unit)
        for i in range(samples):
            m = least(sample_of(builder, first, part, i), Value(builder, last))
            yield from load_vector(builder, acts, (place + m * stride + n).ir, unit)

    @device_code
    def remember(builder, old, acts, words, row, part, column, first, last):
        place = word(builder, words, row, SLOPE)
        values = read(builder, acts, place, words, row, part, column, first, last)
        store_all(builder, list(values), old)

    @device_code
    def add(builder, acc, acts, words, row, part, column, first, last):
        place = word(builder, words, row, MORE)
        more = read(builder, acts, place, words, row, part, column, first, last)
        sums = load_all(builder, acc, block.sums)
        store_all(builder, [a + b for a, b in zip(sums, more, strict=True)], acc)

    def places(builder, part, column, j):
        """The places of a thread's unit j in shared memory, one for each four samples."""
        for q in range(samples // QUAD):
            quad = quad_at(Value(builder, part) + q, Value(builder, column) + j, most)
            yield q, (quad + activations).ir

    @device_code
    def share(builder, shared, acc, units, part, column):
        """Sums to shared memory, for the next pass; 0 for units beyond the last one."""
        for j in range(unit):
            there = Value(builder, column) + j < Value(builder, units)
            for q, place in places(builder, part, column, j):
                sums = [
                    load(builder, at(builder, acc, (q * QUAD + i) * unit + j), 1)
                    for i in range(QUAD)
                ]
                store_vector(builder, [where(there, s, 0) for s in sums], shared, place)

    @device_code
    def take(builder, acc, shared, part, column):
        for j in range(unit):
            for q, place in places(builder, part, column, j):
                for i, value in enumerate(load_vector(builder, shared, place, QUAD)):
                    store(builder, value, at(builder, acc, (q * QUAD + i) * unit + j))

    @device_code
    def give(builder, acts, acc, out, stride, units, part, column, first, last):
        """Sums to rows in global memory."""

        def one(i, m):
            place = Value(builder, out) + m * Value(builder, stride) + Value(builder, column)
            sums = load_all(builder, at(builder, acc, i * unit), unit)
            store_vector(builder, sums, acts, place.ir)

        def inside():
            for i in range(samples):
                m = sample_of(builder, first, part, i)
                there = builder.icmp_signed("<=", m.ir, last)
                builder.when(there, functools.partial(one, i, m))

        builder.when((Value(builder, column) < Value(builder, units)).ir, inside)

    @device_code
    def gather(builder, shared, acts, x, facts, feature, features, local, first, last):
        """One feature of the eight samples, from the data set to shared memory and, if the input's
        rows are kept, to global memory; features beyond the last one are 0.
        """
        feature = Value(builder, feature)
        x_at, stride = (fact(builder, facts, LAUNCH + c) for c in (X_PLACE, X_STEP))
        there = feature < Value(builder, features)
        near = least(feature, Value(builder, features) - 1)
        kept = builder.and_(there.ir, (x_at >= 0).ir)
        values = []
        for i in range(GROUP):
            m = least(Value(builder, first) + i, Value(builder, last))
            offset = fact(builder, facts, ROWS + i) * Value(builder, features) + near
            value = where(there, load(builder, at(builder, x, offset.ir), 1), 0)
            values.append(value)

            def write(value=value, m=m):
                store(builder, value, at(builder, acts, (x_at + m * stride + near).ir))

            builder.when(kept, write)
        for q in range(GROUP // QUAD):
            place = quad_at(q, Value(builder, local), most) + activations
            store_vector(builder, values[q * QUAD : (q + 1) * QUAD], shared, place.ir)

    return remember, add, share, take, give, gather


def end_code(block):
    """The epilogue of a pass, on a thread's sums."""

    def each_activation(builder, words, row, body):
        """body(name, constants of SELU) for the activation of the pass."""
        number = word(builder, words, row, FUNCTION)
        selu = [real_word(builder, words, row, c) for c in (LAMBDA, LAMBDA_ALPHA)]
        for name, code in CODES.items():
            this = builder.icmp_signed("==", number.ir, I64(code))
            builder.when(this, functools.partial(body, name, selu))

    @device_code
    def forward(builder, acc, words, row):
        """Activations."""

        def of_name(name, selu):
            if name != "none":
                sums = load_all(builder, acc, block.sums)
                store_all(builder, [activate(name, z, selu) for z in sums], acc)

        each_activation(builder, words, row, of_name)

    @device_code
    def backward(builder, acc, old, words, row):
        """dz of the node below from the gradient of its outputs, before the mask. old: the values
        that the slope is computed from.
        """
        a, b = (real_word(builder, words, row, c) for c in (A, B))

        def of_name(name, selu):
            sums, kept = (load_all(builder, array, block.sums) for array in (acc, old))
            pairs = zip(sums, kept, strict=True)
            store_all(builder, [gradient(name, AFFINE, dh, k, selu, a, b) for dh, k in pairs], acc)

        each_activation(builder, words, row, of_name)

    @device_code
    def mask(builder, acc, words, row, facts, part, column):
        """Replace the sums of dropped units by the VALUE of the pass."""
        value = real_word(builder, words, row, VALUE)
        site, limit = (word(builder, words, row, c) for c in (MASK_SITE, LIMIT))
        number, step, seed = (fact(builder, facts, c) for c in (NUMBER, STEP_NOW, SEED_NOW))
        upper = Value(builder, part) > 0
        for j in range(block.unit):
            unit = Value(builder, column) + j
            conditions = list(dropped(number, unit, site, step, seed, limit))
            for i in range(block.samples):
                condition = conditions[i]
                if block.samples < GROUP:
                    condition = where(upper, conditions[i + block.samples], condition)
                place = at(builder, acc, i * block.unit + j)
                store(builder, where(condition, value, load(builder, place, 1)), place)

    @device_code
    def scale(builder, acc, words, row):
        """The affine map of dropout."""
        a, b = (real_word(builder, words, row, c) for c in (A, B))
        sums = load_all(builder, acc, block.sums)
        store_all(builder, [y * a + b for y in sums], acc)

    return forward, backward, mask, scale
