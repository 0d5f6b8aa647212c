"""Download a file from the first working mirror: verified, resumable, replaced atomically.

Expensive imports are deferred to the first download.
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

DOWNLOAD_LIMIT = 4 << 30  # maximum bytes of a file whose size is not known
MORE = " (if this is intended, set FASTSNN_DOWNLOAD_LIMIT to more bytes)"

Progress = Callable[[str, int, int | None], None]
"""Progress callback of a download, called with (file name, bytes so far, total bytes or None)."""


def cache_folder() -> Path:
    """Return $FASTSNN_CACHE, or the operating system's cache folder for this user."""
    if folder := os.environ.get("FASTSNN_CACHE"):
        return Path(os.path.expanduser(folder))  # as for compiled kernels
    import platformdirs

    return platformdirs.user_cache_path("fastsnn", appauthor=False)


def make_folder(folder: Path) -> None:
    """Create a folder of the per-user cache and its parents, with mode 0700 whatever the umask.

    Compiled kernels are stored in the same cache, and are only loaded from folders to which no
    other user can write.
    """
    for place in (*reversed(folder.parents), folder):
        if not place.exists():
            place.mkdir(mode=0o700, exist_ok=True)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 digest of a file in hexadecimal."""
    return _digest(path, "sha256")


def _digest(path: Path, kind: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def fault(path: Path, checksum: str | None) -> str | None:
    """Return what is wrong with a file, as a phrase that follows "the file"; None if it is valid.

    checksum: "sha256:..." or "md5:..."; without a prefix it is a SHA-256. If it is None, .zip and
    .gz archives are verified against their own checksums, and other files must not be empty.
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
    """Return the maximum bytes of a file of unknown size: $FASTSNN_DOWNLOAD_LIMIT, else 4 GiB.

    Raises ValueError if the variable is not a positive integer.
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
    """Return the path of `folder/name`, after downloading the file if it is missing or invalid.

    The `urls` are tried in order. A server that sends less than 1 kB/s for a minute counts as
    failed. An interrupted download is kept in NAME.part; the next mirror, or the next call,
    continues it. checksum: see `fault`. size: size of the file in bytes, which it must not exceed;
    if None, the maximum is `download_limit()`.

    Raises RuntimeError, with the cause for each mirror, if no mirror provides a valid file.
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
            f"{name}: cannot be stored in {folder} ({error}); set FASTSNN_CACHE to a writable "
            "folder with free space"
        ) from error
    raise RuntimeError(
        f"{name}: could not be downloaded, no mirror provided a valid file; put it into a folder "
        f"{Path(folder).name} and set FASTSNN_DATA to its parent folder; tried "
        + ("; ".join(causes) or "none, no mirror is known")
    )


def _try(
    url: str,
    part: Path,
    checksum: str | None,
    limit: Limit,
    progress: Callable[[int, int | None], None],
) -> str | None:
    """Complete `part` from `url`. Return None, or the cause of the failure.

    An invalid `part` is removed.
    """
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
    if resumed:  # the part from the earlier download may be the invalid one
        return _try(url, part, checksum, limit, progress)
    return f"the file {found}"
