"""Run folders: the files of a training run, and the lock on them."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from math import isfinite
from pathlib import Path
from typing import Any

from fastsnn.storage import files

FILES = ("config.toml", "metrics.jsonl", "model.safetensors", "last.safetensors")


class RunFolder:
    """Files of a run.

    config.toml: options. metrics.jsonl: metrics, one line per epoch. model.safetensors: model of
    the best epoch so far. last.safetensors: state for a resumed run.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        self.config, self.metrics, self.model, self.last = (self.path / name for name in FILES)

    @classmethod
    def create(cls, path: str | os.PathLike[str] | None, name: str) -> RunFolder:
        """Create the folder `path`, by default the next free of runs/NAME-1, runs/NAME-2, ...

        Raises RuntimeError if it cannot be created.
        """
        try:
            if path is not None:
                Path(path).mkdir(parents=True, exist_ok=True)
                return cls(path)
            number = 1
            while True:
                path = Path("runs", f"{name}-{number}")
                try:
                    path.mkdir(parents=True)
                    return cls(path)
                except FileExistsError:
                    number += 1
                    if not path.parent.is_dir():
                        raise
        except OSError as error:
            raise RuntimeError(
                f"{path}: the run folder could not be created ({error.strerror}); choose another "
                "with --out"
            ) from error

    def holds_run(self) -> bool:
        """Return True if the folder contains any file of a run."""
        return any((self.path / name).exists() for name in FILES)

    def require_none(self) -> None:
        """Raise ValueError if the folder contains a run."""
        if self.holds_run():
            raise ValueError(
                f"{self.path}: this folder already contains a run; continue it with --resume, or "
                "choose another folder with --out"
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder against other processes; the lock ends with the process.

        Raises RuntimeError if another process holds the lock, or if locking fails.
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY)
        except OSError as error:
            raise RuntimeError(
                f"{self.path}: the run folder could not be opened ({error.strerror}); choose "
                "another with --out"
            ) from error
        try:
            self._lock(descriptor)
            self._remove(f".{name}.*" for name in FILES)  # unfinished files of a killed process
            yield
        finally:
            os.close(descriptor)

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(
                f"{self.path}: another process writes to this run folder; wait for it, or "
                "choose another folder with --out"
            ) from None
        except OSError as error:  # the file system does not support locks
            raise RuntimeError(
                f"{self.path}: the run folder could not be locked ({error.strerror}); choose "
                "another with --out"
            ) from error

    def write_metrics(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Replace metrics.jsonl: one line per epoch."""
        files.replace(self.metrics, "".join(f"{to_json(r)}\n" for r in history).encode())

    def require_model(self) -> None:
        """Raise RuntimeError if the model file that this run wrote no longer exists."""
        if not self.model.is_file():
            raise RuntimeError(
                f"{self.model}: this file was removed or moved during the run; start another run, "
                "and leave its folder in place"
            )

    def discard_without_model(self) -> None:
        """Remove the files of a run that has no model yet, and the folder if it is then empty.

        Called after a failure: an OSError is ignored, because it would hide the original error.
        """
        with suppress(OSError):
            if not self.model.exists():
                self._remove(FILES)
                if not any(self.path.iterdir()):
                    self.path.rmdir()

    def _remove(self, patterns: Iterable[str]) -> None:
        for pattern in patterns:
            for path in self.path.glob(pattern):
                path.unlink(missing_ok=True)


def to_json(values: Mapping[str, Any]) -> str:
    """Return strict JSON, with null for NaN and infinity."""
    return json.dumps(
        {
            name: None if isinstance(value, float) and not isfinite(value) else value
            for name, value in values.items()
        },
        allow_nan=False,
    )
