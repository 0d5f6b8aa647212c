"""The complete UCI optical digits: 3,823 training and 1,797 test images of 8 x 8, values 0 to 16.

Training and test images were written by different people. The data set "digits" inside this package
consists of the 1,797 test images only.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastsnn.data.dataset import Split
from fastsnn.data.download import Progress
from fastsnn.data.files import read_bytes
from fastsnn.data.locate import File, locate
from fastsnn.data.numbers import parse
from fastsnn.data.table import Table

FOLDER, FEATURES, LARGEST = "optdigits", 64, 16
NUMBER_BYTES = 16  # maximum bytes of a number in 0..16 with its comma or line end
ROWS = {"optdigits.tra": 3823, "optdigits.tes": 1797}
MIRRORS = (
    "https://archive.ics.uci.edu/ml/machine-learning-databases/optdigits/",
    "http://archive.ics.uci.edu/ml/machine-learning-databases/optdigits/",
)
# No published checksum is known: these are of copies that match each other; the .tes file also
# matches the copy inside scikit-learn.
FILES = {
    name: File(name, size, f"sha256:{sha256}", urls=tuple(mirror + name for mirror in MIRRORS))
    for name, size, sha256 in (
        (
            "optdigits.tra", 563_639,
            "e1b683cc211604fe8fd8c4417e6a69f31380e0c61d4af22e93cc21e9257ffedd",
        ),
        (
            "optdigits.tes", 264_712,
            "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8",
        ),
    )
}  # fmt: skip


def load_optdigits(progress: Progress | None = None) -> Table:
    """Return the training part (3,823 rows) and the test part (1,797 rows).

    x is uint8 (n, 64), y int64 (n,) in [0, 9]. The files are read from $FASTSNN_DATA/optdigits or
    the per-user cache, and downloaded from UCI if they do not exist.
    """
    train, test = (_part(locate(FOLDER, file, progress)) for file in FILES.values())
    names = tuple(f"pixel{row}{column}" for row in range(8) for column in range(8))
    return Table("classification", train, None, test, tuple("0123456789"), names, None)


def _part(path: Path) -> Split:
    try:
        most = NUMBER_BYTES * (FEATURES + 1) * ROWS[path.name]
        values = parse(read_bytes(path, most), np.int64)
        if values.shape != (ROWS[path.name], FEATURES + 1):
            raise ValueError(f"has {len(values):,} of {values.shape[1]}")
        if values.min() < 0 or values[:, :-1].max() > LARGEST or values[:, -1].max() > 9:
            raise ValueError(f"has {values.min()} to {values.max()}")
    except ValueError as error:
        raise ValueError(
            f"{path}: must have {ROWS[path.name]:,} lines of {FEATURES} pixels 0..{LARGEST} and a "
            f"class 0..9 ({error}); copy or download it again"
        ) from error
    return Split(values[:, :-1].astype(np.uint8), values[:, -1])
