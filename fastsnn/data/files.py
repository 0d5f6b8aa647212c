"""Open data files, compressed or not, with size limits and errors that name the file."""

from __future__ import annotations

import errno
import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any

from fastsnn.data.limits import ADVICE, unpacked_limit

PIECE = 1 << 20  # maximum bytes decompressed per call


def open_file(
    path: Path, mode: str = "rb", most: int | None = None, **text: Any
) -> AbstractContextManager[Any]:
    """Open a file; if its name ends in .gz, it is decompressed while it is read.

    mode: "rb" or "rt". most: maximum bytes of the content, see `limited`. text: arguments of
    `io.TextIOWrapper`. While the file is read, a damaged archive, text that is not UTF-8, and too
    much content raise ValueError.
    """
    require_file(path)
    return _opened(path, mode, most, text)


def read_bytes(path: Path, most: int | None = None) -> bytes:
    """Return the content of a file, decompressed if its name ends in .gz; see `open_file`."""
    with open_file(path, "rb", most) as file:
        return read_all(file)


def read_all(file: IO[bytes] | io.BufferedIOBase, size: int | None = None) -> bytes:
    """Return the rest of a file, or at most `size` bytes of it.

    It is read in pieces, because `file.read(size)` allocates `size` bytes before it reads.
    """
    pieces: list[bytes] = []
    left = sys.maxsize if size is None else size
    while left > 0 and (piece := file.read(min(PIECE, left))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def limited(
    file: IO[bytes] | io.BufferedIOBase, limit: int | None, path: Path | str
) -> io.BufferedReader:
    """Return a reader of `file` that raises ValueError after `limit` bytes.

    It decompresses at most PIECE bytes per call, regardless of the requested size. limit:
    `unpacked_limit()` by default; the error then names the environment variable that changes it.
    Closing the reader closes `file`.
    """
    return io.BufferedReader(_Limited(file, limit, path), 1 << 17)


class _Limited(io.RawIOBase):
    def __init__(
        self, file: IO[bytes] | io.BufferedIOBase, limit: int | None, path: Path | str
    ) -> None:
        self.file, self.path, self.seen = file, path, 0
        self.advice = "copy or download it again"
        if limit is None:
            limit = unpacked_limit()
            self.advice = ADVICE
        self.limit = limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.file.read(min(len(buffer), PIECE))
        self.seen += len(data)
        if self.seen > self.limit:
            raise ValueError(
                f"{self.path}: must have at most {self.limit:,} bytes unpacked, has more; "
                f"{self.advice}"
            )
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self.file.close()
        super().close()


@contextmanager
def _opened(path: Path, mode: str, most: int | None, text: dict[str, Any]) -> Iterator[Any]:
    try:
        with gzip.open(path) if packed(path) else open(path, "rb") as raw:
            # A plain file does not grow when it is read: only the limit of its data set applies.
            source: Any = limited(raw, most, path) if packed(path) or most is not None else raw
            with io.TextIOWrapper(source, **text) if "t" in mode else source as file:
                yield file
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path}: must be a complete gzip file, but unpacking it failed ({brief(error)}); "
            "copy or download it again"
        ) from error
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}: must be UTF-8 text, but the byte 0x{error.object[error.start]:02x} is not "
            f"({error.reason}); save it as CSV in UTF-8"
        ) from error


@contextmanager
def damage(
    path: Path | str, what: str, advice: str = "copy or download it again"
) -> Iterator[None]:
    """Convert exceptions about damaged bytes to a ValueError "path: what (error); advice".

    Readers of archives, pickles, images and .npy headers can raise nearly any exception for damaged
    bytes, so the body of the ``with`` statement should contain little else than the library call. A
    ValueError whose message begins with the path, and an OSError of the machine, are not converted.
    MemoryError becomes a RuntimeError.
    """
    try:
        yield
    except MemoryError as error:
        raise RuntimeError(
            f"{path}: reading it takes more memory than this machine has available; use a machine "
            f"with more, or if the file should be small, {advice}"
        ) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # EINVAL: a damaged archive made its reader seek to a negative offset
        if isinstance(error, ValueError) and str(error).startswith(str(path)):
            raise
        raise ValueError(f"{path}: {what} ({brief(error)}); {advice}") from error


def brief(text: object, length: int = 160) -> str:
    """Return text or an exception as one line of printable characters.

    More than `length` characters are shortened in the middle.
    """
    if isinstance(text, BaseException):
        text = str(text) or type(text).__name__
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)[:4000]).split())
    half = length // 2
    return line if len(line) <= length else f"{line[:half]} ... {line[5 - half :]}"


def packed(path: Path) -> bool:
    """Return True if the name ends in .gz."""
    return path.name.lower().endswith(".gz")


def require_file(path: Path) -> None:
    """Raise FileNotFoundError if `path` does not exist, ValueError if it is not a regular file."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; check the path")
    if path.is_dir():
        raise ValueError(f"{path}: must be a file, is a folder; give the path of a file in it")
    if not path.is_file():  # reading a pipe or a device may never end
        raise ValueError(f"{path}: must be a regular file, is a pipe or a device; save it as one")
