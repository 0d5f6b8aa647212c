"""Per-thread epilogue of the narrow schedule: load and store accumulators; activation, mask,
backward. The legend is in `narrow.py`; further parameters here:

    acc          [samples_per_thread][units_per_thread]
    descriptors  with `current`, the offset of the descriptor of the pass
    uniforms     [DATASET_ROWS: 8][MASK_BLOCK][CURRENT_STEP][CURRENT_SEED][LAUNCH: HEADER]
    activations  in shared memory a thread moves four samples of a unit as one vector of 16 bytes;
                 neighbouring threads access different banks
"""

import functools

from ..activations import AFFINE, CODES, gradient
from ..emit import I32, I64, Value, as_float, at, load, store, where
from .activation import activate
from .code import device_code
from .dropout import dropped
from .passes import (
    ACTIVATION_CODE,
    AFFINE_SCALE,
    AFFINE_SHIFT,
    DROPPED,
    HEADER,
    INPUT,
    INPUT_STRIDE,
    LAMBDA,
    LAMBDA_ALPHA,
    MASK_SITE,
    MASK_THRESHOLD,
    OUT_STRIDE,
    SKIP,
    SLOPE,
    UNITS,
)
from .shape import GROUP, QUAD
from .vector import load_all, load_vector, minimum, store_all, store_vector

# Elements of `uniforms`, in shared memory to save registers: the eight rows of the data set; the
# index of these eight samples in the stream of masks; step and seed; the header of the table.
DATASET_ROWS, MASK_BLOCK, CURRENT_STEP, CURRENT_SEED, LAUNCH = (
    0,
    GROUP,
    GROUP + 1,
    GROUP + 2,
    GROUP + 3,
)
UNIFORMS = LAUNCH + HEADER


def field(builder, descriptors, current, column):
    """Load an integer of a descriptor."""
    offset = builder.add(current, I64(column))
    return load(builder, at(builder, descriptors, offset, I64), 1, I64)


def float_field(builder, descriptors, current, column):
    """Load a float32 of a descriptor."""
    bits = builder.trunc(field(builder, descriptors, current, column).ir, I32)
    return as_float(Value(builder, bits))


def uniform(builder, uniforms, column):
    return load(builder, at(builder, uniforms, column, I64), 1, I64)


def quad_offset(quad, unit, max_units):
    """Return the offset of four samples of a unit in the activations in shared memory."""
    return (quad * max_units + unit) * QUAD


def copy_code(block, max_units, activations):
    """Return device code that copies between accumulators, activations in shared memory, and rows
    in global memory.

    max_units: units whose activations fit shared memory; activations: offset of the activations in
    `shared`.
    """
    samples, units_of_thread = block.samples_per_thread, block.units_per_thread

    def sample_index(builder, first, thread_row, i):
        return Value(builder, first) + Value(builder, thread_row) * samples + i

    def global_rows(builder, acts, offset, descriptors, current, thread_row, column, first, last):
        """Load the thread's units of each of its samples from global memory."""
        units, stride = (field(builder, descriptors, current, c) for c in (UNITS, OUT_STRIDE))
        n = minimum(Value(builder, column), (units - 1) & -units_of_thread)
        for i in range(samples):
            m = minimum(sample_index(builder, first, thread_row, i), Value(builder, last))
            yield from load_vector(builder, acts, (offset + m * stride + n).ir, units_of_thread)

    @device_code
    def load_saved(builder, saved, acts, descriptors, current, thread_row, column, first, last):
        """Load the values that the activation's slope is computed from."""
        offset = field(builder, descriptors, current, SLOPE)
        values = global_rows(
            builder, acts, offset, descriptors, current, thread_row, column, first, last
        )
        store_all(builder, list(values), saved)

    @device_code
    def add_skip(builder, acc, acts, descriptors, current, thread_row, column, first, last):
        """Add the skip connection's values, backward its gradient."""
        offset = field(builder, descriptors, current, SKIP)
        skip = global_rows(
            builder, acts, offset, descriptors, current, thread_row, column, first, last
        )
        sums = load_all(builder, acc, block.accumulators)
        store_all(builder, [a + b for a, b in zip(sums, skip, strict=True)], acc)

    def quads(builder, thread_row, column, j):
        """Yield the offset of each quad of samples of the thread's unit j in shared memory."""
        for q in range(samples // QUAD):
            quad = quad_offset(
                Value(builder, thread_row) + q, Value(builder, column) + j, max_units
            )
            yield q, (quad + activations).ir

    @device_code
    def store_shared(builder, shared, acc, units, thread_row, column):
        """Store accumulators to shared memory, as inputs of the next pass; 0 for units >= N."""
        for j in range(units_of_thread):
            in_bounds = Value(builder, column) + j < Value(builder, units)
            for q, offset in quads(builder, thread_row, column, j):
                sums = [
                    load(builder, at(builder, acc, (q * QUAD + i) * units_of_thread + j), 1)
                    for i in range(QUAD)
                ]
                store_vector(builder, [where(in_bounds, s, 0) for s in sums], shared, offset)

    @device_code
    def load_shared(builder, acc, shared, thread_row, column):
        """Load accumulators from shared memory."""
        for j in range(units_of_thread):
            for q, offset in quads(builder, thread_row, column, j):
                for i, value in enumerate(load_vector(builder, shared, offset, QUAD)):
                    target = at(builder, acc, (q * QUAD + i) * units_of_thread + j)
                    store(builder, value, target)

    @device_code
    def store_global(builder, acts, acc, out, stride, units, thread_row, column, first, last):
        """Store accumulators to rows in global memory."""

        def store_row(i, m):
            offset = Value(builder, out) + m * Value(builder, stride) + Value(builder, column)
            sums = load_all(builder, at(builder, acc, i * units_of_thread), units_of_thread)
            store_vector(builder, sums, acts, offset.ir)

        def store_rows():
            for i in range(samples):
                m = sample_index(builder, first, thread_row, i)
                in_bounds = builder.icmp_signed("<=", m.ir, last)
                builder.when(in_bounds, functools.partial(store_row, i, m))

        builder.when((Value(builder, column) < Value(builder, units)).ir, store_rows)

    @device_code
    def gather(builder, shared, acts, x, uniforms, feature, features, local, first, last):
        """Copy one feature of the eight samples from the data set to shared memory and, if the
        input is stored, to global memory; 0 for features >= K. local: its unit in shared memory.
        """
        feature = Value(builder, feature)
        x_at, stride = (uniform(builder, uniforms, LAUNCH + c) for c in (INPUT, INPUT_STRIDE))
        in_bounds = feature < Value(builder, features)
        clamped = minimum(feature, Value(builder, features) - 1)
        stored = builder.and_(in_bounds.ir, (x_at >= 0).ir)
        values = []
        for i in range(GROUP):
            m = minimum(Value(builder, first) + i, Value(builder, last))
            offset = uniform(builder, uniforms, DATASET_ROWS + i) * Value(builder, features)
            offset = offset + clamped
            value = where(in_bounds, load(builder, at(builder, x, offset.ir), 1), 0)
            values.append(value)

            def store_value(value=value, m=m):
                store(builder, value, at(builder, acts, (x_at + m * stride + clamped).ir))

            builder.when(stored, store_value)
        for q in range(GROUP // QUAD):
            offset = quad_offset(q, Value(builder, local), max_units) + activations
            store_vector(builder, values[q * QUAD : (q + 1) * QUAD], shared, offset.ir)

    return load_saved, add_skip, store_shared, load_shared, store_global, gather


def epilogue_code(block):
    """Return device code for the elementwise operations of a pass, on accumulators."""

    def each_activation(builder, descriptors, current, body):
        """Emit `body(name, constants of SELU)` under the condition that the pass has the activation
        `name`, for all activations.
        """
        code = field(builder, descriptors, current, ACTIVATION_CODE)
        selu = [float_field(builder, descriptors, current, c) for c in (LAMBDA, LAMBDA_ALPHA)]
        for name, number in CODES.items():
            selected = builder.icmp_signed("==", code.ir, I64(number))
            builder.when(selected, functools.partial(body, name, selu))

    @device_code
    def apply_activation(builder, acc, descriptors, current):
        def emit(name, selu):
            if name != "none":
                sums = load_all(builder, acc, block.accumulators)
                store_all(builder, [activate(name, z, selu) for z in sums], acc)

        each_activation(builder, descriptors, current, emit)

    @device_code
    def apply_slope(builder, acc, saved, descriptors, current):
        """dz of the node below from the gradient of its outputs, before the mask."""
        a, b = (float_field(builder, descriptors, current, c) for c in (AFFINE_SCALE, AFFINE_SHIFT))

        def emit(name, selu):
            sums, values = (load_all(builder, array, block.accumulators) for array in (acc, saved))
            pairs = zip(sums, values, strict=True)
            dz = [gradient(name, AFFINE, dh, value, selu, a, b) for dh, value in pairs]
            store_all(builder, dz, acc)

        each_activation(builder, descriptors, current, emit)

    @device_code
    def apply_mask(builder, acc, descriptors, current, uniforms, thread_row, column):
        """Set accumulators of dropped units to the DROPPED value of the pass."""
        value = float_field(builder, descriptors, current, DROPPED)
        site, threshold = (
            field(builder, descriptors, current, c) for c in (MASK_SITE, MASK_THRESHOLD)
        )
        group, step, seed = (
            uniform(builder, uniforms, c) for c in (MASK_BLOCK, CURRENT_STEP, CURRENT_SEED)
        )
        second_half = Value(builder, thread_row) > 0
        for j in range(block.units_per_thread):
            unit = Value(builder, column) + j
            conditions = list(dropped(group, unit, site, step, seed, threshold))
            for i in range(block.samples_per_thread):
                condition = conditions[i]
                if block.samples_per_thread < GROUP:
                    other = conditions[i + block.samples_per_thread]
                    condition = where(second_half, other, condition)
                target = at(builder, acc, i * block.units_per_thread + j)
                store(builder, where(condition, value, load(builder, target, 1)), target)

    @device_code
    def apply_affine(builder, acc, descriptors, current):
        """The affine map of dropout."""
        a, b = (float_field(builder, descriptors, current, c) for c in (AFFINE_SCALE, AFFINE_SHIFT))
        sums = load_all(builder, acc, block.accumulators)
        store_all(builder, [y * a + b for y in sums], acc)

    return apply_activation, apply_slope, apply_mask, apply_affine
