"""Read members of zip archives that may be damaged, or crafted to fill the memory."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastsnn.data.files import brief, damage, limited, read_all, require_file
from fastsnn.data.limits import ADVICE, unpacked_limit

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED = 0x1  # bit of a member's flags


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive. Raises ValueError if the file is not a complete archive."""
    require_file(path)
    with open(path, "rb") as file:
        with damage(path, "must be a complete zip archive, is not"):
            archive = zipfile.ZipFile(file)
        with archive:
            yield archive


@contextmanager
def stream(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, most: int | None = None
) -> Iterator[io.BufferedReader]:
    """Open a member as a file that returns at most its stated size.

    most: maximum uncompressed bytes; `unpacked_limit()` by default. Raises ValueError for a larger
    member, and like `require_supported`. Reading damaged bytes raises the exceptions of zipfile.
    """
    where = place(path, info)
    require_supported(info, f"{where}:", "compress it with deflate, the default of zip")
    advice = "copy or download it again"
    if most is None:
        most, advice = unpacked_limit(), ADVICE
    if info.file_size > most:
        raise ValueError(
            f"{where}: must have at most {most:,} bytes unpacked, has {info.file_size:,}; {advice}"
        )
    # The stated size may be wrong, but ZipExtFile stops there and then verifies the checksum.
    with archive.open(info) as file:
        yield limited(file, info.file_size, where)


def require_supported(info: zipfile.ZipInfo, where: str, advice: str) -> None:
    """Raise ValueError for an encrypted member, and for methods other than stored and deflated.

    bzip2 and LZMA decompress a kilobyte to a gigabyte in a single call.
    """
    if info.flag_bits & ENCRYPTED:
        raise ValueError(f"{where} must not be encrypted; save the archive without a password")
    if info.compress_type not in METHODS:
        names = zipfile.compressor_names  # type: ignore[attr-defined]  # typeshed lacks it
        method = names.get(info.compress_type, info.compress_type)
        raise ValueError(f"{where} must be stored or deflated, its method is {method}; {advice}")


def read_member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, most: int | None = None
) -> bytes:
    """Return the content of a member, verified against its checksum.

    Raises ValueError like `stream`, and for damaged bytes.
    """
    with (
        damage(place(path, info), "must be complete, is damaged"),
        stream(archive, info, path, most) as file,
    ):
        data = read_all(file)
        if len(data) != info.file_size:
            raise ValueError(f"has {len(data):,} of {info.file_size:,} bytes")
        return data


def place(path: Path, info: zipfile.ZipInfo) -> str:
    """Return archive and member for an error; member names may be long or unprintable."""
    return f"{path}, {brief(info.filename, 100)}"


def whole(archive: zipfile.ZipFile, path: Path) -> None:
    """Verify all members. Raises ValueError if one is damaged or their total size is too large."""
    infos = archive.infolist()
    limit = unpacked_limit()
    if sum(info.file_size for info in infos) > limit:
        raise ValueError(f"{path}: must have at most {limit:,} bytes unpacked, has more; {ADVICE}")
    for info in infos:
        with (
            damage(place(path, info), "must be complete, is damaged"),
            stream(archive, info, path) as file,
        ):
            while file.read(1 << 17):
                pass
