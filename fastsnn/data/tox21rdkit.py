"""Features of Tox21 computed from the structures with RDKit: NOT the features of the paper.

They are 217 RDKit descriptors, 2048 bits of Morgan fingerprints of radius 2 (ECFP4) and 167 MACCS
keys. They are read from derived/tox21_rdkit_features.npz in the data folder if it exists, else from
the per-user cache, else computed from tox21.sdf.gz with RDKit (``pip install '.[tox21]'``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fastsnn.data.cache import arrays, keep, kept
from fastsnn.data.download import Progress, cache_folder, file_sha256
from fastsnn.data.files import brief, damage, read_bytes
from fastsnn.data.locate import find, locate
from fastsnn.data.tox21files import DERIVED, FOLDER, SDF
from fastsnn.data.work import tracked

NOTE = "features computed with RDKit from the structures, not those of the paper"
RADIUS, BITS, KEYS = 2, 2048, 167
ARRAYS = ("rdkit_desc", "ecfp4_2048_packed", "maccs167_packed")
LARGEST = 1 << 15  # maximum bytes per compound; the SDF file has 2 kB on average
END = "$$$$\n"  # delimiter of molecules in an SDF file


def at_hand() -> bool:
    """Return True if the features or the structures to compute them from are on this machine."""
    return any(find(FOLDER, file.name) for file in (DERIVED, SDF))


def read(titles: list[str], progress: Progress | None = None) -> tuple[np.ndarray, int, str]:
    """Return (x, number of dense features, note): x is float32 (n, 2432), dense features first.

    An undefined descriptor is NaN. titles: titles of the n molecules in the SDF file, in the order
    of the rows of x.
    """
    path = find(FOLDER, DERIVED.name)
    if path is None:
        found = _computed(locate(FOLDER, SDF, progress), titles, progress)
    else:
        found = arrays(path, ARRAYS, LARGEST * len(titles))
    dense, bits, keys = found.values()
    n = len(titles)
    bytes_ = {array.dtype == np.uint8 for array in (bits, keys)} == {True}
    widths = [(n, -(-count // 8)) for count in (BITS, KEYS)]
    floats = dense.dtype.kind in "fiu" and dense.ndim == 2 and len(dense) == n
    if not (floats and bytes_ and [bits.shape, keys.shape] == widths):
        raise ValueError(
            f"{path}: must have {', '.join(ARRAYS)} for the {n:,} compounds of "
            f"tox21_compoundData.csv, has shapes {dense.shape}, {bits.shape}, {keys.shape}; "
            "copy it again, or remove it to compute the features"
        )
    bits = np.unpackbits(bits, axis=1, count=BITS)
    keys = np.unpackbits(keys, axis=1, count=KEYS)
    x = np.concatenate([part.astype(np.float32) for part in (dense, bits, keys)], axis=1)
    return x, dense.shape[1], NOTE


def _computed(sdf: Path, titles: list[str], progress: Progress | None) -> dict[str, np.ndarray]:
    """Return `compute` of an SDF file, cached per user, structures and RDKit version."""
    try:
        import rdkit
    except ImportError as error:
        raise RuntimeError(
            "tox21: RDKit is required to compute its features, and it is not installed; "
            "pip install '.[tox21]'"
        ) from error
    name = f"rdkit-{rdkit.__version__}-{file_sha256(sdf)[:16]}.npz"
    path = cache_folder() / FOLDER / name
    found = kept(path, ARRAYS)
    if found is None:
        text = read_bytes(sdf, LARGEST * max(1, len(titles)))
        blocks = text.decode("utf-8", "replace").replace("\r\n", "\n").split(END)[:-1]
        if [block.partition("\n")[0].strip() for block in blocks] != titles:
            raise ValueError(
                f"{sdf}: must have the {len(titles):,} molecules of tox21_compoundData.csv in "
                f"their order, has {len(blocks):,} that differ; copy or download both again"
            )
        found = compute(blocks, progress)
        keep(path, found)
    return found


def compute(blocks: list[str], progress: Progress | None = None) -> dict[str, np.ndarray]:
    """Return ARRAYS: descriptors, float32 (n, 217), and packed bits of fingerprints and keys.

    The descriptor Ipc, which reaches 1e300, is replaced with log10(1 + Ipc).
    """
    from rdkit import rdBase
    from rdkit.Chem import Descriptors, MACCSkeys, rdFingerprintGenerator

    names = [name for name, _ in Descriptors.descList]
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=BITS)
    dense, bits, keys = [], [], []
    with rdBase.BlockLogs():
        for block in tracked(blocks, "computing the features of Tox21", None, progress):
            molecule = _molecule(block)
            bits.append(np.packbits(np.array(generator.GetFingerprint(molecule), np.uint8)))
            keys.append(np.packbits(np.array(MACCSkeys.GenMACCSKeys(molecule), np.uint8)))
            values = Descriptors.CalcMolDescriptors(molecule)
            values["Ipc"] = np.log10(1 + values["Ipc"])
            dense.append([values[name] for name in names])
    return {
        "rdkit_desc": np.array(dense, np.float64).astype(np.float32),
        "ecfp4_2048_packed": np.array(bits),
        "maccs167_packed": np.array(keys),
    }


def _molecule(block: str) -> Any:
    """Return the molecule of an SDF block.

    Five molecules violate valence or aromaticity rules; they are read without these checks.
    """
    from rdkit import Chem

    name = brief(block.partition("\n")[0], 60)
    what = f"RDKit cannot read the molecule {name!r}"
    with damage("tox21.sdf.gz", what, "copy or download the file again"):
        molecule = Chem.MolFromMolBlock(block)
        if molecule is None:
            molecule = Chem.MolFromMolBlock(block, sanitize=False)
            if molecule is None:
                raise ValueError("no molecule")
            molecule.UpdatePropertyCache(strict=False)
            left_out = Chem.SanitizeFlags.SANITIZE_PROPERTIES | Chem.SanitizeFlags.SANITIZE_KEKULIZE
            Chem.SanitizeMol(molecule, Chem.SanitizeFlags.SANITIZE_ALL ^ left_out)
    return molecule
