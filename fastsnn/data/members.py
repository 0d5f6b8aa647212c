"""Read members of zip archives that may be damaged or crafted to fill the memory."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastsnn.data.files import brief, damage, limited, read_all, require_file
from fastsnn.data.limits import ADVICE, unpacked_limit

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED = 0x1  # of the flags of a member


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The open archive. Raises ValueError if the file is not one."""
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
    """A member as a file that gives no more than its stated size.

    most: the bytes that it may have; `unpacked_limit()` by default. Raises ValueError for a larger
    member, and as `require_supported`. Damaged bytes raise the exceptions of zipfile when they are
    read.
    """
    where = place(path, info)
    require_supported(info, f"{where}:", "pack it again with deflate, as zip does by default")
    advice = "copy or download it again"
    if most is None:
        most, advice = unpacked_limit(), ADVICE
    if info.file_size > most:
        raise ValueError(
            f"{where}: must have at most {most:,} bytes unpacked, has {info.file_size:,}; {advice}"
        )
    # The stated size may be wrong, but ZipExtFile stops there and then compares the checksum.
    with archive.open(info) as file:
        yield limited(file, info.file_size, where)


def require_supported(info: zipfile.ZipInfo, where: str, advice: str) -> None:
    """Raise ValueError for an encrypted member, and for other methods than stored and deflated:
    bzip2 and LZMA unpack a kilobyte to a gigabyte in one piece.
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
    """All of a member, checked against its checksum. Raises ValueError like `stream`, and for
    damage.
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
    """The words for archive and member in an error; names of members may be long or unprintable."""
    return f"{path}, {brief(info.filename, 100)}"


def whole(archive: zipfile.ZipFile, path: Path) -> None:
    """Check all members. Raises ValueError if one is damaged, or all together are too large."""
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
