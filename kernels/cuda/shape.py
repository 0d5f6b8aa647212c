"""Tiles: how many rows and columns of a product a block of threads computes, and how they share it.

A thread has GROUP rows, one after another, and `unit` columns in pieces of at most four, so that
all it reads and writes are vectors. A warp is 4 threads down and 8 across: what it reads of a line
in shared memory at a time lies in 32 different banks, or is the same for several threads.

In float32 a word of shared memory is one term of an operand; tensor cores want it rounded, and in
bf16 a word is two consecutive terms (`tensor.py`).
"""

from dataclasses import dataclass

from .device import SIMULATED

GROUP = 8  # rows of a thread: the samples of one call of the generator
PAD = 4  # floats after a line: columns written by neighbouring threads lie in different banks
QUAD = 4  # floats of the longest vector


@dataclass(frozen=True)
class Tile:
    """rows x columns of a result; `depth` words of its sums' terms are in shared memory at a time.
    precision: how the operands are rounded.
    """

    rows: int
    columns: int
    depth: int
    unit: int
    precision: str = "float32"

    @property
    def name(self):
        return f"{self.rows}x{self.columns}{self.precision if self.tensor else ''}"

    @property
    def tensor(self):
        """True if tensor cores multiply."""
        return self.precision != "float32"

    @property
    def packed(self):
        """Terms in a word."""
        return 2 if self.precision == "bf16" else 1

    @property
    def terms(self):
        """Terms in shared memory at a time."""
        return self.depth * self.packed

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
    def pad(self):
        return 0 if self.tensor else PAD

    @property
    def right(self):
        """The first word of the right operand in a buffer, after the left one."""
        return self.depth * (self.rows + self.pad)

    @property
    def buffer(self):
        """Words of shared memory for `depth` lines of both operands."""
        return self.right + self.depth * (self.columns + self.pad)

    @property
    def accumulators(self):
        return GROUP * self.unit


ON_DEVICE = Tile(128, 128, 8, 8), Tile(64, 64, 16, 4), Tile(32, 32, 16, 2)
# A warp has 32 rows, and 32 columns in each of its pieces. More of them mean fewer reads of shared
# memory for an instruction; as many terms as registers allow are on their way meanwhile.
TENSOR = {
    "tf32": (
        Tile(128, 128, 16, 16, "tf32"), Tile(64, 64, 16, 4, "tf32"), Tile(32, 32, 16, 4, "tf32"),
    ),
    "bf16": (
        Tile(128, 128, 8, 16, "bf16"), Tile(64, 64, 16, 4, "bf16"), Tile(32, 32, 16, 4, "bf16"),
    ),
}  # fmt: skip
TILES = {"float32": ON_DEVICE, **TENSOR}
if SIMULATED:  # a thread is slow there, and a block of few shows all that a block of many does
    TILES = {p: (Tile(16, 8, 8, 4, p),) for p in TILES}
ENOUGH = 100  # blocks that keep a large GPU busy
LINE = 8 if SIMULATED else 256  # threads of kernels without tiles
LANES = LINE // GROUP  # of these for each of eight rows, or units for eight interleaved sums


def blocks_of(n, size):
    """Pieces of `size` that cover n."""
    return -(-n // size)


def tile_for(results, precision="float32"):
    """The largest tile of which there are enough blocks for the results, a list of (rows,
    columns); else the smallest.

    The bits of a result do not depend on it.
    """
    tiles = TILES[precision]
    for tile in tiles[:-1]:
        count = sum(blocks_of(m, tile.rows) * blocks_of(n, tile.columns) for m, n in results)
        if count >= ENOUGH:
            return tile
    return tiles[-1]
