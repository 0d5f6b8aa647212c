"""Fuzz target: the archive of CIFAR-10 in Python's form, a tar of pickles, with few images."""

import gzip
import io
import tarfile
from unittest.mock import patch

from fuzz.mutate import gzipped, some
from test_data_cifar10 import NAMES, ROWS, python2

from fastsnn.data import cifar10batches

SUFFIX = "-python.tar.gz"
OPCODES = (
    b"r\xff\xff\xff\x7f", b"j\xff\xff\xff\x7f", b"B\xff\xff\xff\x7f", b"T\xff\xff\xff\x7f",
    b"\x8d" + b"\xff" * 7 + b"\x7f", b"\x8e\0\0\0\0\1\0\0\0", b"\x96\0\0\0\0\1\0\0\0",
    b"\x95" + b"\xff" * 8, b"\x8b\xff\xff\xff\x7f", b"I" + b"9" * 5000 + b"\n", b"0", b"1", b"2",
    b"R", b"b", b"s", b"u", b"e", b"\x81", b"\x92", b"\x93", b"cos\nsystem\n", b"P1\n", b"Q",
    b"\x82\x01", b"\x97", b"\x98", b"(" * 500, b"]" * 500, b"2a" * 50,
)  # fmt: skip


def _archive(batches):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as file:
        for name, data in batches.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    return content.getvalue()


BATCHES = {name: python2(i, bytes(ROWS * 3072)) for i, name in enumerate(NAMES)}
SEEDS = [gzip.compress(_archive(BATCHES), mtime=0)]


def read(path):
    with patch.object(cifar10batches, "ROWS", ROWS):
        x, y, x_test, y_test = cifar10batches.read(path)
    assert x.shape == (5 * ROWS, 3072) and len(y) == 5 * ROWS and len(x_test) == len(y_test)
    int(x.sum() + y.sum())


def mutate(data, rng):
    def change(content, rng):
        kind = rng.randrange(8)
        if kind == 0:
            return some(content[:512], rng) + content[512:]  # a header
        if kind == 1:
            return content[: rng.randrange(len(content))]
        name = rng.choice(NAMES)
        batch = BATCHES[name]
        if kind < 6:  # near the ends: the images are in the middle
            at = rng.choice((rng.randrange(160), len(batch) - rng.randrange(90)))
            batch = batch[:at] + rng.choice(OPCODES) + batch[at + rng.randrange(3) :]
        else:
            batch = some(batch, rng)
        return _archive(BATCHES | {name: batch})

    return gzipped(data, rng, change)
