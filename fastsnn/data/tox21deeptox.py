"""Reader of the Tox21 features of DeepTox and the paper: descriptors and substructure counts.

They are published as `tox21_dense_{train,test}.csv.gz` and `tox21_sparse_{train,test}.mtx.gz`. The
sparse matrices have 272,776 columns; only columns that occur in enough training compounds are
converted to dense.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from fastsnn.data.cache import keep, kept
from fastsnn.data.download import Progress, cache_folder
from fastsnn.data.files import read_bytes
from fastsnn.data.locate import find, locate
from fastsnn.data.numbers import parse
from fastsnn.data.tox21files import DENSE, FOLDER, SPARSE

HEAD = re.compile(rb"%%MatrixMarket matrix coordinate (integer|real) general")
ARRAYS = ("x", "n_dense")
LARGEST = 1 << 30  # maximum uncompressed bytes of a file; the largest has about 60 million
MOST_COLUMNS = 1 << 22  # maximum number of sparse features; actual: 272,776


def at_hand() -> bool:
    """Return True if all four files are on this machine."""
    return all(find(FOLDER, file.name) for file in (*DENSE.values(), *SPARSE.values()))


def read(
    ids: list[str], is_test: np.ndarray, least: float, progress: Progress | None = None
) -> tuple[np.ndarray, int]:
    """Return (x, number of dense features): x is float64 (n, features), dense features first.

    ids, is_test: ID of each of the n compounds, in the order of the rows of x, and True for those
    of the test part. least: number of compounds outside the test part in which a sparse feature
    must occur to be kept.
    """
    rows = {"train": np.flatnonzero(~is_test), "test": np.flatnonzero(is_test)}
    dense = {part: locate(FOLDER, DENSE[part], progress) for part in rows}
    sparse = {part: locate(FOLDER, SPARSE[part], progress) for part in rows}
    key = "-".join(_gzip_crc(path) for path in (*dense.values(), *sparse.values()))
    cached = cache_folder() / FOLDER / f"deeptox-float64-{key}-{least:g}.npz"
    arrays = kept(cached, ARRAYS)
    if arrays is None:
        x, n_dense = _assembled(ids, rows, dense, sparse, least)
        keep(cached, dict(zip(ARRAYS, (x, np.array(n_dense)), strict=True)))
        return x, n_dense
    return arrays["x"], int(arrays["n_dense"])


def _assembled(
    ids: list[str],
    rows: dict[str, np.ndarray],
    dense_paths: dict[str, Path],
    sparse_paths: dict[str, Path],
    least: float,
) -> tuple[np.ndarray, int]:
    dense = {part: _dense(dense_paths[part], [ids[i] for i in rows[part]]) for part in rows}
    n_dense = dense["train"].shape[1]
    if dense["test"].shape[1] != n_dense:
        raise ValueError(
            f"{dense_paths['test']}: must have {n_dense} features like the training part, has "
            f"{dense['test'].shape[1]}; copy or download both again"
        )
    entries = {part: _sparse(sparse_paths[part], len(rows[part])) for part in rows}
    (row, column, value), width = entries["train"]
    chosen = np.flatnonzero(np.bincount(column[value > 0], minlength=width) >= least)
    place = np.full(max(width, entries["test"][1]), -1)
    place[chosen] = n_dense + np.arange(len(chosen))
    x = np.zeros((len(ids), n_dense + len(chosen)))
    for part, ((row, column, value), _) in entries.items():
        x[rows[part], :n_dense] = dense[part]
        wanted = place[column] >= 0
        x[rows[part][row[wanted]], place[column[wanted]]] = value[wanted]
    return x, n_dense


def _gzip_crc(path: Path) -> str:
    """Return the CRC-32 at the end of a .gz file, which identifies its content."""
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - 8))
        return file.read(4)[::-1].hex()


def _dense(path: Path, ids: list[str]) -> np.ndarray:
    head, _, rest = read_bytes(path, LARGEST).partition(b"\n")
    width = head.count(b",")
    try:
        if len(rest) < 2 * width * len(ids):  # checked before rows of that width are allocated
            raise ValueError("has fewer numbers than its header states")
        record = [("id", "U32"), ("x", np.float64, (width,))]
        table = parse(rest, record, quotechar='"')
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
    """Return (entries, number of columns).

    entries is int64 (3, n_entries): row and column, both counted from 0, and value.
    """
    text = read_bytes(path, LARGEST)
    head, _, rest = text.partition(b"\n")
    try:
        if not HEAD.fullmatch(head.strip()):
            raise ValueError(f"begins with {head[:20]!r}")
        while rest.startswith(b"%"):
            rest = rest.partition(b"\n")[2]
        numbers = parse(rest, np.int64, None)
        rows, columns, entries = numbers[0]
        if columns > MOST_COLUMNS:
            raise ValueError(f"has {columns:,} columns, more than {MOST_COLUMNS:,}")
        if rows != n_rows or entries != len(numbers) - 1:
            raise ValueError(
                f"has {rows:,} rows of the required {n_rows:,}, and {len(numbers) - 1:,} of "
                f"{entries:,} entries"
            )
        table = numbers[1:].T - np.array([[1], [1], [0]])
        if table[:2].min() < 0 or (table[:2].max(axis=1) >= numbers[0, :2]).any():
            raise ValueError("has entries beyond its last row or column")
    except ValueError as error:
        raise ValueError(
            f"{path}: must be a complete MatrixMarket file of integers for these compounds "
            f"({error}); copy or download it again"
        ) from error
    return table, int(columns)
