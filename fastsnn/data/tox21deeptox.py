"""The features of Tox21 that DeepTox and the paper used: descriptors, and counts of substructures.

Published as tox21_dense_{train,test}.csv.gz and tox21_sparse_{train,test}.mtx.gz. The sparse ones
have 272,776 columns; only those that enough training compounds have are ever made dense.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastsnn.data.download import Progress
from fastsnn.data.files import open_file, read_bytes
from fastsnn.data.locate import find, locate
from fastsnn.data.tox21files import DENSE, FOLDER, SPARSE

HEAD = b"%%MatrixMarket matrix coordinate integer general"


def at_hand() -> bool:
    """Whether all four files are on this machine."""
    return all(find(FOLDER, file.name) for file in (*DENSE.values(), *SPARSE.values()))


def read(
    ids: list[str], is_test: np.ndarray, least: float, progress: Progress | None = None
) -> tuple[np.ndarray, int]:
    """(x (n, features) float32, number of dense features, which come first).

    ids, is_test: of all n compounds, whose order x has. least: a sparse feature is kept where so
    many compounds outside the test part have it.
    """
    rows = {"train": np.flatnonzero(~is_test), "test": np.flatnonzero(is_test)}
    paths = {part: locate(FOLDER, DENSE[part], progress) for part in rows}
    dense = {part: _dense(paths[part], [ids[i] for i in rows[part]]) for part in rows}
    n_dense = dense["train"].shape[1]
    if dense["test"].shape[1] != n_dense:
        raise ValueError(
            f"{paths['test']}: must have {n_dense} features like the training part, has "
            f"{dense['test'].shape[1]}; copy or download both again"
        )
    entries = {p: _sparse(locate(FOLDER, SPARSE[p], progress), len(rows[p])) for p in rows}
    width = entries["train"][1]
    row, column, value = entries["train"][0]
    kept = np.flatnonzero(np.bincount(column[value > 0], minlength=width) >= least)
    place = np.full(max(width, entries["test"][1]), -1)
    place[kept] = n_dense + np.arange(len(kept))
    x = np.zeros((len(ids), n_dense + len(kept)), np.float32)
    for part, ((row, column, value), _) in entries.items():
        x[rows[part], :n_dense] = dense[part]
        wanted = place[column] >= 0
        x[rows[part][row[wanted]], place[column[wanted]]] = value[wanted]
    return x, n_dense


def _dense(path: Path, ids: list[str]) -> np.ndarray:
    with open_file(path, "rt", encoding="utf-8") as file:
        width = file.readline().count(",")
        try:
            table = np.loadtxt(
                file, delimiter=",", quotechar='"', ndmin=1, comments=None,
                dtype=[("id", "U32"), ("x", np.float64, (width,))],
            )  # fmt: skip
        except ValueError as error:
            raise ValueError(
                f"{path}: must have lines of an ID and {width} numbers ({error}); copy or download "
                "it again"
            ) from error
    if table["id"].tolist() != ids:
        raise ValueError(
            f"{path}: must have the {len(ids):,} compounds of tox21_compoundData.csv in their "
            f"order, has {len(table):,} that differ; copy or download both again"
        )
    return table["x"]


def _sparse(path: Path, n_rows: int) -> tuple[np.ndarray, int]:
    """((row, column, count) from 0, as (3, entries) int64; number of columns)."""
    text = read_bytes(path)
    head, _, rest = text.partition(b"\n")
    while rest.startswith(b"%"):
        rest = rest.partition(b"\n")[2]
    try:
        if head.strip() != HEAD:
            raise ValueError(f"begins with {head[:60]!r}")
        numbers = np.array(rest.split(), np.int64)
        rows, columns, entries = numbers[:3]
        row, column, value = table = numbers[3:].reshape(entries, 3).T
        if rows != n_rows or row.min() < 1 or row.max() > rows:
            raise ValueError(f"has {rows:,} rows where {n_rows:,} are needed")
        if column.min() < 1 or column.max() > columns:
            raise ValueError("has entries beyond its last column")
    except ValueError as error:
        raise ValueError(
            f"{path}: must be a MatrixMarket file of whole numbers, complete and for these "
            f"compounds ({error}); copy or download it again"
        ) from error
    return table - np.array([[1], [1], [0]]), int(columns)
