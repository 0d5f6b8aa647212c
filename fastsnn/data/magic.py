"""Detect by their first bytes files that are not text although their names end like text tables."""

from __future__ import annotations

from pathlib import Path

KINDS = (
    (b"\x1f\x8b", "a gzip file", "name it {path}.gz"),
    (b"BZh", "a bzip2 file", "unpack it"),
    (b"\xfd7zXZ\x00", "an xz file", "unpack it"),
    (b"\x28\xb5\x2f\xfd", "a zstd file", "unpack it"),
    (b"PK\x03\x04", "a zip archive (as .xlsx and .npz files are)", "save it as CSV, or unpack it"),
    (b"PK\x05\x06", "an empty zip archive", "save it as CSV"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel file", "save it as CSV"),
    (b"PAR1", "a Parquet file", "save it as CSV (pandas: read_parquet, then to_csv)"),
    (b"ARROW1", "an Arrow file", "save it as CSV"),
    (b"\x93NUMPY", "an .npy array", "save it as .npz with numpy.savez(path, x=..., y=...)"),
    (b"\x89HDF\r\n", "an HDF5 file", "save it as CSV"),
    (b"SQLite format 3\x00", "an SQLite database", "save the table as CSV"),
    (b"%PDF-", "a PDF file", "save the table as CSV"),
    (b"\xff\xfe\x00\x00", "UTF-32 text", "save it as CSV in UTF-8"),
    (b"\x00\x00\xfe\xff", "UTF-32 text", "save it as CSV in UTF-8"),
    (b"\xff\xfe", "UTF-16 text", "save it as CSV in UTF-8"),
    (b"\xfe\xff", "UTF-16 text", "save it as CSV in UTF-8"),
)
HEAD = 512  # number of first bytes that identify a file


def require_text(path: Path, head: bytes, packed: bool = False) -> None:
    """Raise ValueError if the first bytes of a file are those of a known binary format.

    packed: True if they are the first bytes of the content of a gzip file.
    """
    found = next((entry for entry in KINDS if head.startswith(entry[0])), None)
    if found is None:
        return
    magic, kind, advice = found
    if magic == b"PK\x03\x04":
        size = int.from_bytes(head[26:28], "little")
        name = head[30 : 30 + size]
        if name.endswith(b".npy"):
            kind, advice = "an .npz archive", "name it so that it ends in .npz"
        elif name.startswith((b"[Content_Types].xml", b"xl/", b"_rels/", b"docProps/")):
            kind, advice = "an Excel (.xlsx) or other Office file", "save it as CSV"
        else:
            kind, advice = "a zip archive", "unpack the table in it"
    if packed:
        raise ValueError(
            f"{path}: must be compressed text, the gzip file contains {kind}; save it as CSV"
        )
    raise ValueError(f"{path}: must be a text file, is {kind}; {advice.format(path=path)}")
