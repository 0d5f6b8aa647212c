"""Tox21: 12,707 compounds, 12 tests of toxicity, in the form of DeepTox (Mayr et al. 2016).

12,060 compounds are for training, among them the 296 of the challenge's leaderboard, and 647 are
the test part, which is the same in all folds. Fold 1 is the one of the paper's authors: validation
on CVfold 5, which is 291 compounds of the leaderboard. Folds 2 to 6 validate on CVfold 0 to 4 of
the cross-validation that DeepTox used. 9 of the compounds are in both training and test part.
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
ORDER = (5, 0, 1, 2, 3, 4)  # CVfold of the validation part of fold 1, 2, ...
SETS = ("training", "validation", "test")
VALUES = {"0": 0.0, "1": 1.0, "NA": np.nan, "": np.nan}
CVFOLDS = ("0", "1", "2", "3", "4", "5", "NA", "")
WANTED = {**dict.fromkeys(TASKS, tuple(VALUES)), "set": SETS, "CVfold": CVFOLDS}
LARGEST = 32 << 20  # bytes of tox21_compoundData.csv, which has 1.4 million


def load(features: str = "auto", progress: Progress | None = None) -> Folds:
    """All compounds in the order of tox21_compoundData.csv; y is NaN where nothing was measured.

    Parameters
    ----------
    features : "deeptox": those of the paper, 801 dense ones and the sparse ones that at least 5 %
        of the training compounds have, from the published files. "rdkit": 217 descriptors, 2048
        bits of Morgan fingerprints (radius 2) and 167 MACCS keys, from
        derived/tox21_rdkit_features.npz where that file is, else computed with RDKit from
        tox21.sdf.gz (about three minutes, once per user). "auto": "deeptox" where its files are on
        this machine, else "rdkit" where its are, else "deeptox" by a download.

    Features are as in the files; `Folds.parts` and `Folds.table` do to them what the authors do,
    see `tox21prepare`.
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
    """(IDs, titles in the SDF file, is in the test part, CVfold or -1, labels (n, 12))."""
    what = "must be the CSV file of Tox21, is not"
    with (
        damage(path, what),
        open_file(path, "rt", LARGEST, encoding="utf-8", newline="") as file,
    ):
        reader = csv.DictReader(file)
        wanted = {"ID", "sdftitle", "set", "CVfold", *TASKS}
        lost = wanted - set(reader.fieldnames or ())
        if lost:
            raise ValueError(
                f"{path}: must have the columns of tox21_compoundData.csv, lacks "
                f"{', '.join(sorted(lost))}; copy or download it again"
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
                f"{path}, line {line}: must have an ID and a title, is too short; copy or download "
                "it again"
            )
    cvfold = np.array([int(r["CVfold"]) if r["CVfold"] in CVFOLDS[:6] else -1 for r in rows])
    y = np.array([[VALUES[row[name]] for name in TASKS] for row in rows], np.float32)
    is_test = np.array([row["set"] == "test" for row in rows])
    return [r["ID"] for r in rows], [r["sdftitle"] for r in rows], is_test, cvfold, y
