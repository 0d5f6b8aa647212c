"""CIFAR-10: 50,000 training and 10,000 test images of 32 x 32 pixels in colour (Krizhevsky 2009).

The first form found is read: the original archive (binary or Python version), then the JPEG form,
which does not have the original pixels and sets `Table.note`. If neither exists, the binary archive
is downloaded. "cifar10-exact" is a subset of the images with the original pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fastsnn.data import cifar10batches, cifar10jpeg
from fastsnn.data.cache import arrays as arrays_of
from fastsnn.data.dataset import Split
from fastsnn.data.download import Progress
from fastsnn.data.files import brief
from fastsnn.data.locate import File, find, locate
from fastsnn.data.table import Table

FOLDER = "cifar10"
LARGEST = 60_000 * (cifar10batches.PIXELS + 8)  # maximum bytes of an array of images or labels
CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
HOSTS = ("https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/")


def _archive(form: str, size: int, md5: str, *more: str) -> File:
    name = f"cifar-10-{form}.tar.gz"
    return File(name, size, f"md5:{md5}", True, tuple(host + name for host in HOSTS) + more)


# Checksums as published on https://www.cs.toronto.edu/~kriz/cifar.html.
BINARY = _archive("binary", 170_052_171, "c32a1d4ab5d03f1284b67883e8d87530")
PYTHON = _archive(
    "python", 170_498_071, "c58f30108f718f92721af3b95e74349a",
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/cifar-10-python.tar.gz",
)  # fmt: skip
# These have no public URL; they are read if the user has them.
JPEG = File(
    "cifar10_jpeg_q75.tar.gz", 19_735_796,
    "sha256:db5d7e6ae520febd2be22dbbe72eb07b0f559c4486c830800191d6e28b9b2375",
)  # fmt: skip
ORDER = File(
    "order_labels.csv.gz", 283_792,
    "sha256:08dfb4b8181428c7fdfc51e404fc199224bb454f58c6cf19aeaeda192f98d2ca",
)  # fmt: skip
EXACT = File(
    "cifar10_exact_subset.npz", 25_729_694,
    "sha256:f6a040c30b62beb38145c03a85b200d540150244c35b21665d44a6888f393ee7",
)  # fmt: skip


def load_cifar10(progress: Progress | None = None) -> Table:
    """Return the training part (50,000 rows) and the test part (10,000 rows).

    x is uint8 (n, 3072): the red, green and blue planes of 32 x 32 pixels, values 0 to 255. Rows
    are in the original order, for training 10,000 from each of the five batches.
    """
    note = None
    originals = [file for file in (BINARY, PYTHON) if find(FOLDER, file.name)]
    images, order = find(FOLDER, JPEG.name), find(FOLDER, ORDER.name)
    if originals or not (images and order):
        path = locate(FOLDER, originals[0] if originals else BINARY, progress)
        x, y, x_test, y_test = cifar10batches.read(path)
    else:
        x, y, x_test, y_test, note = cifar10jpeg.read(images, order, progress)
    train, test = Split(x, y), Split(x_test, y_test)
    return Table("classification", train, None, test, CLASSES, None, None, note)


def load_exact(progress: Progress | None = None) -> Table:
    """Return 8,068 training and 1,017 test images with the original pixels, in original order.

    x is uint8 (n, 3072) as in `load_cifar10`. Raises FileNotFoundError if the file is missing; it
    cannot be downloaded.
    """
    path = find(FOLDER, EXACT.name)
    if path is None:
        raise FileNotFoundError(
            f"cifar10-exact: needs {EXACT.name}, which cannot be downloaded; put it into "
            f"a folder {FOLDER} and set FASTSNN_DATA to its parent folder"
        )
    arrays = arrays_of(path, ("train_x", "train_y", "test_x", "test_y"), LARGEST)
    train, test = (_exact(path, arrays, part) for part in ("train", "test"))
    note = f"subset of CIFAR-10: {len(train):,} of 50,000 training images, {len(test):,} of 10,000"
    return Table("classification", train, None, test, CLASSES, None, None, note)


def _exact(path: Path, arrays: Mapping[str, np.ndarray], part: str) -> Split:
    x, y = arrays[f"{part}_x"], arrays[f"{part}_y"]
    if y.dtype.kind not in "iu" or y.ndim != 1 or not len(y) or y.min() < 0 or y.max() > 9:
        given = f"{y.min()} to {y.max()}" if y.dtype.kind in "iu" and y.size else f"{y.dtype}"
        raise ValueError(
            f"{path}: {part}_y must be labels 0..9, one per image, is {given} of shape "
            f"{y.shape}; copy it again"
        )
    if x.dtype != np.uint8 or x.shape != (len(y), cifar10batches.PIXELS):
        raise ValueError(
            f"{path}: {part}_x must be uint8 of shape ({len(y)}, {cifar10batches.PIXELS}), is "
            f"{brief(x.dtype, 40)} of {x.shape}; copy it again"
        )
    return Split(x, y.astype(np.int64))
