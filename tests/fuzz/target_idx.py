"""Fuzz target: idx files, packed by gzip and plain: the images and labels of MNIST."""

import gzip

from fuzz.mutate import gzipped, some

from fastsnn.data.idx import read_idx

SUFFIX = "-ubyte.gz"


def _file(shape, code=8, size=1):
    count = 1
    for n in shape:
        count *= n
    sizes = b"".join(n.to_bytes(4, "big") for n in shape)
    content = bytes([0, 0, code, len(shape)]) + sizes + bytes(i % 251 for i in range(count * size))
    return gzip.compress(content, mtime=0)


SEEDS = [_file((3, 4, 4)), _file((9,)), _file((2, 3), 0x0D, 4), _file((2, 1, 1, 5), 0x0B, 2)]


def read(path):
    if not path.read_bytes().startswith(b"\x1f\x8b"):  # read it as a plain file, too
        try:
            use(path.rename(path.with_suffix("")))
        finally:
            path.with_suffix("").rename(path)
    use(path)


def use(path):
    array = read_idx(path)
    float(array.astype(float).sum())
    read_idx(path, ndim=array.ndim)


def mutate(data, rng):
    def header(content, rng):
        """Edit mostly the header: four bytes and the sizes."""
        if rng.random() < 0.5:
            return some(content, rng)
        end = 4 + 4 * content[3]
        return some(content[:end], rng, 2) + content[end:]

    return gzipped(data, rng, header)
