"""The journal of `fastsnn bench tables`: a line of JSON for each finished result.

Several processes may append to one journal. Each result is locked by the process that computes it;
the lock ends with the process.
"""

from __future__ import annotations

import fcntl
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Key = tuple[str, str, int, int, "int | None"]  # table, system, fold, folds, rows


def key_of(record: dict[str, Any]) -> Key:
    """Return the key of a result; results with other rows or folds are other results."""
    return tuple(record[name] for name in ("table", "system", "fold", "folds", "rows"))


class Journal:
    """A file of results.

    Raises RuntimeError if it cannot be opened or written, ValueError if a line is no result.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        except OSError as error:
            raise RuntimeError(f"--out {path}: cannot be opened ({error.strerror})") from error

    def read(self) -> dict[Key, dict[str, Any]]:
        """Return the results; the last line counts if a result is stored twice.

        Raises ValueError for a line that is no result. Incomplete lines are ignored: a killed
        process has left them.
        """
        found = {}
        # By the same descriptor: closing another one of this file would release the locks.
        content = os.pread(self._file, os.fstat(self._file).st_size, 0)
        for number, line in enumerate(content.split(b"\n")[:-1], 1):
            try:
                if line:
                    record = json.loads(line)
                    found[key_of(record)] = record
            except (ValueError, KeyError, TypeError) as error:
                if not line.startswith(b"{") or line.endswith(b"}"):
                    raise ValueError(
                        f"{self.path}, line {number}: a result is required, got "
                        f"{line[:40].decode(errors='replace')!r}; remove the line"
                    ) from error
        return found

    def append(self, record: dict[str, Any]) -> None:
        """Append a result. An incomplete line of a killed process is ended first."""
        size = os.fstat(self._file).st_size
        torn = size and os.pread(self._file, 1, size - 1) != b"\n"
        line = json.dumps(record, allow_nan=False) + "\n"
        os.write(self._file, (b"\n" if torn else b"") + line.encode())
        os.fsync(self._file)

    @contextmanager
    def claimed(self, key: Key) -> Iterator[bool]:
        """Lock a result; the value is False if another process computes it."""
        place = zlib.crc32(json.dumps(key).encode())  # a byte of the file, which need not exist
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except OSError:
            yield False
            return
        try:
            yield True
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)

    def close(self) -> None:
        """Close the file, which ends all locks."""
        os.close(self._file)
