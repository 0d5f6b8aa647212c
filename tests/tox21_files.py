"""A small Tox21 in the published format: 40 compounds, 6 dense and 5 sparse features."""

import gzip

import numpy as np

from fastsnn.data.tox21 import TASKS

N, N_TEST = 40, 8
IDS = [f"NCGC{i:08}-01" for i in range(N)]
SETS = ["training"] * 26 + ["validation"] * 6 + ["test"] * N_TEST
FOLDS = [str(i % 5) for i in range(20)] + ["NA"] * 6 + ["5"] * 6 + ["NA", "0"] + ["NA"] * 6
LABELS = np.random.default_rng(4).choice(["0", "1", "NA"], (N, 12))


def dense():
    """Return columns: plain, wide with negative values, constant, tiny variance, wide, narrow."""
    rng = np.random.default_rng(5)
    wide = rng.normal(scale=1e4, size=N)
    columns = [
        rng.normal(size=N), wide, np.full(N, 7.5), rng.normal(scale=1e-4, size=N),
        10 ** rng.uniform(0, 9, N), rng.uniform(0, 1, N),
    ]  # fmt: skip
    return np.column_stack(columns).round(8)


def sparse():
    """Return columns with entries in every row, half of them, one, none, and in test rows only."""
    counts = np.zeros((N, 5), int)
    counts[:, 0] = 1 + np.arange(N) % 3
    counts[::2, 1] = 4
    counts[3, 2] = 9
    counts[-N_TEST:, 4] = 1
    return counts


def table(array, names):
    lines = [",".join(['""', *(f'"{name}"' for name in names)])]
    lines += [f'"{i}",' + ",".join(map(str, row)) for i, row in array]
    return ("\n".join(lines) + "\n").encode()


def compounds(ids=IDS, sets=SETS, folds=FOLDS, labels=LABELS):
    names = ["ID", "inchikey", "sdftitle", "order", "set", "CVfold", *TASKS]
    lines = [",".join(f'"{name}"' for name in names)]
    for i, row in enumerate(zip(ids, sets, folds, labels, strict=True)):
        head = f'"{row[0]}","KEY","{row[0]}",{i},"{row[1]}",{row[2]}'
        lines.append(",".join([head, *row[3]]))
    return ("\n".join(lines) + "\n").encode()


def matrix(counts):
    entries = [f"{r + 1} {c + 1} {counts[r, c]}" for c, r in zip(*counts.T.nonzero(), strict=True)]
    head = "%%MatrixMarket matrix coordinate integer general"
    return "\n".join([head, f"{counts.shape[0]} {counts.shape[1]} {len(entries)}", *entries, ""])


def published():
    """Return {file name: content} of all five files."""
    rows = {"train": slice(0, N - N_TEST), "test": slice(N - N_TEST, N)}
    files = {"tox21_compoundData.csv": compounds()}
    for part, some in rows.items():
        lines = zip(IDS[some], dense()[some].tolist(), strict=True)
        files[f"tox21_dense_{part}.csv.gz"] = gzip.compress(table(lines, "ABCDEF"))
        files[f"tox21_sparse_{part}.mtx.gz"] = gzip.compress(matrix(sparse()[some]).encode())
    return files
