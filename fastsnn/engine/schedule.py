"""The choice of a schedule, by estimates, for both targets. No bit of a float32 result depends on
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np

from fastsnn.engine.layout import round_up
from fastsnn.kernels import program
from fastsnn.kernels.cpu.shape import PANEL
from fastsnn.kernels.philox import SAMPLES_PER_BLOCK

# The CPU, by measurements.
THREAD_FLOPS = 8e10  # a second, of one thread in the products of region 1
BARRIER_S = 2e-6  # from the end of one parallel region to the start of the next

# A large GPU; not yet measured on hardware.
LAUNCH_S = 2.5e-6  # from the end of one launch to the first sums of the next
WIDE_TERM_S = 1.1e-8  # one term of all sums of a tile
WIDE_FLOPS = 4e13  # a second, of products in tiles
PASS_S = 4e-7  # a pass without its sums: barriers, activation, mask
BLOCK_FLOPS = 3e11  # a second, of one block of a narrow network
# All blocks of a narrow network share the second-level cache. Each reads all weights again for its
# eight samples: 16 operations for 4 bytes.
NARROW_FLOPS = 2.2e13


class Columns(Protocol):
    """A block of threads of a GPU."""

    @property
    def columns(self) -> int:
        """Units of a layer that it computes together."""


Block = TypeVar("Block", bound=Columns)


def shares_panels(table: np.ndarray, samples: int, threads: int) -> bool:
    """True if region 1 ends sooner on the CPU when threads share panels, with a barrier after
    every layer, than when each has whole panels. table: a program.
    """
    panels = round_up(samples, PANEL) // PANEL
    dense = table[table[:, program.OP] == program.DENSE]
    weights = dense[:, program.FAN_IN] * dense[:, program.FAN_OUT]
    panel_s = 2 * PANEL * float(2 * weights.sum() - weights[0]) / THREAD_FLOPS
    whole = -(-panels // threads) * panel_s
    shared = panels / threads * panel_s + 2 * len(table) * BARRIER_S
    return bool(shared < whole)


def fitting_block(table: np.ndarray, blocks: Sequence[Block]) -> Block | None:
    """The smallest of a GPU's `blocks` of threads that can take eight samples through all of a
    program in one launch, or None: all rows must be dense layers, none wider than the block.

    blocks: `passes.BLOCKS` of the CUDA kernels, from the smallest to the largest.
    """
    if not (table[:, program.OP] == program.DENSE).all():
        return None
    widest = int(table[:, program.FAN_OUT].max())
    return next((block for block in blocks if block.columns >= widest), None)


def narrow_block(
    table: np.ndarray, samples: int, training: bool, blocks: Sequence[Block]
) -> Block | None:
    """The `fitting_block` if one launch for all layers ends sooner on a GPU than one for each
    layer and direction; else None.
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
