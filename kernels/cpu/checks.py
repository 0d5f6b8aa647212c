"""Check a batch for finite features and valid labels in one pass, without temporary arrays."""

from numba import types

from .. import jit

GOOD, NOT_FINITE, OUT_OF_RANGE = range(3)
EXPONENT = 0x7F800000  # all bits set: infinity or NaN


@jit.entry(jit.INT, types.int32[:, ::1], jit.INTS, jit.INT)
def check_batch(bits, labels, n_classes):
    """Return GOOD, NOT_FINITE or OUT_OF_RANGE.

    bits: features (M, K), float32 viewed as int32; labels: (M,) int64 in [0, n_classes), or empty.
    """
    bad = 0
    for i in range(bits.shape[0]):
        for j in range(bits.shape[1]):
            bad |= (bits[i, j] & EXPONENT) == EXPONENT
    if bad:
        return NOT_FINITE
    for i in range(labels.size):
        bad |= (labels[i] < 0) | (labels[i] >= n_classes)
    return OUT_OF_RANGE if bad else GOOD
