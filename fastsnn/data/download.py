"""Fetch a file from the first mirror that has it: checked, resumable, never half-written. Imports
that are heavy wait for the first download.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import os
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

CHUNK = 1 << 18
TIMEOUT_S = 30

Progress = Callable[[str, int, int | None], None]  # (file name, bytes so far, bytes in all)


def cache_folder() -> Path:
    """$FASTSNN_CACHE, or this user's cache folder of the operating system."""
    if folder := os.environ.get("FASTSNN_CACHE"):
        return Path(folder)
    import platformdirs

    return platformdirs.user_cache_path("fastsnn", appauthor=False)


def file_sha256(path: Path) -> str:
    return _digest(path, "sha256")


def _digest(path, kind):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def fault(path: Path, checksum: str | None) -> str | None:
    """What is wrong with a file, in words that go on after "the file"; None: nothing.

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


def _damage(path) -> str | None:
    try:
        with open(path, "rb") as file:
            if path.name.removesuffix(".part").endswith(".zip"):
                bad = zipfile.ZipFile(file).testzip()
                return f"must be whole, the member {bad} is damaged" if bad else None
            if path.name.removesuffix(".part").endswith(".gz"):
                with gzip.open(file) as content:
                    while content.read(CHUNK):
                        pass
                return None
            return None if file.read(1) else "must have content, is empty"
    except (zipfile.BadZipFile, OSError, EOFError, zlib.error) as error:
        return f"must be a complete archive, is not ({error})"


def fetch(
    name: str,
    urls: Sequence[str],
    checksum: str | None,
    folder: Path,
    progress: Progress | None = None,
) -> Path:
    """The path of `folder/name`, downloaded from `urls` in turn unless it is there already.

    checksum: see `fault`. An interrupted download stays in NAME.part and is continued by the next
    call, or the next mirror. Raises RuntimeError, with the cause for each mirror, when none gives
    the right file.
    """
    path, causes = Path(folder, name), []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(f"{path}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # a second process waits, then finds the file
            if path.exists() and (checksum is None or fault(path, checksum) is None):
                return path
            part = Path(f"{path}.part")
            for url in urls:
                cause = _try(url, part, checksum, lambda *n: progress and progress(name, *n))
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
        f"{Path(folder).name} and set FASTSNN_DATA to the folder above\n  " + "\n  ".join(causes)
    )


def _try(url, part, checksum, progress) -> str | None:
    """Complete `part` from `url`; the cause if that failed. What is no prefix of it is removed."""
    import requests
    import urllib3

    resumed = part.exists() and part.stat().st_size > 0
    if resumed and fault(part, checksum) is None and checksum is not None:
        return None
    try:
        _transfer(url, part, progress)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        return f"{type(error).__name__}: {error}"
    found = fault(part, checksum)
    if found is None:
        return None
    part.unlink()
    if resumed:  # perhaps only the old beginning was wrong
        return _try(url, part, checksum, progress)
    return f"the file {found}"


def _transfer(url, part, progress) -> None:
    import requests

    start = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"}  # the checksum is that of the packed file
    if start:
        headers["Range"] = f"bytes={start}-"
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
        if response.status_code == 416:  # the server has no bytes beyond ours: start over
            part.unlink()
            return _transfer(url, part, progress)
        response.raise_for_status()
        start = start if response.status_code == 206 else 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        with open(part, "ab" if start else "wb") as file:
            for chunk in response.raw.stream(CHUNK, decode_content=False):
                file.write(chunk)
                progress(file.tell(), total)
    return None
