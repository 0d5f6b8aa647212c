"""What a thread of the narrow schedule does to its sums: of some of eight samples, for a few units
side by side.

`row`: where the pass's row of the table begins in `words`, a copy in shared memory. Activations lie
there as [first and last four samples][unit][sample of the four], from ACTIVATIONS on, so that a
thread reads the four at once, and neighbours write to different banks.
"""

import functools

from fastsnn.kernels.cuda.activation import AFFINE, NAMES, activate, gradient
from fastsnn.kernels.cuda.code import device_code
from fastsnn.kernels.cuda.dropout import dropped
from fastsnn.kernels.cuda.passes import (
    BIAS,
    FUNCTION,
    LAMBDA,
    LAMBDA_ALPHA,
    LIMIT,
    MASK_SITE,
    MORE,
    OLD,
    OUT_STRIDE,
    TERMS,
    UNITS,
    VALUE,
    WEIGHTS,
    A,
    B,
)
from fastsnn.kernels.cuda.shape import GROUP, QUAD
from fastsnn.kernels.cuda.vector import (
    least,
    load_all,
    load_vector,
    split,
    store_all,
    store_vector,
)
from fastsnn.kernels.emit import I32, I64, Value, as_float, at, fma, load, store, where

# What a block knows of its samples, in shared memory as well, so that no register is needed for it:
# rows of the data set, one for each of the eight; the number of the eight for the masks; step and
# seed.
ROWS, NUMBER, STEP_NOW, SEED_NOW, FACTS = 0, GROUP, GROUP + 1, GROUP + 2, GROUP + 3


def word(builder, words, row, column):
    place = builder.add(row, I64(column))
    return load(builder, at(builder, words, place, I64), 1, I64)


def fact(builder, facts, column):
    return load(builder, at(builder, facts, column, I64), 1, I64)


def real_word(builder, words, row, column):
    bits = builder.trunc(word(builder, words, row, column).ir, I32)
    return as_float(Value(builder, bits))


def quad_at(first_quad, unit, most):
    """Where four samples of a unit lie in shared memory."""
    return (first_quad * most + unit) * QUAD


def weights_code(block):
    """How a thread takes its share of the next weights into registers, and puts it to shared
    memory: as lines of a term each, padded.
    """
    quads = block.stage // QUAD
    half = block.threads // 2
    apart = block.columns // half  # units of a thread in one pair of quads
    lines = block.threads * QUAD // block.columns  # terms that all threads take at a time

    def places(builder, thread, forward):
        """(unit, term) of a thread's first quad, and what to add for each of its quads: four terms
        of a unit, or four units of a term. Of the former two threads take two quads of a unit, the
        next ones the next unit's: their terms are written to 32 different banks.
        """
        if forward:
            unit, odd = split(Value(builder, thread), 2)
            steps = [(i % apart * half, i // apart * 2 * QUAD) for i in range(quads)]
            return unit, odd * QUAD, steps
        term, quad = split(Value(builder, thread), block.columns // QUAD)
        return quad * QUAD, term, [(0, i * lines) for i in range(quads)]

    @device_code
    def fetch(builder, stage, params, words, row, first, thread):
        """Terms from `first` on; 0 for those that are not there. Units behind the last one repeat
        it.
        """
        terms, units, start = (word(builder, words, row, c) for c in (TERMS, UNITS, WEIGHTS))
        forward = word(builder, words, row, BIAS) >= 0
        line = where(forward, terms, units)
        first = Value(builder, first)
        whole = builder.and_(
            builder.icmp_signed("==", (line & (QUAD - 1)).ir, I64(0)),
            builder.icmp_signed("<=", (first + block.depth).ir, terms.ir),
        )

        def by_quads(way):
            unit, term, steps = places(builder, thread, way)
            base = start + (first if way else (term + first) * line)
            for i, (further, later) in enumerate(steps):
                if way:
                    place = base + least(unit + further, units - 1) * line + term + later
                else:
                    place = base + least(unit, (units - 1) & -QUAD) + line * later
                values = load_vector(builder, params, place.ir, QUAD)
                store_all(builder, values, at(builder, stage, i * QUAD))

        def one_by_one(way):
            unit, term, steps = places(builder, thread, way)
            for i, (further, later) in enumerate(steps):
                for j in range(QUAD):
                    n = least(unit + (further if way else j), units - 1)
                    k = term + first + (later + (j if way else 0))
                    far, near = (n, least(k, terms - 1)) if way else (least(k, terms - 1), n)
                    place = at(builder, params, (start + far * line + near).ir)
                    value = where(k < terms, load(builder, place, 1), 0)
                    store(builder, value, at(builder, stage, i * QUAD + j))

        for way in (True, False):
            this = forward.ir if way else builder.not_(forward.ir)
            for body, condition in ((by_quads, whole), (one_by_one, builder.not_(whole))):
                builder.when(builder.and_(this, condition), functools.partial(body, way))

    @device_code
    def keep(builder, shared, start, stage, words, row, thread):
        def all_quads(way):
            unit, term, steps = places(builder, thread, way)
            base = Value(builder, start) + term * block.line + unit
            for i, (further, later) in enumerate(steps):
                values = load_all(builder, at(builder, stage, i * QUAD), QUAD)
                place = base + (later * block.line + further)
                if not way:
                    store_vector(builder, values, shared, place.ir)
                    continue
                for j, value in enumerate(values):
                    store(builder, value, at(builder, shared, (place + j * block.line).ir))

        forward = word(builder, words, row, BIAS) >= 0
        builder.when(forward.ir, lambda: all_quads(True))
        builder.when(builder.not_(forward.ir), lambda: all_quads(False))

    return fetch, keep


def product_code(block, most):
    """most: units that activations in shared memory have room for."""
    samples, unit = block.samples, block.unit

    @device_code
    def start(builder, acc, params, words, row, column):
        """Every sum begins with its bias, or with 0."""
        bias_at, units = (word(builder, words, row, c) for c in (BIAS, UNITS))
        there = bias_at >= 0
        for j in range(unit):
            place = where(there, bias_at, 0) + least(Value(builder, column) + j, units - 1)
            bias = where(there, load(builder, at(builder, params, place.ir), 1), 0)
            for i in range(samples):
                store(builder, bias, at(builder, acc, i * unit + j))

    @device_code
    def multiply(builder, acc, shared, left, right):
        """acc[i, j] += sum over the terms of a buffer of left[k, i] right[k, j]"""
        sums = load_all(builder, acc, block.sums)
        left = Value(builder, left)
        for k in range(block.depth):
            a = []
            for q in range(samples // QUAD):
                place = left + quad_at(q, k, most)
                a += load_vector(builder, shared, place.ir, QUAD)
            b = load_vector(builder, shared, builder.add(right, I64(k * block.line)), unit)
            for i, x in enumerate(a):
                for j, y in enumerate(b):
                    sums[i * unit + j] = fma(x, y, sums[i * unit + j])
        store_all(builder, sums, acc)

    return start, multiply


def rows_code(block, most, activations):
    """Between sums in registers, activations in shared memory, and rows in global memory.

    part: which of the four samples a thread has, if not all eight; first, last: the block's first
    sample, and the last one of all, which rows behind it repeat.
    """
    samples, unit = block.samples, block.unit

    def sample_of(builder, first, part, i):
        return Value(builder, first) + Value(builder, part) * samples + i

    def read(builder, acts, place, words, row, part, column, first, last):
        """Values of a thread's samples and units from global memory, a row after another."""
        units, stride = (word(builder, words, row, c) for c in (UNITS, OUT_STRIDE))
        n = least(Value(builder, column), (units - 1) & -unit)
        for i in range(samples):
            m = least(sample_of(builder, first, part, i), Value(builder, last))
            yield from load_vector(builder, acts, (place + m * stride + n).ir, unit)

    @device_code
    def remember(builder, old, acts, words, row, part, column, first, last):
        place = word(builder, words, row, OLD)
        values = read(builder, acts, place, words, row, part, column, first, last)
        store_all(builder, list(values), old)

    @device_code
    def add(builder, acc, acts, words, row, part, column, first, last):
        place = word(builder, words, row, MORE)
        more = read(builder, acts, place, words, row, part, column, first, last)
        sums = load_all(builder, acc, block.sums)
        store_all(builder, [a + b for a, b in zip(sums, more, strict=True)], acc)

    def places(builder, part, column, j):
        """Of unit j of a thread in shared memory, for each four of its samples."""
        for q in range(samples // QUAD):
            quad = quad_at(Value(builder, part) + q, Value(builder, column) + j, most)
            yield q, (quad + activations).ir

    @device_code
    def share(builder, shared, acc, units, part, column):
        """Sums to shared memory, for the next pass; of units that are not there 0."""
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
    def gather(
        builder, shared, acts, x, facts, feature, features, local, first, last, x_at, stride
    ):  # fmt: skip
        """One feature of the eight samples: from the data set to shared memory and, where x_at is
        not negative, to the input's rows; 0 where there is none.
        """
        feature, x_at, stride = (Value(builder, v) for v in (feature, x_at, stride))
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
    """What comes after the sums."""

    def each_activation(builder, words, row, body):
        """body(name, constants of SELU) for the activation of the pass."""
        number = word(builder, words, row, FUNCTION)
        selu = [real_word(builder, words, row, c) for c in (LAMBDA, LAMBDA_ALPHA)]
        for code, name in NAMES.items():
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
        """dz of the node below from the gradient of its outputs, but for what was dropped."""
        a, b = (real_word(builder, words, row, c) for c in (A, B))

        def of_name(name, selu):
            sums, outputs = (load_all(builder, array, block.sums) for array in (acc, old))
            pairs = zip(sums, outputs, strict=True)
            store_all(builder, [gradient(name, AFFINE, dh, h, selu, a, b) for dh, h in pairs], acc)

        each_activation(builder, words, row, of_name)

    @device_code
    def mask(builder, acc, words, row, facts, part, column):
        """A value of the pass in place of what is dropped."""
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
