"""HTRU2: 17,898 pulsar candidates, 1,639 of them pulsars (Lyon et al. 2016), in ten folds.

The paper (Klambauer et al. 2017) tests on fold M and validates on fold M - 1 (fold 10 for M = 1),
but does not state which rows belong to which fold. Here, row i is assigned the i-th 64-bit number
of `numpy.random.Philox(0)`. The rows are sorted by class, then by this number, and assigned to the
folds 1, 2, ..., 10, 1, ... in turn. The numbers are Philox's raw output, which NumPy guarantees
never to change.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastsnn.data.download import Progress
from fastsnn.data.files import damage, read_bytes
from fastsnn.data.folds import Folds
from fastsnn.data.locate import File, find, locate
from fastsnn.data.members import opened, read_member
from fastsnn.data.numbers import parse

FOLDER, ROWS, FOLDS = "htru2", 17_898, 10
LARGEST = 8 << 20  # maximum bytes of the text: 1.7 MB, more with other line ends or digits
FEATURES = tuple(
    f"{curve} {figure}"
    for curve in ("profile", "DM-SNR")
    for figure in ("mean", "deviation", "excess kurtosis", "skewness")
)
CLASSES = ("spurious", "pulsar")
ARCHIVE = File(
    "htru2.zip",
    checksum="sha256:ba442c076dd22a8952700f26e38499fc1806037dcf7bea0e125e6bfba393f379",
    published=True,
    urls=(
        "https://archive.ics.uci.edu/static/public/372/htru2.zip",
        "https://archive.ics.uci.edu/ml/machine-learning-databases/00372/HTRU2.zip",
    ),
)
# Contents of the archive. The checksums are those of copies that match other copies.
PLAIN = (
    File(
        "HTRU_2.csv", 1_730_114,
        "sha256:b13b4d8929e96ecd196e464c1c8a454c3ac2ffa631015f6388957531a9923f59",
    ),
    File(
        "HTRU_2.arff", 1_730_414,
        "sha256:f8ea7956bdbb0ef83ce1d8ff807cdc1fe068b421452c6cf061b1af6e32459992",
    ),
)  # fmt: skip


def load(progress: Progress | None = None) -> Folds:
    """Return all rows in file order, with ten folds that are stratified by class.

    x is float64 (17898, 8), y int64 (17898,) in {0, 1}. Reads HTRU_2.csv or HTRU_2.arff from
    $FASTSNN_DATA/htru2 or the per-user cache; if neither exists, htru2.zip, which is downloaded if
    needed.
    """
    found = [path for file in PLAIN if (path := find(FOLDER, file.name))]
    path = found[0] if found else locate(FOLDER, ARCHIVE, progress)
    values = _numbers(path, _text(path))
    y = values[:, -1].astype(np.int64)
    test = folds(y)
    return Folds(
        name="htru2", x=np.ascontiguousarray(values[:, :-1]), y=y, test=test,
        validation=np.roll(test, 1, axis=1), class_names=CLASSES, feature_names=FEATURES,
    )  # fmt: skip


def folds(y: np.ndarray) -> np.ndarray:
    """Return the test rows of each fold by the rule in the module docstring, bool (n, 10)."""
    drawn = np.random.Philox(0).random_raw(len(y))
    order = np.lexsort((drawn, y))  # by class, then by number
    test = np.zeros((len(y), FOLDS), bool)
    test[order, np.arange(len(y)) % FOLDS] = True
    return test


def _text(path: Path) -> str:
    if path.suffix != ".zip":
        return read_bytes(path, LARGEST).decode("ascii", "replace")
    what = "must be a zip archive with HTRU_2.csv, is not"
    with opened(path) as archive, damage(path, what, "remove it to download it again"):
        info = archive.getinfo("HTRU_2.csv")
        return read_member(archive, info, path, LARGEST).decode("ascii", "replace")


def _numbers(path: Path, text: str) -> np.ndarray:
    """Return the numbers of the file, float64 (n, 9). Lines of the original end with a bare CR."""
    rows = [line for line in text.splitlines() if line.strip() and line[0] not in "@%"]
    try:
        values = parse("\n".join(rows).encode())
    except ValueError as error:
        raise ValueError(
            f"{path}: must hold lines of 9 numbers joined by commas ({error}); copy or download it "
            "again"
        ) from error
    if values.shape != (ROWS, len(FEATURES) + 1):
        raise ValueError(
            f"{path}: must have {ROWS:,} rows of 9 numbers, has {len(values):,} of "
            f"{values.shape[1]}; copy or download it again"
        )
    if not np.isfinite(values).all() or not np.isin(values[:, -1], (0, 1)).all():
        raise ValueError(
            f"{path}: must hold finite numbers, and 0 or 1 in the last column; copy or download it "
            "again"
        )
    return values
