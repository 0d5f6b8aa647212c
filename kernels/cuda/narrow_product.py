"""Products of the narrow schedule: eight samples by weights that stream through shared memory. The
legend is in `narrow.py`.

    stage   registers of a thread: its share of the next buffer of weights
    shared  a buffer: [term][unit], lines of `block.line` floats; activations see `narrow_rows.py`
    K       terms of a sum; forward weights are (units, K), backward (K, units)
"""

import functools

from ..emit import I64, Value, at, fma, load, store, where
from .code import device_code
from .narrow_rows import quad_at, word
from .passes import BIAS, TERMS, UNITS, WEIGHTS
from .shape import QUAD
from .vector import (
    least,
    load_all,
    load_vector,
    split,
    store_all,
    store_vector,
)


def weights_code(block):
    """Copies of a thread's share of the weights: `fetch` from global memory to registers, `keep`
    from there to shared memory, as padded lines of one term each.
    """
    quads = block.stage // QUAD
    half = block.threads // 2
    apart = block.columns // half  # units of a thread in one pair of quads
    lines = block.threads * QUAD // block.columns  # terms that all threads take at a time

    def places(builder, thread, forward):
        """(unit, term) of a thread's first quad, and the steps to each of its quads. Forward a quad
        is four terms of a unit, backward four units of a term. Forward, two adjacent threads take
        two quads of a unit and the next two those of the next unit, so that a warp writes to 32
        different banks.
        """
        if forward:
            unit, odd = split(Value(builder, thread), 2)
            steps = [(i % apart * half, i // apart * 2 * QUAD) for i in range(quads)]
            return unit, odd * QUAD, steps
        term, quad = split(Value(builder, thread), block.columns // QUAD)
        return quad * QUAD, term, [(0, i * lines) for i in range(quads)]

    @device_code
    def fetch(builder, stage, params, words, row, first, thread):
        """Load terms from `first` on; 0 beyond the last one. The last unit is repeated."""
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
    """most: units whose activations fit shared memory."""
    samples, unit = block.samples, block.unit

    @device_code
    def ask(builder, bias, params, words, row, column):
        """Prefetch biases into registers; a backward pass ignores them."""
        bias_at, units = (word(builder, words, row, c) for c in (BIAS, UNITS))
        bias_at = where(bias_at >= 0, bias_at, 0)
        for j in range(unit):
            place = bias_at + least(Value(builder, column) + j, units - 1)
            store(builder, load(builder, at(builder, params, place.ir), 1), at(builder, bias, j))

    @device_code
    def start(builder, acc, bias, words, row):
        """Initialize every sum with its bias, backward with 0."""
        forward = word(builder, words, row, BIAS) >= 0
        for j in range(unit):
            first = where(forward, load(builder, at(builder, bias, j), 1), 0)
            for i in range(samples):
                store(builder, first, at(builder, acc, i * unit + j))

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

    return ask, start, multiply
