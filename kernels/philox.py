"""Philox4x32-10 and the counter layout of dropout. The layout is a promise: changing it is a
headline of the changelog.

Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3". There is no state:
the random bits of an element are a function of the seed and of where the element stands.

    key      (seed & 0xffffffff, seed >> 32)
    counter  (sample // 8, unit, site, step)
             sample: index in the batch; site: number of the dropout layer in the network;
             step: updates so far, modulo 2**32
    numbers  the eight 16-bit halves of the four words, low half first, belong to the eight samples
             of the block
    dropped  number < threshold(rate)

So a mask depends neither on threads nor on slices nor on the vector width nor on the target.
"""

from .scalar import ALPHA_PRIME

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
SAMPLES_PER_BLOCK = 8
LOW_WORD = 0xFFFFFFFF


def philox4x32_10(counter, key):
    """Ten rounds on four counter words.

    Words are integer Values of 64 bits of which the low 32 count; the upper ones may hold anything,
    before and after: a 32 x 32 -> 64 bit product reads the low halves alone, and shifting it right
    gives the high word.
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
    """A 16-bit number below this drops its element: round(65536 rate), at most 65535. rate in [0,
    1)
    """
    return min(round(rate * 65536), 65535)


def alpha_dropout_affine(rate, mean=0.0, variance=1.0, drop_value=ALPHA_PRIME):
    """(affine_a, affine_b) that keep `mean` and `variance`; computed from the rate that the
    threshold really gives.

    Klambauer et al. 2017, section "New Dropout Technique"; with q = 1 - rate:
    a = sqrt(v / (q ((1 - q) (alpha' - m)^2 + v))),  b = m - a (q m + (1 - q) alpha')
    """
    q = 1 - drop_threshold(rate) / 65536
    a = (variance / (q * ((1 - q) * (drop_value - mean) ** 2 + variance))) ** 0.5
    return a, mean - a * (q * mean + (1 - q) * drop_value)


def dropout_affine(rate):
    """(affine_a, affine_b) of plain dropout: kept elements are divided by the probability of
    keeping.
    """
    return 1 / (1 - drop_threshold(rate) / 65536), 0.0
