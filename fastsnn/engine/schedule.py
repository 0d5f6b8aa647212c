"""The choice of a schedule for both backends, by estimated times. float32 results do not depend on
it, in any bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np

from fastsnn.engine.layout import round_up
from fastsnn.kernels import program
from fastsnn.kernels.cpu.shape import PANEL
from fastsnn.kernels.philox import SAMPLES_PER_BLOCK

# CPU, measured. FLOPS: floating-point operations per second.
THREAD_FLOPS = 8e10  # one thread, products of region 1
BARRIER_S = 2e-6  # seconds from the end of one parallel region to the start of the next

# A large GPU; estimates, not yet measured on hardware.
LAUNCH_S = 2.5e-6  # seconds from the end of one launch to the first multiply-add of the next
WIDE_TERM_S = 1.1e-8  # seconds per term of the sums of a tile
WIDE_FLOPS = 4e13  # products of the wide schedule
PASS_S = 4e-7  # seconds per pass of the narrow schedule without its products
BLOCK_FLOPS = 3e11  # one block of the narrow schedule
# All blocks of the narrow schedule share the L2 cache. Each reads all weights for its eight
# samples: 16 operations per 4 bytes.
NARROW_FLOPS = 2.2e13


class Columns(Protocol):
    """A thread block of the narrow schedule."""

    @property
    def columns(self) -> int:
        """Number of units of a layer that the block computes together."""


Block = TypeVar("Block", bound=Columns)


def shares_panels(table: np.ndarray, samples: int, threads: int) -> bool:
    """Return True if region 1 on the CPU is estimated to be faster when threads share panels, with
    a barrier after every layer, than when each thread takes whole panels. table: a program.
    """
    panels = round_up(samples, PANEL) // PANEL
    dense = table[table[:, program.OP] == program.DENSE]
    weights = dense[:, program.FAN_IN] * dense[:, program.FAN_OUT]
    panel_s = 2 * PANEL * float(2 * weights.sum() - weights[0]) / THREAD_FLOPS
    whole = -(-panels // threads) * panel_s
    shared = panels / threads * panel_s + 2 * len(table) * BARRIER_S
    return bool(shared < whole)


def fitting_block(table: np.ndarray, blocks: Sequence[Block]) -> Block | None:
    """Return the smallest thread block that can run a program in one launch (narrow schedule), or
    None. All rows must be dense layers with at most `block.columns` units.

    blocks: `passes.BLOCKS` of the CUDA kernels, from the smallest to the largest.
    """
    if not (table[:, program.OP] == program.DENSE).all():
        return None
    widest = int(table[:, program.FAN_OUT].max())
    return next((block for block in blocks if block.columns >= widest), None)


def narrow_block(
    table: np.ndarray, samples: int, training: bool, blocks: Sequence[Block]
) -> Block | None:
    """Return the `fitting_block` if one launch for all layers is estimated to be faster on a GPU
    than one launch per layer and direction; else None.
    """
    block = fitting_block(table, blocks)
    if block is None:
        return None
    wide_s, passes, flops = 2 * LAUNCH_S, 0, 0
    for r, row in enumerate(table):
        K, N = int(row[program.FAN_IN]), int(row[program.FAN_OUT])
        for terms, units in [(K, N), (N, K)] if training and r else [(K, N)]:
            wide_s += LAUNCH_S
            wide_s += max(terms * WIDE_TERM_S, 2 * samples * terms * units / WIDE_FLOPS)
            passes += 1
            flops += 2 * SAMPLES_PER_BLOCK * terms * block.columns
    count = -(-samples // SAMPLES_PER_BLOCK)
    narrow_s = passes * PASS_S + max(flops / BLOCK_FLOPS, count * flops / NARROW_FLOPS)
    return block if narrow_s < wide_s else None
