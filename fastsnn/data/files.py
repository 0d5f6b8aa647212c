"""Open a data file, packed or not, and say plainly what is wrong with it."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path


def open_file(path: Path, mode: str = "rb", **text) -> AbstractContextManager:
    """`open(path, mode)`, unpacking on the fly where the name ends in .gz.

    While the file is read, a damaged archive or text that is not UTF-8 raises ValueError.
    """
    require_file(path)
    opener = gzip.open if _packed(path) else open
    return _plainly(path, lambda: opener(path, mode, **text))


def read_bytes(path: Path) -> bytes:
    """All of a file, unpacked at once where the name ends in .gz; errors as with `open_file`."""
    require_file(path)
    with _plainly(path, lambda: open(path, "rb")) as file:
        data = file.read()
        return gzip.decompress(data) if _packed(path) else data


def _packed(path):
    return path.name.lower().endswith(".gz")


@contextmanager
def _plainly(path, opened) -> Iterator:
    try:
        with opened() as file:
            yield file
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path}: must be a complete gzip file, but unpacking it failed ({error}); "
            "copy or download it again"
        ) from error
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}: must be UTF-8 text, but the byte 0x{error.object[error.start]:02x} is not "
            f"({error.reason}); save it as CSV in UTF-8"
        ) from error


def require_file(path: Path) -> None:
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; check the path")
    if not path.is_file():
        raise ValueError(f"{path}: must be a file, is a folder; give the path of a file in it")
