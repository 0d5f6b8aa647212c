"""Words of shared memory: what they hold of a product's operands, and where they lie.

In float32 a word is a term. For tensor cores it is a term rounded to tf32, or two neighbouring
terms rounded to bf16, the first one in the low half; in words both look alike.
"""

from fastsnn.kernels.cuda.device import SIMULATED
from fastsnn.kernels.cuda.shape import PAD
from fastsnn.kernels.emit import I32, Value, absolute, as_bits, as_float, where


def rounded_tf32(builder, value):
    """The word of a term: the nearest number with 10 bits behind the point; of two equally near
    ones the larger. Of a NaN the upper bits.
    """
    if not SIMULATED:
        word = builder.assembly(I32, "cvt.rna.tf32.f32 $0, $1;", "=r,f", [value.ir])
        return Value(builder, word)
    bits = as_bits(value)
    return where(absolute(value) < float("inf"), bits + 0x1000, bits) & ~0x1FFF


def rounded_bf16(builder, low, high):
    """The word of two terms: the nearest numbers with 7 bits behind the point; of two equally near
    ones the even. NaN is one of them, whatever its bits.
    """
    if not SIMULATED:
        operands = [high.ir, low.ir]
        word = builder.assembly(I32, "cvt.rn.bf16x2.f32 $0, $1, $2;", "=r,f,f", operands)
        return Value(builder, word)

    def half(value):
        bits = as_bits(value)
        even = bits.shift_right(16) & 1
        return where(value.differs(value), 0x7FFF, (bits + even + 0x7FFF).shift_right(16))

    return half(high) << 16 | half(low)


def words_of(builder, tile, terms):
    """The words of neighbouring terms, as floats of the same bits."""
    if not tile.tensor:
        return terms
    if tile.packed == 1:
        return [as_float(rounded_tf32(builder, term)) for term in terms]
    pairs = zip(terms[::2], terms[1::2], strict=True)
    return [as_float(rounded_bf16(builder, low, high)) for low, high in pairs]


def terms_of(tile, word):
    """The terms in a word."""
    if not tile.tensor:
        return [word]
    bits = as_bits(word)
    if tile.packed == 1:
        return [as_float(bits & ~0x1FFF)]
    return [as_float(bits << 16), as_float(bits & ~0xFFFF)]


def word_at(tile, extent, word, lane):
    """The place of a word of one row or column (`lane`) of an operand that has `extent` of them;
    whole numbers or Values.

    Lines of words follow one another. In float32 some floats stand behind each. For tensor cores
    the lanes of a line are exchanged instead, by blocks of 8: quads stay together, and no two
    threads of a warp want one bank, be it that they write words that are 2 or 4 lines apart, or
    that they read quads of 4 neighbouring lines.
    """
    if not tile.tensor:
        return word * (extent + PAD) + lane
    block = (word ^ (word >> 2 if isinstance(word, int) else word.shift_right(2))) & 3
    return word * extent + (lane ^ ((block << 3) & (extent - 1)))
