"""The files of Tox21 and their download URLs. No published checksums are known."""

from __future__ import annotations

from fastsnn.data.locate import File

FOLDER = "tox21"
MIRRORS = (
    "http://bioinf.jku.at/research/DeepTox/",
    "http://www.bioinf.jku.at/research/DeepTox/",
)


def _file(name: str, size: int | None = None, sha256: str | None = None) -> File:
    urls = tuple(mirror + name for mirror in MIRRORS)
    return File(name, size, sha256 and f"sha256:{sha256}", urls=urls)


COMPOUNDS = _file(
    "tox21_compoundData.csv", 1_417_796,
    "5b54dd9a3fd7a928f6626ee42066683f597804573f8329bcff205e7f5895bca3",
)  # fmt: skip
DENSE = {
    "train": _file("tox21_dense_train.csv.gz"),
    "test": _file(
        "tox21_dense_test.csv.gz", 1_041_096,
        "0fb070673956964d0ed7237abe047f54a27761c9c70af81d098e1fd4e16891cc",
    ),
}  # fmt: skip
SPARSE = {
    "train": _file("tox21_sparse_train.mtx.gz"),
    "test": _file(
        "tox21_sparse_test.mtx.gz", 548_801,
        "40abe2f3c2b3fac9e3a24971d5ac1e8d2a140944d398b1d0253e71f47935b8c0",
    ),
}  # fmt: skip
SDF = _file(
    "tox21.sdf.gz", 2_816_836,
    "7d07358fa62655a8471f339dc6493fd852e9fbe0c079df57ba8cd2e5b2a803cf",
)  # fmt: skip
DERIVED = File(  # computed from SDF; has no public URL
    "derived/tox21_rdkit_features.npz", 4_660_447,
    "sha256:f1935b111cdb83086541a1866e590882e268102803ac4f5c3b24220ea2b2fd59",
)  # fmt: skip
