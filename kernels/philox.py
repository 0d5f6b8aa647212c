"""Philox4x32-10 and the counter layout of dropout masks. The layout is a stream guarantee: a change
is a headline of the changelog.

Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3". The generator has no
state: the random bits of an element are a function of the seed and the element's position.

    key      (seed & 0xffffffff, seed >> 32)
    counter  (sample // 8, unit, site, step)
             sample: index in the batch; site: number of the dropout layer in the network;
             step: updates so far, modulo 2**32
    numbers  the eight 16-bit halves of the four output words, low half first: one for each of the
             eight samples of the block
    dropped  number < drop_threshold(rate)

So a mask does not depend on threads, slices, vector width or backend.
"""

from .scalar import ALPHA_PRIME

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
SAMPLES_PER_BLOCK = 8
LOW_WORD = 0xFFFFFFFF


def philox4x32_10(counter, key):
    """Apply ten rounds to four counter words; return four words.

    counter: four words; key: two. Words are 64-bit integer Values whose low 32 bits are
    significant; the high bits are arbitrary in arguments and results. A 32 x 32 -> 64 bit product
    reads the low halves only, and a right shift of it gives the high word.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        p0 = (c0 & LOW_WORD) * MULTIPLIERS[0]
        p1 = (c2 & LOW_WORD) * MULTIPLIERS[1]
        c0, c1, c2, c3 = p1.shift_right(32) ^ c1 ^ k0, p1, p0.shift_right(32) ^ c3 ^ k1, p0
        k0, k1 = k0 + WEYL[0], k1 + WEYL[1]
    return c0, c1, c2, c3


def drop_threshold(rate):
    """Return round(65536 rate), at most 65535; an element whose 16-bit number is below it is
    dropped. rate in [0, 1).
    """
    return min(round(rate * 65536), 65535)


def alpha_dropout_affine(rate, mean=0.0, variance=1.0, drop_value=ALPHA_PRIME):
    """Return (affine_a, affine_b), for which alpha-dropout preserves `mean` and `variance`. They
    are computed from the rate that the 16-bit threshold realizes.

    Klambauer et al. 2017, section "New Dropout Technique"; with q = 1 - rate:
    a = sqrt(v / (q ((1 - q) (alpha' - m)^2 + v))),  b = m - a (q m + (1 - q) alpha')
    """
    q = 1 - drop_threshold(rate) / 65536
    a = (variance / (q * ((1 - q) * (drop_value - mean) ** 2 + variance))) ** 0.5
    return a, mean - a * (q * mean + (1 - q) * drop_value)


def dropout_affine(rate):
    """Return (affine_a, affine_b) of plain dropout: kept elements are divided by 1 - rate, with the
    rate that the 16-bit threshold realizes.
    """
    return 1 / (1 - drop_threshold(rate) / 65536), 0.0
