"""Fetch a file from the first mirror that has it: checked, resumable, never half-written. Imports
that are heavy wait for the first download.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from fastsnn.data import members
from fastsnn.data.files import PIECE, damage, limited
from fastsnn.data.limits import bytes_from
from fastsnn.data.transfer import Failed, Limit, transfer

DOWNLOAD_LIMIT = 4 << 30  # bytes of a file whose size is not known
MORE = " (if that is no mistake, set FASTSNN_DOWNLOAD_LIMIT to more bytes)"

Progress = Callable[[str, int, int | None], None]  # (file name, bytes so far, bytes in all)


def cache_folder() -> Path:
    """$FASTSNN_CACHE, or this user's cache folder of the operating system."""
    if folder := os.environ.get("FASTSNN_CACHE"):
        return Path(os.path.expanduser(folder))  # as for kernels
    import platformdirs

    return platformdirs.user_cache_path("fastsnn", appauthor=False)


def make_folder(folder: Path) -> None:
    """Create a folder of the per-user cache, and its parents, private to this user whatever the
    umask: compiled kernels are in the same cache, and are only read where nobody else can write.
    """
    for place in (*reversed(folder.parents), folder):
        if not place.exists():
            place.mkdir(mode=0o700, exist_ok=True)


def file_sha256(path: Path) -> str:
    return _digest(path, "sha256")


def _digest(path: Path, kind: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def fault(path: Path, checksum: str | None) -> str | None:
    """The fault of a file, in words that continue a sentence after "the file"; None: no fault.

    checksum: "sha256:..." or "md5:..."; without a kind it is a sha256. None, where none is known:
    then .zip and .gz archives are read through and held against their own sums, and others need
    only have a byte.
    """
    if checksum is None:
        return _damage(path)
    kind, _, wanted = checksum.rpartition(":")
    kind = kind or "sha256"
    found = _digest(path, kind)
    return None if found == wanted else f"must have the {kind} {wanted}, has {found}"


def _damage(path: Path) -> str | None:
    name = path.name.removesuffix(".part")
    try:
        if name.endswith(".zip"):
            with members.opened(path) as archive:
                members.whole(archive, path)
        elif name.endswith(".gz"):
            with damage(path, "must be a complete archive, is not"), gzip.open(path) as file:
                content = limited(file, None, path)
                while content.read(PIECE):
                    pass
        elif not path.stat().st_size:
            return "must have content, is empty"
    except (ValueError, RuntimeError) as error:
        return str(error).removeprefix(f"{path}: ").removeprefix(f"{path}, ")
    return None


def download_limit() -> int:
    """The bytes that a file of unknown size may have: $FASTSNN_DOWNLOAD_LIMIT, else 4 GiB.

    Raises ValueError if the variable is not a number of bytes.
    """
    return bytes_from("FASTSNN_DOWNLOAD_LIMIT", DOWNLOAD_LIMIT)


def fetch(
    name: str,
    urls: Sequence[str],
    checksum: str | None,
    folder: Path,
    progress: Progress | None = None,
    size: int | None = None,
) -> Path:
    """The path of `folder/name`, downloaded from `urls` in turn unless it is there already.

    checksum: see `fault`. size: bytes of the file if known; else it may have
    `download_limit()`. A server that sends less than 1 kB/s for a minute counts as failed.
    An interrupted download stays in NAME.part and is continued by the next call, or the next
    mirror. Raises RuntimeError, with the cause for each mirror, when none gives the right file.
    """
    path, causes = Path(folder, name), []
    limit = Limit(download_limit(), MORE) if size is None else Limit(size)
    try:
        make_folder(path.parent)
        with open(f"{path}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # a second process waits, then finds the file
            if path.exists() and (checksum is None or fault(path, checksum) is None):
                return path
            part = Path(f"{path}.part")
            for url in urls:
                cause = _try(url, part, checksum, limit, lambda *n: progress and progress(name, *n))
                if cause is None:
                    os.replace(part, path)
                    return path
                causes.append(f"{url}: {cause}")
    except OSError as error:
        raise RuntimeError(
            f"{name}: cannot be stored in {folder} ({error}); set FASTSNN_CACHE to a folder that "
            "can be written and has space"
        ) from error
    raise RuntimeError(
        f"{name}: could not be downloaded, no mirror gave the right file; put it into the folder "
        f"{Path(folder).name} and set FASTSNN_DATA to the folder above; tried "
        + ("; ".join(causes) or "none, no mirror is known")
    )


def _try(
    url: str,
    part: Path,
    checksum: str | None,
    limit: Limit,
    progress: Callable[[int, int | None], None],
) -> str | None:
    """Complete `part` from `url`; the cause if that failed. A wrong `part` is removed."""
    resumed = part.exists() and part.stat().st_size > 0
    if resumed and checksum is not None and fault(part, checksum) is None:
        return None
    try:
        transfer(url, part, limit, progress)
    except Failed as error:
        return str(error)
    found = fault(part, checksum)
    if found is None:
        return None
    part.unlink()
    if resumed:  # perhaps only the old beginning was wrong
        return _try(url, part, checksum, limit, progress)
    return f"the file {found}"
