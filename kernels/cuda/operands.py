"""Operands of a product in shared memory: encoding and layout of their words.

    mn, k    row of the left or column of the right operand; term of the sums
    word     float32 or tf32: one term. bf16: two consecutive terms, the first in the low half
    extent   tile.rows (left) or tile.columns (right)

Layout in float32: [word][extent + PAD], `mn` is the fast index.

Layout for tensor cores: [line = word // 2][block = mn // 2][4], lines of 2 * extent words. A block
is two neighbouring rows or columns at two neighbouring words, in the order of an instruction's
registers: [mn & 1][word & 1] of the left operand, [word & 1][mn & 1] of the right one. Within a
line, blocks are swizzled: loads and stores of 16 bytes have no bank conflicts (see `tensor.py` for
the access patterns).
"""

from ..emit import I32, Value, absolute, as_bits, as_float, where
from .device import SIMULATED
from .shape import PAD


def round_tf32(builder, value):
    """Return the word of a term in tf32: 10 bits of fraction, ties away from zero. NaN: its upper
    bits.
    """
    if not SIMULATED:
        word = builder.assembly(I32, "cvt.rna.tf32.f32 $0, $1;", "=r,f", [value.ir])
        return Value(builder, word)
    bits = as_bits(value)
    return where(absolute(value) < float("inf"), bits + 0x1000, bits) & ~0x1FFF


def pack_bf16x2(builder, low, high):
    """Return the word of two terms in bf16: 7 bits of fraction, ties to even. Any NaN becomes
    0x7FFF.
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


def pack(builder, tile, terms):
    """Return the words of consecutive terms, bit-cast to float32."""
    if not tile.tensor:
        return terms
    if tile.terms_per_word == 1:
        return [as_float(round_tf32(builder, term)) for term in terms]
    pairs = zip(terms[::2], terms[1::2], strict=True)
    return [as_float(pack_bf16x2(builder, low, high)) for low, high in pairs]


def unpack(tile, word):
    """Return the terms of a word, as float32."""
    if not tile.tensor:
        return [word]
    bits = as_bits(word)
    if tile.terms_per_word == 1:
        return [as_float(bits & ~0x1FFF)]
    return [as_float(bits << 16), as_float(bits & ~0xFFFF)]


def swizzle(line, quarter):
    """Return the mask that the block index is xor-ed with. quarter: line // 4."""
    mask = (line ^ quarter) & 3
    return mask + (mask & 2)


def shared_offset(tile, right, word, mn):
    """Return the offset of a word of an operand, in words from the operand's first."""
    extent = tile.columns if right else tile.rows
    if not tile.tensor:
        return word * (extent + PAD) + mn
    line, odd = word.shift_right(1), word & 1
    mask = swizzle(line, line.shift_right(2)) ^ (mn.shift_right(4) & 1)
    block = mn.shift_right(1) ^ (mask & (extent // 2 - 1))
    element = odd * 2 + (mn & 1) if right else (mn & 1) * 2 + odd
    return line * (2 * extent) + block * 4 + element
