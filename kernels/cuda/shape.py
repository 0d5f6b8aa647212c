"""Shapes of thread blocks, and the choice of the tile of a product.

    tile     rows x columns of a result, the work of one block; `terms` of its sums' K terms are in
             shared memory at a time
    thread   GROUP = 8 consecutive rows; `columns_per_thread` columns, as `vectors` vectors of
             `vector_width` <= QUAD adjacent columns, `vector_step` columns apart
    warp     4 threads down by 8 across
    word     4 bytes of shared memory: a float32 or tf32 term, or two consecutive bf16 terms
    buffer   `depth` words of each row (left operand), then from `right_offset` on of each column
             (right operand)

A warp's access to a line of shared memory touches 32 different banks, or the same word from several
threads.
"""

from dataclasses import dataclass

from .device import SIMULATED

GROUP = 8  # rows of a thread: the samples of one call of the generator
PAD = 4  # floats after a line: columns stored by neighbouring threads are in different banks
QUAD = 4  # floats of the longest vector: 16 bytes


@dataclass(frozen=True)
class Tile:
    """The part of a product that a thread block computes. `depth`: words of each row and column in
    a buffer. precision: of the operands.
    """

    rows: int
    columns: int
    depth: int
    columns_per_thread: int
    precision: str = "float32"

    @property
    def name(self):
        return f"{self.rows}x{self.columns}{self.precision if self.tensor else ''}"

    @property
    def tensor(self):
        """True if tensor cores compute the products."""
        return self.precision != "float32"

    @property
    def terms_per_word(self):
        """Terms per word of shared memory."""
        return 2 if self.precision == "bf16" else 1

    @property
    def terms(self):
        """Terms of a buffer."""
        return self.depth * self.terms_per_word

    @property
    def threads_down(self):
        """Threads per column of the tile."""
        return self.rows // GROUP

    @property
    def threads_across(self):
        """Threads per row of the tile."""
        return self.columns // self.columns_per_thread

    @property
    def threads(self):
        return self.threads_down * self.threads_across

    @property
    def vector_width(self):
        """Columns of one vector of a thread."""
        return min(QUAD, self.columns_per_thread)

    @property
    def vectors(self):
        """Vectors of columns per thread."""
        return self.columns_per_thread // self.vector_width

    @property
    def vector_step(self):
        """Columns from one vector of a thread to the next; in between are the other threads'."""
        return self.columns // self.vectors

    @property
    def pad(self):
        """Words after each line of an operand."""
        return 0 if self.tensor else PAD

    @property
    def right_offset(self):
        """Offset of the right operand in a buffer, words."""
        return self.depth * (self.rows + self.pad)

    @property
    def buffer(self):
        """Words of a buffer of both operands."""
        return self.right_offset + self.depth * (self.columns + self.pad)

    @property
    def accumulators(self):
        """Accumulators per thread."""
        return GROUP * self.columns_per_thread


ON_DEVICE = Tile(128, 128, 8, 8), Tile(64, 64, 16, 4), Tile(32, 32, 16, 2)
# A warp has 32 rows, and 32 columns for each vector of its threads. More vectors mean fewer loads
# from shared memory per instruction. `depth` is as large as the registers for the prefetch allow.
TENSOR = {
    "tf32": (
        Tile(128, 128, 16, 16, "tf32"), Tile(64, 64, 16, 4, "tf32"), Tile(32, 32, 16, 4, "tf32"),
    ),
    "bf16": (
        Tile(128, 128, 8, 16, "bf16"), Tile(64, 64, 16, 4, "bf16"), Tile(32, 32, 16, 4, "bf16"),
    ),
}  # fmt: skip
TILES = {"float32": ON_DEVICE, **TENSOR}
if SIMULATED:  # threads are slow there, and a small block tests as much as a large one
    TILES = {p: (Tile(16, 8, 8, 4, p),) for p in TILES}
MIN_BLOCKS = 100  # that occupy a large GPU
BLOCK_SIZE = 8 if SIMULATED else 256  # threads per block of kernels without tiles
LANES = BLOCK_SIZE // GROUP  # threads per row of GROUP rows; units with GROUP partial sums each


def ceil_div(n, size):
    """Return n / size, rounded up."""
    return -(-n // size)


def tile_for(shapes, precision="float32"):
    """Return the largest tile with at least MIN_BLOCKS blocks in the results of one launch, a list
    of (rows, columns); else the smallest tile. No bit of a result depends on the tile.
    """
    tiles = TILES[precision]
    for tile in tiles[:-1]:
        count = sum(ceil_div(m, tile.rows) * ceil_div(n, tile.columns) for m, n in shapes)
        if count >= MIN_BLOCKS:
            return tile
    return tiles[-1]
