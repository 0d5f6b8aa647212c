"""Tiles: how many rows and columns of a product a block of threads computes, and how they share it.

A thread has GROUP rows, one after another, and `unit` columns in pieces of at most four, so that
all it reads and writes are vectors. A warp is 4 threads down and 8 across: what it reads of a line
in shared memory at a time lies in 32 different banks, or is the same for several threads.
"""

from dataclasses import dataclass

from fastsnn.kernels.cuda.device import SIMULATED

GROUP = 8  # rows of a thread: the samples of one call of the generator
PAD = 4  # floats behind a line: columns written by neighbouring threads lie in different banks
QUAD = 4  # floats of the longest vector


@dataclass(frozen=True)
class Tile:
    """rows x columns of a result; `depth` terms of its sums are in shared memory at a time."""

    rows: int
    columns: int
    depth: int
    unit: int

    @property
    def name(self):
        return f"{self.rows}x{self.columns}"

    @property
    def down(self):
        """Threads above one another."""
        return self.rows // GROUP

    @property
    def across(self):
        """Threads side by side."""
        return self.columns // self.unit

    @property
    def threads(self):
        return self.down * self.across

    @property
    def width(self):
        """Columns of one piece of a thread."""
        return min(QUAD, self.unit)

    @property
    def pieces(self):
        return self.unit // self.width

    @property
    def step(self):
        """Columns from one piece of a thread to the next: pieces of all threads come first."""
        return self.columns // self.pieces

    @property
    def line(self):
        """Floats of shared memory for one term: a column of the left operand, a row of the right
        one.
        """
        return self.rows + PAD + self.columns + PAD

    @property
    def buffer(self):
        return self.depth * self.line

    @property
    def accumulators(self):
        return GROUP * self.unit


ON_DEVICE = Tile(128, 128, 8, 8), Tile(64, 64, 16, 4), Tile(32, 32, 16, 2)
# In the simulator a thread is slow, and a block of few shows all that a block of many does.
TILES = (Tile(16, 8, 8, 4),) if SIMULATED else ON_DEVICE
ENOUGH = 100  # blocks that keep a large GPU busy
LINE = 8 if SIMULATED else 256  # threads of kernels without tiles
LANES = LINE // GROUP  # of these for each of eight rows, or units for eight interleaved sums


def blocks_of(n, size):
    """Pieces of `size` that cover n."""
    return -(-n // size)


def tile_for(results):
    """The largest tile of which there are enough blocks for the results, a list of (rows,
    columns); else the smallest.

    The bits of a result do not depend on it.
    """
    for tile in TILES[:-1]:
        count = sum(blocks_of(m, tile.rows) * blocks_of(n, tile.columns) for m, n in results)
        if count >= ENOUGH:
            return tile
    return TILES[-1]
