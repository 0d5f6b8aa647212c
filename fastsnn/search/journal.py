"""Journal of a search: one line of JSON per finished trial, synced to disk after each trial.

A finished trial costs one append and one fsync, the lines are in the order in which trials
finished, and any tool can read the file. If the process is killed, the last line may be incomplete;
it is removed when the search is resumed, and its trial is run again.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastsnn.checks.scalars import shown
from fastsnn.search.trial import Trial

NAME = "trials.jsonl"
MOST_BYTES = 1 << 30  # maximum size of the file, about a million trials


class Journal:
    """The file trials.jsonl in a folder: a description of the search, then records of trials.

    Parameters
    ----------
    folder : str, path or None
        Folder of the file; it is created if it does not exist. None: nothing is stored.
    about : dict
        JSON object of everything that results depend on in addition to the options of a trial. A
        search can only be resumed with an equal one.
    resume : bool
        True if the folder may already contain trials; they are read into `records`.

    Raises
    ------
    ValueError
        The folder contains a search and `resume` is False, the stored description differs from
        `about`, or a line of the file is not a record.
    RuntimeError
        The file cannot be opened, read, locked or written, or another process uses the folder.
    """

    def __init__(
        self, folder: str | os.PathLike[str] | None, about: Mapping[str, Any], resume: bool
    ) -> None:
        self.records: list[dict[str, Any]] = []
        self._file: int | None = None
        if folder is None:
            return
        self.path = Path(folder, NAME)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        except OSError as error:
            raise RuntimeError(
                f"{self.path}: could not be opened ({error.strerror}); choose another folder"
            ) from error
        try:
            if not stat.S_ISREG(os.fstat(self._file).st_mode):  # reading a pipe may never end
                raise RuntimeError(
                    f"{self.path}: a file is required, and this is a device or a pipe; choose "
                    "another folder"
                )
            self._lock(self._file)
            self._begin(self._file, json.loads(json.dumps(about)), resume)
        except BaseException:
            self.close()
            raise

    def _lock(self, file: int) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # released when the process ends
        except BlockingIOError:
            raise RuntimeError(
                f"{self.path}: another process is running a search in this folder; wait for it, or "
                "choose another folder"
            ) from None
        except OSError as error:  # a file system that does not support locks
            raise RuntimeError(
                f"{self.path}: could not be locked ({error.strerror}); choose another folder"
            ) from error

    def _begin(self, file: int, about: dict[str, Any], resume: bool) -> None:
        content = self._content(file)
        whole = content.rfind(b"\n") + 1
        lines = [self._parsed(n, line) for n, line in enumerate(content[:whole].splitlines(), 1)]
        if lines and not resume:
            raise ValueError(
                f"{self.path.parent}: this folder already contains a search; resume it, or "
                "choose another folder"
            )
        try:
            if whole < len(content):
                os.truncate(file, whole)
            if not lines:
                self.append({"search": about})
                folder = os.open(self.path.parent, os.O_RDONLY)
                os.fsync(folder)  # makes the file's name durable
                os.close(folder)
                return
        except OSError as error:
            raise self._unwritten(error) from error
        stored, *self.records = lines
        self._require_same(stored["search"], about)

    def _content(self, file: int) -> bytes:
        size = os.fstat(file).st_size
        if size > MOST_BYTES:
            raise ValueError(
                f"{self.path}: must have at most {MOST_BYTES:,} bytes, has {size:,}; choose "
                "another folder"
            )
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise RuntimeError(
                f"{self.path}: could not be read ({error.strerror}); choose another folder"
            ) from error

    def _parsed(self, number: int, line: bytes) -> dict[str, Any]:
        record = None
        try:
            record = json.loads(line)
            if number > 1:
                Trial.of(record)
            elif not isinstance(record, dict) or not isinstance(record.get("search"), dict):
                raise ValueError("a description of the search is required")
            return record
        except (ValueError, RecursionError) as error:
            reason = f" ({error})" if isinstance(record, dict) else ""
            remedy = "remove the line to run its trial again"
            raise ValueError(
                f"{self.path}, line {number}: a record of a search is required, got "
                f"{line[:40].decode(errors='replace')!r}{reason}; "
                f"{remedy if number > 1 else 'choose another folder'}"
            ) from error

    def _require_same(self, stored: dict[str, Any], about: dict[str, Any]) -> None:
        for name in sorted(stored.keys() | about.keys()):
            old, new = stored.get(name), about.get(name)
            if old != new:
                raise ValueError(
                    f"{self.path.parent}: the search was started with {_shown(name)} "
                    f"{_shown(old)}, got {_shown(new)}; "
                    "use the same value, or choose another folder"
                )

    def append(self, record: Mapping[str, Any]) -> None:
        """Append a record as a line of JSON, and return after it is synced to disk.

        Raises RuntimeError if it cannot be written, or if the file was removed meanwhile.
        """
        if self._file is None:
            return
        line = (json.dumps(record, allow_nan=False) + "\n").encode()
        try:
            if not os.fstat(self._file).st_nlink:
                raise RuntimeError(
                    f"{self.path}: the file was removed during the search, its trials are lost; "
                    "start another search, and do not remove its folder"
                )
            while line:
                line = line[os.write(self._file, line) :]
            os.fsync(self._file)
        except OSError as error:
            raise self._unwritten(error) from error

    def _unwritten(self, error: OSError) -> RuntimeError:
        return RuntimeError(
            f"{self.path}: could not be written ({error.strerror}); free some space, and "
            "resume the search"
        )

    def close(self) -> None:
        """Close the file and release its lock."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _shown(value: object) -> str:
    return value if isinstance(value, str) and len(value) <= 60 else shown(value)
