"""Tox21: 12,707 compounds and 12 toxicity assays, as prepared by DeepTox (Mayr et al. 2016).

647 compounds are the test part, which is the same in all folds. The other 12,060 are for training,
among them the 296 compounds of the challenge's leaderboard. Fold 1 is that of the paper's authors
(Klambauer et al. 2017): it validates on CVfold 5, which contains 291 leaderboard compounds. Folds 2
to 6 validate on CVfold 0 to 4 of the cross-validation in DeepTox. 9 compounds are in both the
training and the test part.
"""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path

import numpy as np

from fastsnn.data import tox21deeptox, tox21rdkit
from fastsnn.data.download import Progress
from fastsnn.data.files import brief, damage, open_file
from fastsnn.data.folds import Folds
from fastsnn.data.locate import locate
from fastsnn.data.tox21files import COMPOUNDS, FOLDER
from fastsnn.data.tox21prepare import LEAST_SHARE, prepare

TASKS = (
    "NR.AhR", "NR.AR", "NR.AR.LBD", "NR.Aromatase", "NR.ER", "NR.ER.LBD", "NR.PPAR.gamma",
    "SR.ARE", "SR.ATAD5", "SR.HSE", "SR.MMP", "SR.p53",
)  # fmt: skip
FEATURES = ("auto", "deeptox", "rdkit")
ORDER = (5, 0, 1, 2, 3, 4)  # CVfold that is the validation part of fold 1, 2, ...
SETS = ("training", "validation", "test")
VALUES = {"0": 0.0, "1": 1.0, "NA": np.nan, "": np.nan}
CVFOLDS = ("0", "1", "2", "3", "4", "5", "NA", "")
WANTED = {**dict.fromkeys(TASKS, tuple(VALUES)), "set": SETS, "CVfold": CVFOLDS}
LARGEST = 32 << 20  # maximum bytes of tox21_compoundData.csv; actual: 1.4 million


def load(features: str = "auto", progress: Progress | None = None) -> Folds:
    """Return all compounds in the order of tox21_compoundData.csv, with six folds.

    y is float32 (12707, 12): 0, 1, or NaN if the assay was not measured. x is as in the files;
    `Folds.parts` and `Folds.table` preprocess it like the paper's authors, see `tox21prepare`.

    Parameters
    ----------
    features : {"auto", "deeptox", "rdkit"}
        "deeptox" reads the features of the paper from the published files: 801 dense features, and
        the sparse features that at least 5 % of the training compounds have. "rdkit" uses 217
        descriptors, 2048 bits of Morgan fingerprints (radius 2) and 167 MACCS keys, read from
        derived/tox21_rdkit_features.npz if it exists, else computed with RDKit from tox21.sdf.gz
        (about three minutes, once per user). "auto" is "deeptox" if its files are on this machine,
        else "rdkit" if its files are, else "deeptox" after a download.
    progress : callable, optional
        Called during a download as ``progress(file_name, n_bytes, total_bytes)``; ``total_bytes``
        may be None.

    Returns
    -------
    Folds
        x is float64 (12707, features) for "deeptox", float32 (12707, 2432) for "rdkit".

    Raises
    ------
    ValueError
        `features` is unknown, or a file is damaged.
    RuntimeError
        A download failed on every mirror, or RDKit is required and not installed.
    """
    if features not in FEATURES:
        raise ValueError(f"features: must be one of {', '.join(FEATURES)}, got {features!r}")
    if features == "auto":
        features = "rdkit" if tox21rdkit.at_hand() and not tox21deeptox.at_hand() else "deeptox"
    path = locate(FOLDER, COMPOUNDS, progress)
    ids, titles, is_test, cvfold, y = _compounds(path)
    validation = np.stack([(cvfold == fold) & ~is_test for fold in ORDER], axis=1)
    test = np.repeat(is_test[:, None], len(ORDER), axis=1)
    if features == "deeptox":
        least = LEAST_SHARE * (~test & ~validation).sum(axis=0).min()
        x, n_dense = tox21deeptox.read(ids, is_test, least, progress)
        note = None
    else:
        x, n_dense, note = tox21rdkit.read(titles, progress)
    return Folds(
        name="tox21", x=x, y=y, test=test, validation=validation, note=note, task="multitask",
        target_names=TASKS, prepare=partial(prepare, n_dense=n_dense),
    )  # fmt: skip


def _compounds(path: Path) -> tuple[list[str], list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Return (IDs, titles in the SDF file, True for test rows, CVfold or -1, labels (n, 12))."""
    what = "must be the CSV file of Tox21, is not"
    with (
        damage(path, what),
        open_file(path, "rt", LARGEST, encoding="utf-8", newline="") as file,
    ):
        reader = csv.DictReader(file)
        wanted = {"ID", "sdftitle", "set", "CVfold", *TASKS}
        missing = wanted - set(reader.fieldnames or ())
        if missing:
            raise ValueError(
                f"{path}: must have the columns of tox21_compoundData.csv, lacks "
                f"{', '.join(sorted(missing))}; copy or download it again"
            )
        rows = list(reader)
    for line, row in enumerate(rows, 2):
        for name, known in WANTED.items():
            if row[name] not in known:
                raise ValueError(
                    f"{path}, line {line}: {name} must be one of {', '.join(filter(None, known))}, "
                    f"got {brief(row[name], 60)!r}; copy or download it again"
                )
        if row["ID"] is None or row["sdftitle"] is None:
            raise ValueError(
                f"{path}, line {line}: must have an ID and an SDF title, has too few cells; copy "
                "or download it again"
            )
    cvfold = np.array([int(r["CVfold"]) if r["CVfold"] in CVFOLDS[:6] else -1 for r in rows])
    y = np.array([[VALUES[row[name]] for name in TASKS] for row in rows], np.float32)
    is_test = np.array([row["set"] == "test" for row in rows])
    return [r["ID"] for r in rows], [r["sdftitle"] for r in rows], is_test, cvfold, y
