"""Products of the narrow schedule: eight samples by weights that are streamed through shared
memory. The legend is in `narrow.py`; further parameters here:

    params   weights of a pass from offset WEIGHTS on: forward (N, K), backward (K, N), row-major
    weights  registers [vectors][QUAD]: the thread's share of the next buffer, vectors of 16 bytes.
             A forward vector is four terms of a unit (transposed when stored to shared memory), a
             backward vector is four units of a term
    shared   a buffer [D][C + PAD], term by unit, at `buffer`; activations see `narrow_epilogue.py`
"""

import functools

from ..emit import I64, Value, at, fma, load, store, where
from .code import device_code
from .narrow_epilogue import field, quad_offset
from .passes import BIAS, TERMS, UNITS, WEIGHTS
from .shape import QUAD
from .vector import load_all, load_vector, minimum, split, store_all, store_vector


def weights_code(block):
    """Return device code for a thread's share of a buffer of weights: `prefetch_weights` loads it
    from global memory to registers, `store_weights` stores it to shared memory.
    """
    vectors = block.prefetch // QUAD
    half = block.threads // 2
    unit_steps = block.columns // half  # forward: units of a thread in each pair of vectors
    terms_per_step = block.threads * QUAD // block.columns  # backward

    def coordinates(builder, thread, forward):
        """Return (unit, term) of a thread's first vector, and the steps from it to each of its
        vectors. Forward, two adjacent threads take two vectors of a unit and the next two those of
        the next unit, so that a warp writes to 32 different banks.
        """
        if forward:
            unit, odd = split(Value(builder, thread), 2)
            steps = [(i % unit_steps * half, i // unit_steps * 2 * QUAD) for i in range(vectors)]
            return unit, odd * QUAD, steps
        term, quad = split(Value(builder, thread), block.columns // QUAD)
        return quad * QUAD, term, [(0, i * terms_per_step) for i in range(vectors)]

    @device_code
    def prefetch_weights(builder, weights, params, descriptors, current, first, thread):
        """Load terms from `first` on; 0 for terms >= K. Units >= N repeat the last one."""
        terms, units, start = (
            field(builder, descriptors, current, c) for c in (TERMS, UNITS, WEIGHTS)
        )
        is_forward = field(builder, descriptors, current, BIAS) >= 0
        stride = where(is_forward, terms, units)
        first = Value(builder, first)
        aligned = builder.and_(
            builder.icmp_signed("==", (stride & (QUAD - 1)).ir, I64(0)),
            builder.icmp_signed("<=", (first + block.depth).ir, terms.ir),
        )

        def load_vectors(forward):
            unit, term, steps = coordinates(builder, thread, forward)
            base = start + (first if forward else (term + first) * stride)
            for i, (unit_step, term_step) in enumerate(steps):
                if forward:
                    offset = base + minimum(unit + unit_step, units - 1) * stride + term + term_step
                else:
                    offset = base + minimum(unit, (units - 1) & -QUAD) + stride * term_step
                values = load_vector(builder, params, offset.ir, QUAD)
                store_all(builder, values, at(builder, weights, i * QUAD))

        def load_elements(forward):
            """Any alignment, each element with a predicate."""
            unit, term, steps = coordinates(builder, thread, forward)
            for i, (unit_step, term_step) in enumerate(steps):
                for j in range(QUAD):
                    n = minimum(unit + (unit_step if forward else j), units - 1)
                    k = term + first + (term_step + (j if forward else 0))
                    if forward:
                        major, minor = n, minimum(k, terms - 1)
                    else:
                        major, minor = minimum(k, terms - 1), n
                    source = at(builder, params, (start + major * stride + minor).ir)
                    value = where(k < terms, load(builder, source, 1), 0)
                    store(builder, value, at(builder, weights, i * QUAD + j))

        for forward in (True, False):
            direction = is_forward.ir if forward else builder.not_(is_forward.ir)
            for body, condition in (
                (load_vectors, aligned),
                (load_elements, builder.not_(aligned)),
            ):
                selected = builder.and_(direction, condition)
                builder.when(selected, functools.partial(body, forward))

    @device_code
    def store_weights(builder, shared, buffer, weights, descriptors, current, thread):
        def store_vectors(forward):
            unit, term, steps = coordinates(builder, thread, forward)
            base = Value(builder, buffer) + term * block.stride + unit
            for i, (unit_step, term_step) in enumerate(steps):
                values = load_all(builder, at(builder, weights, i * QUAD), QUAD)
                offset = base + (term_step * block.stride + unit_step)
                if not forward:
                    store_vector(builder, values, shared, offset.ir)
                    continue
                for j, value in enumerate(values):
                    target = at(builder, shared, (offset + j * block.stride).ir)
                    store(builder, value, target)

        is_forward = field(builder, descriptors, current, BIAS) >= 0
        builder.when(is_forward.ir, lambda: store_vectors(True))
        builder.when(builder.not_(is_forward.ir), lambda: store_vectors(False))

    return prefetch_weights, store_weights


def product_code(block, max_units):
    """Return device code for the accumulators of a thread. max_units: units whose activations fit
    shared memory.
    """
    samples, units_of_thread = block.samples_per_thread, block.units_per_thread

    @device_code
    def prefetch_bias(builder, bias, params, descriptors, current, column):
        """Load biases to registers. A backward pass ignores them."""
        bias_at, units = (field(builder, descriptors, current, c) for c in (BIAS, UNITS))
        bias_at = where(bias_at >= 0, bias_at, 0)
        for j in range(units_of_thread):
            offset = bias_at + minimum(Value(builder, column) + j, units - 1)
            value = load(builder, at(builder, params, offset.ir), 1)
            store(builder, value, at(builder, bias, j))

    @device_code
    def init_accumulators(builder, acc, bias, descriptors, current):
        """Set each accumulator to its bias, backward to 0."""
        is_forward = field(builder, descriptors, current, BIAS) >= 0
        for j in range(units_of_thread):
            value = where(is_forward, load(builder, at(builder, bias, j), 1), 0)
            for i in range(samples):
                store(builder, value, at(builder, acc, i * units_of_thread + j))

    @device_code
    def multiply_accumulate(builder, acc, shared, left, right):
        """acc[i, j] += sum_k left[k, i] right[k, j] over the D terms of a buffer

        left: offset of the activations of the thread's samples; right: of the weights of its units.
        """
        sums = load_all(builder, acc, block.accumulators)
        left = Value(builder, left)
        for k in range(block.depth):
            a = []
            for q in range(samples // QUAD):
                offset = left + quad_offset(q, k, max_units)
                a += load_vector(builder, shared, offset.ir, QUAD)
            offset = builder.add(right, I64(k * block.stride))
            b = load_vector(builder, shared, offset, units_of_thread)
            for i, x in enumerate(a):
                for j, y in enumerate(b):
                    e = i * units_of_thread + j
                    sums[e] = fma(x, y, sums[e])
        store_all(builder, sums, acc)

    return prefetch_bias, init_accumulators, multiply_accumulate
