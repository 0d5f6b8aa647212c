"""Find a data set's file on this machine, or download it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from fastsnn.data.download import Progress, cache_folder, fault, fetch


@dataclass(frozen=True)
class File:
    """One original file of a data set.

    Attributes
    ----------
    name : str
        Path relative to the folder of the data set.
    size : int or None
        Size in bytes, which a download must not exceed; if None, the maximum is `download_limit()`.
    checksum : str or None
        "sha256:..." or "md5:..."; None if none is known.
    published : bool
        True if the checksum was published for the original file. Otherwise it is that of a copy
        that matches other copies, and a user's file may differ from it.
    urls : tuple of str
        Download URLs, tried in this order; empty if the file cannot be downloaded.
    """

    name: str
    size: int | None = None
    checksum: str | None = None
    published: bool = False
    urls: tuple[str, ...] = ()


def find(folder: str, name: str) -> Path | None:
    """Return the path of a file, or None if it does not exist.

    It is $FASTSNN_DATA/folder/name, or folder/name in the per-user cache.
    """
    given = os.environ.get("FASTSNN_DATA")
    for base in ([Path(given)] if given else []) + [cache_folder()]:
        if (path := base / folder / name).is_file():
            return path
    return None


def locate(folder: str, file: File, progress: Progress | None = None) -> Path:
    """Return the path of the file, after downloading it if it does not exist.

    Raises ValueError if a file below $FASTSNN_DATA does not have the published checksum,
    RuntimeError if the download failed on every mirror.
    """
    given = os.environ.get("FASTSNN_DATA")
    if given and (path := Path(given, folder, file.name)).is_file():
        wrong = fault(path, file.checksum) if file.published else None
        if wrong:
            raise ValueError(
                f"{path}: {wrong}; replace it with the original file, or unset FASTSNN_DATA to "
                "download it"
            )
        return path
    try:
        store = cache_folder() / folder
        return fetch(file.name, file.urls, file.checksum, store, progress, file.size)
    except RuntimeError as error:
        if not given:
            raise
        raise RuntimeError(f"{error}; FASTSNN_DATA is set, but {path} does not exist") from error
