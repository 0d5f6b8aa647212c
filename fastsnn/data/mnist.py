"""MNIST: 60,000 training and 10,000 test images of 28 x 28 pixels with values 0 to 255."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastsnn.data.dataset import Split
from fastsnn.data.download import Progress
from fastsnn.data.idx import read_idx
from fastsnn.data.locate import File
from fastsnn.data.locate import locate as locate_file
from fastsnn.data.table import Table

MIRRORS = [
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
]
SHA256 = {
    "train-images-idx3-ubyte.gz": (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
    ),
    "train-labels-idx1-ubyte.gz": (
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
    ),
    "t10k-images-idx3-ubyte.gz": (
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
    ),
    "t10k-labels-idx1-ubyte.gz": (
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
    ),
}
SIZES = {
    "train-images-idx3-ubyte.gz": 9_912_422,
    "train-labels-idx1-ubyte.gz": 28_881,
    "t10k-images-idx3-ubyte.gz": 1_648_877,
    "t10k-labels-idx1-ubyte.gz": 4_542,
}


def load_mnist(progress: Progress | None = None) -> Table:
    """Return the training part (60,000 rows) and the test part (10,000 rows).

    x is uint8 (n, 784), y int64 (n,) in [0, 9]. The files are read from $FASTSNN_DATA/mnist or the
    per-user cache, and downloaded if they do not exist.
    """
    return Table(
        task="classification",
        train=_part("train", progress),
        validation=None,
        test=_part("t10k", progress),
        class_names=tuple("0123456789"),
        feature_names=None,
        target_names=None,
    )


def _part(prefix: str, progress: Progress | None) -> Split:
    images = read_idx(locate(f"{prefix}-images-idx3-ubyte.gz", progress), ndim=3)
    labels = read_idx(locate(f"{prefix}-labels-idx1-ubyte.gz", progress), ndim=1)
    return Split(images.reshape(len(images), -1), labels.astype(np.int64))


def locate(name: str, progress: Progress | None = None) -> Path:
    """Return the path of the file `name`, a key of `SHA256`, after downloading it if needed."""
    return locate_file("mnist", file_of(name), progress)


def file_of(name: str) -> File:
    """Return the `File` of a key of `SHA256`."""
    urls = tuple(mirror + name for mirror in MIRRORS)
    return File(name, SIZES[name], f"sha256:{SHA256[name]}", True, urls)
