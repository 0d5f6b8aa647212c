"""The path of a data set's file on this machine, after a download if needed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from fastsnn.data.download import Progress, cache_folder, fault, fetch


@dataclass(frozen=True)
class File:
    """One original file.

    name: its path in the folder of the data set. size: its bytes, which a download may not exceed;
    None: `download_limit()`. checksum: "sha256:..." or "md5:...",
    None where none is known. published: whether that checksum was published for the original; else
    it is that of a copy which was compared with others, and a user's own file may differ from it.
    urls: where it can be had.
    """

    name: str
    size: int | None = None
    checksum: str | None = None
    published: bool = False
    urls: tuple[str, ...] = ()


def find(folder: str, name: str) -> Path | None:
    """$FASTSNN_DATA/folder/name, else folder/name in the per-user cache; None: in neither."""
    given = os.environ.get("FASTSNN_DATA")
    for base in ([Path(given)] if given else []) + [cache_folder()]:
        if (path := base / folder / name).is_file():
            return path
    return None


def locate(folder: str, file: File, progress: Progress | None = None) -> Path:
    """The path of the file, after a download if needed.

    Raises ValueError where a file under FASTSNN_DATA is not the published one, RuntimeError where
    no mirror has it.
    """
    given = os.environ.get("FASTSNN_DATA")
    if given and (path := Path(given, folder, file.name)).is_file():
        wrong = fault(path, file.checksum) if file.published else None
        if wrong:
            raise ValueError(
                f"{path}: {wrong}; replace it by the original file, or unset FASTSNN_DATA to "
                "download it"
            )
        return path
    try:
        store = cache_folder() / folder
        return fetch(file.name, file.urls, file.checksum, store, progress, file.size)
    except RuntimeError as error:
        if not given:
            raise
        raise RuntimeError(f"{error}; FASTSNN_DATA is set, but there is no {path}") from error
