"""Words of shared memory: what they hold of a product's operands, and where they lie.

In float32 a word is a term. For tensor cores it is a term rounded to tf32, or two neighbouring
terms rounded to bf16, the first one in the low half; in words both look alike.
"""

from ..emit import I32, Value, absolute, as_bits, as_float, where
from .device import SIMULATED
from .shape import PAD


def rounded_tf32(builder, value):
    """The word of a term: the nearest number with 10 bits after the point; of two equally near
    ones the larger. Of a NaN the upper bits.
    """
    if not SIMULATED:
        word = builder.assembly(I32, "cvt.rna.tf32.f32 $0, $1;", "=r,f", [value.ir])
        return Value(builder, word)
    bits = as_bits(value)
    return where(absolute(value) < float("inf"), bits + 0x1000, bits) & ~0x1FFF


def rounded_bf16(builder, low, high):
    """The word of two terms: the nearest numbers with 7 bits after the point; of two equally near
    ones the even. NaN is one of them, whatever its bits.
    """
    if not SIMULATED:
        operands = [high.ir, low.ir]
        word = builder.assembly(I32, "cvt.rn.bf16x2.f32 $0, $1, $2;", "=r,f,f", operands)
        return Value(builder, word)

    def half(value):
        bits = as_bits(value)
        even = bits.shift_right(16) & 1
        return where(value.is_nan(), 0x7FFF, (bits + even + 0x7FFF).shift_right(16))

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


def turn_of(line, quarter):
    """By what the blocks of a line are exchanged; quarter: line // 4."""
    turn = (line ^ quarter) & 3
    return turn + (turn & 2)


def word_at(tile, right, word, lane):
    """The place of a word of one row or column (`lane`) in the left or the right operand.

    In float32 lines of lanes follow one another, a line for a word, PAD floats after each.

    For tensor cores two neighbouring lanes and two neighbouring words are a block, and lines of
    blocks follow one another. A block is in the order in which an instruction's registers take it:
    lane by lane of the left operand, word by word of the right one. Blocks of a line are exchanged
    so that no two threads of a warp want one bank (`tensor.py` says which want what).
    """
    extent = tile.columns if right else tile.rows
    if not tile.tensor:
        return word * (extent + PAD) + lane
    line, part = word.shift_right(1), word & 1
    turn = turn_of(line, line.shift_right(2)) ^ (lane.shift_right(4) & 1)
    block = lane.shift_right(1) ^ (turn & (extent // 2 - 1))
    inside = part * 2 + (lane & 1) if right else (lane & 1) * 2 + part
    return line * (2 * extent) + block * 4 + inside
